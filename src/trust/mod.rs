//! What is signed, by whom, and how it is checked.
//!
//! Every document that two parties must agree on is a JSON payload in a [DSSE](https://github.com/secure-systems-lab/dsse)
//! envelope ([`dsse`]). There is one payload type for each purpose ([`dsse::Document::PAYLOAD_TYPE`]), checked exactly, and the
//! bytes that were signed are kept verbatim: nothing is ever re-serialised before a signature is checked.
//!
//! * [`roster`]: who may do what, signed by the custodians themselves;
//! * [`manifest`]: one sealed generation, signed by the host;
//! * [`request`]: what an operator asks for; offered by the host, approved or denied by custodians;
//! * [`enrollment`]: a custodian's token, signed by that token;
//! * [`drill`]: that a custodian's share still opens, signed by that custodian's token;
//! * [`receipt`]: what was rotated or revoked, signed by the host;
//! * [`recovery`]: the public record of a recovery set, and the record of a recovery;
//! * [`attestation`]: what a token's maker says about its keys; [`firmware`]: what is known of its firmware; [`standing`]: whether a
//!   token may therefore stand in a roster;
//! * [`program`]: whose a program is that is run for us;
//! * [`power`]: what a session's policy becomes for one request, what it allows, and whether that was said plainly enough;
//! * [`access_key`]: what `aws iam create-access-key` prints, read without leaving copies; [`partition`]: where a partition of AWS has its IAM;
//! * [`words`]: six words to compare on a call;
//! * [`seen`]: the newest roster, generation and audit head that this machine has met, so that nothing can be rolled back.

pub mod access_key;
pub mod attestation;
pub mod drill;
pub mod dsse;
pub mod enrollment;
pub mod error;
pub mod file;
pub mod firmware;
pub mod keys;
pub mod manifest;
pub mod partition;
pub mod pattern;
pub mod policy;
pub mod power;
pub mod program;
pub mod receipt;
pub mod recovery;
pub mod request;
pub mod roster;
pub mod scalar;
pub mod seen;
pub mod stack;
pub mod standing;
pub mod strict;
pub mod text;
pub mod words;

pub use dsse::{Document, Envelope, Verified};
pub use error::TrustError;
pub use keys::{KeyId, PublicKey, Signer};
pub use scalar::{Bytes, Day, Digest, Head, Timestamp};

#[cfg(test)]
pub(crate) mod tests;
