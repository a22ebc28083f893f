use super::*;
use crate::{
    protocol::job::AwsTrace,
    trust::{
        Envelope, Head,
        manifest::{Manifest, ShareDigest},
    },
};

const NOON: Timestamp = Timestamp(1_800_000_000);

/// A journal being written.
#[derive(Default)]
struct Book(Vec<Entry>);

impl Book {
    fn add(&mut self, request: &str, step: Step) -> &mut Self {
        let n = self.0.len() as u64 + 1;
        self.0.push(Entry {
            n,
            at: NOON.plus(i64::try_from(n).expect("few")),
            request: Some(request.to_owned()),
            step,
            aws: Some(AwsTrace {
                request_id: Some(format!("aws-{n}")),
                date: None,
            }),
        });
        self
    }

    fn ledger(&self) -> Ledger {
        Ledger::of(&self.0)
    }

    /// Replaces `old` by `new` as far as the commit.
    fn replaced(&mut self, request: &str, old: &str, new: &str, generation: u64) -> &mut Self {
        self.add(
            request,
            Step::RotationIntent {
                old_access_key_id: old.to_owned(),
            },
        )
        .add(request, create())
        .add(
            request,
            Step::KeyCreated {
                access_key_id: new.to_owned(),
            },
        )
        .add(
            request,
            Step::KeyProven {
                access_key_id: new.to_owned(),
            },
        )
        .add(request, committed(new, generation))
    }
}

fn create() -> Step {
    Step::CreateIntent {
        aws_time: Some(NOON),
    }
}

fn committed(key: &str, generation: u64) -> Step {
    Step::GenerationCommitted {
        generation,
        manifest_sha256: Digest::of(key.as_bytes()),
        access_key_id: key.to_owned(),
    }
}

#[test]
fn a_key_that_the_journal_names_is_ours() {
    let ledger = Book::default()
        .replaced("r-1", "AKIAAAAAAAAAAAAAAAAA", "AKIABBBBBBBBBBBBBBBB", 2)
        .ledger();
    assert_eq!(ledger.whose("AKIABBBBBBBBBBBBBBBB", None), Whose::Ours);
    assert_eq!(ledger.whose("X", Some(NOON.plus(3))), Whose::Stranger);
}

#[test]
fn a_key_made_when_an_answer_was_lost_is_most_likely_ours_and_only_one_is() {
    let mut book = Book::default();
    book.add("r-1", create());
    let ledger = book.ledger();
    assert_eq!(ledger.whose("X", Some(NOON.plus(2))), Whose::Likely);
    // Made before it was asked for, or when the request could no longer take effect.
    assert_eq!(ledger.whose("X", Some(NOON.plus(-60))), Whose::Stranger);
    assert_eq!(ledger.whose("X", Some(NOON.plus(3600))), Whose::Stranger);
    assert_eq!(ledger.whose("X", None), Whose::Stranger);
    book.add(
        "r-1",
        Step::StrayFound {
            access_key_id: "X".to_owned(),
            whose: Whose::Likely,
            active: true,
            created: Some(NOON.plus(2)),
        },
    );
    assert_eq!(
        book.ledger().whose("Y", Some(NOON.plus(2))),
        Whose::Stranger
    );
}

#[test]
fn a_try_whose_outcome_is_known_makes_no_key_ours() {
    let mut book = Book::default();
    book.add("r-1", create()).add(
        "r-1",
        Step::CreateFailed {
            why: "throttled".to_owned(),
        },
    );
    let after = book.ledger().whose("X", Some(NOON.plus(1)));
    assert_eq!(after, Whose::Stranger);
}

