//! Signed notes: a few lines of text with Ed25519 signatures below, after <https://c2sp.org/signed-note>.
//!
//! ```text
//! text, any number of lines, each ending in a newline
//!
//! — <key name> base64(key id, 4 bytes || signature, 64 bytes)
//! ```
//!
//! The signature covers the text with its last newline. key id = SHA-256(name || 0x0A || 0x01 || public key)[:4].

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Signature type byte for Ed25519.
const ED25519: u8 = 0x01;

/// The largest note read, in bytes.
pub const MAX_NOTE: usize = 64 * 1024;

/// The most signature lines read; the specification asks for at least 16.
const MAX_SIGNATURES: usize = 32;

/// A key that may sign notes, with its name. Written as a *verifier key*: `name+<key id, 8 hex>+base64(0x01 || key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: VerifyingKey,
}

impl NoteKey {
    /// A name (no white space, no `+`, no control character; a URL without scheme is the custom) and a public key.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.len() > 128 || name.chars().any(bad) {
            return Err(NoteError::Name);
        }
        if key.is_weak() {
            return Err(NoteError::Key);
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// From the 32 bytes of RFC 8032.
    pub fn from_bytes(name: &str, key: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(
            name,
            VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key)?,
        )
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The four bytes that tell apart keys of one name.
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![ED25519];
        typed.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{}+{}",
            self.name,
            HEXLOWER.encode(&self.id()),
            BASE64.encode(&typed)
        )
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    /// Reads a verifier key; the key id has to fit.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let typed = BASE64.decode(key.as_bytes()).map_err(|_| NoteError::Key)?;
        let bytes = typed
            .strip_prefix(&[ED25519])
            .and_then(|k| k.try_into().ok())
            .ok_or(NoteError::Key)?;
        let key = Self::from_bytes(name, bytes)?;
        if HEXLOWER.encode(&key.id()) != id {
            return Err(NoteError::Key);
        }
        Ok(key)
    }
}

/// Signs `text` (UTF-8, ends in a newline, no other control character): the whole note.
pub fn sign(text: &str, key: &NoteKey, secret: &SigningKey) -> Result<String, NoteError> {
    if !text.ends_with('\n')
        || text.starts_with('\n')
        || has_control(text)
        || text.len() > MAX_NOTE / 2
    {
        return Err(NoteError::Text);
    }
    let mut signed = key.id().to_vec();
    signed.extend_from_slice(&secret.sign(text.as_bytes()).to_bytes());
    Ok(format!(
        "{text}\n\u{2014} {} {}\n",
        key.name,
        BASE64.encode(&signed)
    ))
}

/// The text of a note and the key among `known` that signed it. Signatures of unknown keys are passed over; a bad one of a known key
/// spoils the note.
pub fn open<'n, 'k>(
    note: &'n str,
    known: &'k [NoteKey],
) -> Result<(&'n str, &'k NoteKey), NoteError> {
    let (text, signatures) = split(note)?;
    let mut signer = None;
    for (name, id, signature) in signatures {
        for key in known.iter().filter(|k| k.name == name && k.id() == id) {
            let signature: [u8; 64] = signature
                .as_slice()
                .try_into()
                .map_err(|_| NoteError::Signature)?;
            key.key
                .verify_strict(text.as_bytes(), &Signature::from_bytes(&signature))
                .map_err(|_| NoteError::Signature)?;
            signer = signer.or(Some(key));
        }
    }
    signer.map(|key| (text, key)).ok_or(NoteError::UnknownKey)
}

/// The text of a note whose signatures nobody has checked yet; good for finding out which key to ask for, for nothing else.
pub fn unverified_text(note: &str) -> Result<&str, NoteError> {
    split(note).map(|(text, _)| text)
}

type SignatureLine<'n> = (&'n str, [u8; 4], Vec<u8>);

