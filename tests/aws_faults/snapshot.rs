//! A host that is put back to an earlier state: it does no harm, and says what to do.

use std::{path::Path, process::Command};

use twotap::protocol::job::Step;
use twotap_rig::world;

use crate::{
    ceremony::{assert_whole, ceremony, journal, key_of, patience, pending, sealed_key},
    support::{Bench, names},
};

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.expect("cp").success());
}

#[test]
fn a_worker_folder_from_before_a_rotation_neither_disables_nor_deletes_the_good_key() {
    let bench = Bench::sealed();
    patience(&bench, 3);
    let state = bench.path("state");
    copy(&state, &bench.path("snapshot"));
    let before = sealed_key(&bench);
    assert_whole(&bench, &before, &ceremony(&bench), "before the restore");
    let good = sealed_key(&bench);

    // The snapshot is resumed: its key is dead, and the good one is a stranger to it.
    std::fs::rename(&state, bench.path("newest")).expect("moved");
    copy(&bench.path("snapshot"), &state);
    assert_eq!(sealed_key(&bench), before);
    let ended = ceremony(&bench);
    assert!(ended.session.is_none() && ended.result.is_err());
    let why = pending(&bench, &ended.request).expect("pending");
    for word in [
        "does not know the sealed key",
        "put back to an earlier state",
        "no key was touched",
    ] {
        assert!(why.contains(word), "no {word:?} in {why}");
    }
    let steps = names(&journal(&bench, &ended.request));
    assert!(!steps.contains(&"stray_found".to_owned()), "{steps:?}");
    let keys = bench.world.list_keys(world::USER).expect("a list");
    assert!(
        keys.len() == 1 && keys[0].id == good && keys[0].active,
        "{keys:?}"
    );
    let works = bench.world.key_works(&key_of(&bench.world, &good));
    assert!(works.expect("an answer"));

    // With the newest generation back all is well.
    std::fs::remove_dir_all(&state).expect("removed");
    std::fs::rename(bench.path("newest"), &state).expect("moved");
    assert_whole(&bench, &good, &ceremony(&bench), "after the restore");
}

#[test]
fn generations_from_before_a_rotation_beside_a_journal_from_after_it_touch_no_key() {
    let bench = Bench::sealed();
    let state = bench.path("state");
    let vault = state.join("vaults/prod");
    copy(&state, &bench.path("snapshot"));
    // The old key could not be deleted nor made inactive: both work, which is what makes this dangerous.
    patience(&bench, 3);
    let down = twotap_rig::Rule::new(
        "iam:UpdateAccessKey",
        twotap_rig::When::Always,
        twotap_rig::Fault::Unreachable,
    );
    bench.world.proxy().add(down);
    let ended = ceremony(&bench);
    assert!(ended.result.is_err());
    bench.world.proxy().clear_rules();
    let good = sealed_key(&bench);
    let both = bench.world.list_keys(world::USER).expect("a list");
    assert!(both.len() == 2 && both.iter().all(|k| k.active), "{both:?}");

    // Everything but the journal is put back.
    copy(&vault.join("journal"), &bench.path("journal"));
    std::fs::remove_dir_all(&state).expect("removed");
    copy(&bench.path("snapshot"), &state);
    copy(&bench.path("journal"), &vault.join("journal"));
    let ended = ceremony(&bench);
    let why = pending(&bench, &ended.request).expect("pending");
    assert!(
        why.contains("the journal says that generation 3 counts"),
        "{why}"
    );
    assert!(why.contains("no key was touched"), "{why}");
    let keys = bench.world.list_keys(world::USER).expect("a list");
    assert!(keys.iter().any(|k| k.id == good && k.active), "{keys:?}");
    assert!(!journal(&bench, &ended.request).iter().any(|e| matches!(
        e.step,
        Step::CreateIntent { .. } | Step::DeleteIntent { .. } | Step::DeactivateIntent { .. }
    )));
}
