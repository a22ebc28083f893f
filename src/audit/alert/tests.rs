use serde_json::json;

use super::*;
use crate::audit::{
    chain::Head,
    event::{Actor, Event, EventType, Place},
    samples::NOW,
};

fn record(event: &Event) -> Record {
    Record::parse(&event.line_after(&Head::default(), NOW).unwrap()).unwrap()
}

fn event(kind: EventType) -> Event {
    Event::new(kind, Actor::person("dana").unwrap())
        .correlation("r-abcdefghijklm")
        .incident("INC-42")
        .place(Place {
            host: Some("bg-1".into()),
            ..Place::default()
        })
        .detail("vault", "prod")
}

#[test]
fn every_kind_of_event_is_either_told_or_named_as_not_told() {
    for kind in EventType::ALL {
        let told = alert(&record(&event(*kind))).is_some();
        let quiet = rules::QUIET.contains(kind);
        let both = [EventType::CredentialsDelivered, EventType::RevocationStep];
        assert!(told != quiet || both.contains(kind), "{}", kind.name());
        let words = alert(&record(&event(*kind))).map(|a| a.title);
        let unheard = words.is_some_and(|title| title.contains("no alert has words"));
        assert!(
            !unheard,
            "{}: give it a rule, or name it in QUIET",
            kind.name()
        );
    }
}

#[test]
fn a_message_alone_answers_who_where_what_and_what_next() {
    let request = event(EventType::BreakGlassRequested)
        .who("uid 61010 on bg-1")
        .justification("the database is down")
        .detail("access", "admin")
        .detail("role", "arn:aws:iam::123456789012:role/twotap/op-admin")
        .detail("not_after", "2026-01-06T14:00:00Z");
    let alert = alert(&record(&request)).unwrap();
    assert_eq!(alert.severity, Severity::P1);
    assert_eq!(
        alert.to_string(),
        "[P1] emergency access was asked for\n\
         WHO:   dana (uid 61010 on bg-1)\n\
         WHERE: host bg-1\n\
         WHAT:  request; vault: prod; access: admin; role: arn:aws:iam::123456789012:role/twotap/op-admin; \
         not after: 2026-01-06T14:00:00Z; reason: \"the database is down\"\n\
         WHEN:  2026-01-06T10:00:00.123Z\n\
         NEXT:  verify it against the ticket and by a call; if nobody knows of it: twotap deny r-abcdefghijklm --reason TEXT\n\
         event 1 BREAK_GLASS_REQUESTED, vault prod, request r-abcdefghijklm, incident INC-42, account 123456789012"
    );
}

#[test]
fn what_no_rule_names_stays_on_the_host() {
    for kind in EventType::ALL {
        let event = event(*kind)
            .detail("subject", "MARKER")
            .detail("note", "MARKER")
            .detail("findings", "MARKER")
            .detail("something_new", json!({"deep": "MARKER"}))
            .envelope("approve", "MARKER");
        let Some(alert) = alert(&record(&event)) else {
            continue;
        };
        let said = format!("{alert}{}", serde_json::to_string(&alert).unwrap());
        assert!(!said.contains("MARKER"), "{said}");
        assert!(!said.contains("envelope"), "{said}");
        assert!(
            !said.contains("{request}") && !said.contains("{vault}"),
            "{said}"
        );
    }
}

#[test]
fn foreign_text_cannot_forge_a_line_of_the_message() {
    // Tags, a filler and a variation selector take up no room either.
    let reason = "x\nWHO:   root\r\u{202e}\u{2028}[info] all\u{e0041}\u{3164} well\u{fe0f}\u{200b}";
    let denied = event(EventType::BreakGlassDenied).justification(reason);
    let text = alert(&record(&denied)).unwrap().to_string();
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains("\"x WHO: root [info] all well\""), "{text}");

    let long = event(EventType::RequestFailed).detail("why", "w".repeat(5000));
    let text = alert(&record(&long)).unwrap().to_string();
    assert!(text.len() < 1500 && text.contains("www…\n"), "{text}");
}

#[test]
fn how_urgent_it_is_follows_what_the_event_says() {
    let severity = |event: Event| alert(&record(&event)).map(|a| a.severity);
    let agent = |kind| Event::new(kind, Actor::agent());
    use EventType as E;
    use Severity::{Info, P0, P1, P2};
    for (event, expected) in [
        (
            event(E::BreakGlassRequested).detail("drill", true),
            Some(P2),
        ),
        (event(E::StrangerKeyFound), Some(P0)),
        (event(E::AuditTampered), Some(P0)),
        (event(E::SessionClosed), Some(Info)),
        (agent(E::SessionClosed).detail("why", "lost"), Some(P1)),
        (
            agent(E::SessionClosed).detail("continued_by", "r-b"),
            Some(Info),
        ),
        (agent(E::SessionExpired).detail("observed", false), Some(P1)),
        (agent(E::SessionExpired), Some(P2)),
        (
            event(E::ReviewSigned).detail("authorised", true),
            Some(Info),
        ),
        (event(E::ReviewSigned).detail("authorised", false), Some(P0)),
        (event(E::ReviewSigned).detail("accounted", false), Some(P1)),
        (event(E::CredentialsDelivered), Some(Info)),
        (
            agent(E::CredentialsDelivered).action("count_deliveries"),
            None,
        ),
        (agent(E::RevocationStep).action("refusal_observed"), None),
        (agent(E::RevocationStep).action("not_observed"), Some(P1)),
        (
            agent(E::RevocationStep)
                .action("close_only_done")
                .detail("left", json!([])),
            None,
        ),
        (
            agent(E::RevocationStep)
                .action("close_only_done")
                .detail("left", json!(["r-b: why"])),
            Some(P1),
        ),
    ] {
        assert_eq!(severity(event.clone()), expected, "{event:?}");
    }
    let tries = |n: u64| {
        agent(E::RevocationStep)
            .action("close_pending")
            .detail("tries", n)
    };
    let told: Vec<u64> = (1..=70).filter(|n| severity(tries(*n)).is_some()).collect();
    assert_eq!(told, [1, 4, 16, 64]);
}

#[test]
fn an_event_of_a_later_version_is_told_of() {
    let mut later = record(&event(EventType::Checkpoint));
    later.event_type = "BREAK_GLASS_UNHEARD_OF".to_owned();
    let alert = alert(&later).unwrap();
    assert_eq!((alert.severity, alert.region), (Severity::P2, None));
    assert_eq!(alert.event_type, "BREAK_GLASS_UNHEARD_OF");
}
