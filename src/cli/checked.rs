//! A request that was checked from end to end: nothing is shown, compared or signed before.

use crate::{
    protocol::{Code, Problem, evidence::EpochProof, socket::RequestView},
    token::Token,
    trust::{
        Envelope, TrustError, Verified,
        manifest::Manifest,
        request::{Offer, Purpose, Request},
        roster::{Roster, verify_next},
    },
    vault::VaultError,
};

use super::{
    Door,
    epochs::Epochs,
    memory::{FirstMeeting, Memory},
    roster, token,
    ui::{Ui, plain},
};

/// The documents of a request as they came.
pub(super) struct Papers<'p> {
    pub offer: &'p Envelope,
    pub manifest: &'p Envelope,
    pub roster_chain: &'p [Envelope],
    /// The roster version that the request would take up.
    pub next_roster: Option<&'p Envelope>,
    /// The epochs of the host's record.
    pub epochs: &'p [EpochProof],
}

impl<'p> Papers<'p> {
    /// As the agent shows a request.
    pub(super) fn of(view: &'p RequestView) -> Self {
        Self {
            offer: &view.offer,
            manifest: &view.manifest,
            roster_chain: &view.roster_chain,
            next_roster: view.next_roster.as_ref(),
            epochs: &view.epochs,
        }
    }
}

/// The same documents, believed.
pub(super) struct Checked {
    pub roster: Verified<Roster>,
    pub manifest: Verified<Manifest>,
    pub offer: Verified<Offer>,
    /// The roster version that the request would take up.
    pub next: Option<Verified<Roster>>,
}

impl Checked {
    /// The request that was offered.
    pub(super) fn request(&self) -> &Request {
        &self.offer.0
    }

    /// The host that offers it, by the name that the roster gives it.
    pub(super) fn host(&self) -> &str {
        self.roster
            .host(self.request().host)
            .map_or("unknown", |host| host.name.as_str())
    }
}

/// Checks a request: the roster chain against what this person has seen, the manifest and the offer against the roster, the offer against the
/// manifest, and both heads of the record against what was seen; then remembers the newest of each.
pub(super) fn check(
    papers: &Papers<'_>,
    memory: &mut Memory,
    first: &FirstMeeting<'_>,
    ui: &Ui,
) -> Result<Checked, Problem> {
    // Which vault it claims to be for; whether that is true is what follows.
    let claimed = papers.offer.unverified::<Offer>()?.0.vault;
    let (roster, manifest) = sealed(
        &claimed,
        (papers.roster_chain, papers.manifest),
        memory,
        (first, ui),
    )?;
    let offer = Offer::verify(papers.offer, &roster)?;
    let request = &offer.0;
    if request.manifest_sha256 != manifest.digest() || request.generation != manifest.generation {
        return Err(Problem::new(
            Code::Tampering,
            "the offer was made for another generation than the manifest's",
        )
        .hint("do not go on; tell the security officer"));
    }
    let own = (claimed.as_str(), papers.roster_chain);
    let epochs = Epochs::of(papers.epochs, own, request.host)?;
    let seen = memory.seen();
    seen.accept_manifest(&manifest)?;
    // A manifest carries the head that its own ceremony began with, so it is older than its date says; a request that is made
    // upon it must stand on a record that has grown since.
    let (sealed, asked) = (manifest.audit, request.audit);
    let lost = epochs.explain((sealed, manifest.created_at), asked, &[]);
    if lost.is_none() && (asked.seq < sealed.seq || (asked.seq == sealed.seq && asked != sealed)) {
        return Err(TrustError::Rollback {
            what: "audit head",
            presented: asked.seq,
            seen: sealed.seq,
        }
        .into());
    }
    let before = seen.head(&claimed);
    let seen_lost =
        before.and_then(|seen_at| epochs.explain(seen_at, asked, seen.epochs(&claimed)));
    if seen_lost.is_some() {
        seen.put_back_head(&claimed, asked, request.not_before)?;
    }
    seen.accept_head(&claimed, request.audit, request.not_before)?;
    seen.met_epochs(&claimed, &epochs.all())?;
    if let Some(lost) = seen_lost.or(lost) {
        ui.warn(plain(&lost));
    }
    let next = taken_up(request, &roster, papers.next_roster)?;
    Ok(Checked {
        roster,
        manifest,
        offer,
        next,
    })
}

