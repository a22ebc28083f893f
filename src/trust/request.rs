//! What an operator asks for, and what custodians say to it.
//!
//! The request is one JSON document. The host signs it as an *offer*; a custodian approves by signing *the same bytes* under
//! another payload type; a denial is a document of its own that names the request's digest.

mod declared;
mod purpose;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{
    Bytes, Digest, Document, Envelope, Head, KeyId, PublicKey, Timestamp, TrustError, Verified,
    roster::{Roster, Target},
    text::{check_name, check_text},
};

pub use declared::{BannedUse, CheckResult, MAX_OUTPUT, MAX_SUBJECT, check_subject};

/// The largest request, in bytes of JSON.
pub const MAX_REQUEST: usize = 16 * 1024;
/// How long a session may last, in seconds: 1 minute, to 11 hours, so that the steward's 12 outlive it.
pub const SESSION_SECONDS: RangeInclusive<u32> = 60..=11 * 3600;
/// The longest reason, in bytes.
pub const MAX_REASON: usize = 1024;
/// The longest incident reference, in bytes.
pub const MAX_INCIDENT: usize = 128;
/// What stands in the place of an access profile's name where no session is opened.
pub const CLOSE_ONLY: &str = "close-only";
/// The same where a roster is taken up.
pub const ROSTER_CHANGE: &str = "roster";
/// How long a request that only closes may take to be approved and served, in seconds.
pub const CLOSE_ONLY_SECONDS: i64 = 3600;
/// The most secrets that a request which only closes may name: more are owed to the next.
pub const MOST_SECRETS: usize = 32;
/// The policy that stands in a request that opens no session: there is none that could carry it, and it would allow nothing.
pub const NOTHING_ALLOWED: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

/// Exactly this access, for this incident, for this long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Format version, 1.
    pub v: u8,
    /// `r-` and 13 base32 characters.
    pub id: String,
    /// The vault.
    pub vault: String,
    /// The generation that the shares belong to.
    pub generation: u64,
    /// Who will act.
    pub operator: String,
    /// Key id of the host that opens.
    pub host: KeyId,
    /// AWS account number.
    pub account: String,
    /// ARN of the role.
    pub role: String,
    /// Further roles that are opened with the same policy, one session each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Target>,
    /// ARNs of the secrets that closing rotates; of a request that only closes, those whose rotation is owed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What the ceremony is for.
    #[serde(default, skip_serializing_if = "Purpose::is_open")]
    pub purpose: Purpose,
    /// Name of the access profile.
    pub access: String,
    /// SHA-256 of the session policy exactly as it will be sent.
    pub policy_sha256: Digest,
    /// Regions in which the end of the session is observed.
    pub regions: Vec<String>,
    /// When it was asked.
    pub not_before: Timestamp,
    /// Approvals after this are refused.
    pub approve_before: Timestamp,
    /// When the access ends, whatever happens.
    pub not_after: Timestamp,
    /// Whose clock the times are: AWS's, or the host's where AWS could not be asked.
    pub clock: Clock,
    /// Incident reference.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// Who authorised it, as the operator says.
    pub commander_claimed: Option<String>,
    /// Name of the roster's scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Whom or what it is about; fills `${subject}` in the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it is not, as the operator confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<BannedUse>,
    /// The request whose session this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// What the scenario's checks came to, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// Digest of the roster.
    pub roster_sha256: Digest,
    /// Digest of the generation's manifest.
    pub manifest_sha256: Digest,
    /// Head of the record.
    pub audit: Head,
    /// The worker's one-time recipient, which custodians seal their shares to.
    pub worker_key: String,
    /// The worker's nonce.
    pub nonce: Bytes,
    /// The operator's nonce: proof that the offer answers this operator.
    pub operator_nonce: Bytes,
}

impl Request {
    /// Every role that it names, with its account and the steward that closes it: first its own, then the further ones.
    pub fn targets(&self, roster: &Roster) -> Vec<Target> {
        let first = Target {
            account: self.account.clone(),
            role_arn: self.role.clone(),
            steward_role_arn: roster.aws.steward_role_arn.clone(),
        };
        std::iter::once(first)
            .chain(self.also.iter().cloned())
            .collect()
    }
}

