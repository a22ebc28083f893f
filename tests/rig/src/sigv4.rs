//! AWS Signature Version 4, the header form, written from AWS's description of it
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>), so that the rig
//! asks the emulator with a signature that the SDK under test had no hand in.

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::client::Credentials;

/// What is signed: a request of one of AWS's services whose path is `/` and that has no query string.
pub(crate) struct Signable<'a> {
    pub(crate) host: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// The headers that carry the signature: name and value.
pub(crate) fn sign(
    request: &Signable<'_>,
    key: &Credentials,
    now: OffsetDateTime,
) -> Vec<(&'static str, String)> {
    let stamp = now
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))
        .expect("a date of this century can be written");
    let day = &stamp[..8];
    // In the order in which the standard wants them: by name.
    let mut headers = vec![
        ("content-type", request.content_type.to_owned()),
        ("host", request.host.to_owned()),
        ("x-amz-date", stamp.clone()),
    ];
    if let Some(token) = &key.session_token {
        headers.push(("x-amz-security-token", token.clone()));
    }
    if let Some(target) = request.target {
        headers.push(("x-amz-target", target.to_owned()));
    }
    let canonical: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let names = headers
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let canonical = format!("POST\n/\n\n{canonical}\n{names}\n{}", digest(request.body));
    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
        digest(canonical.as_bytes())
    );

    let mut signing_key = format!("AWS4{}", key.secret_access_key).into_bytes();
    for part in [day, request.region, request.service, "aws4_request"] {
        signing_key = mac(&signing_key, part);
    }
    let signature = HEXLOWER.encode(&mac(&signing_key, &to_sign));
    headers.push((
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            key.access_key_id
        ),
    ));
    headers
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
