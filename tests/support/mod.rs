//! Custodians with keys in software, and a worker spoken to over its own wire: for what needs no token and no agent.

#![allow(dead_code)] // each test program uses its own part of this

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner as _};
use rand_core::{OsRng, RngCore as _};
use tempfile::TempDir;
use twotap::{
    protocol::{
        Code, Problem, frame,
        job::{self, Ask, FromWorker, Job, OfferMade, RosterWish, ToWorker, Vote},
    },
    trust::{
        Bytes, Digest, Envelope, Head, KeyId, PublicKey, Signer, Timestamp,
        request::{Approval, Denial, Offer, ShareBinding, Withdrawal},
        roster::{
            Access, Account, AwsBinding, Host, NamedSecret, Person, Role, Roster, SlotKey, Token,
        },
        strict::Json,
    },
    vault::{Ecdh, SealedShare, seal_share, seal_to},
};
use twotap_rig::{World, world};
use twotap_shares::Mnemonic;
use zeroize::Zeroizing;

/// The longest that a worker may take for one message.
const BOUND: Duration = Duration::from_secs(120);

/// A custodian whose two keys are in this process.
pub(crate) struct SoftCustodian {
    pub(crate) name: String,
    pub(crate) serial: u32,
    approve: SigningKey,
    unseal: p256::SecretKey,
}

impl SoftCustodian {
    pub(crate) fn new(name: &str, serial: u32) -> Self {
        Self {
            name: name.to_owned(),
            serial,
            approve: SigningKey::random(&mut OsRng),
            unseal: p256::SecretKey::random(&mut OsRng),
        }
    }

    pub(crate) fn token(&self) -> Token {
        Token {
            person: self.name.clone(),
            serial: self.serial,
            firmware: "5.7.4".to_owned(),
            approve: SlotKey {
                slot: 0x82,
                key: Signer::public(self),
            },
            unseal: SlotKey {
                slot: 0x83,
                key: self.unseal.public_key().into(),
            },
            attestation: None,
        }
    }

    /// The key that shares are sealed to, for a file that somebody opens later.
    pub(crate) fn unseal_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.unseal.to_bytes())
    }

    /// Opens the own share of an offer and answers it, as `twotap approve` would.
    pub(crate) fn approve(&self, made: &OfferMade) -> job::Approval {
        let request = made.offer.unverified::<Offer>().expect("an offer").0;
        let binding = ShareBinding {
            request_sha256: made.offer.digest(),
            manifest_sha256: request.manifest_sha256,
        };
        let share = self.open_own_share(made);
        job::Approval {
            approval: self.yes(made),
            sealed_share: Bytes(
                seal_share(&request.worker_key, &binding, &share).expect("a good recipient"),
            ),
        }
    }

    /// The signature of a yes.
    pub(crate) fn yes(&self, made: &OfferMade) -> Envelope {
        let mut approval = made.offer.repurposed::<Approval>();
        approval.sign(self);
        approval
    }

    /// The words of the own share.
    pub(crate) fn open_own_share(&self, made: &OfferMade) -> Mnemonic {
        let share = made
            .shares
            .iter()
            .find(|s| s.custodian == self.name)
            .expect("a share for this custodian");
        let words = SealedShare::parse(&share.age.0)
            .and_then(|s| s.open(self))
            .expect("the share opens with this custodian's key");
        let words = std::str::from_utf8(&words).expect("words");
        Mnemonic::parse(words).expect("a share")
    }

    /// Takes the own yes back.
    pub(crate) fn withdraw(&self, made: &OfferMade) -> Envelope {
        let withdrawal = Withdrawal {
            v: 1,
            request_sha256: made.offer.digest(),
        };
        Envelope::signed(&withdrawal, self).expect("a good withdrawal")
    }

    /// Says no to an offer.
    pub(crate) fn deny(&self, made: &OfferMade) -> Envelope {
        let denial = Denial {
            v: 1,
            request_sha256: made.offer.digest(),
            reason: "not now".to_owned(),
        };
        Envelope::signed(&denial, self).expect("a good denial")
    }
}

