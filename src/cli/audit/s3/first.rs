//! Whose record it is that a bucket holds: its first event says so.

use crate::audit::{
    event::Record,
    sinks::s3::{copy::whole, names::EventsName},
};

/// The hosts that the first events in a bucket name.
#[derive(Default)]
pub(super) struct First(Vec<String>);

impl First {
    /// Takes up an object that begins with a first event. One that is not what its name says is nobody's word.
    pub(super) fn add(&mut self, name: &EventsName, bytes: &[u8]) {
        let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let first = Record::parse(line)
            .ok()
            .filter(|first| first.seq == 1 && whole(name, bytes));
        self.0.extend(first.and_then(|first| first.place.host));
    }

    /// The one host that all of them name. Where there are two, nobody can say it by them: anybody may put a first event there.
    pub(super) fn host(self) -> Option<String> {
        let mut named = self.0.into_iter();
        let first = named.next()?;
        named.all(|other| other == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        chain::Head,
        event::{Actor, Event, EventType, Place},
    };

    /// An object with one event, which names this host.
    fn object(host: &str, actor: Actor) -> (EventsName, Vec<u8>) {
        let place = Place {
            host: Some(host.to_owned()),
            ..Place::default()
        };
        let event = Event::new(EventType::AgentStarted, actor).place(place);
        let line = event.line_after(&Head::default(), time::OffsetDateTime::UNIX_EPOCH);
        let line = line.expect("a line");
        let name = EventsName::of(1, &Head::default().after(&line));
        (name, [line, b"\n".to_vec()].concat())
    }

    #[test]
    fn the_host_is_the_one_that_every_first_event_names() {
        let dana = || Actor::person("dana").expect("a name");
        let (own, again) = (object("vault-1", Actor::agent()), object("vault-1", dana()));
        let other = object("vault-2", Actor::agent());
        // Not what its name says.
        let mut forged = other.clone();
        forged.0 = own.0.clone();
        for (objects, host) in [
            (&[own.clone()][..], Some("vault-1")),
            (&[own.clone(), again.clone()], Some("vault-1")),
            (&[forged, own.clone()], Some("vault-1")),
            (&[own, other, again], None),
            (&[], None),
        ] {
            let mut first = First::default();
            for (name, bytes) in objects {
                first.add(name, bytes);
            }
            assert_eq!(first.host().as_deref(), host, "{objects:?}");
        }
    }
}
