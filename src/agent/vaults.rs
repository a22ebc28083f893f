//! Vaults as their workers describe them: rosters checked, and put on record when they are new.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use super::{Agent, record::isolated, workers::out_of_turn};
use crate::{
    audit::event::{Actor, Event, EventType, Place},
    ceremony::Stage,
    protocol::{
        Code, Problem,
        job::{FromWorker, Isolation, Job, VaultFacts},
    },
    trust::{
        Digest, Envelope, KeyId, Verified,
        manifest::Manifest,
        roster::{Role, Roster, Token, changes, verify_chain},
        standing::told,
    },
};

/// How often a vault that is not there is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of each vault.
#[derive(Default)]
pub(super) struct Vaults {
    known: RwLock<HashMap<String, Arc<Known>>>,
    asked: Mutex<HashMap<String, Instant>>,
}

/// A vault as its worker describes it.
pub(super) struct Known {
    pub(super) vault: String,
    pub(super) host: KeyId,
    pub(super) isolation: Isolation,
    pub(super) chain: Vec<Envelope>,
    pub(super) roster: Verified<Roster>,
    pub(super) manifest: Option<Verified<Manifest>>,
}

impl Vaults {
    /// What is known now, by the configuration's order.
    pub(super) fn all(&self, agent: &Agent) -> Vec<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        agent
            .config
            .vaults
            .iter()
            .filter_map(|name| known.get(name).map(Arc::clone))
            .collect()
    }

    /// One vault, if it is known.
    pub(super) fn known(&self, vault: &str) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(vault).map(Arc::clone)
    }

    /// Whether it is time to ask again for a vault that is not known.
    fn may_ask(&self, vault: &str) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match asked.get(vault) {
            Some(last) if now.duration_since(*last) < AGAIN => false,
            _ => {
                asked.insert(vault.to_owned(), now);
                true
            }
        }
    }
}

impl Agent {
    /// A vault of this host. One that was not installed at the last look is looked for again.
    pub(super) async fn vault(self: &Arc<Self>, vault: &str) -> Result<Arc<Known>, Problem> {
        if let Some(known) = self.vaults.known(vault) {
            return Ok(known);
        }
        if !self.config.vaults.iter().any(|v| v == vault) {
            return Err(no_such_vault(vault));
        }
        if !self.vaults.may_ask(vault) {
            return Err(self
                .alarms
                .of_vault(vault)
                .unwrap_or_else(|| no_such_vault(vault)));
        }
        self.refresh(vault).await
    }

    /// Looks for every vault that is not known yet.
    pub(super) async fn look_for_vaults(self: &Arc<Self>) {
        for vault in &self.config.vaults {
            // What is wrong shows in the status.
            let _ = self.vault(vault).await;
        }
    }

    /// Asks the worker for a vault's documents.
    pub(super) async fn refresh(self: &Arc<Self>, vault: &str) -> Result<Arc<Known>, Problem> {
        let first = self.vaults.known(vault).is_none();
        let counted = self.counted(vault).await?;
        let job = Job::Vault {
            vault: vault.to_owned(),
        };
        let facts = match self.workers.ask(&job).await {
            Ok(FromWorker::Vault(facts)) => Ok(facts),
            Ok(_) => Err(out_of_turn()),
            Err(problem) => Err(problem),
        };
        let learnt = match facts {
            Ok(facts) => self.learn_since(vault, facts, counted).await,
            Err(problem) => Err(problem),
        };
        self.alarms.vault(vault, learnt.as_ref().err());
        if learnt.is_ok() && first {
            self.met(vault).await;
        }
        learnt
    }

    /// What could not be done while the vault's worker was out of reach.
    async fn met(self: &Arc<Self>, vault: &str) {
        self.alarms.set("worker", None);
        if let Some(known) = self.vaults.known(vault) {
            // Before its journal is taken up: whether this record is the one that it goes with.
            let told = self.take_up_manifest(&known).await;
            self.alarms.set("the store", told.as_ref().err());
        }
        let caught_up = self.catch_up(vault).await;
        self.alarms.set(
            &format!("journal of vault {vault}"),
            caught_up.as_ref().err(),
        );
        for record in self.book.requests() {
            let open = record.stage == Stage::Open && record.request.vault == vault;
            if open && !self.sessions.any(record.id()) {
                // Where this fails the first one to ask for credentials tries again.
                let _ = self.fetch_session(record.id()).await;
            }
        }
        if self.alarms.is_set("checkpoint") {
            self.checkpoint().await;
        }
    }

