use super::*;
use crate::{
    agent::book::Keys,
    audit::{
        checkpoint::CheckpointKey,
        event::Record,
        fingerprint::{DEFAULT_KID, FingerprintKey, Peppers},
        store::Store,
    },
    ceremony::readiness::DAY,
    protocol::readiness::Layer,
    trust::tests::people::{self, SoftToken},
};

const START: Timestamp = Timestamp(1_767_700_800);

fn at(days: i64) -> Timestamp {
    START.plus(days * DAY)
}

/// An agent's state, and what its people are.
struct Case {
    folder: tempfile::TempDir,
    book: Arc<Book>,
    roster: Roster,
    runtime: tokio::runtime::Runtime,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = ["alice", "bob"].map(SoftToken::new);
        Self {
            book: open(&folder),
            folder,
            roster: people::roster(2, &tokens.iter().collect::<Vec<_>>()),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// The agent ends and starts again.
    fn restart(self) -> Self {
        let Self {
            folder,
            book,
            roster,
            runtime,
        } = self;
        drop(book);
        Self {
            book: open(&folder),
            folder,
            roster,
            runtime,
        }
    }

    fn change<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Change<'_, '_>) -> Result<T, Problem> + Send + 'static,
    ) -> T {
        let done = self.runtime.block_on(self.book.commit(job));
        done.expect("committed")
    }

    fn tick(&self, now: Timestamp) {
        let roster = self.roster.clone();
        self.change(move |change| {
            let subject = Subject {
                vault: "prod",
                roster: &roster,
                sealed: true,
            };
            record(change, &subject, &Limits::default(), now)
        });
    }

    fn prove(&self, name: &str, kind: Kind, now: Timestamp) {
        let token = self.roster.tokens_of(name).next().expect("a token");
        let (key, serial, name) = (token.approve.key.id(), token.serial, name.to_owned());
        self.change(move |change| {
            let mut row = change.vault("prod")?;
            row.proofs.proven(key, &name, serial, kind, now);
            change.put_vault("prod", &row)
        });
    }

    fn view(&self, now: Timestamp) -> Readiness {
        let row = self.runtime.block_on(self.book.vault("prod"));
        let subject = Subject {
            vault: "prod",
            roster: &self.roster,
            sealed: true,
        };
        subject.view(&row.expect("a row").proofs, &Limits::default(), now)
    }

    /// Each event so far: its name and its cause.
    fn said(&self) -> Vec<(String, String)> {
        let read = self.book.read(|store| store.events(1, 1000));
        let entries = self.runtime.block_on(read).expect("readable");
        let lines = entries.iter().map(|e| Record::parse(&e.line));
        lines
            .map(|line| line.expect("a line"))
            .map(|line| {
                let cause = line.what["cause"].as_str().unwrap_or_default().to_owned();
                (line.event_type, cause)
            })
            .collect()
    }
}

fn open(folder: &tempfile::TempDir) -> Arc<Book> {
    let at = |name: &str| folder.path().join(name);
    let keys = Keys {
        checkpoint: CheckpointKey::open_or_create(&at("checkpoint.key"), "host-1").expect("a key"),
        fingerprints: Peppers::only(
            FingerprintKey::open_or_create(&at("fingerprint.key"), DEFAULT_KID).expect("a key"),
        ),
    };
    let store = Store::open(&at("state.db")).expect("a store");
    Arc::new(Book::open(store, keys, "host-1").expect("a book"))
}

fn degraded(cause: &str) -> (String, String) {
    ("READINESS_DEGRADED".to_owned(), cause.to_owned())
}

fn restored(cause: &str) -> (String, String) {
    ("READINESS_RESTORED".to_owned(), cause.to_owned())
}

#[test]
fn a_cause_is_said_once_also_after_a_restart_and_taken_back_when_it_ends() {
    let case = Case::new();
    case.tick(at(0));
    case.prove("alice", Kind::Drill, at(10));
    case.tick(at(90));
    assert_eq!(case.said(), []);
    // Bob was never proven since the agent met his token.
    case.tick(at(90).plus(1));
    assert_eq!(case.said(), [degraded("custodian bob")]);
    case.tick(at(91));
    let case = case.restart();
    case.tick(at(99));
    assert_eq!(case.said(), [degraded("custodian bob")]);
    assert_eq!(
        case.view(at(99)).degraded,
        ["bob's share was not shown to open in 99 days; 90 are allowed"]
    );

    case.prove("bob", Kind::Approval, at(100));
    case.tick(at(100));
    assert_eq!(
        case.said(),
        [degraded("custodian bob"), restored("custodian bob")]
    );
    // And it may begin again, for each by itself.
    case.tick(at(101));
    case.tick(at(191));
    assert_eq!(
        case.said()[2..],
        [
            degraded("custodian alice"),
            degraded("custodian bob"),
            degraded("full drill")
        ]
    );
    let view = case.view(at(191));
    let bob = &view.custodians[1];
    assert_eq!(
        (bob.at, bob.by.as_deref(), bob.stale),
        (Some(at(100)), Some("approval"), true)
    );
}

#[test]
fn a_drill_that_failed_degrades_until_one_passes() {
    let case = Case::new();
    case.tick(at(0));
    case.change(|change| {
        let mut row = change.vault("prod")?;
        row.proofs.failed("bob", Layer::Age, at(1));
        change.put_vault("prod", &row)
    });
    case.tick(at(1));
    assert_eq!(case.said(), [degraded("drill of bob")]);
    assert_eq!(
        case.view(at(1)).custodians[1].failed,
        Some((Layer::Age, at(1)))
    );
    case.prove("bob", Kind::Drill, at(2));
    case.tick(at(2));
    assert_eq!(
        case.said(),
        [degraded("drill of bob"), restored("drill of bob")]
    );
    assert_eq!(case.view(at(2)).degraded, [""; 0]);
}

#[test]
fn a_token_that_is_replaced_has_to_show_itself() {
    let mut case = Case::new();
    case.tick(at(0));
    case.prove("alice", Kind::Drill, at(1));
    case.prove("bob", Kind::Drill, at(1));
    let [alice, other] = ["alice", "bob/2"].map(SoftToken::new);
    case.roster = people::roster(2, &[&alice, &other]);
    case.tick(at(60));
    let bob = &case.view(at(60)).custodians[1];
    assert_eq!((bob.at, bob.stale), (None, false));
    // Its time runs from the day on which it came.
    case.prove("alice", Kind::Drill, at(100));
    case.tick(at(150));
    assert_eq!(case.said(), []);
    case.tick(at(151));
    assert_eq!(case.said(), [degraded("custodian bob")]);
}

#[test]
fn before_anything_is_sealed_there_is_nothing_to_show() {
    let case = Case::new();
    let mut row = VaultRow::default();
    let subject = Subject {
        vault: "prod",
        roster: &case.roster,
        sealed: false,
    };
    let limits = Limits::default();
    assert_eq!(settle(&mut row, &subject, &limits, at(0)), []);
    assert_eq!(settle(&mut row, &subject, &limits, at(4000)), []);
    assert!(
        subject
            .view(&row.proofs, &limits, at(4000))
            .degraded
            .is_empty()
    );
}