/// What a ceremony is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Purpose {
    /// A session for the operator.
    #[default]
    Open,
    /// No session for anybody: earlier ones are closed and an owed rotation is paid, after a reboot took what could do so.
    CloseOnly {
        /// The requests whose sessions are revoked, or whose secrets are owed; none where only the sealed key's rotation is.
        requests: Vec<String>,
    },
    /// A drill: in each role of the access profile a session that is refused everything and is handed to nobody, and a real rotation.
    Drill,
    /// No session for anybody: the next version of the roster is taken up, and the key sealed anew under it.
    Roster {
        /// Its number: one more than that of the roster which the request was made under.
        version: u64,
        /// Digest of that version.
        roster_sha256: Digest,
    },
}

impl Purpose {
    /// Whether an operator's session is asked for.
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// Whose clock a time was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The Date header of an AWS answer.
    Aws,
    /// The host's own clock.
    Host,
}

/// The request under the host's signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offer(pub Request);

/// The request under a custodian's signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approval(pub Request);

/// A custodian's no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// Format version, 1.
    pub v: u8,
    /// Digest of the request's bytes.
    pub request_sha256: Digest,
    /// Why not.
    pub reason: String,
}

/// A custodian takes the own yes back, before the quorum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Format version, 1.
    pub v: u8,
    /// Digest of the request's bytes.
    pub request_sha256: Digest,
}

/// What a custodian's CLI seals to the worker's one-time key: the share, bound to what was approved.
///
/// Not signed: it travels inside an age file together with a signed [`Approval`] that names the same digests. The share itself
/// is not part of this header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareBinding {
    /// Digest of the request's bytes.
    pub request_sha256: Digest,
    /// Digest of the manifest.
    pub manifest_sha256: Digest,
}

/// A worker's one-time key for a new credential to be sealed; signed by its host key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealOffer {
    /// Format version, 1.
    pub v: u8,
    /// The vault.
    pub vault: String,
    /// Digest of the roster that it will be sealed under.
    pub roster_sha256: Digest,
    /// The host.
    pub host: KeyId,
    /// The worker's one-time recipient.
    pub worker_key: String,
    /// The caller's nonce.
    pub nonce: Bytes,
}

impl Document for Request {
    // A bare request is never signed: this is the offer's type, and `Approval` has its own.
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.offer.v1+json";
    const WHAT: &'static str = "request";

    fn check(&self) -> Result<(), TrustError> {
        let bad = |why: &str| Err(TrustError::malformed("request", why));
        if self.v != 1 {
            return bad("its format version is not 1");
        }
        if !is_request_id(&self.id) {
            return bad("its id is not 'r-' and 13 base32 characters");
        }
        for (what, name) in [
            ("vault name", &self.vault),
            ("operator's name", &self.operator),
            ("access profile's name", &self.access),
        ] {
            check_name(what, name)?;
        }
        for region in &self.regions {
            check_name("Region", region)?;
        }
        check_text("role", &self.role, 2048)?;
        check_text("incident", &self.incident, MAX_INCIDENT)?;
        check_text("reason", &self.reason, MAX_REASON)?;
        if let Some(commander) = &self.commander_claimed {
            check_name("commander's name", commander)?;
        }
        self.check_declared()?;
        if !(self.not_before < self.approve_before && self.approve_before <= self.not_after) {
            return bad("its times are not in order");
        }
        if self.not_before.until(self.not_after) > i64::from(*SESSION_SECONDS.end()) + 60 {
            return bad("it asks for more than 11 hours");
        }
        if self.nonce.0.len() != 16 || self.operator_nonce.0.len() != 16 {
            return bad("a nonce has 16 bytes");
        }
        // Where no session is opened, none is observed.
        if self.regions.is_empty() == self.purpose.is_open() || self.regions.len() > 32 {
            return bad("it names no Region, or more than 32");
        }
        if let Purpose::CloseOnly { requests } = &self.purpose
            && (requests.len() > 40 || !requests.iter().all(|id| is_request_id(id)))
        {
            return bad("what it closes is no list of at most 40 request ids");
        }
        Ok(())
    }
}

impl Document for Offer {
    const PAYLOAD_TYPE: &'static str = Request::PAYLOAD_TYPE;
    const WHAT: &'static str = "offer";

    fn check(&self) -> Result<(), TrustError> {
        self.0.check()
    }
}

impl Document for Approval {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.approve.v1+json";
    const WHAT: &'static str = "approval";

    fn check(&self) -> Result<(), TrustError> {
        self.0.check()
    }
}

impl Document for Denial {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.deny.v1+json";
    const WHAT: &'static str = "denial";

    fn check(&self) -> Result<(), TrustError> {
        if self.v != 1 {
            return Err(TrustError::malformed(
                "denial",
                "its format version is not 1",
            ));
        }
        check_text("reason", &self.reason, MAX_REASON)
    }
}

