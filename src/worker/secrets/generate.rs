//! New values: drawn uniformly, with at least one character of each class.

use std::collections::BTreeSet;

use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::trust::roster::{CharacterClass, Setter};

/// The characters of a class; none of them means anything to a shell, a URL or SQL that quotes.
fn characters(class: CharacterClass) -> &'static [u8] {
    match class {
        CharacterClass::Lower => b"abcdefghijklmnopqrstuvwxyz",
        CharacterClass::Upper => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        CharacterClass::Digits => b"0123456789",
        CharacterClass::Symbols => b"-_.~+=@%",
    }
}

/// A new value as the roster wants it. Every text of this length that has each class is equally likely: a draw without one of them
/// is thrown away whole, because putting the missing one in would favour some texts.
pub(super) fn value(setter: &Setter) -> Zeroizing<String> {
    value_from(setter, &mut || {
        let mut byte = [0];
        OsRng.fill_bytes(&mut byte);
        byte[0]
    })
}

fn value_from(setter: &Setter, byte: &mut impl FnMut() -> u8) -> Zeroizing<String> {
    let classes: BTreeSet<CharacterClass> = setter.classes.iter().copied().collect();
    let alphabet: Vec<u8> = classes
        .iter()
        .flat_map(|class| characters(*class))
        .copied()
        .collect();
    // At its full size from the beginning: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::from(setter.length)));
    loop {
        text.clear();
        for _ in 0..setter.length {
            text.push(char::from(draw(&alphabet, byte)));
        }
        let has = |class: &CharacterClass| text.bytes().any(|b| characters(*class).contains(&b));
        if classes.iter().all(has) {
            return text;
        }
    }
}

/// One of these characters, each as likely as the others: bytes past the last whole multiple of their number are drawn again.
fn draw(alphabet: &[u8], byte: &mut impl FnMut() -> u8) -> u8 {
    let whole = 256 - 256 % alphabet.len();
    loop {
        let drawn = usize::from(byte());
        if drawn < whole {
            return alphabet[drawn % alphabet.len()];
        }
    }
}

/// A version's id: a UUID of version 4 (RFC 9562), which AWS takes as `ClientRequestToken`.
pub(super) fn version() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setter(length: u16, classes: &[CharacterClass]) -> Setter {
        Setter {
            name: "postgresql".to_owned(),
            role_arn: String::new(),
            field: None,
            length,
            classes: classes.to_vec(),
        }
    }

    const ALL: [CharacterClass; 4] = [
        CharacterClass::Lower,
        CharacterClass::Upper,
        CharacterClass::Digits,
        CharacterClass::Symbols,
    ];

    #[test]
    fn a_value_has_its_length_and_each_class_and_nothing_else() {
        for classes in [&ALL[..], &ALL[..1], &ALL[2..], &[ALL[2], ALL[2]]] {
            for length in [16, 32, 128] {
                let value = value(&setter(length, classes));
                assert_eq!(value.len(), usize::from(length));
                let of = |b: u8| ALL.iter().find(|c| characters(**c).contains(&b));
                assert!(
                    value
                        .bytes()
                        .all(|b| classes.contains(of(b).expect("known")))
                );
                for class in classes {
                    assert!(value.bytes().any(|b| of(b) == Some(class)), "{class:?}");
                }
            }
        }
        assert_ne!(*value(&setter(16, &ALL)), *value(&setter(16, &ALL)));
    }

    /// Each byte comes once: with rejection every digit comes 25 times, by a bare remainder the first six would come 26 times.
    #[test]
    fn each_character_is_as_likely_as_the_others() {
        let mut bytes = (0..=255_u8).cycle();
        let mut counts = [0; 256];
        for _ in 0..250 {
            let drawn = draw(characters(CharacterClass::Digits), &mut || {
                bytes.next().unwrap_or_default()
            });
            counts[usize::from(drawn)] += 1;
        }
        assert!(
            characters(CharacterClass::Digits)
                .iter()
                .all(|c| counts[usize::from(*c)] == 25)
        );
    }

    #[test]
    fn a_draw_without_a_class_is_thrown_away_whole() {
        // 16 times 'a', then one lower letter more and 15 digits: the first draw lacks a digit.
        let mut bytes = [0; 16].into_iter().chain([1]).chain([26; 15]);
        let value = value_from(
            &setter(16, &[CharacterClass::Lower, CharacterClass::Digits]),
            &mut || bytes.next().expect("two draws"),
        );
        assert_eq!(value.as_str(), "b000000000000000");
    }

    #[test]
    fn a_version_is_a_random_uuid() {
        let (one, two) = (version(), version());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
