//! What a worker reads from its own disk and from a place: an envelope in a file is no better for lying there.

use std::path::Path;

use twotap::{
    protocol::{
        Code,
        job::{FromWorker, Job, PlaceStep, Step},
    },
    trust::{
        Envelope,
        request::Offer,
        roster::{Place, PlaceKind},
    },
    vault::Bundle,
};
use twotap_rig::World;

use crate::{
    Hands, documents,
    support::{self, Bench},
    writes_nothing,
};

/// What asking, sealing and looking say: each has to refuse.
fn refused_everywhere(bench: &Bench, what: &str) {
    let failed = |answer: Option<FromWorker>| match answer {
        Some(FromWorker::Failed(problem)) => problem,
        other => panic!("{what} was believed: {other:?}"),
    };
    let mut worker = bench.worker();
    worker.send(&Job::Vault {
        vault: "prod".to_owned(),
    });
    let problems = [
        failed(bench.try_ask("dana", support::ask()).1),
        bench.try_seal().expect_err("nothing is sealed"),
        failed(worker.next()),
    ];
    for problem in problems {
        assert_eq!(problem.code, Code::Tampering, "{what}: {problem}");
    }
}

#[test]
fn a_file_of_the_vault_holds_its_own_kind() {
    let bench = Bench::sealed();
    let hands = Hands::of(&bench);
    let documents = documents(&bench);
    for name in ["current/manifest.dsse.json", "rosters/1.json"] {
        let file = bench.path("state/vaults/prod").join(name);
        let whole = std::fs::read(&file).expect("there");
        let good = Envelope::parse(&whole).expect("an envelope");
        for (what, envelope) in hands.instead_of(&good, &documents) {
            std::fs::write(&file, envelope.to_json()).expect("written");
            let what = format!("{what} in {name}");
            writes_nothing(&bench, &what, || refused_everywhere(&bench, &what));
        }
        std::fs::write(&file, whole).expect("put back");
        let (worker, _) = bench.ask();
        drop(worker);
    }
}

fn generation(bench: &Bench) -> u64 {
    let (worker, made) = bench.ask();
    drop(worker);
    made.offer
        .unverified::<Offer>()
        .expect("an offer")
        .0
        .generation
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.expect("cp").success());
}

#[test]
fn a_bundle_at_a_place_is_taken_over_only_if_each_part_is_its_own_kind() {
    let world = World::new().expect("an account");
    let bench = Bench::shaped(world, |_, roster| {
        roster.places = vec![Place {
            name: "nas".to_owned(),
            required: false,
            kind: PlaceKind::Folder,
        }];
    });
    let hands = Hands::of(&bench);
    let documents = documents(&bench);
    std::fs::create_dir(bench.path("nas")).expect("made");
    let toml = std::fs::read_to_string(bench.path("worker.toml")).expect("there");
    let toml = format!("{toml}\n[places.nas]\npath = {:?}\n", bench.path("nas"));
    std::fs::write(bench.path("worker.toml"), toml).expect("written");

    // The next generation goes to the place; then the host is as it was before, as one that stood by meanwhile.
    copy(&bench.path("state"), &bench.path("before"));
    let (mut worker, made) = bench.ask();
    for custodian in &bench.custodians[..2] {
        worker.vote(custodian.approve(&made));
    }
    worker.rest().1.expect("a whole ceremony");
    std::fs::remove_dir_all(bench.path("state")).expect("removed");
    copy(&bench.path("before"), &bench.path("state"));
    let file = bench.path("nas/prod.bundle.json");
    let good = Bundle::parse(&std::fs::read(&file).expect("copied")).expect("a bundle");

    let journal = || {
        let mut worker = bench.worker();
        worker.send(&Job::Journal {
            vault: "prod".to_owned(),
            since: 0,
        });
        worker.finish().1.expect("a journal")
    };
    let mut cases = Vec::new();
    for (what, envelope) in hands.instead_of(&good.manifest, &documents) {
        let manifest = envelope;
        let bundle = Bundle {
            manifest,
            ..good.clone()
        };
        cases.push((format!("{what} for its manifest"), bundle));
    }
    for (what, envelope) in hands.instead_of(&good.roster_chain[0], &documents) {
        let roster_chain = vec![envelope];
        let bundle = Bundle {
            roster_chain,
            ..good.clone()
        };
        cases.push((format!("{what} for its roster"), bundle));
    }
    for (what, bundle) in cases {
        std::fs::write(&file, bundle.to_json()).expect("written");
        let before = journal().len();
        assert_eq!(generation(&bench), 2, "{what}");
        let said = journal().split_off(before);
        assert!(
            matches!(
                said.as_slice(),
                [entry] if matches!(entry.step, Step::Place(PlaceStep::PlaceUnread { .. }))
            ),
            "{what}: {said:?}"
        );
    }
    std::fs::write(&file, good.to_json()).expect("put back");
    assert_eq!(generation(&bench), 3, "the good one is taken over");
}
