//! SLIP-39 shares: a secret split k-of-n into words on paper, and back.
//!
//! The whole of SLIP-0039 (<https://github.com/satoshilabs/slips/blob/master/slip-0039.md>): two levels of groups and
//! members, passphrase, iteration exponent, extendable flag, RS1024 checksum. Shares made here open with every other
//! tool of the standard, and theirs open here; `FORMAT.md` beside the sources describes one share bit by bit.
//!
//! ```
//! use rand_core::OsRng;
//! use twotap_shares::{Mnemonic, Scheme, Secret, combine, split};
//!
//! let secret = Secret::new(&[7; 32])?;
//! let groups = split(&secret, b"", &Scheme::single(2, 3), &mut OsRng)?;
//!
//! // What alice and carol read from their sheets: four letters of each word are enough.
//! let alice = Mnemonic::parse(groups[0][0].expose())?;
//! let carol = Mnemonic::parse(&groups[0][2].expose().to_uppercase())?;
//! assert_eq!(combine(&[carol, alice], b"")?.expose(), secret.expose());
//! # Ok::<(), twotap_shares::Error>(())
//! ```
//!
//! # What is kept secret, and how
//!
//! - [`Secret`] and [`Mnemonic`] have no `Debug`, `Display`, `Clone` or `PartialEq`. They, and every buffer on the
//!   way, are wiped when dropped, and have their full size from the start: a buffer that grows leaves a copy behind.
//! - Arithmetic on the bytes has neither table nor branch; digests are compared in constant time.
//! - What remains: the hash functions' own state on the stack is not wiped by their crate, and turning values into
//!   words and back goes through the word list, a table. [`Error`] tells positions, never words.

#![forbid(unsafe_code)]

mod combine;
mod error;
mod feistel;
mod gf256;
mod mnemonic;
pub mod picture;
mod rs1024;
mod secret;
mod shamir;
pub mod sheet;
mod split;
#[cfg(test)]
mod testing;
mod words;

pub use combine::combine;
pub use error::Error;
pub use mnemonic::{Mnemonic, ShareInfo};
pub use secret::{SECRET_MAX_BYTES, SECRET_MIN_BYTES, Secret};
pub use split::{Group, MOST_SHARES, Scheme, split};
pub use words::{WORDS, suggestions, word_index};
