//! Custodians with keys in software, and a worker spoken to over its own wire: for what needs no token and no agent.

#![allow(dead_code, unused_imports)] // each test program uses its own part of this

mod custodian;
mod roster;
mod worker;

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use twotap::{
    protocol::{
        Problem,
        job::{self, Ask, FromWorker, Job, OfferMade, RosterWish, ToWorker},
    },
    trust::{
        Bytes, Envelope, Head, PublicKey,
        roster::{NamedSecret, Roster},
    },
    vault::seal_to,
};
use twotap_rig::World;

pub(crate) use self::{
    custodian::{HostKey, SoftCustodian},
    roster::{account, admin, binding, first, person},
    worker::{Worker, ask, nonce},
};

/// The longest that a worker may take for one message.
const BOUND: Duration = Duration::from_secs(120);

/// A worker's host: its folders, its account in AWS, and three custodians of whom two must approve.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) custodians: Vec<SoftCustodian>,
    operators: Vec<&'static str>,
    /// What closing rotates.
    secrets: Vec<NamedSecret>,
    /// Further lines of `worker.toml`.
    more_config: String,
    /// What a case changes about its roster.
    shape: fn(&World, &mut Roster),
    folder: TempDir,
}

impl Bench {
    /// A host that is pinned to a roster; nothing is sealed.
    pub(crate) fn new() -> Self {
        let custodians = [("alice", 1), ("bob", 2), ("carol", 3)];
        Self::of(
            custodians
                .map(|(n, serial)| SoftCustodian::new(n, serial))
                .into(),
            &["dana"],
        )
    }

    /// An account, custodians, an operator and a folder; nothing lies in it yet.
    pub(crate) fn bare() -> Self {
        let custodians = [("alice", 1), ("bob", 2), ("carol", 3)];
        Self {
            world: World::new().expect("an account"),
            custodians: custodians
                .map(|(n, serial)| SoftCustodian::new(n, serial))
                .into(),
            operators: vec!["dana"],
            shape: |_, _| {},
            secrets: Vec::new(),
            more_config: String::new(),
            folder: tempfile::Builder::new()
                .prefix("twotap-kill-")
                .tempdir_in("/dev/shm")
                .expect("a folder in memory"),
        }
    }

