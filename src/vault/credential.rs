//! The credential in a vault: exactly what `aws iam create-access-key` prints.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::VaultError;
use crate::trust::access_key::Parts;

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

impl AccessKey {
    /// A key from its parts, as the API returns them. `create_date` is an ISO 8601 time, e.g. `2026-01-06T10:00:00+00:00`.
    pub fn new(
        user_name: &str,
        id: &str,
        secret: Zeroizing<String>,
        create_date: &str,
    ) -> Result<Self, VaultError> {
        Parts::new(user_name, id, &secret, create_date).map_err(VaultError::credential)?;
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
        let parts = Parts::read(json).map_err(VaultError::credential)?;
        Ok(Self {
            user_name: parts.user_name.to_owned(),
            id: parts.access_key_id.to_owned(),
            secret: Zeroizing::new(parts.secret_access_key.to_owned()),
            create_date: parts.create_date.to_owned(),
        })
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

#[cfg(test)]
mod tests;
