//! A commander is the operator's word until that person says so, from the own account.

use std::{sync::Arc, thread};

use serde_json::{Value, json};
use twotap::{
    ceremony::Stage,
    protocol::{
        Code,
        people::{Confirm, Did, Statement},
        socket::{ApprovalBundle, RequestView, Withdrawal},
    },
    trust::{
        KeyId,
        request::Withdrawal as Taken,
        roster::{Account, Person, Role, Roster},
    },
};

use crate::agent_support::{
    ALICE, BOB, CAROL, DANA, Host, IVAN, Reply, SOFIA, STRANGER,
    paper::{Paper, ask},
    try_call,
};

/// Somebody else who may authorise.
const DEPUTY: u32 = 61020;

/// Alice, bob and carol hold tokens, and alice may command as well; ivan and deputy do nothing else.
fn people(roster: &mut Roster, host: KeyId) {
    roster.people[0].roles.push(Role::Commander);
    for (name, uid) in [("ivan", IVAN), ("deputy", DEPUTY)] {
        roster.people.push(Person {
            name: name.to_owned(),
            roles: vec![Role::Commander],
            accounts: vec![Account { host, uid }],
            recipient: None,
            member_of: Vec::new(),
        });
    }
}

fn host_of(change: impl FnOnce(&mut Roster, KeyId)) -> Host {
    let mut host = Host::prepare(Paper::of(&["alice", "bob", "carol"], change));
    host.start_agent();
    host
}

fn host() -> Host {
    host_of(people)
}

/// Dana asks, and names this commander.
fn asked(host: &Host, commander: Option<&str>) -> RequestView {
    try_asked(host, commander).json()
}

fn try_asked(host: &Host, commander: Option<&str>) -> Reply {
    let mut ask = ask();
    ask.commander = commander.map(str::to_owned);
    host.call(DANA, "POST", "/v1/requests", &ask)
}

fn word(view: &RequestView) -> Confirm {
    Confirm {
        request_sha256: view.offer.digest(),
        statement: Statement::default(),
    }
}

fn confirm(host: &Host, uid: u32, view: &RequestView) -> Reply {
    confirm_with(host, uid, view, &json!(word(view)))
}

fn confirm_with(host: &Host, uid: u32, view: &RequestView, body: &Value) -> Reply {
    let path = format!("/v1/requests/{}/confirmation", view.id);
    host.call(uid, "POST", &path, body)
}

fn authorised(host: &Host) -> usize {
    host.events_named("BREAK_GLASS_AUTHORISED").len()
}

/// What the agent tells a custodian about a request.
fn said(host: &Host, view: &RequestView) -> Vec<String> {
    let path = format!("/v1/requests/{}/bundle", view.id);
    let bundle: ApprovalBundle = host.get(ALICE, &path).json();
    bundle.agent_says
}

#[test]
fn a_name_is_the_operators_word_until_that_person_confirms_it() {
    let host = host();
    let view = asked(&host, Some("ivan"));
    let claim = view.commander.clone().expect("named");
    assert_eq!((claim.name.as_str(), claim.confirmed_at), ("ivan", None));
    assert_eq!(claim.who, None);
    let unconfirmed = "ivan has not confirmed that it is authorised";
    assert!(said(&host, &view).contains(&unconfirmed.to_owned()));

    let mut sure = word(&view);
    sure.statement = Statement {
        nature: Some("sign-in is down".to_owned()),
        impact: Some("nobody can work".to_owned()),
        why: Some("the standard way goes through sign-in".to_owned()),
    };
    let after: RequestView = confirm_with(&host, IVAN, &view, &json!(sure)).json();
    let commander = after.commander.expect("named");
    let account = format!(
        "uid:{IVAN}@{}",
        host.worker.paper().roster.hosts[0].key.id()
    );
    assert!(commander.confirmed_at.is_some());
    assert_eq!(commander.who.as_deref(), Some(account.as_str()));
    assert_eq!(commander.statement, Some(sure.statement));
    assert!(!said(&host, &view).contains(&unconfirmed.to_owned()));
    let hand = after.people.iter().find(|h| h.did == Did::Confirmed);
    let hand = hand.expect("among those who did something");
    assert_eq!(
        (hand.name.as_str(), hand.account.as_deref()),
        ("ivan", Some(account.as_str()))
    );
    // Everybody listed sees it, and it stays.
    assert_eq!(
        host.request(&view.id).commander,
        host.status(SOFIA).requests[0].commander
    );

    let events = host.events_named("BREAK_GLASS_AUTHORISED");
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (event.actor.as_str(), event.who.as_deref()),
        ("ivan", Some(account.as_str()))
    );
    assert_eq!(event.correlation_id.as_deref(), Some(view.id.as_str()));
    assert_eq!(event.what["commander_claimed"], "ivan");
    assert_eq!(event.what["operator"], "dana");
    assert_eq!(
        event.what["request_sha256"],
        view.offer.digest().to_string()
    );
    assert_eq!(event.what["nature"], "sign-in is down");
    assert_eq!(event.what["impact"], "nobody can work");
    assert_eq!(
        event.justification.as_deref(),
        Some("the standard way goes through sign-in")
    );

    // An answer that was lost is asked for again: nothing new is recorded.
    assert_eq!(confirm(&host, IVAN, &view).status, 200);
    assert_eq!(authorised(&host), 1);
    let other = confirm(&host, DEPUTY, &view).problem();
    assert_eq!(other.error, "ivan has authorised this request already");
    assert_eq!(authorised(&host), 1);
}

