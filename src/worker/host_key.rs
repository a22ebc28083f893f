//! The host's Ed25519 key: signs offers, manifests and receipts.

use std::{fs, io, path::Path};

use ed25519_dalek::{
    Signer as _, SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use rand_core::OsRng;

use crate::{
    protocol::{Code, Problem},
    trust::{PublicKey, Signer, file::write_atomic},
};

/// The host key; made at the worker's first start.
pub(super) struct HostKey(SigningKey);

impl HostKey {
    /// Reads `path` (PKCS#8 PEM, mode 0600), or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let internal = |why: &dyn std::fmt::Display| {
            Problem::new(Code::Internal, format!("{}: {why}", path.display()))
        };
        match fs::read_to_string(path).map(zeroize::Zeroizing::new) {
            Ok(pem) => SigningKey::from_pkcs8_pem(&pem).map(Self).map_err(|_| {
                internal(&"not an Ed25519 key in PKCS#8 PEM")
                    .hint("restore it from a backup; a new key must be put into the roster by the custodians")
            }),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let key = SigningKey::generate(&mut OsRng);
                let pem = key
                    .to_pkcs8_pem(LineEnding::LF)
                    .map_err(|_| internal(&"cannot encode a new key"))?;
                write_atomic(path, pem.as_bytes(), 0o600).map_err(|why| internal(&why))?;
                Ok(Self(key))
            }
            Err(why) => Err(internal(&why)),
        }
    }
}

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}
