//! A ceremony from the request to the review, and those that come to nothing.

use std::time::{Duration, Instant};

use serde_json::json;
use twotap::{
    audit::alert::alert,
    ceremony::Stage,
    protocol::{
        people::{Confirm, Statement},
        review::ReviewIn,
        socket::RequestView,
    },
    trust::{
        KeyId,
        roster::{Account, Person, Role, Roster},
    },
};

use crate::{
    Alerted,
    agent_support::{
        DANA, IVAN, SOFIA,
        paper::{Paper, ask},
        until,
    },
    degraded,
    outside_support::{Does, Got},
};

const FINDINGS: &str = r#"
deviations = []
lessons = []

[authorised]
yes = true
because = "ivan, on the call"

[accounted]
yes = true
because = "14 calls in CloudTrail"

[avoidable]
yes = false
because = "sign-in was down as well"
"#;

fn with_ivan(roster: &mut Roster, host: KeyId) {
    roster.people.push(Person {
        name: "ivan".to_owned(),
        roles: vec![Role::Commander],
        accounts: vec![Account { host, uid: IVAN }],
        recipient: None,
        member_of: Vec::new(),
    });
}

#[test]
fn of_a_whole_ceremony_every_turn_is_told_within_a_second() {
    let mut alerted = Alerted::prepare(Paper::of(&["alice", "bob"], with_ivan));
    alerted.host.start_agent();
    let host = &alerted.host;
    let mut wish = ask();
    wish.commander = Some("ivan".to_owned());
    let view: RequestView = host.call(DANA, "POST", "/v1/requests", &wish).json();
    let word = Confirm {
        request_sha256: view.offer.digest(),
        statement: Statement::default(),
    };
    let path = format!("/v1/requests/{}/confirmation", view.id);
    assert_eq!(host.call(IVAN, "POST", &path, &json!(word)).status, 200);
    assert_eq!(host.approve(&view, "alice").status, 200);
    assert_eq!(
        host.approve(&view, "alice").status,
        403,
        "a second time does not count"
    );
    assert_eq!(host.approve(&view, "bob").status, 200);
    host.reach(&view.id, Stage::Open);
    alerted.recorded("CREDENTIAL_ROTATED");
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    assert_eq!(host.close(DANA, &view.id, false).status, 200);
    host.reach(&view.id, Stage::Closed);
    let findings = ReviewIn {
        findings: FINDINGS.to_owned(),
    };
    let path = format!("/v1/requests/{}/review", view.id);
    assert_eq!(host.call(SOFIA, "POST", &path, &findings).status, 200);
    alerted.told_of(&[
        "ROSTER_SIGNED",
        "BREAK_GLASS_REQUESTED",
        "BREAK_GLASS_AUTHORISED",
        "BREAK_GLASS_APPROVED",
        "BREAK_GLASS_ACCESS",
        "CREDENTIAL_ROTATED",
        "CREDENTIALS_DELIVERED",
        "SESSION_CLOSED",
        "SESSION_REVOKED",
        "REVIEW_DUE",
        "REVIEW_SIGNED",
    ]);
    let approvals = host.events_named("BREAK_GLASS_APPROVED").len();
    let told = alerted.receiver.taken();
    let told = told
        .iter()
        .filter(|g| g.body["data"]["event_type"] == "BREAK_GLASS_APPROVED");
    assert_eq!(told.count(), approvals);
}

#[test]
fn a_denial_a_vote_that_does_not_count_and_a_request_that_runs_out_are_told() {
    let alerted = Alerted::start();
    let host = &alerted.host;
    let view = host.ask();
    let unlisted = twotap::protocol::job::Approval {
        approval: host.worker.paper().approval(&view.offer, "stranger"),
        sealed_share: twotap::trust::Bytes(b"SECRET-OF-STRANGER".to_vec()),
    };
    let path = format!("/v1/requests/{}/approvals", view.id);
    assert_ne!(host.call(DANA, "POST", &path, &unlisted).status, 200);
    assert_ne!(
        host.call(crate::agent_support::ALICE, "POST", &path, &unlisted)
            .status,
        200
    );
    assert_eq!(host.deny(&view, "alice").status, 200);
    host.reach(&view.id, Stage::Denied);
    host.worker.told(|script| script.times.approve = 1);
    let view = host.ask();
    host.reach(&view.id, Stage::Expired);
    alerted.told_of(&[
        "BREAK_GLASS_REQUESTED",
        "APPROVAL_REFUSED",
        "BREAK_GLASS_DENIED",
        "REQUEST_EXPIRED",
    ]);
}

#[test]
fn a_receiver_that_hangs_delays_no_ceremony_and_is_told_all_when_it_is_back() {
    let alerted = Alerted::start();
    let host = &alerted.host;
    alerted.receiver.does(Does::HangsAfter);
    let begun = Instant::now();
    let view = host.open();
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let failing = |line: &String| line.contains("oncall");
    until("status says so", || degraded(&alerted).iter().any(failing));
    alerted.receiver.does(Does::Takes);
    let told: Vec<u64> = host
        .events()
        .iter()
        .filter(|r| alert(r).is_some())
        .map(|r| r.seq)
        .collect();
    let last = *told.last().expect("something");
    let all = |got: &[Got]| got.iter().any(|g| g.taken && g.seq() >= last);
    alerted.receiver.wait("all of it", all);
    let taken: Vec<u64> = alerted.receiver.taken().iter().map(Got::seq).collect();
    assert!(
        taken.is_sorted() && told.iter().all(|seq| taken.contains(seq)),
        "{taken:?}"
    );
}

#[test]
fn a_ceremony_that_gives_nothing_is_told() {
    let alerted = Alerted::start();
    alerted
        .host
        .worker
        .told(|script| script.mint_fails = Some(false));
    let host = &alerted.host;
    let view = host.ask();
    assert_eq!(host.approve(&view, "alice").status, 200);
    assert_eq!(host.approve(&view, "bob").status, 200);
    host.reach(&view.id, Stage::Failed);
    alerted.told_of(&["REQUEST_FAILED"]);
}
