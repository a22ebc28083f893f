//! What AWS says when it refuses, taken apart: which action, on what, and by whose word.
//!
//! Source: IAM User Guide, 'Troubleshoot access denied error messages'; the wrappings are those of the AWS CLI, boto3 and the SDKs.

use regex_lite::Regex;

/// The longest text that is looked at, in bytes: its end.
pub const MAX_TEXT: usize = 64 * 1024;

/// What a program's output says about its calls to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An action was refused.
    Refused(Refused),
    /// The session's time is over.
    Expired,
    /// AWS does not know the credentials, or takes them no more.
    Unknown,
    /// The clock of this machine is too far from AWS's, or the signature is wrong.
    Clock,
}

/// A refused action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `service:Action`; where AWS did not say, as far as the operation's name tells (`None` where it does not).
    pub action: Option<String>,
    /// The operation that the client called, e.g. `ListObjectsV2`.
    pub operation: Option<String>,
    /// ARN.
    pub resource: Option<String>,
    /// ARN of who was refused.
    pub principal: Option<String>,
    /// By whose word.
    pub because: Because,
}

/// By whose word an action was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The session's own policy does not allow it.
    SessionSilent,
    /// The session's own policy denies it: its time is over, or it takes another role.
    SessionDenies,
    /// The role's policies do not allow it.
    RoleSilent,
    /// The role's policies deny it: the session was revoked, or its role is kept from it.
    RoleDenies,
    /// The role's permissions boundary does not allow it, or denies it.
    Boundary,
    /// The organisation's policies do not allow it, or deny it.
    Organisation,
    /// The resource's own policy does not allow it, or denies it.
    Resource,
    /// AWS did not say.
    Unsaid,
}

/// S3's and other operations whose action has another name (Service Authorization Reference).
const OTHERWISE: [(&str, &str); 9] = [
    ("ListObjectsV2", "s3:ListBucket"),
    ("ListObjects", "s3:ListBucket"),
    ("HeadBucket", "s3:ListBucket"),
    ("ListBuckets", "s3:ListAllMyBuckets"),
    ("HeadObject", "s3:GetObject"),
    ("GetObject", "s3:GetObject"),
    ("PutObject", "s3:PutObject"),
    ("CopyObject", "s3:PutObject"),
    ("DeleteObjects", "s3:DeleteObject"),
];

/// Reads what a program printed; the last refusal in it counts. `None` where AWS refused nothing in it.
pub fn read(text: &str) -> Option<Said> {
    let mut start = text.len().saturating_sub(MAX_TEXT);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let text = &text[start..];
    let spoken = spoken(text);
    let refused = spoken.or_else(|| wrapped(text));
    match refused {
        Some((at, refused)) if last(text, ENDED).is_none_or(|ended| ended < at) => {
            Some(Said::Refused(refused))
        }
        _ => kind(text),
    }
}

const ENDED: &str = r"ExpiredToken|RequestExpired|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignature|RequestTimeTooSkewed";

/// The sentence that AWS says itself, with where it begins.
fn spoken(text: &str) -> Option<(usize, Refused)> {
    let regex = Regex::new(concat!(
        r"(?:User:\s+(?P<who>arn:\S+)\s+)?is\s+not\s+authorized\s+to\s+perform:\s+",
        r"(?P<action>[A-Za-z0-9-]+:[A-Za-z0-9]+)",
        "(?:\\s+on\\s+resource:\\s+\"?(?P<resource>[^\\s\"<]+))?",
        "\"?(?P<why>\\s+(?:because\\s+no|with\\s+an\\s+explicit\\s+deny\\s+in)\\s+[a-z -]+)?",
    ))
    .ok()?;
    let found = regex.captures_iter(text).last()?;
    let group = |name: &str| found.name(name).map(|m| m.as_str().to_owned());
    let resource = group("resource").map(|r| r.trim_end_matches(['.', ',', ';']).to_owned());
    Some((
        found.get(0)?.start(),
        Refused {
            action: group("action"),
            operation: operation(text).map(|(_, o)| o),
            resource: resource.filter(|r| r.starts_with("arn:")),
            principal: group("who"),
            because: group("why").map_or(Because::Unsaid, |why| because(&why)),
        },
    ))
}

/// What only the client says: an error's code, and which operation it called.
fn wrapped(text: &str) -> Option<(usize, Refused)> {
    let codes = r"AccessDenied|UnauthorizedOperation|AuthorizationError|UnauthorizedAccess|AccessForbidden|\(403\)";
    let at = last(text, codes)?;
    let operation = operation(text).map(|(_, operation)| operation);
    let ec2 = last(text, "UnauthorizedOperation").is_some();
    let action = operation.as_ref().and_then(|name| {
        let known = OTHERWISE.iter().find(|(operation, _)| operation == name);
        known
            .map(|(_, action)| (*action).to_owned())
            .or_else(|| ec2.then(|| format!("ec2:{name}")))
    });
    Some((
        at,
        Refused {
            action,
            operation,
            resource: None,
            principal: None,
            because: Because::Unsaid,
        },
    ))
}

fn operation(text: &str) -> Option<(usize, String)> {
    let regex = Regex::new(r"when\s+calling\s+the\s+([A-Za-z0-9]+)\s+operation").ok()?;
    let found = regex.captures_iter(text).last()?;
    Some((found.get(0)?.start(), found.get(1)?.as_str().to_owned()))
}

fn because(why: &str) -> Because {
    let denies = why.contains("explicit");
    let has = |what: &str| why.contains(what);
    match () {
        () if has("session policy") && denies => Because::SessionDenies,
        () if has("session policy") => Because::SessionSilent,
        () if has("permissions boundary") => Because::Boundary,
        () if has("service control") || has("resource control") => Because::Organisation,
        () if has("identity-based") && denies => Because::RoleDenies,
        () if has("identity-based") => Because::RoleSilent,
        () if has("resource-based") || has("endpoint") => Because::Resource,
        () => Because::Unsaid,
    }
}

/// The other ends that a session's calls come to.
fn kind(text: &str) -> Option<Said> {
    let kinds = [
        ("ExpiredToken|RequestExpired", Said::Expired),
        (
            "InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId",
            Said::Unknown,
        ),
        (
            "SignatureDoesNotMatch|InvalidSignature|RequestTimeTooSkewed",
            Said::Clock,
        ),
    ];
    let found = kinds
        .into_iter()
        .filter_map(|(codes, said)| Some((last(text, codes)?, said)));
    found.max_by_key(|(at, _)| *at).map(|(_, said)| said)
}

/// Where the last match of `pattern` begins.
fn last(text: &str, pattern: &str) -> Option<usize> {
    Regex::new(pattern)
        .ok()?
        .find_iter(text)
        .last()
        .map(|m| m.start())
}

#[cfg(test)]
mod tests;
