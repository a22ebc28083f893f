//! The record of a recovery at the agent: checked, recorded once, and what is owed shown until it is paid.

use twotap::{
    protocol::{
        Code, Problem,
        socket::{
            RecoveryHandIn, RecoveryRecorded, SealBegin, SealBegun, SealFinish, SealFinished,
            VaultView,
        },
    },
    trust::{
        Bytes, Digest, Envelope, Signer, Timestamp,
        recovery::{How, Record, Took},
        roster::By,
    },
};

use crate::agent_support::{ALICE, DANA, Host, SOFIA, STRANGER, paper};

const PATH: &str = "/v1/vaults/prod/recovery";

/// What `recovery open` would write about the generation that counts.
fn record(host: &Host, how: How) -> Record {
    let view: VaultView = host.get(DANA, "/v1/vaults/prod").json();
    let manifest = view.manifest.expect("sealed");
    let read: twotap::trust::manifest::Manifest = manifest.unverified().expect("a manifest");
    Record {
        v: 1,
        vault: "prod".to_owned(),
        generation: read.generation,
        manifest_sha256: manifest.digest(),
        roster_sha256: read.roster_sha256,
        how,
        took: Took::Credential,
        at: Timestamp::now(),
        nonce: paper::nonce(),
    }
}

fn signed(record: &Record, by: &[&dyn Signer]) -> RecoveryHandIn {
    let mut envelope = Envelope::new(record).expect("a good record");
    for signer in by {
        envelope.sign(*signer);
    }
    RecoveryHandIn { record: envelope }
}

fn by_paper(host: &Host) -> RecoveryHandIn {
    signed(&record(host, How::Paper), &[&host.worker.paper().recovery])
}

fn both() -> How {
    How::Tokens {
        by: vec!["alice".to_owned(), "bob".to_owned()],
    }
}

fn seal(host: &Host) -> SealFinished {
    let begin = SealBegin {
        nonce: paper::nonce(),
        next: None,
    };
    let begun: SealBegun = host
        .call(SOFIA, "POST", "/v1/vaults/prod/seal", &begin)
        .json();
    let finish = SealFinish {
        sealed: Bytes(b"age".to_vec()),
    };
    host.call(SOFIA, "POST", &format!("/v1/seals/{}", begun.id), &finish)
        .json()
}

fn owed(host: &Host) -> Vec<String> {
    let lines = host.status(DANA).degraded;
    lines
        .into_iter()
        .filter(|l| l.contains("owed") || l.contains("spent"))
        .collect()
}

#[test]
fn a_recovery_by_paper_is_recorded_once_and_asks_for_a_new_key_and_new_sheets() {
    let mut host = Host::start();
    assert_eq!(owed(&host), [""; 0]);
    assert_eq!(host.status(DANA).vaults[0].rotation, "done");
    let hand_in = by_paper(&host);
    let done: RecoveryRecorded = host.call(DANA, "POST", PATH, &hand_in).json();
    assert!(!done.again);
    assert_eq!(
        (done.generation, done.owed.len()),
        (1, 2),
        "{:?}",
        done.owed
    );
    assert_eq!(owed(&host), done.owed);
    let vault = &host.status(DANA).vaults[0];
    assert!(
        vault
            .rotation
            .starts_with("owed: generation 1 was opened by the recovery shares")
    );
    assert!(
        vault
            .recovery
            .as_ref()
            .expect("named")
            .spent_since
            .is_some()
    );

    let again: RecoveryRecorded = host.call(SOFIA, "POST", PATH, &hand_in).json();
    assert!(again.again);
    assert_eq!(again.owed, done.owed);
    let events = host.events_named("RECOVERY_USED");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].actor, "dana");
    assert_eq!(events[0].what["generation"], 1);
    assert_eq!(events[0].what["rotation_owed"], true);
    assert!(events[0].envelopes.iter().any(|e| e.kind == "recovery"));

    // It outlives the agent.
    host.kill_agent();
    host.start_agent();
    assert_eq!(owed(&host), done.owed);
    let again: RecoveryRecorded = host.call(DANA, "POST", PATH, &hand_in).json();
    assert!(again.again);
    assert_eq!(host.events_named("RECOVERY_USED").len(), 1);

    // The key is paid by a rotation; the sheets are not.
    assert!(seal(&host).generation > 1);
    assert_eq!(host.status(DANA).vaults[0].rotation, "done");
    let left = owed(&host);
    assert!(
        matches!(&left[..], [sheets] if sheets.contains("recovery spent")),
        "{left:?}"
    );
}

