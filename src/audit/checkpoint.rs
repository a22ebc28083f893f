//! Checkpoints: a signed note that says where the record stood.
//!
//! ```text
//! twotap audit checkpoint v1
//! origin <host key id>
//! seq 42
//! hash <64 hex>
//! time 2026-01-06T10:00:00.000Z
//!
//! — <key name> <base64>
//! ```
//!
//! Held elsewhere it makes truncation and rewriting of what came before provable. It is the agent's own key, so alone it
//! proves nothing against who holds that key; witnesses of others (approvals carry the head too) do.

use std::fmt;
use std::io;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use rand_core::OsRng;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::chain::Head;
use super::event::timestamp;
use super::files;
use super::note::{self, NoteError, NoteKey};

/// First line of every checkpoint; names purpose and version, so that the key's signature fits nothing else.
pub const HEADER: &str = "twotap audit checkpoint v1";

/// The agent's key for checkpoints. No `Debug`, no `Clone`; zeroized on drop.
pub struct CheckpointKey {
    secret: SigningKey,
    public: NoteKey,
}

impl CheckpointKey {
    /// Reads the key (PKCS#8 PEM, 0600), or makes it where there is none. `name` is its name in notes.
    pub fn open_or_create(path: &Path, name: &str) -> Result<Self, CheckpointError> {
        let pem = files::secret_file(path, new_key)
            .map_err(|e| CheckpointError::KeyFile(e.to_string()))?;
        let broken =
            || CheckpointError::KeyFile("it holds no Ed25519 key in PKCS#8 PEM".to_owned());
        let pem = std::str::from_utf8(&pem).map_err(|_| broken())?;
        let secret = SigningKey::from_pkcs8_pem(pem).map_err(|_| broken())?;
        let public = NoteKey::new(name, secret.verifying_key()).map_err(CheckpointError::Note)?;
        Ok(Self { secret, public })
    }

    /// The public half, which the roster lists and verifiers need.
    pub fn public(&self) -> &NoteKey {
        &self.public
    }

    /// The note that says: at `now` the record of `origin` stood at `head`. `origin` is the host key id, one word.
    pub fn sign(
        &self,
        origin: &str,
        head: &Head,
        now: OffsetDateTime,
    ) -> Result<String, CheckpointError> {
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            head: *head,
            time: timestamp(now),
        };
        if Checkpoint::parse_text(&checkpoint.text()).as_ref() != Some(&checkpoint) {
            return Err(CheckpointError::Text);
        }
        note::sign(&checkpoint.text(), &self.public, &self.secret).map_err(CheckpointError::Note)
    }
}

fn new_key() -> io::Result<Zeroizing<Vec<u8>>> {
    let secret = SigningKey::generate(&mut OsRng);
    // Without the public key: the older of the two PKCS#8 forms, which OpenSSL reads.
    let bytes = KeypairBytes {
        secret_key: secret.to_bytes(),
        public_key: None,
    };
    let pem = bytes
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(io::Error::other)?;
    Ok(Zeroizing::new(pem.as_bytes().to_vec()))
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The host key id of the agent's host.
    pub origin: String,
    /// Where the record stood.
    pub head: Head,
    /// The agent's clock, RFC 3339.
    pub time: String,
}

impl Checkpoint {
    /// Opens a note signed by one of `keys`; the checkpoint and the key.
    pub fn open<'k>(
        note: &str,
        keys: &'k [NoteKey],
    ) -> Result<(Self, &'k NoteKey), CheckpointError> {
        let (text, key) = note::open(note, keys).map_err(CheckpointError::Note)?;
        let checkpoint = Self::parse_text(text).ok_or(CheckpointError::Text)?;
        Ok((checkpoint, key))
    }

    fn text(&self) -> String {
        let Self { origin, head, time } = self;
        format!(
            "{HEADER}\norigin {origin}\nseq {}\nhash {}\ntime {time}\n",
            head.seq, head.hash
        )
    }

    fn parse_text(text: &str) -> Option<Self> {
        let text = text.strip_prefix(HEADER)?.strip_prefix('\n')?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let word = |w: &&str| !w.is_empty() && !w.contains(char::is_whitespace);
        let origin = field("origin").filter(word)?.to_owned();
        let seq = field("seq")
            .filter(|n| *n == "0" || !n.starts_with(['0', '+']))?
            .parse()
            .ok()?;
        let hash = field("hash")?.parse().ok()?;
        let time = field("time").filter(word)?.to_owned();
        lines.next().is_none().then_some(Self {
            origin,
            head: Head { seq, hash },
            time,
        })
    }
}

