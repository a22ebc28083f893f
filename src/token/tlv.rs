//! BER-TLV as PIV uses it: one- and two-byte tags, definite lengths up to 65,535.
//!
//! Reading never panics on what a card sends; writing goes into one buffer of known size that is wiped, so
//! that no half-grown copy of a secret stays behind.

use super::TokenError;
use zeroize::Zeroizing;

/// Longest object that PIV moves; a YubiKey's are at most 3,063 bytes.
const LONGEST: usize = 0xffff;

/// Splits `bytes` into its first element and the rest.
pub(super) fn first(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&leading, rest) = bytes.split_first()?;
    let (tag, rest) = if leading & 0x1f == 0x1f {
        let (&second, rest) = rest.split_first()?;
        if second & 0x80 != 0 {
            return None;
        }
        (u16::from_be_bytes([leading, second]), rest)
    } else {
        (u16::from(leading), rest)
    };
    let (length, rest) = match rest {
        [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, n, rest @ ..] => (usize::from(*n), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

/// The value of the first element with this tag; elements before it must be well-formed.
pub(super) fn find(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while !bytes.is_empty() {
        let (tag, value, rest) = first(bytes)?;
        if tag == wanted {
            return Some(value);
        }
        bytes = rest;
    }
    None
}

/// The value under a path of nested tags.
pub(super) fn within<'a>(
    bytes: &'a [u8],
    path: &[u16],
    what: &'static str,
) -> Result<&'a [u8], TokenError> {
    path.iter()
        .try_fold(bytes, |bytes, tag| find(bytes, *tag))
        .ok_or(TokenError::Malformed { what })
}

/// One element whose value is the given parts, one after the other.
pub(super) fn element(tag: u16, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    debug_assert!(length <= LONGEST, "no piv object is that long");
    let mut out = Zeroizing::new(Vec::with_capacity(length + 5));
    match tag.to_be_bytes() {
        [0, low] => out.push(low),
        both => out.extend_from_slice(&both),
    }
    let [.., high, low] = length.to_be_bytes();
    match length {
        ..0x80 => out.push(low),
        0x80..0x100 => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(element(0x5c, &[&[1, 2]])[..], [0x5c, 2, 1, 2]);
        assert_eq!(element(0x53, &[&[0; 0x80]])[..3], [0x53, 0x81, 0x80]);
        assert_eq!(element(0x53, &[&[0; 0x1ff]])[..4], [0x53, 0x82, 1, 0xff]);
        assert_eq!(element(0x7f49, &[])[..], [0x7f, 0x49, 0]);
    }

    #[test]
    fn truncated_elements_are_refused() {
        let whole = element(0x7c, &[&element(0x82, &[&[7; 0x90]])]);
        assert_eq!(
            within(&whole, &[0x7c, 0x82], "it").ok(),
            Some(&[7; 0x90][..])
        );
        for cut in 0..whole.len() {
            assert!(within(&whole[..cut], &[0x7c, 0x82], "it").is_err(), "{cut}");
        }
        // Indefinite and over-long length forms have no place in PIV.
        assert_eq!(first(&[0x7c, 0x80, 0, 0]), None);
        assert_eq!(first(&[0x7c, 0x83, 0, 0, 1, 9]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in prop_oneof![Just(0x53_u16), Just(0x7f49)], value: Vec<u8>, more: Vec<u8>) {
            let mut bytes = element(tag, &[&value]).to_vec();
            bytes.extend_from_slice(&more);
            prop_assert_eq!(first(&bytes), Some((tag, &value[..], &more[..])));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, tag: u16) {
            let _ = find(&bytes, tag);
        }
    }
}
