//! A request from asking to closing, as the people around it see it.

mod agent_support;

use agent_support::{ALICE, DANA, Host, SOFIA, paper, worker::session};
use twotap::{
    audit::event::Record,
    ceremony::Stage,
    protocol::{
        Code,
        job::Ask,
        socket::{ApprovalBundle, RequestView, SealBegin, SealBegun, SealFinish, SealFinished},
    },
    trust::{Bytes, request::Offer},
};

#[test]
fn two_approvals_open_a_session_and_closing_ends_it() {
    let host = Host::start();
    let view = host.ask();
    assert_eq!(view.stage, Stage::Requested);
    let Offer(request) = view.offer.unverified().expect("an offer");
    assert_eq!(request.operator, "dana");

    // The head that the request carries is where the record stood: the event before the request's own.
    let events = host.events();
    let asked = events
        .iter()
        .find(|e| e.event_type == "BREAK_GLASS_REQUESTED")
        .expect("recorded");
    assert_eq!(asked.seq, request.audit.seq + 1);
    assert_eq!(asked.prev.as_bytes(), &request.audit.hash.0);
    assert_eq!(
        asked.justification.as_deref(),
        Some(request.reason.as_str())
    );
    assert_eq!(asked.what["isolation"], "account");

    let after_one: RequestView = host.approve(&view, "alice").json();
    assert_eq!(after_one.stage, Stage::Requested);
    assert_eq!(after_one.approved_by, ["alice"]);
    assert_eq!(
        host.credentials(DANA, &view.id).problem().code,
        Code::Approvals
    );
    host.approve(&view, "bob").json::<RequestView>();
    host.reach(&view.id, Stage::Open);
    // The operator need not wait for the rotation; this test does, to know the order of events.
    agent_support::until("the key is replaced", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });

    let got = host.credentials(DANA, &view.id).credentials();
    let minted = session(&request).targets.remove(0);
    assert_eq!(got.version, 1);
    assert_eq!(got.access_key_id, minted.access_key_id);
    assert_eq!(*got.secret_access_key, *minted.secret_access_key);
    assert_eq!(got.expiration, request.not_after);

    // Nobody else, not even an officer.
    for uid in [ALICE, SOFIA] {
        let reply = host.credentials(uid, &view.id);
        assert_eq!((reply.status, reply.problem().code), (403, Code::Refused));
    }

    assert_eq!(host.close(ALICE, &view.id, true).status, 403);
    let closing: RequestView = host.close(DANA, &view.id, false).json();
    assert!(matches!(closing.stage, Stage::Closing | Stage::Closed));
    let closed = host.reach(&view.id, Stage::Closed);
    assert!(
        closed
            .outcome
            .expect("said")
            .starts_with("revoked; refused since")
    );
    assert_eq!(host.credentials(DANA, &view.id).status, 403);
    // Once more says the same and does nothing.
    let again: RequestView = host.close(DANA, &view.id, false).json();
    assert_eq!(again.stage, Stage::Closed);

    let status = host.status(DANA);
    assert_eq!(status.vaults[0].rotation, "done");
    assert_eq!(status.vaults[0].generation, Some(2));
    assert_eq!(status.degraded, [""; 0]);
    let names = host.events_of(&view.id);
    let milestones: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|n| !n.ends_with("_STEP"))
        .collect();
    assert_eq!(
        milestones,
        [
            "BREAK_GLASS_REQUESTED",
            "BREAK_GLASS_APPROVED",
            "BREAK_GLASS_APPROVED",
            "MINT_INTENT",
            "BREAK_GLASS_ACCESS",
            "CREDENTIAL_ROTATED",
            "CREDENTIALS_DELIVERED",
            "SESSION_CLOSED",
            "SESSION_REVOKED",
            "REVIEW_DUE",
        ]
    );
    // What stands behind each key is part of the record.
    let approved = host.events().into_iter();
    let custody: Vec<_> = approved
        .filter(|e| e.event_type == "BREAK_GLASS_APPROVED")
        .map(|e| {
            (
                e.what["serial"].clone(),
                e.what["proof"].clone(),
                e.what["advisories"].clone(),
            )
        })
        .collect();
    let unproven = serde_json::json!("NOT attested: accepted on its own word");
    assert_eq!(
        custody,
        [
            (1000.into(), unproven.clone(), serde_json::json!([])),
            (1001.into(), unproven, serde_json::json!(["YSA-2024-03"])),
        ]
    );
    let text = format!("{:?}", host.events());
    for secret in [
        &minted.secret_access_key,
        &minted.session_token,
        &zeroize::Zeroizing::new(minted.access_key_id),
    ] {
        assert!(
            !text.contains(secret.as_str()),
            "the record names a session"
        );
    }
    assert!(!host.log().contains("secret-of"));
}

