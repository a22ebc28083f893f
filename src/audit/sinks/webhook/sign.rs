//! The Standard Webhooks scheme: HMAC-SHA-256 over `ID.SECONDS.BODY`, in the header `webhook-signature` as `v1,BASE64`.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, 'Symmetric'.

use data_encoding::BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// How many may stand in the file: the one that counts, and the one that it replaces.
const MOST: usize = 2;

/// The secrets that a receiver may know us by; no Debug, no Clone.
pub(super) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    /// Nothing is signed.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// One to two lines `whsec_BASE64` of 24 to 64 bytes each.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let secrets = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(secret)
            .collect::<Option<Vec<_>>>()
            .ok_or("a secret is whsec_ and 24 to 64 bytes in base64")?;
        match secrets.len() {
            1..=MOST => Ok(Self(secrets)),
            0 => Err("it is empty"),
            _ => Err("it holds more than the secret and the one that it replaces"),
        }
    }

    /// The headers of one try: what it is, when, and one signature a secret.
    pub(super) fn headers(
        &self,
        id: &str,
        seconds: i64,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
        ];
        let signatures: Vec<String> = self
            .0
            .iter()
            .filter_map(|secret| signature(secret, id, seconds, body))
            .collect();
        if !signatures.is_empty() {
            headers.push(("webhook-signature", signatures.join(" ")));
        }
        headers
    }
}

fn secret(line: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = line.strip_prefix(PREFIX)?.as_bytes();
    // Sized once, so that growing leaves no copy in freed memory.
    let mut bytes = Zeroizing::new(vec![0; BASE64.decode_len(text.len()).ok()?]);
    let n = BASE64.decode_mut(text, &mut bytes).ok()?;
    bytes.truncate(n);
    (24..=64).contains(&n).then_some(bytes)
}

/// HMAC takes a key of any length, so there is always one.
fn signature(secret: &[u8], id: &str, seconds: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    Some(format!(
        "v1,{}",
        BASE64.encode(&mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the scheme's libraries test themselves with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn it_signs_as_the_scheme_says() {
        let headers = Secrets::parse(SECRET)
            .unwrap()
            .headers(ID, 1_614_265_330, BODY);
        assert_eq!(
            headers,
            [
                ("webhook-id", ID.to_owned()),
                ("webhook-timestamp", "1614265330".to_owned()),
                (
                    "webhook-signature",
                    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let other = format!("{PREFIX}{}", BASE64.encode(&[7; 32]));
        let both = Secrets::parse(&format!("{other}\n{SECRET}\n")).unwrap();
        let header = both.headers(ID, 1_614_265_330, BODY).pop().unwrap().1;
        let (first, second) = header.split_once(' ').unwrap();
        assert!(first.starts_with("v1,") && first != second);
        assert_eq!(second, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let short = format!("{PREFIX}{}", BASE64.encode(&[7; 23]));
        let long = format!("{PREFIX}{}", BASE64.encode(&[7; 65]));
        let three = [SECRET; 3].join("\n");
        for bad in [
            "",
            "\n",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_*",
            &short,
            &long,
            &three,
        ] {
            assert!(Secrets::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_a_secret_nothing_looks_signed() {
        let headers = Secrets::none().headers(ID, 0, BODY);
        assert!(headers.iter().all(|(name, _)| *name != "webhook-signature"));
    }
}