    /// The same with other people. A name that comes twice is one person with two tokens; an operator may be a custodian too.
    pub(crate) fn of(custodians: Vec<SoftCustodian>, operators: &[&'static str]) -> Self {
        Self::on(&|_| {}, custodians, operators)
    }

    /// The same on a disk of the caller's making: `prepare` is given the folder that will hold the worker's state.
    pub(crate) fn on(
        prepare: &dyn Fn(&Path),
        custodians: Vec<SoftCustodian>,
        operators: &[&'static str],
    ) -> Self {
        let world = World::new().expect("an account");
        Self::built(world, prepare, custodians, operators, |_, _| {})
    }

    /// The usual people in a world of the caller's own, under a roster that the case changes; the first key is sealed.
    pub(crate) fn shaped(world: World, shape: fn(&World, &mut Roster)) -> Self {
        let custodians = [("alice", 1), ("bob", 2), ("carol", 3)];
        let custodians = custodians.map(|(n, serial)| SoftCustodian::new(n, serial));
        let bench = Self::built(world, &|_| {}, custodians.into(), &["dana"], shape);
        bench.seal().expect("the first key can be sealed");
        bench
    }

    fn built(
        world: World,
        prepare: &dyn Fn(&Path),
        custodians: Vec<SoftCustodian>,
        operators: &[&'static str],
        shape: fn(&World, &mut Roster),
    ) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("twotap-bench-")
            .tempdir_in("/dev/shm")
            .expect("a folder in memory");
        let bench = Self {
            world,
            custodians,
            operators: operators.to_vec(),
            secrets: Vec::new(),
            more_config: String::new(),
            shape,
            folder,
        };
        prepare(&bench.path("state"));
        bench.configure();
        bench.install();
        bench
    }

    /// A sealed host whose access profile names these secrets, and these further lines of `worker.toml`; both are made with the account and
    /// the host's folder at hand.
    pub(crate) fn with_secrets(
        make: impl FnOnce(&World, &Path) -> (Vec<NamedSecret>, String),
    ) -> Self {
        let custodians = [("alice", 1), ("bob", 2), ("carol", 3)];
        let world = World::new().expect("an account");
        let folder = tempfile::Builder::new()
            .prefix("twotap-bench-")
            .tempdir_in("/dev/shm")
            .expect("a folder in memory");
        let (secrets, more_config) = make(&world, folder.path());
        let bench = Self {
            world,
            custodians: custodians
                .map(|(n, serial)| SoftCustodian::new(n, serial))
                .into(),
            operators: vec!["dana"],
            secrets,
            more_config,
            shape: |_, _| {},
            folder,
        };
        bench.configure();
        bench.install();
        bench.seal().expect("the first key can be sealed");
        bench
    }

    /// The same with the first key sealed and rotated.
    pub(crate) fn sealed() -> Self {
        let bench = Self::new();
        bench.seal().expect("the first key can be sealed");
        bench
    }

    /// Seals the account's first key; returns what the worker reported.
    pub(crate) fn seal(&self) -> Result<Vec<job::Entry>, String> {
        self.try_seal().map_err(|problem| problem.error)
    }

    /// The same, with the whole problem.
    pub(crate) fn try_seal(&self) -> Result<Vec<job::Entry>, Problem> {
        let mut worker = self.worker();
        worker.send(&Job::Seal {
            vault: "prod".to_owned(),
            audit: Head::EMPTY,
            nonce: nonce(),
        });
        let offer = match worker.next() {
            Some(FromWorker::SealOffer { offer }) => offer,
            Some(FromWorker::Failed(problem)) => return Err(problem),
            other => panic!("no offer: {other:?}"),
        };
        let key = offer
            .unverified::<twotap::trust::request::SealOffer>()
            .expect("an offer to seal")
            .worker_key;
        let sealed = seal_to(&key, self.world.first_key_json().as_bytes()).expect("a recipient");
        worker.send(&ToWorker::Credential {
            sealed: Bytes(sealed),
        });
        worker.finish().1
    }

    /// Asks for a session and gives the worker and its offer.
    pub(crate) fn ask(&self) -> (Worker, OfferMade) {
        match self.try_ask("dana", ask()) {
            (worker, Some(FromWorker::Offer(made))) => (worker, made),
            (_, other) => panic!("no offer: {other:?}"),
        }
    }

    /// Asks as somebody for something; gives the worker and its first answer.
    pub(crate) fn try_ask(&self, operator: &str, ask: Ask) -> (Worker, Option<FromWorker>) {
        let mut worker = self.worker();
        worker.send(&Job::Ceremony {
            ask,
            operator: operator.to_owned(),
            audit: Head::EMPTY,
            checks: Vec::new(),
        });
        let answer = worker.next();
        (worker, answer)
    }

    /// The host's key, which signs receipts.
    pub(crate) fn host_key(&self) -> PublicKey {
        let mut worker = self.worker();
        worker.send(&Job::Host);
        match worker.next() {
            Some(FromWorker::Host(facts)) => facts.key,
            other => panic!("no host: {other:?}"),
        }
    }

    /// Waits until the vault's journal has this text; a step's name, say.
    pub(crate) fn wait_for_journal(&self, text: &str) {
        let journal = self.path("state/vaults/prod/journal");
        let deadline = std::time::Instant::now() + BOUND;
        while !std::fs::read_to_string(&journal).is_ok_and(|j| j.contains(text)) {
            assert!(std::time::Instant::now() < deadline, "{text} does not come");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// The chain of rosters that counts on this host.
    pub(crate) fn chain(&self) -> Vec<Envelope> {
        let mut worker = self.worker();
        worker.send(&Job::Vault {
            vault: "prod".to_owned(),
        });
        match worker.next() {
            Some(FromWorker::Vault(facts)) => facts.roster_chain,
            other => panic!("no vault: {other:?}"),
        }
    }

    /// Hands a roster version in; gives the worker and its first answer.
    pub(crate) fn hand_in(&self, next: &Envelope) -> (Worker, Option<FromWorker>) {
        let mut worker = self.worker();
        worker.send(&Job::Roster {
            vault: "prod".to_owned(),
            wish: RosterWish {
                next: next.clone(),
                incident: "CHG-7".to_owned(),
                reason: "somebody came and somebody left".to_owned(),
                nonce: nonce(),
            },
            operator: "dana".to_owned(),
            audit: Head::EMPTY,
        });
        let answer = worker.next();
        (worker, answer)
    }

    /// Starts a worker for one job.
    pub(crate) fn worker(&self) -> Worker {
        self.worker_in(&[])
    }

    /// The same, in this environment.
    pub(crate) fn worker_in(&self, environment: &[(&str, &str)]) -> Worker {
        let (ours, child) = self.raw_worker(environment);
        Worker::new(child, ours)
    }

    /// The worker of another host, by its configuration.
    pub(crate) fn worker_of(&self, config: &str) -> Worker {
        let (ours, child) = self.raw_worker_of(config, &[]);
        Worker::new(child, ours)
    }

    /// A worker as a process and the agent's end of the connection, for what no agent would send.
    pub(crate) fn raw_worker(&self, environment: &[(&str, &str)]) -> (UnixStream, Child) {
        self.raw_worker_of("worker.toml", environment)
    }

    fn raw_worker_of(&self, config: &str, environment: &[(&str, &str)]) -> (UnixStream, Child) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let child = Command::new(program("twotap-worker"))
            .arg("--config")
            .arg(self.path(config))
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the worker starts");
        (ours, child)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self) {
        let toml = format!(
            "state = {:?}\nruntime = {:?}\n\n[aws]\nsts_regions = [\"eu-central-1\"]\nendpoint = {:?}\n",
            self.path("state"),
            self.path("runtime"),
            self.world.endpoint(),
        ) + &self.more_config;
        std::fs::write(self.path("worker.toml"), toml).expect("written");
    }

    fn install(&self) {
        let mut worker = self.worker();
        worker.send(&Job::Host);
        let host = match worker.next() {
            Some(FromWorker::Host(facts)) => facts.key,
            other => panic!("no host: {other:?}"),
        };
        let mut roster = self.roster(host);
        (self.shape)(&self.world, &mut roster);
        let mut roster = Envelope::new(&roster).expect("a good roster");
        for custodian in &self.custodians {
            roster.sign(custodian);
        }
        std::fs::write(self.path("roster.json"), roster.to_json()).expect("written");
        let installed = Command::new(program("twotap-worker"))
            .arg("--config")
            .arg(self.path("worker.toml"))
            .arg("install")
            .arg(self.path("roster.json"))
            .stdout(Stdio::null())
            .status()
            .expect("the worker starts");
        assert!(installed.success(), "install failed");
    }
}

/// A program of ours, from the same build as this test's: those with failpoints in them stand in a folder of their own.
pub(crate) fn program(name: &str) -> PathBuf {
    let built = twotap_rig::tools::build_folder();
    built.expect("the programs of this build").join(name)
}

/// Names of steps, for comparing sequences.
pub(crate) fn names(entries: &[job::Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|e| {
            serde_json::to_value(&e.step).expect("a step")["step"]
                .as_str()
                .expect("a name")
                .to_owned()
        })
        .collect()
}

/// Whether a folder holds this text in any file.
pub(crate) fn folder_holds(folder: &Path, needle: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            folder_holds(&path, needle)
        } else {
            std::fs::read(&path)
                .is_ok_and(|bytes| bytes.windows(needle.len()).any(|w| w == needle.as_bytes()))
        }
    })
}
