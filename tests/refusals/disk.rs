//! A disk that is full while a key is sealed or replaced: it is said, nothing sealed is lost, and the same works once there is room.
//!
//! The worker's state is a small tmpfs in a mount namespace of the test's own, which ends with it.

use std::{fs, io::Write as _, path::Path, process::Command};

use twotap::{
    protocol::{
        Code, Problem,
        job::{FromWorker, VaultFacts, Vote},
    },
    trust::manifest::Manifest,
};
use twotap_rig::{Credentials, world};

use crate::papers::look;
use crate::support::{Bench, SoftCustodian, folder_holds, names};

const PAGE: u64 = 4096;
/// As many free pages as any sealing or rotation may need, with room to spare.
const PLENTY: u64 = 64;

/// Runs the test `name` of this program again in a mount namespace of its own; true inside it.
fn in_own_namespace(name: &str) -> bool {
    const INSIDE: &str = "TWOTAP_TEST_OWN_MOUNTS";
    if std::env::var_os(INSIDE).is_some() {
        // A /dev/shm of our own as well, so that nothing can be left behind in the real one.
        mount(Path::new("/dev/shm"), "64m");
        return true;
    }
    // Private first, so that nothing mounted here is seen outside; in a chroot `/` is no mount point, and `/dev` is the one to cut off.
    let private =
        "mount --make-rprivate / 2>/dev/null || mount --make-rprivate /dev && exec \"$@\"";
    let again = Command::new("unshare")
        .args(["--mount", "--propagation", "unchanged"])
        .args(["sh", "-c", private, "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "needs root\n{said}\n{}",
        String::from_utf8_lossy(&again.stderr)
    );
    false
}

fn mount(at: &Path, size: &str) {
    let done = Command::new("mount")
        .args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=0700"),
            "tmpfs",
        ])
        .arg(at)
        .status();
    assert!(done.expect("mount").success());
}

/// A bench whose state is on a disk of 512 KiB.
fn bench() -> Bench {
    let people = [("alice", 1), ("bob", 2), ("carol", 3)];
    let small = |state: &Path| {
        fs::create_dir(state).expect("made");
        mount(state, "512k");
    };
    Bench::on(
        &small,
        people
            .map(|(name, serial)| SoftCustodian::new(name, serial))
            .into(),
        &["dana"],
    )
}

