//! STS's limits on names, tags and sizes, checked when a request is made and not at 3 a.m.
//!
//! Source: AWS STS API Reference, `AssumeRole`, request parameters; IAM User Guide, 'Passing session tags'.
//! Tag values may hold any letter by the reference; ASCII alone is taken here, because
//! the same value stands in policies, names and logs, where two spellings of one letter would differ.

use std::fmt;

pub use crate::trust::power::render::SESSION_POLICY_MAX;
/// The shortest session that STS gives, in seconds.
pub const DURATION_MIN: u32 = 900;
/// The longest session that STS gives, in seconds (less where the role's maximum is less).
pub const DURATION_MAX: u32 = 43_200;
/// The most session tags.
pub const TAGS_MAX: usize = 50;

/// Why STS would not take a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitError {
    /// Too short or too long.
    Length {
        /// What it is, e.g. `session name`.
        what: &'static str,
        /// Characters it has.
        has: usize,
        /// The fewest allowed.
        min: usize,
        /// The most allowed.
        max: usize,
    },
    /// A character that is not allowed there.
    Character {
        /// What it is.
        what: &'static str,
        /// The first such character.
        found: char,
        /// What is allowed beside letters and digits.
        allowed: &'static str,
    },
    /// Begins with `aws:`, which is AWS's own.
    Reserved(&'static str),
    /// A duration outside of 900 to 43,200 seconds.
    Duration(u32),
    /// More tags than 50, or a key twice.
    Tags(&'static str),
    /// A transitive key without a tag of that name.
    Transitive(String),
    /// The ARN names no role.
    NotARole(String),
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::Length {
                what,
                has,
                min,
                max,
            } => {
                write!(
                    f,
                    "the {what} has {has} characters; aws takes {min} to {max}"
                )
            }
            LimitError::Character { what, found, .. } => {
                write!(
                    f,
                    "the {what} holds {found:?}, which aws does not take there"
                )
            }
            LimitError::Reserved(what) => {
                write!(f, "the {what} begins with aws:, which is reserved")
            }
            LimitError::Duration(seconds) => {
                write!(
                    f,
                    "a session of {seconds} s is not between {DURATION_MIN} and {DURATION_MAX} s"
                )
            }
            LimitError::Tags(why) => write!(f, "the session tags cannot be used: {why}"),
            LimitError::Transitive(key) => {
                write!(f, "the transitive tag {key:?} is not among the tags")
            }
            LimitError::NotARole(arn) => write!(f, "{arn} is not an iam role"),
        }
    }
}

impl std::error::Error for LimitError {}

impl LimitError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            LimitError::Character { allowed, .. } => {
                Some(format!("ascii letters, digits and {allowed} are taken"))
            }
            LimitError::NotARole(_) => Some(
                "a role's arn looks like arn:aws:iam::123456789012:role/twotap/op-admin".into(),
            ),
            _ => None,
        }
    }
}

const NAME: &str = "_ + = , . @ -";
const TAG: &str = "space _ . : / = + - @";
const EXTERNAL: &str = "_ + = , . @ : / -";

fn check(
    what: &'static str,
    text: &str,
    (min, max): (usize, usize),
    allowed: &'static str,
) -> Result<(), LimitError> {
    let known = |c: char| {
        c.is_ascii_alphanumeric()
            || allowed
                .split(' ')
                .any(|word| word == c.encode_utf8(&mut [0; 4]))
            || (c == ' ' && allowed.starts_with("space"))
    };
    if let Some(found) = text.chars().find(|&c| !known(c)) {
        return Err(LimitError::Character {
            what,
            found,
            allowed,
        });
    }
    if !(min..=max).contains(&text.len()) {
        return Err(LimitError::Length {
            what,
            has: text.len(),
            min,
            max,
        });
    }
    Ok(())
}

/// `RoleSessionName`: 2 to 64 of letters, digits and `_+=,.@-`.
pub fn check_session_name(name: &str) -> Result<(), LimitError> {
    check("session name", name, (2, 64), NAME)
}

