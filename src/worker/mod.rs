//! The vault's door: the only place where a secret has a name.
//!
//! A worker serves one connection of the agent, which carries one job, and exits. Started by systemd for each connection, or by
//! the agent in a checkout, it finds the connection on standard input either way. It decides nothing on the agent's word: roster,
//! manifest, approvals, policy and digests are checked here again, against state that the agent cannot write.
//!
//! ```text
//! main ─▶ harden ─▶ serve ─▶ one of   facts · seal · ceremony · roster · close · session · journal
//!                                              │        │
//!                                              └─ rotate ◀┘ mint
//! ```

mod ceremony;
mod close;
mod close_only;
mod config;
mod drill;
mod duties;
mod hardening;
mod home;
mod host_key;
mod install;
mod journal;
mod ledger;
mod link;
mod mint;
mod observe;
mod opening;
mod places;
mod plan;
mod problems;
mod recovery;
mod room;
mod roster;
mod rotate;
mod runtime;
mod seal;
mod seccomp;
mod secrets;
mod setback;
mod slot;
mod target;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    aws::Aws,
    protocol::{
        Code, Problem,
        job::{FromWorker, Job},
    },
};
use config::Config;
use home::Home;
use link::Link;
use secrets::helper::{self, Setters};

/// What a worker has at hand for its one job.
struct Worker {
    home: Home,
    aws: Aws,
    link: Link,
    config: Config,
    /// Sets secrets' new values, where the configuration names programs for it.
    setters: Option<Setters>,
}

/// The vault's worker: serves one job of the agent on standard input.
#[derive(Parser)]
#[command(name = "twotap-worker", version)]
struct Args {
    /// The worker's configuration.
    #[arg(long, default_value = "/etc/twotap/worker.toml")]
    config: std::path::PathBuf,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Pin this host to a signed roster.
    Install {
        /// The roster, as `twotap roster sign` leaves it.
        roster: std::path::PathBuf,
    },
    /// Print this host's public key.
    Key,
    /// Serve one recovery set to `twotap recovery` on standard input.
    #[command(hide = true)]
    Recovery,
    /// Open one bundle for `twotap recovery` on standard input.
    #[command(hide = true)]
    Opening(opening::Args),
    /// Start setters' programs for a worker, which may not.
    #[command(name = helper::VERB, hide = true)]
    SetterHelper,
}

/// Entry point of `twotap-worker`.
pub fn main() -> ExitCode {
    let args = Args::parse();
    // Before anything is read: no core, no trace, no new privileges.
    let result = hardening::first().and_then(|()| match args.verb {
        Some(Verb::Install { roster }) => install::install(&args.config, &roster),
        Some(Verb::Recovery) => recovery::serve(),
        Some(Verb::Opening(args)) => opening::serve(args),
        Some(Verb::Key) => install::print_key(&args.config),
        Some(Verb::SetterHelper) => helper::main(&args.config),
        None => serve(&args.config),
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

fn serve(file: &std::path::Path) -> Result<(), Problem> {
    let config = Config::read(file)?;
    let stdin = link::standard_input(&config)?;
    let setters = helper::start(&config, file)?;
    let home = Home::open(&config)?;
    let aws = Aws::new(config.endpoints()).map_err(|why| {
        Problem::new(Code::Usage, &why).hint("see the [aws] table of worker.toml")
    })?;
    hardening::second(&config)?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))?;
    let served = runtime.block_on(async {
        let mut worker = Worker {
            home,
            aws,
            link: Link::new(stdin)?,
            setters: setters.map(|s| Setters::new(s, &config)).transpose()?,
            config,
        };
        let Some(job) = worker.link.job().await? else {
            return Ok(());
        };
        if !matches!(job, Job::Close { .. }) {
            // Nothing else has a reason to start a program.
            worker.setters = None;
        }
        let outcome = worker.run(job).await;
        worker
            .link
            .send(&match outcome {
                Ok(()) => FromWorker::Done,
                Err(problem) => FromWorker::Failed(problem),
            })
            .await;
        Ok(())
    });
    // A folder on a disk that does not answer must not keep the process.
    runtime.shutdown_background();
    served
}

impl Worker {
    async fn run(&mut self, job: Job) -> Result<(), Problem> {
        match job {
            Job::Host => {
                let facts = self.home.host_facts(self.link.isolation());
                self.link.send(&FromWorker::Host(facts)).await;
                Ok(())
            }
            Job::Vault { vault } => {
                let facts = self.home.vault(&vault)?.facts(self.link.isolation());
                self.link.send(&FromWorker::Vault(facts)).await;
                Ok(())
            }
            Job::SealAnew {
                vault,
                next,
                audit,
                nonce,
            } => seal::run(self, &vault, Some(&next), audit, nonce).await,
            Job::Bundle { vault } => {
                let sealed = self.home.vault(&vault)?.to_sealed()?;
                self.link.send(&FromWorker::Bundle(sealed)).await;
                Ok(())
            }
            Job::Seal {
                vault,
                audit,
                nonce,
            } => seal::run(self, &vault, None, audit, nonce).await,
            Job::Ceremony {
                ask,
                operator,
                audit,
                checks,
            } => {
                let asker = ceremony::Asker {
                    operator,
                    audit,
                    checks,
                };
                ceremony::run(self, ask, asker).await
            }
            Job::Roster {
                vault,
                wish,
                operator,
                audit,
            } => {
                let handed_in = roster::HandedIn {
                    wish,
                    operator,
                    audit,
                };
                roster::run(self, &vault, handed_in).await
            }
            Job::Close { vault, request } => close::run(self, &vault, &request).await,
            Job::Session { request } => {
                let session = self.home.runtime().read(&request)?.session()?;
                self.link.send(&FromWorker::Session(session)).await;
                Ok(())
            }
            Job::Watch { vault } => watch::run(self, &vault).await,
            Job::Journal { vault, since } => {
                // The journal is what matters here; what is left over is looked for again with the next one.
                let _ = self.home.forget_closed(&vault);
                for entry in self.home.journal(&vault)?.since(since)? {
                    self.link.send(&FromWorker::Entry(entry)).await;
                }
                Ok(())
            }
        }
    }
}
