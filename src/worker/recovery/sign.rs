//! A quorum of recovery shares stands for a roster: it is put together for one signature, and forgotten.

use twotap_shares::{Mnemonic, combine};

use crate::{
    protocol::{Code, Problem, recovery::ToSign},
    trust::{
        Envelope, Signer as _,
        roster::{By, Roster},
    },
    vault::{VaultIdentity, recovery::RecoverySigner},
    worker::problems::Explain as _,
};

/// Signs the next version with the signer that the version before names.
///
/// # Errors
/// It is not the next version, or not one that recovery shares stand for; the shares are not those that the version before names.
pub(super) fn sign(asked: ToSign) -> Result<Envelope, Problem> {
    let ToSign {
        shares,
        passphrase,
        before,
        mut next,
    } = asked;
    let roster: Roster = before.unverified()?;
    let after: Roster = next.unverified()?;
    let follows = after.vault == roster.vault
        && after.version == roster.version + 1
        && after.previous == Some(before.digest());
    if !follows || after.by != Some(By::Recovery) {
        return Err(Problem::new(
            Code::Refused,
            "that is not the next version of the roster, with recovery shares to stand for it",
        ));
    }
    let recovery = roster.recovery.as_ref().ok_or_else(|| {
        Problem::new(
            Code::Refused,
            "the roster that counts names no recovery shares",
        )
    })?;
    let shares = shares
        .iter()
        .map(|words| Mnemonic::parse(words))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let secret = combine(&shares, passphrase.as_bytes()).map_err(refused)?;
    let identity = VaultIdentity::from_secret(&secret).explain()?;
    if identity.recipient().explain()? != recovery.recipient {
        return Err(Problem::new(
            Code::Refused,
            "these sheets give another identity than the one that the roster names",
        )
        .hint(format!(
            "compare the recipient on the sheets with {}; where the set has a passphrase, it may have been mistyped",
            recovery.recipient
        )));
    }
    let signer = RecoverySigner::of(&identity).explain()?;
    if signer.public() != recovery.signer {
        return Err(Problem::new(
            Code::Tampering,
            "the roster names another signer than these sheets have",
        )
        .hint("nothing was signed; tell the security officer"));
    }
    next.sign(&signer);
    Ok(next)
}

fn refused(why: twotap_shares::Error) -> Problem {
    Problem::new(Code::Refused, why)
        .hint("each sheet by itself: twotap recovery check --set RECORD")
}

#[cfg(test)]
mod tests;
