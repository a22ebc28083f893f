//! Replies that the proxy gives in AWS's name, in the form of each service's protocol.

use http_body_util::Full;
use hyper::body::Bytes;
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
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }
}

/// The reply as it goes to the client, with the `Date` that the account's clock shows.
pub(super) fn dated(response: Response<Bytes>, now: OffsetDateTime) -> Response<Full<Bytes>> {
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
    Response::from_parts(head, Full::new(body))
}
