//! Evidence in Git at real remotes: one commit an incident, offline and pushed later, over a folder and ssh, signed, with nothing of
//! the host's run, and remotes that lose, fork or never answer.

mod outside_support;

#[path = "git_evidence/commits.rs"]
mod commits;
#[path = "git_evidence/epochs.rs"]
mod epochs;
#[path = "git_evidence/https.rs"]
mod https;
#[path = "git_evidence/let_in.rs"]
mod let_in;
#[path = "git_evidence/remotes.rs"]
mod remotes;
#[path = "git_evidence/ssh.rs"]
mod ssh;
#[path = "git_evidence/strangers.rs"]
mod strangers;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use outside_support::BOUND;
use time::{OffsetDateTime, macros::datetime};
use twotap::audit::{
    chain::Head,
    checkpoint::CheckpointKey,
    event::{Actor, Envelope, Event, EventType as E},
    sinks::{Backoff, Delivery, Opening, Options, Sink, SinkStatus, Sinks, git::GitConfig},
    store::Store,
};
use twotap_rig::tools::git;

const NOW: OffsetDateTime = datetime!(2026-01-06 10:00:00 UTC);

/// A record, and folders beside it.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    key: CheckpointKey,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            store: Store::open(&folder.path().join("state.db")).expect("a store"),
            key: CheckpointKey::open_or_create(&folder.path().join("checkpoint.key"), "bg-1")
                .expect("a key"),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A bare remote.
    fn remote(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        git(self.folder.path(), &["init", "--quiet", "--bare", name]);
        path
    }

    fn on_record(&self, event: Event) {
        self.store
            .commit(|tx| tx.append(&event, NOW))
            .expect("on record");
    }

    fn checkpoint(&self) {
        self.store
            .commit(|tx| tx.checkpoint(&self.key, "host-key-id", NOW))
            .expect("on record");
    }

    fn of(&self, kind: E, actor: &str, request: &str) -> Event {
        Event::new(kind, Actor::person(actor).expect("a name"))
            .correlation(request)
            .incident("INC-42")
            .detail("vault", "prod")
    }

    /// A whole incident, from the request to the review that falls due, without the checkpoint after it.
    fn incident(&self, request: &str) {
        let asked = self
            .of(E::BreakGlassRequested, "dana", request)
            .justification("the database | is <b>down</b>")
            .envelope("offer", format!("{{\"offer\":\"{request}\"}}"));
        self.on_record(asked);
        for kind in [
            E::BreakGlassApproved,
            E::MintIntent,
            E::BreakGlassAccess,
            E::CredentialRotated,
            E::SessionClosed,
            E::SessionRevoked,
            E::ReviewDue,
        ] {
            self.on_record(self.of(kind, "alice", request));
        }
    }

    fn open(&self, table: &str) -> Box<dyn Sink> {
        let config: GitConfig = toml::from_str(table).expect("a table");
        let at = Opening {
            name: "evidence",
            folder: self.folder.path(),
            state: self.folder.path(),
            host: "bg-1",
        };
        config.open(&at).unwrap_or_else(|why| panic!("{why}"))
    }

    fn run(&self, table: &str, envelopes: bool) -> Sinks {
        let options = Options {
            envelopes,
            ..Options::default()
        };
        let backoff = Backoff {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(200),
        };
        Sinks::start(&self.store, vec![(self.open(table), options)], backoff).expect("started")
    }

    fn head(&self) -> Head {
        self.store.head().expect("a head")
    }

    fn holds_all(&self, sinks: &Sinks) {
        let seq = self.head().seq;
        assert!(
            sinks.wait_acknowledged("evidence", seq, BOUND),
            "it does not hold {seq}: {:?}",
            sinks.status()
        );
    }

    /// Waits until the sink's status is as it should be.
    fn until(&self, sinks: &Sinks, what: &str, ready: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        let status = || sinks.status().expect("a status").remove(0);
        self.store.wait(Some(BOUND), |_| ready(&status()));
        assert!(ready(&status()), "not in time: {what}: {:?}", status());
        status()
    }

    /// The events from `first` on, as the runner hands them over.
    fn deliveries(&self, first: u64) -> Vec<Delivery> {
        let entries = self.store.events(first, 10_000).expect("read");
        let one = |entry: twotap::audit::store::Entry| {
            let record = twotap::audit::event::Record::parse(&entry.line).expect("an event");
            let checkpoint = (record.event_type == "CHECKPOINT")
                .then(|| record.what["note"].as_str().expect("a note").to_owned());
            let envelopes: Vec<Envelope> = Vec::new();
            Delivery {
                seq: entry.seq,
                hash: entry.hash,
                line: entry.line,
                envelopes,
                checkpoint,
            }
        };
        entries.into_iter().map(one).collect()
    }

    /// The lines, as a file has them.
    fn lines(&self) -> Vec<u8> {
        let all = self.deliveries(1).into_iter();
        all.flat_map(|d| d.line.into_iter().chain([b'\n']))
            .collect()
    }

    /// A checkout of one branch of a repository; its folder.
    fn checkout(&self, repository: &Path, branch: &str, name: &str) -> PathBuf {
        let to = self.path(name);
        let from = repository.display().to_string();
        git(
            self.folder.path(),
            &["clone", "--quiet", "--branch", branch, &from, name],
        );
        to
    }
}

fn log(repository: &Path, branch: &str) -> Vec<String> {
    let text = git(repository, &["log", "--format=%s", branch]);
    text.lines().map(str::to_owned).collect()
}

fn read(path: PathBuf) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}
