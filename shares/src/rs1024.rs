//! RS1024, the checksum in a share's last three words: a Reed-Solomon code over GF(1024) (SLIP-0039, "Checksum").
//!
//! Any three wrong words are found for certain. One wrong word is also located: its residue points at one place only.
//! Locating is all that is done; putting the "right" word there would turn a misread share into a wrong one that
//! passes (BIP-0173 says the same of its own code).

/// Words of the checksum.
pub(crate) const CHECKSUM_WORDS: usize = 3;

/// The word (counted from 0) that carries the extendable flag, and the flag's bit in it.
const FLAG_WORD: usize = 1;
const FLAG_BIT: u16 = 1 << 4;

/// The generator polynomial's multiples by the ten powers of two.
const GENERATOR: [u32; 10] = [
    0x00e0_e040,
    0x01c1_c080,
    0x0383_8100,
    0x0707_0200,
    0x0e0e_0009,
    0x1c0c_2412,
    0x3808_6c24,
    0x3090_fc48,
    0x21b1_f890,
    0x03f3_f120,
];

/// The three checksum words for a share's other words.
pub(crate) fn checksum(words: &[u16], extendable: bool) -> [u16; CHECKSUM_WORDS] {
    let state = words
        .iter()
        .chain(&[0; CHECKSUM_WORDS])
        .fold(start(extendable), |state, &word| step(state, word));
    [20, 10, 0].map(|shift| ((state ^ 1) >> shift) as u16 & 1023)
}

/// Zero if the words, checksum included, belong together.
///
/// Which customization string applies is read from the words themselves.
pub(crate) fn residue(words: &[u16]) -> u32 {
    residue_as(words, has_flag(words))
}

/// The place (from 0) of the one word that is wrong, if one wrong word explains the residue and only one can.
pub(crate) fn locate(words: &[u16]) -> Option<usize> {
    let flag = has_flag(words);
    let same = residue_as(words, flag);
    let other = residue_as(words, !flag);
    // What each of the ten bits of the word at `place` adds to the residue.
    let mut bits: [u32; 10] = std::array::from_fn(|bit| 1 << bit);
    let mut found = None;
    for place in (0..words.len()).rev() {
        // A wrong word that carries the flag may have had the checksum judged by the wrong customization string.
        let explained = match place {
            FLAG_WORD => {
                error_at(&bits, same).is_some_and(|error| error & FLAG_BIT == 0)
                    || error_at(&bits, other).is_some_and(|error| error & FLAG_BIT != 0)
            }
            _ => error_at(&bits, same).is_some(),
        };
        if explained && found.replace(place).is_some() {
            return None;
        }
        bits = bits.map(|bit| step(bit, 0));
    }
    found
}

/// The difference of words that, at the place described by `bits`, leaves `residue`.
fn error_at(bits: &[u32; 10], residue: u32) -> Option<u16> {
    // Gray code: each step flips one bit, so one addition a candidate.
    let mut sum = 0;
    let mut error = 0u16;
    for count in 1..1024u16 {
        let flip = count.trailing_zeros() as usize;
        sum ^= bits[flip];
        error ^= 1 << flip;
        if sum == residue {
            return Some(error);
        }
    }
    None
}

fn has_flag(words: &[u16]) -> bool {
    words
        .get(FLAG_WORD)
        .is_some_and(|word| word & FLAG_BIT != 0)
}

fn residue_as(words: &[u16], extendable: bool) -> u32 {
    words
        .iter()
        .fold(start(extendable), |state, &word| step(state, word))
        ^ 1
}

/// The state after the customization string, which keeps the two kinds of share apart.
fn start(extendable: bool) -> u32 {
    let customization: &[u8] = match extendable {
        true => b"shamir_extendable",
        false => b"shamir",
    };
    customization
        .iter()
        .fold(1, |state, &letter| step(state, letter.into()))
}

/// One word more. Without branches: the words are the share.
fn step(state: u32, word: u16) -> u32 {
    let top = state >> 20;
    let shifted = (state & 0xf_ffff) << 10 ^ u32::from(word);
    (0..10).fold(shifted, |sum, bit| {
        sum ^ GENERATOR[bit] & (top >> bit & 1).wrapping_neg()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Words of the longest share (512 bits). What a word at a place does to the residue differs between lengths by
    /// one invertible map for all places alike, so what is distinct at this length is distinct at all shorter ones.
    const MOST_WORDS: usize = 59;

    fn share(extendable: bool) -> Vec<u16> {
        let mut words: Vec<u16> = (0..MOST_WORDS as u32 - 3)
            .map(|i| (i * 389 + 77) as u16 & 1023)
            .collect();
        words[FLAG_WORD] = words[FLAG_WORD] & !FLAG_BIT | if extendable { FLAG_BIT } else { 0 };
        let sum = checksum(&words, extendable);
        words.extend(sum);
        words
    }

    #[test]
    fn every_single_wrong_word_is_refused_and_has_a_residue_of_its_own() {
        for extendable in [false, true] {
            let good = share(extendable);
            assert_eq!(residue(&good), 0);
            let mut seen: HashMap<(bool, u32), usize> = HashMap::new();
            for place in 0..good.len() {
                for error in 1..1024 {
                    let mut words = good.clone();
                    words[place] ^= error;
                    let residue = residue(&words);
                    assert_ne!(residue, 0, "word {place} by {error}");
                    let earlier = seen.insert((has_flag(&words), residue), place);
                    assert_eq!(earlier, None, "word {place} by {error} looks like another");
                }
            }
            assert_eq!(seen.len(), MOST_WORDS * 1023);
        }
    }

    #[test]
    fn one_wrong_word_is_located_wherever_it_stands() {
        for extendable in [false, true] {
            let good = share(extendable);
            for place in 0..good.len() {
                for error in [1, 16, 31, 512, 1023] {
                    let mut words = good.clone();
                    words[place] ^= error;
                    assert_eq!(locate(&words), Some(place), "by {error}");
                }
            }
        }
    }

    #[test]
    fn two_wrong_words_are_never_taken_for_one() {
        let good = share(true);
        for first in 2..good.len() {
            for second in first + 1..good.len() {
                let mut words = good.clone();
                words[first] ^= 1 + first as u16;
                words[second] ^= 700;
                assert_ne!(residue(&words), 0);
                assert_eq!(locate(&words), None, "words {first} and {second}");
            }
        }
    }

    #[test]
    fn swapped_neighbours_are_refused_even_where_the_flag_moves() {
        // Only the difference of the two words matters, and whether the flag changes with it: try all of them.
        for extendable in [false, true] {
            let good = share(extendable);
            for place in 0..good.len() - 1 {
                for difference in 1..1024 {
                    let mut words = good.clone();
                    words[place] ^= difference;
                    words[place + 1] ^= difference;
                    assert_ne!(
                        residue(&words),
                        0,
                        "words {place} and the next by {difference}"
                    );
                }
            }
        }
    }
}