/// Fills the disk until so many pages are free.
fn leave(bench: &Bench, pages: u64) {
    make_room(bench);
    let mut ballast = fs::File::create(bench.path("state/ballast")).expect("made");
    let full = loop {
        if let Err(why) = ballast.write_all(&[1; PAGE as usize]) {
            break why;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let size = ballast.metadata().expect("there").len() / PAGE * PAGE;
    ballast.set_len(size - pages * PAGE).expect("shortened");
}

fn make_room(bench: &Bench) {
    let _ = fs::remove_file(bench.path("state/ballast"));
}

fn says_that_the_disk_is_full(problem: &Problem) {
    assert_eq!(problem.code, Code::Internal, "{problem}");
    assert!(problem.error.contains("No space left"), "{problem}");
}

/// Everything that counts is whole, and the key that it holds works. Keys that never came to count are gone: where the generation is
/// still the one of `before`, its key is the only one.
fn nothing_is_lost(bench: &Bench, before: Option<&VaultFacts>) -> VaultFacts {
    make_room(bench);
    let facts = look(bench).expect("a vault that can be believed");
    let keys = bench.world.list_keys(world::USER).expect("a list");
    let active = |id: &str| keys.iter().any(|k| k.id == id && k.active);
    match &facts.manifest {
        Some(manifest) => {
            let sealed = manifest
                .unverified::<Manifest>()
                .expect("verified")
                .access_key_id;
            assert!(active(&sealed), "{sealed} of {keys:?}");
            if before.is_some_and(|b| b.manifest == facts.manifest) {
                assert_eq!(keys.len(), 1, "{keys:?}");
            }
            // A commit that could not be written down leaves the key before it: a stranger, which the next rotation removes.
            for stranger in keys.iter().filter(|k| k.id != sealed) {
                delete(bench, &stranger.id);
            }
        }
        None => assert!(active(&bench.world.first_key().access_key_id)),
    }
    facts
}

/// Saves the half minute that the next rotation would wait before it deletes a key that it does not know.
fn delete(bench: &Bench, id: &str) {
    let params = [("UserName", world::USER), ("AccessKeyId", id)];
    let deleted = bench.world.admin().query("iam", "DeleteAccessKey", &params);
    deleted
        .expect("an answer")
        .expect_ok("deleting")
        .expect("deleted");
}

/// Asks, approves twice, and gives whether a session came, and how it ended.
fn ceremony(bench: &Bench) -> (Option<Credentials>, Result<Vec<String>, Problem>) {
    let (mut worker, made) = bench.ask();
    for i in [0, 2] {
        let vote = worker.vote(bench.custodians[i].approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    let (session, end) = worker.finish();
    let session = session.map(|s| Credentials {
        access_key_id: s.targets[0].access_key_id.clone(),
        secret_access_key: s.targets[0].secret_access_key.to_string(),
        session_token: Some(s.targets[0].session_token.to_string()),
    });
    (session, end.map(|entries| names(&entries)))
}

fn one_key_and_one_generation(bench: &Bench) {
    let facts = nothing_is_lost(bench, None);
    let manifest: Manifest = facts
        .manifest
        .expect("sealed")
        .unverified()
        .expect("verified");
    let keys = bench.world.list_keys(world::USER).expect("a list");
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].id, manifest.access_key_id);
    let left: Vec<_> = fs::read_dir(bench.path("state/vaults/prod/generations"))
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, [manifest.generation.to_string().as_str()]);
}

#[test]
fn a_disk_that_is_full_while_sealing_loses_nothing() {
    if !in_own_namespace("disk::a_disk_that_is_full_while_sealing_loses_nothing") {
        return;
    }
    let bench = bench();
    let mut failures = (0, 0);
    for pages in 0.. {
        assert!(pages < PLENTY, "it never fits");
        leave(&bench, pages);
        match bench.try_seal() {
            Ok(_) => break,
            Err(problem) => says_that_the_disk_is_full(&problem),
        }
        let facts = nothing_is_lost(&bench, None);
        match facts.manifest {
            None => failures.0 += 1,
            Some(manifest) => {
                // It is sealed and stands, only the rotation is still to come; what was given may be given again.
                failures.1 += 1;
                let manifest: Manifest = manifest.unverified().expect("verified");
                if manifest.access_key_id != bench.world.first_key().access_key_id {
                    break;
                }
            }
        }
        let secret = &bench.world.first_key().secret_access_key;
        assert!(!folder_holds(&bench.path("state"), secret));
    }
    assert!(failures.0 >= 3 && failures.1 >= 1, "{failures:?}");
    make_room(&bench);
    ceremony(&bench).1.expect("it opens and rotates");
    one_key_and_one_generation(&bench);
}

#[test]
fn a_disk_that_is_full_while_rotating_loses_nothing_and_the_operator_has_the_session() {
    if !in_own_namespace(
        "disk::a_disk_that_is_full_while_rotating_loses_nothing_and_the_operator_has_the_session",
    ) {
        return;
    }
    let bench = bench();
    bench.seal().expect("sealed while there is room");
    let mut opened_all_the_same = 0;
    for pages in 0.. {
        assert!(pages < PLENTY, "it never fits");
        let before = nothing_is_lost(&bench, None);
        leave(&bench, pages);
        let (session, end) = ceremony(&bench);
        if let Some(session) = &session {
            let probe = bench.world.session_probe(session).expect("an answer");
            assert!(probe.is_ok(), "{probe:?}");
        }
        match end {
            Ok(steps) => {
                assert_eq!(steps.last().map(String::as_str), Some("rotated"));
                break;
            }
            Err(problem) => says_that_the_disk_is_full(&problem),
        }
        opened_all_the_same += u32::from(session.is_some());
        nothing_is_lost(&bench, Some(&before));
    }
    assert!(opened_all_the_same >= 3, "{opened_all_the_same}");
    one_key_and_one_generation(&bench);
    make_room(&bench);
    let (session, end) = ceremony(&bench);
    end.expect("it opens and rotates");
    assert!(session.is_some());
    one_key_and_one_generation(&bench);
    assert!(matches!(
        bench.try_ask("dana", crate::support::ask()).1,
        Some(FromWorker::Offer(_))
    ));
}