#[test]
fn deliveries_of_one_minute_are_one_event() {
    let host = Host::start();
    let view = host.open();
    for _ in 0..5 {
        assert_eq!(host.credentials(DANA, &view.id).status, 200);
    }
    // Every listing shows how often, and by whom.
    let delivered = host.request(&view.id).delivered.expect("delivered");
    assert_eq!(delivered.times, 5);
    assert!(
        delivered.who.contains(&DANA.to_string()),
        "{}",
        delivered.who
    );
    let named = host.events_named("CREDENTIALS_DELIVERED");
    // The five may fall into two minutes, never into more.
    assert!((1..=2).contains(&named.len()), "{}", named.len());
    host.close(DANA, &view.id, false);
    let closed = host.reach(&view.id, Stage::Closed);
    assert_eq!(closed.delivered.expect("kept").times, 5);
    let told: u64 = host
        .events_of(&view.id)
        .iter()
        .filter(|n| *n == "CREDENTIALS_DELIVERED")
        .count() as u64;
    let more: u64 = host
        .events()
        .iter()
        .filter_map(|e| e.what.get("deliveries_since_last")?.as_u64())
        .sum();
    assert_eq!(
        told + more,
        5,
        "every delivery stands in the record, alone or counted"
    );
}

#[test]
fn a_vote_that_does_not_count_is_answered_and_recorded() {
    let host = Host::start();
    let view = host.ask();
    let unlisted = twotap::protocol::job::Approval {
        approval: host.worker.paper().approval(&view.offer, "stranger"),
        sealed_share: Bytes(vec![1]),
    };
    let path = format!("/v1/requests/{}/approvals", view.id);
    assert_eq!(
        host.call(ALICE, "POST", &path, &unlisted).problem().code,
        Code::Refused
    );
    assert_eq!(host.approve(&view, "alice").status, 200);
    let twice = host.approve(&view, "alice").problem();
    assert!(twice.error.contains("voted"), "{}", twice.error);
    assert_eq!(host.request(&view.id).approved_by, ["alice"]);
    let refused = host.events_named("APPROVAL_REFUSED");
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|e| e.actor == "agent"));
}

#[test]
fn a_denial_out_of_which_no_quorum_comes_ends_the_request() {
    let host = Host::start();
    let view = host.ask();
    let denied: RequestView = host.deny(&view, "alice").json();
    assert_eq!(denied.stage, Stage::Denied);
    assert_eq!(
        denied.denied_by,
        [("alice".to_owned(), "call me first".to_owned())]
    );
    assert_eq!(host.approve(&view, "bob").problem().code, Code::Approvals);
    let names = host.events_of(&view.id);
    assert_eq!(names, ["BREAK_GLASS_REQUESTED", "BREAK_GLASS_DENIED"]);
}

#[test]
fn a_request_that_nobody_approves_runs_out() {
    let host = Host::start();
    host.worker.told(|s| s.times.approve = 1);
    let view = host.ask();
    host.reach(&view.id, Stage::Expired);
    assert_eq!(
        host.events_of(&view.id),
        ["BREAK_GLASS_REQUESTED", "REQUEST_EXPIRED"]
    );
}

#[test]
fn the_time_box_ends_a_session_that_nobody_closes() {
    let host = Host::start();
    host.worker.told(|s| s.times.session = 4);
    let view = host.open();
    for _ in 0..3 {
        assert_eq!(host.credentials(DANA, &view.id).status, 200);
    }
    let closed = host.reach(&view.id, Stage::Closed);
    assert!(closed.outcome.expect("said").starts_with("expired at"));
    assert!(
        host.events_of(&view.id)
            .contains(&"SESSION_EXPIRED".to_owned())
    );
    assert_eq!(host.credentials(DANA, &view.id).status, 403);
    let more = |e: &Record| e.what["deliveries_since_last"].as_u64().expect("a number");
    let counted: u64 = host
        .events_named("CREDENTIALS_DELIVERED")
        .iter()
        .map(|e| u64::from(e.action == "deliver") + more(e))
        .sum();
    assert_eq!(counted, 3, "the clock's end forgets no delivery");
    let shown = host.request(&view.id).delivered.expect("kept").times;
    assert_eq!(shown, 3, "and no listing does");
}

#[test]
fn an_officer_closes_somebody_elses_session_only_with_force() {
    let host = Host::start();
    let view = host.open();
    assert_eq!(
        host.close(SOFIA, &view.id, false).problem().code,
        Code::Refused
    );
    assert_eq!(host.request(&view.id).stage, Stage::Open);
    assert_eq!(host.close(SOFIA, &view.id, true).status, 200);
    host.reach(&view.id, Stage::Closed);
    let closed = host.events_named("SESSION_CLOSED");
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].actor, "sofia");
    assert_eq!(closed[0].what["forced"], true);
}

#[test]
fn closing_goes_on_while_aws_cannot_be_reached() {
    let host = Host::start();
    host.worker.told(|s| s.close_fails = 2);
    let view = host.open();
    host.close(DANA, &view.id, false).json::<RequestView>();
    host.reach(&view.id, Stage::Closed);
    assert_eq!(host.worker.jobs("close"), 3);
}

