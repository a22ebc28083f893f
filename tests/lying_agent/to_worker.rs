//! To the worker: it takes roster, manifest, policy and endpoint from nobody, and the rest only as far as it is signed.

use serde_json::{Value, json};
use twotap::{
    protocol::job::{self, FromWorker, Job, ToWorker, Vote},
    trust::{
        Bytes, Digest, Head,
        request::{Offer, SealOffer},
    },
    vault::seal_to,
};
use twotap_rig::world;

use crate::support::{Bench, ask, names, nonce};

fn ceremony(change: impl FnOnce(&mut Value)) -> Value {
    let mut job = serde_json::to_value(Job::Ceremony {
        ask: ask(),
        operator: "dana".to_owned(),
        audit: Head::EMPTY,
        checks: Vec::new(),
    })
    .expect("JSON");
    change(&mut job);
    job
}

/// Sends a job and demands that nothing comes of it: no offer, no call to AWS, no entry in the journal, no other key.
fn refused(bench: &Bench, what: &str, job: &Value) -> String {
    let keys = bench.world.list_keys(world::USER).expect("a list");
    let entries = journal(bench);
    bench.world.proxy().clear_calls();
    let mut worker = bench.worker();
    worker.send(job);
    let said = match worker.next() {
        Some(FromWorker::Failed(problem)) => problem.error,
        // A message that cannot be read ends the worker: there is nobody to talk to.
        None => "no answer".to_owned(),
        other => panic!("{what}: {other:?}"),
    };
    let calls = bench.world.proxy().calls();
    let acting = calls.iter().filter(|c| c.access_key_id.is_some());
    assert_eq!(acting.count(), 0, "{what}: {calls:?}");
    assert_eq!(journal(bench), entries, "{what}");
    assert_eq!(bench.world.list_keys(world::USER).expect("a list"), keys);
    said
}

fn journal(bench: &Bench) -> usize {
    let mut worker = bench.worker();
    worker.send(&Job::Journal {
        vault: "prod".to_owned(),
        since: 0,
    });
    worker.rest().1.expect("a journal").len()
}

#[test]
fn roster_manifest_policy_and_endpoint_are_nothing_that_an_agent_could_say() {
    let bench = Bench::sealed();
    for (field, value) in [
        ("roster_chain", json!([])),
        ("manifest", json!({})),
        ("policy", json!("{}")),
        ("endpoint", json!("http://127.0.0.1:1")),
        ("sts_regions", json!(["us-east-1"])),
        ("worker_key", json!("age1qqqq")),
        ("state", json!("/tmp")),
        ("approvals", json!([])),
    ] {
        let job = ceremony(|job| job[field] = value.clone());
        refused(&bench, field, &job);
        let job = ceremony(|job| job["ask"][field] = value);
        refused(&bench, field, &job);
    }
}

#[test]
fn the_environment_that_an_agent_starts_a_worker_in_redirects_nothing() {
    let bench = Bench::sealed();
    // Whoever listens here would get signed requests.
    let trap = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", trap.local_addr().expect("bound"));
    bench.world.proxy().clear_calls();
    let mut worker = bench.worker_in(&[
        ("AWS_ENDPOINT_URL", &url),
        ("AWS_ENDPOINT_URL_STS", &url),
        ("AWS_ENDPOINT_URL_IAM", &url),
        ("HTTP_PROXY", &url),
        ("HTTPS_PROXY", &url),
        ("http_proxy", &url),
        ("ALL_PROXY", &url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "elsewhere"),
    ]);
    worker.send(&ceremony(|_| ()));
    let Some(FromWorker::Offer(made)) = worker.next() else {
        panic!("no offer");
    };
    for custodian in &bench.custodians[..2] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let (session, entries) = worker.rest();
    assert!(session.is_some());
    assert_eq!(
        names(&entries.expect("done")).last().map(String::as_str),
        Some("rotated")
    );
    assert!(trap.accept().is_err(), "somebody called the trap");
    for call in bench.world.proxy().calls_of("sts:*") {
        assert_ne!(call.region, "us-east-1");
    }
}

#[test]
fn an_operator_whom_the_roster_does_not_name_as_one_gets_no_offer() {
    let bench = Bench::sealed();
    for name in [
        "alice",
        "stranger",
        "",
        "dana ",
        "Dana",
        "dana\u{202e}",
        "../dana",
    ] {
        let job = ceremony(|job| job["operator"] = name.into());
        let said = refused(&bench, name, &job);
        assert!(said.contains("not an operator"), "{name:?}: {said}");
    }
}

#[test]
fn another_vault_access_or_duration_than_the_roster_allows_gets_no_offer() {
    let bench = Bench::sealed();
    for (field, value) in [
        ("vault", json!("other")),
        ("vault", json!("../prod")),
        ("vault", json!("prod/../prod")),
        ("access", json!("root")),
        ("duration_seconds", json!(12 * 3600)),
        ("duration_seconds", json!(1)),
        ("duration_seconds", json!(-1)),
        ("nonce", json!("bm90IDE2")),
        ("reason", json!("")),
        ("incident", json!("INC-42\nINC-43")),
    ] {
        let job = ceremony(|job| job["ask"][field] = value.clone());
        refused(&bench, field, &job);
    }
}

