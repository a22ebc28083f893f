//! Every kind of signed document handed to a running worker in the place of every other: by each input that a job takes, and in each file that
//! it reads. The label is signed, so right bytes under a wrong label are as wrong as another document, whoever has signed.

mod support;

#[path = "payloads/files.rs"]
mod files;
#[path = "payloads/rosters.rs"]
mod rosters;
#[path = "payloads/votes.rs"]
mod votes;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use support::{Bench, HostKey};
use twotap::{
    protocol::{Code, Problem},
    trust::{
        Document as _, Envelope, Signer,
        enrollment::Enrollment,
        manifest::Manifest,
        receipt::Receipt,
        request::{Approval, Denial, Offer, SealOffer, Withdrawal},
        roster::Roster,
    },
};

/// All labels, those of documents that no worker takes among them.
const LABELS: [&str; 12] = [
    Offer::PAYLOAD_TYPE,
    Approval::PAYLOAD_TYPE,
    Denial::PAYLOAD_TYPE,
    Withdrawal::PAYLOAD_TYPE,
    SealOffer::PAYLOAD_TYPE,
    Roster::PAYLOAD_TYPE,
    Enrollment::PAYLOAD_TYPE,
    Manifest::PAYLOAD_TYPE,
    Receipt::PAYLOAD_TYPE,
    "application/vnd.twotap.drill.v1+json",
    "application/vnd.twotap.recovery.v1+json",
    "application/vnd.twotap.review.v1+json",
];

/// Who signs on a host: its custodians and itself.
struct Hands<'b> {
    bench: &'b Bench,
    host: HostKey,
}

impl<'b> Hands<'b> {
    fn of(bench: &'b Bench) -> Self {
        Self {
            bench,
            host: HostKey::of(&bench.path("state")),
        }
    }

    /// These bytes under this label, signed by those who have signed `good`: the label is all that is wrong, or the content.
    fn signed_like(&self, good: &Envelope, label: &str, payload: &[u8]) -> Envelope {
        let mut envelope = Envelope {
            payload_type: label.to_owned(),
            payload: payload.to_vec(),
            signatures: Vec::new(),
        };
        let custodians = self.bench.custodians.iter().map(|c| c as &dyn Signer);
        for hand in custodians.chain([&self.host as &dyn Signer]) {
            if good
                .signatures
                .iter()
                .any(|s| s.keyid == hand.public().id())
            {
                envelope.sign(hand);
            }
        }
        assert_eq!(envelope.signatures.len(), good.signatures.len());
        envelope
    }

    /// What may stand in the place of `good` and is not it: its bytes under each other label, and each other document under its own label and
    /// under that of `good`.
    fn instead_of(&self, good: &Envelope, others: &[Envelope]) -> Vec<(String, Envelope)> {
        let mut found = Vec::new();
        for label in LABELS {
            if label != good.payload_type {
                let what = format!("its bytes as {label}");
                found.push((what, self.signed_like(good, label, &good.payload)));
            }
        }
        for other in others.iter().filter(|o| o.payload != good.payload) {
            for label in [&other.payload_type, &good.payload_type] {
                let what = format!("{} as {label}", other.payload_type);
                found.push((what, self.signed_like(good, label, &other.payload)));
            }
        }
        assert!(found.len() > LABELS.len(), "{} cases", found.len());
        found
    }
}

/// One true document of each kind that there is on a sealed host.
fn documents(bench: &Bench) -> Vec<Envelope> {
    let (worker, made) = bench.ask();
    drop(worker);
    let alice = &bench.custodians[0];
    let token = alice.token();
    let enrollment = Enrollment {
        v: 1,
        name: alice.name.clone(),
        serial: token.serial,
        firmware: token.firmware,
        approve: token.approve,
        unseal: token.unseal,
        attestation: None,
        created_at: twotap::trust::Timestamp::now(),
    };
    vec![
        made.offer.clone(),
        alice.yes(&made),
        alice.deny(&made),
        alice.withdraw(&made),
        made.manifest.clone(),
        made.roster_chain[0].clone(),
        Envelope::signed(&enrollment, alice).expect("a good enrollment"),
        receipt(bench),
    ]
}

/// The receipt of the sealing's rotation.
fn receipt(bench: &Bench) -> Envelope {
    use twotap::protocol::job::{Job, Step};
    let mut worker = bench.worker();
    worker.send(&Job::Journal {
        vault: "prod".to_owned(),
        since: 0,
    });
    let entries = worker.finish().1.expect("a journal");
    let receipt = entries.into_iter().find_map(|entry| match entry.step {
        Step::Rotated { receipt } => Some(receipt),
        _ => None,
    });
    receipt.expect("a receipt")
}

/// Every file below a folder, with what is in it and where links point; locks, which have no content, are there too.
fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_symlink() {
                let to = std::fs::read_link(&path).expect("a link");
                found.insert(path, to.into_os_string().into_encoded_bytes());
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// Runs `act`, after which the worker's folder has to be as it was.
fn writes_nothing<T>(bench: &Bench, what: &str, act: impl FnOnce() -> T) -> T {
    let before = files_below(&bench.path("state"));
    let answer = act();
    let after = files_below(&bench.path("state"));
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(differs).collect();
    assert!(changed.is_empty(), "{what}: {changed:?}");
    answer
}

/// Refused as another kind of paper or one of another content (2), or as one whose signatures do not hold (11).
fn must_be_none_of_ours(problem: &Problem, what: &str) {
    assert!(
        matches!(problem.code, Code::Usage | Code::Tampering),
        "{what}: {problem:?}"
    );
}
