//! Looking whether a session is let in: a real, cheap, regional call made with the session's own
//! credentials, over a connection of its own each time.
//!
//! `sts:GetCallerIdentity` is no such call: it answers even under an explicit deny. The calls here need a policy
//! that allows them, so a session that was let in before and is refused now has lost its policy's word.
//! They are signed by hand, because a whole SDK for one call takes minutes to build.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_xml::decode::{Document, try_data};
use time::OffsetDateTime;

use super::client::Aws;
use super::endpoints::Target;
use super::error::{AwsError, is_signature, transport};
use super::http::{Seen, USER_AGENT};

/// The most that is read of an answer, in bytes.
const BODY_MAX: usize = 256 * 1024;

/// A call that can be made as a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeAction {
    /// `ec2:DescribeRegions`: regional, free, without effect, needs no resource.
    DescribeRegions,
    /// `s3:ListAllMyBuckets`: for accounts where EC2 is closed by other policies.
    ListAllMyBuckets,
}

impl ProbeAction {
    /// All that are supported.
    pub const ALL: [ProbeAction; 2] = [ProbeAction::DescribeRegions, ProbeAction::ListAllMyBuckets];

    /// Reads an IAM action's name.
    pub fn parse(name: &str) -> Result<ProbeAction, ProbeActionError> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == name)
            .ok_or_else(|| {
                ProbeActionError(name.chars().filter(|c| !c.is_control()).take(100).collect())
            })
    }

    /// The action as IAM policies write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ProbeAction::DescribeRegions => "ec2:DescribeRegions",
            ProbeAction::ListAllMyBuckets => "s3:ListAllMyBuckets",
        }
    }

    fn service(self) -> &'static str {
        match self {
            ProbeAction::DescribeRegions => "ec2",
            ProbeAction::ListAllMyBuckets => "s3",
        }
    }

    /// The root element of the answer when the call was allowed.
    fn root(self) -> &'static str {
        match self {
            ProbeAction::DescribeRegions => "DescribeRegionsResponse",
            ProbeAction::ListAllMyBuckets => "ListAllMyBucketsResult",
        }
    }
}

impl fmt::Display for ProbeAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An action that cannot be made as a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeActionError(String);

impl fmt::Display for ProbeActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' cannot be used as a probe", self.0)
    }
}

impl std::error::Error for ProbeActionError {}

impl ProbeActionError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let names: Vec<_> = ProbeAction::ALL
            .iter()
            .map(|action| action.as_str())
            .collect();
        Some(format!("supported are {}", names.join(", ")))
    }
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The session was let in.
    Allowed {
        /// AWS's request id.
        request_id: Option<String>,
        /// AWS's clock.
        date: Option<OffsetDateTime>,
    },
    /// The session was refused by policy.
    Refused {
        /// `AccessDenied`, `AccessDeniedException` or `UnauthorizedOperation`; the status was 403.
        code: String,
        /// AWS's request id.
        request_id: Option<String>,
        /// AWS's clock.
        date: Option<OffsetDateTime>,
    },
    /// It says nothing about the policy: expired, throttled, badly signed, broken, out of reach.
    Inconclusive {
        /// Why, in a few words.
        why: String,
    },
}

impl Aws {
    /// Makes the call once with the session's credentials, in this Region, over a fresh connection.
    ///
    /// Never an error: whatever is not a clear yes or a clear no is [`Observation::Inconclusive`]. A
    /// signature that was refused for its time is made once more by AWS's clock.
    pub async fn probe_session(
        &self,
        credentials: &Credentials,
        region: &str,
        action: ProbeAction,
    ) -> Observation {
        let target = match self.inner.endpoints.regional(action.service(), region) {
            Ok(target) => target,
            Err(error) => {
                return Observation::Inconclusive {
                    why: error.to_string(),
                };
            }
        };
        let clock = &self.inner.clock;
        let correction = clock.correction();
        let first = self.probe_once(credentials, &target, action).await;
        let badly_signed = |probed: &Probed| matches!(probed, Probed::Answered { code: Some(code), .. } if is_signature(code));
        if badly_signed(&first) && clock.moved_since(correction) {
            return self
                .probe_once(credentials, &target, action)
                .await
                .judge(action);
        }
        first.judge(action)
    }

    async fn probe_once(
        &self,
        credentials: &Credentials,
        target: &Target,
        action: ProbeAction,
    ) -> Probed {
        let Some(request) = signed(credentials, target, action, self.inner.clock.now()) else {
            return Probed::Nothing("the request could not be signed".into());
        };
        let exchange = async {
            match self.inner.connectors.fresh.call(request).await {
                Ok(response) => self.read(response).await,
                Err(error) => Probed::Nothing(match transport(action.as_str(), target, &error) {
                    AwsError::Unreachable { why, .. } => format!("no connection: {why}"),
                    AwsError::Lost { why, .. } => format!("no answer: {why}"),
                    other => other.to_string(),
                }),
            }
        };
        match tokio::time::timeout(self.inner.endpoints.timeouts.call, exchange).await {
            Ok(probed) => probed,
            Err(_) => Probed::Nothing("no answer: timed out".into()),
        }
    }

