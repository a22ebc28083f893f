//! What is changed on the worker's disk is found, and neither sealed nor opened upon.

use std::fs;

use twotap::protocol::{
    Code, Problem,
    job::{FromWorker, Job},
};

use crate::{
    carol_for_newcomer, next, offer,
    support::{self, Bench, SoftCustodian},
    take_up,
};

/// A host at version 2, and what its files were.
fn at_version_2() -> Bench {
    let bench = Bench::sealed();
    let newcomer = SoftCustodian::new("newcomer", 5);
    let version = {
        let [alice, bob, _] = &bench.custodians[..] else {
            panic!("three custodians");
        };
        next(
            &bench,
            carol_for_newcomer(&newcomer),
            &[alice, bob, &newcomer],
        )
    };
    take_up(&bench, &version).expect("taken up");
    bench
}

/// What asking, sealing and looking say.
fn problems(bench: &Bench) -> Vec<Problem> {
    let failed = |answer: Option<FromWorker>| match answer {
        Some(FromWorker::Failed(problem)) => problem,
        other => panic!("it was served: {other:?}"),
    };
    let asked = failed(bench.try_ask("dana", support::ask()).1);
    let sealed = bench.try_seal().expect_err("nothing is sealed");
    let mut worker = bench.worker();
    worker.send(&Job::Vault {
        vault: "prod".to_owned(),
    });
    vec![asked, sealed, failed(worker.next())]
}

#[test]
fn a_changed_removed_or_turned_back_version_stops_everything() {
    let bench = at_version_2();
    let rosters = bench.path("state/vaults/prod/rosters");
    let (first, second) = (rosters.join("1.json"), rosters.join("2.json"));
    let good = (
        fs::read(&first).expect("there"),
        fs::read(&second).expect("there"),
    );
    let tampering = |what: &str| {
        for problem in problems(&bench) {
            assert_eq!(problem.code, Code::Tampering, "{what}: {problem}");
        }
        fs::write(&first, &good.0).expect("put back");
        fs::write(&second, &good.1).expect("put back");
    };

    let mut changed = good.1.clone();
    let at = changed.len() / 3;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    fs::write(&second, &changed).expect("changed");
    tampering("a changed byte");

    // The newest version taken away: what was sealed under it is known, and the pin remembers.
    fs::remove_file(&second).expect("removed");
    tampering("turned back");

    // And with it the first in its place: a fork that was never signed.
    fs::write(&second, &good.0).expect("changed");
    tampering("the first again");

    // Signatures taken off one by one until the threshold is missed.
    let mut bare: serde_json::Value = serde_json::from_slice(&good.1).expect("JSON");
    bare["signatures"]
        .as_array_mut()
        .expect("a list")
        .truncate(1);
    fs::write(&second, bare.to_string()).expect("changed");
    tampering("too few signatures");

    assert_eq!(bench.chain().len(), 2, "whole again");
}

#[test]
fn a_generation_of_before_the_change_is_not_believed_again() {
    let bench = Bench::sealed();
    let vault = bench.path("state/vaults/prod");
    let old = vault.join("generations/2");
    let copy = bench.path("copy");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&old, &copy])
        .status()
        .expect("cp");
    assert!(copied.success());
    let newcomer = SoftCustodian::new("newcomer", 5);
    {
        let [alice, bob, _] = &bench.custodians[..] else {
            panic!("three custodians");
        };
        let version = next(
            &bench,
            carol_for_newcomer(&newcomer),
            &[alice, bob, &newcomer],
        );
        take_up(&bench, &version).expect("taken up");
    }
    // Root puts the old generation back and points to it: old roster, old shares.
    fs::rename(&copy, &old).expect("put back");
    fs::remove_file(vault.join("current")).expect("removed");
    std::os::unix::fs::symlink("generations/2", vault.join("current")).expect("pointed");
    for problem in problems(&bench) {
        assert_eq!(problem.code, Code::Tampering, "{problem}");
    }
}

#[test]
fn a_proposal_that_never_counted_is_not_what_counts() {
    let bench = Bench::sealed();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    // As a ceremony leaves it that is killed between writing the version and its commit.
    let version = next(&bench, |r| r.threshold = 3, &[alice, bob]);
    let path = bench.path("state/vaults/prod/rosters/2.json");
    fs::write(path, version.to_json()).expect("written");
    assert_eq!(bench.chain().len(), 1);
    let (_worker, made) = offer(&bench);
    assert_eq!(made.roster_chain.len(), 1);
}