fn split(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), NoteError> {
    if note.len() > MAX_NOTE || has_control(note) || !note.ends_with('\n') {
        return Err(NoteError::Text);
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Text)?;
    let (text, below) = (&note[..=blank], &note[blank + 2..]);
    let lines: Vec<_> = below
        .split_terminator('\n')
        .map(signature_line)
        .collect::<Option<_>>()
        .ok_or(NoteError::Text)?;
    if lines.is_empty() || lines.len() > MAX_SIGNATURES {
        return Err(NoteError::Text);
    }
    Ok((text, lines))
}

fn signature_line(line: &str) -> Option<SignatureLine<'_>> {
    let (name, base64) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = BASE64.decode(base64.as_bytes()).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    (!name.is_empty() && !signature.is_empty()).then(|| (name, *id, signature.to_vec()))
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|b| b < 0x20 && b != b'\n')
}

/// Why a note or a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// A key name is empty, too long, or has white space or a plus sign.
    Name,
    /// Not an Ed25519 key, or its id does not fit.
    Key,
    /// Not of the form of a signed note.
    Text,
    /// None of the known keys signed it.
    UnknownKey,
    /// The signature of a known key is wrong.
    Signature,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a note key's name must not be empty or have white space or '+' in it",
            Self::Key => "not a note key of the form name+id+base64",
            Self::Text => "not a signed note",
            Self::UnknownKey => "the note is signed by no key that is known",
            Self::Signature => "the note's signature is wrong",
        })
    }
}

impl std::error::Error for NoteError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, seed: u8) -> (NoteKey, SigningKey) {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        (NoteKey::new(name, secret.verifying_key()).unwrap(), secret)
    }

    /// The example of Go's golang.org/x/mod/sumdb/note: a key and a note that this code did not make.
    #[test]
    fn opens_a_note_of_gos_reference() {
        let key: NoteKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
            .parse()
            .unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert_eq!(
            open(&note, std::slice::from_ref(&key)).unwrap(),
            (text, &key)
        );
        assert_eq!(
            key.to_string(),
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        );
    }

    #[test]
    fn any_changed_byte_of_text_or_signature_is_refused() {
        let (key, secret) = pair("twotap.example/audit", 7);
        let note = sign("one\n\ntwo\n", &key, &secret).unwrap();
        let keys = [key];
        assert_eq!(open(&note, &keys).unwrap().0, "one\n\ntwo\n");
        for i in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[i] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(open(&changed, &keys).is_err(), "byte {i}");
            }
        }
    }

    #[test]
    fn unknown_signatures_are_passed_over_and_bad_known_ones_spoil() {
        let (alice, alice_secret) = pair("a.example", 1);
        let (bob, bob_secret) = pair("b.example", 2);
        let note = sign("text\n", &alice, &alice_secret).unwrap();
        let second = sign("text\n", &bob, &bob_secret).unwrap();
        let both = format!("{note}{}", second.strip_prefix("text\n\n").unwrap());
        assert_eq!(open(&both, std::slice::from_ref(&bob)).unwrap().1, &bob);
        assert_eq!(
            open(&note, std::slice::from_ref(&bob)),
            Err(NoteError::UnknownKey)
        );
        let other = sign("other\n", &bob, &bob_secret).unwrap();
        let spoilt = format!("{note}{}", other.strip_prefix("other\n\n").unwrap());
        assert_eq!(open(&spoilt, &[alice, bob]), Err(NoteError::Signature));
    }

    #[test]
    fn shapes_that_are_no_notes() {
        let (key, secret) = pair("a.example", 1);
        for text in ["", "no newline", "tab\t\n", "\nblank first\n"] {
            assert_eq!(sign(text, &key, &secret), Err(NoteError::Text), "{text:?}");
        }
        for note in [
            "",
            "\n",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} a.example !!!\n",
            "text\n\n- a.example AAAA\n",
        ] {
            assert_eq!(
                open(note, std::slice::from_ref(&key)),
                Err(NoteError::Text),
                "{note:?}"
            );
        }
        for name in ["", "a b", "a+b", "a\u{a0}b"] {
            assert_eq!(
                NoteKey::new(name, secret.verifying_key()),
                Err(NoteError::Name)
            );
        }
    }
}
