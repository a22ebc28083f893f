//! A host that joins, and what it may do before it holds anything.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use twotap::{
    protocol::{
        Code,
        job::{FromWorker, Job, RosterWish},
    },
    trust::{
        PublicKey,
        roster::{Host, Roster},
    },
};

use crate::{next, support::Bench, take_up};

/// Another host's worker, with a state of its own.
fn second_host(bench: &Bench) -> PathBuf {
    let toml = fs::read_to_string(bench.path("worker.toml")).expect("there");
    let second = toml
        .replace("/state\"", "/state-2\"")
        .replace("/runtime\"", "/runtime-2\"");
    assert_ne!(toml, second);
    let path = bench.path("worker-2.toml");
    fs::write(&path, second).expect("written");
    path
}

fn worker(config: &Path, args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_twotap-worker"))
        .arg("--config")
        .arg(config)
        .args(args)
        .output()
        .expect("the worker starts")
}

#[test]
fn a_host_that_joins_is_pinned_to_the_whole_chain_and_changes_nothing_by_itself() {
    let bench = Bench::sealed();
    let [alice, bob, _] = &bench.custodians[..] else {
        panic!("three custodians");
    };
    let config = second_host(&bench);
    let printed = worker(&config, &["key"]).stdout;
    let spki = data_encoding::BASE64
        .decode(printed.trim_ascii())
        .expect("base64");
    let key = PublicKey::from_spki(&spki).expect("a key");
    let joins = |roster: &mut Roster| {
        let checkpoint = ed25519_dalek::SigningKey::from_bytes(&[9; 32]).verifying_key();
        roster.hosts.push(Host {
            name: "host-2".to_owned(),
            key: key.clone(),
            checkpoint_key: PublicKey::Ed25519(checkpoint),
        });
    };
    let version = next(&bench, joins, &[alice, bob]);
    take_up(&bench, &version).expect("taken up");

    let chain = bench.chain();
    let install = |what: &str, json: String| {
        let path = bench.path(what);
        fs::write(&path, json).expect("written");
        worker(&config, &["install", path.to_str().expect("plain")])
    };
    let json = |of: &[twotap::trust::Envelope]| serde_json::to_string(of).expect("JSON");
    // A version alone proves nothing, and the first one does not list this host.
    let alone = install("alone.json", version.to_json());
    assert_eq!(alone.status.code(), Some(11), "{alone:?}");
    let first = install("first.json", json(&chain[..1]));
    assert_eq!(first.status.code(), Some(3), "{first:?}");
    let whole = install("whole.json", json(&chain));
    assert!(whole.status.success(), "{whole:?}");
    assert!(String::from_utf8_lossy(&whole.stdout).contains("version 2"));
    // Once pinned it is pinned: another chain is no way around the ceremony.
    let again = install("again.json", json(&chain));
    assert!(again.status.success(), "{again:?}");
    let back = install("back.json", json(&chain[..1]));
    assert_eq!(back.status.code(), Some(3), "{back:?}");

    // It holds nothing, and the other host does: a change is not taken up here without a ceremony.
    let third = next(&bench, |r| r.threshold = 3, &[alice, bob]);
    let mut second = bench.worker_of("worker-2.toml");
    second.send(&Job::Roster {
        vault: "prod".to_owned(),
        wish: RosterWish {
            next: third,
            incident: "CHG-8".to_owned(),
            reason: "at the wrong door".to_owned(),
            nonce: crate::support::nonce(),
        },
        operator: "dana".to_owned(),
        audit: twotap::trust::Head::EMPTY,
    });
    match second.next() {
        Some(FromWorker::Failed(problem)) => assert_eq!(problem.code, Code::Refused),
        other => panic!("it was taken up: {other:?}"),
    }
}
