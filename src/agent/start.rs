//! From the configuration to a serving agent, and back to nothing.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    Agent,
    alarms::Alarms,
    book::{self, Book, Keys},
    ceremonies::Ceremonies,
    closing::Closings,
    config::{Config, sinks::Asked},
    deadlines::HEARTBEAT,
    pauses::Pauses,
    record::{Mint, Record, Rotation},
    seals::Seals,
    server::Server,
    sessions::Sessions,
    tamper::{Found, Watched},
    vaults::Vaults,
    workers::Workers,
};
use crate::{
    audit::{
        checkpoint::CheckpointKey,
        event::{Actor, Event, EventType},
        sinks::{Backoff, FileSink, Options, Sinks},
        store::Store,
    },
    ceremony::Stage,
    fail,
    protocol::{
        Code, Problem,
        job::{FromWorker, Job},
    },
    trust::Timestamp,
};

/// How long sinks may take to take up the last events when the agent ends.
const SINKS_PATIENCE: Duration = Duration::from_secs(3);
/// How long a worker that was left alone between quorum and intent may take to write its next entry, in seconds.
const BEFORE_INTENT: i64 = 10;
/// How long one may take to mint, in seconds.
const BEFORE_MINTED: i64 = 120;
/// How long one may take to rotate: its own patience is ten minutes.
pub(super) const BEFORE_ROTATED: i64 = 15 * 60;

/// Serves until told to end.
pub(super) async fn run(config: Config) -> Result<(), Problem> {
    // The socket first: of two agents the second changes nothing.
    let server = Server::bind(&config.socket).await?;
    // Beside the event loop: sinks have loops of their own, which may not end within another.
    let (agent, watched) = tokio::task::spawn_blocking(|| open(config))
        .await
        .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))??;
    let (mut term, mut int) = (
        stop(SignalKind::terminate())?,
        stop(SignalKind::interrupt())?,
    );

    agent.take_up(watched.found).await?;
    tokio::spawn(Arc::clone(&agent).keep_record(watched.live));
    tokio::spawn(Arc::clone(&agent).keep_evidence());
    tokio::spawn(Arc::clone(&agent).keep_time());
    tokio::spawn(Arc::clone(&agent).keep_watch());
    super::log(&format!("serving on {}", agent.config.socket.display()));
    tokio::select! {
        () = server.serve(&agent) => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    drop(server);
    super::log("ending");
    agent.record_all_counted().await;
    let sinks = agent
        .sinks
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    if let Some(sinks) = sinks {
        let _ = tokio::task::spawn_blocking(move || sinks.shutdown(SINKS_PATIENCE)).await;
    }
    Ok(())
}

/// The agent on its state, with its sinks running.
fn open(mut config: Config) -> Result<(Arc<Agent>, Watched), Problem> {
    state_folder(&config.state)?;
    let sinks = open_sinks(&mut config)?;
    let keys = Keys {
        checkpoint: checkpoint_key(&config)?,
        fingerprints: super::fingerprints::open(&mut config)?,
    };
    let store = Store::open(&config.state.join("state.db")).map_err(|why| book::problem(&why))?;
    // Before anything is written, here or there.
    super::reset::at_start(&store, &config, &keys)?;
    let began = store.head().map_err(|why| book::problem(&why))?;
    let watched = Watched::begin(&store, &config.audit)?;
    let sinks =
        Sinks::start(&store, sinks, Backoff::default()).map_err(|why| book::problem(&why))?;
    let book = Arc::new(Book::open(store, keys, &config.host_name)?);
    let agent = Arc::new(Agent {
        own_uid: rustix::process::getuid().as_raw(),
        book,
        workers: Workers::new(config.worker.clone()),
        vaults: Vaults::default(),
        sessions: Sessions::default(),
        ceremonies: Ceremonies::new(),
        closings: Closings::default(),
        seals: Seals::default(),
        accounts: super::accounts::Accounts::default(),
        alarms: Alarms::default(),
        waits: super::waits::Waits::default(),
        watches: super::watch::Watches::default(),
        nonces: super::drills::Nonces::default(),
        recordings: super::recordings::Recordings::default(),
        bell: tokio::sync::Notify::new(),
        host: Mutex::new(None),
        sinks: Mutex::new(Some(sinks)),
        began,
        epochs: super::reset::Epochs::default(),
        tampering: super::tamper::Tampering::default(),
        evidence: super::evidence::Evidence::default(),
        config,
    });
    agent.fingerprints_are();
    Ok((agent, watched))
}

/// The sink that is always on, and those that are configured. What one of them cannot work with is said before anything is served.
fn open_sinks(config: &mut Config) -> Result<Vec<Asked>, Problem> {
    let file = Options {
        envelopes: true,
        ..Options::default()
    };
    let mut sinks: Vec<Asked> = vec![(
        Box::new(FileSink::new(&config.audit).rotated(config.rotate)),
        file,
    )];
    for table in std::mem::take(&mut config.sinks) {
        let opened = table.open(&config.folder, &config.state, &config.host_name);
        sinks.push(opened.map_err(|why| {
            let hint = why.hint.as_deref().unwrap_or("see the sinks in agent.toml");
            Problem::new(Code::Usage, why.what).hint(hint)
        })?);
    }
    Ok(sinks)
}

/// The agent's key for checkpoints, named as the host is in the roster.
pub(super) fn checkpoint_key(config: &Config) -> Result<CheckpointKey, Problem> {
    CheckpointKey::open_or_create(&config.state.join("checkpoint.key"), &config.host_name)
        .map_err(|why| Problem::new(Code::Internal, why))
}

