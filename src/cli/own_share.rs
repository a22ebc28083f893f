//! A custodian's own share: found in the papers, opened on the token after a signature, compared with the manifest. For an approval and for
//! a drill alike.
//!
//! The share is in this process from the token's answer until it is wiped, and nowhere else.

use twotap_shares::Mnemonic;

use crate::{
    protocol::{Code, Problem, readiness::Layer},
    token::{Pin, Slot, Token},
    trust::{
        Digest,
        manifest::Manifest,
        roster::{self, Roster},
    },
    vault::{SealedShare, check_share},
};

use super::{checked::vault_problem, token, ui::Ui};

/// The share that a token opens, still sealed.
pub(super) struct OwnShare {
    /// The token, as the roster lists it.
    pub listed: roster::Token,
    approve: Slot,
    unseal: Slot,
    unseal_key: p256::PublicKey,
    file: Vec<u8>,
    peer: [u8; 65],
}

/// What went wrong, and in which layer of a share.
pub(super) struct Failed {
    pub layer: Layer,
    pub problem: Problem,
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        failed.problem
    }
}

/// Adds the layer to what went wrong.
pub(super) trait At<T> {
    /// In this layer.
    fn at(self, layer: Layer) -> Result<T, Failed>;
}

impl<T> At<T> for Result<T, Problem> {
    fn at(self, layer: Layer) -> Result<T, Failed> {
        self.map_err(|problem| Failed { layer, problem })
    }
}

impl OwnShare {
    /// The share file that belongs to this token by manifest and roster.
    pub(super) fn find(
        file: &[u8],
        manifest: &Manifest,
        roster: &Roster,
        token: &Token,
    ) -> Result<Self, Failed> {
        let listed = token::listed(token, roster).at(Layer::Token)?.clone();
        must_be_theirs(file, manifest, &listed)?;
        let share = SealedShare::parse(file)
            .map_err(vault_problem)
            .at(Layer::Age)?;
        let unseal_key = listed
            .unseal
            .key
            .p256()
            .ok_or_else(|| Problem::new(Code::Usage, "the roster's unseal key is not on p-256"))
            .at(Layer::Papers)?;
        let peer = share
            .peer_point_for(&unseal_key)
            .map_err(vault_problem)
            .at(Layer::Age)?;
        Ok(Self {
            approve: token::slot(&listed.approve).at(Layer::Papers)?,
            unseal: token::slot(&listed.unseal).at(Layer::Papers)?,
            unseal_key,
            file: file.to_vec(),
            peer,
            listed,
        })
    }

    /// One transaction: PIN, signature of `digest`, PIN, key agreement. Then the signature is given to `holds`, and the share is opened and
    /// compared with the manifest.
    pub(super) fn sign_and_open(
        &self,
        (token, pin, ui): (&mut Token, &Pin, &Ui),
        manifest: &Manifest,
        digest: &[u8; 32],
        holds: impl FnOnce(Vec<u8>) -> bool,
    ) -> Result<Mnemonic, Failed> {
        let mut prompt = token::toucher(ui, token.serial());
        let done = token
            .approve(
                pin,
                self.approve,
                self.unseal,
                digest,
                &self.peer,
                &mut prompt,
            )
            .map_err(token::problem)
            .map_err(at_the_token)?;
        if !holds(done.signature) {
            return Err(token::other_key(&self.listed)).at(Layer::Token);
        }
        let opened = SealedShare::parse(&self.file)
            .and_then(|share| share.open_with_shared(&self.unseal_key, &done.shared))
            .map_err(vault_problem)
            .at(Layer::Age)?;
        let share = std::str::from_utf8(&opened)
            .ok()
            .and_then(|text| Mnemonic::parse(text).ok())
            .ok_or_else(|| {
                Problem::new(Code::Tampering, "what the share file holds is not a share")
                    .hint("do not go on; tell the security officer")
            })
            .at(Layer::Checksum)?;
        check_share(manifest, &self.listed.person, &share)
            .map_err(vault_problem)
            .at(Layer::Words)?;
        Ok(share)
    }
}

/// PIN and touch are layers of their own.
pub(super) fn at_the_token(problem: Problem) -> Failed {
    let layer = match problem.code {
        Code::Pin => Layer::Pin,
        Code::Touch => Layer::Touch,
        _ => Layer::Token,
    };
    Failed { layer, problem }
}

/// The agent sends the share of whoever is logged in; the token has to be that person's too.
fn must_be_theirs(share: &[u8], manifest: &Manifest, listed: &roster::Token) -> Result<(), Failed> {
    let digest = Digest::of(share);
    let mut shares = manifest.shares.iter();
    let owner = shares.find(|share| share.file_sha256 == digest);
    let (serial, person) = (listed.serial, &listed.person);
    match owner.map(|share| &share.custodian) {
        Some(owner) if owner == person => Ok(()),
        Some(owner) => Err(Problem::new(
            Code::Token,
            format!("token {serial} is {person}'s, and the share that came is {owner}'s"),
        )
        .hint("use your own token (--token SERIAL); if it is, do not go on and tell the security officer"))
        .at(Layer::Token),
        None => Err(Problem::new(
            Code::Tampering,
            format!("the share is not the one that the manifest names for {person}"),
        )
        .hint("do not go on; tell the security officer"))
        .at(Layer::ShareFile),
    }
}