#[test]
fn a_ceremony_pays_for_the_key_as_well() {
    let host = Host::start();
    host.call(DANA, "POST", PATH, &by_paper(&host))
        .json::<RecoveryRecorded>();
    assert_eq!(owed(&host).len(), 2);
    host.open();
    let deadline = std::time::Instant::now() + crate::agent_support::BOUND;
    while owed(&host).len() > 1 {
        assert!(std::time::Instant::now() < deadline, "{:?}", owed(&host));
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    assert!(owed(&host)[0].contains("recovery spent"));
}

#[test]
fn tokens_leave_the_sheets_good_and_a_dead_key_is_not_owed_again() {
    let host = Host::start();
    let tokens = host.worker.paper().signers();
    let first = record(&host, both());
    let hand_in = signed(&first, &tokens);
    let done: RecoveryRecorded = host.call(ALICE, "POST", PATH, &hand_in).json();
    assert!(
        matches!(&done.owed[..], [key] if key.contains("the tokens of alice and bob")),
        "{:?}",
        done.owed
    );
    assert!(
        host.status(DANA).vaults[0]
            .recovery
            .as_ref()
            .expect("named")
            .spent_since
            .is_none()
    );
    seal(&host);
    assert_eq!(owed(&host), [""; 0]);

    // The record of another opening of that generation comes late: its key is dead.
    let late = Record {
        nonce: paper::nonce(),
        ..first
    };
    let done: RecoveryRecorded = host
        .call(DANA, "POST", PATH, &signed(&late, &tokens))
        .json();
    assert!(!done.again && done.owed.is_empty(), "{:?}", done.owed);
    let events = host.events_named("RECOVERY_USED");
    assert_eq!(events[1].what["rotation_owed"], false);
}

#[test]
fn sheets_are_paid_for_by_a_roster_that_names_others() {
    let host = Host::start();
    let hand_in = by_paper(&host);
    let again = || -> Vec<String> {
        // The agent looks at the vault before it answers.
        let done: RecoveryRecorded = host.call(DANA, "POST", PATH, &hand_in).json();
        done.owed
    };
    assert_eq!(again().len(), 2);
    seal(&host);
    let spent = again();
    assert!(matches!(&spent[..], [sheets] if sheets.contains("recovery spent")));

    // Another change leaves it as it is.
    host.worker
        .take_up(|r| r.people.retain(|p| p.name != "sofia"));
    assert_eq!(again(), spent);
    let others = age::x25519::Identity::generate().to_public().to_string();
    host.worker.take_up(|r| {
        if let Some(recovery) = &mut r.recovery {
            recovery.recipient = others;
        }
    });
    assert_eq!(again(), [""; 0]);
    assert_eq!(owed(&host), [""; 0]);
    assert!(
        host.status(DANA).vaults[0]
            .recovery
            .as_ref()
            .expect("named")
            .spent_since
            .is_none()
    );
}

#[test]
fn a_roster_that_sheets_stood_for_says_so_in_the_record_and_spends_them() {
    let host = Host::start();
    assert_eq!(owed(&host), [""; 0]);
    host.worker
        .take_up(|r| r.by = Some(By::Recovery { after: None }));
    // Whatever has the agent look at the vault: a record that is about another one.
    let mut elsewhere = record(&host, How::Paper);
    elsewhere.vault = "staging".to_owned();
    let refused = host.call(DANA, "POST", PATH, &signed(&elsewhere, &[]));
    assert_eq!(refused.problem().code, Code::Usage);
    let changed = host.events_named("ROSTER_CHANGED");
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].what["by"], "recovery shares");
    let signed_by = changed[0].what["signed_by"].to_string();
    assert!(signed_by.contains("recovery shares of"), "{signed_by}");
    let changes = changed[0].what["changes"].to_string();
    assert!(
        changes.contains("recovery shares stand for this version"),
        "{changes}"
    );
    let left = owed(&host);
    assert!(
        matches!(&left[..], [sheets] if sheets.contains("recovery spent")),
        "{left:?}"
    );
}

#[test]
fn what_cannot_be_believed_is_refused_in_plain_words() {
    let host = Host::start();
    let paper = host.worker.paper();
    let refused =
        |hand_in: &RecoveryHandIn| -> Problem { host.call(DANA, "POST", PATH, hand_in).problem() };
    let of = |change: fn(&mut Record)| {
        let mut record = record(&host, How::Paper);
        change(&mut record);
        refused(&signed(&record, &[&paper.recovery]))
    };

    let newer = of(|r| r.generation = 9);
    assert_eq!(newer.code, Code::Refused);
    assert!(
        newer
            .error
            .contains("about generation 9, and generation 1 is the newest here"),
        "{newer}"
    );
    let fork = of(|r| r.manifest_sha256 = Digest::of(b"another"));
    assert_eq!(fork.code, Code::Tampering);
    let roster = of(|r| r.roster_sha256 = Digest::of(b"another"));
    assert!(
        roster
            .error
            .contains("a roster that this host does not know"),
        "{roster}"
    );
    let vault = of(|r| r.vault = "staging".to_owned());
    assert_eq!(vault.code, Code::Usage);

    let tokens = paper.signers();
    for (what, how, by) in [
        ("nobody", How::Paper, &[][..]),
        ("tokens for paper", How::Paper, &tokens[..]),
        (
            "paper for tokens",
            both(),
            &[&paper.recovery as &dyn Signer][..],
        ),
        ("one token of two", both(), &tokens[..1]),
    ] {
        let problem = refused(&signed(&record(&host, how), by));
        assert_eq!(problem.code, Code::Tampering, "{what}: {problem}");
    }
    assert_eq!(
        host.call(STRANGER, "POST", PATH, &by_paper(&host)).status,
        403
    );
    assert_eq!(owed(&host), [""; 0]);
    assert!(host.events_named("RECOVERY_USED").is_empty());
}
