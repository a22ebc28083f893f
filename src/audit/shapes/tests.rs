use super::*;
use crate::audit::chain::Head;
use crate::audit::event::{Actor, Event, EventType};
use time::macros::datetime;

fn line() -> Vec<u8> {
    Event::new(
        EventType::BreakGlassAccess,
        Actor::person("dana").expect("a name"),
    )
    .action("deployment_override")
    .correlation("r-abcdefghijklm")
    .incident("INC-42")
    .justification("Critical security patch")
    .detail("vault", "prod")
    .detail("credentials_until", serde_json::Value::Null)
    .envelope("offer", *b"{}")
    .line_after(&Head::default(), datetime!(2026-01-06 10:00:00.123 UTC))
    .expect("a line")
}

fn shaped(shape: Shape) -> String {
    String::from_utf8(shape.of(&line()).expect("a line")).expect("text")
}

#[test]
fn a_siem_gets_exactly_these_fields() {
    assert_eq!(
        shaped(Shape::Siem),
        r#"{"event_type":"BREAK_GLASS_ACCESS","actor":"dana","action":"deployment_override","justification":"Critical security patch","timestamp":"2026-01-06T10:00:00Z","incident_id":"INC-42"}"#
    );
}

#[test]
fn an_event_store_gets_exactly_these_fields() {
    assert_eq!(
        shaped(Shape::EventStore),
        r#"{"correlation_id":"r-abcdefghijklm","event_type":"BREAK_GLASS_ACCESS","event_data":{"action":"deployment_override","justification":"Critical security patch","incident_id":"INC-42"},"actor":"dana","created_at":"2026-01-06T10:00:00Z"}"#
    );
}

#[test]
fn the_line_itself_is_not_touched_and_what_is_no_line_is_refused() {
    assert_eq!(Shape::Jsonl.of(&line()).expect("a line"), line());
    for shape in [Shape::Siem, Shape::EventStore, Shape::Ocsf] {
        assert!(matches!(shape.of(b"{\"v\":1}"), Err(EventError::Json(_))));
    }
}

#[test]
fn ocsf_has_what_its_class_requires_and_no_nulls() {
    let event: serde_json::Value = serde_json::from_str(&shaped(Shape::Ocsf)).expect("json");
    assert_eq!(event["type_uid"], 300_401);
    assert_eq!(event["time"], 1_767_693_600_123_i64);
    assert_eq!(event["metadata"]["sequence"], 1);
    assert_eq!(event["entity"]["name"], "prod");
    assert_eq!(event["unmapped"]["what"]["vault"], "prod");
    assert!(!shaped(Shape::Ocsf).contains("null"));
}

#[test]
fn ocsf_says_where_only_what_is_so() {
    let at = |host: Option<&str>| {
        let place = crate::audit::event::Place {
            host: host.map(str::to_owned),
            region: None,
            ip: Some("192.0.2.7".to_owned()),
        };
        let event = Event::new(EventType::AgentStarted, Actor::agent()).place(place);
        let line = event.line_after(&Head::default(), datetime!(2026-01-06 10:00:00 UTC));
        let shaped = Shape::Ocsf.of(&line.expect("a line")).expect("a shape");
        serde_json::from_slice::<serde_json::Value>(&shaped).expect("json")
    };
    // A name may have what no host name on a network has: it is a name then, and no host name.
    for (name, is_one) in [
        ("bg-1", true),
        ("bg.example.org", true),
        ("bg_1", false),
        ("bg-", false),
        ("bg.", false),
    ] {
        let device = &at(Some(name))["device"];
        assert_eq!(device["name"], name);
        assert_eq!(device["hostname"] == name, is_one, "{name}");
    }
    let nowhere = at(None);
    assert!(nowhere.get("device").is_none() && nowhere.get("src_endpoint").is_none());
    assert_eq!(nowhere["unmapped"]["caller_ip"], "192.0.2.7");
    assert_eq!(nowhere["actor"]["user"]["type"], "System");
}