    /// The generation that counts by the record. It is read before a worker is asked: what the worker says then must not be older, and may
    /// well be older than what another request has come to meanwhile.
    pub(super) async fn counted(&self, vault: &str) -> Result<Option<(u64, Digest)>, Problem> {
        Ok(self.book.vault(vault).await?.counts)
    }

    /// Checks a vault's documents, which must not be of an earlier generation than `counted`; a roster that is new goes on record.
    pub(super) async fn learn_since(
        self: &Arc<Self>,
        vault: &str,
        facts: VaultFacts,
        counted: Option<(u64, Digest)>,
    ) -> Result<Arc<Known>, Problem> {
        not_older(facts.manifest.as_ref(), counted)?;
        self.learn(vault, facts).await
    }

    async fn learn(
        self: &Arc<Self>,
        vault: &str,
        facts: VaultFacts,
    ) -> Result<Arc<Known>, Problem> {
        let versions = verify_chain(&facts.roster_chain)?;
        let Some(roster) = versions.last().cloned() else {
            return Err(Problem::new(Code::Tampering, "the roster is empty"));
        };
        if roster.vault != vault || roster.host(facts.host).is_none() {
            return Err(Problem::new(
                Code::Tampering,
                format!("the worker's roster is not one of this host and vault {vault}"),
            ));
        }
        let manifest = match &facts.manifest {
            Some(envelope) => Some(Manifest::verify(envelope, &roster)?),
            None => None,
        };
        self.record_rosters(vault, versions, facts.isolation)
            .await?;
        let known = Arc::new(Known {
            vault: vault.to_owned(),
            host: facts.host,
            isolation: facts.isolation,
            chain: facts.roster_chain,
            roster,
            manifest,
        });
        self.host_is(facts.host);
        self.vaults
            .known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(vault.to_owned(), Arc::clone(&known));
        Ok(known)
    }

    async fn record_rosters(
        self: &Arc<Self>,
        vault: &str,
        versions: Vec<Verified<Roster>>,
        isolation: Isolation,
    ) -> Result<(), Problem> {
        let name = vault.to_owned();
        // Most of the time nothing is new, and then nothing is written.
        let row = self.book.vault(vault).await?;
        let newest = versions.last().map(|r| (r.version, r.digest()));
        if row.roster == newest && row.isolation == Some(isolation) {
            return Ok(());
        }
        self.book
            .commit(move |change| {
                let mut row = change.vault(&name)?;
                let seen = row.roster.map_or(0, |(version, _)| version);
                if let Some((version, digest)) = row.roster
                    && !versions
                        .iter()
                        .any(|r| r.version == version && r.digest() == digest)
                {
                    return Err(Problem::new(
                        Code::Tampering,
                        format!("the worker's roster does not continue version {version}, which is on record"),
                    )
                    .hint("tell the security officer; do not approve anything on this host"));
                }
                for (i, roster) in versions.iter().enumerate() {
                    if roster.version > seen {
                        let before = i.checked_sub(1).map(|b| &versions[b]);
                        for event in signed(roster, before.map(|r| &**r), change.place)? {
                            change.event(&isolated(event, isolation))?;
                        }
                        row.roster = Some((roster.version, roster.digest()));
                        row.recovered
                            .roster_counts(before.map(|r| &**r), roster, change.now());
                        // Whatever else was handed in was made for a version that is past.
                        row.owed = None;
                    }
                }
                row.isolation = Some(isolation);
                change.put_vault(&name, &row)
            })
            .await
    }
}

