//! Arithmetic in GF(256) with AES's polynomial x^8 + x^4 + x^3 + x + 1 (SLIP-0039, FIPS 197 section 4).
//!
//! No table and no branch depends on a value: every product costs the same eight steps, so neither the time nor the
//! cache tells anything of a share's bytes. Addition is `^`.

/// The product of two field elements.
pub(crate) const fn mul(a: u8, b: u8) -> u8 {
    let mut a = a;
    let mut product = 0;
    let mut bit = 0;
    while bit < 8 {
        product ^= a & mask(b >> bit);
        a = (a << 1) ^ (0x1b & mask(a >> 7));
        bit += 1;
    }
    product
}

/// The inverse, and 0 for 0: a^254 by squaring and multiplying, since a^255 is 1.
pub(crate) const fn invert(a: u8) -> u8 {
    let mut power = a;
    let mut result = 1;
    let mut step = 0;
    // 254 = 2 + 4 + ... + 128
    while step < 7 {
        power = mul(power, power);
        result = mul(result, power);
        step += 1;
    }
    result
}

/// All ones if the lowest bit is set, else zero.
const fn mask(bit: u8) -> u8 {
    (bit & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field by its definition: carry-less product of the polynomials, then the remainder.
    fn mul_by_definition(a: u8, b: u8) -> u8 {
        let mut product = (0..8)
            .filter(|i| b >> i & 1 == 1)
            .fold(0u16, |sum, i| sum ^ u16::from(a) << i);
        for i in (8..16).rev() {
            if product >> i & 1 == 1 {
                product ^= 0x11b << (i - 8);
            }
        }
        product as u8
    }

    #[test]
    fn all_products_are_as_defined() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(mul(a, b), mul_by_definition(a, b), "{a} * {b}");
            }
        }
        // FIPS 197 section 4.2 works this one out.
        assert_eq!(mul(0x57, 0x83), 0xc1);
    }

    #[test]
    fn every_element_but_zero_has_its_inverse() {
        assert_eq!(invert(0), 0);
        for a in 1..=255 {
            assert_eq!(mul(a, invert(a)), 1, "{a}");
        }
    }
}
