use super::*;
use time::macros::datetime;

fn approved() -> Event {
    Event::new(
        EventType::BreakGlassApproved,
        Actor::person("alice").unwrap(),
    )
    .correlation("r-abcdefghijklm")
    .incident("INC-42")
    .justification("login is \"down\"\nfor all")
    .detail("serial", 7_u64)
    .aws_call(
        "sts:AssumeRole",
        Some("req-1"),
        Some("Tue, 06 Jan 2026 10:00:00 GMT"),
    )
}

#[test]
fn a_line_has_these_bytes() {
    let now = datetime!(2026-01-06 11:00:00.0429 +1);
    let line = approved()
        .envelope("approve", *b"{}")
        .line_after(&Head::default(), now)
        .unwrap();
    let zeros = "0".repeat(64);
    let expected = format!(
        concat!(
            r#"{{"v":1,"seq":1,"prev":"{}","event_type":"BREAK_GLASS_APPROVED","correlation_id":"r-abcdefghijklm","#,
            r#""incident_id":"INC-42","actor":"alice","action":"approve","justification":"login is \"down\"\nfor all","#,
            r#""timestamp":"2026-01-06T10:00:00.042Z","who":null,"where":{{"host":null,"region":null,"ip":null}},"#,
            r#""what":{{"serial":7,"aws":[{{"call":"sts:AssumeRole","request_id":"req-1","#,
            r#""date":"Tue, 06 Jan 2026 10:00:00 GMT"}}]}},"envelopes":[{{"kind":"approve","#,
            r#""sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}]}}"#
        ),
        zeros
    );
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

#[test]
fn a_line_reads_back_and_writes_the_same_bytes() {
    let now = datetime!(2026-01-06 10:00:00 UTC);
    for event in [approved(), approved().envelope("approve", *b"{}")] {
        let line = event.line_after(&Head::default(), now).unwrap();
        let record = Record::parse(&line).unwrap();
        assert_eq!(record.known_type(), Some(EventType::BreakGlassApproved));
        assert_eq!(serde_json::to_vec(&record).unwrap(), line);
        // Readers tell a line with envelopes by its last two bytes.
        assert_eq!(line.ends_with(b"]}"), !record.envelopes.is_empty());
        assert!(!line.contains(&b'\n'));
    }
}

#[test]
fn unknown_and_duplicate_fields_are_refused() {
    let line = approved()
        .line_after(&Head::default(), OffsetDateTime::UNIX_EPOCH)
        .unwrap();
    let text = String::from_utf8(line).unwrap();
    assert!(
        Record::parse(
            text.replacen("\"who\":null", "\"who\":null,\"extra\":1", 1)
                .as_bytes()
        )
        .is_err()
    );
    assert!(
        Record::parse(
            text.replacen("\"who\":null", "\"who\":null,\"who\":null", 1)
                .as_bytes()
        )
        .is_err()
    );
}

#[test]
fn names_are_unique_and_read_back() {
    for (i, t) in EventType::ALL.iter().enumerate() {
        assert_eq!(EventType::from_name(t.name()), Some(*t));
        assert!(
            EventType::ALL[..i]
                .iter()
                .all(|other| other.name() != t.name())
        );
    }
}

#[test]
fn nobody_is_anonymous_or_poses_as_the_agent() {
    for bad in ["", "agent", " alice", "al\nice", &"a".repeat(129)] {
        assert_eq!(Actor::person(bad), Err(EventError::Actor), "{bad:?}");
    }
    assert_eq!(Actor::person("alice").unwrap().name(), "alice");
}

#[test]
fn too_large_is_refused() {
    let event = approved().detail("text", "x".repeat(MAX_LINE));
    assert!(matches!(
        event.line_after(&Head::default(), OffsetDateTime::UNIX_EPOCH),
        Err(EventError::TooLarge { .. })
    ));
    let event = approved().envelope("approve", vec![b'x'; MAX_ENVELOPE + 1]);
    assert!(matches!(
        event.line_after(&Head::default(), OffsetDateTime::UNIX_EPOCH),
        Err(EventError::TooLarge { .. })
    ));
    let event = approved().envelope("No Good", *b"{}");
    assert_eq!(
        event.line_after(&Head::default(), OffsetDateTime::UNIX_EPOCH),
        Err(EventError::EnvelopeKind)
    );
}