#[test]
fn nobody_confirms_for_the_one_who_is_named() {
    let host = host();
    let view = asked(&host, Some("ivan"));
    // The operator, a custodian, an officer and an account of nobody's: none of them commands.
    for uid in [DANA, BOB, SOFIA, STRANGER, 0] {
        let reply = confirm(&host, uid, &view);
        assert_eq!(
            (reply.status, reply.problem().code),
            (403, Code::Refused),
            "{uid}"
        );
    }
    // Others command, and are not the one.
    for uid in [DEPUTY, ALICE] {
        let problem = confirm(&host, uid, &view).problem();
        assert_eq!(problem.error, "dana says that ivan authorised this request");
    }
    assert_eq!(
        host.request(&view.id)
            .commander
            .expect("named")
            .confirmed_at,
        None
    );
    assert_eq!(authorised(&host), 0);
}

#[test]
fn what_is_confirmed_is_this_request_and_no_other_text() {
    let host = host();
    let view = asked(&host, Some("ivan"));
    let other = asked(&host, Some("ivan"));
    let problem = confirm_with(&host, IVAN, &view, &json!(word(&other))).problem();
    assert_eq!(problem.code, Code::Tampering);
    for why in ["", "a\u{1b}[2Jb", "a\u{202e}b", &"x".repeat(1025)] {
        let mut body = json!(word(&view));
        body["statement"]["why"] = why.into();
        assert_ne!(
            confirm_with(&host, IVAN, &view, &body).status,
            200,
            "{why:?}"
        );
    }
    let mut body = json!(word(&view));
    body["forced"] = true.into();
    assert_eq!(
        confirm_with(&host, IVAN, &view, &body).problem().code,
        Code::Usage
    );
    assert_eq!(authorised(&host), 0);
}

#[test]
fn a_request_that_has_ended_is_not_authorised_afterwards() {
    let host = host();
    let view = asked(&host, Some("ivan"));
    host.deny(&view, "alice").json::<RequestView>();
    host.deny(&view, "bob").json::<RequestView>();
    host.reach(&view.id, Stage::Denied);
    let problem = confirm(&host, IVAN, &view).problem();
    assert!(problem.error.contains("denied"), "{}", problem.error);
    assert_eq!(authorised(&host), 0);
}

#[test]
fn where_nobody_is_named_a_commander_may_come_forward_and_then_does_not_vote() {
    let host = host();
    let view = asked(&host, None);
    assert_eq!(view.commander, None);
    let after: RequestView = confirm(&host, ALICE, &view).json();
    assert_eq!(after.commander.expect("named").name, "alice");

    // The worker knows nothing of it: the agent does not hand the vote on.
    for refused in [host.approve(&view, "alice"), host.deny(&view, "alice")] {
        assert_eq!(
            refused.problem().error,
            "alice is the commander of this request and cannot be a custodian of it too"
        );
    }
    let refused = host.events_named("APPROVAL_REFUSED");
    assert_eq!(refused.len(), 2, "a refusal is on record");
    assert_eq!(host.request(&view.id).approved_by, [""; 0]);
    host.approve(&view, "bob").json::<RequestView>();
    host.approve(&view, "carol").json::<RequestView>();
    host.reach(&view.id, Stage::Open);
}

