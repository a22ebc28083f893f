//! Amazon Resource Names, as far as ceremonies need them: roles and users with their paths.
//!
//! Source: IAM User Guide, 'IAM identifiers'.

use std::fmt;

/// `arn:partition:service:region:account:resource`, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arn {
    text: String,
    /// Where each of the first five parts ends (the colon's place).
    colons: [usize; 5],
}

impl Arn {
    /// Reads an ARN: six parts, printable ASCII, at most 2,048 characters; partition and
    /// service are there, the account is 12 digits or absent, the resource is there.
    pub fn parse(text: &str) -> Result<Arn, ArnError> {
        let bad = |why| ArnError {
            text: text.chars().filter(|c| !c.is_control()).take(120).collect(),
            why,
        };
        if text.len() > 2048 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad("it is not 1 to 2,048 printable ascii characters"));
        }
        let mut colons = [0; 5];
        let mut from = 0;
        for place in &mut colons {
            let next = text[from..]
                .find(':')
                .ok_or_else(|| bad("it needs six parts divided by colons"))?;
            *place = from + next;
            from = *place + 1;
        }
        let arn = Arn {
            text: text.to_owned(),
            colons,
        };
        let label = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if &text[..colons[0]] != "arn" {
            return Err(bad("it does not begin with arn"));
        }
        if !label(arn.partition()) || !label(arn.service()) {
            return Err(bad("its partition or service is no name"));
        }
        if !arn.region().is_empty() && !label(arn.region()) {
            return Err(bad("its region is no name"));
        }
        let account = arn.account();
        let digits = account.bytes().all(|b| b.is_ascii_digit());
        if !(account.is_empty() || (account.len() == 12 && digits)) {
            return Err(bad("its account is not 12 digits"));
        }
        if arn.resource().is_empty() {
            return Err(bad("it names no resource"));
        }
        Ok(arn)
    }

    fn part(&self, index: usize) -> &str {
        &self.text[self.colons[index - 1] + 1..self.colons[index]]
    }

    /// `aws`, `aws-us-gov`, `aws-cn` and so on.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// `iam`, `sts` and so on.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The Region; empty for IAM.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account's 12 digits; empty for some services.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// All after the fifth colon, e.g. `role/twotap/op-admin`.
    pub fn resource(&self) -> &str {
        &self.text[self.colons[4] + 1..]
    }

    /// The ARN as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Path and name, if this is an IAM role.
    pub fn role(&self) -> Option<Named<'_>> {
        self.named("role")
    }

    /// Path and name, if this is an IAM user.
    pub fn user(&self) -> Option<Named<'_>> {
        self.named("user")
    }

    fn named(&self, kind: &str) -> Option<Named<'_>> {
        if self.service() != "iam" || self.account().is_empty() || !self.region().is_empty() {
            return None;
        }
        let rest = self.resource().strip_prefix(kind)?;
        let (path, name) = rest.split_at(rest.rfind('/')? + 1);
        let good = (1..=64).contains(&name.len())
            && rest.starts_with('/')
            && path.len() <= 512
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
        good.then_some(Named { path, name })
    }
}

/// An IAM thing's path (`/`, `/twotap/`) and name (1 to 64 characters of `A-Za-z0-9_+=,.@-`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Begins and ends with `/`.
    pub path: &'a str,
    /// What the IAM API calls `RoleName` or `UserName`.
    pub name: &'a str,
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is not an ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnError {
    text: String,
    why: &'static str,
}

impl fmt::Display for ArnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an arn: {}", self.text, self.why)
    }
}

impl std::error::Error for ArnError {}

impl ArnError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some("a role's arn looks like arn:aws:iam::123456789012:role/twotap/op-admin".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_role_with_a_path() {
        let arn = Arn::parse("arn:aws-us-gov:iam::123456789012:role/twotap/x/op-admin").unwrap();
        assert_eq!(
            (arn.partition(), arn.account()),
            ("aws-us-gov", "123456789012")
        );
        assert_eq!(
            arn.role(),
            Some(Named {
                path: "/twotap/x/",
                name: "op-admin"
            })
        );
        assert_eq!(arn.user(), None);
        let plain = Arn::parse("arn:aws:iam::123456789012:user/break-glass").unwrap();
        assert_eq!(
            plain.user(),
            Some(Named {
                path: "/",
                name: "break-glass"
            })
        );
    }

    #[test]
    fn resources_may_hold_colons() {
        let arn = Arn::parse("arn:aws:secretsmanager:eu-west-1:123456789012:secret:db/main-AbCdEf")
            .unwrap();
        assert_eq!(arn.resource(), "secret:db/main-AbCdEf");
        assert_eq!(arn.role(), None);
    }

    #[test]
    fn what_is_no_arn() {
        for bad in [
            "",
            "arn",
            "arn:aws:iam::123456789012",
            "urn:aws:iam::123456789012:role/x",
            "arn:aws:iam::12345:role/x",
            "arn:aws:iam::123456789012:",
            "arn::iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/x\n",
            "arn:aws:iam::123456789012:role/ä",
        ] {
            assert!(Arn::parse(bad).is_err(), "{bad}");
        }
        for not_a_role in [
            "role",
            "role/",
            "roles/x",
            "role/a b",
            "role/*",
            "assumed-role/x/y",
        ] {
            if let Ok(arn) = Arn::parse(&format!("arn:aws:iam::123456789012:{not_a_role}")) {
                assert_eq!(arn.role(), None, "{not_a_role}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_the_text(text in "\\PC{0,80}|arn:[a-z:/0-9*-]{0,60}") {
            if let Ok(arn) = Arn::parse(&text) {
                prop_assert_eq!(arn.as_str(), text.as_str());
                let joined = format!("arn:{}:{}:{}:{}:{}", arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource());
                prop_assert_eq!(joined, text);
                let _ = (arn.role(), arn.user());
            }
        }
    }
}