    async fn read(&self, mut response: HttpResponse) -> Probed {
        let seen = Seen::of(response.headers());
        if let Some(date) = seen.date {
            self.inner.clock.note(date);
        }
        let status = response.status().as_u16();
        let mut stream = ByteStream::new(response.take_body());
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) if body.len() + chunk.len() <= BODY_MAX => body.extend_from_slice(&chunk),
                Ok(_) => return Probed::Nothing("the answer is too long".into()),
                Err(_) => return Probed::Nothing("the answer broke off".into()),
            }
        }
        let document = std::str::from_utf8(&body)
            .ok()
            .and_then(Answered::parse)
            .unwrap_or_default();
        Probed::Answered {
            status,
            root: document.root,
            code: document.code,
            request_id: seen.request_id.or(document.request_id),
            date: seen.date,
        }
    }
}

/// What came back, before it is judged.
enum Probed {
    Nothing(String),
    Answered {
        status: u16,
        root: String,
        code: Option<String>,
        request_id: Option<String>,
        date: Option<OffsetDateTime>,
    },
}

impl Probed {
    fn judge(self, action: ProbeAction) -> Observation {
        let (status, root, code, request_id, date) = match self {
            Probed::Nothing(why) => return Observation::Inconclusive { why },
            Probed::Answered {
                status,
                root,
                code,
                request_id,
                date,
            } => (status, root, code, request_id, date),
        };
        match (status, code) {
            (200, None) if root == action.root() => Observation::Allowed { request_id, date },
            (403, Some(code))
                if matches!(
                    code.as_str(),
                    "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation"
                ) =>
            {
                Observation::Refused {
                    code,
                    request_id,
                    date,
                }
            }
            (_, Some(code)) => Observation::Inconclusive {
                why: format!("aws answered {code} with status {status}"),
            },
            (_, None) => Observation::Inconclusive {
                why: format!("the answer with status {status} is none of aws's"),
            },
        }
    }
}

/// The parts of an answer's XML that count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answered {
    root: String,
    code: Option<String>,
    request_id: Option<String>,
}

impl Answered {
    /// Reads a whole XML document: any root for a result; for an error `Response/Errors/Error/Code` (EC2),
    /// `ErrorResponse/Error/Code` (IAM, STS) or `Error/Code` (S3).
    fn parse(text: &str) -> Option<Answered> {
        let mut document = Document::new(text);
        let mut root = document.root_element().ok()?;
        let name = root.start_el().local().to_owned();
        // The reader forgives a missing end; an answer that was cut off must not count.
        if !text.trim_end().ends_with(&format!("</{name}>")) {
            return None;
        }
        let mut found = Answered {
            root: name,
            ..Answered::default()
        };
        match found.root.as_str() {
            "Error" => found.read_error(&mut root),
            "Response" | "ErrorResponse" => {
                while let Some(mut tag) = root.next_tag() {
                    match tag.start_el().local() {
                        "Error" => found.read_error(&mut tag),
                        "Errors" => {
                            while let Some(mut inner) = tag.next_tag() {
                                if inner.start_el().matches("Error") {
                                    found.read_error(&mut inner);
                                }
                            }
                        }
                        "RequestID" | "RequestId" => found.request_id = text_of(&mut tag),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Some(found)
    }

    fn read_error(&mut self, error: &mut aws_smithy_xml::decode::ScopedDecoder<'_, '_>) {
        while let Some(mut tag) = error.next_tag() {
            match tag.start_el().local() {
                "Code" => self.code = text_of(&mut tag),
                "RequestID" | "RequestId" => self.request_id = text_of(&mut tag),
                _ => {}
            }
        }
    }
}

/// An element's text, if it is a short word.
fn text_of(tag: &mut aws_smithy_xml::decode::ScopedDecoder<'_, '_>) -> Option<String> {
    let text = try_data(tag).ok()?;
    let text = text.trim();
    let word = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    word.then(|| text.to_owned())
}

/// The call as a signed request. `None` only if a part of it is no legal HTTP.
fn signed(
    credentials: &Credentials,
    target: &Target,
    action: ProbeAction,
    now: SystemTime,
) -> Option<HttpRequest> {
    let uri = format!("{}/", target.url);
    let (method, body, content_type) = match action {
        ProbeAction::DescribeRegions => (
            "POST",
            "Action=DescribeRegions&Version=2016-11-15",
            Some("application/x-www-form-urlencoded; charset=utf-8"),
        ),
        ProbeAction::ListAllMyBuckets => ("GET", "", None),
    };
    let mut settings = SigningSettings::default();
    if action == ProbeAction::ListAllMyBuckets {
        // S3's own ways. Source: S3 API Reference, 'Authenticating requests (SigV4)'.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity: Identity = credentials.clone().into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(&target.region)
        .name(action.service())
        .time(now)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let headers = content_type.map(|value| ("content-type", value));
    let signable = SignableRequest::new(
        method,
        &uri,
        headers.into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    )
    .ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(&uri)
        .header("user-agent", USER_AGENT)
        .header("connection", "close")
        .body(SdkBody::from(body))
        .ok()?;
    if let Some(value) = content_type {
        request
            .headers_mut()
            .insert("content-type", value.parse().ok()?);
    }
    instructions.apply_to_request_http1x(&mut request);
    HttpRequest::try_from(request).ok()
}

#[cfg(test)]
mod tests;
