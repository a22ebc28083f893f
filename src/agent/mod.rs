//! The daemon's door: who may ask, what stands on record, which worker is started, what the clock demands.
//!
//! It holds no vault secret. What it knows of a worker's acts it knows from the worker's journal, and everything it does changes state
//! and record in one transaction.
//!
//! ```text
//! server ─▶ routes ─▶ people ─▶ handlers ─▶ ceremonies · closing · seals ─▶ workers
//!                                                  │  journal  │
//!                                   deadlines ─────┴──▶ book ◀─┘
//! ```

mod accounts;
mod alarms;
mod book;
mod ceremonies;
mod chains;
mod checks;
mod closing;
mod commander;
mod config;
mod copies;
mod deadlines;
mod drills;
mod duties;
mod evidence;
mod exports;
mod fingerprints;
mod handlers;
mod hands;
mod held;
mod hygiene;
mod journal;
mod keys;
mod left;
mod offers;
mod overdue;
mod pauses;
mod people;
mod proofs;
mod readiness;
mod record;
mod recordings;
mod recovered;
mod rehearsal;
mod reset;
mod reviews;
mod routes;
mod said;
mod seals;
mod secrets;
mod server;
mod sessions;
mod settle;
mod start;
mod steps;
pub mod table;
mod tamper;
mod targets;
mod trail;
mod unknown;
mod vaults;
mod votes;
mod waits;
mod watch;
mod workers;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Parser;

use crate::{
    audit::{chain::Head, sinks::Sinks},
    ceremony::Stage,
    protocol::{Code, Problem},
    trust::KeyId,
};
use alarms::Alarms;
use book::Book;
use ceremonies::Ceremonies;
use closing::Closings;
use config::Config;
use record::{Mint, Record};
use seals::Seals;
use sessions::Sessions;
use vaults::Vaults;
use waits::Waits;
use watch::Watches;
use workers::Workers;

/// The agent: all that its tasks share.
struct Agent {
    config: Config,
    own_uid: u32,
    book: Arc<Book>,
    workers: Workers,
    vaults: Vaults,
    sessions: Sessions,
    ceremonies: Ceremonies,
    closings: Closings,
    seals: Seals,
    accounts: accounts::Accounts,
    alarms: Alarms,
    waits: Waits,
    watches: Watches,
    nonces: drills::Nonces,
    recordings: recordings::Recordings,
    /// Rung when a deadline may have changed.
    bell: tokio::sync::Notify,
    /// The worker's key: this host's name in signed documents.
    host: Mutex<Option<KeyId>>,
    sinks: Mutex<Option<Sinks>>,
    tampering: tamper::Tampering,
    epochs: reset::Epochs,
    /// Where the record stood when this agent took it up.
    began: Head,
    evidence: evidence::Evidence,
}

/// The break-glass agent: serves people on a unix socket and starts workers.
#[derive(Parser)]
#[command(name = "twotapd", version)]
struct Args {
    /// The agent's configuration.
    #[arg(long, default_value = config::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Print this host's public keys, for the roster.
    Keys,
}

/// Entry point of `twotapd`.
pub fn main() -> ExitCode {
    let args = Args::parse();
    // Before anything is read: no core, no trace, not as root.
    let result = hygiene::begin().and_then(|()| {
        let config = Config::read(&args.config)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // The store lets one write at a time; a few more may read.
            .max_blocking_threads(4)
            .build()
            .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))?;
        let ended = runtime.block_on(async {
            match args.verb {
                Some(Verb::Keys) => keys::print(config).await,
                None => start::run(config).await,
            }
        });
        // A thread that hangs in a dead disk must not keep the process.
        runtime.shutdown_timeout(std::time::Duration::from_secs(2));
        ended
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            if let Some(hint) = &problem.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(problem.code.exit_status())
        }
    }
}

impl Agent {
    /// What follows from where a request stands now.
    fn after(self: &Arc<Self>, record: &Record) {
        let id = record.id();
        if record.stage != Stage::Open {
            self.sessions.drop_of(id);
            self.alarms.set(&format!("session of {id}"), None);
        }
        match (record.stage, record.mint) {
            (Stage::Closing, _) => self.start_closing(id),
            (Stage::Closed, _) if record.secrets_wait() => self.start_closing(id),
            (Stage::Approved, Mint::Failed) => {
                let (agent, id) = (Arc::clone(self), id.to_owned());
                tokio::spawn(async move { agent.decide_failed_mint(&id, true).await });
            }
            // Minted after the request was given up: nobody waits for it, and it must not stay open.
            (Stage::Failed | Stage::Expired | Stage::Denied, Mint::Intended | Mint::Done) => {
                self.start_closing(id);
            }
            _ => {}
        }
        self.bell.notify_one();
    }

    /// Remembers this host's key id.
    fn host_is(&self, host: KeyId) {
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = Some(host);
    }

    /// Signs the record's head. Without the host's key id there is no origin to name, and that shows as degraded.
    async fn checkpoint(self: &Arc<Self>) {
        let host = *self.host.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = match host {
            Some(host) => self.book.checkpoint(host.to_string()).await,
            None => Err(Problem::new(
                Code::Agent,
                "the worker was never reached, so this host's key is not known",
            )),
        };
        self.alarms.set("checkpoint", signed.as_ref().err());
    }
}

/// One line to the log; never a secret.
fn log(line: &str) {
    eprintln!("twotapd: {line}");
}
