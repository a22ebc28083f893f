//! The claim: a compare-and-swap at one place decides which host replaces a generation.
//!
//! ```text
//!  label on ─▶ generation N          free
//!           ─▶ generation N + claim  a host is at it; another waits until the claim is CLAIM_LIVES old by AWS's clock
//!           ─▶ generation N + 1      committed: `current` follows
//! ```
//!
//! Every arrow is a move of the one label from the version on which it was seen. A host whose claim was taken over cannot commit,
//! and one that wakes up later finds the label elsewhere.

use std::time::{Duration, Instant};

use super::{
    Turn, adopt, claim_place,
    secret::{Found, SecretPlace, version_id},
};
use crate::{
    aws::{AssumeRole, Credentials, Moved, revocation},
    protocol::{Code, Problem, job::PlaceStep},
    trust::{Timestamp, Verified, manifest::Manifest},
    vault::{AccessKey, Bundle, bundle::Claim, store::Writer},
};

use super::super::{
    Worker,
    home::Vault,
    mint::credentials,
    plan::{arn, tag},
    problems::{Explain as _, in_one_line},
    setback::{Setback, Tries, setback},
};

/// How old a claim must be, by AWS's clock, before another host may take it over: longer than a worker goes on trying (ten minutes
/// with the key in memory, one for minting), and as long as its session for the place lives.
pub(super) const CLAIM_LIVES: i64 = 15 * 60;
/// How long the claim may hold up an opening.
const BEFORE_MINTING: Duration = Duration::from_secs(10);
/// How often a claim is tried for before it counts as lost.
const TRIES: u32 = 3;

/// Where this host stands.
pub(super) enum State {
    /// The roster names no place that holds the claim.
    None,
    /// It could not be asked for yet.
    NotYet,
    /// This host goes on.
    Held(Held),
}

/// The claim, as it is held.
pub(super) struct Held {
    /// The version that the label stands on; none where the place was empty.
    version: Option<String>,
    /// Where it stood before.
    before: Option<String>,
}

/// Why the claim is not held.
enum Not {
    /// Another host goes on, or went on.
    Ours(Problem),
    /// It could not be found out.
    Known(Setback),
}

impl From<Setback> for Not {
    fn from(why: Setback) -> Self {
        Self::Known(why)
    }
}

impl From<Problem> for Not {
    fn from(why: Problem) -> Self {
        Self::Known(Setback::Never(why))
    }
}

impl Turn {
    /// Begins this host's turn, before anything is minted. `again` is what a person types to ask once more.
    ///
    /// # Errors
    /// Only where another host is surely ahead. A place that cannot be asked, or that answers nonsense, does not stop an opening: the
    /// rotation asks again, and waits for it.
    pub(in super::super) async fn begin(
        worker: &mut Worker,
        vault: &Vault,
        request: Option<&str>,
        again: String,
        key: &AccessKey,
    ) -> Result<Self, Problem> {
        let mut turn = Self {
            request: request.map(str::to_owned),
            again,
            claim: State::None,
            sessions: Vec::new(),
            unknown_key: false,
            _alone: None,
        };
        if claim_place(vault).is_none() {
            return Ok(turn);
        }
        turn._alone = worker.home.alone(&vault.name)?;
        if turn._alone.is_none() {
            return Err(turn.moved_on("this vault is being opened for another request"));
        }
        turn.claim = State::NotYet;
        let taken = turn.take_while_unknown(worker, vault, key);
        match tokio::time::timeout(BEFORE_MINTING, taken).await {
            Ok(Err(Not::Ours(problem))) => Err(problem),
            Ok(Err(_)) | Err(_) if turn.unknown_key => Err(turn.moved_on(
                "aws does not know the key that was opened here; another host has replaced it",
            )),
            Ok(Err(Not::Known(why))) => {
                let why = in_one_line(&why.into_problem());
                turn.unread(worker, vault, why).await?;
                Ok(turn)
            }
            // A claim that was taken without a word is found as our own by the next try.
            Err(_) => {
                let why = format!("no answer within {} seconds", BEFORE_MINTING.as_secs());
                turn.unread(worker, vault, why).await?;
                Ok(turn)
            }
            Ok(Ok(())) => Ok(turn),
        }
    }

