//! A record is proven by its own host's key: another host's, which the roster lists as well, proves nothing of it, to both verifiers.

use ed25519_dalek::SigningKey;
use twotap::{
    audit::{
        chain::Head,
        checkpoint::CheckpointKey,
        event::{Actor, Event, EventType},
        verify::Problem,
    },
    trust::{
        PublicKey,
        roster::{Host, Roster},
    },
};

use crate::{
    cases,
    record::{BEGAN, Bundle, Python, Signers, Writer, incident},
};

/// Another host: its key for checkpoints, as it signs, and itself as a roster lists it.
struct Other {
    checkpoint: CheckpointKey,
    listed: Host,
    _folder: tempfile::TempDir,
}

impl Other {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoint = CheckpointKey::open_or_create(&folder.path().join("key"), name);
        let checkpoint = checkpoint.unwrap_or_else(|why| panic!("{why}"));
        let listed = Host {
            name: name.to_owned(),
            key: PublicKey::Ed25519(SigningKey::from_bytes(&[42; 32]).verifying_key()),
            checkpoint_key: PublicKey::Ed25519(*checkpoint.public().key()),
        };
        Self {
            checkpoint,
            listed,
            _folder: folder,
        }
    }

    fn note(&self, origin: &str, head: Head) -> String {
        self.checkpoint.sign(origin, &head, BEGAN).expect("signed")
    }

    fn id(&self) -> String {
        self.listed.key.id().to_string()
    }

    /// In the place of the host that the roster lists.
    fn replaces(&self, roster: &mut Roster) {
        replace(roster, &self.listed);
    }

    /// People have their accounts here, and not at the first host any more.
    fn takes_accounts(&self, roster: &mut Roster) {
        take_accounts(roster, &self.listed);
    }
}

fn replace(roster: &mut Roster, by: &Host) {
    take_accounts(roster, by);
    roster.hosts[0] = by.clone();
}

fn take_accounts(roster: &mut Roster, host: &Host) {
    let before = roster.hosts[0].key.id();
    for account in roster.people.iter_mut().flat_map(|p| &mut p.accounts) {
        if account.host == before {
            account.host = host.key.id();
        }
    }
}

fn both(python: &mut Python, bundle: &Bundle) -> (Option<u64>, u64, Vec<Problem>) {
    let (found, problems) = bundle.verdict();
    let (by_python, why) = python.verdict(bundle);
    assert_eq!(by_python, found, "python says {why:?}; {problems:?}");
    (found.bad, found.proven, problems)
}

#[test]
fn another_listed_hosts_checkpoint_proves_nothing_of_this_record() {
    let other = Other::new("host-2");
    let signers = Signers::under(|roster| roster.hosts.push(other.listed.clone()));
    let mut python = Python::start();
    let whole = incident(&signers).done(&signers);
    let (bad, proven, problems) = both(&mut python, &whole);
    assert_eq!(
        (bad, proven),
        (None, whole.lines.len() as u64),
        "{problems:?}"
    );
    let head = *cases::heads(&whole.lines).last().expect("one");

    // Beside the record, and in it; and whichever host it says that it speaks for.
    for origin in [other.id(), signers.origin.clone(), "nobody".to_owned()] {
        let mut beside = whole.clone();
        beside.note = other.note(&origin, head);
        let (bad, proven, problems) = both(&mut python, &beside);
        assert_eq!(bad, Some(0), "{origin}: {problems:?}");
        assert!(proven < head.seq, "{origin}");
        let said = problems[0].to_string();
        assert!(said.contains("host host-2 has signed it"), "{said}");

        let mut inside = incident(&signers);
        let end = inside.head;
        inside.carry(&other.note(&origin, end));
        inside.add(Event::new(EventType::AgentStarted, Actor::agent()));
        let (bad, _, problems) = both(&mut python, &inside.done(&signers));
        assert_eq!(bad, Some(end.seq + 1), "{origin}: {problems:?}");
    }
    // Nor may its own key speak for the other.
    let mut foreign = whole.clone();
    foreign.note = signers
        .checkpoint
        .sign(&other.id(), &head, BEGAN)
        .expect("signed");
    assert_eq!(both(&mut python, &foreign).0, Some(0));
}

