use std::os::unix::fs::PermissionsExt as _;

use super::super::testing::{sealed, tokens};
use super::*;
use crate::trust::{
    TrustError,
    tests::people::{SoftToken, next, signed, verified},
};

struct Vault {
    folder: tempfile::TempDir,
    tokens: [SoftToken; 3],
    roster: Verified<Roster>,
}

impl Vault {
    fn new() -> Self {
        let tokens = tokens(["alice", "bob", "carol"]);
        let roster = verified(2, &tokens.each_ref());
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            tokens,
            roster,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vaults/prod")
    }

    fn store(&self) -> Generations {
        Generations::open(&self.path()).expect("opened")
    }

    fn writer(&self) -> Writer {
        self.store().lock().expect("free")
    }

    fn generation(&self, n: u64) -> Generation {
        sealed(&self.roster, n).0
    }

    /// Everything below the folder, by path.
    fn tree(&self) -> Vec<(String, u32)> {
        fn walk(at: &Path, base: &Path, found: &mut Vec<(String, u32)>) {
            for entry in fs::read_dir(at).expect("a folder") {
                let path = entry.expect("an entry").path();
                let meta = path.symlink_metadata().expect("there");
                let name = path
                    .strip_prefix(base)
                    .expect("below")
                    .display()
                    .to_string();
                found.push((name, meta.permissions().mode() & 0o777));
                if meta.is_dir() {
                    walk(&path, base, found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(), &self.path(), &mut found);
        found.sort();
        found
    }
}

#[test]
fn a_generation_counts_from_its_commit() {
    let vault = Vault::new();
    let writer = vault.writer();
    assert_eq!(
        (writer.current().unwrap(), writer.numbers().unwrap()),
        (None, vec![])
    );

    let first = vault.generation(1);
    assert_eq!(writer.write(&first).expect("written"), 1);
    assert_eq!(
        (writer.current().unwrap(), writer.uncommitted().unwrap()),
        (None, vec![1])
    );
    writer.commit(1).expect("committed");
    assert_eq!(
        (writer.current().unwrap(), writer.uncommitted().unwrap()),
        (Some(1), vec![])
    );
    assert_eq!(writer.read(1).expect("read"), first);

    let second = vault.generation(2);
    writer.write(&second).expect("written");
    assert_eq!(
        (writer.current().unwrap(), writer.uncommitted().unwrap()),
        (Some(1), vec![2])
    );
    writer.commit(2).expect("committed");
    assert_eq!(
        (writer.current().unwrap(), writer.superseded().unwrap()),
        (Some(2), vec![1])
    );

    // A reader elsewhere sees the same.
    let reader = vault.store();
    assert_eq!(reader.current().unwrap(), Some(2));
    let manifest = reader
        .read(2)
        .expect("read")
        .verify(std::slice::from_ref(&vault.roster));
    assert_eq!(manifest.expect("good").generation, 2);

    assert!(matches!(
        writer.remove(2),
        Err(VaultError::IsCurrent { generation: 2 })
    ));
    writer.remove(1).expect("removed");
    writer.remove(1).expect("nothing to do");
    assert_eq!(writer.numbers().unwrap(), [2]);
    assert!(matches!(
        writer.read(1),
        Err(VaultError::Missing { number: 1, .. })
    ));
    assert!(matches!(
        writer.commit(1),
        Err(VaultError::Missing { number: 1, .. })
    ));
    assert_eq!(writer.current().unwrap(), Some(2));
}

#[test]
fn files_are_private_and_nothing_else_is_left() {
    let vault = Vault::new();
    let writer = vault.writer();
    writer.add_roster(vault.roster.envelope()).expect("stored");
    writer.write(&vault.generation(1)).expect("written");
    writer.commit(1).expect("committed");
    let expected = [
        ("current", 0o777),
        ("generations", 0o700),
        ("generations/1", 0o700),
        ("generations/1/manifest.dsse.json", 0o600),
        ("generations/1/shares", 0o700),
        ("generations/1/shares/alice.age", 0o600),
        ("generations/1/shares/bob.age", 0o600),
        ("generations/1/shares/carol.age", 0o600),
        ("generations/1/vault.age", 0o600),
        ("lock", 0o600),
        ("rosters", 0o700),
        ("rosters/1.json", 0o600),
    ];
    assert_eq!(
        vault.tree(),
        expected.map(|(name, mode)| (name.to_owned(), mode))
    );
    // With stock tools: what `current` points to.
    assert!(vault.path().join("current/vault.age").is_file());
}

#[test]
fn nothing_is_overwritten() {
    let vault = Vault::new();
    let writer = vault.writer();
    let first = vault.generation(1);
    writer.write(&first).expect("written");
    assert!(matches!(
        writer.write(&vault.generation(1)),
        Err(VaultError::Exists { number: 1, .. })
    ));
    assert_eq!(writer.read(1).expect("read"), first);
}

#[test]
fn what_a_crash_left_is_never_seen_and_goes_with_the_next_writer() {
    let vault = Vault::new();
    let writer = vault.writer();
    writer.write(&vault.generation(1)).expect("written");
    writer.commit(1).expect("committed");
    drop(writer);
    let before = vault.tree();

    // Killed while writing generation 2, while moving `current`, while replacing a roster.
    let half = vault.path().join("generations/.half-2/shares");
    fs::create_dir_all(&half).expect("made");
    fs::write(half.join("alice.age"), b"half").expect("written");
    symlink("generations/2", vault.path().join(".half-current")).expect("made");
    fs::write(vault.path().join("rosters/.1.json.4711.tmp"), b"{").expect("written");

    let reader = vault.store();
    assert_eq!(reader.numbers().unwrap(), [1]);
    assert_eq!(reader.uncommitted().unwrap(), Vec::<u64>::new());
    assert_eq!(reader.rosters().expect("none").len(), 0);
    assert!(half.exists(), "a reader changes nothing");
    let writer = vault.writer();
    assert_eq!(vault.tree(), before);
    writer.write(&vault.generation(2)).expect("written");
    writer.commit(2).expect("committed");
    assert_eq!(vault.store().current().unwrap(), Some(2));
}

#[test]
fn killed_between_writing_and_committing_the_old_one_counts() {
    let vault = Vault::new();
    let writer = vault.writer();
    writer.write(&vault.generation(1)).expect("written");
    writer.commit(1).expect("committed");
    writer.write(&vault.generation(2)).expect("written");
    drop(writer);
    let writer = vault.writer();
    assert_eq!(
        (writer.current().unwrap(), writer.uncommitted().unwrap()),
        (Some(1), vec![2])
    );
    // Whole, so that who finds it can choose: commit or remove.
    assert!(writer.read(2).is_ok());
    writer.remove(2).expect("removed");
    assert_eq!(writer.numbers().unwrap(), [1]);
}

#[test]
fn a_current_that_leads_nowhere_is_said_not_guessed() {
    let vault = Vault::new();
    let writer = vault.writer();
    writer.write(&vault.generation(1)).expect("written");
    writer.commit(1).expect("committed");
    let path = vault.path().join("current");
    for (target, missing) in [
        ("generations/7", true),
        ("../staging", false),
        ("generations/01", false),
    ] {
        fs::remove_file(&path).expect("removed");
        symlink(target, &path).expect("made");
        match writer.current() {
            Err(VaultError::Missing { number: 7, .. }) => assert!(missing),
            Err(VaultError::Malformed { .. }) => assert!(!missing, "{target}"),
            other => panic!("{target}: {other:?}"),
        }
    }
    fs::remove_file(&path).expect("removed");
    assert_eq!(
        (writer.current().unwrap(), writer.uncommitted().unwrap()),
        (None, vec![1])
    );
    writer.commit(1).expect("again");
    assert_eq!(writer.current().unwrap(), Some(1));
}

#[test]
fn a_changed_file_has_a_name() {
    let vault = Vault::new();
    let writer = vault.writer();
    writer.write(&vault.generation(1)).expect("written");
    let folder = vault.path().join("generations/1");
    let blamed = || match writer.read(1) {
        Err(VaultError::Digest {
            file,
            custodian,
            generation: 1,
        }) => (file, custodian),
        other => panic!("expected a wrong digest, not {:?}", other.err()),
    };
    let bob = folder.join("shares/bob.age");
    let good = fs::read(&bob).expect("there");
    fs::write(&bob, &good[1..]).expect("written");
    assert_eq!(blamed(), ("shares/bob.age".into(), Some("bob".into())));
    assert!(
        matches!(writer.commit(1), Err(VaultError::Digest { .. })),
        "and it cannot count"
    );
    assert_eq!(writer.current().unwrap(), None);
    fs::remove_file(&bob).expect("removed");
    assert_eq!(blamed(), ("shares/bob.age".into(), Some("bob".into())));
    fs::write(&bob, &good).expect("written");

    let file = folder.join("vault.age");
    let good = fs::read(&file).expect("there");
    fs::write(&file, [&good[..], b"x"].concat()).expect("written");
    assert_eq!(blamed(), ("vault.age".into(), None));
    fs::write(&file, vec![0; MAX_AGE_FILE * 2]).expect("written");
    assert_eq!(blamed(), ("vault.age".into(), None));
    fs::write(&file, &good).expect("written");
    writer.read(1).expect("whole again");

    // A whole generation under another number.
    fs::rename(&folder, vault.path().join("generations/5")).expect("moved");
    assert!(matches!(writer.read(5), Err(VaultError::Malformed { .. })));
}

#[test]
fn what_does_not_fit_its_manifest_is_not_written() {
    let vault = Vault::new();
    let writer = vault.writer();
    let mut generation = vault.generation(1);
    generation.shares[0].1.push(0);
    assert!(matches!(
        writer.write(&generation),
        Err(VaultError::Digest { .. })
    ));
    let mut generation = vault.generation(1);
    generation.shares.push(("../../escape".into(), vec![]));
    assert!(matches!(
        writer.write(&generation),
        Err(VaultError::Digest { .. })
    ));
    assert_eq!(writer.numbers().unwrap(), Vec::<u64>::new());
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let vault = Vault::new();
    let writer = vault.writer();
    // A folder stands where the second file has to go.
    let half = vault.path().join("generations/.half-1");
    fs::create_dir_all(half.join("x")).expect("made");
    assert!(matches!(
        writer.write(&vault.generation(1)),
        Err(VaultError::Io { .. })
    ));
    assert!(!half.exists());
    writer.write(&vault.generation(1)).expect("the next try");
}

#[test]
fn one_writer_at_a_time() {
    let vault = Vault::new();
    let writer = vault.writer();
    assert!(matches!(vault.store().lock(), Err(VaultError::Busy { .. })));
    assert!(vault.store().numbers().is_ok(), "reading goes on");
    drop(writer);
    vault.writer();
}

#[test]
fn rosters_follow_each_other() {
    let vault = Vault::new();
    let writer = vault.writer();
    let [alice, bob, _] = &vault.tokens;
    assert_eq!(writer.rosters().expect("none").len(), 0);
    assert_eq!(
        writer
            .add_roster(vault.roster.envelope())
            .expect("first")
            .version,
        1
    );
    assert!(matches!(
        writer.add_roster(vault.roster.envelope()),
        Err(VaultError::Exists { number: 1, .. })
    ));

    let second = next(&vault.roster);
    assert!(matches!(
        writer.add_roster(&signed(&second, &[alice])),
        Err(VaultError::Trust(TrustError::Unsigned { .. }))
    ));
    assert_eq!(writer.rosters().expect("one").len(), 1);
    assert_eq!(
        writer
            .add_roster(&signed(&second, &[alice, bob]))
            .expect("second")
            .version,
        2
    );
    let chain = vault.store().rosters().expect("two");
    assert_eq!(verify_chain(&chain).expect("good").len(), 2);

    fs::remove_file(vault.path().join("rosters/1.json")).expect("removed");
    assert!(matches!(
        writer.rosters(),
        Err(VaultError::Missing { number: 1, .. })
    ));
}