/// Makes the state folder (0700) where it is missing; one that others may read is refused.
pub(super) fn state_folder(path: &Path) -> Result<(), Problem> {
    let failed = |why: &dyn std::fmt::Display| {
        Problem::new(
            Code::Usage,
            format!("the state folder {} cannot be used: {why}", path.display()),
        )
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|why| failed(&why).hint("make it for the agent's account, mode 0700"))?;
    let mode = fs::metadata(path)
        .map_err(|why| failed(&why))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(failed(&"others may read it").hint(format!("chmod 0700 {}", path.display())));
    }
    Ok(())
}

fn stop(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Problem> {
    signal(kind).map_err(|why| Problem::new(Code::Internal, format!("signals: {why}")))
}

impl Agent {
    /// Takes up what happened while no agent ran.
    async fn take_up(self: &Arc<Self>, found: Vec<Found>) -> Result<(), Problem> {
        let isolation = self.meet_worker().await;
        let digest = self.config.digest;
        self.book
            .commit(move |change| {
                let event = Event::new(EventType::AgentStarted, Actor::agent())
                    .place(change.place.clone())
                    .detail("version", env!("CARGO_PKG_VERSION"))
                    .detail("config_sha256", digest.to_string())
                    .detail("checkpoint_every_seconds", HEARTBEAT)
                    .detail("isolation", isolation);
                change.event(&event)
            })
            .await?;
        self.remember_tampering().await?;
        self.remember_evidence().await?;
        self.remember_epochs().await?;
        for found in found {
            self.found(found).await?;
        }
        // Each that is met brings its journal; the others are looked for when they are asked for.
        self.look_for_vaults().await;
        for vault in self.config.vaults.clone() {
            tokio::spawn(Arc::clone(self).follow_vault(vault));
        }
        for record in self.book.requests() {
            self.resume(&record).await;
            self.resume_recordings(&record).await;
        }
        self.checkpoint().await;
        Ok(())
    }

    /// The worker's key id and isolation; without a worker the agent comes up and says so.
    async fn meet_worker(self: &Arc<Self>) -> serde_json::Value {
        let met = match self.workers.ask(&Job::Host).await {
            Ok(FromWorker::Host(host)) => Ok(host),
            Ok(_) => Err(super::workers::out_of_turn()),
            Err(problem) => Err(problem),
        };
        self.alarms.set("worker", met.as_ref().err());
        match met {
            Ok(host) => {
                self.host_is(host.key.id());
                serde_json::json!(host.isolation)
            }
            Err(_) => serde_json::Value::Null,
        }
    }

    async fn resume(self: &Arc<Self>, record: &Record) {
        let id = record.id();
        match (record.stage, record.mint) {
            (Stage::Closed, _) if record.secrets_wait() => self.start_closing(id),
            (Stage::Closing, _)
            | (Stage::Failed | Stage::Expired | Stage::Denied, Mint::Intended | Mint::Done) => {
                self.start_closing(id);
            }
            (Stage::Approved, Mint::Failed) => {
                let (agent, id) = (Arc::clone(self), id.to_owned());
                tokio::spawn(async move { agent.decide_failed_mint(&id, false).await });
            }
            _ => {}
        }
        if unsettled(record).is_some() {
            tokio::spawn(Arc::clone(self).follow(id.to_owned()));
        }
    }

    /// Follows a worker that was left alone by its journal, until it is done or must be taken for lost.
    async fn follow(self: Arc<Self>, id: String) {
        let began = Timestamp::now();
        let mut pauses = Pauses::of_looks();
        loop {
            let Some(record) = self.book.request(&id) else {
                return;
            };
            let vault = record.request.vault.clone();
            let Some((patience, lost)) = unsettled(&record) else {
                self.after(&record);
                self.checkpoint().await;
                return;
            };
            if began.until(Timestamp::now()) >= fail::patience(patience) {
                let problem = Problem::new(Code::Agent, lost);
                self.end_ceremony(&vault, &id, Some(problem)).await;
                return;
            }
            pauses.wait().await;
            let caught_up = self.catch_up(&vault).await;
            self.alarms.set(
                &format!("journal of vault {vault}"),
                caught_up.as_ref().err(),
            );
        }
    }
}

/// What a request without a connection to its worker still waits for: how many seconds at most, and what it means if it does not come.
fn unsettled(record: &Record) -> Option<(i64, &'static str)> {
    match (record.stage, record.mint, record.rotation) {
        // Its worker has lost the agent and gives up; the one second is for a quorum that it counted just before.
        (Stage::Requested, _, _) => Some((
            1,
            "the agent was restarted while the request waited, and its worker has ended",
        )),
        (Stage::Approved, Mint::None, _) => Some((
            BEFORE_INTENT,
            "the agent was restarted after the quorum, and the worker did not go on",
        )),
        (Stage::Approved, Mint::Intended, _) => Some((
            BEFORE_MINTED,
            "the worker was lost while it asked for the session",
        )),
        // It ended, and the agent with it, before it was said what that leaves owed.
        (_, Mint::None, _) if record.owes_rotation() => Some((
            1,
            "the request ended without a rotation after shares were released",
        )),
        (_, Mint::None, _) => None,
        (_, _, Rotation::None | Rotation::Running) => Some((
            BEFORE_ROTATED,
            "the worker was lost before the sealed key was replaced",
        )),
        _ => None,
    }
}