/// Also where nothing of its own host's has signed it before: its lines say whose it is.
#[test]
fn the_names_in_the_lines_say_whose_the_first_checkpoint_has_to_be() {
    let other = Other::new("host-2");
    let signers = Signers::under(|roster| roster.hosts.push(other.listed.clone()));
    let mut python = Python::start();
    for (name, by_other, bad) in [
        ("host-1", false, None),
        ("host-1", true, Some(2)),
        ("host-2", true, None),
        ("host-2", false, Some(2)),
    ] {
        let mut writer = Writer::new(&signers);
        writer.host = name.to_owned();
        writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
        let sign = |head| match by_other {
            true => other.note(&other.id(), head),
            false => signers.note(head),
        };
        writer.carry(&sign(writer.head));
        let end = writer.head;
        let mut bundle = writer.done(&signers);
        bundle.note = sign(end);
        let (found, _, problems) = both(&mut python, &bundle);
        // What is beside the record is told first.
        let first = bad.map(|_| 0);
        assert_eq!(found, first, "{name}: {problems:?}");
        let inside = problems.iter().map(Problem::seq).max();
        assert_eq!(inside, bad, "{name}: {problems:?}");
    }
}

/// Also where a later line names another: it is not its record that another listed host has begun.
#[test]
fn a_record_that_nobody_has_signed_is_not_taken_over_by_a_name() {
    let other = Other::new("host-2");
    let signers = Signers::under(|roster| roster.hosts.push(other.listed.clone()));
    let mut python = Python::start();
    for (first, bad) in [("host-1", Some(3)), ("host-2", None)] {
        let mut writer = Writer::new(&signers);
        for name in [first, "host-2"] {
            writer.host = name.to_owned();
            writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
        }
        writer.carry(&other.note(&other.id(), writer.head));
        let end = writer.head;
        let mut bundle = writer.done(&signers);
        bundle.note = other.note(&other.id(), end);
        let (_, _, problems) = both(&mut python, &bundle);
        assert_eq!(problems.iter().map(Problem::seq).max(), bad, "{problems:?}");
    }
}

