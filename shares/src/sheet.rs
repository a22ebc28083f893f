//! Sheets: one page of paper a share, made to be printed, folded, and found in a safe ten years later.
//!
//! A sheet says in plain words what it is and what to do with it; it carries the words, the same words as a QR code, and the
//! whole procedure that opens the vault with other people's tools. The same input makes the same file, byte for byte. The file is
//! PDF/A-2b (ISO 19005-2), checked by the library that writes it.

mod draw;
mod fonts;
mod page;
mod text;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Error, Group, Mnemonic, Scheme};

/// Seven lines that turn the 64 hexadecimal digits that `shamir recover` prints into an age identity. Python 3, nothing else.
pub const AGE_KEY_PY: &str = include_str!("sheet/age_key.py");

/// The recipient of the public set in `demo/`, whose shares everybody has: nothing may be sealed to it.
pub const DEMO_RECIPIENT: &str = "age15jgk274uttvetxs0j00dc55rlt53pxjrsndadqwzlwf99vs0cvdstky8hd";

/// What all sheets of a set have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The vault that the shares open.
    pub vault: String,
    /// The recovery recipient, `age1...`.
    pub recipient: String,
    /// Key id of the key that a quorum of the sheets can sign with: SHA-256 of its SPKI, in lower-case hexadecimal.
    pub signer: String,
    /// The day on which the set was made: year, month, day.
    pub made: (u16, u8, u8),
    /// The groups and how many of each are needed.
    pub scheme: Scheme,
    /// The groups' names, in the scheme's order; empty where there is one group without a name.
    pub names: Vec<String>,
    /// Whether a passphrase is needed besides the words.
    pub passphrase: bool,
    /// Whether this is the public set that anybody may print: `DEMO` stands across it.
    pub demo: bool,
}

/// The paper that is in the printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// 210 by 297 mm (ISO 216).
    A4,
    /// 8.5 by 11 inches (ANSI A).
    Letter,
}

/// Why there is no sheet.
#[derive(Debug, PartialEq, Eq)]
pub enum SheetError {
    /// The share is not one of the set: another group, threshold or count.
    NotOfTheSet,
    /// The set makes no sense: see the scheme's own rules, or there are not as many names as groups.
    Set(Option<Error>),
    /// The text has characters that the sheet's typefaces lack, or does not fit its line.
    Text(&'static str),
    /// The writer refused: PDF/A-2b's rules are not met. Never seen; a fault in here.
    Pdf,
}

impl fmt::Display for SheetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOfTheSet => f.write_str("the share is not one of this set"),
            Self::Set(Some(why)) => write!(f, "the set makes no sense: {why}"),
            Self::Set(None) => f.write_str("each group needs a name where there is more than one"),
            Self::Text(what) => write!(f, "the {what} cannot be printed on a sheet"),
            Self::Pdf => f.write_str("the sheet could not be drawn"),
        }
    }
}

impl std::error::Error for SheetError {}

impl Set {
    /// 16 hexadecimal digits in groups of four that are on every sheet of a set and on no other: the beginning of
    /// SHA-256 over recipient, newline, signer. Who changes either in a record changes what stands on the sheets.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.recipient, &self.signer)
    }

    /// The group that a share belongs to.
    fn group_of(&self, share: &Mnemonic) -> Result<(usize, &Group), SheetError> {
        self.scheme
            .check()
            .map_err(|why| SheetError::Set(Some(why)))?;
        let several = self.scheme.groups.len() > 1;
        if self.names.len() != self.scheme.groups.len() && (several || !self.names.is_empty()) {
            return Err(SheetError::Set(None));
        }
        let info = share.share();
        let index = usize::from(info.group_index);
        let group = self
            .scheme
            .groups
            .get(index)
            .ok_or(SheetError::NotOfTheSet)?;
        let belongs = usize::from(info.group_count) == self.scheme.groups.len()
            && info.group_threshold == self.scheme.group_threshold
            && info.member_threshold == group.threshold
            && info.member_index < group.count;
        if belongs {
            Ok((index, group))
        } else {
            Err(SheetError::NotOfTheSet)
        }
    }
}

/// The fingerprint of the set with this recovery recipient and this signer; see [`Set::fingerprint`].
pub fn fingerprint(recipient: &str, signer: &str) -> String {
    let digest = Sha256::digest(format!("{recipient}\n{signer}").as_bytes());
    let hex = data_encoding::HEXUPPER.encode(&digest[..8]);
    [&hex[..4], &hex[4..8], &hex[8..12], &hex[12..]].join(" ")
}

/// What the QR code holds: the words in upper case, single spaces between them (QR's alphanumeric mode).
pub fn qr_text(share: &Mnemonic) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(share.expose().to_ascii_uppercase())
}

/// Draws one share's sheet: a PDF of one page. The bytes hold the share; they are wiped when dropped.
///
/// # Errors
/// [`SheetError`]; nothing is drawn in part.
pub fn draw(
    set: &Set,
    share: &Mnemonic,
    paper: Paper,
) -> Result<zeroize::Zeroizing<Vec<u8>>, SheetError> {
    let (index, group) = set.group_of(share)?;
    page::draw(set, index, group, share, paper)
}

#[cfg(test)]
mod tests;