    /// Sees to it that the claim is held before anything is done to keys.
    pub(in super::super) async fn claimed(
        &mut self,
        worker: &mut Worker,
        writer: &Writer,
        vault: &Vault,
        key: &AccessKey,
        until: Instant,
    ) -> Result<(), Setback> {
        let mut tries = Tries::new("the claim", until);
        while matches!(self.claim, State::NotYet) {
            match self.take(worker, vault, Some(writer), key).await {
                Ok(()) => {}
                Err(Not::Ours(problem)) => return Err(Setback::Never(problem)),
                Err(Not::Known(why)) => self.again(worker, &mut tries, why).await?,
            }
        }
        Ok(())
    }

    /// Whether this host's claim still stands: asked before what cannot be undone.
    pub(in super::super) async fn still_ours(
        &mut self,
        worker: &Worker,
        vault: &Vault,
        key: &AccessKey,
    ) -> Result<(), Setback> {
        let Some(place) = self.place(worker, vault, key).await? else {
            return Ok(());
        };
        let State::Held(held) = &self.claim else {
            return Err(Setback::Never(self.moved_on("this host has no claim")));
        };
        let now = place.look().await?.map(|found| found.version);
        if now == held.version {
            Ok(())
        } else {
            Err(Setback::Never(self.moved_on(
                "another host took over while this one was at it",
            )))
        }
    }

    /// The commit: the label moves from this host's claim to the new generation, and `current` follows. Where no place holds the claim,
    /// `current` alone moves.
    pub(in super::super) async fn commit(
        &mut self,
        worker: &mut Worker,
        writer: &Writer,
        vault: &Vault,
        manifest: &Verified<Manifest>,
        key: &AccessKey,
        until: Instant,
    ) -> Result<(), Setback> {
        let n = manifest.generation;
        if let Some(place) = self.place(worker, vault, key).await? {
            let generation = writer.read(n).explain().map_err(Setback::Never)?;
            let bundle = Bundle::new(&generation, vault.chain.clone());
            bundle.fits_a_secret().explain().map_err(Setback::Never)?;
            let State::Held(held) = &self.claim else {
                return Err(Setback::Never(self.moved_on("this host has no claim")));
            };
            let (version, from) = (version_id(), held.version.clone());
            let mut tries = Tries::new("the place that holds the claim", until);
            loop {
                let moved = async {
                    place.put(&version, &bundle).await?;
                    place.move_label(from.as_deref(), &version).await
                };
                match moved.await {
                    Ok(Moved::Yes) => break,
                    Ok(Moved::No) => {
                        let why = "another host took over while this one was at it";
                        return Err(Setback::Never(self.moved_on(why)));
                    }
                    Err(why) => self.again(worker, &mut tries, why).await?,
                }
            }
            let step = PlaceStep::CopyWritten {
                place: place.name.clone(),
                generation: n,
                bundle_sha256: bundle.digest(),
            };
            // The next generation needs a claim of its own.
            self.claim = State::NotYet;
            self.tell(worker, &vault.name, step)
                .await
                .map_err(Setback::Never)?;
        }
        writer.commit(n).explain().map_err(Setback::Never)
    }

    /// Pauses before the next try, or gives up.
    pub(super) async fn again(
        &self,
        worker: &mut Worker,
        tries: &mut Tries,
        why: Setback,
    ) -> Result<(), Setback> {
        let request = self.request.as_deref();
        tries.again(why, &mut worker.link, request).await
    }

    /// Gives a claim back that came to nothing, so that no other host has to wait for it. Where that fails it grows old.
    pub(in super::super) async fn give_back(
        &mut self,
        worker: &Worker,
        vault: &Vault,
        key: &AccessKey,
    ) {
        let held = match std::mem::replace(&mut self.claim, State::NotYet) {
            State::Held(held) => held,
            other => {
                self.claim = other;
                return;
            }
        };
        if let (Some(version), Some(before)) = (held.version, held.before)
            && let Ok(Some(place)) = self.place(worker, vault, key).await
        {
            let _ = place.move_label(Some(&version), &before).await;
        }
    }