/// Its thief puts the store back to where it had signed last; its successor has signed what is said to be lost.
#[test]
fn a_struck_out_key_neither_excuses_nor_accuses() {
    let signers = Signers::new();
    let other = Other::new("host-1");
    let mut python = Python::start();
    let mut writer = incident(&signers);
    let listed = signers.paper.roster.hosts[0].clone();
    writer.next_roster(&signers, |roster| other.replaces(roster));
    let old = writer.head;
    writer.carry(&other.note(&other.id(), old));
    for _ in 0..3 {
        writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
    }
    let end = writer.head;
    let whole = writer.done(&signers);
    let by_old = |head| signers.note(head);
    let by_new = |head| other.note(&other.id(), head);
    let heads = cases::heads(&whole.lines);
    // What was signed beside the record, put back to `old` and signed so.
    let mut put_back = |came_back: bool, signs: &dyn Fn(Head) -> String, beside: String| {
        let mut writer = incident(&signers);
        writer.bundle = whole.clone();
        writer
            .bundle
            .lines
            .truncate(usize::try_from(old.seq).expect("small"));
        writer.head = old;
        if came_back {
            writer.next_roster(&signers, |roster| replace(roster, &listed));
        }
        writer.add(
            Event::new(EventType::StoreReset, Actor::agent())
                .detail("epoch", 2)
                .detail("lost_from", old.seq + 1)
                .detail("held", serde_json::json!(end))
                .detail("by", "the file sink")
                .detail("why", "the store was put back from a backup"),
        );
        writer.carry(&signs(writer.head));
        let mut bundle = writer.done(&signers);
        bundle.note = beside;
        both(&mut python, &bundle).0
    };
    for head in [heads[heads.len() - 2], end] {
        assert!(put_back(false, &by_old, by_new(head)).is_some(), "{head:?}");
        assert_eq!(put_back(false, &by_new, by_new(head)), None, "{head:?}");
        assert_eq!(put_back(false, &by_new, by_old(head)), None, "{head:?}");
        // The old one is back in its place.
        assert_eq!(put_back(true, &by_old, by_new(head)), None, "{head:?}");
    }
    // Its word against the record is said to be its.
    let forged = |seq| Head { seq, ..old };
    for seq in [end.seq, 1_000_000] {
        let mut accused = whole.clone();
        accused.note = by_old(forged(seq));
        let (bad, _, problems) = both(&mut python, &accused);
        assert_eq!((bad, problems.len()), (Some(0), 1), "{problems:?}");
        let said = problems[0].to_string();
        assert!(
            said.contains("no roster lists any more") && said.contains("a thief's"),
            "{said}"
        );
    }
    // Before its successor came it counts in full.
    let mut earlier = whole.clone();
    earlier.note = by_old(Head { seq: 4, ..old });
    let (bad, _, problems) = both(&mut python, &earlier);
    assert!(
        matches!(problems[..], [Problem::Rewritten { seq: 4, .. }]),
        "{bad:?} {problems:?}"
    );
}

/// The spare's key is the one that was struck out.
#[test]
fn where_a_host_comes_back_its_successor_proves_nothing_any_more() {
    let signers = Signers::new();
    let other = Other::new("host-1");
    let mut python = Python::start();
    let listed = signers.paper.roster.hosts[0].clone();
    let mut writer = incident(&signers);
    writer.next_roster(&signers, |roster| other.replaces(roster));
    writer.carry(&other.note(&other.id(), writer.head));
    let between = writer.head;
    writer.next_roster(&signers, |roster| replace(roster, &listed));
    writer.carry(&signers.note(writer.head));
    writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
    let end = writer.head;
    let mut bundle = writer.done(&signers);
    for (note, bad) in [
        (signers.note(end), None),
        (other.note(&other.id(), between), None),
        (other.note(&other.id(), end), Some(0)),
    ] {
        bundle.note = note;
        let (found, _, problems) = both(&mut python, &bundle);
        assert_eq!(found, bad, "{problems:?}");
    }
}

#[test]
fn another_listed_host_begins_no_epoch_of_this_record() {
    let other = Other::new("host-2");
    let signers = Signers::under(|roster| roster.hosts.push(other.listed.clone()));
    let mut python = Python::start();
    let whole = incident(&signers).done(&signers);
    let heads = cases::heads(&whole.lines);
    let lost = *heads.last().expect("one");
    let back = usize::try_from(lost.seq).expect("small") - 5;
    let mut put_back = |signs: &dyn Fn(Head) -> String| {
        let mut writer = incident(&signers);
        writer.bundle = whole.clone();
        writer.bundle.lines.truncate(back);
        writer.head = heads[back];
        writer.add(
            Event::new(EventType::StoreReset, Actor::agent())
                .detail("epoch", 2)
                .detail("lost_from", back + 1)
                .detail("held", serde_json::json!(lost))
                .detail("by", "the file sink")
                .detail("why", "the store was put back from a backup"),
        );
        let note = signs(writer.head);
        writer.carry(&note);
        let mut bundle = writer.done(&signers);
        bundle.note = whole.note.clone();
        both(&mut python, &bundle).0
    };
    assert_eq!(put_back(&|head| signers.note(head)), None);
    let at = back as u64 + 1;
    for origin in [&other.id(), &signers.origin] {
        assert_eq!(put_back(&|head| other.note(origin, head)), Some(at));
    }
}

