//! A long-term access key as `aws iam create-access-key` prints it: the one form in which a key comes to us, in a vault and in a file.
//!
//! What is read stays where it stands: nothing of it is copied, unescaped or quoted.

use std::{fmt, ops::RangeInclusive};

use serde::Deserialize;

/// The largest document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 4096;

/// What is wrong with a document or a part of a key, in plain words. It names a place or a field, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAccessKey(String);

impl NoAccessKey {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for NoAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAccessKey {}

/// The parts of a key, as borrowed text. It cannot be printed or compared, and lives no longer than what it was read from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Parts<'a> {
    /// Whose key it is.
    pub user_name: &'a str,
    /// Its id (`AKIA...`); not secret.
    pub access_key_id: &'a str,
    /// `Active`, or it is no key to go by.
    status: &'a str,
    /// The secret half.
    pub secret_access_key: &'a str,
    /// When AWS made it, an ISO 8601 time, e.g. `2026-01-06T10:00:00+00:00`.
    pub create_date: &'a str,
}

/// A string with an escape would need a buffer of its own, which nobody wipes: it cannot be borrowed, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(rename = "AccessKey", borrow)]
    access_key: Parts<'a>,
}

impl<'a> Parts<'a> {
    /// The parts of an active key, as the API returns them.
    ///
    /// # Errors
    /// [`NoAccessKey`], where one is not of the characters and the length that AWS's are.
    pub fn new(
        user_name: &'a str,
        access_key_id: &'a str,
        secret_access_key: &'a str,
        create_date: &'a str,
    ) -> Result<Self, NoAccessKey> {
        Self {
            user_name,
            access_key_id,
            status: "Active",
            secret_access_key,
            create_date,
        }
        .checked()
    }

    /// Reads the JSON document: its five fields in any order and layout, each once, no other, status `Active`.
    ///
    /// # Errors
    /// [`NoAccessKey`].
    pub fn read(json: &'a [u8]) -> Result<Self, NoAccessKey> {
        Self::document(json)?.checked()
    }

    /// The same where only the key itself is asked for: whose it is and since when may be anything, as in a file that was written by hand.
    ///
    /// # Errors
    /// [`NoAccessKey`].
    pub fn read_key(json: &'a [u8]) -> Result<Self, NoAccessKey> {
        Self::document(json)?.key_checked()
    }

    fn document(json: &'a [u8]) -> Result<Self, NoAccessKey> {
        if json.len() > MAX_DOCUMENT {
            return Err(NoAccessKey::new("it is over 4 KiB"));
        }
        // AWS's values have none.
        if json.contains(&b'\\') {
            return Err(NoAccessKey::new("it has a backslash in it"));
        }
        // The parser's own words may quote the input.
        let document: Result<Document<'a>, _> = serde_json::from_slice(json);
        let document = document.map_err(|why| {
            NoAccessKey::new(format!("line {}, column {}", why.line(), why.column()))
        })?;
        Ok(document.access_key)
    }

    fn checked(self) -> Result<Self, NoAccessKey> {
        check("UserName", self.user_name, 1..=64, |b| {
            b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)
        })?;
        check("CreateDate", self.create_date, 10..=40, |b| {
            b.is_ascii_alphanumeric() || b"+-:.".contains(&b)
        })?;
        self.key_checked()
    }

    fn key_checked(self) -> Result<Self, NoAccessKey> {
        if self.status != "Active" {
            return Err(NoAccessKey::new("its Status is not Active"));
        }
        check("AccessKeyId", self.access_key_id, 16..=128, |b| {
            b.is_ascii_alphanumeric()
        })?;
        // AWS's are 40 characters of base64; anything that JSON need not escape is taken.
        check("SecretAccessKey", self.secret_access_key, 16..=256, |b| {
            b.is_ascii_graphic() && !b"\"\\".contains(&b)
        })?;
        Ok(self)
    }
}

fn check(
    field: &str,
    value: &str,
    length: RangeInclusive<usize>,
    allowed: impl Fn(u8) -> bool,
) -> Result<(), NoAccessKey> {
    match length.contains(&value.len()) && value.bytes().all(allowed) {
        true => Ok(()),
        false => Err(NoAccessKey::new(format!(
            "{field} must have {} to {} of the characters that AWS uses",
            length.start(),
            length.end()
        ))),
    }
}
