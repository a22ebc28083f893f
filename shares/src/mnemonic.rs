//! One share as text: the words, and the fields that they carry (SLIP-0039, "Format of the share mnemonic").
//!
//! Four words of header, the value filled up with zero bits at its front, three words of checksum. `FORMAT.md` beside
//! this crate's sources draws it.

use crate::error::Error;
use crate::rs1024::{self, CHECKSUM_WORDS};
use crate::secret::{SECRET_MAX_BYTES, SECRET_MIN_BYTES};
use crate::shamir::{Bytes, zeros};
use crate::words::{LONGEST, WORDS, word_index};
use zeroize::Zeroizing;

const BITS_A_WORD: usize = 10;
const HEADER_WORDS: usize = 4;
const LEAST_WORDS: usize = words_for(SECRET_MIN_BYTES);
const MOST_WORDS: usize = words_for(SECRET_MAX_BYTES);
/// A share that could stand for a shorter value as well is refused (SLIP-0039, "Combining the shares").
const MOST_PADDING_BITS: usize = 8;

/// Words of a share of a value of so many bytes.
const fn words_for(bytes: usize) -> usize {
    HEADER_WORDS + (8 * bytes).div_ceil(BITS_A_WORD) + CHECKSUM_WORDS
}

/// One share's words: lower case, in full, with single spaces, without a newline.
///
/// Its memory is wiped when it is dropped. It cannot be printed, cloned or compared with `==`:
///
/// ```compile_fail,E0277
/// # fn show(share: twotap_shares::Mnemonic) {
/// println!("{share:?}");
/// # }
/// ```
///
/// ```compile_fail,E0277
/// # fn show(share: twotap_shares::Mnemonic) {
/// println!("{share}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn show(share: twotap_shares::Mnemonic) {
/// let copy = share.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn show(share: twotap_shares::Mnemonic) {
/// assert!(share == share);
/// # }
/// ```
pub struct Mnemonic {
    text: Zeroizing<String>,
    share: ShareInfo,
    value: Bytes,
}

/// What a share says of itself beside its value. None of it is secret, but all of it tells which set it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareInfo {
    /// 15 random bits, the same in all shares of a set.
    pub identifier: u16,
    /// Whether the identifier stays out of the encryption, so that further sets of the same secret can be made.
    pub extendable: bool,
    /// PBKDF2's iterations are 10,000 times 2 to this power (0 to 15).
    pub iteration_exponent: u8,
    /// This share's group, from 0.
    pub group_index: u8,
    /// How many groups are needed.
    pub group_threshold: u8,
    /// How many groups there are.
    pub group_count: u8,
    /// This share's place in its group, from 0.
    pub member_index: u8,
    /// How many shares of this group are needed.
    pub member_threshold: u8,
}

impl Mnemonic {
    /// Reads a share as somebody typed it: words in any case, each in full or by its first four letters or more, with
    /// any white space around them.
    ///
    /// # Errors
    /// [`Error::UnknownWord`], [`Error::Length`], [`Error::Checksum`], [`Error::GroupThresholdAboveCount`],
    /// [`Error::GroupIndex`] or [`Error::Padding`], the first that applies in this order.
    pub fn parse(typed: &str) -> Result<Mnemonic, Error> {
        let words = read_words(typed)?;
        let bits = BITS_A_WORD * words.len().saturating_sub(HEADER_WORDS + CHECKSUM_WORDS);
        let padding = bits % 16;
        if !(LEAST_WORDS..=MOST_WORDS).contains(&words.len()) || padding > MOST_PADDING_BITS {
            return Err(Error::Length { words: words.len() });
        }
        if rs1024::residue(&words) != 0 {
            return Err(Error::Checksum {
                suspect: rs1024::locate(&words).map(|place| place + 1),
            });
        }
        let share = ShareInfo::from_words([words[0], words[1], words[2], words[3]])?;
        let value = read_value(&words[HEADER_WORDS..words.len() - CHECKSUM_WORDS], padding)?;
        Ok(Mnemonic {
            text: write_text(&words),
            share,
            value,
        })
    }

    /// Writes a share of a value whose length and fields were checked before.
    pub(crate) fn encode(share: ShareInfo, value: Bytes) -> Mnemonic {
        let mut words = Zeroizing::new(Vec::with_capacity(words_for(value.len())));
        words.extend(share.to_words());
        write_value(&value, &mut words);
        let checksum = rs1024::checksum(&words, share.extendable);
        words.extend(checksum);
        Mnemonic {
            text: write_text(&words),
            share,
            value,
        }
    }

