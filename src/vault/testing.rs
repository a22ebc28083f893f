//! What the tests of this module share: a vault of Alice, Bob and Carol, and their tokens in software.

use p256::elliptic_curve::sec1::FromEncodedPoint as _;
use rand_core::OsRng;
use twotap_shares::Mnemonic;
use zeroize::Zeroizing;

use super::{AccessKey, Ecdh, Generation, SealInput, SealedShare, seal};
use crate::trust::{
    Digest, Head, Signer as _, Verified,
    manifest::Manifest,
    roster::Roster,
    tests::people::{self, SoftToken, host},
};

/// What the AWS CLI prints; the secret is the one of AWS's own examples.
pub(super) const PRINTED: &str = r#"{
    "AccessKey": {
        "UserName": "break-glass",
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "Status": "Active",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "CreateDate": "2026-01-06T10:00:00+00:00"
    }
}
"#;

impl Ecdh for SoftToken {
    fn shared(&self, peer: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String> {
        let peer = p256::EncodedPoint::from_bytes(peer).map_err(|why| why.to_string())?;
        let peer = Option::<p256::PublicKey>::from(p256::PublicKey::from_encoded_point(&peer))
            .ok_or("not on the curve")?;
        let product = p256::ecdh::diffie_hellman(self.unseal.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new((*product.raw_secret_bytes()).into()))
    }

    fn public(&self) -> p256::PublicKey {
        self.unseal.public_key()
    }
}

pub(super) fn tokens<const N: usize>(labels: [&str; N]) -> [SoftToken; N] {
    labels.map(SoftToken::new)
}

pub(super) fn credential() -> AccessKey {
    AccessKey::parse(PRINTED.as_bytes()).expect("an access key")
}

pub(super) fn input<'i>(
    roster: &'i Verified<Roster>,
    credential: &'i AccessKey,
    generation: u64,
) -> SealInput<'i> {
    SealInput {
        vault: "prod",
        generation,
        credential,
        roster,
        previous: (generation > 1).then(|| Digest::of(b"the manifest before")),
        audit: Head::EMPTY,
        created_at: people::at("2026-01-06T11:00:00Z"),
        host_key_id: host().public().id(),
    }
}

/// Generation `number`, sealed for the roster by the host that everybody knows.
pub(super) fn sealed(roster: &Verified<Roster>, number: u64) -> (Generation, Verified<Manifest>) {
    let credential = credential();
    let generation =
        seal(&input(roster, &credential, number), &host(), &mut OsRng).expect("sealed");
    let manifest = generation
        .verify(std::slice::from_ref(roster))
        .expect("verified");
    (generation, manifest)
}

/// What a custodian's token makes of the share file.
pub(super) fn unsealed(generation: &Generation, token: &SoftToken) -> Mnemonic {
    let file = generation.share(&token.person).expect("a share");
    let text = SealedShare::parse(file)
        .expect("an age file")
        .open(token)
        .expect("opened");
    Mnemonic::parse(std::str::from_utf8(&text).expect("words")).expect("a share")
}
