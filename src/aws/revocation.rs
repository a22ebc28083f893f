//! Closing one session: an inline policy on its role that denies everything to one session tag.
//!
//! One policy a request, under a name of its own: writing a shared one would be read-modify-write without a
//! check, and of two closings one would be undone. The expiry stands in the name, so that any later
//! worker can prune what has ended without reading the policies.

use time::OffsetDateTime;

use super::policy::PolicyError;

/// The session tag's key. Its value is the request's id.
pub const TAG_KEY: &str = "twotap";

const PREFIX: &str = "twotap-revoke-";

/// The inline policy that closes one request's sessions: 152 characters.
///
/// # Errors
/// [`PolicyError::RequestId`] when the id is not `r-` and 13 letters or digits.
pub fn revocation_policy(request_id: &str) -> Result<String, PolicyError> {
    check_id(request_id)?;
    Ok(format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"StringEquals":{{"aws:PrincipalTag/{TAG_KEY}":"{request_id}"}}}}}}}}"#
    ))
}

/// The policy's name: `twotap-revoke-<id>-<unix expiry>`.
/// The expiry is when the session it denies would have ended by itself, rounded up to whole seconds.
///
/// # Errors
/// [`PolicyError::RequestId`] as above, and when the expiry lies before 1970.
pub fn revocation_name(request_id: &str, expiry: OffsetDateTime) -> Result<String, PolicyError> {
    check_id(request_id)?;
    let seconds = expiry.unix_timestamp() + i64::from(expiry.nanosecond() > 0);
    if seconds < 0 {
        return Err(PolicyError::RequestId);
    }
    Ok(format!("{PREFIX}{request_id}-{seconds}"))
}

/// Request id and expiry out of such a name; `None` for any other policy's name.
pub fn parse_revocation_name(name: &str) -> Option<(String, OffsetDateTime)> {
    let (id, seconds) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    check_id(id).ok()?;
    // Only the one spelling that `revocation_name` writes.
    let canonical = seconds.bytes().all(|b| b.is_ascii_digit())
        && (seconds == "0" || !seconds.starts_with('0'));
    let seconds: i64 = canonical.then(|| seconds.parse().ok())??;
    Some((
        id.to_owned(),
        OffsetDateTime::from_unix_timestamp(seconds).ok()?,
    ))
}

/// `r-` and 13 of base32, whatever its alphabet.
fn check_id(id: &str) -> Result<(), PolicyError> {
    let good = id
        .strip_prefix("r-")
        .is_some_and(|rest| rest.len() == 13 && rest.bytes().all(|b| b.is_ascii_alphanumeric()));
    if good {
        Ok(())
    } else {
        Err(PolicyError::RequestId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn the_policy_is_small_and_exact() {
        let policy = revocation_policy("r-2345abcdefghi").unwrap();
        assert_eq!(
            policy,
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/twotap":"r-2345abcdefghi"}}}}"#
        );
        assert!(policy.len() <= 160, "{}", policy.len());
        serde_json::from_str::<serde_json::Value>(&policy).unwrap();
    }

    #[test]
    fn an_id_cannot_carry_a_wildcard_or_a_quote() {
        for bad in [
            "",
            "r-*",
            "r-?",
            "r-\"",
            "R-1",
            "r 1",
            "${aws:username}",
            &"r".repeat(65),
        ] {
            assert_eq!(revocation_policy(bad), Err(PolicyError::RequestId), "{bad}");
            assert!(
                revocation_name(bad, datetime!(2026-11-22 0:00 UTC)).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        for other in [
            "",
            "twotap-revoke-",
            "twotap-revoke-r-2345abcdefghi",
            "twotap-revoke-r-2345abcdefghi-",
            "twotap-revoke-r-2345abcdefghi-007",
            "twotap-revoke-r-2345abcdefghi-+7",
            "twotap-revoke-r-2345abcdefghi-99999999999999999999",
            "twotap-revoke--5",
            "xtwotap-revoke-r-2345abcdefghi-5",
            "twotap-revoke-R-2345abcdefghi-5",
        ] {
            assert_eq!(parse_revocation_name(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back(id in "r-[A-Za-z0-9]{13}", seconds in 0i64..253_402_300_799, nanos in 0i64..1_000_000_000) {
            let expiry = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let name = revocation_name(&id, expiry + time::Duration::nanoseconds(nanos.min(1))).unwrap();
            prop_assert!(name.len() <= 128);
            let (found, until) = parse_revocation_name(&name).unwrap();
            prop_assert_eq!(found, id);
            prop_assert!(until >= expiry && until <= expiry + time::Duration::seconds(1));
        }
    }
}
