//! Copies are acknowledged before the old key dies, where the roster requires them, and are caught up where they lag.

use std::time::Duration;

use twotap::protocol::{
    Code,
    job::{FromWorker, Job, PlaceStep, Step},
};
use twotap_rig::{Fault, Rule, When, proxy::Gate};

use crate::{
    pair::{Pair, Plan, folder, secret},
    support::names,
};

/// One folder, on a disk that a case takes away.
fn with_a_folder(required: bool) -> Pair {
    let pair = Pair::of(&Plan {
        places: &|_| vec![folder("nas", required)],
        tables: &|_, shared| {
            format!(
                "[limits]\nrotation_seconds = 2\n[places.nas]\npath = {:?}\n",
                shared.join("nas")
            )
        },
        padding: 0,
    });
    std::fs::create_dir(pair.shared("nas")).expect("made");
    pair.seal(0).expect("sealed");
    pair
}

fn take_away(pair: &Pair) {
    std::fs::rename(pair.shared("nas"), pair.shared("away")).expect("moved");
}

fn bring_back(pair: &Pair) {
    std::fs::rename(pair.shared("away"), pair.shared("nas")).expect("moved");
}

#[test]
fn the_old_key_lives_until_a_required_place_has_acknowledged() {
    let pair = with_a_folder(true);
    let old = pair.active_keys();
    let gate = Gate::new();
    let proxy = pair.world.proxy();
    proxy.add(Rule::new(
        "iam:CreateAccessKey",
        When::Nth(1),
        Fault::HoldReply(gate.clone()),
    ));
    let (mut worker, made) = pair.ask(0);
    pair.approve(&mut worker, &made);
    let (session, end) = std::thread::scope(|scope| {
        let worker = scope.spawn(move || worker.finish());
        gate.wait_arrived(1, Duration::from_secs(60)).expect("held");
        take_away(&pair);
        proxy.clear_calls();
        gate.open();
        worker.join().expect("it ends")
    });
    assert!(session.is_some());
    let problem = end.expect_err("pending");
    assert!(problem.error.starts_with("place nas:"), "{problem}");
    assert_eq!(pair.current(0), Some(3), "it counts here");
    assert_eq!(proxy.calls_of("iam:UpdateAccessKey").len(), 0);
    assert!(pair.active_keys().contains(&old[0]));
    let lags = pair.journal(0).into_iter().find_map(|e| match e.step {
        Step::Place(PlaceStep::CopyLags {
            place,
            generation,
            required,
            ..
        }) => Some((place, generation, required)),
        _ => None,
    });
    assert_eq!(lags, Some(("nas".to_owned(), 3, true)));

    // While it is away the key that it still holds stays alive, whatever else is opened.
    proxy.clear_calls();
    let (opened, session, end) = pair.open(0);
    assert_eq!(opened, 3);
    assert!(session.is_some());
    end.expect_err("pending");
    assert_eq!(pair.key_calls(), 0);

    // Back again, it is caught up before that key goes.
    bring_back(&pair);
    let (mut worker, made) = pair.ask(0);
    pair.approve(&mut worker, &made);
    let mut told = Vec::new();
    while !told.iter().any(|n| n == "key_deactivated") {
        match worker.next() {
            Some(FromWorker::Entry(entry)) => told.extend(names(&[entry])),
            Some(FromWorker::Session(_)) => {}
            other => panic!("{told:?}, and then {other:?}"),
        }
    }
    let at = |step: &str| told.iter().position(|n| n == step);
    assert!(
        at("copy_written").is_some() && at("copy_written") < at("key_deactivated"),
        "{told:?}"
    );
}

#[test]
fn a_place_that_is_not_required_blocks_nothing_and_is_caught_up_at_closing() {
    let pair = with_a_folder(false);
    take_away(&pair);
    let (_, session, end) = pair.open(0);
    let session = session.expect("a session");
    let entries = names(&end.expect("a whole ceremony"));
    assert_eq!(entries[entries.len() - 2..], ["rotated", "copy_lags"]);
    assert_eq!(pair.active_keys().len(), 1);

    bring_back(&pair);
    let before = std::fs::read(pair.shared("nas/prod.bundle.json")).expect("there");
    let mut worker = pair.worker(0);
    worker.send(&Job::Close {
        vault: "prod".to_owned(),
        request: session.request.clone(),
    });
    let closed = names(&worker.finish().1.expect("closed"));
    assert_eq!(closed.last().map(String::as_str), Some("copy_written"));
    let after = std::fs::read(pair.shared("nas/prod.bundle.json")).expect("there");
    assert_ne!(before, after);
}

#[test]
fn a_place_without_a_path_on_this_host_lags_and_says_what_to_do() {
    let pair = Pair::of(&Plan {
        places: &|_| vec![folder("nas", false)],
        tables: &|_, _| String::new(),
        padding: 0,
    });
    let entries = pair.seal(0).expect("sealed");
    let why = entries.into_iter().find_map(|e| match e.step {
        Step::Place(PlaceStep::CopyLags { why, .. }) => Some(why),
        _ => None,
    });
    assert_eq!(
        why.as_deref(),
        Some("place nas has no path on this host; name it in worker.toml: [places.nas] path = ...")
    );
}

#[test]
fn every_place_holds_the_same_bytes() {
    let pair = Pair::of(&Plan {
        places: &|world| vec![folder("nas", true), secret(world, false)],
        tables: &|_, shared| format!("[places.nas]\npath = {:?}\n", shared.join("nas")),
        padding: 0,
    });
    std::fs::create_dir(pair.shared("nas")).expect("made");
    pair.seal(0).expect("sealed");
    let asked = serde_json::json!({
        "SecretId": pair.world.bundle_secret_arn(),
        "VersionStage": "twotap-generation",
    });
    let in_secret = || {
        let reply = pair
            .world
            .admin()
            .json("secretsmanager", "secretsmanager.GetSecretValue", &asked)
            .expect("an answer");
        let body: serde_json::Value = serde_json::from_str(&reply.body).expect("json");
        body["SecretString"].as_str().expect("text").to_owned()
    };
    let in_folder = || std::fs::read_to_string(pair.shared("nas/prod.bundle.json"));
    let first = in_secret();
    assert_eq!(in_folder().expect("there"), first);
    pair.open(0).2.expect("a whole ceremony");
    assert_eq!(in_folder().expect("there"), in_secret());
    assert_ne!(in_secret(), first);
    assert!(!in_secret().contains("\"claim\""));
}

#[test]
fn a_bundle_that_no_secret_takes_is_refused_at_sealing_with_its_sizes() {
    let pair = Pair::of(&Plan {
        places: &|world| vec![secret(world, true)],
        tables: &|_, _| String::new(),
        padding: 48 * 1024,
    });
    let key = pair.active_keys();
    let problem = pair.seal(0).expect_err("too large");
    assert_eq!(problem.code, Code::Usage);
    let sizes: Vec<usize> = problem
        .error
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    let [size, rosters, 1, 65_280] = sizes[..] else {
        panic!("{problem}");
    };
    assert!(size > rosters && rosters > 65_280, "{problem}");
    assert!(problem.hint.is_some());
    // Nothing was sealed, and nothing was made.
    assert_eq!(pair.current(0), None);
    assert_eq!(pair.active_keys(), key);
    let puts = pair.world.proxy().calls_of("secretsmanager:PutSecretValue");
    assert_eq!(puts.len(), 0);
}
