//! What leaves with `twotap audit export`: some of the events are those, a long one is whole and takes no memory, and what is not whole does not stay.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::{Command, Output, Stdio},
};

use time::{OffsetDateTime, macros::datetime};
use twotap::{
    audit::event::{Actor, Event, EventType, Record},
    ceremony::Stage,
};
use twotap_rig::{memory, tools};

use super::agent_support::{DANA, Host, SOFIA, paper::Paper};

/// `twotap audit` by the officer, in a folder of her own, through a shell that has first done `before`.
fn command(host: &Host, before: &str, arguments: &[&str]) -> Command {
    let twotap = host.path("twotap");
    if !twotap.exists() {
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &twotap).expect("copied");
        let own = host.path("sofia");
        fs::create_dir(&own).expect("a folder");
        chown(&own, Some(SOFIA), Some(SOFIA)).expect("owner");
    }
    let id = SOFIA.to_string();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .args(["sh", "-c", &format!("{before} exec \"$@\""), "sh"])
        .arg(twotap)
        .arg("--agent")
        .arg(host.socket())
        .arg("audit")
        .args(arguments)
        .env("HOME", host.path("sofia"))
        .current_dir(host.path("sofia"));
    command
}

pub(crate) fn export(host: &Host, arguments: &[&str]) -> Output {
    audit(host, "export", arguments)
}

fn audit(host: &Host, verb: &str, arguments: &[&str]) -> Output {
    let all = [&[verb], arguments].concat();
    command(host, "", &all).output().expect("twotap runs")
}

pub(crate) fn good(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// To the second, from that one on, and up to that one without it.
#[test]
fn a_time_parts_the_record_where_it_says() {
    let mut host = Host::prepare(Paper::new());
    let times = [
        datetime!(2026-01-06 09:59:59.999 UTC),
        datetime!(2026-01-06 10:00:00 UTC),
        datetime!(2026-01-06 10:00:00.999 UTC),
        datetime!(2026-01-06 10:00:01 UTC),
        datetime!(2026-01-07 00:00:00 UTC),
    ];
    put(&host, times.map(|at| (act("x"), at)));
    host.start_agent();
    let found = |times: &[&str]| -> Vec<u64> {
        let all = good(export(&host, &[&["-o", "-"], times].concat()));
        let lines = all.lines().map(|l| Record::parse(l.as_bytes()));
        let seqs = lines.map(|l| l.expect("a line").seq);
        seqs.filter(|seq| *seq <= 5).collect()
    };
    for (times, wanted) in [
        (&[][..], &[1, 2, 3, 4, 5][..]),
        (&["--since", "2026-01-06T10:00:00Z"], &[2, 3, 4, 5]),
        (&["--until", "2026-01-06T10:00:00Z"], &[1]),
        (&["--until", "2026-01-06T10:00:01Z"], &[1, 2, 3]),
        (&["--since", "2026-01-06T10:00:01Z"], &[4, 5]),
        (
            &["--since", "2026-01-06T10:00:00Z", "--until", "2026-01-07"],
            &[2, 3, 4],
        ),
        (&["--since", "2026-01-07"], &[5]),
        (&["--since", "2020-01-01"], &[1, 2, 3, 4, 5]),
        (&["--until", "2020-01-01"], &[]),
    ] {
        assert_eq!(found(times), wanted, "{times:?}");
    }
    // A time at which nothing can be is a mistake; one at which nothing was is said.
    let turned = ["-o", "-", "--since", "2026-01-07", "--until", "2026-01-07"];
    let output = export(&host, &turned);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("--since is not before --until"),
        "{said}"
    );
    for none in [
        &["--until", "2020-01-01"][..],
        &["--request", "r-aaaaaaaaaaaaa"],
    ] {
        let output = export(&host, &[&["-o", "-"], none].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && output.stdout.is_empty() && said.contains("none of the"),
            "{said}"
        );
    }
}

#[test]
fn some_of_the_events_are_those_that_were_asked_for() {
    let host = Host::start();
    let one = host.open();
    assert_eq!(host.close(DANA, &one.id, false).status, 200);
    host.reach(&one.id, Stage::Closed);
    let record = host.events();

    let own = good(export(
        &host,
        &["--format", "jsonl", "--request", &one.id, "-o", "-"],
    ));
    let own: Vec<Record> = own
        .lines()
        .map(|l| Record::parse(l.as_bytes()).expect("a line"))
        .collect();
    assert!(!own.is_empty() && own.len() < record.len());
    assert!(
        own.iter()
            .all(|e| e.correlation_id.as_deref() == Some(one.id.as_str()))
    );

    // A folder is the whole record or none; a time is a time.
    for (arguments, said) in [
        (
            &["-o", "part", "--request", "r-x"][..],
            "a folder has the whole record",
        ),
        (
            &["-o", "-", "--since", "yesterday"],
            "--since is not a time",
        ),
        (
            &["-o", "x.jsonl", "--with-envelopes"],
            "no room for signed envelopes",
        ),
        (&["-o", "-", "--json"], "cannot both go to standard output"),
    ] {
        let output = export(&host, arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.code() == Some(2) && text.contains(said),
            "{text}"
        );
        assert!(!host.path("sofia/part").exists() && !host.path("sofia/x.jsonl").exists());
    }
}