#[test]
fn a_mint_that_failed_before_anything_was_kept_fails_the_request() {
    let host = Host::start();
    host.worker.told(|s| s.mint_fails = Some(false));
    let view = host.ask();
    host.approve(&view, "alice");
    host.approve(&view, "bob");
    let failed = host.reach(&view.id, Stage::Failed);
    assert_eq!(failed.outcome.as_deref(), Some("AccessDenied"));
    assert!(
        host.events_of(&view.id)
            .contains(&"REQUEST_FAILED".to_owned())
    );
}

#[test]
fn a_mint_that_may_have_left_a_session_is_closed_by_its_tag() {
    let host = Host::start();
    host.worker.told(|s| {
        s.mint_fails = Some(true);
        s.times.session = 15;
    });
    let view = host.ask();
    host.approve(&view, "alice");
    host.approve(&view, "bob");
    let closed = host.reach(&view.id, Stage::Closed);
    assert!(closed.outcome.expect("said").starts_with("expired at"));
    let names = host.events_of(&view.id);
    assert!(names.contains(&"SESSION_CLOSED".to_owned()), "{names:?}");
    assert!(closed.progress.iter().any(|p| p.step == "revoke_applied"));
}

#[test]
fn a_rotation_that_is_pending_shows_as_degraded() {
    let host = Host::start();
    host.worker.told(|s| s.rotation_fails = true);
    let view = host.open();
    agent_support::until("the rotation is pending", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATION_PENDING".to_owned())
    });
    let status = host.status(DANA);
    assert_eq!(status.vaults[0].rotation, "pending: IAM cannot be reached");
    assert!(
        status.degraded.iter().any(|d| d.contains("rotation")),
        "{:?}",
        status.degraded
    );
    // An emergency is not blocked by it.
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
}

#[test]
fn a_worker_that_dies_after_the_quorum_leaves_a_rotation_to_do() {
    let host = Host::start();
    host.worker.told(|s| s.dies_after = Some("quorum"));
    let view = host.ask();
    host.approve(&view, "alice");
    host.approve(&view, "bob");
    host.reach(&view.id, Stage::Failed);
    assert!(host.status(DANA).vaults[0].rotation.starts_with("pending"));
}

#[test]
fn five_requests_wait_and_the_sixth_is_refused() {
    let host = Host::start();
    let views: Vec<RequestView> = (0..5).map(|_| host.ask()).collect();
    let sixth = host.try_ask(DANA).problem();
    assert_eq!(sixth.code, Code::Refused);
    // One that is denied makes room.
    host.deny(&views[0], "alice").json::<RequestView>();
    host.ask();
    let listed: Vec<RequestView> = host.get(DANA, "/v1/requests").json();
    assert_eq!(listed.len(), 6);
}

#[test]
fn only_an_operator_asks_and_a_custodian_gets_the_own_share() {
    let host = Host::start();
    for uid in [ALICE, SOFIA] {
        assert_eq!(host.try_ask(uid).status, 403);
    }
    let elsewhere = Ask {
        vault: "other".into(),
        ..paper::ask()
    };
    assert_eq!(
        host.call(DANA, "POST", "/v1/requests", &elsewhere)
            .problem()
            .code,
        Code::Usage
    );

    let view = host.ask();
    let path = format!("/v1/requests/{}/bundle", view.id);
    let bundle: ApprovalBundle = host.get(ALICE, &path).json();
    assert_eq!(bundle.share.0, b"share of alice");
    assert_eq!(bundle.offer, view.offer);
    for uid in [DANA, SOFIA] {
        assert_eq!(host.get(uid, &path).status, 403);
    }
}

#[test]
fn an_officer_seals_one_at_a_time() {
    let host = Host::start();
    let begin = SealBegin {
        nonce: paper::nonce(),
        next: None,
    };
    let path = "/v1/vaults/prod/seal";
    assert_eq!(host.call(DANA, "POST", path, &begin).status, 403);
    let begun: SealBegun = host.call(SOFIA, "POST", path, &begin).json();
    assert_eq!(
        host.call(SOFIA, "POST", path, &begin).problem().code,
        Code::Refused
    );

    let finish = SealFinish {
        sealed: Bytes(b"age".to_vec()),
    };
    assert_eq!(
        host.call(SOFIA, "POST", "/v1/seals/s-unknown", &finish)
            .status,
        404
    );
    let path = format!("/v1/seals/{}", begun.id);
    assert_eq!(host.call(ALICE, "POST", &path, &finish).status, 403);
    let finished: SealFinished = host.call(SOFIA, "POST", &path, &finish).json();
    assert_eq!(finished.generation, 3);
    assert_eq!(finished.access_key_id, "AKIA0000000000000003");
    assert!(finished.progress.iter().any(|p| p.step == "rotated"));

    let sealed = host.events_named("VAULT_SEALED");
    assert_eq!(
        sealed.len(),
        2,
        "the key that was brought, and the one that replaced it"
    );
    assert!(
        sealed
            .iter()
            .all(|e| e.envelopes.iter().any(|v| v.kind == "manifest"))
    );
    assert_eq!(host.status(SOFIA).vaults[0].generation, Some(3));
    // It is over: another may begin.
    host.call(SOFIA, "POST", "/v1/vaults/prod/seal", &begin)
        .json::<SealBegun>();
}
