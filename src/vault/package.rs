//! A custodian's answer: the share, bound to the request and the manifest that it was released for, sealed to the worker.

use serde::Deserialize;
use twotap_shares::Mnemonic;
use zeroize::Zeroizing;

use super::{OneTime, VaultError, credential::concat, seal_to};
use crate::trust::{Digest, request::ShareBinding};

const WHAT: &str = "the custodian's answer";
/// Two digests and at most 59 words.
const MAX_PACKAGE: usize = 1024;

/// The plaintext, one line of JSON, as borrowed text: nothing is copied while it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package<'a> {
    request_sha256: &'a str,
    manifest_sha256: &'a str,
    share: &'a str,
}

/// Seals a share to the worker's one-time key (`age1...`), for one request alone.
pub fn seal_share(
    recipient: &str,
    binding: &ShareBinding,
    share: &Mnemonic,
) -> Result<Vec<u8>, VaultError> {
    seal_to(recipient, &to_json(binding, share))
}

/// Opens a custodian's answer and checks that it was released for `expected`.
///
/// # Errors
/// [`VaultError::OtherRequest`] when it was released for another request or manifest, [`VaultError::Shares`] when the words are no share;
/// none of them quotes the share.
pub fn open_share(
    key: &OneTime,
    file: &[u8],
    expected: &ShareBinding,
) -> Result<Mnemonic, VaultError> {
    from_json(&key.open(file)?, expected)
}

fn to_json(binding: &ShareBinding, share: &Mnemonic) -> Zeroizing<Vec<u8>> {
    concat(&[
        "{\"request_sha256\":\"",
        &binding.request_sha256.to_string(),
        "\",\"manifest_sha256\":\"",
        &binding.manifest_sha256.to_string(),
        "\",\"share\":\"",
        share.expose(),
        "\"}\n",
    ])
}

fn from_json(json: &[u8], expected: &ShareBinding) -> Result<Mnemonic, VaultError> {
    // An escape would be undone in a buffer that nobody wipes; digests and words have none.
    if json.len() > MAX_PACKAGE || json.contains(&b'\\') {
        return Err(VaultError::malformed(
            WHAT,
            "it is not a share with its two digests",
        ));
    }
    // The parser's own words may quote the input.
    let package: Package<'_> = serde_json::from_slice(json)
        .map_err(|why| VaultError::malformed(WHAT, format!("column {}", why.column())))?;
    let names = |text: &str, digest: Digest| Digest::parse(text) == Some(digest);
    if !names(package.request_sha256, expected.request_sha256) {
        return Err(VaultError::OtherRequest { what: "request" });
    }
    if !names(package.manifest_sha256, expected.manifest_sha256) {
        return Err(VaultError::OtherRequest { what: "manifest" });
    }
    Ok(Mnemonic::parse(package.share)?)
}

#[cfg(test)]
mod tests;
