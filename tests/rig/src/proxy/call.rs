//! A call as the proxy saw it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

use crate::client::Credentials;

/// One recorded call. The reply is kept whole, secrets included: they are an emulator's, and a test that looks for
/// copies of them has to know them.
#[derive(Clone, Debug)]
pub struct Call {
    /// Position in the record, from 0.
    pub seq: usize,
    /// When the call came in, by the host's clock.
    pub at: SystemTime,
    /// From the request's arrival to the reply's departure; what AWS took, faults included.
    pub took: Duration,
    /// `service:Action`, such as `sts:AssumeRole`; for S3 the method and path (`s3:GET /bucket/key`).
    pub action: String,
    /// The Region that the request is signed for.
    pub region: String,
    /// The `Host` header.
    pub host: String,
    /// The key that the `Authorization` header names.
    pub access_key_id: Option<String>,
    /// Whether a session token came with the request.
    pub session_token: bool,
    /// The parameters by name: a query protocol's as sent (`Tags.member.1.Key`), a JSON body's top-level fields.
    pub params: BTreeMap<String, String>,
    /// How often the call was passed on to the emulator.
    pub forwarded: u32,
    /// The HTTP status that the client saw or would have seen; `None` when there never was a reply.
    pub status: Option<u16>,
    /// AWS's error code, `None` for a success.
    pub error: Option<String>,
    /// The reply's body.
    pub reply: String,
    /// Whether the client got the reply.
    pub answered: bool,
}

impl Call {
    /// The service, such as `iam`.
    pub fn service(&self) -> &str {
        self.action.split(':').next().unwrap_or_default()
    }

    /// A parameter by name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// The credentials that AWS gave out in its reply, whether or not the client got it.
    pub fn credentials(&self) -> Option<Credentials> {
        Credentials::of_xml(&self.reply)
    }

    /// The session tags of an AssumeRole: key and value, in the order sent.
    pub fn tags(&self) -> Vec<(&str, &str)> {
        (1..)
            .map_while(|n| {
                let key = self.param(&format!("Tags.member.{n}.Key"))?;
                Some((
                    key,
                    self.param(&format!("Tags.member.{n}.Value"))
                        .unwrap_or_default(),
                ))
            })
            .collect()
    }

    /// A list parameter's members, such as `TransitiveTagKeys`.
    pub fn list(&self, name: &str) -> Vec<&str> {
        (1..)
            .map_while(|n| self.param(&format!("{name}.member.{n}")))
            .collect()
    }

    /// A request, read but not yet answered.
    pub(super) fn read(seq: usize, head: &Parts, body: &Bytes) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        // Credential=AKIA.../20260101/eu-central-1/sts/aws4_request
        let scope = header("authorization")
            .and_then(|value| value.split("Credential=").nth(1))
            .and_then(|value| value.split(',').next())
            .unwrap_or_default();
        let mut scope = scope.split('/').map(str::to_owned);
        let access_key_id = scope.next().filter(|id| !id.is_empty());
        let region = scope.nth(1).unwrap_or_default();
        let service = scope.next().unwrap_or_default();
        let params = params(head, body);
        let operation = match (header("x-amz-target"), params.get("Action")) {
            (Some(target), _) => target.rsplit('.').next().unwrap_or(target).to_owned(),
            (None, Some(action)) => action.clone(),
            (None, None) => format!("{} {}", head.method, head.uri.path()),
        };
        Self {
            seq,
            at: SystemTime::now(),
            took: Duration::ZERO,
            action: format!("{service}:{operation}"),
            region,
            host: header("host").unwrap_or_default().to_owned(),
            access_key_id,
            session_token: head.headers.contains_key("x-amz-security-token"),
            params,
            forwarded: 0,
            status: None,
            error: None,
            reply: String::new(),
            answered: false,
        }
    }
}

fn params(head: &Parts, body: &Bytes) -> BTreeMap<String, String> {
    if head.headers.contains_key("x-amz-target") {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return BTreeMap::new();
        };
        return fields
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect();
    }
    let mut params: BTreeMap<String, String> =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let form = head
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    if form.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
        params.extend(form_urlencoded::parse(body).into_owned());
    }
    params
}