    /// The words themselves.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// How many words there are: 20 for 128 bits, 33 for 256 bits, 59 for 512 bits.
    pub fn word_count(&self) -> usize {
        words_for(self.value.len())
    }

    /// What the share says of itself.
    pub fn share(&self) -> ShareInfo {
        self.share
    }

    /// The share's value: as many bytes as the secret has.
    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }
}

impl ShareInfo {
    /// 15 bits identifier, 1 bit flag, 4 bits exponent; then five fields of 4 bits, thresholds and counts less one.
    fn to_words(self) -> [u16; HEADER_WORDS] {
        let set = u32::from(self.identifier) << 5
            | u32::from(self.extendable) << 4
            | u32::from(self.iteration_exponent);
        let place = [
            self.group_index,
            self.group_threshold - 1,
            self.group_count - 1,
            self.member_index,
            self.member_threshold - 1,
        ];
        let place = place
            .iter()
            .fold(0, |bits, &field| bits << 4 | u32::from(field));
        [set >> 10, set, place >> 10, place].map(|bits| bits as u16 & 1023)
    }

    fn from_words(words: [u16; HEADER_WORDS]) -> Result<ShareInfo, Error> {
        let [a, b, c, d] = words.map(u32::from);
        let set = a << 10 | b;
        let place = c << 10 | d;
        let field = |shift: u32| (place >> shift & 15) as u8;
        let share = ShareInfo {
            identifier: (set >> 5) as u16,
            extendable: set >> 4 & 1 == 1,
            iteration_exponent: (set & 15) as u8,
            group_index: field(16),
            group_threshold: field(12) + 1,
            group_count: field(8) + 1,
            member_index: field(4),
            member_threshold: field(0) + 1,
        };
        if share.group_threshold > share.group_count {
            return Err(Error::GroupThresholdAboveCount);
        }
        if share.group_index >= share.group_count {
            return Err(Error::GroupIndex);
        }
        Ok(share)
    }
}

/// Looks each word up. Sized before, so that no copy is left where a buffer grew.
fn read_words(typed: &str) -> Result<Zeroizing<Vec<u16>>, Error> {
    let count = typed.split_whitespace().count();
    let mut words = Zeroizing::new(Vec::with_capacity(count));
    for (place, word) in typed.split_whitespace().enumerate() {
        words.push(word_index(word).ok_or(Error::UnknownWord {
            position: place + 1,
        })?);
    }
    Ok(words)
}

fn write_text(words: &[u16]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(words.len() * (LONGEST + 1)));
    for (place, &word) in words.iter().enumerate() {
        if place > 0 {
            text.push(' ');
        }
        text.push_str(WORDS[usize::from(word)]);
    }
    text
}

/// The bytes behind the first `padding` bits, which must be zero.
fn read_value(words: &[u16], padding: usize) -> Result<Bytes, Error> {
    let mut value = zeros((BITS_A_WORD * words.len() - padding) / 8);
    let mut bits = 0u32;
    // The padding comes first: count it as bits that fill no byte.
    let mut held = 0;
    let mut skip = padding;
    let mut to = value.iter_mut();
    for &word in words {
        bits = bits << BITS_A_WORD | u32::from(word);
        held += BITS_A_WORD;
        if skip > 0 {
            held -= skip;
            skip = 0;
            if bits >> held != 0 {
                return Err(Error::Padding);
            }
        }
        while held >= 8 {
            held -= 8;
            if let Some(byte) = to.next() {
                *byte = (bits >> held) as u8;
            }
        }
        bits &= (1 << held) - 1;
    }
    Ok(value)
}

/// The opposite: appends the value's words.
fn write_value(value: &[u8], words: &mut Vec<u16>) {
    let mut bits = 0u32;
    let mut held = (8 * value.len()).next_multiple_of(BITS_A_WORD) - 8 * value.len();
    for &byte in value {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        if held >= BITS_A_WORD {
            held -= BITS_A_WORD;
            words.push((bits >> held) as u16 & 1023);
            bits &= (1 << held) - 1;
        }
    }
}

#[cfg(test)]
mod tests;