#[test]
fn what_an_agent_says_of_operator_reason_and_record_stands_in_what_custodians_sign() {
    let bench = Bench::sealed();
    let audit = Head {
        seq: 4711,
        hash: Digest([7; 32]),
    };
    let mut worker = bench.worker();
    worker.send(&ceremony(|job| {
        job["audit"] = serde_json::to_value(audit).expect("JSON");
        job["ask"]["reason"] = "another reason".into();
    }));
    let Some(FromWorker::Offer(made)) = worker.next() else {
        panic!("no offer");
    };
    let Offer(request) = made.offer.unverified().expect("an offer");
    assert_eq!(request.audit, audit);
    assert_eq!(request.reason, "another reason");
    assert_eq!(request.operator, "dana");
}

/// What became of a vote.
fn vote(worker: &mut crate::support::Worker, approval: job::Approval) -> Result<(), String> {
    worker.send(&ToWorker::Approval(approval));
    match worker.next() {
        Some(FromWorker::Vote(Vote::Counted { .. })) => Ok(()),
        Some(FromWorker::Vote(Vote::Refused(problem))) => Err(problem.error),
        other => panic!("no vote: {other:?}"),
    }
}

#[test]
fn approvals_for_what_was_shown_do_not_count_for_what_was_offered() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    type Lie = fn(&mut twotap::trust::request::Request, &str);
    let lies: [(&str, Lie); 6] = [
        ("one-time key", |r, key| r.worker_key = key.to_owned()),
        ("reason", |r, _| r.reason = "a drill".to_owned()),
        ("operator", |r, _| r.operator = "ivan".to_owned()),
        ("end", |r, _| r.not_after = r.not_after.plus(-60)),
        ("audit head", |r, _| r.audit.seq += 1),
        ("id", |r, _| r.id = "r-aaaaaaaaaaaaa".to_owned()),
    ];
    let own = twotap::vault::OneTime::generate();
    for (what, lie) in lies {
        let mut shown = made.clone();
        let Offer(mut request) = made.offer.unverified().expect("an offer");
        lie(&mut request, &own.recipient());
        shown.offer = twotap::trust::Envelope::new(&Offer(request)).expect("a good document");
        let approval = alice.approve(&shown);
        // As it was given, and with the share sealed to where it has to go.
        let why = vote(&mut worker, approval.clone()).expect_err(what);
        assert!(!why.is_empty(), "{what}");
        let mixed = job::Approval {
            approval: approval.approval,
            ..alice.approve(&made)
        };
        vote(&mut worker, mixed).expect_err(what);
        let mixed = job::Approval {
            sealed_share: approval.sealed_share,
            ..alice.approve(&made)
        };
        vote(&mut worker, mixed).expect_err(what);
    }
    // Two requests at once: what one was given for is nothing in the other.
    let (mut other, made_too) = bench.ask();
    vote(&mut worker, alice.approve(&made_too)).expect_err("another request's");
    vote(&mut other, bob.approve(&made)).expect_err("another request's");
    // None of it spoilt the custodians' own votes.
    vote(&mut worker, alice.approve(&made)).expect("counts");
    assert!(
        bench
            .world
            .proxy()
            .calls_of("iam:*")
            .iter()
            .all(|c| c.error.is_none())
    );
    vote(&mut worker, bob.approve(&made)).expect("counts");
    let (session, result) = worker.rest();
    assert!(session.is_some() && result.is_ok());
}

#[test]
fn entries_that_are_said_to_be_recorded_and_are_not_change_nothing() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    for n in [0, 1, u64::MAX] {
        worker.send(&ToWorker::Recorded { n });
    }
    for custodian in &bench.custodians[..2] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let before = journal(&bench);
    let (session, entries) = worker.rest();
    let entries = entries.expect("done");
    assert!(session.is_some());
    assert!(journal(&bench) >= before);
    assert_eq!(names(&entries).iter().filter(|n| *n == "minted").count(), 1);
}

#[test]
fn an_agent_that_records_nothing_does_not_hold_up_an_emergency() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    for custodian in &bench.custodians[..2] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let mut session = None;
    loop {
        match worker.next() {
            Some(FromWorker::Session(given)) => session = Some(given),
            Some(FromWorker::Done) => break,
            Some(FromWorker::Failed(problem)) => panic!("{problem}"),
            Some(_) => {}
            None => panic!("the worker went away"),
        }
    }
    assert!(session.is_some());
}