/// `SourceIdentity`: 2 to 64 of letters, digits and `_+=,.@-` (a colon is not among them, so neither is `aws:`).
pub fn check_source_identity(identity: &str) -> Result<(), LimitError> {
    check("source identity", identity, (2, 64), NAME)
}

/// A tag's key: 1 to 128 of letters, digits, space and `_.:/=+-@`, not beginning with `aws:` in any case.
pub fn check_tag_key(key: &str) -> Result<(), LimitError> {
    check("tag key", key, (1, 128), TAG)?;
    match key.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("aws:") => Err(LimitError::Reserved("tag key")),
        _ => Ok(()),
    }
}

/// A tag's value: 0 to 256 of letters, digits, space and `_.:/=+-@`.
pub fn check_tag_value(value: &str) -> Result<(), LimitError> {
    check("tag value", value, (0, 256), TAG)
}

/// `ExternalId`: 2 to 1,224 of letters, digits and `_+=,.@:/-`.
pub fn check_external_id(id: &str) -> Result<(), LimitError> {
    check("external id", id, (2, 1224), EXTERNAL)
}

/// `DurationSeconds`: 900 to 43,200.
pub fn check_duration(seconds: u32) -> Result<(), LimitError> {
    if (DURATION_MIN..=DURATION_MAX).contains(&seconds) {
        Ok(())
    } else {
        Err(LimitError::Duration(seconds))
    }
}

/// `Policy`: 1 to 2,048 characters, each a tab, a line end or U+0020 to U+00FF.
/// AWS has a second, packed limit that only its answer tells (`PackedPolicySize`).
pub fn check_session_policy(policy: &str) -> Result<(), LimitError> {
    let what = "session policy";
    if let Some(found) = policy
        .chars()
        .find(|&c| !matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}'))
    {
        let allowed = "the printable characters up to U+00FF";
        return Err(LimitError::Character {
            what,
            found,
            allowed,
        });
    }
    match policy.chars().count() {
        1..=SESSION_POLICY_MAX => Ok(()),
        has => Err(LimitError::Length {
            what,
            has,
            min: 1,
            max: SESSION_POLICY_MAX,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_sts_takes() {
        for good in ["r-2345abcdefghi", "dana@example.com", "a,b", "x_+=,.@-"] {
            assert_eq!(check_session_name(good), Ok(()), "{good}");
            assert_eq!(check_source_identity(good), Ok(()), "{good}");
        }
        assert_eq!(check_tag_value(""), Ok(()));
        assert_eq!(check_tag_value("INC 42: a/b"), Ok(()));
        assert_eq!(check_external_id("vault:prod/1"), Ok(()));
    }

    #[test]
    fn names_that_sts_refuses() {
        let wrong = |found| LimitError::Character {
            what: "session name",
            found,
            allowed: NAME,
        };
        assert_eq!(check_session_name("a b"), Err(wrong(' ')));
        assert_eq!(check_session_name("aws:x"), Err(wrong(':')));
        assert_eq!(check_session_name("dän"), Err(wrong('ä')));
        assert!(matches!(
            check_session_name("a"),
            Err(LimitError::Length { has: 1, .. })
        ));
        assert!(matches!(
            check_session_name(&"a".repeat(65)),
            Err(LimitError::Length { .. })
        ));
        assert!(matches!(
            check_tag_value("INC#42"),
            Err(LimitError::Character {
                what: "tag value",
                found: '#',
                ..
            })
        ));
        assert_eq!(check_tag_key("AWS:x"), Err(LimitError::Reserved("tag key")));
        assert!(check_tag_key("").is_err());
        assert!(check_duration(899).is_err() && check_duration(43_201).is_err());
        assert!(check_session_policy("").is_err());
        assert!(check_session_policy("\u{100}").is_err());
        assert!(check_session_policy(&"é".repeat(2048)).is_ok());
        assert!(check_session_policy(&"é".repeat(2049)).is_err());
    }

    proptest! {
        /// The checks agree with the patterns of the API reference.
        #[test]
        fn names_match_the_pattern(name in "\\PC{0,70}|[A-Za-z0-9_+=,.@-]{0,70}") {
            let by_pattern = (2..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
            prop_assert_eq!(check_session_name(&name).is_ok(), by_pattern);
        }
    }
}