/// An agent gives the envelopes of a hundred events at once, and the lines of a thousand.
#[test]
fn every_envelope_of_a_long_record_goes_along() {
    let host = Host::start();
    while host.events().len() < 130 {
        let view = host.ask();
        for who in ["alice", "bob"] {
            host.deny(&view, who);
        }
        host.reach(&view.id, Stage::Denied);
    }
    good(export(&host, &["-o", "all", "--with-envelopes"]));
    let text = fs::read_to_string(host.path("sofia/all/events.jsonl")).expect("events");
    let named: BTreeSet<String> = text
        .lines()
        .flat_map(|l| Record::parse(l.as_bytes()).expect("a line").envelopes)
        .map(|e| e.sha256.to_string())
        .collect();
    let folder = host.path("sofia/all/envelopes");
    let there: BTreeSet<String> = fs::read_dir(folder)
        .expect("envelopes")
        .flatten()
        .map(|e| {
            e.path()
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(named.len() > 60, "{}", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|n| !there.iter().any(|t| t.contains(n.as_str())))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} are missing",
        missing.len(),
        named.len()
    );
    let folder = fs::metadata(host.path("sofia/all")).expect("a folder");
    assert_eq!(folder.permissions().mode() & 0o077, 0);
}

/// Signed requests say in clear who asked for what: they go along where somebody asked for them, and nowhere else.
#[test]
fn signed_envelopes_leave_only_where_they_were_asked_for() {
    let host = Host::start();
    host.open();
    good(export(&host, &["-o", "plain"]));
    good(export(&host, &["-o", "whole", "--with-envelopes"]));
    let inside = |name: &str| -> BTreeSet<String> {
        let all = fs::read_dir(host.path(name)).expect("a folder").flatten();
        all.map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let plain = ["checkpoint.note", "events.jsonl", "rosters.json"];
    assert!(
        inside("sofia/plain")
            .iter()
            .all(|n| plain.contains(&n.as_str()))
    );
    assert!(inside("sofia/whole").contains("envelopes"));
    let kinds = inside("sofia/whole/envelopes");
    assert!(kinds.len() > 2, "{kinds:?}");
    for format in ["jsonl", "siem", "eventstore", "ocsf"] {
        let text = good(export(&host, &["--format", format, "-o", "-"]));
        assert!(!text.contains("payload"), "{format}");
    }
}

/// Something that was done, in so many words.
fn act(text: &str) -> Event {
    Event::new(EventType::BreakGlassAction, Actor::agent())
        .action("note")
        .justification(text)
        .detail("note", "one of many")
}

/// Puts events of these times on record, while no agent runs.
fn put(host: &Host, events: impl IntoIterator<Item = (Event, OffsetDateTime)>) {
    host.with_store(|store| {
        let done = store.commit(|tx| {
            for (event, at) in events {
                tx.append(&event, at)?;
            }
            Ok(())
        });
        done.expect("written");
    });
}

/// Makes the record longer by `n` events with `bytes` of text each.
fn lengthen(host: &mut Host, n: usize, bytes: usize) {
    host.stop_agent();
    let event = act(&"x".repeat(bytes));
    let now = OffsetDateTime::now_utc();
    put(host, std::iter::repeat_n((event, now), n));
    host.start_agent();
}

/// The most memory that `twotap` has used when it is about to have written all: the rest waits in the pipe, so it has not ended.
fn peak_of_export(host: &Host, format: &str) -> (usize, usize) {
    let end = usize::try_from(host.status(SOFIA).head.seq).expect("a number");
    let mut child = command(host, "", &["export", "--format", format, "-o", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("twotap runs");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let (mut line, mut lines, mut bytes, mut peak) = (String::new(), 0, 0, 0);
    while out.read_line(&mut line).expect("text") > 0 {
        lines += 1;
        bytes += line.len();
        line.clear();
        if lines == end - 40 {
            peak = memory::peak(child.id()).expect("it waits to be read from");
        }
    }
    assert!(child.wait().expect("it ends").success());
    assert!(lines >= end);
    (bytes, peak)
}

#[test]
fn a_long_export_takes_no_more_memory_than_some_pages() {
    let mut host = Host::start();
    // Three pages first: what a program has let go of it does not give back at once.
    lengthen(&mut host, 2_600, 8_000);
    let (short, before) = peak_of_export(&host, "siem");
    lengthen(&mut host, 5_000, 8_000);
    for format in ["siem", "jsonl"] {
        let (long, after) = peak_of_export(&host, format);
        let more = after.saturating_sub(before);
        println!("{format}: {short} and {long} bytes, {before} and {after} bytes of memory");
        assert!(
            long - short > 38_000_000 && more < 12_000_000,
            "{format}: {more} bytes of memory more for {} bytes more",
            long - short
        );
    }
}

#[test]
fn an_export_is_private_new_and_whole_or_not_there() {
    let mut host = Host::start();
    good(export(&host, &["-o", "all.jsonl"]));
    let path = host.path("sofia/all.jsonl");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).expect("a file");
    for taken in [
        &["-o", "all.jsonl"][..],
        &["-o", "."],
        &["--format", "ocsf", "-o", "all.jsonl"],
    ] {
        let output = export(&host, taken);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && said.contains("exists"),
            "{said}"
        );
    }
    assert!(fs::read(&path).expect("a file") == before);

    // A disk that is full, as far as this program can see: no file may become larger than 64 KiB.
    lengthen(&mut host, 50, 8_000);
    let full = "trap '' XFSZ; ulimit -f 128;";
    for arguments in [
        &["-o", "big.jsonl"][..],
        &["-o", "big"],
        &["--format", "siem", "-o", "big.siem"],
    ] {
        let all = [&["export"], arguments].concat();
        let output = command(&host, full, &all).output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && said.contains("big"),
            "{said}"
        );
        assert!(
            !host
                .path("sofia")
                .join(arguments[arguments.len() - 1])
                .exists()
        );
    }
}

