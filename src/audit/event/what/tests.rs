use super::*;
use crate::audit::event::Actor;

fn drill(layer: &str) -> Event {
    Event::new(EventType::DrillFailed, Actor::agent())
        .detail("vault", "prod")
        .detail("generation", serde_json::Value::Null)
        .detail("layer", layer)
        .detail("why", "no token")
}

fn why(event: &Event) -> String {
    event
        .is_described()
        .map_or_else(|why| why.to_string(), |()| "nothing".to_owned())
}

#[test]
fn a_type_names_each_field_and_action_once_and_says_what_it_means() {
    for kind in EventType::ALL {
        let fields: Vec<&Field> = kind.fields().collect();
        for (n, field) in fields.iter().enumerate() {
            let twice = fields[..n].iter().any(|f| f.name == field.name);
            assert!(!twice, "{} names {} twice", kind.name(), field.name);
            assert!(!field.words.is_empty(), "{} {}", kind.name(), field.name);
            let strange = field.on.iter().find(|a| !kind.actions().contains(a));
            assert_eq!(strange, None, "{} {}", kind.name(), field.name);
        }
        assert!(!kind.words().is_empty() && !kind.words().contains("  "));
        let actions = kind.actions();
        let twice = (1..actions.len()).find(|n| actions[..*n].contains(&actions[*n]));
        assert_eq!(twice, None, "{}", kind.name());
    }
}

#[test]
fn what_the_catalogue_does_not_describe_is_named() {
    assert_eq!(why(&drill("pin").detail("isolation", "none")), "nothing");
    let before = "the catalogue of events does not describe this DRILL_FAILED: ";
    for (event, said) in [
        (drill("pin").detail("pin", "1"), "it has no field 'pin'"),
        (drill("elsewhere"), "its field 'layer' holds something else"),
        (
            drill("pin").detail("vault", 7),
            "its field 'vault' holds something else",
        ),
        (
            drill("pin").detail("vault", serde_json::Value::Null),
            "its field 'vault' is missing",
        ),
        (drill("pin").action("drill"), "it has no action 'drill'"),
        (
            drill("pin").envelope("drill", *b"{}"),
            "it has no envelope 'drill'",
        ),
    ] {
        assert_eq!(why(&event), format!("{before}{said}"));
    }
}

#[test]
fn a_field_of_one_action_belongs_to_no_other() {
    let delivered = |action: &str| {
        Event::new(EventType::CredentialsDelivered, Actor::agent())
            .action(action)
            .detail("deliveries_since_last", 3)
    };
    assert_eq!(why(&delivered("count_deliveries")), "nothing");
    assert!(why(&delivered("deliver")).ends_with("its field 'role' is missing"));
    let role = delivered("count_deliveries").detail("role", "arn:aws:iam::1:role/x");
    assert!(why(&role).ends_with("it has no field 'role'"));
}

#[test]
fn kinds_take_what_they_say_and_nothing_else() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("json");
    for (kind, good, bad) in [
        (
            Kind::Time,
            "\"2026-01-06T10:00:00Z\"",
            "\"2026-01-06T10:00:00+00:00\"",
        ),
        (
            Kind::Time,
            "\"2026-01-06T10:00:00.123Z\"",
            "\"2026-01-06 10:00:00Z\"",
        ),
        (Kind::Count, "0", "-1"),
        (Kind::Flag, "false", "\"false\""),
        (Kind::Texts, "[\"a\"]", "[1]"),
        (Kind::Arn, "\"arn:aws:iam::1:role/x\"", "\"role/x\""),
        (
            Kind::List(AWS_CALL),
            "[{\"call\":\"minted\"}]",
            "[{\"call\":\"minted\",\"x\":1}]",
        ),
    ] {
        assert!(kind.takes(&json(good)), "{good}");
        assert!(!kind.takes(&json(bad)), "{bad}");
    }
    let hex = "0f".repeat(32);
    for (kind, prefix) in [(Kind::Sha256, ""), (Kind::Fingerprint, "kid_202611:")] {
        assert!(kind.takes(&json(&format!("\"{prefix}{hex}\""))));
        assert!(!kind.takes(&json(&format!("\"{prefix}{}\"", hex.to_uppercase()))));
    }
}
