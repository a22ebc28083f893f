//! A request that was checked from end to end: nothing is shown, compared or signed before.

use crate::{
    protocol::{Code, Problem},
    trust::{
        Envelope, TrustError, Verified,
        manifest::Manifest,
        request::{Offer, Request},
        roster::Roster,
    },
    vault::VaultError,
};

use super::{
    memory::{FirstMeeting, Memory},
    ui::Ui,
};

/// The documents of a request as they came.
pub(super) struct Papers<'p> {
    pub offer: &'p Envelope,
    pub manifest: &'p Envelope,
    pub roster_chain: &'p [Envelope],
}

/// The same documents, believed.
pub(super) struct Checked {
    pub roster: Verified<Roster>,
    pub manifest: Verified<Manifest>,
    pub offer: Verified<Offer>,
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
    let roster = memory.roster(&claimed, papers.roster_chain, first, ui)?;
    let manifest = Manifest::verify(papers.manifest, &roster)?;
    let offer = Offer::verify(papers.offer, &roster)?;
    let request = &offer.0;
    if request.manifest_sha256 != manifest.digest() || request.generation != manifest.generation {
        return Err(Problem::new(
            Code::Tampering,
            "the offer was made for another generation than the manifest's",
        )
        .hint("do not go on; tell the security officer"));
    }
    let seen = memory.seen();
    seen.accept_manifest(&manifest)?;
    // A manifest carries the head that its own ceremony began with, so it is older than its date says; a request that is made
    // upon it must stand on a record that has grown since.
    let (sealed, asked) = (manifest.audit, request.audit);
    if asked.seq < sealed.seq || (asked.seq == sealed.seq && asked != sealed) {
        return Err(TrustError::Rollback {
            what: "audit head",
            presented: asked.seq,
            seen: sealed.seq,
        }
        .into());
    }
    seen.accept_head(&claimed, request.audit, request.not_before)?;
    Ok(Checked {
        roster,
        manifest,
        offer,
    })
}

/// A vault's failure with its exit code.
pub(super) fn vault_problem(why: VaultError) -> Problem {
    use VaultError as V;
    let code = match &why {
        V::Trust(_) | V::Shares(_) | V::Malformed { .. } => Code::Tampering,
        V::Tampered { .. } | V::Digest { .. } | V::WrongShare { .. } | V::OtherRequest { .. } => {
            Code::Tampering
        }
        V::Credential { .. } => Code::Usage,
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
