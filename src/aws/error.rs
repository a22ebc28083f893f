//! What can go wrong between us and AWS, told apart by what it means for the caller.
//!
//! The question that rotation asks is 'may it have happened?': [`AwsError::may_have_acted`].

use std::error::Error as StdError;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use time::OffsetDateTime;

use super::endpoints::{ConfigError, Target};
use super::http::Seen;
use super::limits::LimitError;

/// Codes by which AWS says 'slower'. Source: the SDKs' shared retry specification.
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Codes that are about who asks, and come with 400 as well as with 401 and 403.
const AUTH: [&str; 14] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// Codes that a wrong clock brings. Their messages quote the signed request back, token included.
const SIGNATURE: [&str; 7] = [
    "AuthFailure",
    "IncompleteSignature",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Whether a code is a complaint about speed.
pub(crate) fn is_throttling(code: &str) -> bool {
    THROTTLING.contains(&code)
}

/// Whether a code can be the work of a wrong clock.
pub(crate) fn is_signature(code: &str) -> bool {
    SIGNATURE.contains(&code)
}

/// What AWS (or something in its place) answered, when the answer was not the one wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The call, e.g. `sts:AssumeRole`.
    pub operation: &'static str,
    /// The Region that was asked.
    pub region: String,
    /// The HTTP status.
    pub status: u16,
    /// AWS's error code, where there was one.
    pub code: Option<String>,
    /// AWS's words, one line, at most 400 characters, without anything signed.
    pub message: String,
    /// AWS's request id.
    pub request_id: Option<String>,
    /// AWS's clock, from the `Date` header.
    pub date: Option<OffsetDateTime>,
}

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsError {
    /// Refused before anything was sent: how AWS is to be reached.
    Config(ConfigError),
    /// Refused before anything was sent: a value that AWS would not take.
    Limit(LimitError),
    /// No connection: surely nothing happened.
    Unreachable {
        /// The call.
        operation: &'static str,
        /// Host and port.
        host: String,
        /// Why, in a few words.
        why: String,
    },
    /// The request went out and no whole answer came: it may have happened.
    Lost {
        /// The call.
        operation: &'static str,
        /// Host and port.
        host: String,
        /// Why, in a few words.
        why: String,
    },
    /// AWS asks for fewer calls. Nothing happened.
    Throttled(Box<Reply>),
    /// AWS does not let these credentials do this. Nothing happened.
    Refused(Box<Reply>),
    /// AWS does not take the request as it is (names, limits, things that do not exist). Nothing happened.
    Invalid(Box<Reply>),
    /// AWS failed inside (5xx). It may have happened.
    Server(Box<Reply>),
    /// The answer is not one that AWS gives. After a status of 2xx it may have happened.
    Malformed(Box<Reply>),
}

impl AwsError {
    /// AWS's error code, where it gave one.
    pub fn code(&self) -> Option<&str> {
        self.reply().and_then(|reply| reply.code.as_deref())
    }

    /// AWS's request id, where an answer came.
    pub fn request_id(&self) -> Option<&str> {
        self.reply().and_then(|reply| reply.request_id.as_deref())
    }

    /// The answer, where one came.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            AwsError::Throttled(reply)
            | AwsError::Refused(reply)
            | AwsError::Invalid(reply)
            | AwsError::Server(reply)
            | AwsError::Malformed(reply) => Some(reply),
            AwsError::Config(_)
            | AwsError::Limit(_)
            | AwsError::Unreachable { .. }
            | AwsError::Lost { .. } => None,
        }
    }

    /// Whether the call may have had its effect although no result is known.
    /// After this, look before acting again.
    pub fn may_have_acted(&self) -> bool {
        matches!(
            self,
            AwsError::Lost { .. } | AwsError::Server(_) | AwsError::Malformed(_)
        )
    }

    /// Whether the same call may go through a little later, or at another endpoint.
    pub fn is_transient(&self) -> bool {
        match self {
            AwsError::Unreachable { .. }
            | AwsError::Lost { .. }
            | AwsError::Throttled(_)
            | AwsError::Server(_)
            | AwsError::Malformed(_) => true,
            AwsError::Config(_)
            | AwsError::Limit(_)
            | AwsError::Refused(_)
            | AwsError::Invalid(_) => false,
        }
    }

    /// Whether the thing named does not exist (IAM's `NoSuchEntity`).
    pub fn is_no_such_entity(&self) -> bool {
        self.code() == Some("NoSuchEntity")
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            AwsError::Config(error) => return error.hint(),
            AwsError::Limit(error) => return error.hint(),
            AwsError::Unreachable { .. } => {
                "check the network, the names and the trusted certificates of this host, or name another region"
            }
            AwsError::Lost { .. } | AwsError::Server(_) => {
                "it may have been done: look at the state in aws before doing it again"
            }
            AwsError::Throttled(_) => "wait a minute and try again",
            AwsError::Malformed(_) => {
                "something between this host and aws answers in its place (a proxy?)"
            }
            AwsError::Refused(reply) | AwsError::Invalid(reply) => {
                return code_hint(reply.code.as_deref()?).map(Into::into);
            }
        };
        Some(hint.into())
    }
}

