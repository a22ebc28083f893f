//! A second host of the roster opens the newest generation with two approvals.

use twotap::protocol::job::{PlaceStep, Step};
use twotap_rig::world;

use crate::{
    pair::{Pair, Plan, folder, generation},
    support::names,
};

#[test]
fn the_newest_generation_opens_at_either_host() {
    let pair = Pair::claiming();
    let sealed = names(&pair.seal(0).expect("sealed"));
    let of_interest = [
        "generation_written",
        "copy_written",
        "generation_committed",
        "claim_taken",
        "key_created",
        "key_deactivated",
        "rotated",
    ];
    let sealed: Vec<&str> = sealed
        .iter()
        .map(String::as_str)
        .filter(|n| of_interest.contains(n))
        .collect();
    assert_eq!(
        sealed,
        [
            "generation_written",
            "copy_written",
            "generation_committed",
            "claim_taken",
            "key_created",
            "generation_written",
            "copy_written",
            "generation_committed",
            "key_deactivated",
            "rotated",
        ]
    );
    assert_eq!((pair.current(0), pair.current(1)), (Some(2), None));

    // There and back: each finds what the other sealed, when it is asked.
    for (host, expected) in [(1, 2), (0, 3), (1, 4)] {
        let (opened, session, end) = pair.open(host);
        assert_eq!(opened, expected);
        assert!(session.is_some());
        let entries = names(&end.expect("a whole ceremony"));
        assert_eq!(entries[..2], ["claim_taken", "mint_intent"]);
        assert_eq!(entries.last().map(String::as_str), Some("rotated"));
        assert_eq!(pair.current(host), Some(expected + 1));
        assert_eq!(pair.active_keys().len(), 1);
    }
    let adopted = pair.journal(0).into_iter().any(|e| {
        matches!(e.step, Step::Place(PlaceStep::GenerationAdopted { place, generation: 3, .. }) if place == "safe")
    });
    assert!(adopted);
}

#[test]
fn a_folder_that_both_hosts_see_is_enough() {
    let pair = Pair::of(&Plan {
        places: &|_| vec![folder("nas", true)],
        tables: &|_, shared| format!("[places.nas]\npath = {:?}\n", shared.join("nas")),
        padding: 0,
    });
    std::fs::create_dir(pair.shared("nas")).expect("made");
    pair.seal(0).expect("sealed");
    let (opened, session, end) = pair.open(1);
    assert_eq!(opened, 2);
    assert!(session.is_some());
    end.expect("a whole ceremony");
    let (_, made) = pair.ask(0);
    assert_eq!(generation(&made), 3);
    let files: Vec<_> = std::fs::read_dir(pair.shared("nas"))
        .expect("a folder")
        .map(|f| f.expect("a file").file_name())
        .collect();
    assert_eq!(files, ["prod.bundle.json"]);
}

#[test]
fn a_crash_between_the_labels_move_and_current_is_made_good_at_the_next_request() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let vault = pair.host(0).join("state/vaults/prod");
    let seen = std::fs::read(pair.host(0).join("state/seen.json")).expect("there");
    let before = std::fs::read_dir(vault.join("generations/2")).is_ok();
    assert!(before);
    copy(&vault.join("generations/2"), &pair.shared("two"));
    pair.open(0).2.expect("a whole ceremony");
    let sealed = std::fs::read(vault.join("generations/3/vault.age")).expect("there");

    // As a crash leaves it right after the label moved: generation 3 is whole, and 2 is what counts here.
    copy(&pair.shared("two"), &vault.join("generations/2"));
    std::fs::remove_file(vault.join("current")).expect("removed");
    std::os::unix::fs::symlink("generations/2", vault.join("current")).expect("linked");
    std::fs::write(pair.host(0).join("state/seen.json"), seen).expect("written");

    let (opened, session, end) = pair.open(0);
    assert_eq!(opened, 3);
    assert!(session.is_some());
    end.expect("a whole ceremony");
    assert_eq!(pair.active_keys().len(), 1);
    assert!(!sealed.is_empty());
}

#[test]
fn what_a_place_holds_is_believed_as_little_as_a_strangers_word() {
    let pair = Pair::of(&Plan {
        places: &|_| vec![folder("nas", false)],
        tables: &|_, shared| format!("[places.nas]\npath = {:?}\n", shared.join("nas")),
        padding: 0,
    });
    std::fs::create_dir(pair.shared("nas")).expect("made");
    pair.seal(0).expect("sealed");
    let file = pair.shared("nas/prod.bundle.json");
    let old = std::fs::read(&file).expect("there");
    pair.open(0).2.expect("a whole ceremony");
    let new = std::fs::read_to_string(&file).expect("there");

    // An old copy, one with a changed share, and one under a manifest that nobody listed has signed.
    let mut forged: serde_json::Value = serde_json::from_str(&new).expect("json");
    forged["manifest"]["signatures"][0]["sig"] = "AAAA".into();
    let mut changed: serde_json::Value = serde_json::from_str(&new).expect("json");
    changed["shares"][0]["age"] = changed["shares"][1]["age"].clone();
    let line = |json: &serde_json::Value| format!("{json}\n").into_bytes();
    for (bad, told) in [(old, false), (line(&changed), true), (line(&forged), true)] {
        std::fs::write(&file, &bad).expect("written");
        let before = pair.journal(0).len();
        let (_, made) = pair.ask(0);
        assert_eq!(generation(&made), 3);
        let entries = pair.journal(0).split_off(before);
        let unread = names(&entries) == ["place_unread"];
        assert_eq!(unread, told, "{entries:?}");
    }
    // A host that never saw more believes the old one: it is a good copy, and the freshest that it can know.
    std::fs::write(&file, line(&forged)).expect("written");
    let (_worker, refused) = {
        let mut worker = pair.worker(1);
        worker.send(&twotap::protocol::job::Job::Ceremony {
            ask: crate::support::ask(),
            operator: "dana".to_owned(),
            audit: twotap::trust::Head::EMPTY,
            checks: Vec::new(),
        });
        let answer = worker.next();
        (worker, answer)
    };
    let refused = format!("{refused:?}");
    assert!(refused.contains("nothing is sealed"), "{refused}");
    assert_eq!(pair.current(1), None);
}

#[test]
fn a_key_that_others_can_read_or_that_could_open_the_vault_is_no_reader() {
    use std::os::unix::fs::PermissionsExt as _;
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let file = pair.shared("reader.json");
    let good = std::fs::read(&file).expect("there");
    let mode = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    let why = || {
        let before = pair.journal(0).len();
        let _ = pair.ask(0);
        let entries = pair.journal(0).split_off(before);
        match entries.into_iter().next().map(|e| e.step) {
            Some(Step::Place(PlaceStep::PlaceUnread { why, .. })) => why,
            other => format!("{other:?}"),
        }
    };
    mode(0o640);
    assert!(why().contains("others can read it"), "{}", why());
    mode(0o600);
    let own = String::from_utf8(good.clone())
        .expect("text")
        .replace(world::BUNDLE_READER, world::USER);
    std::fs::write(&file, own).expect("written");
    assert!(why().contains("a key of the break-glass user"), "{}", why());
    std::fs::write(&file, good).expect("written");
    assert_eq!(why(), "None");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(done.expect("cp").success());
}