/// The machine has burnt, and its record goes on at another that the roster lists in its place.
#[test]
fn a_host_that_was_replaced_goes_on_with_the_record() {
    for name in ["host-1", "host-9"] {
        let signers = Signers::new();
        let other = Other::new(name);
        let mut python = Python::start();
        let mut writer = incident(&signers);
        writer.next_roster(&signers, |roster| other.replaces(roster));
        let handed_over = writer.head;
        writer.carry(&other.note(&other.id(), handed_over));
        writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
        let end = writer.head;
        let mut bundle = writer.done(&signers);
        bundle.note = other.note(&other.id(), end);
        let (bad, proven, problems) = both(&mut python, &bundle);
        assert_eq!((bad, proven), (None, end.seq), "{name}: {problems:?}");
        // What was handed out before is good as well.
        bundle.note = signers.note(handed_over);
        assert_eq!(both(&mut python, &bundle).0, None, "{name}");
        // What whoever has the burnt one's key signs since is not, beside the record and in it.
        bundle.note = signers.note(end);
        let (bad, proven, problems) = both(&mut python, &bundle);
        assert_eq!(
            (bad, proven),
            (Some(0), handed_over.seq),
            "{name}: {problems:?}"
        );
        let said = problems[0].to_string();
        assert!(
            said.contains("a key that no roster lists any more"),
            "{said}"
        );
        let mut writer = incident(&signers);
        writer.next_roster(&signers, |roster| other.replaces(roster));
        let before = writer.head;
        writer.carry(&signers.note(before));
        writer.carry(&other.note(&other.id(), writer.head));
        writer.carry(&signers.note(writer.head));
        let at = writer.head.seq;
        let mut bundle = writer.done(&signers);
        bundle.note = signers.note(before);
        let (bad, _, problems) = both(&mut python, &bundle);
        assert_eq!(bad, Some(at), "{name}: {problems:?}");
        // Who is listed beside the new one later is another host.
        let mut stranger = Other::new("host-5");
        stranger.listed.key = PublicKey::Ed25519(SigningKey::from_bytes(&[43; 32]).verifying_key());
        let mut writer = incident(&signers);
        let (own, third) = (&other, stranger.listed.clone());
        writer.next_roster(&signers, |roster| {
            own.replaces(roster);
            roster.hosts.push(third);
        });
        let before = writer.head;
        writer.carry(&other.note(&other.id(), before));
        writer.carry(&stranger.note(&stranger.id(), writer.head));
        let mut bundle = writer.done(&signers);
        bundle.note = other.note(&other.id(), before);
        let (bad, _, problems) = both(&mut python, &bundle);
        assert_eq!(bad, Some(before.seq + 2), "{name}: {problems:?}");
    }
}

/// The machine is lost and struck out at once; another takes its place, and its record, weeks later.
#[test]
fn a_host_that_is_replaced_later_goes_on_with_the_record() {
    let other = Other::new("host-9");
    let mut beside = Other::new("host-5");
    beside.listed.key = PublicKey::Ed25519(SigningKey::from_bytes(&[43; 32]).verifying_key());
    let signers = Signers::under(|roster| roster.hosts.push(beside.listed.clone()));
    let mut python = Python::start();
    for (by, good) in [(&other, true), (&beside, false)] {
        let mut writer = incident(&signers);
        writer.next_roster(&signers, |roster| {
            beside.takes_accounts(roster);
            roster.hosts.remove(0);
        });
        writer.next_roster(&signers, |roster| roster.hosts.push(other.listed.clone()));
        let before = writer.head;
        writer.carry(&by.note(&by.id(), before));
        let at = writer.head.seq;
        let mut bundle = writer.done(&signers);
        bundle.note = signers.note(before);
        let (bad, _, problems) = both(&mut python, &bundle);
        assert_eq!(bad, (!good).then_some(at), "{problems:?}");
    }
}
