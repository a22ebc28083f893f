//! Copies that others hold, epochs that are signed and epochs that are not, and a heartbeat that stops.

use std::{fs, path::Path, process::Command};

use twotap::audit::{
    chain::Head,
    event::{Actor, Event, EventType},
};

use crate::record::{Bundle, Signers, Writer, incident};
use crate::{TAMPERING, USAGE, refused, verified, verify};

struct Desk {
    home: tempfile::TempDir,
    signers: Signers,
}

impl Desk {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a folder"),
            signers: Signers::new(),
        }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn export(&self, bundle: &Bundle) {
        bundle.write(&self.path().join("export"));
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), bytes).expect("written");
    }
}

fn lines(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|l| [l.as_slice(), b"\n"].concat())
        .collect()
}

/// The record put back to its first `kept` events, with a line that says so.
fn put_back(desk: &Desk, whole: &Bundle, kept: usize, held: Head) -> Writer {
    let mut writer = incident(&desk.signers);
    writer.bundle = whole.clone();
    writer.bundle.lines.truncate(kept);
    writer.head = Head::default();
    for line in &writer.bundle.lines {
        writer.head = writer.head.after(line);
    }
    writer.add(
        Event::new(EventType::StoreReset, Actor::agent())
            .detail("epoch", 2)
            .detail("lost_from", kept + 1)
            .detail("held", serde_json::json!(held))
            .detail("by", "the file sink")
            .detail("why", "the store was put back from a backup"),
    );
    writer
}

