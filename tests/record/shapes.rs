//! What other systems are given: each shape has exactly its fields, by schemas that are not of the program that writes them.

use serde_json::{Value, json};
use twotap::{
    audit::{
        event::{EventType, Record},
        shapes::Shape,
    },
    ceremony::Stage,
    protocol::{
        people::{Confirm, Statement},
        recording::Note,
    },
    trust::{
        KeyId,
        roster::{Account, Person, Role, Roster},
    },
};

use super::{
    agent_support::{DANA, Host, IVAN, paper::Paper},
    exports::{export, good},
    lines,
};

/// A whole incident: asked, authorised, approved by two, delivered, acted, closed and revoked; and a second request that was denied. The first's id.
fn incident(host: &Host) -> String {
    let view = host.ask();
    let path = |what: &str| format!("/v1/requests/{}/{what}", view.id);
    let confirm = Confirm {
        request_sha256: view.offer.digest(),
        statement: Statement::default(),
    };
    let reply = host.call(IVAN, "POST", &path("confirmation"), &confirm);
    assert_eq!(reply.status, 200);
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    let note = Note {
        text: "restarted the primary".to_owned(),
    };
    assert_eq!(host.call(DANA, "POST", &path("notes"), &note).status, 200);
    assert_eq!(host.close(DANA, &view.id, false).status, 200);
    host.reach(&view.id, Stage::Closed);
    let other = host.ask();
    for who in ["alice", "bob"] {
        host.deny(&other, who);
    }
    host.reach(&other.id, Stage::Denied);
    view.id
}

fn keeps_to(said: &[String], texts: &[String]) {
    assert!(!texts.is_empty() && said.len() == texts.len());
    for (said, text) in said.iter().zip(texts) {
        assert_eq!(said, "ok", "{text}");
    }
}

/// A host whose roster lists ivan as commander.
fn host() -> Host {
    let ivan = |roster: &mut Roster, host: KeyId| {
        roster.people.push(Person {
            name: "ivan".to_owned(),
            roles: vec![Role::Commander],
            accounts: vec![Account { host, uid: IVAN }],
            recipient: None,
            member_of: Vec::new(),
        });
    };
    let mut host = Host::prepare(Paper::of(&["alice", "bob"], ivan));
    host.start_agent();
    host
}

/// Byte for byte, field by field, in the order of runbook C: nothing more, nothing less, nothing elsewhere.
#[test]
fn a_whole_incident_leaves_in_exactly_the_fields_of_runbook_c() {
    let host = host();
    let id = incident(&host);
    let record = host.events();
    // Times of ours are UTC with milliseconds: the two shapes have seconds.
    let second = |line: &Record| format!("{}Z", &line.timestamp[..19]);
    let text = |value: Option<&str>| json!(value).to_string();
    let texts = |format| -> Vec<String> {
        let all = good(export(&host, &["--format", format, "-o", "-"]));
        all.lines().map(str::to_owned).collect()
    };

    let siem = texts("siem");
    assert!(siem.len() >= record.len());
    for (event, line) in siem.iter().zip(&record) {
        let expected = format!(
            r#"{{"event_type":"{}","actor":{},"action":"{}","justification":{},"timestamp":"{}","incident_id":{}}}"#,
            line.event_type,
            text(Some(&line.actor)),
            line.action,
            text(line.justification.as_deref()),
            second(line),
            text(line.incident_id.as_deref()),
        );
        assert_eq!(*event, expected);
    }
    keeps_to(
        &lines::by_schema("tests/record/siem.schema.json", siem.iter()),
        &siem,
    );

    let store = texts("eventstore");
    for (event, line) in store.iter().zip(&record) {
        let expected = format!(
            r#"{{"correlation_id":{},"event_type":"{}","event_data":{{"action":"{}","justification":{},"incident_id":{}}},"actor":{},"created_at":"{}"}}"#,
            text(line.correlation_id.as_deref()),
            line.event_type,
            line.action,
            text(line.justification.as_deref()),
            text(line.incident_id.as_deref()),
            text(Some(&line.actor)),
            second(line),
        );
        assert_eq!(*event, expected);
    }
    keeps_to(
        &lines::by_schema("tests/record/eventstore.schema.json", store.iter()),
        &store,
    );

    // Each event of a request says for which incident; those by which people act, or learn of access, say why as well.
    let own: Vec<&Record> = record
        .iter()
        .filter(|line| line.correlation_id.as_deref() == Some(id.as_str()))
        .collect();
    for (name, actor) in [
        ("BREAK_GLASS_REQUESTED", "dana"),
        ("BREAK_GLASS_AUTHORISED", "ivan"),
        ("BREAK_GLASS_APPROVED", "alice"),
        ("BREAK_GLASS_APPROVED", "bob"),
        ("BREAK_GLASS_ACCESS", "dana"),
        ("CREDENTIAL_ROTATED", "agent"),
        ("CREDENTIALS_DELIVERED", "dana"),
        ("BREAK_GLASS_ACTION", "dana"),
        ("SESSION_CLOSED", "dana"),
        ("SESSION_REVOKED", "agent"),
    ] {
        let line = own
            .iter()
            .find(|line| line.event_type == name && line.actor == actor);
        let line = line.unwrap_or_else(|| panic!("no {name} by {actor}"));
        if [
            "BREAK_GLASS_REQUESTED",
            "BREAK_GLASS_ACCESS",
            "BREAK_GLASS_ACTION",
        ]
        .contains(&name)
        {
            let why = line.justification.as_deref();
            assert_eq!(why, Some("the login is down for everybody"), "{name}");
        }
    }
    assert!(
        own.iter()
            .all(|line| line.incident_id.as_deref() == Some("INC-42"))
    );
    assert!(
        record.iter().any(|line| {
            line.event_type == "BREAK_GLASS_DENIED" && line.justification.is_some()
        })
    );
    assert!(
        record
            .iter()
            .all(|line| EventType::from_name(&line.event_type).is_some())
    );
}