/// A worker's folder that was put back to an earlier state shows a generation whose key is dead, and custodians' shares with it.
fn not_older(manifest: Option<&Envelope>, counted: Option<(u64, Digest)>) -> Result<(), Problem> {
    let Some((newest, digest)) = counted else {
        return Ok(());
    };
    let shown = match manifest {
        Some(envelope) => envelope.unverified::<Manifest>()?.generation,
        None => 0,
    };
    if shown > newest || manifest.is_some_and(|m| m.digest() == digest) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Tampering,
        format!("the worker shows generation {shown}, and the record says that generation {newest} counts"),
    )
    .hint(
        "the worker's folder was put back to an earlier state: restore the newest generation from a copy; do not open this one",
    ))
}

/// The events of one roster version: each new token, and the version itself with its signatures.
fn signed(
    roster: &Verified<Roster>,
    before: Option<&Roster>,
    place: &Place,
) -> Result<Vec<Event>, Problem> {
    let known = |key| before.is_some_and(|b| b.token_by_approve_key(key).is_some());
    let mut events = Vec::new();
    for token in roster.tokens.iter().filter(|t| !known(&t.approve.key)) {
        let person =
            Actor::person(&token.person).map_err(|why| Problem::new(Code::Tampering, why))?;
        events.push(
            Event::new(EventType::CustodianEnrolled, person)
                .who(token.approve.key.id().to_string())
                .place(place.clone())
                .detail("vault", roster.vault.as_str())
                .detail("serial", token.serial)
                .detail("firmware", token.firmware.as_str())
                .detail("unseal_key", token.unseal.key.id().to_string())
                .detail("proof", told(token, roster).proof)
                .detail("advisories", told(token, roster).advisories)
                .detail("roster_version", roster.version),
        );
    }
    let signers: Vec<String> = signed_by(roster, before)
        .iter()
        .map(|t| format!("{} {}", t.person, t.approve.key.id()))
        .collect();
    let custodians: Vec<String> = roster
        .people
        .iter()
        .filter(|p| p.roles.contains(&Role::Custodian))
        .map(|p| p.name.clone())
        .collect();
    let kind = match before {
        None => EventType::RosterSigned,
        Some(_) => EventType::RosterChanged,
    };
    let changes: Vec<String> = before.map_or_else(Vec::new, |before| {
        changes(before, roster)
            .into_iter()
            .map(|c| {
                if c.widens {
                    format!("{} (widens)", c.text)
                } else {
                    c.text
                }
            })
            .collect()
    });
    let mut signers = signers;
    if roster.by.is_some()
        && let Some(used) = before.and_then(|b| b.recovery.as_ref())
    {
        signers.push(format!(
            "recovery shares of {} {}",
            used.made,
            used.signer.id()
        ));
    }
    let event = Event::new(kind, Actor::agent())
        .place(place.clone())
        .detail("vault", roster.vault.as_str())
        .detail("version", roster.version)
        .detail("sha256", roster.digest().to_string())
        .detail("threshold", roster.threshold)
        .detail("groups", serde_json::json!(roster.groups))
        .detail("custodians", custodians)
        .detail("signed_by", signers)
        .detail("by", roster.by.map(|_| "recovery shares"))
        .envelope("roster", roster.envelope().to_json());
    events.push(match before {
        None => event,
        Some(_) => event.detail("changes", changes),
    });
    Ok(events)
}

/// The tokens of either version that have signed this one.
fn signed_by(roster: &Verified<Roster>, before: Option<&Roster>) -> Vec<Token> {
    let both = before.iter().flat_map(|b| &b.tokens).chain(&roster.tokens);
    let mut signers: Vec<Token> = Vec::new();
    for token in both {
        let key = std::slice::from_ref(&token.approve.key);
        let counted = signers.iter().any(|t| t.approve.key == token.approve.key);
        if !counted && !roster.envelope().signers(key).is_empty() {
            signers.push(token.clone());
        }
    }
    signers
}

/// This host has no such vault.
pub(super) fn no_such_vault(vault: &str) -> Problem {
    Problem::new(Code::Usage, format!("this host has no vault {vault}"))
        .hint("'vaults' in agent.toml names those that it has")
}
