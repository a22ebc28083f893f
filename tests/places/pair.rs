//! Two hosts of one vault, on one account of AWS: a worker's folders each, and custodians in software.

use std::{
    os::unix::{fs::DirBuilderExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rand_core::OsRng;
use tempfile::TempDir;
use twotap::{
    protocol::{
        Problem,
        job::{Approval, Entry, FromWorker, Job, OfferMade, Session, ToWorker, Vote},
    },
    trust::{
        Bytes, Envelope, Head, PublicKey,
        request::{Offer, SealOffer},
        roster::{Access, Host, Person, Place, PlaceKind, Role, Roster},
        strict::Json,
    },
    vault::seal_to,
};
use twotap_rig::{World, world};

use crate::support::{SoftCustodian, Worker, admin, ask, binding, first, nonce, person};

/// What a case makes of its two hosts.
pub(crate) struct Plan<'p> {
    /// The roster's places.
    pub(crate) places: &'p dyn Fn(&World) -> Vec<Place>,
    /// The tables of `worker.toml` beside `[aws]`, by host.
    pub(crate) tables: &'p dyn Fn(usize, &Path) -> String,
    /// How long the session policy's template is made, in characters.
    pub(crate) padding: usize,
}

pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) custodians: Vec<SoftCustodian>,
    folder: TempDir,
    first_key: String,
}

/// A place that is a secret.
pub(crate) fn secret(world: &World, claim: bool) -> Place {
    Place {
        name: "safe".to_owned(),
        required: true,
        kind: PlaceKind::Secret {
            secret_arn: world.bundle_secret_arn().to_owned(),
            role_arn: world.role_arn(world::BUNDLE_ROLE),
            claim,
        },
    }
}

/// A place that is a folder.
pub(crate) fn folder(name: &str, required: bool) -> Place {
    Place {
        name: name.to_owned(),
        required,
        kind: PlaceKind::Folder,
    }
}

/// Both hosts may read the secret.
pub(crate) fn readers(_: usize, shared: &Path) -> String {
    format!(
        "[places.safe]\nidentity = {:?}\n",
        shared.join("reader.json")
    )
}

impl Pair {
    /// A vault with one place, a secret that holds the claim, which both hosts may read.
    pub(crate) fn claiming() -> Self {
        Self::of(&Plan {
            places: &|world| vec![secret(world, true)],
            tables: &readers,
            padding: 0,
        })
    }

    pub(crate) fn of(plan: &Plan<'_>) -> Self {
        let world = World::new().expect("an account");
        let folder = tempfile::Builder::new()
            .prefix("twotap-pair-")
            .tempdir_in("/dev/shm")
            .expect("a folder in memory");
        let names = [("alice", 1), ("bob", 2), ("carol", 3)];
        let pair = Self {
            first_key: world.first_key_json().to_owned(),
            custodians: names
                .map(|(name, serial)| SoftCustodian::new(name, serial))
                .into(),
            folder,
            world,
        };
        pair.write_reader();
        for host in [0, 1] {
            let mut builder = std::fs::DirBuilder::new();
            builder.mode(0o700);
            builder.create(pair.host(host)).expect("made");
            let toml = format!(
                "state = {:?}\nruntime = {:?}\n\n[aws]\nsts_regions = [\"eu-central-1\"]\nendpoint = {:?}\n\n{}",
                pair.host(host).join("state"),
                pair.host(host).join("runtime"),
                pair.world.endpoint(),
                (plan.tables)(host, pair.folder.path()),
            );
            std::fs::write(pair.host(host).join("worker.toml"), toml).expect("written");
        }
        pair.install(plan);
        pair
    }

    /// Everything of one host.
    pub(crate) fn host(&self, host: usize) -> PathBuf {
        self.folder.path().join(format!("host-{}", host + 1))
    }

