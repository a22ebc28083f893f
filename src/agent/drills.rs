//! Drills: a custodian's share goes out as it is sealed, a signed receipt comes back. Nothing is opened here, and no vault either.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rand_core::{OsRng, RngCore as _};

use super::{
    Agent,
    handlers::{Answered, finish},
    people::Listed,
    proofs::Kind,
    record::isolated,
    routes::{Answer, Call},
};
use crate::{
    audit::event::{Event, EventType},
    protocol::{
        Code, Problem,
        socket::{DrillBundle, DrillFailure, DrillNoted, DrillReceipt, Layer, SheetChecked},
    },
    trust::{Bytes, Digest, Envelope, Timestamp, TrustError, drill},
};

/// How long a drill may take from its papers to its receipt, in seconds: long enough for one that goes by files.
const NONCE_SECONDS: i64 = 24 * 3600;
/// The longest reason of a failure that counts, in bytes.
const MAX_WHY: usize = 512;

/// The 16 bytes that each custodian's next receipt has to carry; a custodian has one, the newest.
#[derive(Default)]
pub(super) struct Nonces {
    given: Mutex<HashMap<(String, String), (Bytes, Timestamp)>>,
}

impl Nonces {
    fn give(&self, vault: &str, person: &str, now: Timestamp) -> Bytes {
        let mut bytes = vec![0; 16];
        OsRng.fill_bytes(&mut bytes);
        let nonce = Bytes(bytes);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert((vault.to_owned(), person.to_owned()), (nonce.clone(), now));
        nonce
    }

    /// Whether it is the one that was given; each counts once.
    fn take(&self, vault: &str, person: &str, nonce: &Bytes, now: Timestamp) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (vault.to_owned(), person.to_owned());
        let fits = given
            .get(&key)
            .is_some_and(|(own, at)| own == nonce && at.until(now) <= NONCE_SECONDS);
        if fits {
            given.remove(&key);
        }
        fits
    }
}

pub(super) async fn drill(call: Call) -> Answered {
    let bundle = call
        .agent
        .drill_bundle(call.param("vault"), &call.caller)
        .await?;
    Answer::json(&bundle)
}

pub(super) async fn drill_passed(call: Call) -> Answered {
    let DrillReceipt { receipt } = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let vault = call.param("vault").to_owned();
    let noted = finish(async move { agent.drill_passed(&vault, receipt, &caller).await }).await?;
    call.agent.bell.notify_one();
    Answer::json(&noted)
}

pub(super) async fn drill_failed(call: Call) -> Answered {
    let failure: DrillFailure = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let vault = call.param("vault").to_owned();
    let noted = finish(async move { agent.drill_failed(&vault, failure, &caller).await }).await?;
    call.agent.bell.notify_one();
    Answer::json(&noted)
}

pub(super) async fn sheet_checked(call: Call) -> Answered {
    let sheet: SheetChecked = call.body()?;
    let (agent, caller) = (Arc::clone(&call.agent), call.caller.clone());
    let vault = call.param("vault").to_owned();
    let noted = finish(async move { agent.sheet_checked(&vault, sheet, &caller).await }).await?;
    call.agent.bell.notify_one();
    Answer::json(&noted)
}

impl Agent {
    /// The papers of what is sealed now, and the caller's own share.
    async fn drill_bundle(
        self: &Arc<Self>,
        vault: &str,
        caller: &Listed,
    ) -> Result<DrillBundle, Problem> {
        let known = self.refresh(vault).await?;
        let sealed = self.sealed_bundle(vault).await?;
        let manifest = known.manifest.as_ref().ok_or_else(moved_on)?;
        if sealed.manifest.digest() != manifest.digest() {
            return Err(moved_on());
        }
        let own = sealed
            .shares
            .into_iter()
            .find(|s| s.custodian == caller.name);
        let share = own.ok_or_else(|| {
            Problem::new(
                Code::Refused,
                format!("generation {} has no share of yours", manifest.generation),
            )
            .hint("the next generation will have one")
        })?;
        Ok(DrillBundle {
            vault: vault.to_owned(),
            manifest: manifest.envelope().clone(),
            roster_chain: known.chain.clone(),
            share: share.age,
            nonce: self.nonces.give(vault, &caller.name, Timestamp::now()),
        })
    }

