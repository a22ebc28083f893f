//! What an operator's terminal showed, sealed for the officers: each chunk is an age file of its own to all of their recipients.
//!
//! Every chunk opens by itself, with `age --decrypt -i FILE` as well; what it holds and how chunks hang together is the recorder's affair.

use std::str::FromStr as _;

use zeroize::Zeroizing;

use super::{
    VaultError,
    age_file::{decrypt, encrypt},
};

const CHUNK: &str = "a chunk of a recording";
const IDENTITY: &str = "the identity";

/// Those to whom recordings are sealed.
pub struct Readers(Vec<age::x25519::Recipient>);

impl Readers {
    /// Reads their recipients (`age1...`); none at all is an error, for nobody could open what is sealed.
    pub fn new<'r>(recipients: impl Iterator<Item = &'r str>) -> Result<Self, VaultError> {
        let parsed: Result<Vec<_>, _> = recipients
            .map(|text| {
                age::x25519::Recipient::from_str(text)
                    .map_err(|why| VaultError::malformed("a recipient", why))
            })
            .collect();
        let parsed = parsed?;
        if parsed.is_empty() {
            return Err(VaultError::malformed(
                "the list of recipients",
                "it is empty",
            ));
        }
        Ok(Self(parsed))
    }

    /// Seals a chunk.
    pub fn seal(&self, chunk: &[u8]) -> Result<Vec<u8>, VaultError> {
        let recipients = self.0.iter().map(|r| r as &dyn age::Recipient);
        encrypt(CHUNK, &recipients.collect::<Vec<_>>(), chunk)
    }
}

/// What opens an officer's recordings. A secret.
///
/// ```compile_fail,E0277
/// # fn show(identity: twotap::vault::recording::ReaderIdentity) {
/// println!("{identity:?}");
/// # }
/// ```
pub struct ReaderIdentity(age::x25519::Identity);

impl ReaderIdentity {
    /// Reads what `age-keygen` writes: comments, and one line `AGE-SECRET-KEY-1...`.
    pub fn parse(file: &[u8]) -> Result<Self, VaultError> {
        let bad = |why: &str| VaultError::malformed(IDENTITY, why);
        let text = std::str::from_utf8(file).map_err(|_| bad("it is not text"))?;
        let mut lines = text.lines().map(str::trim);
        let key = lines.find(|l| !l.is_empty() && !l.starts_with('#'));
        let key = key.ok_or_else(|| bad("there is no key in it"))?;
        if key.starts_with("-----BEGIN") || key.starts_with("age-encryption.org") {
            return Err(bad("it is encrypted itself: decrypt it first, with age"));
        }
        age::x25519::Identity::from_str(key)
            .map(Self)
            .map_err(|_| bad("it is not an age identity (AGE-SECRET-KEY-1...)"))
    }

    /// The recipient that it belongs to.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Opens a chunk.
    pub fn open(&self, chunk: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        decrypt(CHUNK, chunk, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::secrecy::ExposeSecret as _;

    fn officer() -> (ReaderIdentity, String) {
        let identity = age::x25519::Identity::generate();
        let file = format!(
            "# created: today\n# public key: {}\n\n{}\n",
            identity.to_public(),
            identity.to_string().expose_secret()
        );
        let parsed = ReaderIdentity::parse(file.as_bytes()).expect("an identity");
        let recipient = identity.to_public().to_string();
        (parsed, recipient)
    }

    #[test]
    fn every_officer_opens_it_and_nobody_else() {
        let ((sofia, to_sofia), (ivan, to_ivan), (stranger, _)) = (officer(), officer(), officer());
        assert_eq!(sofia.recipient(), to_sofia);
        let readers = Readers::new([&*to_sofia, &*to_ivan].into_iter()).expect("recipients");
        let sealed = readers.seal(b"what was seen").expect("sealed");
        assert_eq!(**sofia.open(&sealed).expect("opens"), *b"what was seen");
        assert_eq!(**ivan.open(&sealed).expect("opens"), *b"what was seen");
        let refused = stranger.open(&sealed).err();
        assert!(matches!(refused, Some(VaultError::NotForThisKey { .. })));
        let mut changed = sealed.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        let refused = sofia.open(&changed).err();
        assert!(matches!(refused, Some(VaultError::Tampered { .. })));
    }

    #[test]
    fn nobody_is_sealed_to_and_nothing_read_that_is_no_key() {
        assert!(Readers::new([].into_iter()).is_err());
        assert!(Readers::new(["age1nothing"].into_iter()).is_err());
        for bad in [
            &b""[..],
            b"# only a comment\n",
            b"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
            b"-----BEGIN AGE ENCRYPTED FILE-----\n",
            b"\xff\xfe",
        ] {
            assert!(ReaderIdentity::parse(bad).is_err(), "{bad:?}");
        }
    }
}