    /// A folder that both hosts see.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn worker(&self, host: usize) -> Worker {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let child = self
            .command(host)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the worker starts");
        Worker::new(child, ours)
    }

    /// Seals the account's first key at a host.
    pub(crate) fn seal(&self, host: usize) -> Result<Vec<Entry>, Problem> {
        let mut worker = self.worker(host);
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
            .unverified::<SealOffer>()
            .expect("an offer to seal")
            .worker_key;
        let sealed = seal_to(&key, self.first_key.as_bytes()).expect("a recipient");
        worker.send(&ToWorker::Credential {
            sealed: Bytes(sealed),
        });
        worker.finish().1
    }

    pub(crate) fn ask(&self, host: usize) -> (Worker, OfferMade) {
        let mut worker = self.worker(host);
        worker.send(&Job::Ceremony {
            ask: ask(),
            operator: "dana".to_owned(),
            audit: Head::EMPTY,
            checks: Vec::new(),
        });
        match worker.next() {
            Some(FromWorker::Offer(made)) => (worker, made),
            other => panic!("no offer: {other:?}"),
        }
    }

    /// What two custodians answer to an offer.
    pub(crate) fn yes(&self, made: &OfferMade) -> [Approval; 2] {
        [0, 2].map(|i: usize| self.custodians[i].approve(made))
    }

    /// Hands in both; from then on the worker goes on by itself.
    pub(crate) fn approve(&self, worker: &mut Worker, made: &OfferMade) {
        for approval in self.yes(made) {
            worker.send(&ToWorker::Approval(approval));
            loop {
                match worker.next() {
                    Some(FromWorker::Vote(Vote::Counted { .. })) => break,
                    // What was found at the places.
                    Some(FromWorker::Entry(_)) => {}
                    other => panic!("not counted: {other:?}"),
                }
            }
        }
    }

    /// A whole ceremony at a host: the generation that was offered, the session, and how it ended.
    pub(crate) fn open(&self, host: usize) -> (u64, Option<Session>, Result<Vec<Entry>, Problem>) {
        let (mut worker, made) = self.ask(host);
        self.approve(&mut worker, &made);
        let (session, end) = worker.finish();
        (generation(&made), session, end)
    }

    /// The user's keys that are active.
    pub(crate) fn active_keys(&self) -> Vec<String> {
        let keys = self.world.list_keys(world::USER).expect("a list");
        keys.into_iter()
            .filter(|k| k.active)
            .map(|k| k.id)
            .collect()
    }

    /// How often anything was asked of IAM about the user's keys since the record was last cleared.
    pub(crate) fn key_calls(&self) -> usize {
        let calls = self.world.proxy().calls_of("iam:*").into_iter();
        calls.filter(|c| c.action.contains("AccessKey")).count()
    }

    /// What a host's journal says in all, in order.
    pub(crate) fn journal(&self, host: usize) -> Vec<Entry> {
        let mut worker = self.worker(host);
        worker.send(&Job::Journal {
            vault: "prod".to_owned(),
            since: 0,
        });
        worker.finish().1.expect("a journal")
    }

    /// The generation that counts at a host.
    pub(crate) fn current(&self, host: usize) -> Option<u64> {
        let link = self.host(host).join("state/vaults/prod/current");
        let target = std::fs::read_link(link).ok()?;
        target.file_name()?.to_str()?.parse().ok()
    }

    /// Keeps what a host has on disk now.
    pub(crate) fn snapshot(&self, host: usize) {
        copy(&self.host(host).join("state"), &self.shared("snapshot"));
    }

    /// Puts it back.
    pub(crate) fn resume(&self, host: usize) {
        let state = self.host(host).join("state");
        std::fs::remove_dir_all(&state).expect("removed");
        copy(&self.shared("snapshot"), &state);
    }

    fn command(&self, host: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twotap-worker"));
        command
            .arg("--config")
            .arg(self.host(host).join("worker.toml"))
            .env_clear()
            .stdout(Stdio::null());
        command
    }

    fn write_reader(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.shared("reader.json");
        std::fs::write(&file, self.world.bundle_reader_json().expect("a key")).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
    }

    fn install(&self, plan: &Plan<'_>) {
        let keys = [0, 1].map(|host| {
            let mut worker = self.worker(host);
            worker.send(&Job::Host);
            match worker.next() {
                Some(FromWorker::Host(facts)) => facts.key,
                other => panic!("no host: {other:?}"),
            }
        });
        let mut roster = Envelope::new(&self.roster(keys, plan)).expect("a good roster");
        for custodian in &self.custodians {
            roster.sign(custodian);
        }
        std::fs::write(self.shared("roster.json"), roster.to_json()).expect("written");
        for host in [0, 1] {
            let mut command = self.command(host);
            command.arg("install").arg(self.shared("roster.json"));
            assert!(command.status().expect("it starts").success());
        }
    }

    fn roster(&self, keys: [PublicKey; 2], plan: &Plan<'_>) -> Roster {
        let host = |(i, key): (usize, PublicKey)| Host {
            name: format!("host-{}", i + 1),
            key,
            checkpoint_key: PublicKey::Ed25519(
                ed25519_dalek::SigningKey::generate(&mut OsRng).verifying_key(),
            ),
        };
        let custodians = self.custodians.iter();
        let mut people: Vec<Person> = custodians
            .map(|c| person(&c.name, Role::Custodian, Vec::new()))
            .collect();
        people.push(person("dana", Role::Operator, Vec::new()));
        let world = &self.world;
        let hosts = keys.into_iter().enumerate().map(host).collect();
        let access = Access {
            policy: Json(serde_json::json!({
                "Version": "2012-10-17",
                "Id": "x".repeat(plan.padding),
                "Statement": [{"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": "*"}],
            })),
            ..admin(world)
        };
        Roster {
            people,
            places: (plan.places)(world),
            ..first(&self.custodians, hosts, binding(world), access)
        }
    }
}

/// The generation that an offer opens.
pub(crate) fn generation(made: &OfferMade) -> u64 {
    made.offer
        .unverified::<Offer>()
        .expect("an offer")
        .0
        .generation
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success());
}
