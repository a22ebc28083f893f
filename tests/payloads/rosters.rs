//! A roster that is handed in, and one that a host is pinned to.

use std::process::{Command, Stdio};

use twotap::{
    protocol::job::FromWorker,
    trust::{
        Envelope, Timestamp,
        roster::{Roster, verify_chain},
    },
};

use crate::{Hands, documents, must_be_none_of_ours, support::Bench, writes_nothing};

/// The next version of what counts, signed by all.
fn next(bench: &Bench) -> Envelope {
    let before = verify_chain(&bench.chain())
        .expect("good")
        .pop()
        .expect("one");
    let mut roster = Roster::clone(&before);
    roster.version += 1;
    roster.previous = Some(before.digest());
    roster.created_at = Timestamp::now();
    roster.threshold = 3;
    let mut envelope = Envelope::new(&roster).expect("a sensible roster");
    for custodian in &bench.custodians {
        envelope.sign(custodian);
    }
    envelope
}

#[test]
fn nothing_but_the_next_version_is_taken_for_it() {
    let bench = Bench::sealed();
    let hands = Hands::of(&bench);
    let good = next(&bench);
    for (what, envelope) in hands.instead_of(&good, &documents(&bench)) {
        let answer = writes_nothing(&bench, &what, || bench.hand_in(&envelope).1);
        match answer {
            Some(FromWorker::Failed(problem)) => must_be_none_of_ours(&problem, &what),
            other => panic!("{what} was handed in: {other:?}"),
        }
    }
    let (_worker, answer) = bench.hand_in(&good);
    assert!(matches!(answer, Some(FromWorker::Offer(_))), "{answer:?}");
}

#[test]
fn a_host_is_pinned_to_a_roster_and_to_nothing_else() {
    let bench = Bench::sealed();
    let hands = Hands::of(&bench);
    let good = bench.chain().remove(0);
    let documents = documents(&bench);
    let installed = |envelope: &Envelope| {
        let file = bench.path("handed-out.json");
        std::fs::write(&file, envelope.to_json()).expect("written");
        Command::new(env!("CARGO_BIN_EXE_twotap-worker"))
            .arg("--config")
            .arg(bench.path("worker.toml"))
            .arg("install")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the worker starts")
            .code()
    };
    for (what, envelope) in hands.instead_of(&good, &documents) {
        let code = writes_nothing(&bench, &what, || installed(&envelope));
        assert!(matches!(code, Some(2 | 11)), "{what}: {code:?}");
    }
    assert_eq!(installed(&good), Some(0), "it is pinned to this one");
}