/// The roster that counts and the manifest of what is sealed under it; the manifest is not yet remembered.
pub(super) fn sealed(
    vault: &str,
    (chain, manifest): (&[Envelope], &Envelope),
    memory: &mut Memory,
    (first, ui): (&FirstMeeting<'_>, &Ui),
) -> Result<(Verified<Roster>, Verified<Manifest>), Problem> {
    let roster = memory.roster(vault, chain, first, ui)?;
    let manifest = Manifest::verify(manifest, &roster)?;
    Ok((roster, manifest))
}

/// Looks at a vault's papers for the person with this token. At the first meeting with the vault, its roster must have been signed by this
/// very token.
pub(super) fn as_custodian<T>(
    vault: &str,
    chain: &[Envelope],
    token: &mut Token,
    door: &Door,
    look: impl FnOnce(&mut Memory, &FirstMeeting<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let mut memory = Memory::open()?;
    if memory.knows(vault) {
        return look(&mut memory, &FirstMeeting::SaySo);
    }
    let claimed = roster::shown(chain)?;
    let listed = token::listed(token, &claimed)?;
    token::must_hold(token, listed)?;
    let key = listed.approve.key.clone();
    let looked = look(&mut memory, &FirstMeeting::SignedBy(&key))?;
    door.ui.note(format!(
        "first meeting with vault {vault}: its roster is believed because your token has signed it"
    ));
    Ok(looked)
}

/// The version that a request would take up: the very one that it names, and the one that follows.
fn taken_up(
    request: &Request,
    roster: &Verified<Roster>,
    shown: Option<&Envelope>,
) -> Result<Option<Verified<Roster>>, Problem> {
    let Purpose::Roster { roster_sha256, .. } = request.purpose else {
        return Ok(None);
    };
    let next = shown.map(|shown| verify_next(roster, shown)).transpose()?;
    match next {
        Some(next) if next.digest() == roster_sha256 => Ok(Some(next)),
        _ => Err(Problem::new(
            Code::Tampering,
            "the roster that the request would take up is not the one that is shown",
        )
        .hint("do not go on; tell the security officer")),
    }
}

/// Whether the agent shows the request that was named, before anything else about it is believed.
pub(super) fn must_be(offer: &Envelope, named: &str) -> Result<(), Problem> {
    let Offer(request) = offer.unverified::<Offer>()?;
    if request.id == named {
        return Ok(());
    }
    Err(Problem::new(
        Code::Tampering,
        format!("the agent shows another request than {named}"),
    )
    .hint("do not go on; tell the security officer"))
}

/// A vault's failure with its exit code.
pub(super) fn vault_problem(why: VaultError) -> Problem {
    use VaultError as V;
    let code = match &why {
        V::Trust(_) | V::Shares(_) | V::Malformed { .. } => Code::Tampering,
        V::Tampered { .. } | V::Digest { .. } | V::WrongShare { .. } | V::OtherRequest { .. } => {
            Code::Tampering
        }
        V::Credential { .. } | V::TooLarge { .. } => Code::Usage,
        V::NotForThisKey { .. } | V::Token { .. } => Code::Token,
        _ => Code::Internal,
    };
    let hint = why.hint();
    let problem = Problem::new(code, why);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{
        Digest, Head, Signer as _, Timestamp,
        tests::people::{self, SoftToken, host},
    };

    const AT: &str = "2026-01-06T12:00:00Z";

    fn head(seq: u64) -> Head {
        let hash = Digest::of(&seq.to_be_bytes());
        Head { seq, hash }
    }

    /// The papers of a request made `seconds` after noon, under a generation sealed a second before.
    fn papers(
        roster: &Verified<Roster>,
        generation: u64,
        seconds: i64,
        heads: (Head, Head),
    ) -> (Envelope, Envelope) {
        let at = Timestamp::parse(AT).expect("a time").plus(seconds);
        let mut manifest = people::manifest(roster, generation);
        manifest.audit = heads.0;
        manifest.created_at = at.plus(-1);
        let manifest = Envelope::signed(&manifest, &host()).expect("good");
        let access = roster.access("admin").expect("listed");
        let request = Request {
            generation,
            host: host().public().id(),
            account: access.account.clone(),
            role: access.role_arn.clone(),
            regions: access.regions.clone(),
            roster_sha256: roster.digest(),
            manifest_sha256: manifest.digest(),
            not_before: at,
            approve_before: at.plus(1800),
            not_after: at.plus(3600),
            audit: heads.1,
            ..crate::cli::tests::sample_request()
        };
        (
            Envelope::signed(&Offer(request), &host()).expect("good"),
            manifest,
        )
    }

    #[test]
    fn a_record_that_was_cut_or_rewritten_is_found_and_a_slow_ceremony_is_neither() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let roster = people::verified(2, &[&alice, &bob]);
        let chain = [roster.envelope().clone()];
        let dir = tempfile::tempdir().expect("a folder");
        let mut memory = Memory::open_in(dir.path()).expect("empty");
        let ui = Ui::new(true);
        let mut look = |generation, seconds, heads| {
            let (offer, manifest) = papers(&roster, generation, seconds, heads);
            let papers = Papers {
                offer: &offer,
                manifest: &manifest,
                roster_chain: &chain,
                next_roster: None,
                epochs: &[],
            };
            check(&papers, &mut memory, &FirstMeeting::SaySo, &ui).map(|_| ())
        };
        assert_eq!(look(1, 0, (head(10), head(19))), Ok(()));
        // Its ceremony began before the request above was made.
        assert_eq!(look(2, 60, (head(17), head(25))), Ok(()));
        let rewritten = Head {
            seq: 25,
            hash: Digest([9; 32]),
        };
        for heads in [
            (head(17), head(24)),
            (head(17), rewritten),
            (rewritten, head(30)),
        ] {
            let problem = look(2, 120, heads).expect_err("not the same record");
            assert_eq!(problem.code, Code::Tampering);
        }
        // An older generation than was seen.
        let problem = look(1, 180, (head(10), head(40))).expect_err("rolled back");
        assert_eq!(problem.code, Code::Tampering);
    }
}