#[test]
fn messages_out_of_turn_and_messages_that_are_none_open_nothing() {
    let bench = Bench::sealed();
    let key = bench.world.list_keys(world::USER).expect("a list");
    for (what, message) in [
        ("a second job", json!({"job": "host"})),
        ("no message", json!({"message": "open"})),
        ("a number", json!(7)),
        ("nested", json!({"message": "recorded", "n": {"n": 1}})),
        (
            "a field more",
            json!({"message": "recorded", "n": 1, "standing": "approved"}),
        ),
    ] {
        let (mut worker, made) = bench.ask();
        worker.send(&ToWorker::Approval(bench.custodians[0].approve(&made)));
        worker.next();
        worker.send(&message);
        let (session, end) = worker.rest();
        assert!(session.is_none(), "{what}");
        end.expect_err(what);
    }
    assert!(
        bench
            .world
            .proxy()
            .calls_of("sts:AssumeRole")
            .iter()
            .all(|c| c.param("RoleSessionName") != Some("dana"))
    );
    assert_eq!(bench.world.list_keys(world::USER).expect("a list"), key);
}

#[test]
fn an_agent_that_talks_nonsense_after_the_quorum_stops_nothing_that_has_begun() {
    let bench = Bench::sealed();
    let key = bench.world.list_keys(world::USER).expect("a list");
    let (mut worker, made) = bench.ask();
    for custodian in &bench.custodians[..2] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    worker.send(&json!("nonsense"));
    // Nobody reads what it says from here on; it lives as long as this does.
    let _worker = worker;
    let Offer(request) = made.offer.unverified().expect("an offer");
    // What it did stands in its journal, and the session is asked for again.
    let begun = std::time::Instant::now();
    let steps = loop {
        let mut worker = bench.worker();
        worker.send(&Job::Journal {
            vault: "prod".to_owned(),
            since: 0,
        });
        let mut entries = worker.rest().1.expect("a journal");
        entries.retain(|e| e.request.as_deref() == Some(&request.id));
        let steps = names(&entries);
        if steps.iter().any(|s| s == "rotated") {
            break steps;
        }
        assert!(begun.elapsed().as_secs() < 60, "{steps:?}");
    };
    for once in ["mint_intent", "minted", "rotated"] {
        assert_eq!(steps.iter().filter(|s| *s == once).count(), 1, "{steps:?}");
    }
    let mut worker = bench.worker();
    worker.send(&Job::Session {
        request: request.id,
    });
    let session = worker.rest().0.expect("kept");
    let session = twotap_rig::Credentials {
        access_key_id: session.targets[0].access_key_id.clone(),
        secret_access_key: session.targets[0].secret_access_key.to_string(),
        session_token: Some(session.targets[0].session_token.to_string()),
    };
    let probe = bench.world.session_probe(&session).expect("an answer");
    assert!(probe.is_ok(), "{probe:?}");
    let after = bench.world.list_keys(world::USER).expect("a list");
    assert_eq!(after.len(), 1);
    assert_ne!(after, key);
}

#[test]
fn another_credential_than_the_roster_names_is_not_sealed() {
    let bench = Bench::new();
    let admin = bench.world.admin();
    let user = [("UserName", "stranger")];
    assert!(
        admin
            .query("iam", "CreateUser", &user)
            .expect("made")
            .is_ok()
    );
    let made = admin.query("iam", "CreateAccessKey", &user).expect("made");
    let key = made.credentials().expect("a key");
    let printed = json!({"AccessKey": {
        "UserName": world::USER, "AccessKeyId": key.access_key_id, "Status": "Active",
        "SecretAccessKey": key.secret_access_key, "CreateDate": "2026-01-06T10:00:00+00:00",
    }});
    let mut worker = bench.worker();
    worker.send(&Job::Seal {
        vault: "prod".to_owned(),
        audit: Head::EMPTY,
        nonce: nonce(),
    });
    let Some(FromWorker::SealOffer { offer }) = worker.next() else {
        panic!("no offer");
    };
    let to = offer
        .unverified::<SealOffer>()
        .expect("an offer")
        .worker_key;
    let sealed = seal_to(&to, printed.to_string().as_bytes()).expect("a recipient");
    worker.send(&ToWorker::Credential {
        sealed: Bytes(sealed),
    });
    let why = worker.rest().1.expect_err("refused");
    assert!(
        why.contains("that key belongs to") && why.contains("user/stranger"),
        "{why}"
    );
    let mut worker = bench.worker();
    worker.send(&Job::Vault {
        vault: "prod".to_owned(),
    });
    let Some(FromWorker::Vault(facts)) = worker.next() else {
        panic!("no vault");
    };
    assert!(facts.manifest.is_none());
    assert_eq!(journal(&bench), 0);
}

#[test]
fn sessions_are_asked_for_by_their_id_and_by_nothing_else() {
    let bench = Bench::sealed();
    for id in [
        "r-aaaaaaaaaaaaa",
        "",
        "../state/host.key",
        "/etc/passwd",
        "r-aaaaaaaaaaaaa/../../x",
        "R-AAAAAAAAAAAAA",
    ] {
        for job in [
            json!({"job": "session", "request": id}),
            json!({"job": "close", "vault": "prod", "request": id}),
        ] {
            let said = refused(&bench, id, &job);
            let expected = match id {
                "r-aaaaaaaaaaaaa" => "no session of this request",
                _ => "not a request's id",
            };
            assert!(said.contains(expected), "{id}: {said}");
        }
    }
}