#[test]
fn who_has_voted_either_way_commands_no_more_also_after_taking_it_back() {
    let host = host();
    let refused = "alice has voted on this request and cannot be its commander too";

    let view = asked(&host, None);
    host.approve(&view, "alice").json::<RequestView>();
    assert_eq!(confirm(&host, ALICE, &view).problem().error, refused);
    // Taken back, it was a vote all the same.
    let taken = Taken {
        v: 1,
        request_sha256: view.offer.digest(),
    };
    let withdrawal = Withdrawal {
        withdrawal: host.worker.paper().signed(&taken, "alice"),
    };
    let path = format!("/v1/requests/{}/withdrawals", view.id);
    let after: RequestView = host.call(ALICE, "POST", &path, &withdrawal).json();
    assert_eq!(after.approved_by, [""; 0]);
    assert_eq!(confirm(&host, ALICE, &view).problem().error, refused);

    let view = asked(&host, None);
    host.deny(&view, "alice").json::<RequestView>();
    assert_eq!(confirm(&host, ALICE, &view).problem().error, refused);
    assert_eq!(authorised(&host), 0);
}

#[test]
fn a_custodian_who_is_needed_does_not_come_forward_as_commander() {
    let host = host_of(|roster, host| {
        people(roster, host);
        roster.threshold = 3;
    });
    let view = asked(&host, None);
    let problem = confirm(&host, ALICE, &view).problem();
    assert_eq!(
        problem.error,
        "without alice too few custodians are left to approve this request"
    );
    assert_eq!(confirm(&host, IVAN, &view).status, 200);
}

#[test]
fn a_roster_may_let_commander_and_custodian_coincide() {
    let host = host_of(|roster, host| {
        people(roster, host);
        roster.may_coincide = vec![[Role::Custodian, Role::Commander]];
    });
    let view = asked(&host, Some("alice"));
    host.approve(&view, "alice").json::<RequestView>();
    assert_eq!(confirm(&host, ALICE, &view).status, 200);
    host.approve(&view, "bob").json::<RequestView>();
    host.reach(&view.id, Stage::Open);
}

#[test]
fn a_commander_is_named_by_the_roster_and_is_not_the_operator() {
    let host = host_of(|roster, host| {
        people(roster, host);
        let dana = roster.people.iter_mut().find(|p| p.name == "dana");
        dana.expect("listed").roles.push(Role::Commander);
    });
    for (named, why) in [
        ("bob", "bob is no commander of this vault"),
        ("stranger", "stranger is no commander of this vault"),
        (
            "dana",
            "dana is the operator of this request and cannot be its commander too",
        ),
    ] {
        let reply = try_asked(&host, Some(named));
        assert_eq!((reply.status, reply.problem().error.as_str()), (403, why));
    }
    // And not of an own request that names nobody.
    let view = asked(&host, None);
    assert_eq!(
        confirm(&host, DANA, &view).problem().error,
        "dana is the operator of this request and cannot be its commander too"
    );
    assert_eq!(
        host.status(SOFIA).requests.len(),
        1,
        "nothing else was asked"
    );
}

#[test]
fn a_vote_and_a_word_of_one_person_at_the_same_moment_do_not_both_count() {
    let host = Arc::new(host());
    for _ in 0..4 {
        let view = asked(&host, None);
        let approval = serde_json::to_vec(&twotap::protocol::job::Approval {
            approval: host.worker.paper().approval(&view.offer, "alice"),
            sealed_share: twotap::trust::Bytes(b"sealed".to_vec()),
        })
        .expect("json");
        let confirmation = serde_json::to_vec(&word(&view)).expect("json");
        let calls =
            [("approvals", approval), ("confirmation", confirmation)].map(|(what, body)| {
                let (socket, path) = (host.socket(), format!("/v1/requests/{}/{what}", view.id));
                thread::spawn(move || {
                    let reply = try_call(&socket, ALICE, "POST", &path, &[], &body);
                    reply.expect("the agent answers").status
                })
            });
        let done = calls.map(|call| call.join().expect("it ends"));
        assert_eq!(
            done.iter().filter(|status| **status == 200).count(),
            1,
            "{done:?}"
        );
        let after = host.request(&view.id);
        assert_eq!(
            after.approved_by.len() + usize::from(after.commander.is_some()),
            1
        );
        // Out of the way: only so many may wait at once.
        host.deny(&view, "bob").json::<RequestView>();
        host.deny(&view, "carol").json::<RequestView>();
        host.reach(&view.id, Stage::Denied);
    }
    let carol_may = host.get(CAROL, "/v1/status");
    assert_eq!(carol_may.status, 200);
}
