//! The record on an EventBridge bus: each event as one entry, its line as the detail.
//!
//! A bus acknowledges that it took an entry and keeps nothing, so where the sink goes on is what it remembers itself. Of a call whose entries were
//! taken in part, the first that was not and all after it are sent again: a reader sees every event, some twice, and tells them by `seq`.

use std::path::PathBuf;
use std::time::Duration;

use super::amazon::{Account, Place, THROTTLED, failed};
use super::s3::default_partition;
use super::{Delivery, Flaw, FlawKind, Most, Opening, Sink, SinkConfigError, SinkError};
use crate::audit::chain::Head;
use crate::audit::event::{Record, read_time};
use crate::aws::events::{BusEvent, MOST_BYTES, MOST_ENTRIES, NotTaken};
use serde::Deserialize;

/// `kind = "eventbridge"` in `agent.toml`.
///
/// ```toml
/// [sinks.bus]
/// kind = "eventbridge"
/// bus = "twotap"                            # its name, or its ARN
/// region = "eu-central-1"
/// credential = "/etc/twotap/audit-writer.json"
/// only = "alerts"
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventBridgeConfig {
    /// The bus's name, or its ARN.
    bus: String,
    /// What the events name as their source.
    #[serde(default = "default_source")]
    source: String,
    /// The bus's Region.
    region: String,
    /// `aws`, `aws-us-gov`, `aws-cn` or `aws-eusc`.
    #[serde(default = "default_partition")]
    partition: String,
    /// A file with what `aws iam create-access-key` prints for the user that may only put events there.
    credential: PathBuf,
    /// Another endpoint than AWS's: https, or http to loopback.
    endpoint: Option<String>,
    /// Root certificates instead of the system's.
    ca_file: Option<PathBuf>,
}

fn default_source() -> String {
    "twotap".to_owned()
}

impl EventBridgeConfig {
    /// [`sink`](Self::sink) as one of several kinds.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(Box::new(self.sink(at)?))
    }

    /// The sink. Reads the key's file; opens no connection.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn sink(self, at: &Opening<'_>) -> Result<EventBridgeSink, SinkConfigError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let name = match self.bus.strip_prefix("arn:") {
            Some(arn) => arn.split_once(":event-bus/").map_or("", |(_, name)| name),
            None => &self.bus,
        };
        if !(1..=256).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(SinkConfigError::new(
                "bus",
                "it is the name of an event bus, or its arn",
            ));
        }
        let source = &self.source;
        if !(1..=256).contains(&source.len())
            || !source.bytes().all(plain)
            || source.starts_with("aws.")
        {
            return Err(SinkConfigError::new(
                "source",
                "it is made of letters, digits, '/', '.', '_' and '-', and does not begin with 'aws.'",
            ));
        }
        let account = Account::open(Place {
            partition: self.partition,
            region: self.region.clone(),
            endpoint: self.endpoint,
            ca_file: self.ca_file.map(|file| at.path(&file)),
            credential: at.path(&self.credential),
        })?;
        Ok(EventBridgeSink {
            name: at.name.to_owned(),
            account,
            region: self.region,
            bus: self.bus,
            source: self.source,
            taken: None,
            given_up: None,
        })
    }
}

/// Puts the record on a bus.
pub struct EventBridgeSink {
    name: String,
    account: Account,
    region: String,
    bus: String,
    source: String,
    /// The last event that the bus took, since the start.
    taken: Option<Head>,
    /// The last event that it will never take, and why.
    given_up: Option<String>,
}

impl EventBridgeSink {
    /// The same sink coming back within this of a call that AWS does not answer.
    #[must_use]
    pub fn bounded_by(mut self, bound: Duration) -> Self {
        self.account.bound = bound;
        self
    }

    fn entry(&self, delivery: &Delivery) -> BusEvent {
        let record = Record::parse(&delivery.line).ok();
        let time = record.as_ref().and_then(|r| read_time(&r.timestamp));
        BusEvent {
            source: self.source.clone(),
            detail_type: record.map_or_else(|| "unknown".to_owned(), |r| r.event_type),
            detail: String::from_utf8_lossy(&delivery.line).into_owned(),
            time,
        }
    }

    /// Puts one call's worth; what was taken is remembered whatever happens next.
    fn put(&mut self, heads: &[Head], entries: &[BusEvent]) -> Result<(), SinkError> {
        let taken = self.account.run(|aws, key| {
            let putting = aws.put_events(key, &self.region, &self.bus, entries);
            async move { putting.await.map_err(|why| failed(&why)) }
        })?;
        for (head, result) in heads.iter().zip(taken.value) {
            match result {
                Err(why) if why.is_for_good() => {
                    let NotTaken { code, message } = why;
                    self.given_up = Some(format!(
                        "the bus does not take event {}, which it never will: {code}: {message}",
                        head.seq
                    ));
                }
                Err(why) => {
                    let busy = why.is_throttling();
                    let NotTaken { code, message } = why;
                    let why = format!("the bus did not take event {}: {code}: {message}", head.seq);
                    return Err(match busy {
                        true => SinkError::Busy {
                            why,
                            wait: THROTTLED,
                        },
                        false => SinkError::Unavailable(why),
                    });
                }
                Ok(()) => {}
            }
            self.taken = Some(*head);
        }
        Ok(())
    }
}

impl Sink for EventBridgeSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        self.account.refresh()?;
        Ok(match self.taken {
            Some(taken) if taken.seq > cursor.seq => taken,
            _ => cursor,
        })
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.account.begin();
        let (mut heads, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
        for delivery in batch {
            let entry = self.entry(delivery);
            if entries.len() == MOST_ENTRIES || bytes + entry.size() > MOST_BYTES {
                self.put(&heads, &entries)?;
                heads.clear();
                entries.clear();
                bytes = 0;
            }
            bytes += entry.size();
            heads.push(delivery.head());
            entries.push(entry);
        }
        match entries.is_empty() {
            true => Ok(()),
            false => self.put(&heads, &entries),
        }
    }

    fn most(&self) -> Most {
        Most {
            events: 10 * MOST_ENTRIES,
            ..Most::default()
        }
    }

    fn complaint(&self) -> Option<String> {
        self.given_up.clone()
    }

    fn flaws(&self) -> Vec<Flaw> {
        let kind = FlawKind::PassedOver;
        let flaw = self.given_up.clone().map(|why| Flaw { kind, why });
        flaw.into_iter().collect()
    }
}
