//! The credential in a vault: exactly what `aws iam create-access-key` prints.

use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::VaultError;

/// The largest credential that is read, in bytes.
pub const MAX_CREDENTIAL: usize = 4096;

/// A long-term access key of an IAM user. It cannot be printed, cloned or compared with `==`.
///
/// ```compile_fail,E0277
/// # fn show(key: twotap::vault::AccessKey) {
/// println!("{key:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(key: twotap::vault::AccessKey) {
/// let copy = key.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(key: twotap::vault::AccessKey) {
/// assert!(key == key);
/// # }
/// ```
pub struct AccessKey {
    user_name: String,
    id: String,
    secret: Zeroizing<String>,
    create_date: String,
}

/// The document as borrowed text: strings that would need a buffer of their own (escapes) are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(rename = "AccessKey", borrow)]
    access_key: Fields<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Fields<'a> {
    user_name: &'a str,
    access_key_id: &'a str,
    status: &'a str,
    secret_access_key: &'a str,
    create_date: &'a str,
}

impl AccessKey {
    /// A key from its parts, as the API returns them. `create_date` is an ISO 8601 time, e.g. `2026-01-06T10:00:00+00:00`.
    pub fn new(
        user_name: &str,
        id: &str,
        secret: Zeroizing<String>,
        create_date: &str,
    ) -> Result<Self, VaultError> {
        check("UserName", user_name, 1..=64, |b| {
            b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)
        })?;
        check("AccessKeyId", id, 16..=128, |b| b.is_ascii_alphanumeric())?;
        // AWS's are 40 characters of base64; anything that JSON need not escape is taken.
        check("SecretAccessKey", &secret, 16..=256, |b| {
            b.is_ascii_graphic() && !b"\"\\".contains(&b)
        })?;
        check("CreateDate", create_date, 10..=40, |b| {
            b.is_ascii_alphanumeric() || b"+-:.".contains(&b)
        })?;
        Ok(Self {
            user_name: user_name.to_owned(),
            id: id.to_owned(),
            secret,
            create_date: create_date.to_owned(),
        })
    }

    /// Reads the JSON document: its five fields in any order and layout, each once, no other, status `Active`.
    ///
    /// # Errors
    /// [`VaultError::Credential`]; it names a place or a field, never what stands there.
    pub fn parse(json: &[u8]) -> Result<Self, VaultError> {
        if json.len() > MAX_CREDENTIAL {
            return Err(VaultError::credential("it is over 4 KiB"));
        }
        // A string with an escape would be unescaped into a buffer that nobody wipes. AWS's values have none.
        if json.contains(&b'\\') {
            return Err(VaultError::credential("it has a backslash in it"));
        }
        // The parser's own words may quote the input.
        let document: Document<'_> = serde_json::from_slice(json).map_err(|why| {
            VaultError::credential(format!("line {}, column {}", why.line(), why.column()))
        })?;
        let fields = document.access_key;
        if fields.status != "Active" {
            return Err(VaultError::credential("its Status is not Active"));
        }
        Self::new(
            fields.user_name,
            fields.access_key_id,
            Zeroizing::new(fields.secret_access_key.to_owned()),
            fields.create_date,
        )
    }

    /// The key's id (`AKIA...`); not secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose key it is.
    pub fn user_name(&self) -> &str {
        &self.user_name
    }

    /// When AWS made it, as AWS wrote it.
    pub fn create_date(&self) -> &str {
        &self.create_date
    }

    /// The secret half.
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }

    /// The document that goes into `vault.age`, laid out as the AWS CLI does; the same bytes for the same key.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Every value was checked to need no escape.
        concat(&[
            "{\n    \"AccessKey\": {\n        \"UserName\": \"",
            &self.user_name,
            "\",\n        \"AccessKeyId\": \"",
            &self.id,
            "\",\n        \"Status\": \"Active\",\n        \"SecretAccessKey\": \"",
            &self.secret,
            "\",\n        \"CreateDate\": \"",
            &self.create_date,
            "\"\n    }\n}\n",
        ])
    }
}

/// Comparison whose time depends on the lengths alone.
impl ConstantTimeEq for AccessKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.to_json().as_slice().ct_eq(other.to_json().as_slice())
    }
}

/// The parts one after another, in one buffer that never grew.
pub(super) fn concat(parts: &[&str]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(parts.iter().map(|p| p.len()).sum()));
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out
}

fn check(
    field: &str,
    value: &str,
    length: std::ops::RangeInclusive<usize>,
    allowed: impl Fn(u8) -> bool,
) -> Result<(), VaultError> {
    if length.contains(&value.len()) && value.bytes().all(allowed) {
        Ok(())
    } else {
        Err(VaultError::credential(format!(
            "{field} must have {} to {} of the characters that AWS uses",
            length.start(),
            length.end()
        )))
    }
}

#[cfg(test)]
mod tests;
