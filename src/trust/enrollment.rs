//! A custodian's token as it introduces itself: keys, attestation, and a signature made with a touch.

use serde::{Deserialize, Serialize};

use super::{
    Document, Envelope, Timestamp, TrustError, Verified,
    roster::{Attestation, SlotKey},
    text::check_name,
};

/// What `custodian enroll` writes; signed by the approve key that it names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrollment {
    /// Format version, 1.
    pub v: u8,
    /// The custodian's short name.
    pub name: String,
    /// The token's serial number.
    pub serial: u32,
    /// The token's firmware, `major.minor.patch`.
    pub firmware: String,
    /// The key that signs approvals.
    pub approve: SlotKey,
    /// The key that shares are sealed to.
    pub unseal: SlotKey,
    /// What the token's maker says about the two keys, where the token can tell.
    pub attestation: Option<Attestation>,
    /// When.
    pub created_at: Timestamp,
}

impl Document for Enrollment {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.enrollment.v1+json";
    const WHAT: &'static str = "enrollment";

    fn check(&self) -> Result<(), TrustError> {
        check_name("custodian's name", &self.name)?;
        let p256 = self.approve.key.p256().is_some() && self.unseal.key.p256().is_some();
        if self.v != 1 || !p256 || self.approve.key == self.unseal.key {
            return Err(TrustError::malformed(
                "enrollment",
                "it needs two different P-256 keys and format version 1",
            ));
        }
        Ok(())
    }
}

impl Enrollment {
    /// Checks the proof of possession: signed by the approve key that it names.
    pub fn verify(envelope: &Envelope) -> Result<Verified<Self>, TrustError> {
        let claimed: Self = envelope.unverified()?;
        let (enrollment, _) =
            envelope.verify::<Self>(&[claimed.approve.key], "the token itself")?;
        Ok(enrollment)
    }
}
