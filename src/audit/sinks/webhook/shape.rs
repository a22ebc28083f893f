//! The bodies: what a receiver gets of one event.

use serde::Serialize;

use super::{Delivery, SinkError, Style};
use crate::audit::{
    alert::{Alert, Severity, alert},
    chain::Hash,
    event::Record,
};

/// One message, and the id under which it is sent at each try.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: Vec<u8>,
}

/// Standard Webhooks' payload.
#[derive(Serialize)]
struct Payload<'a, D> {
    /// `twotap.alert`, `twotap.event` or `twotap.set_aside`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it was recorded.
    timestamp: &'a str,
    data: D,
}

/// An event of which people are told.
#[derive(Serialize)]
struct AlertData<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    /// The whole message, as a mail or a channel shows it.
    text: String,
    #[serde(flatten)]
    place: Place<'a>,
}

/// An event of which they are not.
#[derive(Serialize)]
struct EventData<'a> {
    event_type: &'a str,
    seq: u64,
    correlation_id: &'a Option<String>,
    incident_id: &'a Option<String>,
    #[serde(flatten)]
    place: Place<'a>,
}

/// What ties it to the record: whoever keeps it can hold the host to it.
#[derive(Serialize)]
struct Place<'a> {
    /// SHA-256 of the line.
    hash: Hash,
    /// The line, byte for byte, where the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
}

/// What goes in the place of an event that the receiver does not take.
#[derive(Serialize)]
struct Notice<'a> {
    event_type: &'a str,
    seq: u64,
    severity: Option<Severity>,
    hash: Hash,
    status: u16,
    text: String,
}

impl Message {
    /// The message for an event; `None` where this style has none for it.
    pub(super) fn of(
        delivery: &Delivery,
        style: Style,
        lines: bool,
    ) -> Result<Option<Self>, SinkError> {
        let record = read(delivery)?;
        let alert = alert(&record);
        let line = std::str::from_utf8(&delivery.line).ok();
        let place = Place {
            hash: delivery.hash,
            line: line.filter(|_| lines),
        };
        let timestamp = &record.timestamp;
        let body = match (style, &alert) {
            (Style::Slack, None) => return Ok(None),
            (Style::Slack, Some(alert)) => slack(&alert.to_string()),
            (Style::Generic, Some(alert)) => json(&Payload {
                kind: "twotap.alert",
                timestamp,
                data: AlertData {
                    text: alert.to_string(),
                    alert,
                    place,
                },
            }),
            (Style::Generic, None) => json(&Payload {
                kind: "twotap.event",
                timestamp,
                data: EventData {
                    event_type: &record.event_type,
                    seq: record.seq,
                    correlation_id: &record.correlation_id,
                    incident_id: &record.incident_id,
                    place,
                },
            }),
        };
        Ok(Some(Self {
            id: id(delivery),
            body: body?,
        }))
    }

    /// What goes in its place when the receiver answers it with `status`: nothing in it was said by anybody.
    pub(super) fn notice(
        delivery: &Delivery,
        style: Style,
        status: u16,
    ) -> Result<Self, SinkError> {
        let record = read(delivery)?;
        let severity = alert(&record).map(|a| a.severity);
        let name = record.known_type().map_or("an event", |t| t.name());
        let text = format!(
            "[{}] {name}, event {} of the record: this receiver did not take its message ({status}). Read it on the host: twotap audit tail",
            severity.unwrap_or(Severity::Info),
            delivery.seq,
        );
        let body = match style {
            Style::Slack => slack(&text),
            Style::Generic => json(&Payload {
                kind: "twotap.set_aside",
                timestamp: &record.timestamp,
                data: Notice {
                    event_type: name,
                    seq: delivery.seq,
                    severity,
                    hash: delivery.hash,
                    status,
                    text,
                },
            }),
        };
        Ok(Self {
            id: format!("{}_notice", id(delivery)),
            body: body?,
        })
    }
}

/// The same for the same event, another for another one in its place.
fn id(delivery: &Delivery) -> String {
    let hash = delivery.hash.to_string();
    format!("msg_{}_{}", delivery.seq, hash.get(..32).unwrap_or(&hash))
}

fn read(delivery: &Delivery) -> Result<Record, SinkError> {
    Record::parse(&delivery.line)
        .map_err(|why| SinkError::Unavailable(format!("event {}: {why}", delivery.seq)))
}

/// `text` alone, as every receiver of this shape takes it. The three characters with which markup, links and calls to everybody begin are
/// escaped (<https://api.slack.com/reference/surfaces/formatting#escaping>), and marks for bold and the like mean nothing.
fn slack(text: &str) -> Result<Vec<u8>, SinkError> {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    json(&serde_json::json!({ "text": text, "mrkdwn": false }))
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, SinkError> {
    serde_json::to_vec(value).map_err(|why| SinkError::Unavailable(why.to_string()))
}