    /// What is said to whoever comes second.
    fn moved_on(&self, why: &str) -> Problem {
        Problem::new(Code::Refused, format!("the vault moved on: {why}"))
            .hint(format!("ask again: {}", self.again))
    }

    /// Takes the claim: puts what counts once more, with this host's name on it, and moves the label there.
    async fn take(
        &mut self,
        worker: &mut Worker,
        vault: &Vault,
        writer: Option<&Writer>,
        key: &AccessKey,
    ) -> Result<(), Not> {
        for _ in 0..TRIES {
            let Some(place) = self.place(worker, vault, key).await? else {
                return Ok(());
            };
            let (name, found) = (place.name.clone(), place.look().await?);
            if let Some(found) = &found {
                self.may_take(worker, vault, writer, &name, found).await?;
            }
            let Some(current) = &vault.current else {
                // Nothing is sealed anywhere: the first generation's commit is the first move.
                self.claim = State::Held(Held {
                    version: None,
                    before: None,
                });
                return Ok(());
            };
            let version = version_id();
            let bundle = Bundle::new(&current.files, vault.chain.clone());
            bundle.fits_a_secret().explain()?;
            let claim = Claim {
                host: worker.home.key_id(),
                request: self.request.clone(),
                at: Timestamp::now(),
            };
            place.put(&version, &bundle.claimed(Some(claim))).await?;
            let from = found.as_ref().map(|f| f.version.clone());
            if place.move_label(from.as_deref(), &version).await? == Moved::No {
                // Somebody was faster: look again who.
                continue;
            }
            let old = found.as_ref().and_then(|f| f.bundle.claim.as_ref());
            let step = PlaceStep::ClaimTaken {
                place: name,
                generation: current.manifest.generation,
                from: old.map(|c| c.host),
            };
            self.claim = State::Held(Held {
                // A claim that was taken over has no earlier place worth going back to.
                before: from.filter(|_| old.is_none()),
                version: Some(version),
            });
            self.tell(worker, &vault.name, step).await?;
            return Ok(());
        }
        Err(Not::Ours(
            self.moved_on("other hosts are opening it at this moment"),
        ))
    }

    /// The same, again and again while AWS does not know the opened key: a new one takes a while to be known, a replaced one is never
    /// known again.
    async fn take_while_unknown(
        &mut self,
        worker: &mut Worker,
        vault: &Vault,
        key: &AccessKey,
    ) -> Result<(), Not> {
        let mut tries = Tries::new(
            "the opened key to be known",
            Instant::now() + BEFORE_MINTING,
        );
        loop {
            match self.take(worker, vault, None, key).await {
                Err(Not::Known(why)) if self.unknown_key => {
                    self.again(worker, &mut tries, why).await?;
                }
                taken => return taken,
            }
        }
    }

    /// Whether what was found may be replaced by this host.
    async fn may_take(
        &mut self,
        worker: &mut Worker,
        vault: &Vault,
        writer: Option<&Writer>,
        place: &str,
        found: &Found,
    ) -> Result<(), Not> {
        let theirs = adopt::verify(
            &worker.home,
            &vault.name,
            &found.bundle.clone().claimed(None),
        )?;
        let ours = vault.current.as_ref().map(|c| &c.manifest);
        let number = ours.map_or(0, |m| m.generation);
        if theirs.generation > number {
            self.follow(worker, vault, writer, place, found).await?;
            let why = format!(
                "place {place} holds generation {}, and the shares that were given open generation {number}",
                theirs.generation
            );
            return Err(Not::Ours(self.moved_on(&why)));
        }
        if theirs.generation == number && ours.is_none_or(|m| m.digest() != theirs.digest()) {
            return Err(Not::Known(Setback::Never(
                Problem::new(
                    Code::Tampering,
                    format!("place {place} holds another generation {number} than this host"),
                )
                .hint("keep both as evidence and tell the security officer"),
            )));
        }
        match &found.bundle.claim {
            Some(claim) if claim.host != worker.home.key_id() && found.age < CLAIM_LIVES => {
                let host = vault
                    .roster
                    .host(claim.host)
                    .map_or_else(|| claim.host.to_string(), |h| h.name.clone());
                let of = claim.request.as_deref().unwrap_or("a sealing");
                let left = (CLAIM_LIVES - found.age).max(0) / 60 + 1;
                let why = format!(
                    "host {host} has been opening it for {of} since {}; it is done in seconds, or given up in {left} min",
                    claim.at
                );
                Err(Not::Ours(self.moved_on(&why)))
            }
            _ => Ok(()),
        }
    }

