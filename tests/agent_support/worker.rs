//! A worker at the wire: speaks the job protocol with the agent, keeps a journal, and does what the test tells it to.
//!
//! It has no vault and no AWS. Votes are counted by the real ceremony, since the answer to a vote is part of the wire.

mod acts;

use std::{
    collections::HashMap,
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use twotap::{
    protocol::{
        Code, Problem,
        job::{
            AwsTrace, Entry, FromWorker, HostFacts, Isolation, Job, NOT_KEPT, Sealed, Session,
            ShareFile, Step, TargetSession, VaultFacts, Watched,
        },
    },
    trust::{
        Bytes, Envelope, Head, Signer as _, Timestamp, manifest::Manifest, request::Request,
        roster::Roster,
    },
};

use super::{
    paper::{Paper, Times},
    wire::Wire,
};

/// What the worker is told to do differently.
#[derive(Clone)]
pub struct Script {
    pub installed: bool,
    pub times: Times,
    /// The step after which the connection is dropped; the journal goes on.
    pub silent_after: Option<&'static str>,
    /// A step that is written to the journal and not reported.
    pub unreported: Option<&'static str>,
    /// The step after which the worker dies: nothing more is written.
    pub dies_after: Option<&'static str>,
    /// Minting fails; whether anything is kept of it.
    pub mint_fails: Option<bool>,
    /// How many tries to close fail before one works.
    pub close_fails: u32,
    /// The sealed key cannot be replaced.
    pub rotation_fails: bool,
    /// What is said once in the place of the answer to a job (its name), of the answer to a vote (`vote`), or after a step (its name).
    pub garbled: Option<(&'static str, Garble)>,
    /// Changes a request before it is offered.
    pub lie: Option<fn(&mut Request)>,
}

/// An answer that is none.
#[derive(Clone)]
pub enum Garble {
    /// These bytes, and then the connection ends.
    Bytes(Vec<u8>),
    /// This message, and then the connection ends.
    Message(serde_json::Value),
    /// These bytes, and then nothing for as long as the agent listens.
    Hangs(Vec<u8>),
}

struct State {
    script: Script,
    journal: Vec<Entry>,
    kept: HashMap<String, (Request, bool)>,
    generation: u64,
    manifest: Option<Envelope>,
    /// Roster versions that came to count after the first.
    later: Vec<Envelope>,
    jobs: Vec<String>,
}

/// The worker, listening.
#[derive(Clone)]
pub struct FakeWorker {
    paper: Arc<Paper>,
    state: Arc<Mutex<State>>,
}

impl FakeWorker {
    pub fn start(socket: &Path, paper: Paper) -> Self {
        let listener = UnixListener::bind(socket).expect("bound");
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).expect("mode");
        let manifest = paper.manifest(1, "AKIA0000000000000001", Head::EMPTY);
        let worker = Self {
            paper: Arc::new(paper),
            state: Arc::new(Mutex::new(State {
                script: Script {
                    installed: true,
                    times: Times {
                        approve: 600,
                        session: 3600,
                    },
                    silent_after: None,
                    unreported: None,
                    dies_after: None,
                    mint_fails: None,
                    close_fails: 0,
                    rotation_fails: false,
                    garbled: None,
                    lie: None,
                },
                journal: Vec::new(),
                kept: HashMap::new(),
                generation: 1,
                manifest: Some(manifest),
                later: Vec::new(),
                jobs: Vec::new(),
            })),
        };
        let this = worker.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let one = this.clone();
                std::thread::spawn(move || one.serve(Wire::new(stream)));
            }
        });
        worker
    }

    /// A next version counts from now on, with a generation that is sealed under it.
    pub fn take_up(&self, change: impl FnOnce(&mut Roster)) {
        let mut state = self.lock();
        let chain = [&self.paper.chain[..], &state.later[..]].concat();
        let next = self.paper.version_after(&chain, change);
        let old = state.manifest.take().expect("sealed");
        let mut manifest: Manifest = old.unverified().expect("a manifest");
        state.generation += 1;
        manifest.generation = state.generation;
        manifest.previous = Some(old.digest());
        manifest.roster_sha256 = next.digest();
        state.manifest = Some(Envelope::signed(&manifest, &self.paper.host).expect("signed"));
        state.later.push(next);
    }

    /// The generation that counts now, to be put back later.
    pub fn snapshot(&self) -> (u64, Option<Envelope>) {
        let state = self.lock();
        (state.generation, state.manifest.clone())
    }

    /// A generation that this host took over from a place, as one that another host has made since.
    pub fn adopts(&self, generation: u64) {
        let manifest = self
            .paper
            .manifest(generation, &key_id(generation), Head::EMPTY);
        self.put_back((generation, Some(manifest)));
    }

    /// The folder as it was then.
    pub fn put_back(&self, (generation, manifest): (u64, Option<Envelope>)) {
        let mut state = self.lock();
        state.generation = generation;
        state.manifest = manifest;
    }

    pub fn paper(&self) -> &Paper {
        &self.paper
    }

    /// Tells it what to do differently from now on.
    pub fn told(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.lock().script);
    }

    /// Whether nothing that it was told to say instead is left.
    pub fn told_all_of_it(&self) -> bool {
        self.lock().script.garbled.is_none()
    }

    /// Forgets all sessions, as a reboot does.
    pub fn reboot(&self) {
        self.lock().kept.clear();
    }

    pub fn journal(&self) -> Vec<Entry> {
        self.lock().journal.clone()
    }

    /// Writes an entry of no request into the journal, to be found by whoever reads it next.
    pub fn writes(&self, step: Step) {
        let mut state = self.lock();
        let n = state.journal.len() as u64 + 1;
        state.journal.push(Entry {
            n,
            at: Timestamp::now(),
            request: None,
            step,
            aws: None,
        });
    }

    /// How often a kind of job was asked for.
    pub fn jobs(&self, kind: &str) -> usize {
        self.lock().jobs.iter().filter(|j| *j == kind).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test thread panicked in it")
    }

    fn serve(&self, mut wire: Wire) {
        let Some(job) = wire.receive::<Job>() else {
            return;
        };
        let name = serde_json::to_value(&job).expect("json")["job"]
            .as_str()
            .expect("a tag")
            .to_owned();
        self.lock().jobs.push(name.clone());
        if self.garbles(&name, &mut wire) {
            return;
        }
        let last = match self.run(job, &mut wire) {
            Ok(()) => FromWorker::Done,
            Err(End::Problem(problem)) => FromWorker::Failed(problem),
            Err(End::Dead) => return,
        };
        wire.send(&last);
    }

    /// Says what it was told to say instead, once.
    fn garbles(&self, place: &str, wire: &mut Wire) -> bool {
        let garble = {
            let mut state = self.lock();
            match state.script.garbled.take() {
                Some((at, garble)) if at == place => garble,
                other => {
                    state.script.garbled = other;
                    return false;
                }
            }
        };
        match garble {
            Garble::Bytes(bytes) => wire.send_raw(&bytes),
            Garble::Message(message) => wire.send(&message),
            Garble::Hangs(bytes) => {
                wire.send_raw(&bytes);
                // Until the agent has had enough.
                let _: Option<serde_json::Value> = wire.receive();
            }
        }
        wire.drop_now();
        true
    }

    fn run(&self, job: Job, wire: &mut Wire) -> Result<(), End> {
        match job {
            Job::Host => {
                let key = self.paper.host.public();
                wire.send(&FromWorker::Host(HostFacts {
                    key,
                    isolation: Isolation::Account,
                }));
                Ok(())
            }
            Job::Vault { .. } => {
                let facts = {
                    let state = self.lock();
                    if !state.script.installed {
                        return Err(refused(Code::Usage, "this host has no vault prod"));
                    }
                    VaultFacts {
                        host: self.paper.host.public().id(),
                        isolation: Isolation::Account,
                        roster_chain: [&self.paper.chain[..], &state.later[..]].concat(),
                        manifest: state.manifest.clone(),
                    }
                };
                wire.send(&FromWorker::Vault(facts));
                Ok(())
            }
            Job::Bundle { .. } => {
                let Some(manifest) = self.lock().manifest.clone() else {
                    return Err(refused(Code::Refused, "nothing is sealed"));
                };
                let share = |name: &str| ShareFile {
                    custodian: name.to_owned(),
                    age: Bytes(format!("the sealed share of {name}").into_bytes()),
                };
                wire.send(&FromWorker::Bundle(Sealed {
                    manifest,
                    vault_age: Bytes(b"the sealed vault".to_vec()),
                    shares: ["alice", "bob"].map(share).into(),
                    roster_chain: self.paper.chain.clone(),
                }));
                Ok(())
            }
            Job::Watch { .. } => {
                wire.send(&FromWorker::Watched(Watched::Off));
                Ok(())
            }
            Job::Journal { since, .. } => {
                for entry in self.journal().into_iter().filter(|e| e.n > since) {
                    wire.send(&FromWorker::Entry(entry));
                }
                Ok(())
            }
            Job::Session { request } => {
                let kept = self.lock().kept.get(&request).cloned();
                match kept {
                    None => Err(refused(Code::Refused, NOT_KEPT)),
                    Some((_, false)) => Err(refused(
                        Code::Refused,
                        "the operator's session was never minted",
                    )),
                    Some((request, true)) => {
                        wire.send(&FromWorker::Session(session(&request)));
                        Ok(())
                    }
                }
            }
            Job::Ceremony {
                ask,
                operator,
                audit,
                checks,
            } => self.ceremony(ask, &operator, audit, checks, wire),
            Job::Roster {
                wish,
                operator,
                audit,
                ..
            } => self.roster(wish, &operator, audit, wire),
            // Its one roster stays what it is.
            Job::SealAnew { .. } => Err(refused(Code::Tampering, "that is not the next version")),
            Job::Close { request, .. } => self.close(&request, wire),
            Job::Seal { audit, nonce, .. } => self.seal(audit, nonce, wire),
        }
    }

    /// Journal first, report second, as the worker does.
    fn log(&self, id: Option<&str>, step: Step, wire: &mut Wire) -> Result<(), End> {
        let name = serde_json::to_value(&step).expect("json")["step"]
            .as_str()
            .expect("a tag")
            .to_owned();
        let (entry, reported) = {
            let mut state = self.lock();
            let entry = Entry {
                n: state.journal.len() as u64 + 1,
                at: Timestamp::now(),
                request: id.map(str::to_owned),
                step,
                aws: Some(AwsTrace {
                    request_id: Some("aws-1".into()),
                    date: Some(Timestamp::now()),
                }),
            };
            state.journal.push(entry.clone());
            (entry, state.script.unreported != Some(name.as_str()))
        };
        if reported {
            wire.send(&FromWorker::Entry(entry));
        }
        self.lives_on(&name, wire)
    }

    fn lives_on(&self, step: &str, wire: &mut Wire) -> Result<(), End> {
        if self.garbles(step, wire) {
            // The worker goes on; the agent has stopped listening.
            return Ok(());
        }
        let state = self.lock();
        if state.script.silent_after == Some(step) {
            wire.drop_now();
        }
        if state.script.dies_after == Some(step) {
            wire.drop_now();
            return Err(End::Dead);
        }
        Ok(())
    }
}

/// How a job ends early.
enum End {
    Problem(Problem),
    Dead,
}

fn refused(code: Code, why: &str) -> End {
    End::Problem(Problem::new(code, why))
}

/// The session of a request: made up, and the same each time; one for each role.
pub fn session(request: &Request) -> Session {
    let further = request.also.iter().map(|t| (&t.account, &t.role_arn));
    let roles = std::iter::once((&request.account, &request.role)).chain(further);
    let of = |(n, (account, role)): (usize, (&String, &String))| TargetSession {
        account: account.clone(),
        role: role.clone(),
        access_key_id: format!("ASIA00000000000{n}TEST"),
        secret_access_key: zeroize::Zeroizing::new(format!("secret-{n}-of-{}", request.id)),
        session_token: zeroize::Zeroizing::new(format!("token-{n}-of-{}", request.id)),
    };
    Session {
        request: request.id.clone(),
        not_after: request.not_after,
        targets: roles.enumerate().map(of).collect(),
    }
}

fn key_id(generation: u64) -> String {
    format!("AKIA{generation:016}")
}
