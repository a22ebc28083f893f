//! What others hold: copies, epochs that excuse what was lost, and the heartbeat.

use super::*;
use crate::audit::event::{Actor, Event};
use time::Duration;

/// A record as it is written: each line on the one before.
#[derive(Clone, Default)]
struct Book {
    lines: Vec<Vec<u8>>,
    head: Head,
}

impl Book {
    fn of(n: u64) -> Self {
        let mut book = Self::default();
        for i in 1..=n {
            book.add(&event(i), NOW);
        }
        book
    }

    fn add(&mut self, event: &Event, now: time::OffsetDateTime) {
        let line = event.line_after(&self.head, now).unwrap();
        self.head = self.head.after(&line);
        self.lines.push(line);
    }

    fn sign(&mut self, now: time::OffsetDateTime) -> String {
        let note = KEY.sign("host-1", &self.head, now).unwrap();
        let event = Event::new(EventType::Checkpoint, Actor::agent()).detail("note", note.as_str());
        self.add(&event, now);
        note
    }

    fn reset(&mut self, epoch: u64, lost_from: u64, held: Head) {
        let event = Event::new(EventType::StoreReset, Actor::agent())
            .detail("epoch", epoch)
            .detail("lost_from", lost_from)
            .detail("held", serde_json::json!(held))
            .detail("by", "the file sink")
            .detail("why", "the store was put back");
        self.add(&event, NOW);
    }

    fn file(&self) -> Vec<u8> {
        file(&self.lines)
    }
}

/// A record of 12 events that was put back to 8: what others saw of it, the record now, and the lost lines.
fn put_back() -> (Book, Book, String) {
    let mut old = Book::of(11);
    let note = old.sign(NOW);
    let mut new = Book::of(8);
    new.reset(2, 9, old.head);
    (old, new, note)
}

fn looked_at(book: &Book, notes: &[String], copies: &[Copy]) -> Report {
    let evidence = Evidence {
        keys: &KEYS,
        checkpoints: notes,
        copies,
        ..Evidence::default()
    };
    verify(&book.file()[..], &evidence, &mut no_envelopes).unwrap()
}

fn copy(name: &str, bytes: &[u8]) -> Copy {
    let mut copy = Copy::new(name);
    copy.read(bytes).unwrap();
    copy
}

#[test]
fn a_signed_epoch_excuses_what_it_says_was_lost_and_nothing_else() {
    let (old, mut new, note) = put_back();
    // Unsigned it excuses nothing, whatever comes after it.
    let unsigned = looked_at(&new, std::slice::from_ref(&note), &[]);
    assert!(matches!(
        unsigned.problems[..],
        [Problem::Epoch { seq: 9, .. }, Problem::Truncated { .. }]
    ));
    let mut other = new.clone();
    other.add(&event(1), NOW);
    other.sign(NOW);
    let late = looked_at(&other, std::slice::from_ref(&note), &[]);
    assert_eq!(late.first_problem().map(Problem::seq), Some(9));

    new.sign(NOW);
    for n in 11..=14 {
        new.add(&event(n), NOW);
    }
    let report = looked_at(&new, std::slice::from_ref(&note), &[]);
    assert!(report.is_good(), "{:?}", report.problems);
    let reset = &report.resets[0];
    assert_eq!((reset.epoch, reset.lost(), reset.held), (2, 4, old.head));
    assert_eq!(reset.signed_by.as_deref(), Some("twotap.example/audit"));

    // A head before what was lost, and one after it, still count against the record.
    let before = Head {
        seq: 7,
        hash: old.head.hash,
    };
    let mut longer = old.clone();
    longer.add(&event(13), NOW);
    for (head, at) in [(before, 7), (longer.head, 13)] {
        let problems = looked_at(&new, &[super::note(head)], &[]).problems;
        assert!(
            matches!(&problems[..], [Problem::Rewritten { seq, .. }] if *seq == at),
            "{problems:?}"
        );
    }
    // So does another event in the place of the head that it names.
    let forged = Head {
        seq: 12,
        hash: Hash::of(b"another"),
    };
    assert!(!looked_at(&new, &[super::note(forged)], &[]).is_good());
}

#[test]
fn an_epoch_that_says_what_cannot_be_is_named() {
    let (old, new, _) = put_back();
    for (epoch, lost_from, held) in [
        (3, 9, old.head),
        (1, 9, old.head),
        (2, 10, old.head),
        (2, 0, old.head),
        (2, 9, Head { seq: 7, ..old.head }),
        (2, 9, Head { seq: 8, ..old.head }),
    ] {
        let mut book = Book::of(8);
        book.reset(epoch, lost_from, held);
        book.sign(NOW);
        let report = looked_at(&book, &[], &[]);
        assert!(
            matches!(report.problems[..], [Problem::Epoch { seq: 9, .. }]),
            "epoch {epoch} from {lost_from}: {:?}",
            report.problems
        );
    }
    // Nothing lost that anybody knows of: the head that they hold is this record's.
    let mut book = Book::of(8);
    book.reset(2, 9, book.head);
    book.sign(NOW);
    assert!(looked_at(&book, &[], &[]).is_good());
    // Who has no key is told that it was not checked.
    let report = verify(&new.file()[..], &Evidence::default(), &mut no_envelopes).unwrap();
    assert_eq!(
        (report.is_good(), &report.resets[0].signed_by),
        (true, &None)
    );
}