    /// Takes over what another host committed, so that whoever asks again gets it.
    async fn follow(
        &mut self,
        worker: &mut Worker,
        vault: &Vault,
        writer: Option<&Writer>,
        place: &str,
        found: &Found,
    ) -> Result<(), Problem> {
        let bundle = found.bundle.clone().claimed(None);
        let step = match writer {
            Some(writer) => adopt::adopt(&worker.home, writer, &vault.name, &bundle, place)?,
            None => match worker.home.generations(&vault.name)?.lock() {
                Ok(writer) => adopt::adopt(&worker.home, &writer, &vault.name, &bundle, place)?,
                // Another worker of this host is changing the vault; the next look finds it.
                Err(_) => None,
            },
        };
        match step {
            Some(step) => self.tell(worker, &vault.name, step).await,
            None => Ok(()),
        }
    }

    async fn unread(
        &mut self,
        worker: &mut Worker,
        vault: &Vault,
        why: String,
    ) -> Result<(), Problem> {
        let place = claim_place(vault).map_or_else(String::new, |(name, ..)| name.to_owned());
        self.tell(worker, &vault.name, PlaceStep::PlaceUnread { place, why })
            .await
    }

    /// The place that holds the claim, reached by its role.
    async fn place(
        &mut self,
        worker: &Worker,
        vault: &Vault,
        key: &AccessKey,
    ) -> Result<Option<SecretPlace>, Setback> {
        match claim_place(vault) {
            None => Ok(None),
            Some((name, secret, role)) => self
                .secret(worker, vault, name, secret, role, key)
                .await
                .map(Some),
        }
    }

    /// A secret, reached by the role of its place: the opened key takes it, once for a turn.
    pub(super) async fn secret(
        &mut self,
        worker: &Worker,
        vault: &Vault,
        name: &str,
        secret: &str,
        role: &str,
        key: &AccessKey,
    ) -> Result<SecretPlace, Setback> {
        let known = self.sessions.iter().find(|(of, _)| of == name);
        let session = match known {
            Some((_, session)) => session.clone(),
            None => {
                let session = self.session(worker, vault, role, key).await?;
                self.sessions.push((name.to_owned(), session.clone()));
                session
            }
        };
        Ok(SecretPlace {
            aws: worker.aws.clone(),
            name: name.to_owned(),
            arn: arn(secret).map_err(Setback::Never)?,
            credentials: session,
        })
    }

    async fn session(
        &mut self,
        worker: &Worker,
        vault: &Vault,
        role: &str,
        key: &AccessKey,
    ) -> Result<Credentials, Setback> {
        let id = self.request.as_deref().unwrap_or("r-aaaaaaaaaaaaa");
        let ask = AssumeRole {
            role: arn(role).map_err(Setback::Never)?,
            session_name: "twotap-place".to_owned(),
            source_identity: "twotap-place".to_owned(),
            external_id: Some(vault.roster.aws.external_id.clone()),
            tags: tag(id),
            transitive: vec![revocation::TAG_KEY.to_owned()],
            policy: None,
            // STS's least, and as long as a claim lives.
            duration_seconds: 900,
        };
        let answer = worker.aws.assume_role(&credentials(key), &ask).await;
        self.unknown_key = answer
            .as_ref()
            .is_err_and(|why| why.code() == Some("InvalidClientTokenId"));
        Ok(answer.map_err(|why| setback(&why))?.value.credentials)
    }
}
