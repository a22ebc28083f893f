//! The sink that tells people: one signed HTTP POST an event, in plain JSON or in the shape that Slack's incoming webhooks take.
//!
//! ```toml
//! [sinks.oncall]
//! kind = "webhook"
//! only = "alerts"
//! url = "https://alerts.example.com/twotap"   # or url_file: where the address itself is a secret, as Slack's is
//! secret_file = "/etc/twotap/oncall.secret"   # whsec_BASE64, 0600; a second line is the one that is being replaced
//! style = "generic"                           # or "slack"
//! ca_file = "/etc/twotap/ca.pem"              # instead of the system's roots
//! lines = false                               # whether the record's own line goes along (generic)
//! timeout_seconds = 10
//! ```
//!
//! Signed by the Standard Webhooks scheme (<https://www.standardwebhooks.com>): the same `webhook-id` for the same event at each try, so that a
//! receiver tells a repetition, and HMAC-SHA-256 over id, time and body. What is sent is an [`Alert`](crate::audit::alert::Alert), or of an
//! event of which people are not told, its name and place in the record alone; envelopes never go.
//!
//! | answer | what follows |
//! | --- | --- |
//! | 2xx | it holds the event |
//! | 429, 503 with `Retry-After` | tried again when it says |
//! | 408, 425, 429, 5xx, none | tried again, for as long as it takes |
//! | 3xx | refused: what follows redirects sends alerts wherever somebody likes; tried again, and said |
//! | any other 4xx | tried three times; then a notice without the event's own words goes in its place. Where that is taken, and the event once more is not, it was the words (a filter, a limit of length): said, and gone on, but not by a sink with `required = true`, which holds what it says it holds. Where the notice is refused as well, it is the receiver: nothing is passed over |

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use self::{
    shape::Message,
    sign::Secrets,
    wire::{Address, Answer, Wire},
};
use super::{
    Delivery, Flaw, FlawKind, Most, Opening, Options, Sink, SinkConfigError, SinkError,
    net::TlsSettings,
};
use crate::audit::{chain::Head, files::read_secret};

mod shape;
mod sign;
mod wire;

/// How often a message that the receiver refuses is tried before a notice goes in its place.
const TRIES: u32 = 3;
/// The longest time for one POST, in seconds: a message and its notice together stay below [`BOUND`](super::BOUND).
const MOST_TIMEOUT: u32 = 14;

/// The settings of a webhook.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    url: Option<String>,
    url_file: Option<PathBuf>,
    #[serde(default)]
    style: Style,
    secret_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    lines: bool,
    #[serde(default = "default_timeout")]
    timeout_seconds: u32,
}

/// How the body looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Style {
    /// Standard Webhooks' payload: type, timestamp, data.
    #[default]
    Generic,
    /// `text`, as Slack, Mattermost and others take it.
    Slack,
}

fn default_timeout() -> u32 {
    10
}

impl WebhookConfig {
    /// The sink; refuses settings with which it could not work or would not be safe.
    pub fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        if !(1..=MOST_TIMEOUT).contains(&self.timeout_seconds) {
            let why = format!("it is from 1 to {MOST_TIMEOUT}");
            return Err(SinkConfigError::new("timeout_seconds", why));
        }
        let (key, url) = match (&self.url, &self.url_file) {
            (Some(url), None) => ("url", Zeroizing::new(url.clone())),
            (None, Some(file)) => ("url_file", secret_text("url_file", &at.path(file))?),
            _ => {
                let why = "one of url and url_file is needed";
                return Err(SinkConfigError::new("url", why));
            }
        };
        let address = Address::parse(&url).map_err(|why| SinkConfigError::new(key, why))?;
        let secrets = match &self.secret_file {
            Some(file) => {
                let text = secret_text("secret_file", &at.path(file))?;
                let read = Secrets::parse(&text);
                read.map_err(|why| SinkConfigError::new("secret_file", why))?
            }
            None if self.style == Style::Slack => Secrets::none(),
            None => {
                let why = "without a secret nobody can tell our messages from anybody's";
                return Err(SinkConfigError::new("secret_file", why).with_hint(
                    "make one: (printf whsec_; head -c 32 /dev/urandom | base64) > FILE; chmod 600 FILE",
                ));
            }
        };
        if self.lines && self.style == Style::Slack {
            let why =
                "a channel for people has no place for lines; they go with style = \"generic\"";
            return Err(SinkConfigError::new("lines", why));
        }
        let tls = TlsSettings {
            ca_file: self.ca_file.clone(),
            ..TlsSettings::default()
        };
        let timeout = Duration::from_secs(self.timeout_seconds.into());
        let wire = Wire::new(address, &tls, timeout, at)?;
        Ok(Box::new(WebhookSink {
            name: at.name.to_owned(),
            style: self.style,
            lines: self.lines,
            secrets,
            wire,
            held: Head::default(),
            required: false,
            refused: None,
            replaced: None,
        }))
    }
}

