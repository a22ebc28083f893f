//! Records for tests.

use time::OffsetDateTime;
use time::macros::datetime;

use super::chain::Head;
use super::event::{Actor, Event, EventType, Place};

/// The time at which everything in tests happens.
pub(super) const NOW: OffsetDateTime = datetime!(2026-01-06 10:00:00.123 UTC);

/// The `n`th event of a record; every third carries an envelope.
pub(super) fn event(n: u64) -> Event {
    // Not those that mean something to whoever reads the chain: they say more than a sample does.
    let plain = |kind: &&EventType| !matches!(kind, EventType::Checkpoint | EventType::StoreReset);
    let types: Vec<&EventType> = EventType::ALL.iter().filter(plain).collect();
    let event_type = *types[usize::try_from(n).unwrap() % types.len()];
    let event = Event::new(event_type, Actor::person("alice").unwrap())
        .correlation("r-abcdefghijklm")
        .incident("INC-42")
        .justification(format!("für alle, n° {n} \"quoted\""))
        .place(Place {
            host: Some("bg-1".into()),
            ..Place::default()
        })
        .detail("n", n);
    if n.is_multiple_of(3) {
        event.envelope("approve", format!("{{\"envelope\":{n}}}"))
    } else {
        event
    }
}

/// The lines of a record of `n` events.
pub(super) fn lines(n: u64) -> Vec<Vec<u8>> {
    let mut head = Head::default();
    (1..=n)
        .map(|i| {
            let line = event(i).line_after(&head, NOW).unwrap();
            head = head.after(&line);
            line
        })
        .collect()
}

/// The head after each line; `heads(lines)[0]` is the empty record's.
pub(super) fn heads(lines: &[Vec<u8>]) -> Vec<Head> {
    let after = lines.iter().scan(Head::default(), |head, line| {
        *head = head.after(line);
        Some(*head)
    });
    std::iter::once(Head::default()).chain(after).collect()
}

/// The lines as a file has them.
pub(super) fn file(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|l| l.iter().copied().chain([b'\n']))
        .collect()
}