impl Signer for SoftCustodian {
    fn public(&self) -> PublicKey {
        PublicKey::P256(*self.approve.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let sig: p256::ecdsa::Signature = self
            .approve
            .sign_prehash(&Digest::of(message).0)
            .expect("32 bytes");
        sig.normalize_s()
            .unwrap_or(sig)
            .to_der()
            .as_bytes()
            .to_vec()
    }
}

impl Ecdh for SoftCustodian {
    fn shared(&self, peer: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String> {
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|why| why.to_string())?;
        let shared = p256::ecdh::diffie_hellman(self.unseal.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
    }

    fn public(&self) -> p256::PublicKey {
        self.unseal.public_key()
    }
}

/// A host's key, as whoever has its disk has it.
pub(crate) struct HostKey(ed25519_dalek::SigningKey);

impl HostKey {
    /// The one in a worker's state folder.
    pub(crate) fn of(state: &Path) -> Self {
        use ed25519_dalek::pkcs8::DecodePrivateKey as _;
        let pem = std::fs::read_to_string(state.join("host.key")).expect("a key");
        Self(ed25519_dalek::SigningKey::from_pkcs8_pem(&pem).expect("PKCS#8"))
    }
}

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        use ed25519_dalek::Signer as _;
        self.0.sign(message).to_bytes().to_vec()
    }
}

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

    /// The roster of its vault: two of the custodians must approve.
    pub(crate) fn roster(&self, host: PublicKey) -> Roster {
        let checkpoint = ed25519_dalek::SigningKey::generate(&mut OsRng).verifying_key();
        let host_id = host.id();
        let mut people: Vec<Person> = Vec::new();
        for custodian in &self.custodians {
            if people.iter().all(|p| p.name != custodian.name) {
                people.push(person(&custodian.name, Role::Custodian, vec![]));
            }
        }
        for (operator, uid) in self.operators.iter().zip(61010..) {
            match people.iter_mut().find(|p| p.name == *operator) {
                Some(both) => both.roles.push(Role::Operator),
                None => people.push(person(operator, Role::Operator, account(host_id, uid))),
            }
        }
        Roster {
            v: 1,
            vault: "prod".to_owned(),
            version: 1,
            previous: None,
            by: None,
            created_at: Timestamp::now(),
            threshold: 2,
            groups: Vec::new(),
            scenarios: Vec::new(),
            may_coincide: Vec::new(),
            people,
            tokens: self.custodians.iter().map(SoftCustodian::token).collect(),
            hosts: vec![Host {
                name: "host-1".to_owned(),
                key: host,
                checkpoint_key: PublicKey::Ed25519(checkpoint),
            }],
            aws: AwsBinding {
                user_arn: self.world.user_arn(),
                steward_role_arn: self.world.role_arn(world::STEWARD_ROLE),
                external_id: world::EXTERNAL_ID.to_owned(),
            },
            access: vec![Access {
                name: "admin".to_owned(),
                account: self.world.account().to_owned(),
                role_arn: self.world.role_arn(world::OPERATOR_ROLE),
                policy: Json(serde_json::json!({
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": "*"}],
                })),
                regions: vec![self.world.region().to_owned()],
                probe: "ec2:DescribeRegions".to_owned(),
                default_seconds: 4 * 3600,
                max_seconds: 11 * 3600,
                also: Vec::new(),
                secrets: self.secrets.clone(),
                broad: false,
                persistence: false,
                subject: None,
                recording: Default::default(),
            }],
            recovery: None,
            places: Vec::new(),
            attestation_roots: Vec::new(),
            accept_risk: Vec::new(),
            // Keys in software: nobody attests them.
            accept_unattested: self.custodians.iter().map(|c| c.serial).collect(),
        }
    }
}

