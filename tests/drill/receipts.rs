//! What the agent believes of a drill: the custodian's signature, over this generation, for the bytes that it gave; each once.

use serde_json::json;
use twotap::{
    protocol::{
        Code,
        socket::{DrillBundle, DrillNoted, DrillReceipt},
    },
    trust::{Bytes, Digest, Envelope},
};

use crate::agent_support::{ALICE, BOB, DANA, Host, Reply, SOFIA};

const DRILL: &str = "/v1/vaults/prod/drill";
const DRILLS: &str = "/v1/vaults/prod/drills";
const FAILED: &str = "/v1/vaults/prod/drills/failed";

fn papers(host: &Host, uid: u32) -> DrillBundle {
    host.get(uid, DRILL).json()
}

fn hand_in(host: &Host, uid: u32, receipt: Envelope) -> Reply {
    host.call(uid, "POST", DRILLS, &DrillReceipt { receipt })
}

fn refused(reply: &Reply, status: u16, code: Code) {
    assert_eq!(
        (reply.status, reply.problem().code),
        (status, code),
        "{}",
        reply.problem()
    );
}

#[test]
fn a_receipt_counts_once_for_whoever_signed_it() {
    let host = Host::start();
    let paper = host.worker.paper();
    let bundle = papers(&host, ALICE);
    assert_eq!(bundle.share.0, b"the sealed share of alice");
    assert_eq!(papers(&host, BOB).share.0, b"the sealed share of bob");
    for uid in [DANA, SOFIA] {
        refused(&host.get(uid, DRILL), 403, Code::Refused);
    }

    // Whoever brings it: the signature says whose it is.
    let receipt = paper.drill(&bundle, "alice", |_| {});
    let noted: DrillNoted = hand_in(&host, DANA, receipt.clone()).json();
    assert_eq!((noted.custodian.as_str(), noted.passed), ("alice", true));
    refused(&hand_in(&host, ALICE, receipt), 403, Code::Refused);

    let passed = host.events_named("DRILL_PASSED");
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].actor, "alice");
    assert_eq!(passed[0].envelopes[0].kind, "drill");
    let readiness = &host.status(DANA).vaults[0].readiness;
    assert_eq!(readiness.custodians[0].by.as_deref(), Some("drill"));
    assert_eq!(readiness.custodians[0].at, Some(noted.at));
    assert_eq!(readiness.custodians[1].at, None);
}

#[test]
fn a_receipt_that_does_not_fit_in_one_field_does_not_count() {
    let host = Host::start();
    let paper = host.worker.paper();
    let bundle = papers(&host, ALICE);
    type Change = fn(&mut twotap::trust::drill::Drill);
    let changes: [(&str, Change); 7] = [
        ("vault", |d| d.vault = "test".to_owned()),
        ("generation", |d| d.generation += 1),
        ("manifest", |d| d.manifest_sha256 = Digest([7; 32])),
        ("custodian", |d| d.custodian = "bob".to_owned()),
        ("serial", |d| d.serial += 1),
        ("share", |d| d.share_sha256 = Digest([7; 32])),
        ("nonce", |d| d.nonce = Bytes(vec![7; 16])),
    ];
    for (field, change) in changes {
        let reply = hand_in(&host, ALICE, paper.drill(&bundle, "alice", change));
        assert_eq!(reply.status, 403, "{field}: {}", reply.problem());
    }
    // Bob's receipt for what alice was given, and alice's under a stranger's signature or another purpose.
    let bobs = paper.drill(&bundle, "bob", |_| {});
    refused(&hand_in(&host, BOB, bobs), 403, Code::Refused);
    let mut strangers = paper.drill(&bundle, "alice", |_| {});
    strangers.signatures.clear();
    strangers.sign(&paper.host);
    refused(&hand_in(&host, ALICE, strangers), 409, Code::Tampering);
    let mut approval = paper.drill(&bundle, "alice", |_| {});
    approval.payload_type = "application/vnd.twotap.approve.v1+json".to_owned();
    refused(&hand_in(&host, ALICE, approval), 400, Code::Usage);

    assert!(host.events_named("DRILL_PASSED").is_empty());
    let readiness = &host.status(DANA).vaults[0].readiness;
    assert!(readiness.custodians.iter().all(|c| c.at.is_none()));
    // And the one that fits still counts.
    let good = hand_in(&host, ALICE, paper.drill(&bundle, "alice", |_| {}));
    assert_eq!(good.status, 200);
}

#[test]
fn a_failure_is_a_custodians_own_word_and_degrades_until_a_drill_passes() {
    let host = Host::start();
    let failure = json!({"layer": "age", "why": "the share does not open"});
    refused(
        &host.call(DANA, "POST", FAILED, &failure),
        403,
        Code::Refused,
    );
    for bad in [
        json!({"layer": "age", "why": "two\nlines"}),
        json!({"layer": "age", "why": "x".repeat(600)}),
        json!({"layer": "soul", "why": "x"}),
    ] {
        refused(&host.call(BOB, "POST", FAILED, &bad), 400, Code::Usage);
    }
    assert!(host.events_named("DRILL_FAILED").is_empty());

    assert_eq!(host.call(BOB, "POST", FAILED, &failure).status, 200);
    let event = &host.events_named("DRILL_FAILED")[0];
    assert_eq!(
        (event.actor.as_str(), &event.what["layer"]),
        ("bob", &json!("age"))
    );
    let degraded = || host.status(DANA).degraded;
    assert!(
        degraded()
            .iter()
            .any(|line| line.contains("bob's last drill failed"))
    );
    crate::agent_support::until("it is raised", || {
        host.events_named("READINESS_DEGRADED").len() == 1
    });

    let receipt = host
        .worker
        .paper()
        .drill(&papers(&host, BOB), "bob", |_| {});
    assert_eq!(hand_in(&host, BOB, receipt).status, 200);
    assert!(
        !degraded()
            .iter()
            .any(|line| line.contains("last drill failed"))
    );
    crate::agent_support::until("it is lifted", || {
        host.events_named("READINESS_RESTORED").len() == 1
    });
    assert_eq!(host.events_named("READINESS_DEGRADED").len(), 1);
}

#[test]
fn an_approval_that_counts_is_a_proof_and_a_denial_is_none() {
    let host = Host::start();
    let view = host.ask();
    assert_eq!(host.approve(&view, "alice").status, 200);
    assert_eq!(host.deny(&view, "bob").status, 200);
    let readiness = &host.status(DANA).vaults[0].readiness;
    assert_eq!(readiness.custodians[0].by.as_deref(), Some("approval"));
    assert_eq!(readiness.custodians[1].by, None);
    assert!(!readiness.survives_loss_of_one);
}