impl Document for Withdrawal {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.withdraw.v1+json";
    const WHAT: &'static str = "withdrawal";

    fn check(&self) -> Result<(), TrustError> {
        if self.v == 1 {
            return Ok(());
        }
        Err(TrustError::malformed(
            "withdrawal",
            "its format version is not 1",
        ))
    }
}

impl Document for SealOffer {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.seal-offer.v1+json";
    const WHAT: &'static str = "offer to seal";

    fn check(&self) -> Result<(), TrustError> {
        if self.v != 1 || self.nonce.0.len() != 16 {
            return Err(TrustError::malformed(
                "offer to seal",
                "a field is out of its range",
            ));
        }
        check_name("vault name", &self.vault)
    }
}

impl Offer {
    /// Checks an offer against a roster: signed by the listed host that it names, for this vault and this roster version; and over an
    /// access profile of the roster with the same accounts, roles, Regions and secrets, or over nothing but closing.
    pub fn verify(
        envelope: &Envelope,
        roster: &Verified<Roster>,
    ) -> Result<Verified<Self>, TrustError> {
        if envelope.payload.len() > MAX_REQUEST {
            return Err(TrustError::malformed("offer", "it is over 16 KiB"));
        }
        let keys = roster.host_keys();
        let (offer, signer) = envelope.verify::<Self>(&keys, "a listed host")?;
        let request = &offer.0;
        let differs = |why: &str| Err(TrustError::mismatch("offer", why));
        if request.host != signer.id() {
            return differs("it names another host than signed it");
        }
        if request.vault != roster.vault {
            return differs("it is for another vault");
        }
        if request.roster_sha256 != roster.digest() {
            return differs("it was made under another roster");
        }
        purpose::fits(request, roster).map_err(|why| TrustError::mismatch("offer", why))?;
        Ok(offer)
    }
}

/// Checks an approval: the same bytes as `offer`, signed by an approve key of the roster. Returns whose token it was.
pub fn verify_approval(
    envelope: &Envelope,
    offer: &Verified<Offer>,
    roster: &Verified<Roster>,
) -> Result<super::roster::Token, TrustError> {
    let key = signed_by_custodian::<Approval>(envelope, roster)?;
    if envelope.payload != offer.envelope().payload {
        return Err(TrustError::mismatch(
            "approval",
            "it is for another request",
        ));
    }
    Ok(key)
}

/// Checks a denial of `offer`. Returns the token and the reason.
pub fn verify_denial(
    envelope: &Envelope,
    offer: &Verified<Offer>,
    roster: &Verified<Roster>,
) -> Result<(super::roster::Token, Denial), TrustError> {
    let key = signed_by_custodian::<Denial>(envelope, roster)?;
    let denial: Denial = envelope.unverified()?;
    if denial.request_sha256 != offer.digest() {
        return Err(TrustError::mismatch("denial", "it is for another request"));
    }
    Ok((key, denial))
}

/// Checks a withdrawal of an approval of `offer`. Returns whose token signed it.
pub fn verify_withdrawal(
    envelope: &Envelope,
    offer: &Verified<Offer>,
    roster: &Verified<Roster>,
) -> Result<super::roster::Token, TrustError> {
    let key = signed_by_custodian::<Withdrawal>(envelope, roster)?;
    let withdrawal: Withdrawal = envelope.unverified()?;
    if withdrawal.request_sha256 != offer.digest() {
        return Err(TrustError::mismatch(
            "withdrawal",
            "it is for another request",
        ));
    }
    Ok(key)
}

fn signed_by_custodian<D: Document>(
    envelope: &Envelope,
    roster: &Verified<Roster>,
) -> Result<super::roster::Token, TrustError> {
    let keys: Vec<PublicKey> = roster.approve_keys();
    let (_, signer) = envelope.verify::<D>(&keys, "a custodian of the roster")?;
    roster
        .token_by_approve_key(signer)
        .cloned()
        .ok_or_else(|| TrustError::mismatch(D::WHAT, "its key is not in the roster"))
}

/// Whether `id` is a request's id.
pub fn is_request_id(id: &str) -> bool {
    id.strip_prefix("r-").is_some_and(|rest| {
        rest.len() == 13
            && rest
                .bytes()
                .all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
    })
}

/// A request's id from 65 random bits (the low 65 of `random`).
pub fn request_id(random: u128) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let rest: String = (0..13)
        .map(|i| char::from(BASE32[((random >> (5 * i)) & 31) as usize]))
        .collect();
    format!("r-{rest}")
}
