//! Replies that the proxy gives in AWS's name, in the form of each service's protocol.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::http::{HeaderValue, header};
use hyper::{Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use super::call::Call;
use crate::xml::escape;

/// A refusal as AWS words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// The request breaks a limit of AWS's; `ValidationError` with 400.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// The key is unknown, inactive, deleted, or too new to be known.
    pub(super) fn unknown_key() -> Self {
        Self::new(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        )
    }

    /// The refusal as the HTTP reply that the client of this call expects.
    pub(super) fn response(&self, call: &Call) -> Response<Bytes> {
        let (code, message) = (&self.code, &self.message);
        let (content_type, body) = match call.service() {
            "iam" | "sts" => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error>\
                 <RequestId>00000000-0000-0000-0000-{:012}</RequestId></ErrorResponse>",
                    escape(message),
                    call.seq
                ),
            ),
            "ec2" => (
                "text/xml",
                format!(
                    "<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors>\
                 <RequestID>00000000-0000-0000-0000-{:012}</RequestID></Response>",
                    escape(message),
                    call.seq
                ),
            ),
            "s3" => (
                "application/xml",
                format!(
                    "<Error><Code>{code}</Code><Message>{}</Message></Error>",
                    escape(message)
                ),
            ),
            _ => (
                "application/x-amz-json-1.1",
                json!({"__type": code, "message": message}).to_string(),
            ),
        };
        answer(self.status, content_type, body)
    }
}

/// A reply with this status and body.
pub(super) fn answer(status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The connection is to break, on purpose.
#[derive(Debug)]
pub(super) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply is lost on purpose")
    }
}

impl std::error::Error for Dropped {}

/// A reply's body, whole or as far as it goes.
pub(super) struct ReplyBody {
    rest: Option<Bytes>,
    /// What `Content-Length` promises.
    promised: u64,
    breaks: bool,
}

impl ReplyBody {
    /// The first half, in a reply that promises all of it.
    fn half(body: &Bytes) -> Self {
        Self {
            rest: Some(body.slice(..body.len() / 2)),
            promised: body.len() as u64,
            breaks: true,
        }
    }
}

impl From<Bytes> for ReplyBody {
    fn from(body: Bytes) -> Self {
        Self {
            promised: body.len() as u64,
            rest: Some(body).filter(|body| !body.is_empty()),
            breaks: false,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        Poll::Ready(match self.rest.take() {
            Some(rest) => Some(Ok(Frame::data(rest))),
            None if self.breaks => Some(Err(Dropped)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// The reply as it goes to the client, with the `Date` that the account's clock shows.
pub(super) fn dated(response: Response<Bytes>, now: OffsetDateTime) -> Response<ReplyBody> {
    let (mut head, body) = response.into_parts();
    for hop in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
    ] {
        head.headers.remove(hop);
    }
    // RFC 9110 section 5.6.7, IMF-fixdate
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = now
        .format(format)
        .ok()
        .and_then(|date| HeaderValue::from_str(&date).ok());
    if let Some(date) = date {
        head.headers.insert(header::DATE, date);
    }
    Response::from_parts(head, ReplyBody::from(body))
}

/// The same reply, broken off in the middle.
pub(super) fn cut(response: Response<Bytes>, now: OffsetDateTime) -> Response<ReplyBody> {
    let half = ReplyBody::half(response.body());
    dated(response, now).map(|_| half)
}
