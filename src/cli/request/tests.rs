use super::*;
use crate::trust::tests::people::{self, SoftToken};

fn now() -> Timestamp {
    Timestamp::parse("2026-01-06T10:10:00Z").expect("a time")
}

fn declare(variables: &[(&str, &str)]) -> Result<String, Problem> {
    declared(
        |name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        },
        now(),
    )
}

#[test]
fn a_fresh_declaration_stands_for_the_reason() {
    let whole = |at| {
        declare(&[
            ("GOVERNED_BREAK_GLASS", "true"),
            ("BREAK_GLASS_REASON", "database is down"),
            ("BREAK_GLASS_TIMESTAMP", at),
        ])
    };
    for fresh in [
        "2026-01-06T10:10:00Z",
        "2026-01-06T09:55:00Z",
        "2026-01-06T10:11:00Z",
    ] {
        assert_eq!(whole(fresh).as_deref(), Ok("database is down"), "{fresh}");
    }
    for stale in ["2026-01-06T09:54:59Z", "2026-01-06T10:11:01Z"] {
        let problem = whole(stale).expect_err(stale);
        assert_eq!(problem.code, Code::Refused, "{stale}");
    }
    assert_eq!(whole("yesterday").expect_err("no time").code, Code::Usage);
}

#[test]
fn half_a_declaration_is_none() {
    let at = ("BREAK_GLASS_TIMESTAMP", "2026-01-06T10:10:00Z");
    let reason = ("BREAK_GLASS_REASON", "down");
    for variables in [
        vec![],
        vec![reason, at],
        vec![("GOVERNED_BREAK_GLASS", "false"), reason, at],
        vec![("GOVERNED_BREAK_GLASS", "true"), at],
        vec![("GOVERNED_BREAK_GLASS", "true"), reason],
    ] {
        let problem = declare(&variables).expect_err("not whole");
        assert_eq!(problem.code, Code::Usage, "{variables:?}");
        assert!(problem.hint.is_some());
    }
}

fn asked() -> Ask {
    ask(
        "prod".into(),
        "admin".into(),
        "INC-42".into(),
        "down".into(),
        Some("1h".into()),
        None,
    )
    .expect("good")
}

#[test]
fn what_is_wrong_with_an_ask_is_said_before_it_is_sent() {
    let bad = |vault: &str, reason: &str, duration: &str| {
        ask(
            vault.into(),
            "admin".into(),
            "INC-42".into(),
            reason.into(),
            Some(duration.into()),
            None,
        )
        .expect_err("bad")
        .code
    };
    assert_eq!(bad("../x", "down", "1h"), Code::Usage);
    assert_eq!(bad("prod", "do\u{202e}wn", "1h"), Code::Usage);
    assert_eq!(bad("prod", "down", "12h"), Code::Usage);
    assert_eq!(bad("prod", "down", "30s"), Code::Usage);
    assert_eq!(asked().nonce.0.len(), 16);
    assert_ne!(asked().nonce, asked().nonce);
}

/// The uid of dana in the sample roster.
const DANA: u32 = 1004;

#[test]
fn an_offer_of_anything_else_is_tampering_and_says_of_what() {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let roster = people::roster(2, &[&alice, &bob]);
    let ask = asked();
    let policy = "{}".to_owned();
    let good = Request {
        host: roster.hosts[0].key.id(),
        vault: "prod".into(),
        operator: "dana".into(),
        access: "admin".into(),
        incident: "INC-42".into(),
        reason: "down".into(),
        commander_claimed: None,
        not_before: now(),
        approve_before: now().plus(1800),
        not_after: now().plus(3600),
        operator_nonce: ask.nonce.clone(),
        policy_sha256: Digest::of(policy.as_bytes()),
        ..crate::cli::tests::sample_request()
    };
    let view = |request: &Request| crate::cli::tests::view(request, policy.clone());
    let check = |request: &Request, uid: u32| {
        offers_what_was_asked(request, &ask, &view(&good), &roster, uid)
    };
    assert_eq!(check(&good, DANA), Ok(()));

    type Change = fn(&mut Request);
    let changes: [(&str, Change); 9] = [
        ("id", |r| r.id = "r-aaaaaaaaaaaaa".into()),
        ("vault", |r| r.vault = "test".into()),
        ("access", |r| r.access = "root".into()),
        ("incident", |r| r.incident = "INC-43".into()),
        ("reason", |r| r.reason.push('!')),
        ("commander", |r| r.commander_claimed = Some("ivan".into())),
        ("nonce", |r| r.operator_nonce = Bytes(vec![0; 16])),
        ("duration", |r| r.not_after = r.not_after.plus(1)),
        ("policy", |r| r.policy_sha256 = Digest([9; 32])),
    ];
    for (field, change) in changes {
        let mut request = good.clone();
        change(&mut request);
        let problem = check(&request, DANA).expect_err(field);
        assert_eq!(problem.code, Code::Tampering);
        assert!(
            problem.error.contains(&format!("another {field} ")),
            "{problem}"
        );
    }
    // Offered in somebody else's name.
    for uid in [1005, 4242] {
        let problem = check(&good, uid).expect_err("another account");
        assert!(problem.error.contains("another operator "), "{problem}");
    }
}