/// Whoever takes a copy for reading to be verified has made a mistake; a record whose first line was changed is another matter.
#[test]
fn a_copy_for_reading_is_no_record_that_was_tampered_with() {
    let host = Host::start();
    host.open();
    good(export(&host, &["-o", "whole"]));
    let verified = |arguments: &[&str]| {
        let output = audit(&host, "verify", arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    for format in ["siem", "eventstore", "ocsf"] {
        good(export(&host, &["--format", format, "-o", format]));
        for arguments in [
            &["--export", format][..],
            &["--export", "whole", "--against", format],
        ] {
            let (code, said) = verified(arguments);
            assert!(
                code == Some(2) && said.contains("a copy for reading: it proves nothing"),
                "{arguments:?}: {code:?} {said}"
            );
        }
    }
    good(export(&host, &["-o", "lines.jsonl"]));
    assert_eq!(verified(&["--export", "lines.jsonl"]).0, Some(0));
    // Through a pipe it is read once, and whole.
    let arguments = ["verify", "--export", "/dev/stdin"];
    good(
        command(&host, "cat lines.jsonl |", &arguments)
            .output()
            .expect("twotap runs"),
    );
    let path = host.path("sofia/lines.jsonl");
    let text = fs::read_to_string(&path).expect("lines");
    for (from, to) in [
        ("{\"v\":1,", "{"),
        ("\"event_type\"", "\"type\""),
        ("{", "["),
        // A line of another shape before it, or its own first line made one.
        ("{", "{\"event_type\":\"x\"}\n{"),
        ("{\"v\":1,\"seq\":1,\"prev\":", "{\"before\":"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).expect("written");
        let (code, said) = verified(&["--export", "lines.jsonl"]);
        assert!(
            code == Some(11) && said.contains("event 1"),
            "{code:?} {said}"
        );
    }
}

/// Everything hangs on the rosters: which one counts is not left to the order in which they are named.
#[test]
fn of_two_rosters_of_one_vault_neither_takes_the_others_place_unsaid() {
    let (host, other) = (Host::start(), Host::start());
    for host in [&host, &other] {
        good(export(host, &["-o", "whole"]));
    }
    let own = host.path("sofia");
    fs::copy(
        other.path("sofia/whole/rosters.json"),
        own.join("other.json"),
    )
    .expect("copied");
    fs::write(own.join("none.json"), "{}").expect("written");
    chown(own.join("other.json"), Some(SOFIA), Some(SOFIA)).expect("owner");
    let verified = |second: &str| {
        let first = ["--export", "whole", "--roster", "whole/rosters.json"];
        let output = audit(
            &host,
            "verify",
            &[&first[..], &["--roster", second]].concat(),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    assert_eq!(verified("whole/rosters.json").0, Some(0));
    for (second, words) in [
        ("other.json", "another roster of vault"),
        ("none.json", "there is no roster in"),
    ] {
        let (code, said) = verified(second);
        assert!(
            code == Some(2) && said.contains(words),
            "{second}: {code:?} {said}"
        );
    }
}