    /// Takes a receipt, whoever brings it: whose share opened the signature says.
    async fn drill_passed(
        self: &Arc<Self>,
        vault: &str,
        receipt: Envelope,
        caller: &Listed,
    ) -> Result<DrillNoted, Problem> {
        let known = self.vault(vault).await?;
        let manifest = known.manifest.as_ref().ok_or_else(moved_on)?;
        let claimed = receipt.unverified::<drill::Drill>()?;
        if claimed.manifest_sha256 != manifest.digest() {
            // Nobody's doing: it was sealed anew between the two calls.
            return Err(moved_on());
        }
        let (drill, token) =
            drill::verify(&receipt, manifest, &known.roster).map_err(|why| match why {
                why @ TrustError::Mismatch { .. } => Problem::new(Code::Refused, why),
                why => Problem::from(why),
            })?;
        if !self
            .nonces
            .take(vault, &token.person, &drill.nonce, Timestamp::now())
        {
            return Err(Problem::new(
                Code::Refused,
                "the receipt does not answer the newest drill of this custodian, or comes too late",
            )
            .hint("run the drill again: a receipt counts once, and for a day"));
        }
        let (name, by, isolation) = (vault.to_owned(), caller.who.clone(), known.isolation);
        self.book
            .commit(move |change| {
                let actor = super::people::actor(&token.person)?;
                let key = token.approve.key.id();
                let event = Event::new(EventType::DrillPassed, actor)
                    .who(key.to_string())
                    .place(change.place.clone())
                    .detail("vault", name.as_str())
                    .detail("generation", drill.generation)
                    .detail("manifest_sha256", drill.manifest_sha256.to_string())
                    .detail("serial", token.serial)
                    .detail("at", drill.at.to_string())
                    .detail("handed_in_by", by)
                    .detail(
                        "receipt_sha256",
                        Digest::of(receipt.to_json().as_bytes()).to_string(),
                    )
                    .envelope("drill", receipt.to_json());
                change.event(&isolated(event, isolation))?;
                let mut row = change.vault(&name)?;
                let at = change.now();
                row.proofs
                    .proven(key, &token.person, token.serial, Kind::Drill, at);
                change.put_vault(&name, &row)?;
                Ok(DrillNoted {
                    at,
                    custodian: token.person,
                    passed: true,
                })
            })
            .await
    }

    /// Notes that a share did not open, by the word of the custodian who tried.
    async fn drill_failed(
        self: &Arc<Self>,
        vault: &str,
        failure: DrillFailure,
        caller: &Listed,
    ) -> Result<DrillNoted, Problem> {
        let known = self.vault(vault).await?;
        let DrillFailure { layer, why } = failure;
        if why.len() > MAX_WHY || why.chars().any(char::is_control) {
            return Err(Problem::new(
                Code::Usage,
                format!("the reason is one line of at most {MAX_WHY} bytes"),
            ));
        }
        let (name, who, caller) = (vault.to_owned(), caller.who.clone(), caller.name.clone());
        let generation = known.manifest.as_ref().map(|m| m.generation);
        let isolation = known.isolation;
        self.book
            .commit(move |change| {
                let actor = super::people::actor(&caller)?;
                let event = Event::new(EventType::DrillFailed, actor)
                    .who(who)
                    .place(change.place.clone())
                    .detail("vault", name.as_str())
                    .detail("generation", generation)
                    .detail("layer", layer.name())
                    .detail("why", why.as_str());
                change.event(&isolated(event, isolation))?;
                let mut row = change.vault(&name)?;
                let at = change.now();
                if speaks_against(layer) {
                    row.proofs.failed(&caller, layer, at);
                    change.put_vault(&name, &row)?;
                }
                Ok(DrillNoted {
                    at,
                    custodian: caller,
                    passed: false,
                })
            })
            .await
    }
}

/// Whether a failure says something about the share or its token, and not about the moment.
fn speaks_against(layer: Layer) -> bool {
    !matches!(layer, Layer::Touch | Layer::Generation)
}

fn moved_on() -> Problem {
    Problem::new(
        Code::Refused,
        "the receipt is for another generation: the vault was sealed anew meanwhile",
    )
    .hint("run the drill again")
}