/// What to do about AWS's own codes, where something sensible can be said.
fn code_hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "the access key is deleted, inactive or only seconds old, or the region is not enabled for the account"
        }
        "ExpiredToken" | "ExpiredTokenException" => "the session has ended: ask for a new one",
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            "compare the policies of the caller, the role's trust policy and the permissions boundary with the ones shipped"
        }
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => "set this host's clock",
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "AuthFailure"
        | "IncompleteSignature" => {
            "the secret does not belong to the access key, or this host's clock is wrong"
        }
        "RegionDisabledException" => {
            "enable sts for this region in the account, or name another region"
        }
        "LimitExceeded" => {
            "a quota is used up; for access keys it is two a user: delete the one that is not sealed"
        }
        "NoSuchEntity" => "check the name; a thing just made may take seconds to be known",
        "PackedPolicyTooLarge" => "shorten the session policy or the tags",
        "MalformedPolicyDocument" => "the policy is not one that iam takes: check its template",
        "EntityTemporarilyUnmodifiable" | "ConcurrentModification" => "try again in some seconds",
        _ => return None,
    })
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AwsError::Config(error) => error.fmt(f),
            AwsError::Limit(error) => error.fmt(f),
            AwsError::Unreachable {
                operation,
                host,
                why,
            } => {
                write!(f, "{operation}: {host} could not be reached: {why}")
            }
            AwsError::Lost {
                operation,
                host,
                why,
            } => {
                write!(f, "{operation}: no whole answer came from {host}: {why}")
            }
            AwsError::Throttled(reply) => write!(f, "{} asks for fewer calls", Said(reply)),
            AwsError::Refused(reply) => write!(f, "{} refused{}", Said(reply), Words(reply)),
            AwsError::Invalid(reply) => {
                write!(
                    f,
                    "{} did not take the request{}",
                    Said(reply),
                    Words(reply)
                )
            }
            AwsError::Server(reply) => {
                write!(
                    f,
                    "{} failed with status {}{}",
                    Said(reply),
                    reply.status,
                    Words(reply)
                )
            }
            AwsError::Malformed(reply) => {
                write!(
                    f,
                    "{} gave an answer that is none{}",
                    Said(reply),
                    Words(reply)
                )
            }
        }
    }
}

/// `sts:AssumeRole: aws in eu-west-1`.
struct Said<'a>(&'a Reply);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: aws in {}", self.0.operation, self.0.region)
    }
}

/// `: code: message`, as far as there is any.
struct Words<'a>(&'a Reply);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.0.code {
            write!(f, ": {code}")?;
        }
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        Ok(())
    }
}

impl StdError for AwsError {}

impl From<ConfigError> for AwsError {
    fn from(error: ConfigError) -> Self {
        AwsError::Config(error)
    }
}

impl From<LimitError> for AwsError {
    fn from(error: LimitError) -> Self {
        AwsError::Limit(error)
    }
}

