//! age files (<https://c2sp.org/age>) in memory, without plaintext in buffers that grow.
//!
//! One copy is beyond our reach: while it encrypts, the `age` crate keeps a chunk in a plain buffer that it frees without wiping.
//! The processes that call this run under an allocator that wipes what is freed.

use std::{
    cell::RefCell,
    io::{Read as _, Write as _},
    iter,
};

use age::{DecryptError, Decryptor, Encryptor};
use age_core::format::{FileKey, Stanza};
use zeroize::Zeroizing;

use super::VaultError;

/// The largest age file that is read, in bytes.
pub const MAX_AGE_FILE: usize = 64 * 1024;

/// Encrypts `plaintext` to all of `recipients`; `what` names the file in errors.
pub fn encrypt(
    what: &str,
    recipients: &[&dyn age::Recipient],
    plaintext: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let failed = |why: &dyn std::fmt::Display| VaultError::malformed(what, why);
    let encryptor = Encryptor::with_recipients(recipients.iter().copied())
        .map_err(|_| failed(&"it cannot be encrypted to its recipients"))?;
    let mut out = Vec::new();
    let mut writer = encryptor
        .wrap_output(&mut out)
        .map_err(|why| failed(&why))?;
    writer.write_all(plaintext).map_err(|why| failed(&why))?;
    writer.finish().map_err(|why| failed(&why))?;
    Ok(out)
}

/// Decrypts an age file with one identity; `what` names the file in errors.
pub fn decrypt(
    what: &str,
    file: &[u8],
    identity: &dyn age::Identity,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut reader = decryptor(what, file)?
        .decrypt(iter::once(identity))
        .map_err(|why| plain_error(what, why))?;
    // The plaintext is shorter than the file, so the buffer never grows and leaves no copy behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(file.len()));
    reader
        .read_to_end(&mut plaintext)
        .map_err(|_| VaultError::Tampered {
            what: what.to_owned(),
        })?;
    Ok(plaintext)
}

/// The recipient stanzas of an age file's header, in order. Nothing is authenticated yet.
pub(super) fn stanzas(what: &str, file: &[u8]) -> Result<Vec<Stanza>, VaultError> {
    let look = Look(RefCell::new(Vec::new()));
    match decryptor(what, file)?.decrypt(iter::once(&look as &dyn age::Identity)) {
        Err(DecryptError::NoMatchingKeys) => Ok(look.0.into_inner()),
        Err(why) => Err(plain_error(what, why)),
        Ok(_) => Err(VaultError::malformed(what, "it opens without a key")),
    }
}

/// An identity that opens nothing and notes what it was shown: the crate's own parser reads the header for us.
struct Look(RefCell<Vec<Stanza>>);

impl age::Identity for Look {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.0.borrow_mut().push(Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        });
        None
    }
}

fn decryptor<'f>(what: &str, file: &'f [u8]) -> Result<Decryptor<&'f [u8]>, VaultError> {
    if file.len() > MAX_AGE_FILE {
        return Err(VaultError::malformed(what, "it is over 64 KiB"));
    }
    Decryptor::new_buffered(file).map_err(|why| plain_error(what, why))
}

fn plain_error(what: &str, why: DecryptError) -> VaultError {
    let what = what.to_owned();
    match why {
        DecryptError::NoMatchingKeys => VaultError::NotForThisKey { what },
        DecryptError::DecryptionFailed | DecryptError::InvalidMac => VaultError::Tampered { what },
        DecryptError::Io(why) if why.kind() != std::io::ErrorKind::UnexpectedEof => {
            VaultError::malformed(what, why)
        }
        _ => VaultError::malformed(what, "it is not an age file"),
    }
}
