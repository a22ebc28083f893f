//! What other systems are given: each shape has exactly its fields, some of the events are those, and a long export is whole.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use twotap::{audit::event::Record, ceremony::Stage};
use twotap_rig::tools;

use super::{
    agent_support::{DANA, Host, SOFIA},
    lines,
};

/// `twotap audit export` by the officer, in a folder of her own.
fn export(host: &Host, arguments: &[&str]) -> Output {
    let twotap = host.path("twotap");
    if !twotap.exists() {
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &twotap).expect("copied");
        let own = host.path("sofia");
        fs::create_dir(&own).expect("a folder");
        std::os::unix::fs::chown(&own, Some(SOFIA), Some(SOFIA)).expect("owner");
    }
    let id = SOFIA.to_string();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .arg(twotap)
        .arg("--agent")
        .arg(host.socket())
        .args(["audit", "export"])
        .args(arguments)
        .current_dir(host.path("sofia"))
        .output()
        .expect("twotap runs")
}

fn good(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .map(|l| serde_json::from_str(l).expect("json"))
        .collect()
}

fn names(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn each_shape_has_exactly_its_fields_for_every_event() {
    let host = Host::start();
    let open = host.open();
    assert_eq!(host.close(DANA, &open.id, false).status, 200);
    host.reach(&open.id, Stage::Closed);
    let record = host.events();

    let siem = events(&good(export(&host, &["--format", "siem", "-o", "-"])));
    assert!(siem.len() >= record.len());
    for (event, line) in siem.iter().zip(&record) {
        assert_eq!(
            names(event),
            [
                "event_type",
                "actor",
                "action",
                "justification",
                "timestamp",
                "incident_id"
            ]
        );
        assert_eq!(event["event_type"], line.event_type.as_str());
        assert_eq!(event["timestamp"], format!("{}Z", &line.timestamp[..19]));
    }
    // The line by which a SIEM learns of access says for what and why.
    let access = siem
        .iter()
        .find(|e| e["event_type"] == "BREAK_GLASS_ACCESS")
        .expect("access");
    let asked = siem
        .iter()
        .find(|e| e["event_type"] == "BREAK_GLASS_REQUESTED")
        .expect("asked");
    assert_eq!(access["actor"], "dana");
    assert!(access["justification"].is_string() && access["incident_id"].is_string());
    assert_eq!(access["justification"], asked["justification"]);

    let store = events(&good(export(&host, &["--format", "eventstore", "-o", "-"])));
    for (event, line) in store.iter().zip(&record) {
        assert_eq!(
            names(event),
            [
                "correlation_id",
                "event_type",
                "event_data",
                "actor",
                "created_at"
            ]
        );
        assert_eq!(
            names(&event["event_data"]),
            ["action", "justification", "incident_id"]
        );
        assert_eq!(
            event["correlation_id"].as_str(),
            line.correlation_id.as_deref()
        );
    }

    let ocsf = good(export(&host, &["--format", "ocsf", "-o", "-"]));
    let texts: Vec<String> = ocsf.lines().map(str::to_owned).collect();
    for (said, text) in lines::by_schema("tests/record/ocsf.schema.json", texts.iter())
        .iter()
        .zip(&texts)
    {
        assert_eq!(said, "ok", "{text}");
    }

    let kept = good(export(&host, &["-o", "-"]));
    for (text, line) in kept.lines().zip(&record) {
        assert_eq!(&Record::parse(text.as_bytes()).expect("a line"), line);
    }
}

/// Every kind of line that there is, in every shape.
#[test]
fn every_event_has_every_shape() {
    use twotap::audit::shapes::Shape;
    let texts: Vec<String> = lines::samples()
        .iter()
        .map(|line| {
            for shape in [Shape::Siem, Shape::EventStore] {
                shape.of(line.as_bytes()).expect("a shape");
            }
            String::from_utf8(Shape::Ocsf.of(line.as_bytes()).expect("a shape")).expect("text")
        })
        .collect();
    for (said, text) in lines::by_schema("tests/record/ocsf.schema.json", texts.iter())
        .iter()
        .zip(&texts)
    {
        assert_eq!(said, "ok", "{text}");
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

    // A time parts the record in two: nothing is in both, and nothing in none.
    let middle = format!("{}Z", &record[record.len() / 2].timestamp[..19]);
    let count = |arguments: &[&str]| {
        let mut all = vec!["--format", "jsonl", "-o", "-"];
        all.extend(arguments);
        good(export(&host, &all))
            .lines()
            .filter(|l| {
                let line = Record::parse(l.as_bytes()).expect("a line");
                line.seq <= record.len() as u64
            })
            .count()
    };
    assert_eq!(
        count(&["--until", &middle]) + count(&["--since", &middle]),
        record.len()
    );
    assert_eq!(count(&["--since", "2020-01-01"]), record.len());
    assert_eq!(count(&["--until", "2020-01-01"]), 0);

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
    let mode = fs::metadata(host.path("sofia/all"))
        .expect("a folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
}
