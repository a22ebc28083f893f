//! The attestation CA of the tests, in a folder: a root with two intermediates as since firmware
//! 5.7.4, and a root of the older kind. The certificates are PEM files, so that a verifier under
//! test can be given them in place of Yubico's. All keys are P-256, whereas Yubico's are RSA.

use crate::{
    profile::Chain,
    x509::{Ends, Template, ca_extensions, name, subject_of},
};
use p256::{
    SecretKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use rand_core::OsRng;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};
use x509_cert::{
    Certificate,
    der::{Decode, DecodePem, Encode, EncodePem},
};

/// A CA certificate of the test PKI; the value is its file's name without `.pem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// `root.pem`: the root since firmware 5.7.4.
    Root,
    /// `intermediate.pem`: below the root.
    Intermediate,
    /// `piv-intermediate.pem`: below the intermediate; signs attestation keys.
    PivIntermediate,
    /// `legacy-root.pem`: the older root; signs attestation keys itself.
    LegacyRoot,
}

impl Authority {
    /// Each of them, issuers first.
    pub const ALL: [Self; 4] = [
        Self::Root,
        Self::Intermediate,
        Self::PivIntermediate,
        Self::LegacyRoot,
    ];

    /// The name of its certificate file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Root => "root.pem",
            Self::Intermediate => "intermediate.pem",
            Self::PivIntermediate => "piv-intermediate.pem",
            Self::LegacyRoot => "legacy-root.pem",
        }
    }

    fn key_name(self) -> String {
        format!("{}.key", self.file_name())
    }

    fn subject(self) -> &'static str {
        match self {
            Self::Root => "CN=Test Attestation Root 1",
            Self::Intermediate => "CN=Test Attestation Intermediate A 1",
            Self::PivIntermediate => "CN=Test PIV Attestation A 1",
            Self::LegacyRoot => "CN=Test PIV Root CA Serial 263751",
        }
    }

    fn issuer(self) -> Self {
        match self {
            Self::Root | Self::Intermediate => Self::Root,
            Self::PivIntermediate => Self::Intermediate,
            Self::LegacyRoot => Self::LegacyRoot,
        }
    }

    /// How many CAs may follow below; the attestation key itself is one.
    fn path_len(self) -> u8 {
        match self {
            Self::Root => 3,
            Self::Intermediate => 2,
            Self::PivIntermediate | Self::LegacyRoot => 1,
        }
    }
}

/// The folder with the test PKI.
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Opens the folder; what is not yet there is made. Several tokens may do so at once.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let pki = Self {
            dir: dir.to_owned(),
        };
        // Whoever comes first makes all of it; the others wait here and find it whole.
        let lock = File::create(dir.join(".lock"))?;
        lock.lock()?;
        let is_whole = Authority::ALL
            .iter()
            .all(|a| pki.certificate_path(*a).exists() && dir.join(a.key_name()).exists());
        if !is_whole {
            Authority::ALL.iter().try_for_each(|a| pki.make(*a))?;
        }
        Ok(pki)
    }

    /// Where a certificate lies, as PEM.
    #[must_use]
    pub fn certificate_path(&self, of: Authority) -> PathBuf {
        self.dir.join(of.file_name())
    }

    /// A certificate (DER).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn certificate(&self, of: Authority) -> io::Result<Vec<u8>> {
        let pem = fs::read(self.certificate_path(of))?;
        let certificate = Certificate::from_pem(pem).map_err(io::Error::other)?;
        certificate.to_der().map_err(io::Error::other)
    }

    /// Who signs attestation keys in this kind of chain.
    pub(crate) fn signer(chain: Chain) -> Authority {
        match chain {
            Chain::Root => Authority::LegacyRoot,
            Chain::Intermediates => Authority::PivIntermediate,
        }
    }

    pub(crate) fn key(&self, of: Authority) -> io::Result<SecretKey> {
        let mut pem = String::new();
        File::open(self.dir.join(of.key_name()))?.read_to_string(&mut pem)?;
        SecretKey::from_pkcs8_pem(&pem).map_err(io::Error::other)
    }

    fn make(&self, authority: Authority) -> io::Result<()> {
        let key = SecretKey::random(&mut OsRng);
        let self_signed = authority.issuer() == authority;
        let (issuer, issuer_key) = if self_signed {
            (name(authority.subject())?, key.clone())
        } else {
            let above = authority.issuer();
            (subject_of(&self.certificate(above)?)?, self.key(above)?)
        };
        let der = Template {
            subject: authority.subject(),
            issuer,
            key: key.public_key(),
            ends: if authority == Authority::LegacyRoot {
                Ends::In2052
            } else {
                Ends::Never
            },
            extensions: ca_extensions(authority.path_len())?,
        }
        .sign(&issuer_key)?;
        let key_pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
        self.write(&authority.key_name(), key_pem.as_bytes())?;
        let pem = Certificate::from_der(&der)
            .and_then(|c| c.to_pem(LineEnding::LF))
            .map_err(io::Error::other)?;
        self.write(authority.file_name(), pem.as_bytes())
    }

    fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = self.dir.join(format!("{file}.new"));
        fs::write(&beside, bytes)?;
        fs::rename(beside, self.dir.join(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, thread};

    #[test]
    fn many_tokens_that_start_at_once_share_one_pki() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("pki");
        let roots: BTreeSet<Vec<u8>> = thread::scope(|s| {
            let all: Vec<_> = (0..8)
                .map(|_| s.spawn(|| Pki::open(&path)?.certificate(Authority::Root)))
                .collect();
            let join = |t: thread::ScopedJoinHandle<'_, io::Result<Vec<u8>>>| {
                t.join().expect("no panic").expect("a root")
            };
            all.into_iter().map(join).collect()
        });
        assert_eq!(roots.len(), 1);
    }

    #[test]
    fn a_half_made_pki_is_made_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let pki = Pki::open(dir.path()).expect("made");
        fs::remove_file(pki.certificate_path(Authority::LegacyRoot)).expect("removed");
        let again = Pki::open(dir.path()).expect("made anew");
        let issuer = subject_of(&again.certificate(Authority::LegacyRoot).expect("read"));
        assert!(issuer.is_ok());
    }
}