#[test]
fn the_end_of_a_replaced_key_is_owed_until_it_is_deleted_and_its_receipt_exists() {
    let mut book = Book::default();
    book.add("r-0", committed("AKIAAAAAAAAAAAAAAAAA", 1))
        .replaced("r-1", "AKIAAAAAAAAAAAAAAAAA", "AKIABBBBBBBBBBBBBBBB", 2);
    let owed = book.ledger().owed("AKIABBBBBBBBBBBBBBBB");
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].key, "AKIAAAAAAAAAAAAAAAAA");
    assert_eq!(owed[0].by.key, "AKIABBBBBBBBBBBBBBBB");
    assert_eq!(owed[0].by.request.as_deref(), Some("r-1"));
    assert!(!owed[0].inactive && !owed[0].refused && !owed[0].deleted && !owed[0].receipt);

    let key = || "AKIAAAAAAAAAAAAAAAAA".to_owned();
    book.add(
        "r-1",
        Step::KeyDeactivated {
            access_key_id: key(),
        },
    )
    .add(
        "r-1",
        Step::KeyRefused {
            access_key_id: key(),
            by: ProvenBy::Itself,
        },
    );
    let owed = book.ledger().owed("AKIABBBBBBBBBBBBBBBB");
    assert!(owed[0].inactive && owed[0].refused && !owed[0].deleted);
    book.add(
        "r-1",
        receipt("AKIAAAAAAAAAAAAAAAAA", "AKIABBBBBBBBBBBBBBBB"),
    );
    assert!(
        book.ledger().owed("AKIABBBBBBBBBBBBBBBB")[0].receipt,
        "it is not deleted"
    );
    book.add(
        "r-2",
        Step::KeyDeleted {
            access_key_id: key(),
        },
    );
    assert_eq!(book.ledger().owed("AKIABBBBBBBBBBBBBBBB"), []);
    assert!(book.ledger().is_deleted("AKIAAAAAAAAAAAAAAAAA"));
}

#[test]
fn the_sealed_key_is_never_owed() {
    let mut book = Book::default();
    // Sealed by an officer, opened, and sealed by an officer again: whatever the journal says, what is current is not ended.
    book.add("r-0", committed("AKIAAAAAAAAAAAAAAAAA", 1))
        .add("r-1", committed("AKIABBBBBBBBBBBBBBBB", 2))
        .add("r-2", committed("AKIAAAAAAAAAAAAAAAAA", 3));
    let owed = book.ledger().owed("AKIAAAAAAAAAAAAAAAAA");
    assert_eq!(
        owed.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(),
        ["AKIABBBBBBBBBBBBBBBB"]
    );
    assert_eq!(book.ledger().newest_generation(), 3);
}

#[test]
fn a_commit_without_an_entry_is_found_by_the_manifest_that_was_written() {
    let mut book = Book::default();
    let manifest = manifest("AKIABBBBBBBBBBBBBBBB", 2);
    let digest = manifest.digest();
    book.add("r-0", committed("AKIAAAAAAAAAAAAAAAAA", 1)).add(
        "r-1",
        Step::GenerationWritten {
            generation: 2,
            manifest,
        },
    );
    let (request, step) = book.ledger().committed_unnoted(digest).expect("found");
    assert_eq!(request.as_deref(), Some("r-1"));
    assert!(matches!(
        &step,
        Step::GenerationCommitted { generation: 2, access_key_id, .. } if access_key_id == "AKIABBBBBBBBBBBBBBBB"
    ));
    book.add("r-1", step);
    assert_eq!(book.ledger().committed_unnoted(digest), None);
    assert_eq!(
        book.ledger().owed("AKIABBBBBBBBBBBBBBBB")[0].key,
        "AKIAAAAAAAAAAAAAAAAA"
    );
}

fn receipt(old: &str, new: &str) -> Step {
    let proof = Proof {
        at: NOON,
        aws_request_id: None,
        aws_date: None,
    };
    let receipt = Receipt {
        v: 1,
        vault: "prod".to_owned(),
        request: None,
        host: Digest([0; 32]),
        outcome: Outcome::Rotated {
            old_access_key_id: old.to_owned(),
            new_access_key_id: new.to_owned(),
            generation: 2,
            manifest_sha256: Digest::of(b"m"),
            previous_manifest_sha256: None,
            new_key_worked: proof.clone(),
            counts_since: NOON,
            old_key_refused: proof,
            proven_by: ProvenBy::Itself,
            old_key_deleted: None,
        },
        steps: vec![],
    };
    Step::Rotated {
        receipt: Envelope::new(&receipt).expect("good"),
    }
}

fn manifest(key: &str, generation: u64) -> Envelope {
    let manifest = Manifest {
        v: 1,
        vault: "prod".to_owned(),
        generation,
        created_at: NOON,
        roster_sha256: Digest::of(b"r"),
        access_key_id: key.to_owned(),
        vault_sha256: Digest::of(b"v"),
        threshold: 2,
        shares: ["alice", "bob"]
            .map(|custodian| ShareDigest {
                custodian: custodian.to_owned(),
                file_sha256: Digest::of(b"f"),
                mnemonic_sha256: Digest::of(b"m"),
            })
            .into(),
        previous: Some(Digest::of(b"p")),
        audit: Head::EMPTY,
        host: Digest([0; 32]),
    };
    Envelope::new(&manifest).expect("good")
}
