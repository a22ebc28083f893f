//! A person's program and a worker that opens a bundle: no agent and no state; the network only where a session is to be minted.
//!
//! The program starts the worker over a socketpair, with the place where the credential or session is to go as its standard output: neither
//! ever comes back over this wire. It asks in this order: [`Ask::Now`] (where a session is wanted, so that what cannot be reached shows
//! before anybody gives a share), [`Ask::Open`], and then one of [`Ask::Deliver`] and [`Ask::Mint`].

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Problem;
use crate::trust::{Bytes, Envelope, Timestamp};

/// What the worker is asked.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// AWS's clock; answered by [`Answer::Now`].
    Now,
    /// Open a vault; answered by [`Answer::Opened`].
    Open(Opening),
    /// Write the credential, as `aws iam create-access-key` prints it, to standard output; answered by [`Answer::Written`].
    Deliver,
    /// Mint a session, and write it in the form of `credential_process` to standard output; answered by [`Answer::Minted`].
    Mint(Wish),
}

/// What is to be opened. The program has checked the papers that say so.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// What the shares were combined to: the identity's 32 bytes in hex.
    pub identity: Zeroizing<String>,
    /// Whether it is a recovery identity, and then its recipient as the roster names it.
    pub recipient: Option<String>,
    /// `vault.age`.
    pub vault_age: Bytes,
    /// The key that the manifest says is in it.
    pub access_key_id: String,
    /// The record of a recovery, for a recovery identity to sign.
    pub record: Option<Envelope>,
}

/// The session that is wanted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// ARN of the role.
    pub role: String,
    /// Who it is for: session name and source identity.
    pub operator: String,
    /// What the roles' trust policy asks for.
    pub external_id: String,
    /// Value of the tag by which the session can be revoked.
    pub tag: String,
    /// When it is to end.
    pub not_after: Timestamp,
}

/// What the worker says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// AWS's clock.
    Now {
        /// Its time.
        at: Timestamp,
    },
    /// The vault is open, and holds the key that the manifest names.
    Opened {
        /// The record, signed, where a recovery identity was to sign it.
        record: Option<Envelope>,
    },
    /// The credential is written.
    Written,
    /// The session is written.
    Minted {
        /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
        assumed_role: String,
        /// Its key id.
        access_key_id: String,
        /// When it ends by itself.
        expires_at: Timestamp,
    },
    /// It failed; nothing follows.
    Failed(Problem),
}
