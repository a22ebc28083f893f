use std::{fs, os::unix::fs::PermissionsExt as _};

use super::people::{SoftToken, at, host, manifest, newest, next, roster, signed};
use crate::trust::{
    Digest, Envelope, Head, TrustError, Verified,
    manifest::Manifest,
    roster::{Roster, verify_chain},
    seen::Seen,
};

fn sealed(roster: &Verified<Roster>, manifest: &Manifest) -> Verified<Manifest> {
    Manifest::verify(
        &Envelope::signed(manifest, &host()).expect("signed"),
        roster,
    )
    .expect("good")
}

struct Memory {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

fn memory() -> Memory {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("seen.json");
    Memory {
        _folder: folder,
        path,
    }
}

#[test]
fn only_the_pinned_chain_is_followed_and_never_back() {
    let tokens = ["alice", "bob", "carol"].map(SoftToken::new);
    let all: Vec<&SoftToken> = tokens.iter().collect();
    let first = signed(&roster(2, &all), &all);
    let v1 = newest(std::slice::from_ref(&first));
    let second = signed(&next(&v1), &all);
    let third = signed(&next(&newest(&[first.clone(), second.clone()])), &all);
    let chain = |upto: &[&Envelope]| {
        verify_chain(&upto.iter().map(|e| (*e).clone()).collect::<Vec<_>>()).expect("good")
    };

    let memory = memory();
    let mut seen = Seen::open(&memory.path).expect("empty");
    assert!(
        seen.accept_chain(chain(&[&first])).is_err(),
        "not pinned yet"
    );
    seen.pin(&v1).expect("pinned");
    assert_eq!(
        seen.accept_chain(chain(&[&first, &second]))
            .expect("newer")
            .version,
        2
    );

    // What was seen outlives the process.
    let mut seen = Seen::open(&memory.path).expect("there");
    assert_eq!(seen.roster("prod"), Some(second.digest()));
    assert!(matches!(
        seen.accept_chain(chain(&[&first])),
        Err(TrustError::Rollback {
            presented: 1,
            seen: 2,
            ..
        })
    ));
    assert_eq!(
        seen.accept_chain(chain(&[&first, &second, &third]))
            .expect("newer")
            .version,
        3
    );

    // A fork of the same length, and a chain of other people under the same name.
    let mut other = next(&newest(&[first.clone(), second.clone()]));
    other.threshold = 3;
    let fork = signed(&other, &all);
    assert!(matches!(
        seen.accept_chain(chain(&[&first, &second, &fork])),
        Err(TrustError::Mismatch { .. })
    ));
    let strangers = ["stranger", "thief"].map(SoftToken::new);
    let strangers: Vec<&SoftToken> = strangers.iter().collect();
    let theirs = [signed(&roster(2, &strangers), &strangers)];
    let mut theirs = theirs.to_vec();
    for _ in 0..3 {
        theirs.push(signed(&next(&newest(&theirs)), &strangers));
    }
    assert!(matches!(
        seen.accept_chain(verify_chain(&theirs).expect("good by itself")),
        Err(TrustError::Mismatch { .. })
    ));
    assert_eq!(seen.roster("prod"), Some(third.digest()));
}

#[test]
fn a_manifest_is_neither_older_nor_another_of_the_same_number() {
    let tokens = ["alice", "bob"].map(SoftToken::new);
    let all: Vec<&SoftToken> = tokens.iter().collect();
    let roster = newest(&[signed(&roster(2, &all), &all)]);
    let memory = memory();
    let mut seen = Seen::open(&memory.path).expect("empty");
    let second = sealed(&roster, &manifest(&roster, 2));
    assert!(seen.accept_manifest(&second).is_err(), "not pinned yet");
    seen.pin(&roster).expect("pinned");
    seen.accept_manifest(&second).expect("new");
    seen.accept_manifest(&second).expect("the same again");

    let mut seen = Seen::open(&memory.path).expect("there");
    assert_eq!(seen.generation("prod"), Some(2));
    assert!(matches!(
        seen.accept_manifest(&sealed(&roster, &manifest(&roster, 1))),
        Err(TrustError::Rollback {
            presented: 1,
            seen: 2,
            ..
        })
    ));
    let mut other = manifest(&roster, 2);
    other.access_key_id = "AKIAI44QH8DHBEXAMPLE".into();
    assert!(matches!(
        seen.accept_manifest(&sealed(&roster, &other)),
        Err(TrustError::Mismatch { .. })
    ));
    seen.accept_manifest(&sealed(&roster, &manifest(&roster, 3)))
        .expect("newer");
}

#[test]
fn a_record_that_was_cut_or_rewritten_is_noticed() {
    let tokens = ["alice", "bob"].map(SoftToken::new);
    let all: Vec<&SoftToken> = tokens.iter().collect();
    let roster = newest(&[signed(&roster(2, &all), &all)]);
    let head = |seq: u64, what: &str| Head {
        seq,
        hash: Digest::of(what.as_bytes()),
    };
    let noon = at("2026-01-06T12:00:00Z");
    let memory = memory();
    let mut seen = Seen::open(&memory.path).expect("empty");
    assert!(
        seen.accept_head("prod", head(1, "a"), noon).is_err(),
        "not pinned yet"
    );
    seen.pin(&roster).expect("pinned");
    seen.accept_head("prod", head(7, "seven"), noon)
        .expect("first");

    let mut seen = Seen::open(&memory.path).expect("there");
    seen.accept_head("prod", head(5, "five"), noon.plus(-60))
        .expect("an older document");
    assert!(matches!(
        seen.accept_head("prod", head(5, "five"), noon.plus(60)),
        Err(TrustError::Rollback {
            presented: 5,
            seen: 7,
            ..
        })
    ));
    assert!(matches!(
        seen.accept_head("prod", head(7, "other"), noon.plus(60)),
        Err(TrustError::Mismatch { .. })
    ));
    seen.accept_head("prod", head(8, "eight"), noon.plus(60))
        .expect("newer");
}

#[test]
fn the_memory_is_private_and_never_guessed() {
    let tokens = ["alice", "bob"].map(SoftToken::new);
    let all: Vec<&SoftToken> = tokens.iter().collect();
    let memory = memory();
    let mut seen = Seen::open(&memory.path).expect("empty");
    seen.pin(&newest(&[signed(&roster(2, &all), &all)]))
        .expect("pinned");
    let mode = fs::metadata(&memory.path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let good = fs::read(&memory.path).expect("there");
    for bad in [&good[..good.len() / 2], b"", b"{}x"] {
        fs::write(&memory.path, bad).expect("written");
        assert!(matches!(
            Seen::open(&memory.path),
            Err(TrustError::Malformed { .. })
        ));
    }
}
