//! BER-TLV as PIV uses it: tags of one byte (and 7F49 in two), lengths of up to three bytes.

use crate::apdu::Sw;

/// Writes one TLV. A tag above FF goes out as two bytes.
#[must_use]
pub fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 5);
    match tag.to_be_bytes() {
        [0, low] => out.push(low),
        both => out.extend_from_slice(&both),
    }
    match value.len() {
        n @ 0..=0x7f => out.push(low_byte(n)),
        n @ 0x80..=0xff => out.extend([0x81, low_byte(n)]),
        n => {
            assert!(n < 0x1_0000, "a TLV value of a card fits 64 KiB");
            out.extend([0x82, low_byte(n >> 8), low_byte(n)]);
        }
    }
    out.extend_from_slice(value);
    out
}

/// The low eight bits.
fn low_byte(n: usize) -> u8 {
    n.to_le_bytes()[0]
}

/// Splits the first TLV off: its tag, its value, and what follows.
///
/// # Errors
/// 6A80 if the length runs past the end or is written in a form that cards do not use.
pub fn split(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Sw> {
    let (tag, len, rest) = match *bytes {
        [tag, n @ 0..=0x7f, ref rest @ ..] => (tag, usize::from(n), rest),
        [tag, 0x81, n, ref rest @ ..] => (tag, usize::from(n), rest),
        [tag, 0x82, hi, lo, ref rest @ ..] => {
            (tag, usize::from(u16::from_be_bytes([hi, lo])), rest)
        }
        _ => return Err(Sw::BAD_DATA),
    };
    let (value, rest) = rest.split_at_checked(len).ok_or(Sw::BAD_DATA)?;
    Ok((tag, value, rest))
}

/// Takes a row of TLVs apart, in their order.
///
/// # Errors
/// 6A80 as [`split`].
pub fn parse(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, Sw> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (tag, value, rest) = split(bytes)?;
        out.push((tag, value));
        bytes = rest;
    }
    Ok(out)
}

/// The value of the first TLV with this tag.
#[must_use]
pub fn find<'a>(row: &[(u8, &'a [u8])], tag: u8) -> Option<&'a [u8]> {
    row.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v)
}

/// Opens a template: the whole input must be one TLV with this tag; its inside is taken apart.
///
/// # Errors
/// 6A80 if it is anything else.
pub fn template(bytes: &[u8], tag: u8) -> Result<Vec<(u8, &[u8])>, Sw> {
    match split(bytes)? {
        (t, inside, []) if t == tag => parse(inside),
        _ => Err(Sw::BAD_DATA),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_go_out_in_their_shortest_form_and_come_back() {
        for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 3000] {
            let value = vec![0xab; len];
            let bytes = tlv(0x53, &value);
            assert_eq!(
                bytes.len() - len,
                2 + usize::from(len > 0x7f) + usize::from(len > 0xff)
            );
            assert_eq!(split(&bytes), Ok((0x53, value.as_slice(), &[][..])));
        }
        assert_eq!(tlv(0x7f49, &[1]), [0x7f, 0x49, 1, 1]);
    }

    #[test]
    fn a_length_past_the_end_is_refused() {
        for bytes in [
            &[0x53][..],
            &[0x53, 2, 1],
            &[0x53, 0x81],
            &[0x53, 0x82, 1],
            &[0x53, 0x84, 0, 0, 0, 0],
        ] {
            assert_eq!(split(bytes), Err(Sw::BAD_DATA), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_template_is_one_tlv_and_nothing_after_it() {
        let good = [0x7c, 4, 0x82, 0, 0x81, 0];
        assert_eq!(
            template(&good, 0x7c),
            Ok(vec![(0x82, &[][..]), (0x81, &[][..])])
        );
        assert_eq!(template(&good, 0x7d), Err(Sw::BAD_DATA));
        let mut trailing = good.to_vec();
        trailing.push(0);
        assert_eq!(template(&trailing, 0x7c), Err(Sw::BAD_DATA));
        assert_eq!(find(&[(1, &[9][..]), (1, &[8])], 1), Some(&[9][..]));
    }
}
