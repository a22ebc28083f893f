//! A session gets what its profile says and no more: one subject's data, sizes that AWS takes, power that was declared.

mod support;

#[path = "least_power/declared.rs"]
mod declared;
#[path = "least_power/papers.rs"]
mod papers;
#[path = "least_power/sizes.rs"]
mod sizes;
#[path = "least_power/subject.rs"]
mod subject;

use serde_json::{Value, json};
use support::{Bench, Worker, ask};
use twotap::{
    protocol::Problem,
    protocol::job::{Ask, Entry, FromWorker, OfferMade, Session, Vote},
    trust::strict::Json,
};
use twotap_rig::Credentials;

/// A policy of one statement.
fn policy(action: &Value, resource: &str) -> Json {
    Json(json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": action, "Resource": resource }] }))
}

/// The offer for what was asked.
fn offered(bench: &Bench, ask: Ask) -> (Worker, OfferMade) {
    match bench.try_ask("dana", ask) {
        (worker, Some(FromWorker::Offer(made))) => (worker, made),
        (_, other) => panic!("no offer: {other:?}"),
    }
}

/// What the worker refused instead of offering.
fn refused(bench: &Bench, operator: &str, ask: Ask) -> Problem {
    match bench.try_ask(operator, ask) {
        (_, Some(FromWorker::Failed(problem))) => problem,
        (_, other) => panic!("not refused: {other:?}"),
    }
}

/// Two approvals, and what came of them.
fn approved(bench: &Bench, ask: Ask) -> (Option<Session>, Result<Vec<Entry>, Problem>) {
    let (mut worker, made) = offered(bench, ask);
    for custodian in &bench.custodians[..2] {
        let vote = worker.vote(custodian.approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    worker.finish()
}

/// The session that was asked for.
fn opened(bench: &Bench, ask: Ask) -> Credentials {
    let (session, end) = approved(bench, ask);
    end.expect("the ceremony ends well");
    let session = session.expect("a session");
    let target = &session.targets[0];
    Credentials {
        access_key_id: target.access_key_id.clone(),
        secret_access_key: target.secret_access_key.to_string(),
        session_token: Some(target.session_token.to_string()),
    }
}

/// The usual question, about a subject.
fn about(subject: &str) -> Ask {
    Ask {
        access: "pii-access".to_owned(),
        subject: Some(subject.to_owned()),
        ..ask()
    }
}