#[test]
fn a_copy_with_the_lost_events_is_known_as_such() {
    let (old, mut new, note) = put_back();
    new.sign(NOW);
    // As a sink has it that went on from there: the old events, then the new ones.
    let both = [old.file(), file(&new.lines[8..])].concat();
    let report = looked_at(&new, &[note], &[copy("sink", &both)]);
    assert!(report.is_good(), "{:?}", report.problems);
    let standing = &report.copies[0];
    assert_eq!((standing.agreed, standing.lost, standing.lacks), (10, 4, 0));
    assert_eq!(standing.holds_lost_of, [2]);
    let one_short = [file(&old.lines[..9]), file(&old.lines[10..])].concat();
    let report = looked_at(&new, &[], &[copy("sink", &one_short)]);
    assert_eq!(report.copies[0].holds_lost_of, [0; 0]);
}

#[test]
fn where_two_copies_disagree_is_found() {
    let mut book = Book::of(6);
    book.sign(NOW);
    book.add(&event(8), NOW);
    // A syslog file: headers, other people's lines, one event twice.
    let mut syslog = Vec::new();
    for (i, line) in book.lines.iter().enumerate() {
        let header = "<110>1 2026-01-06T10:00:00Z bg-1 twotapd 7 AUDIT - ";
        for _ in 0..=usize::from(i == 3) {
            syslog.extend_from_slice(header.as_bytes());
            syslog.extend_from_slice(line);
            syslog.extend_from_slice(b" \r\n");
        }
        syslog.extend_from_slice(b"<30>1 - bg-1 cron 8 - - {\"v\":1} is no event\n");
    }
    let report = looked_at(&book, &[], &[copy("syslog", &syslog)]);
    assert!(report.is_good(), "{:?}", report.problems);
    assert_eq!((report.copies[0].agreed, report.proven_to()), (8, 8));
    assert_eq!(report.newest_proof().unwrap().source, Source::Copy);

    // The other was told another event 5, and all that follows from it, signed by the same key.
    let mut other = Book::of(4);
    other.add(&event(50), NOW);
    other.add(&event(6), NOW);
    other.sign(NOW);
    let problems = looked_at(&book, &[], &[copy("other", &other.file())]).problems;
    assert!(
        matches!(&problems[..], [Problem::Disagrees { seq: 5, by }, Problem::Rewritten { seq: 6, .. }] if by == "other"),
        "{problems:?}"
    );
    // It holds more than this record does.
    let mut longer = book.clone();
    longer.add(&event(9), NOW);
    let problems = looked_at(&book, &[], &[copy("longer", &longer.file())]).problems;
    let by = "longer".to_owned();
    assert_eq!(
        problems,
        [Problem::Truncated {
            seq: 9,
            held: 9,
            by
        }]
    );
    // Cut off in the middle of a line; and a line left out, which may be as it should.
    let whole = book.file();
    let cut = copy("cut", &whole[..whole.len() - 9]);
    let problems = looked_at(&book, &[], &[cut]).problems;
    assert!(matches!(
        &problems[..],
        [Problem::Unreadable { line: 8, .. }]
    ));
    let without = [file(&book.lines[..2]), file(&book.lines[3..])].concat();
    let report = looked_at(&book, &[], &[copy("without", &without)]);
    assert_eq!((report.is_good(), report.copies[0].lacks), (true, 1));
}

#[test]
fn a_gap_longer_than_stated_is_named() {
    let started = Event::new(EventType::AgentStarted, Actor::agent())
        .detail("checkpoint_every_seconds", 3600);
    let mut book = Book::default();
    book.add(&started, NOW);
    let mut now = NOW;
    book.sign(now);
    for _ in 0..3 {
        now += Duration::seconds(3602);
        book.sign(now);
    }
    assert_eq!(looked_at(&book, &[], &[]).gaps, []);

    now += Duration::hours(3);
    book.add(&event(1), now);
    book.sign(now);
    now += Duration::hours(30);
    book.add(&started, now);
    book.sign(now);
    // And after the last one the record goes on.
    now += Duration::minutes(62);
    book.add(&event(2), now);
    let gaps = looked_at(&book, &[], &[]).gaps;
    let found: Vec<_> = gaps
        .iter()
        .map(|gap| (gap.from_seq, gap.to_seq, gap.seconds, gap.restarted))
        .collect();
    assert_eq!(
        found,
        [
            (5, 7, 3 * 3600, false),
            (7, 9, 30 * 3600, true),
            (9, 10, 62 * 60, false)
        ]
    );
}
