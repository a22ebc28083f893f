use super::*;
use crate::trust::{
    Bytes, Digest,
    tests::people::{self, SoftToken},
};

fn now() -> Timestamp {
    Timestamp::parse("2026-01-06T10:10:00Z").expect("a time")
}

fn asked() -> Ask {
    let given = Given {
        access: Some("admin".into()),
        incident: Some("INC-42".into()),
        reason: Some("down".into()),
        seconds: Some(3600),
        ..Given::default()
    };
    given.into_ask("prod".into()).expect("good")
}

#[test]
fn what_is_wrong_with_an_ask_is_said_before_it_is_sent() {
    let given = || Given {
        access: Some("admin".into()),
        incident: Some("INC-42".into()),
        reason: Some("down".into()),
        ..Given::default()
    };
    assert!(given().into_ask("prod".into()).is_ok());
    type Change = fn(&mut Given);
    let changes: [Change; 10] = [
        |g| g.access = Some("../x".into()),
        |g| g.scenario = Some("Outage!".into()),
        |g| g.incident = Some("INC\n42".into()),
        |g| g.reason = Some("do\u{202e}wn".into()),
        |g| g.reason = None,
        |g| g.seconds = Some(12 * 3600),
        |g| g.seconds = Some(30),
        |g| g.commander = Some("the boss".into()),
        |g| g.subject = Some("*".into()),
        |g| g.subject = Some(String::new()),
    ];
    for change in changes {
        let mut bad = given();
        change(&mut bad);
        let shown = format!("{bad:?}");
        let problem = bad.into_ask("prod".into()).expect_err(&shown);
        assert_eq!(problem.code, Code::Usage, "{shown}");
    }
    assert_eq!(
        given().into_ask("../x".into()).expect_err("a path").code,
        Code::Usage
    );
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
        offered::is_what_was_asked(request, &ask, &view(&good), &roster, uid)
    };
    assert_eq!(check(&good, DANA), Ok(()));

    type Change = fn(&mut Request);
    let changes: [(&str, Change); 13] = [
        ("id", |r| r.id = "r-aaaaaaaaaaaaa".into()),
        ("vault", |r| r.vault = "test".into()),
        ("access", |r| r.access = "root".into()),
        ("incident", |r| r.incident = "INC-43".into()),
        ("reason", |r| r.reason.push('!')),
        ("commander", |r| r.commander_claimed = Some("ivan".into())),
        ("scenario", |r| r.scenario = Some("outage".into())),
        ("subject", |r| r.subject = Some("u-1".into())),
        ("confirmation", |r| {
            r.confirmed = vec![BannedUse::Expediency]
        }),
        ("earlier session", |r| {
            r.follows = Some("r-aaaaaaaaaaaaa".into())
        }),
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
