//! Any byte of a sealed vault changed, cut or added is found, with the file and the custodian named.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use twotap::{
    protocol::{Code, Problem, job::Vote},
    trust::Envelope,
    vault::{Bundle, Generations},
};

use crate::papers::{look, refuses_everything};
use crate::support::Bench;

const GENERATION: &str = "state/vaults/prod/generations/2";

/// Runs `case` with so many random changes of `whole`.
fn for_changes(cases: u32, whole: &[u8], case: impl Fn(&[u8]) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    });
    let change = prop_oneof![
        8 => (any::<Index>(), 1..=255_u8).prop_map(|(at, flip)| (at, Some(flip))),
        1 => any::<Index>().prop_map(|at| (at, None)),
    ];
    runner
        .run(&change, |(at, flip)| {
            let at = at.index(whole.len());
            let mut changed = whole.to_vec();
            match flip {
                Some(flip) => changed[at] ^= flip,
                None => changed.truncate(at),
            }
            case(&changed)
        })
        .expect("no change passes");
    let mut longer = whole.to_vec();
    longer.push(b'x');
    case(&longer).expect("nor does one byte more");
}

fn with_changes(
    bench: &Bench,
    file: &Path,
    check: impl Fn(Result<(), Problem>) -> Result<(), TestCaseError>,
) {
    let whole = fs::read(file).expect("there");
    for_changes(24, &whole, |changed| {
        fs::write(file, changed).expect("written");
        check(look(bench).map(|_| ()))
    });
    fs::write(file, &whole).expect("restored");
    look(bench).expect("whole again");
}

/// Any change of this file is tampering, and the message has these words.
fn each_change_is_found(bench: &Bench, file: &Path, words: &[&str]) {
    with_changes(bench, file, |found| {
        let Err(problem) = found else {
            return Err(TestCaseError::fail("believed"));
        };
        prop_assert_eq!(problem.code, Code::Tampering);
        for word in words {
            prop_assert!(problem.error.contains(word), "{}", problem);
        }
        prop_assert!(problem.hint.is_some());
        Ok(())
    });
}

#[test]
fn any_changed_byte_of_the_vault_file_is_found() {
    let bench = Bench::sealed();
    let file = bench.path(GENERATION).join("vault.age");
    each_change_is_found(&bench, &file, &["vault.age", "generation 2"]);
    fs::remove_file(&file).expect("removed");
    refuses_everything(&bench, Code::Tampering, "vault.age");
}

#[test]
fn any_changed_byte_of_a_share_is_found_and_its_custodian_is_named() {
    let bench = Bench::sealed();
    let shares = bench.path(GENERATION).join("shares");
    for name in ["alice", "carol"] {
        let of = format!("the share of {name}");
        let path = format!("shares/{name}.age");
        each_change_is_found(&bench, &shares.join(format!("{name}.age")), &[&path, &of]);
    }
    // Two good shares, each in the other's place.
    fs::rename(shares.join("alice.age"), shares.join("x")).expect("moved");
    fs::rename(shares.join("bob.age"), shares.join("alice.age")).expect("moved");
    fs::rename(shares.join("x"), shares.join("bob.age")).expect("moved");
    refuses_everything(&bench, Code::Tampering, "the share of alice");
    fs::remove_file(shares.join("alice.age")).expect("removed");
    refuses_everything(&bench, Code::Tampering, "the share of alice");
}

#[test]
fn any_changed_byte_of_the_manifest_is_found() {
    let bench = Bench::sealed();
    let file = bench.path(GENERATION).join("manifest.dsse.json");
    each_change_is_found(&bench, &file, &["generations/2/manifest.dsse.json"]);
    // Where no signature covers it: another digit in the label, and a second signature beside the good one.
    let good = fs::read(&file).expect("there");
    let whole = Envelope::parse(&good).expect("an envelope");
    let label = whole.signatures[0].keyid.to_string();
    let digit = if label.starts_with('0') { "1" } else { "0" };
    let relabelled = whole
        .to_json()
        .replacen(&label, &format!("{digit}{}", &label[1..]), 1);
    let mut twice = whole.clone();
    twice.sign(&bench.custodians[0]);
    for changed in [relabelled, twice.to_json()] {
        fs::write(&file, changed).expect("written");
        refuses_everything(&bench, Code::Tampering, "generations/2/manifest.dsse.json");
    }
    fs::write(&file, good).expect("restored");
    look(&bench).expect("whole again");
    fs::remove_file(&file).expect("removed");
    refuses_everything(&bench, Code::Tampering, "generations/2/manifest.dsse.json");
}

#[test]
fn any_changed_byte_of_the_roster_is_found_but_in_the_labels_of_its_signatures() {
    let bench = Bench::sealed();
    let file = bench.path("state/vaults/prod/rosters/1.json");
    let whole = Envelope::parse(&fs::read(&file).expect("there")).expect("an envelope");
    let path = file.clone();
    with_changes(&bench, &file, |found| {
        if let Err(problem) = found {
            prop_assert_eq!(problem.code, Code::Tampering);
            prop_assert!(problem.error.contains("roster"), "{}", problem);
            return Ok(());
        }
        // A key id is a label that decides nothing: the signatures themselves are all there.
        let mut read = Envelope::parse(&fs::read(&path).expect("there")).expect("read before");
        prop_assert_eq!(read.signatures.len(), whole.signatures.len());
        for (read, whole) in read.signatures.iter_mut().zip(&whole.signatures) {
            read.keyid = whole.keyid;
        }
        prop_assert_eq!(&read, &whole);
        Ok(())
    });
}

#[test]
fn any_changed_byte_of_a_bundle_is_found() {
    let bench = Bench::sealed();
    let store = Generations::open(&bench.path("state/vaults/prod")).expect("there");
    let generation = store.read(2).expect("good");
    let bundle = Bundle::new(&generation, store.rosters().expect("one"));
    let json = bundle.to_json();
    let good = bundle.verify().expect("good").1.digest();
    for_changes(192, json.trim_end().as_bytes(), |changed| {
        let Ok(mut read) = Bundle::parse(changed) else {
            return Ok(());
        };
        if read.verify().is_err() {
            return Ok(());
        }
        for (read, whole) in read.roster_chain.iter_mut().zip(&bundle.roster_chain) {
            for (read, whole) in read.signatures.iter_mut().zip(&whole.signatures) {
                read.keyid = whole.keyid;
            }
        }
        prop_assert_eq!(&read, &bundle);
        Ok(())
    });
    assert_eq!(bundle.verify().expect("still good").1.digest(), good);
}

#[test]
fn a_file_that_is_changed_while_a_request_waits_opens_nothing() {
    for (file, words) in [
        ("vault.age", "vault.age"),
        ("shares/carol.age", "the share of carol"),
        ("manifest.dsse.json", "manifest.dsse.json"),
    ] {
        let bench = Bench::sealed();
        let (mut worker, made) = bench.ask();
        let path: PathBuf = bench.path(GENERATION).join(file);
        let mut bytes = fs::read(&path).expect("there");
        let last = bytes.len() - 9;
        bytes[last] ^= 1;
        fs::write(&path, bytes).expect("written");
        bench.world.proxy().clear_calls();
        for i in [0, 1] {
            let vote = worker.vote(bench.custodians[i].approve(&made));
            assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
        }
        let (session, end) = worker.finish();
        assert!(session.is_none());
        let problem = end.expect_err("changed");
        assert_eq!(problem.code, Code::Tampering);
        assert!(problem.error.contains(words), "{problem}");
        assert!(bench.world.proxy().calls().is_empty());
    }
}
