//! A worker whose answer is malformed, late, huge, missing or untrue: the agent says so, keeps serving, records what the journal holds, and shows
//! nothing of what it could not read.

mod agent_support;

use std::io::Write as _;

use agent_support::{DANA, Host, Reply, SOFIA, connect, paper, until, worker::Garble};
use serde_json::json;
use twotap::{
    ceremony::Stage,
    protocol::{
        Code,
        socket::{RosterSubmit, RosterSubmitted},
    },
    trust::request::{Purpose, Request},
};

/// Answers that are none.
fn garbles() -> Vec<(&'static str, Garble)> {
    let frame = |body: &[u8]| {
        let length = u32::try_from(body.len()).expect("small").to_be_bytes();
        [&length[..], body].concat()
    };
    let text = "x".repeat(1000);
    vec![
        ("missing", Garble::Bytes(Vec::new())),
        ("half a length", Garble::Bytes(vec![0, 0])),
        ("half a message", Garble::Bytes(vec![0, 0, 1, 0, b'{'])),
        ("4 GiB announced", Garble::Bytes(vec![0xff; 4])),
        ("one byte too many", Garble::Bytes(vec![0, 0x40, 0, 1])),
        ("no JSON", Garble::Bytes(frame(b"\x00\xff\x00"))),
        ("an empty message", Garble::Bytes(frame(b""))),
        ("deep", Garble::Bytes(frame("[".repeat(10_000).as_bytes()))),
        (
            "of no kind",
            Garble::Message(json!({"message": "open", "text": text})),
        ),
        ("no object", Garble::Message(json!([1, 2, 3]))),
        (
            "a field more",
            Garble::Message(json!({"message": "done", "and": "more"})),
        ),
        (
            "out of turn",
            Garble::Message(json!({"message": "host", "key": "none"})),
        ),
        (
            "done, too early",
            Garble::Message(json!({"message": "done"})),
        ),
    ]
}

