//! The sealed vault: what stands in its files, how it is sealed, opened and kept.
//!
//! A generation is three kinds of file, readable with stock tools alone:
//!
//! * `vault.age`, the credential, an [age](https://c2sp.org/age) file to the generation's fresh X25519 identity and to the
//!   recovery recipient;
//! * `shares/NAME.age`, one share of that identity (SLIP-39 words), an age file to the tokens of that custodian;
//! * `manifest.dsse.json`, the digests of both, signed by the host that sealed.
//!
//! Sealing ([`seal`]) needs public keys alone. Opening ([`open`]) needs a threshold of shares, each of which a custodian's token
//! decrypts ([`piv_p256`]) and the custodian's machine seals again to the worker's one-time key ([`package`]). Generations lie in
//! a [`store`] and travel as a [`bundle`].

pub mod age_file;
pub mod archive;
pub mod bundle;
pub mod credential;
pub mod error;
mod hpke;
pub mod identity;
pub mod open;
pub mod package;
pub mod piv_p256;
mod quorum;
pub mod recording;
pub mod recovery;
pub mod seal;
pub mod store;

#[cfg(test)]
mod testing;

pub use bundle::Bundle;
pub use credential::AccessKey;
pub use error::VaultError;
pub use identity::VaultIdentity;
pub use open::{OneTime, check_share, open, seal_to};
pub use package::{open_share, seal_share};
pub use piv_p256::{Ecdh, SealedShare};
pub use seal::{Generation, SealInput, seal};
pub use store::Generations;

/// Seven lines of Python, without a library, that turn the 64 hex digits that any SLIP-39 tool recovers (read from standard
/// input) into the age identity that opens `vault.age`. Printed on recovery sheets.
pub use twotap_shares::sheet::AGE_KEY_PY;