#[test]
fn a_copy_in_any_shape_agrees_or_names_the_event_on_which_it_does_not() {
    let desk = Desk::new();
    let whole = incident(&desk.signers).done(&desk.signers);
    let count = whole.lines.len();
    desk.export(&whole);

    // Another sink's folder; a syslog file that has the tail alone, and one event twice; a checkout with an incident's lines.
    whole.write(&desk.path().join("sink"));
    let mut syslog = Vec::new();
    for (i, line) in whole.lines.iter().enumerate().skip(3) {
        for _ in 0..=usize::from(i == 7) {
            syslog.extend_from_slice(
                b"<110>1 2026-01-06T10:00:00Z bg-1 twotapd - AUDIT - \xef\xbb\xbf",
            );
            syslog.extend_from_slice(line);
            syslog.push(b'\n');
        }
    }
    desk.file("syslog.log", &syslog);
    let checkout = desk.path().join("checkout");
    fs::create_dir_all(checkout.join("incidents/INC-42")).expect("a folder");
    fs::write(
        checkout.join("incidents/INC-42/events.jsonl"),
        lines(&whole.lines[5..12]),
    )
    .expect("written");
    fs::write(checkout.join("incidents/INC-42/head.note"), &whole.note).expect("written");
    fs::write(checkout.join("README.md"), "evidence").expect("written");
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .args([
                "-c",
                "user.name=sofia",
                "-c",
                "user.email=sofia@example.com",
            ])
            .args(["-c", "init.defaultBranch=main"])
            .args(args)
            .env("HOME", desk.path())
            .current_dir(&checkout)
            .output()
            .expect("git");
        assert!(done.status.success(), "{args:?}: {done:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "INC-42"]);

    let all = [
        "--against",
        "sink",
        "--against",
        "syslog.log",
        "--against",
        "checkout",
    ];
    let (found, warned) = verified(desk.path(), &[&["--export", "export"], &all[..]].concat());
    let agreed: Vec<u64> = found["copies"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|copy| copy["agreed"].as_u64().expect("a number"))
        .collect();
    assert_eq!(agreed, [count as u64, count as u64 - 3, 7]);
    assert_eq!(found["proven_to"], count);
    assert_eq!(found["doubts"], serde_json::json!([]));
    assert!(
        warned.contains("syslog.log lacks 3 of the events"),
        "{warned}"
    );

    // One sink was told another event 9.
    let other = String::from_utf8(whole.lines[8].clone()).expect("text");
    let other = other.replace("INC-42", "INC-43");
    let mut changed = whole.lines.clone();
    changed[8] = other.into_bytes();
    desk.file("other.jsonl", lines(&changed));
    let against = ["--export", "export", "--against", "other.jsonl"];
    let said = refused(desk.path(), &against, TAMPERING);
    assert!(said.contains("other.jsonl has another event 9"), "{said}");

    // One holds more than this record: its end was cut off.
    let mut short = whole.clone();
    short.lines.truncate(count - 2);
    short.note = String::new();
    short.write(&desk.path().join("short"));
    fs::remove_file(desk.path().join("short/checkpoint.note")).expect("removed");
    verified(desk.path(), &["--export", "short"]);
    let said = refused(
        desk.path(),
        &["--export", "short", "--against", "syslog.log"],
        TAMPERING,
    );
    assert!(
        said.contains(&format!("cut off before event {}", count - 1)),
        "{said}"
    );

    // What is no copy is said to be none.
    fs::create_dir(desk.path().join("empty")).expect("a folder");
    let said = refused(
        desk.path(),
        &["--export", "export", "--against", "empty"],
        USAGE,
    );
    assert!(said.contains("no event of a record"), "{said}");
    desk.file("packed.log", [0x1f, 0x8b, 8, 0]);
    let said = refused(
        desk.path(),
        &["--export", "export", "--against", "packed.log"],
        USAGE,
    );
    assert!(said.contains("gzip"), "{said}");
}

#[test]
fn a_new_epoch_is_always_shown_and_believed_only_where_it_is_signed() {
    let desk = Desk::new();
    let whole = incident(&desk.signers).done(&desk.signers);
    let count = whole.lines.len();
    let mut lost = Head::default();
    for line in &whole.lines {
        lost = lost.after(line);
    }
    desk.file("kept.note", &whole.note);
    desk.file("sink.jsonl", lines(&whole.lines));
    let kept = ["--against", "kept.note"];
    let export = ["--export", "export"];

    let mut writer = put_back(&desk, &whole, count - 4, lost);
    writer.checkpoint(&desk.signers);
    desk.export(&writer.done(&desk.signers));
    let (found, warned) = verified(desk.path(), &[&export[..], &kept].concat());
    let epoch = &found["epochs"][0];
    assert_eq!(
        (&epoch["epoch"], &epoch["held"]["seq"]),
        (&2.into(), &count.into())
    );
    assert_eq!(epoch["signed_by"], "host-1");
    let told = format!(
        "begins epoch 2 of the record, signed by host-1: events {} to {count} of the one before are lost",
        count - 3
    );
    assert!(warned.contains(&told), "{warned}");
    // A sink that still has them is the place to get them from.
    let (found, _) = verified(
        desk.path(),
        &[&export[..], &["--against", "sink.jsonl"]].concat(),
    );
    assert_eq!(found["copies"][0]["holds_lost_of"], serde_json::json!([2]));
    assert_eq!(found["copies"][0]["lost"], 4);
    let python = python(&desk.path().join("export"));
    assert!(python.0, "{}", python.1);
    assert!(python.1.contains("begins epoch 2"), "{}", python.1);

    // Nobody has signed it: what it says is the host's word, and what was lost was cut off.
    let mut writer = put_back(&desk, &whole, count - 4, lost);
    writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
    writer.checkpoint(&desk.signers);
    desk.export(&writer.done(&desk.signers));
    for args in [&export[..], &[&export[..], &kept].concat()] {
        let said = refused(desk.path(), args, TAMPERING);
        let told = format!(
            "event {} begins a new epoch of the record, and no listed key",
            count - 3
        );
        assert!(said.contains(&told), "{said}");
    }
    assert!(!self::python(&desk.path().join("export")).0);

    // It admits to less than others have seen.
    let mut less = lost;
    less.seq -= 1;
    let mut writer = put_back(&desk, &whole, count - 4, less);
    writer.checkpoint(&desk.signers);
    desk.export(&writer.done(&desk.signers));
    verified(desk.path(), &export);
    let said = refused(desk.path(), &[&export[..], &kept].concat(), TAMPERING);
    assert!(said.contains("host-1 vouches for it up to event"), "{said}");
}

/// A checkpoint that is signed so many seconds after ten o'clock; the events of an incident take some twenty.
fn checkpoint_at(desk: &Desk, writer: &mut Writer, seconds: i64) -> String {
    let at = time::macros::datetime!(2026-01-06 10:00:00 UTC) + time::Duration::seconds(seconds);
    let signers = &desk.signers;
    let note = signers.checkpoint.sign(&signers.origin, &writer.head, at);
    let note = note.expect("signed");
    let event = Event::new(EventType::Checkpoint, Actor::agent());
    writer.add(event.detail("note", note.as_str()));
    note
}

/// The numbers that an epoch says were lost stand in the new history, too: there they are as safe as any.
#[test]
fn an_epoch_excuses_what_was_lost_and_not_what_was_written_since() {
    let desk = Desk::new();
    let whole = incident(&desk.signers).done(&desk.signers);
    let count = whole.lines.len();
    let mut lost = Head::default();
    for line in &whole.lines {
        lost = lost.after(line);
    }
    let told = |what: EventType| {
        let mut writer = put_back(&desk, &whole, count - 6, lost);
        checkpoint_at(&desk, &mut writer, 24);
        writer.add(Event::new(what, Actor::agent()));
        let note = checkpoint_at(&desk, &mut writer, 60);
        let mut bundle = writer.done(&desk.signers);
        bundle.note = note;
        bundle
    };
    let first = told(EventType::ReadinessDegraded);
    let rewritten = told(EventType::AgentStarted);
    let at = count - 3;
    assert!(at < count, "the epoch names a later head as lost");

    // What others hold of it: a checkpoint, a sink that was sent all, and one that was sent little.
    desk.file("kept.note", &whole.note);
    desk.file("since.note", &first.note);
    desk.file(
        "all.jsonl",
        [lines(&whole.lines), lines(&first.lines)].concat(),
    );
    desk.file("old.jsonl", lines(&whole.lines[count - 5..count - 2]));
    desk.file("little.jsonl", lines(&first.lines[at - 1..at]));
    let against = |name| ["--export", "export", "--against", name];
    desk.export(&first);
    let all = [
        "kept.note",
        "since.note",
        "all.jsonl",
        "old.jsonl",
        "little.jsonl",
    ];
    for name in all {
        verified(desk.path(), &against(name));
    }
    let (found, _) = verified(desk.path(), &against("old.jsonl"));
    assert_eq!(found["copies"][0]["lost"], 3);
    assert!(python(&desk.path().join("export")).0);

    desk.export(&rewritten);
    for name in ["kept.note", "old.jsonl"] {
        verified(desk.path(), &against(name));
    }
    let said = refused(desk.path(), &against("since.note"), TAMPERING);
    assert!(said.contains("was rewritten: host-1"), "{said}");
    for name in ["all.jsonl", "little.jsonl"] {
        let said = refused(desk.path(), &against(name), TAMPERING);
        assert!(
            said.contains(&format!("{name} has another event {at}")),
            "{said}"
        );
    }
    let mut forged = rewritten;
    forged.note = first.note;
    desk.export(&forged);
    let (good, said) = python(&desk.path().join("export"));
    assert!(
        !good && said.contains("vouches for another event"),
        "{said}"
    );
}

#[test]
fn says_up_to_which_event_by_whom_and_names_a_heartbeat_that_stopped() {
    let desk = Desk::new();
    let mut writer = incident(&desk.signers);
    writer.checkpoint(&desk.signers);
    let proven = writer.head.seq - 1;
    writer.add(Event::new(EventType::ReadinessDegraded, Actor::agent()));
    let mut bundle = writer.done(&desk.signers);
    // What is beside it is the checkpoint that stands in it, as a sink has it.
    bundle.note = desk.signers.note(Head {
        seq: 0,
        hash: Head::default().hash,
    });
    desk.export(&bundle);
    let done = verify(desk.path(), &["--export", "export"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let told =
        format!("proven to event {proven} by host-1; beyond that only the host's word (2 events)");
    assert!(said.contains(&told), "{said}");

    // The notes in it are dated, and two of them lie hours apart.
    let note = |writer: &mut Writer, hours: i64| {
        let at = time::macros::datetime!(2026-01-06 10:00:00 UTC) + time::Duration::hours(hours);
        let note = desk
            .signers
            .checkpoint
            .sign(&desk.signers.origin, &writer.head, at);
        let event = Event::new(EventType::Checkpoint, Actor::agent());
        writer.add(event.detail("note", note.expect("signed")));
    };
    let mut writer = incident(&desk.signers);
    for hours in [1, 2, 5] {
        note(&mut writer, hours);
    }
    desk.export(&writer.done(&desk.signers));
    let (found, warned) = verified(desk.path(), &["--export", "export"]);
    assert_eq!(found["gaps"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["gaps"][0]["seconds"], 3 * 3600);
    assert!(
        warned.contains("no head was signed for 3h between events"),
        "{warned}"
    );
    assert!(warned.contains("it signs every 1h"), "{warned}");
}

/// `packaging/verify.py` as anybody runs it; whether it finds nothing wrong, and what it says.
pub(crate) fn python(export: &Path) -> (bool, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/verify.py");
    let done = Command::new("python3")
        .arg("-B")
        .arg(program)
        .arg(export)
        .env_clear()
        .output()
        .expect("Python");
    let said = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
