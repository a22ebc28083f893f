//! Wholesale power at the worker: what is new has to declare it, what was signed before opens as ever.

use serde_json::json;
use twotap::{
    protocol::{Code, job::FromWorker},
    trust::{Envelope, Timestamp, roster::Roster},
};
use twotap_rig::World;

use crate::{
    opened, policy,
    support::{Bench, ask},
};

/// A roster from before there was anything to declare.
fn everything(_: &World, roster: &mut Roster) {
    roster.access[0].policy = policy(&json!("*"), "*");
}

/// The version after the one that counts, signed by all.
fn next(bench: &Bench, change: impl FnOnce(&mut Roster)) -> Envelope {
    let chain = bench.chain();
    let before = chain.last().expect("a roster");
    let mut next: Roster = before.unverified().expect("a roster");
    next.version += 1;
    next.previous = Some(before.digest());
    next.created_at = Timestamp::now();
    change(&mut next);
    let mut envelope = Envelope::new(&next).expect("a good roster");
    for custodian in &bench.custodians {
        envelope.sign(custodian);
    }
    envelope
}

#[test]
fn an_old_roster_installs_and_opens_and_only_what_changes_has_to_be_declared() {
    let bench = Bench::shaped(World::new().expect("an account"), everything);
    let session = opened(&bench, ask());
    let probe = bench.world.session_probe(&session).expect("an answer");
    assert!(probe.is_ok(), "{probe:?}");

    // Another change leaves the profile as it was signed.
    let other = next(&bench, |r| r.accept_risk.push("YSA-2024-03".to_owned()));
    let (_worker, answer) = bench.hand_in(&other);
    assert!(matches!(answer, Some(FromWorker::Offer(_))), "{answer:?}");

    let refused = |change: fn(&mut Roster)| match bench.hand_in(&next(&bench, change)) {
        (_, Some(FromWorker::Failed(problem))) => problem,
        (_, other) => panic!("not refused: {other:?}"),
    };
    let problem = refused(|r| r.access[0].max_seconds -= 60);
    assert_eq!(problem.code, Code::Refused);
    assert_eq!(
        problem.error,
        "access 'admin': it allows every action on everything, and does not say that it is broad"
    );
    assert!(problem.hint.expect("a hint").contains("broad = true"));
    let problem = refused(|r| r.access[0].broad = true);
    assert!(
        problem.error.contains("outlives the session"),
        "{problem:?}"
    );

    let said = next(&bench, |r| {
        r.access[0].broad = true;
        r.access[0].persistence = true;
    });
    let (_worker, answer) = bench.hand_in(&said);
    assert!(matches!(answer, Some(FromWorker::Offer(_))), "{answer:?}");
}
