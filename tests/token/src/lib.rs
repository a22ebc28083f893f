//! A virtual YubiKey: the PIV application and the management application of a YubiKey, spoken
//! over the vpcd protocol to a real `pcscd`, so that whatever talks PC/SC can be tested without
//! hardware. It is test-only: its keys lie in a plain JSON file.
//!
//! The layers, from the wire inwards:
//!
//! | module | job |
//! | --- | --- |
//! | [`vpcd`] | framing: one length, one body; power, reset, ATR |
//! | [`apdu`], [`tlv`] | command APDUs in all forms, chaining, GET RESPONSE; BER-TLV |
//! | `card` | which application is selected, what is counted, which fault strikes |
//! | `piv`, `management` | the applications |
//! | [`panel`], [`touch`] | the outside of the token: finger, plug, faults, counters |
//! | [`control`] | that outside as a unix socket, and the client for it |
//! | [`profile`], [`state`], [`pki`], [`x509`] | firmware to imitate; keys and PIN on disk; the attestation CA; certificates |
//! | [`token`] | one token, running |
//! | [`pcscd`] | a private `pcscd` with readers to put tokens into |
//!
//! Not imitated: RSA, P-384, Ed25519 and X25519 keys, PIN complexity, biometrics, and secure
//! messaging. Each of these is answered with a status word, as a token that lacks it would.

#![forbid(unsafe_code)]

pub mod apdu;
mod attest;
mod card;
pub mod control;
mod hex;
mod management;
pub mod panel;
pub mod pcscd;
mod piv;
pub mod pki;
pub mod profile;
pub mod state;
pub mod tlv;
pub mod token;
pub mod touch;
pub mod vpcd;
pub mod x509;

pub use control::{Control, Fault, FaultKind, Status};
pub use pcscd::{Pcscd, TokenOptions, TokenProcess};
pub use profile::Profile;
pub use token::{Token, TokenConfig};