pub(crate) fn person(name: &str, role: Role, accounts: Vec<Account>) -> Person {
    Person {
        name: name.to_owned(),
        roles: vec![role],
        accounts,
        recipient: None,
        member_of: Vec::new(),
    }
}

pub(crate) fn account(host: KeyId, uid: u32) -> Vec<Account> {
    vec![Account { host, uid }]
}

/// The usual question.
pub(crate) fn ask() -> Ask {
    Ask {
        vault: "prod".to_owned(),
        access: "admin".to_owned(),
        incident: "INC-42".to_owned(),
        reason: "the database is down and nobody can sign in".to_owned(),
        duration_seconds: None,
        commander: None,
        nonce: nonce(),
        close_only: None,
        drill: false,
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
    }
}

pub(crate) fn nonce() -> Bytes {
    let mut bytes = vec![0; 16];
    OsRng.fill_bytes(&mut bytes);
    Bytes(bytes)
}

/// A running worker, spoken to as the agent would.
pub(crate) struct Worker {
    child: Child,
    stream: tokio::net::UnixStream,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    /// A worker that was started with the other end of `stream`.
    pub(crate) fn new(child: Child, stream: UnixStream) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        stream.set_nonblocking(true).expect("a socket");
        let stream = {
            let _inside = runtime.enter();
            tokio::net::UnixStream::from_std(stream).expect("a socket")
        };
        Self {
            child,
            stream,
            runtime,
        }
    }

    pub(crate) fn send(&mut self, message: &impl serde::Serialize) {
        self.runtime
            .block_on(frame::write(&mut self.stream, message))
            .expect("the worker reads");
    }

    /// The next message; `None` at the orderly end.
    pub(crate) fn next(&mut self) -> Option<FromWorker> {
        let message = self
            .runtime
            .block_on(async { tokio::time::timeout(BOUND, frame::read(&mut self.stream)).await });
        message
            .expect("the worker answers in time")
            .expect("a whole message")
    }

    /// Hands in a yes, and gives what became of it.
    pub(crate) fn vote(&mut self, approval: job::Approval) -> Vote {
        self.send(&ToWorker::Approval(approval));
        match self.next() {
            Some(FromWorker::Vote(vote)) => vote,
            other => panic!("no vote: {other:?}"),
        }
    }

    /// Goes away as an agent that dies would; gives how the worker ended.
    pub(crate) fn hang_up(mut self) -> std::process::ExitStatus {
        self.runtime.block_on(async {
            use tokio::io::AsyncWriteExt as _;
            self.stream.shutdown().await.expect("a socket");
        });
        while self.next().is_some() {}
        self.child.wait().expect("it ends")
    }

    /// Everything up to the end: the session if one came, and the entries or what went wrong. Entries are acknowledged.
    pub(crate) fn rest(self) -> (Option<job::Session>, Result<Vec<job::Entry>, String>) {
        let (session, end) = self.finish();
        (session, end.map_err(|problem| problem.error))
    }

    /// The same, with the whole problem.
    pub(crate) fn finish(mut self) -> (Option<job::Session>, Result<Vec<job::Entry>, Problem>) {
        let mut entries = Vec::new();
        let mut session = None;
        loop {
            match self.next() {
                Some(FromWorker::Entry(entry)) => {
                    // After its last entry a worker is done and hears no more.
                    let heard = ToWorker::Recorded { n: entry.n };
                    let _ = self
                        .runtime
                        .block_on(frame::write(&mut self.stream, &heard));
                    entries.push(entry);
                }
                Some(FromWorker::Session(s)) => session = Some(s),
                Some(FromWorker::Done) => return (session, Ok(entries)),
                Some(FromWorker::Failed(problem)) => return (session, Err(problem)),
                Some(_) => {}
                None => {
                    let gone = Problem::new(Code::Agent, "the worker went away");
                    return (session, Err(gone));
                }
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
