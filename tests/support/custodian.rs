//! Keys in software: a custodian's two, and a host's as whoever has its disk has it.

use std::path::Path;

use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner as _};
use rand_core::OsRng;
use twotap::{
    protocol::job::{self, OfferMade},
    trust::{
        Bytes, Digest, Envelope, PublicKey, Signer,
        request::{Approval, Denial, Offer, ShareBinding, Withdrawal},
        roster::{SlotKey, Token},
    },
    vault::{Ecdh, SealedShare, seal_share},
};
use twotap_shares::Mnemonic;
use zeroize::Zeroizing;

/// A custodian whose two keys are in this process.
pub(crate) struct SoftCustodian {
    pub(crate) name: String,
    pub(crate) serial: u32,
    approve: SigningKey,
    unseal: p256::SecretKey,
}

impl SoftCustodian {
    pub(crate) fn new(name: &str, serial: u32) -> Self {
        Self {
            name: name.to_owned(),
            serial,
            approve: SigningKey::random(&mut OsRng),
            unseal: p256::SecretKey::random(&mut OsRng),
        }
    }

    pub(crate) fn token(&self) -> Token {
        Token {
            person: self.name.clone(),
            serial: self.serial,
            firmware: "5.7.4".to_owned(),
            approve: SlotKey {
                slot: 0x82,
                key: Signer::public(self),
            },
            unseal: SlotKey {
                slot: 0x83,
                key: self.unseal.public_key().into(),
            },
            attestation: None,
        }
    }

    /// The key that shares are sealed to, for a file that somebody opens later.
    pub(crate) fn unseal_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.unseal.to_bytes())
    }

    /// Opens the own share of an offer and answers it, as `twotap approve` would.
    pub(crate) fn approve(&self, made: &OfferMade) -> job::Approval {
        let request = made.offer.unverified::<Offer>().expect("an offer").0;
        let binding = ShareBinding {
            request_sha256: made.offer.digest(),
            manifest_sha256: request.manifest_sha256,
        };
        let share = self.open_own_share(made);
        job::Approval {
            approval: self.yes(made),
            sealed_share: Bytes(
                seal_share(&request.worker_key, &binding, &share).expect("a good recipient"),
            ),
        }
    }

    /// The signature of a yes.
    pub(crate) fn yes(&self, made: &OfferMade) -> Envelope {
        let mut approval = made.offer.repurposed::<Approval>();
        approval.sign(self);
        approval
    }

    /// The words of the own share.
    pub(crate) fn open_own_share(&self, made: &OfferMade) -> Mnemonic {
        let share = made
            .shares
            .iter()
            .find(|s| s.custodian == self.name)
            .expect("a share for this custodian");
        let words = SealedShare::parse(&share.age.0)
            .and_then(|s| s.open(self))
            .expect("the share opens with this custodian's key");
        let words = std::str::from_utf8(&words).expect("words");
        Mnemonic::parse(words).expect("a share")
    }

    /// Takes the own yes back.
    pub(crate) fn withdraw(&self, made: &OfferMade) -> Envelope {
        let withdrawal = Withdrawal {
            v: 1,
            request_sha256: made.offer.digest(),
        };
        Envelope::signed(&withdrawal, self).expect("a good withdrawal")
    }

    /// Says no to an offer.
    pub(crate) fn deny(&self, made: &OfferMade) -> Envelope {
        let denial = Denial {
            v: 1,
            request_sha256: made.offer.digest(),
            reason: "not now".to_owned(),
        };
        Envelope::signed(&denial, self).expect("a good denial")
    }
}

impl Signer for SoftCustodian {
    fn public(&self) -> PublicKey {
        PublicKey::P256(*self.approve.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let sig: p256::ecdsa::Signature = self
            .approve
            .sign_prehash(&Digest::of(message).0)
            .expect("32 bytes");
        sig.normalize_s()
            .unwrap_or(sig)
            .to_der()
            .as_bytes()
            .to_vec()
    }
}

impl Ecdh for SoftCustodian {
    fn shared(&self, peer: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String> {
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|why| why.to_string())?;
        let shared = p256::ecdh::diffie_hellman(self.unseal.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
    }

    fn public(&self) -> p256::PublicKey {
        self.unseal.public_key()
    }
}

/// A host's key, as whoever has its disk has it.
pub(crate) struct HostKey(ed25519_dalek::SigningKey);

impl HostKey {
    pub(crate) fn new() -> Self {
        Self(ed25519_dalek::SigningKey::generate(&mut rand_core::OsRng))
    }

    /// The one in a worker's state folder.
    pub(crate) fn of(state: &Path) -> Self {
        use ed25519_dalek::pkcs8::DecodePrivateKey as _;
        let pem = std::fs::read_to_string(state.join("host.key")).expect("a key");
        Self(ed25519_dalek::SigningKey::from_pkcs8_pem(&pem).expect("PKCS#8"))
    }
}

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        use ed25519_dalek::Signer as _;
        self.0.sign(message).to_bytes().to_vec()
    }
}
