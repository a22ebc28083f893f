//! The record as others read it: the shipped schema and table are those of the catalogue, an independent validator holds every line that the
//! tests' agents have written to it, and no event is only on paper.
//!
//! `TWOTAP_REMAKE=1 cargo test --test record` writes schema, table and the kept lines (`tests/golden/record/`) anew.

mod agent_support;
#[path = "record/exports.rs"]
mod exports;
#[path = "record/lines.rs"]
mod lines;
#[path = "record/shapes.rs"]
mod shapes;
#[path = "record/steps.rs"]
mod steps;

use std::{collections::BTreeSet, fs, path::PathBuf};

use agent_support::{DANA, Host};
use lines::{kept, samples, validate};
use serde_json::{Value, json};
use twotap::{
    audit::{
        event::{EventType, Record},
        schema,
    },
    ceremony::Stage,
};

/// Set by `cargo xtask test` when all other tests have run.
const ALL_HAVE_RUN: &str = "TWOTAP_ALL_HAVE_RUN";

fn remake() -> bool {
    std::env::var_os("TWOTAP_REMAKE").is_some()
}

fn schemas() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging/schemas")
}

#[test]
fn what_ships_is_what_the_catalogue_says() {
    let schema = serde_json::to_string_pretty(&schema::schema()).expect("json") + "\n";
    for (name, text) in [
        ("events.schema.json", schema),
        ("README.md", schema::page()),
    ] {
        let path = schemas().join(name);
        if remake() {
            fs::write(&path, &text).expect("written");
        }
        let shipped = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(
            shipped == text,
            "{name} is not what the catalogue says; TWOTAP_REMAKE=1 writes it anew"
        );
    }
}

#[test]
fn every_line_that_the_tests_agents_wrote_keeps_to_the_shipped_schema() {
    let mut host = Host::start();
    let open = host.open();
    assert_eq!(host.credentials(DANA, &open.id).status, 200);
    assert_eq!(host.close(DANA, &open.id, false).status, 200);
    host.reach(&open.id, Stage::Closed);
    let own = host.events().len();
    host.stop_agent();
    drop(host);

    let (files, lines) = kept();
    assert!(
        files > 0 && lines.len() + 3 > own,
        "{files} records with {} lines were kept",
        lines.len()
    );
    let mut bad = Vec::new();
    for ((from, line), said) in lines
        .iter()
        .zip(validate(lines.iter().map(|(_, line)| line)))
    {
        if said != "ok" {
            bad.push(format!("{from}: {said}\n  {line}"));
        }
    }
    assert!(
        bad.is_empty(),
        "{} of {} lines:\n{}",
        bad.len(),
        lines.len(),
        bad[..bad.len().min(20)].join("\n")
    );
    // The samples may be of events that no agent writes any more; after a whole run the lines of that run have to have each.
    if std::env::var_os(ALL_HAVE_RUN).is_some() {
        let missing = unseen(lines.iter().map(|(_, line)| line));
        assert!(
            missing.is_empty(),
            "no test's agent wrote in this run: {}",
            missing.join(", ")
        );
    }
    println!(
        "{} lines of {files} records keep to the schema",
        lines.len()
    );
    if remake() {
        lines::keep_samples(lines.into_iter().map(|(_, line)| line));
    }
}

#[test]
fn no_event_and_no_step_is_only_on_paper() {
    let lines = samples();
    let said = validate(lines.iter());
    for (line, said) in lines.iter().zip(said) {
        assert_eq!(said, "ok", "{line}");
    }
    let missing = unseen(lines.iter());
    assert!(
        missing.is_empty(),
        "no test's agent writes: {}",
        missing.join(", ")
    );
}

/// What the catalogue has and none of these lines is.
fn unseen<'l>(lines: impl Iterator<Item = &'l String>) -> Vec<String> {
    let seen: BTreeSet<(String, String)> = lines
        .map(|line| Record::parse(line.as_bytes()).expect("a line"))
        .map(|record| (record.event_type, record.action))
        .collect();
    let mut missing = Vec::new();
    for kind in EventType::ALL {
        let actions = match kind.actions() {
            [] => vec![kind.action()],
            actions => actions.to_vec(),
        };
        let unseen = actions
            .into_iter()
            .filter(|a| !seen.contains(&(kind.name().to_owned(), (*a).to_owned())));
        missing.extend(unseen.map(|action| format!("{} {action}", kind.name())));
    }
    missing
}

/// Each kept line, changed in each way that matters: the independent validator and the catalogue refuse the same.
#[test]
fn a_line_that_is_not_as_described_is_refused_by_both() {
    let mut cases: Vec<(String, Value)> = Vec::new();
    for line in samples() {
        let whole: Value = serde_json::from_str(&line).expect("json");
        let mut case = |how: String, change: &dyn Fn(&mut Value)| {
            let mut changed = whole.clone();
            change(&mut changed);
            cases.push((
                format!("{} {} {how}", whole["event_type"], whole["action"]),
                changed,
            ));
        };
        for (name, value) in whole["what"].as_object().expect("an object") {
            case(format!("without {name}"), &|v| {
                v["what"].as_object_mut().expect("an object").remove(name);
            });
            case(format!("{name} null"), &|v| v["what"][name] = Value::Null);
            let other = match value {
                Value::String(_) => json!(7),
                Value::Number(_) => json!(-1),
                _ => json!("text"),
            };
            case(format!("{name} of another kind"), &|v| {
                v["what"][name] = other.clone()
            });
        }
        case("one field more".to_owned(), &|v| {
            v["what"]["password"] = json!("x")
        });
        case("another action".to_owned(), &|v| {
            v["action"] = json!("look_away")
        });
        case("a strange envelope".to_owned(), &|v| {
            v["envelopes"] = json!([{ "kind": "letter", "sha256": "0".repeat(64) }]);
        });
    }
    let texts: Vec<String> = cases.iter().map(|(_, v)| v.to_string()).collect();
    let said = validate(texts.iter());
    let mut refused = 0;
    for (((how, _), text), said) in cases.iter().zip(&texts).zip(said) {
        let record = Record::parse(text.as_bytes()).expect("a line");
        let ours = record.is_described();
        assert_eq!(
            ours.is_ok(),
            said == "ok",
            "{how}: ours {ours:?}, theirs {said}"
        );
        refused += usize::from(ours.is_err());
    }
    // Optional fields may be missing; everything else is refused.
    assert!(refused * 2 > cases.len(), "{refused} of {}", cases.len());
}