/// Why a checkpoint or its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// The note or its signature.
    Note(NoteError),
    /// Signed, but not the text of a checkpoint.
    Text,
    /// The key file.
    KeyFile(String),
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(error) => error.fmt(f),
            Self::Text => f.write_str("the note is not a checkpoint"),
            Self::KeyFile(why) => write!(f, "the checkpoint key cannot be used: {why}"),
        }
    }
}

impl std::error::Error for CheckpointError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Hash;
    use std::os::unix::fs::PermissionsExt;

    fn key(dir: &tempfile::TempDir) -> CheckpointKey {
        CheckpointKey::open_or_create(&dir.path().join("checkpoint.key"), "twotap.example/audit")
            .unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn signs_and_opens_with_the_same_key_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let head = Head {
            seq: 42,
            hash: Hash::of(b"x"),
        };
        let note = key(&dir)
            .sign("host-1", &head, OffsetDateTime::UNIX_EPOCH)
            .unwrap();
        assert!(
            note.starts_with("twotap audit checkpoint v1\norigin host-1\nseq 42\nhash 2d711642"),
            "{note}"
        );
        let keys = [key(&dir).public().clone()];
        let (checkpoint, by) = Checkpoint::open(&note, &keys).unwrap();
        assert_eq!(
            (checkpoint.head, checkpoint.time.as_str()),
            (head, "1970-01-01T00:00:00.000Z")
        );
        assert_eq!(by, &keys[0]);
        let path = dir.path().join("checkpoint.key");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let pem = std::fs::read_to_string(path).unwrap();
        assert!(
            pem.starts_with("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw"),
            "the form that OpenSSL reads"
        );
    }

    #[test]
    fn another_key_or_another_text_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let note = key(&one)
            .sign("host-1", &Head::default(), OffsetDateTime::UNIX_EPOCH)
            .unwrap();
        let error = Checkpoint::open(&note, &[key(&two).public().clone()]).unwrap_err();
        assert_eq!(error, CheckpointError::Note(NoteError::UnknownKey));

        let secret = SigningKey::from_bytes(&[7; 32]);
        let public = [NoteKey::new("twotap.example/audit", secret.verifying_key()).unwrap()];
        let zeros = "0".repeat(64);
        let good = format!("{HEADER}\norigin h\nseq 1\nhash {zeros}\ntime t\n");
        assert!(
            Checkpoint::open(&note::sign(&good, &public[0], &secret).unwrap(), &public).is_ok()
        );
        for text in [
            good.replace("v1", "v2"),
            good.replace("seq 1", "seq 01"),
            good.replace("seq 1", "seq +1"),
            good.replace("origin h\n", ""),
            good.replace("time t\n", "time t\nextra\n"),
            good.replace("hash 0", "hash "),
        ] {
            let note = note::sign(&text, &public[0], &secret).unwrap();
            assert_eq!(
                Checkpoint::open(&note, &public).unwrap_err(),
                CheckpointError::Text,
                "{text}"
            );
        }
    }

    #[test]
    fn an_origin_of_two_words_or_a_broken_key_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let signed = key(&dir).sign("a\nseq 9", &Head::default(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(signed, Err(CheckpointError::Text));
        let path = dir.path().join("broken");
        files::replace(&path, b"nonsense").unwrap();
        let error = CheckpointKey::open_or_create(&path, "a.example").err();
        assert!(matches!(error, Some(CheckpointError::KeyFile(_))));
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"nonsense",
            "a broken key is never overwritten"
        );
    }
}