#[test]
fn a_whole_incident_leaves_as_the_framework_says_and_as_it_is_kept() {
    let host = host();
    incident(&host);
    let record = host.events();
    let ocsf = good(export(&host, &["--format", "ocsf", "-o", "-"]));
    let texts: Vec<String> = ocsf.lines().map(str::to_owned).collect();
    assert!(texts.len() >= record.len());
    keeps_to(&lines::by_ocsf(texts.iter()), &texts);
    for (text, line) in texts.iter().zip(&record) {
        let event: Value = serde_json::from_str(text).expect("json");
        assert_eq!(event["metadata"]["sequence"], line.seq);
        assert_eq!(event["metadata"]["event_code"], line.event_type.as_str());
        assert_eq!(event["actor"]["user"]["name"], line.actor.as_str());
        let host = line.place.host.as_deref();
        assert_eq!(event["device"]["hostname"].as_str(), host);
        assert!(host.is_some() || line.event_type == "CHECKPOINT");
    }

    let kept = good(export(&host, &["-o", "-"]));
    for (text, line) in kept.lines().zip(&record) {
        assert_eq!(&Record::parse(text.as_bytes()).expect("a line"), line);
    }
}

/// Every kind of line that there is, in every shape.
#[test]
fn every_event_has_every_shape() {
    let shaped = |shape: Shape| -> Vec<String> {
        let one = |line: &String| shape.of(line.as_bytes()).expect("a shape");
        let all = lines::samples();
        all.iter()
            .map(|line| String::from_utf8(one(line)).expect("text"))
            .collect()
    };
    for (shape, schema) in [
        (Shape::Siem, "tests/record/siem.schema.json"),
        (Shape::EventStore, "tests/record/eventstore.schema.json"),
    ] {
        let texts = shaped(shape);
        keeps_to(&lines::by_schema(schema, texts.iter()), &texts);
    }
    let texts = shaped(Shape::Ocsf);
    keeps_to(&lines::by_ocsf(texts.iter()), &texts);
}

/// The framework's schema is not one that takes everything: each of these is refused, at its place.
#[test]
fn what_the_framework_does_not_have_is_refused() {
    let line = lines::samples().remove(0);
    let event = Shape::Ocsf.of(line.as_bytes()).expect("a shape");
    let event: Value = serde_json::from_slice(&event).expect("json");
    let changes: [(&str, &dyn Fn(&mut Value)); 12] = [
        ("ok", &|_| {}),
        ("metadata/version", &|e| {
            e["metadata"]["version"] = json!("0.9")
        }),
        // Not of this class in this version; of the class, but only by a profile that has to be named.
        ("src_endpoint", &|e| {
            e["src_endpoint"] = json!({ "hostname": "h" });
        }),
        ("'actor', 'device'", &|e| {
            e["metadata"]["profiles"] = json!(["cloud"]);
        }),
        ("metadata/profiles", &|e| {
            e["metadata"]["profiles"] = json!(["cloud", "host", "load_balancer"]);
        }),
        ("type_uid", &|e| e["type_uid"] = json!(300_400)),
        ("activity_id", &|e| e["activity_id"] = json!(7)),
        ("severity: ", &|e| e["severity"] = json!("Severe")),
        ("device/type: ", &|e| e["device"]["type"] = json!("Server")),
        ("device/hostname", &|e| {
            e["device"]["hostname"] = json!("host_1");
        }),
        ("time: ", &|e| e["time"] = json!("2026-01-06T10:00:00Z")),
        ("entity: ", &|e| e["entity"] = json!({ "type": "vault" })),
    ];
    let texts: Vec<String> = changes
        .iter()
        .map(|(_, change)| {
            let mut event = event.clone();
            change(&mut event);
            event.to_string()
        })
        .collect();
    for ((wanted, _), said) in changes.iter().zip(lines::by_ocsf(texts.iter())) {
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(*wanted == "ok" || said != "ok", "{wanted}: {said}");
    }
}
