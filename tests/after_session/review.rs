//! Reviews: due, missed, signed, and by whom not.

use rusqlite::Connection;
use twotap::{
    ceremony::Stage,
    protocol::{Code, review::Filing, socket::RequestView},
    trust::{
        Digest, Timestamp,
        roster::{Needed, Role, Roster, Scenario},
    },
};

use crate::{
    FINDINGS,
    agent_support::{ALICE, BOB, DANA, Host, SOFIA, paper::Paper, until},
    closed, due, hand_in, review_path,
};

const HOUR: i64 = 3600;

#[test]
fn a_review_falls_due_at_closing_and_one_officer_signs_it_once() {
    let host = Host::start();
    let open = host.open();
    // Not before it is over.
    let early = host.call(SOFIA, "POST", &review_path(&open), &hand_in(FINDINGS));
    let early = early.problem();
    assert_eq!(early.code, Code::Refused);
    assert!(early.error.contains("not over"), "{early}");
    assert_eq!(host.request(&open.id).review, None);
    host.close(DANA, &open.id, false).json::<RequestView>();
    let view = host.reach(&open.id, Stage::Closed);

    // The roster has no scenarios: 48 h.
    let review = due(&view);
    assert_eq!(review.closed.until(review.due), 48 * HOUR);
    assert!(review.signed.is_none() && review.overdue.is_none());
    let events = host.events_named("REVIEW_DUE");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].what["due"], review.due.to_string());
    assert_eq!(events[0].correlation_id.as_deref(), Some(&*view.id));
    let status = host.status(DANA);
    assert_eq!(status.reviews.len(), 1);
    assert_eq!(status.reviews[0].request, view.id);
    // Due is not overdue, and does not degrade.
    assert_eq!(status.degraded, [""; 0]);

    // Nobody but an officer, and no half-filled form.
    for uid in [DANA, ALICE, BOB] {
        let refused = host.call(uid, "POST", &review_path(&view), &hand_in(FINDINGS));
        assert_eq!(
            (refused.status, refused.problem().code),
            (403, Code::Refused)
        );
    }
    let empty = FINDINGS.replace("sign-in was down as well", "");
    let empty = host.call(SOFIA, "POST", &review_path(&view), &hand_in(&empty));
    assert_eq!(empty.problem().code, Code::Usage);
    assert_eq!(host.events_named("REVIEW_SIGNED").len(), 0);

    let signed = host.call(SOFIA, "POST", &review_path(&view), &hand_in(FINDINGS));
    let signed: RequestView = signed.json();
    let signed = due(&signed).signed.clone().expect("signed");
    assert_eq!(signed.by, "sofia");
    assert!(signed.who.starts_with(&format!("uid:{SOFIA}@")));
    assert!(signed.authorised && signed.accounted && !signed.avoidable);
    assert_eq!(signed.deviations, 1);
    // The file's own digest, and the file itself, stand in the record; and the head is signed after it.
    assert_eq!(signed.findings_sha256, Digest::of(FINDINGS.as_bytes()));
    let events = host.events();
    let at = events.iter().position(|e| e.event_type == "REVIEW_SIGNED");
    let event = &events[at.expect("on record")];
    assert_eq!(event.actor, "sofia");
    assert_eq!(event.what["findings"], FINDINGS);
    assert_eq!(
        event.what["findings_sha256"],
        signed.findings_sha256.to_string()
    );
    assert_eq!(event.what["in_time"], true);
    until("the head is signed", || {
        let events = host.events();
        events
            .iter()
            .any(|e| e.event_type == "CHECKPOINT" && e.seq > event.seq)
    });
    assert_eq!(host.status(DANA).reviews, []);

    let again = host.call(SOFIA, "POST", &review_path(&view), &hand_in(FINDINGS));
    let again = again.problem();
    assert_eq!(again.code, Code::Refused);
    assert!(again.error.starts_with("sofia reviewed it at"), "{again}");
    assert_eq!(host.events_named("REVIEW_SIGNED").len(), 1);
}

#[test]
fn who_took_part_in_a_request_does_not_review_it() {
    let mut host = Host::prepare(Paper::of(&["alice", "bob"], |roster, _| {
        for person in &mut roster.people {
            if person.name != "sofia" {
                person.roles.push(Role::Officer);
            }
        }
    }));
    host.start_agent();
    let view = closed(&host);
    for (uid, said) in [
        (DANA, "dana is the operator"),
        (ALICE, "alice has voted"),
        (BOB, "bob has voted"),
    ] {
        let refused = host.call(uid, "POST", &review_path(&view), &hand_in(FINDINGS));
        let problem = refused.problem();
        assert_eq!(problem.code, Code::Refused);
        assert!(problem.error.starts_with(said), "{problem}");
    }
    assert_eq!(host.events_named("REVIEW_SIGNED").len(), 0);
    let signed = host.call(SOFIA, "POST", &review_path(&view), &hand_in(FINDINGS));
    assert_eq!(signed.status, 200);
}