/// What stands in a file that nobody but the agent reads, without what is around it.
fn secret_text(key: &str, path: &Path) -> Result<Zeroizing<String>, SinkConfigError> {
    let failed = |why: &dyn std::fmt::Display| {
        SinkConfigError::new(key, format!("{}: {why}", path.display()))
    };
    let bytes = read_secret(path).map_err(|why| failed(&why))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| failed(&"it is not text"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Posts events to one receiver.
struct WebhookSink {
    name: String,
    style: Style,
    lines: bool,
    secrets: Secrets,
    wire: Wire,
    held: Head,
    /// Whether custodians are asked only once it holds a request: then a notice in an event's place is not the event.
    required: bool,
    /// The event that the receiver does not take.
    refused: Option<Refused>,
    /// The last event in whose place a notice went, in words, and how many there were.
    replaced: Option<(String, u64)>,
}

/// An event that the receiver does not take.
#[derive(Clone, Copy)]
struct Refused {
    seq: u64,
    /// How often it was tried.
    tried: u32,
    /// Whether it took a notice of it.
    noticed: bool,
}

impl WebhookSink {
    fn one(&mut self, delivery: &Delivery) -> Result<(), SinkError> {
        let Some(message) = Message::of(delivery, self.style, self.lines)? else {
            return Ok(());
        };
        let status = match self.post(&message)? {
            Answer::Taken => return Ok(()),
            Answer::Refused(status) => status,
        };
        let before = self.refused.filter(|r| r.seq == delivery.seq);
        let to = self.wire.host().to_owned();
        let not_taken = format!("{to} does not take event {} ({status})", delivery.seq);
        if before.is_some_and(|r| r.noticed) {
            if self.required {
                return Err(SinkError::Unavailable(format!(
                    "{not_taken}, and takes others: this sink is required, so nothing is passed over"
                )));
            }
            let n = self.replaced.as_ref().map_or(0, |(_, n)| *n);
            self.replaced = Some((not_taken, n + 1));
            return Ok(());
        }
        let refused = self.refused.insert(Refused {
            seq: delivery.seq,
            tried: before.map_or(0, |r| r.tried) + 1,
            noticed: false,
        });
        if refused.tried < TRIES {
            return Err(SinkError::Unavailable(not_taken));
        }
        let notice = Message::notice(delivery, self.style, status)?;
        match self.post(&notice)? {
            Answer::Taken => {
                // It may have come back just now: only a receiver that takes things and refuses this one once more has made up its mind.
                self.refused = self.refused.map(|r| Refused { noticed: true, ..r });
                Err(SinkError::Unavailable(not_taken))
            }
            Answer::Refused(also) => Err(SinkError::Unavailable(format!(
                "{to} takes nothing from us ({status}, and {also} for a bare notice): is the address right, and does it know the secret?"
            ))),
        }
    }

    fn post(&mut self, message: &Message) -> Result<Answer, SinkError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let headers = self.secrets.headers(&message.id, now, &message.body);
        self.wire.post(&headers, &message.body)
    }
}

impl Sink for WebhookSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn asked(&mut self, options: &Options) {
        self.required = options.required;
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        // A receiver cannot be asked; what was taken since the cursor was written is known here.
        self.held = match self.held.seq > cursor.seq {
            true => self.held,
            false => cursor,
        };
        Ok(self.held)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        for delivery in batch {
            self.one(delivery)?;
            self.refused = None;
            self.held = delivery.head();
        }
        Ok(())
    }

    /// One: each may take as long as a POST may.
    fn most(&self) -> Most {
        Most {
            events: 1,
            ..Most::default()
        }
    }

    fn complaint(&self) -> Option<String> {
        let (last, n) = self.replaced.as_ref()?;
        let all = match n {
            1 => String::new(),
            n => format!(", the last of {n}"),
        };
        Some(format!(
            "{last}{all}: a notice without its words went in its place; read it with twotap audit tail"
        ))
    }

    fn flaws(&self) -> Vec<Flaw> {
        let kind = FlawKind::PassedOver;
        let flaw = self.complaint().map(|why| Flaw { kind, why });
        flaw.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