fn whole(host: &Host) {
    let view = host.open();
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    until("the rotation is recorded", || {
        let events = host.events_of(&view.id);
        events.contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    assert_eq!(host.close(DANA, &view.id, false).status, 200);
    host.reach(&view.id, Stage::Closed);
}

#[test]
fn an_offer_that_is_none_is_no_request_and_takes_no_place() {
    let host = Host::start();
    for (what, garble) in garbles() {
        host.worker.told(|s| s.garbled = Some(("ceremony", garble)));
        let problem = host.try_ask(DANA).problem();
        assert!(
            matches!(problem.code, Code::Agent | Code::Internal),
            "{what}: {problem:?}"
        );
        assert!(problem.hint.is_some(), "{what}: {problem:?}");
    }
    assert!(host.events_named("BREAK_GLASS_REQUESTED").is_empty());
    assert!(host.status(DANA).requests.is_empty());
    whole(&host);
}

#[test]
fn an_offer_of_something_that_was_not_asked_is_found() {
    let host = Host::start();
    type Lie = fn(&mut Request);
    let lies: [(&str, Lie); 12] = [
        ("operator", |r| r.operator = "alice".into()),
        ("incident", |r| r.incident = "INC-0".into()),
        ("reason", |r| r.reason = "something else".into()),
        ("commander", |r| r.commander_claimed = Some("sofia".into())),
        ("nonce", |r| r.operator_nonce.0[0] ^= 1),
        ("audit head", |r| r.audit.seq += 1),
        ("access", |r| r.access = "root".into()),
        ("vault", |r| r.vault = "other".into()),
        ("account", |r| r.account = "999999999999".into()),
        ("role", |r| r.role.push('x')),
        ("regions", |r| r.regions = vec!["us-east-1".into()]),
        ("roster", |r| r.roster_sha256.0[0] ^= 1),
    ];
    for (what, lie) in lies {
        host.worker.told(|s| s.lie = Some(lie));
        let problem = host.try_ask(DANA).problem();
        assert_eq!(problem.code, Code::Tampering, "{what}: {problem:?}");
    }
    host.worker.told(|s| s.lie = None);
    assert!(host.events_named("BREAK_GLASS_REQUESTED").is_empty());
    whole(&host);
}

/// Sofia hands the next version in.
fn hand_in(host: &Host) -> Reply {
    let paper = host.worker.paper();
    let submit = RosterSubmit {
        next: paper.version_after(&paper.chain, |next| next.accept_risk.clear()),
        incident: "CHG-7".into(),
        reason: "nothing is accepted any more".into(),
        nonce: paper::nonce(),
    };
    host.call(SOFIA, "POST", "/v1/vaults/prod/roster", &submit)
}

#[test]
fn an_offer_of_a_roster_that_was_not_handed_in_is_found() {
    let host = Host::start();
    type Lie = fn(&mut Request);
    let lies: [(&str, Lie); 10] = [
        ("operator", |r| r.operator = "alice".into()),
        ("incident", |r| r.incident = "CHG-0".into()),
        ("reason", |r| r.reason = "something else".into()),
        ("nonce", |r| r.operator_nonce.0[0] ^= 1),
        ("audit head", |r| r.audit.seq += 1),
        ("vault", |r| r.vault = "other".into()),
        ("version", |r| {
            r.purpose = Purpose::Roster {
                version: 2,
                roster_sha256: r.roster_sha256,
            }
        }),
        ("a version further", |r| {
            if let Purpose::Roster { version, .. } = &mut r.purpose {
                *version += 1;
            }
        }),
        ("a role to open", |r| {
            r.role = r.role.replace("steward", "op-admin");
        }),
        ("roster", |r| r.roster_sha256.0[0] ^= 1),
    ];
    for (what, lie) in lies {
        host.worker.told(|s| s.lie = Some(lie));
        let problem = hand_in(&host).problem();
        assert_eq!(problem.code, Code::Tampering, "{what}: {problem:?}");
    }
    host.worker.told(|s| s.lie = None);
    assert!(host.events_named("BREAK_GLASS_REQUESTED").is_empty());
    let submitted: RosterSubmitted = hand_in(&host).json();
    let request = submitted.request.expect("to approve");
    assert_eq!(request.stage, Stage::Requested);
}

#[test]
fn a_roster_is_taken_up_on_no_earlier_generation_than_the_one_on_record() {
    let host = Host::start();
    let earlier = host.worker.snapshot();
    whole(&host);
    // What custodians hold shares of and is dead would be opened; and where nothing is said to be sealed, it would count at once.
    for (what, shown) in [("the one before", earlier), ("none", (0, None))] {
        host.worker.put_back(shown);
        let problem = hand_in(&host).problem();
        assert_eq!(problem.code, Code::Tampering, "{what}: {problem:?}");
        assert!(
            problem.error.contains("generation 2 counts"),
            "{what}: {problem:?}"
        );
    }
    assert!(host.events_named("ROSTER_CHANGED").is_empty());

    // A host that stood by has just taken over what another one has made since.
    host.worker.adopts(5);
    let submitted: RosterSubmitted = hand_in(&host).json();
    let request = submitted.request.expect("to approve");
    assert_eq!(host.approve(&request, "alice").status, 200);
    let Reply { status, .. } = host.try_ask(DANA);
    assert_eq!(status, 200, "and a session may be asked for on it as well");
}

#[test]
fn a_vote_without_an_answer_counts_for_nothing_and_the_request_fails() {
    let host = Host::start();
    for (what, garble) in garbles() {
        let view = host.ask();
        host.worker.told(|s| s.garbled = Some(("vote", garble)));
        let problem = host.approve(&view, "alice").problem();
        assert_eq!(problem.code, Code::Agent, "{what}: {problem:?}");
        let failed = host.reach(&view.id, Stage::Failed);
        assert!(failed.approved_by.is_empty(), "{what}");
        assert!(failed.outcome.is_some(), "{what}");
        let events = host.events_of(&view.id);
        assert_eq!(
            events,
            ["BREAK_GLASS_REQUESTED", "REQUEST_FAILED"],
            "{what}"
        );
    }
    whole(&host);
}

#[test]
fn nonsense_after_any_step_loses_neither_session_nor_record() {
    let host = Host::start();
    let steps = [
        "quorum",
        "minted",
        "rotation_intent",
        "key_created",
        "generation_committed",
        "key_refused",
    ];
    for (n, (what, garble)) in garbles().into_iter().enumerate() {
        let step = steps[n % steps.len()];
        host.worker.told(|s| s.garbled = Some((step, garble)));
        let view = host.ask();
        host.approve(&view, "alice");
        host.approve(&view, "bob");
        let what = format!("{what} after {step}");
        until(&what, || {
            let events = host.events_of(&view.id);
            events.contains(&"CREDENTIAL_ROTATED".to_owned())
        });
        let events = host.events_of(&view.id);
        for once in ["MINT_INTENT", "BREAK_GLASS_ACCESS", "CREDENTIAL_ROTATED"] {
            let times = events.iter().filter(|e| *e == once).count();
            assert_eq!(times, 1, "{what}: {events:?}");
        }
        // A worker that nobody hears any more has rotated; whether it had to be closed at once depends on how far it had come.
        let stage = host.request(&view.id).stage;
        if stage == Stage::Open {
            assert_eq!(host.credentials(DANA, &view.id).status, 200, "{what}");
            host.close(DANA, &view.id, false);
        }
        host.reach(&view.id, Stage::Closed);
    }
    whole(&host);
}

#[test]
fn a_closing_without_an_answer_is_tried_again() {
    let host = Host::start();
    let all: Vec<_> = garbles().into_iter().collect();
    for (what, garble) in all.into_iter().step_by(3) {
        let view = host.open();
        host.worker.told(|s| s.garbled = Some(("close", garble)));
        assert_eq!(host.close(DANA, &view.id, false).status, 200, "{what}");
        host.reach(&view.id, Stage::Closed);
        let events = host.events_of(&view.id);
        let times = events.iter().filter(|e| *e == "SESSION_REVOKED").count();
        assert_eq!(times, 1, "{what}: {events:?}");
    }
    assert_eq!(host.worker.jobs("close"), 2 * garbles().len().div_ceil(3));
}

#[test]
fn a_session_and_a_journal_that_cannot_be_read_are_asked_for_again() {
    let mut host = Host::start();
    let view = host.open();
    for (what, garble) in garbles() {
        host.kill_agent();
        host.worker.told(|s| s.garbled = Some(("session", garble)));
        host.start_agent();
        // The agent asks by itself; whoever asks after that makes it ask again.
        until(what, || host.credentials(DANA, &view.id).status == 200);
        assert!(host.worker.jobs("session") >= 2, "{what}");
    }
    for (what, garble) in garbles().into_iter().step_by(4) {
        host.kill_agent();
        host.worker.told(|s| s.garbled = Some(("journal", garble)));
        host.start_agent();
        assert_eq!(host.credentials(DANA, &view.id).status, 200, "{what}");
    }
}

#[test]
fn what_cannot_be_read_is_shown_nowhere() {
    let host = Host::start();
    let secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
    let session = json!({
        "message": "session", "request": 7, "access_key_id": "ASIA", "secret_access_key": secret,
        "session_token": secret, "not_after": "soon", "more": secret,
    });
    // Where a parser would quote what it could not read.
    let quoted = json!({"message": secret});
    for (place, message) in [
        ("ceremony", &session),
        ("ceremony", &quoted),
        ("minted", &session),
        ("vote", &session),
        ("vote", &quoted),
    ] {
        let garble = Garble::Message(message.clone());
        host.worker.told(|s| s.garbled = Some((place, garble)));
        let asked = host.try_ask(DANA);
        let mut seen = String::from_utf8_lossy(&asked.body).into_owned();
        if asked.status == 200 {
            let view: twotap::protocol::socket::RequestView = asked.json();
            for who in ["alice", "bob"] {
                let voted = host.approve(&view, who);
                seen.push_str(&String::from_utf8_lossy(&voted.body));
            }
        }
        seen.push_str(&host.log());
        seen.push_str(&serde_json::to_string(&host.status(SOFIA)).expect("JSON"));
        assert!(!seen.contains(&secret[..16]), "{place}: {seen}");
    }
}

#[test]
fn a_worker_that_answers_nothing_holds_up_nobody_else() {
    let host = Host::start();
    let silent = Garble::Hangs(vec![0, 0]);
    host.worker.told(|s| s.garbled = Some(("ceremony", silent)));
    let mut asking = connect(&host.socket(), DANA).expect("connected");
    let body = serde_json::to_string(&paper::ask()).expect("JSON");
    let request = format!(
        "POST /v1/requests HTTP/1.1\r\nhost: twotap\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    asking.write_all(request.as_bytes()).expect("asked");
    until("the silent worker is asked", || {
        host.worker.jobs("ceremony") == 1
    });
    assert_eq!(host.status(SOFIA).you.name, "sofia");
    whole(&host);
    drop(asking);
}

#[test]
fn an_answer_that_does_not_come_in_time_is_asked_for_again() {
    let mut host = Host::start();
    let view = host.open();
    host.kill_agent();
    let silent = Garble::Hangs(vec![0, 0, 0]);
    host.worker.told(|s| s.garbled = Some(("session", silent)));
    host.start_agent();
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    let log = host.log();
    assert!(log.contains("the worker does not answer in time"), "{log}");
}