#[test]
fn what_opened_no_session_has_no_review() {
    let host = Host::start();
    let view = host.ask();
    assert_eq!(host.deny(&view, "alice").status, 200);
    let view = host.reach(&view.id, Stage::Denied);
    assert_eq!(view.review, None);
    let refused = host.call(SOFIA, "POST", &review_path(&view), &hand_in(FINDINGS));
    assert!(refused.problem().error.contains("opened no session"));
    let filing = Filing {
        with: twotap::protocol::review::With::Report,
        reference: "DOC-1".to_owned(),
        sha256: Digest::of(b"report"),
    };
    let path = format!("/v1/requests/{}/filings", view.id);
    assert_eq!(host.call(DANA, "POST", &path, &filing).status, 403);
    assert_eq!(host.events_named("REVIEW_DUE").len(), 0);
}

/// Puts a closed request's deadline back, as if the time had passed.
fn pass(host: &Host, id: &str) -> Timestamp {
    let past = Timestamp::now().plus(-HOUR);
    let store = Connection::open(host.path("state/state.db")).expect("the store");
    let changed = store
        .execute(
            "UPDATE records SET json = json_set(json, '$.review.due', ?1) WHERE kind = 'request' AND id = ?2",
            (past.to_string(), id),
        )
        .expect("changed");
    assert_eq!(changed, 1);
    past
}

#[test]
fn a_missed_review_is_on_record_once_degrades_and_refuses_nothing() {
    let mut host = Host::start();
    let view = closed(&host);
    host.stop_agent();
    let past = pass(&host, &view.id);
    host.start_agent();
    until("it is on record", || {
        !host.events_named("REVIEW_OVERDUE").is_empty()
    });
    let status = host.status(DANA);
    assert!(status.reviews[0].overdue);
    let line = format!("request {}: its review is overdue since {past}", view.id);
    assert!(
        status.degraded.iter().any(|d| d.starts_with(&line)),
        "{:?}",
        status.degraded
    );
    // The next emergency is none the worse for it.
    let next = host.open();
    assert_eq!(host.credentials(DANA, &next.id).status, 200);
    // Once, also after another start.
    host.stop_agent();
    host.start_agent();
    assert!(host.status(DANA).reviews[0].overdue);
    assert_eq!(host.events_named("REVIEW_OVERDUE").len(), 1);

    let signed = host.call(SOFIA, "POST", &review_path(&view), &hand_in(FINDINGS));
    assert_eq!(signed.status, 200);
    let events = host.events_named("REVIEW_SIGNED");
    assert_eq!(events[0].what["in_time"], false);
    let status = host.status(DANA);
    assert!(!status.degraded.iter().any(|d| d.contains("review")));
    assert!(status.reviews.iter().all(|r| r.request != view.id));
}

fn security_patch(roster: &mut Roster) {
    roster.scenarios = vec![Scenario {
        name: "security-patch".to_owned(),
        access: vec!["admin".to_owned()],
        default_seconds: 3600,
        max_seconds: 14_400,
        review_hours: 24,
        needs: Vec::<Needed>::new(),
        ticket: None,
        min_reason: 10,
        checks: Vec::new(),
        sinks: Vec::new(),
    }];
}

#[test]
fn the_scenario_says_by_when() {
    let mut host = Host::prepare(Paper::of(&["alice", "bob"], |roster, _| {
        security_patch(roster);
    }));
    host.start_agent();
    let mut ask = crate::agent_support::paper::ask();
    ask.scenario = Some("security-patch".to_owned());
    ask.confirmed = twotap::trust::request::BannedUse::ALL.to_vec();
    ask.duration_seconds = Some(3600);
    let view: RequestView = host.call(DANA, "POST", "/v1/requests", &ask).json();
    for who in ["alice", "bob"] {
        assert_eq!(host.approve(&view, who).status, 200);
    }
    host.reach(&view.id, Stage::Open);
    host.close(DANA, &view.id, false).json::<RequestView>();
    let view = host.reach(&view.id, Stage::Closed);
    let review = due(&view);
    assert_eq!(review.closed.until(review.due), 24 * HOUR);
    assert_eq!(host.events_named("REVIEW_DUE")[0].what["hours"], 24);
}
