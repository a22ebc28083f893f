//! What is asked of a sink in `agent.toml`, whatever its kind.

use serde::{Deserialize, Deserializer, de};

use super::SinkConfigError;
use crate::audit::alert::alert;
use crate::audit::event::{EventType, Record};

/// The keys of a `[sinks.NAME]` table that every kind has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Whether custodians are asked only once it holds the request.
    #[serde(default)]
    pub required: bool,
    /// Of required sinks with one group any one suffices.
    #[serde(default)]
    pub group: Option<String>,
    /// Which events it is sent.
    #[serde(default)]
    pub only: Only,
    /// Whether it is sent the signed envelopes, which carry requests in clear.
    #[serde(default)]
    pub envelopes: bool,
    /// Where a sink begins that was never here before. Where absent: at the first event; one for alerts with what comes from now on.
    #[serde(default)]
    pub from: Option<Begins>,
}

impl Options {
    /// These keys, as they stand in a table.
    pub const KEYS: [&'static str; 5] = ["required", "group", "only", "envelopes", "from"];

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), SinkConfigError> {
        if self.required && !self.sent_requests() {
            let why = "a required sink has to be sent BREAK_GLASS_REQUESTED, and this one is not";
            return Err(SinkConfigError::new("only", why)
                .with_hint("name it there, or leave out required = true"));
        }
        match &self.group {
            Some(_) if !self.required => Err(SinkConfigError::new(
                "group",
                "it goes with required = true alone",
            )),
            Some(group) if group.is_empty() || group.len() > 64 => {
                Err(SinkConfigError::new("group", "it has 1 to 64 characters"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is sent requests: one that is not cannot hold them.
    pub fn sent_requests(&self) -> bool {
        match &self.only {
            // People are told of each request.
            Only::All | Only::Alerts => true,
            Only::Types(types) => types.contains(&EventType::BreakGlassRequested),
        }
    }

    /// Where it begins.
    pub fn begins_at(&self) -> Begins {
        match (self.from, &self.only) {
            (Some(from), _) => from,
            (None, Only::Alerts) => Begins::Now,
            (None, _) => Begins::First,
        }
    }
}

/// Where a sink begins that was never here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begins {
    /// At the first event of the record.
    First,
    /// With what comes after the start of the agent: nobody is woken by an incident of last year.
    Now,
}

/// Which events a sink is sent. Its cursor moves over the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Every one.
    #[default]
    All,
    /// Those that people are told of, see [`alert`].
    Alerts,
    /// Those of these types.
    Types(Vec<EventType>),
}

impl Only {
    /// Whether it is sent this line.
    pub fn takes(&self, line: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Alerts => Record::parse(line).is_ok_and(|record| alert(&record).is_some()),
            Self::Types(types) => Record::parse(line)
                .ok()
                .and_then(|record| record.known_type())
                .is_some_and(|known| types.contains(&known)),
        }
    }
}

/// `"all"`, `"alerts"`, or a list of names of event types.
impl<'de> Deserialize<'de> for Only {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Only;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"all\", \"alerts\", or a list of event types")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Only, E> {
                match text {
                    "all" => Ok(Only::All),
                    "alerts" => Ok(Only::Alerts),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut names: A) -> Result<Only, A::Error> {
                let mut types = Vec::new();
                while let Some(name) = names.next_element::<String>()? {
                    let known = EventType::from_name(&name)
                        .ok_or_else(|| de::Error::custom(format!("{name:?} is no event type")))?;
                    types.push(known);
                }
                match types.is_empty() {
                    true => Err(de::Error::custom("the list is empty")),
                    false => Ok(Only::Types(types)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Head;
    use crate::audit::event::{Actor, Event};
    use crate::audit::samples::NOW;

    fn line(event_type: EventType) -> Vec<u8> {
        let event = Event::new(event_type, Actor::agent());
        event.line_after(&Head::default(), NOW).unwrap()
    }

    #[test]
    fn a_filter_takes_what_it_names() {
        let types = Only::Types(vec![EventType::Checkpoint]);
        for (event_type, alerts, named) in [
            (EventType::BreakGlassRequested, true, false),
            (EventType::AuditTampered, true, false),
            (EventType::Checkpoint, false, true),
            (EventType::RotationStep, false, false),
        ] {
            let line = line(event_type);
            assert!(Only::All.takes(&line));
            assert_eq!(Only::Alerts.takes(&line), alerts, "{}", event_type.name());
            assert_eq!(types.takes(&line), named, "{}", event_type.name());
        }
    }

    #[test]
    fn a_required_sink_is_sent_the_request() {
        let required = |only| Options {
            required: true,
            only,
            ..Options::default()
        };
        for good in [
            Only::All,
            Only::Alerts,
            Only::Types(vec![EventType::BreakGlassRequested]),
        ] {
            required(good).check().unwrap();
        }
        let why = required(Only::Types(vec![EventType::Checkpoint])).check();
        assert!(why.unwrap_err().to_string().starts_with("only: "));
    }
}