/// An SDK's error in our classes.
pub(crate) fn classify<E>(
    operation: &'static str,
    target: &Target,
    error: &SdkError<E, HttpResponse>,
    seen: &Seen,
) -> AwsError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let lost = |why: String| AwsError::Lost {
        operation,
        host: target.host().to_owned(),
        why,
    };
    match error {
        // Nothing was sent: the request could not be built or signed.
        SdkError::ConstructionFailure(_) => AwsError::Config(ConfigError::Client),
        // The connection has its own, shorter bound, so this one ran out later.
        SdkError::TimeoutError(_) => lost("timed out".into()),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) => transport(operation, target, connector),
            None => lost("the connection failed".into()),
        },
        SdkError::ResponseError(response) if cut_off(error) => lost(format!(
            "the answer with status {} broke off",
            response.raw().status().as_u16()
        )),
        SdkError::ResponseError(response) => answered(
            operation,
            target,
            response.raw().status().as_u16(),
            None,
            "",
            seen,
        ),
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let status = service.raw().status().as_u16();
            let mut reply = answered(
                operation,
                target,
                status,
                meta.code(),
                meta.message().unwrap_or_default(),
                seen,
            );
            if let (Some(reply), Some(id)) = (reply.reply_mut(), meta.extra("aws_request_id")) {
                reply.request_id.get_or_insert_with(|| one_line(id, 100));
            }
            reply
        }
        _ => lost("unknown".into()),
    }
}

impl AwsError {
    fn reply_mut(&mut self) -> Option<&mut Reply> {
        match self {
            AwsError::Throttled(reply)
            | AwsError::Refused(reply)
            | AwsError::Invalid(reply)
            | AwsError::Server(reply)
            | AwsError::Malformed(reply) => Some(reply),
            _ => None,
        }
    }
}

/// Whether an answer that could not be read was cut off (rather than strange).
fn cut_off(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|e| e.is::<hyper::Error>() || e.is::<std::io::Error>())
}

/// A failure of the connection: before it stood, or after.
pub(crate) fn transport(
    operation: &'static str,
    target: &Target,
    error: &(dyn StdError + 'static),
) -> AwsError {
    let host = target.host().to_owned();
    // Only the connecting step marks its errors so; everything later counts as sent.
    let connecting = chain(error)
        .filter_map(|e| e.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect);
    let why = chain(error).last().map(words).unwrap_or_default();
    if connecting {
        AwsError::Unreachable {
            operation,
            host,
            why,
        }
    } else {
        AwsError::Lost {
            operation,
            host,
            why,
        }
    }
}

/// What the innermost error says: 'connection refused', 'invalid peer certificate: UnknownIssuer'.
fn words(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<std::io::Error>() {
        // Bare errors of the system's: without the number.
        Some(io) if io.raw_os_error().is_some() => io.kind().to_string(),
        _ => one_line(&error.to_string(), 160),
    }
}

/// The error and what it was caused by, outermost first. An `io::Error` hides its payload from
/// `source()`, so it is asked for it.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&e| match e.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => e.source(),
    })
}

/// An answer that was not the one wanted, in its class.
pub(crate) fn answered(
    operation: &'static str,
    target: &Target,
    status: u16,
    code: Option<&str>,
    message: &str,
    seen: &Seen,
) -> AwsError {
    let reply = Box::new(Reply {
        operation,
        region: target.region.clone(),
        status,
        code: code.map(|code| one_line(code, 100)),
        message: match code {
            Some(code) if is_signature(code) => String::new(),
            _ => one_line(message, 400),
        },
        request_id: seen.request_id.clone(),
        date: seen.date,
    });
    match (status, code) {
        (429, _) => AwsError::Throttled(reply),
        (_, Some(code)) if is_throttling(code) => AwsError::Throttled(reply),
        (500.., _) => AwsError::Server(reply),
        (_, None) | (..=399, _) => AwsError::Malformed(reply),
        (401 | 403, _) => AwsError::Refused(reply),
        (_, Some(code)) if AUTH.contains(&code) || is_signature(code) => AwsError::Refused(reply),
        _ => AwsError::Invalid(reply),
    }
}

/// Somebody else's text as one line of at most `limit` characters.
fn one_line(text: &str, limit: usize) -> String {
    let printable: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(limit)
        .collect();
    printable.trim().to_owned()
}

#[cfg(test)]
mod tests;
