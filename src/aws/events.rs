//! EventBridge: events put on a bus.
//!
//! Source: Amazon EventBridge API Reference, `PutEvents`; User Guide, 'Calculating event entry size' and 'Handling failures with PutEvents'.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use time::OffsetDateTime;

use super::client::{Aws, Repeat};
use super::error::{AwsError, is_throttling};
use super::sts::incomplete;
use super::{Answer, Credentials};

/// The most entries in one call.
pub const MOST_ENTRIES: usize = 10;

/// The most bytes in one call, all entries together, as [`BusEvent::size`] counts them. AWS takes 256 KiB.
pub const MOST_BYTES: usize = 255 * 1024;

/// One event for a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// Who sends it, e.g. `twotap`; not `aws.*`.
    pub source: String,
    /// What happened, e.g. `BREAK_GLASS_ACCESS`; at most 128 characters.
    pub detail_type: String,
    /// A JSON object.
    pub detail: String,
    /// When it happened.
    pub time: Option<OffsetDateTime>,
}

impl BusEvent {
    /// Its size as AWS counts it, in bytes.
    pub fn size(&self) -> usize {
        let time = if self.time.is_some() { 14 } else { 0 };
        time + self.source.len() + self.detail_type.len() + self.detail.len()
    }
}

/// An entry that the bus did not take, beside others that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// AWS's code.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

impl NotTaken {
    /// Whether AWS asks for fewer.
    pub fn is_throttling(&self) -> bool {
        is_throttling(&self.code)
    }

    /// Whether it is about this event's own bytes: it will never be taken.
    pub fn is_for_good(&self) -> bool {
        // InvalidArgument may be about the bus or the account, and then every event gets it.
        self.code == "MalformedDetail"
    }
}

impl Aws {
    /// Puts up to [`MOST_ENTRIES`] events on a bus (its name, or its ARN): `events:PutEvents`. For each, in order, whether the bus took it.
    ///
    /// Repeated where the answer was lost: an event may arrive twice, which whoever reads them has to tell by its own number.
    pub async fn put_events(
        &self,
        credentials: &Credentials,
        region: &str,
        bus: &str,
        events: &[BusEvent],
    ) -> Result<Answer<Vec<Result<(), NotTaken>>>, AwsError> {
        let operation = "events:PutEvents";
        let target = self.inner.endpoints.regional("events", region)?;
        let entries: Vec<_> = events
            .iter()
            .map(|event| {
                PutEventsRequestEntry::builder()
                    .source(&event.source)
                    .detail_type(&event.detail_type)
                    .detail(&event.detail)
                    .event_bus_name(bus)
                    .set_time(
                        event
                            .time
                            .map(|time| DateTime::from_secs(time.unix_timestamp())),
                    )
                    .build()
            })
            .collect();
        let ended = self
            .run(operation, &target, Repeat::Harmless, |watch| {
                self.events_client(credentials, &target, &watch)
                    .put_events()
                    .set_entries(Some(entries.clone()))
                    .send()
            })
            .await;
        let answer = ended.result?;
        let told = answer.value.entries();
        if told.len() != events.len() {
            return Err(incomplete(operation, &target, &answer));
        }
        let taken: Vec<_> = told
            .iter()
            .map(|entry| match (entry.event_id(), entry.error_code()) {
                (Some(_), None) => Ok(()),
                (_, code) => Err(NotTaken {
                    code: code.unwrap_or("unknown").to_owned(),
                    message: entry.error_message().unwrap_or_default().to_owned(),
                }),
            })
            .collect();
        Ok(answer.map(|_| taken))
    }
}
