//! Envelopes: [DSSE v1](https://github.com/secure-systems-lab/dsse/blob/master/protocol.md).
//!
//! A `keyid` is always present and never decides anything: every signature is tried against every key that would count, and
//! distinct keys are counted, never signatures.

use data_encoding::BASE64;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
};

use super::{Digest, KeyId, PublicKey, Signer, TrustError};

/// The largest envelope that is read, in bytes of JSON.
pub const MAX_ENVELOPE: usize = 256 * 1024;

/// A payload that has its own type.
pub trait Document: Serialize + DeserializeOwned {
    /// `application/vnd.twotap.PURPOSE.vN+json`, checked exactly.
    const PAYLOAD_TYPE: &'static str;
    /// The purpose in one word, for messages.
    const WHAT: &'static str;

    /// Checks what the types alone do not: versions, ranges, characters. Called on every parse.
    fn check(&self) -> Result<(), TrustError>;
}

/// A signed document as it travels: payload bytes, their type, signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// What the payload is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The exact bytes that are signed.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub payload: Vec<u8>,
    /// Signatures over the pre-authentication encoding.
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Who claims to have signed; a label.
    pub keyid: KeyId,
    /// Raw Ed25519 or DER ECDSA.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub sig: Vec<u8>,
}

/// A document together with the envelope whose signatures were found good.
///
/// Only [`Envelope::verify`] and the checks built upon it make one:
///
/// ```compile_fail,E0451
/// # use twotap::trust::{Envelope, Verified, request::Offer};
/// fn unverified(document: Offer, envelope: Envelope) -> Verified<Offer> {
///     Verified { document, envelope }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Verified<D> {
    document: D,
    envelope: Envelope,
}

impl<D> Verified<D> {
    /// The envelope, bytes kept as they came.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// SHA-256 of the payload bytes: what other documents refer to.
    pub fn digest(&self) -> Digest {
        self.envelope.digest()
    }

    /// Gives up the proof and keeps the document.
    pub fn into_document(self) -> D {
        self.document
    }

    pub(super) fn new(document: D, envelope: Envelope) -> Self {
        Self { document, envelope }
    }
}

impl<D> std::ops::Deref for Verified<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.document
    }
}

impl Envelope {
    /// An unsigned envelope around `document`.
    pub fn new<D: Document>(document: &D) -> Result<Self, TrustError> {
        document.check()?;
        Ok(Self {
            payload_type: D::PAYLOAD_TYPE.to_owned(),
            payload: serde_json::to_vec(document)
                .map_err(|why| TrustError::malformed(D::WHAT, why))?,
            signatures: Vec::new(),
        })
    }

    /// An envelope around `document`, signed by `signer`.
    pub fn signed<D: Document>(document: &D, signer: &dyn Signer) -> Result<Self, TrustError> {
        let mut envelope = Self::new(document)?;
        envelope.sign(signer);
        Ok(envelope)
    }

    /// The same bytes under the same or another purpose, with no signature: how an approval is made from an offer.
    pub fn repurposed<D: Document>(&self) -> Self {
        Self {
            payload_type: D::PAYLOAD_TYPE.to_owned(),
            payload: self.payload.clone(),
            signatures: Vec::new(),
        }
    }

    /// Reads an envelope from JSON. Unknown and duplicate fields are refused, as is anything over [`MAX_ENVELOPE`].
    pub fn parse(json: &[u8]) -> Result<Self, TrustError> {
        if json.len() > MAX_ENVELOPE {
            return Err(TrustError::malformed("envelope", "it is over 256 KiB"));
        }
        serde_json::from_slice(json).map_err(|why| TrustError::malformed("envelope", why))
    }

    /// The envelope as one line of JSON.
    pub fn to_json(&self) -> String {
        // Strings and byte vectors have no failing serialisation.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The pre-authentication encoding: what is signed.
    pub fn pae(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + self.payload_type.len() + 32);
        for part in [
            b"DSSEv1 ",
            self.payload_type.len().to_string().as_bytes(),
            b" ",
            self.payload_type.as_bytes(),
            b" ",
            self.payload.len().to_string().as_bytes(),
            b" ",
            &self.payload,
        ] {
            out.extend_from_slice(part);
        }
        out
    }

    /// SHA-256 of the pre-authentication encoding: what a token is given to sign.
    pub fn signing_digest(&self) -> [u8; 32] {
        Digest::of(&self.pae()).0
    }

    /// SHA-256 of the payload bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// Adds `signer`'s signature.
    pub fn sign(&mut self, signer: &dyn Signer) {
        let sig = signer.sign(&self.pae());
        self.add(&signer.public(), sig);
    }

    /// Adds a signature made elsewhere (a token); one that is already there by the same key is replaced.
    pub fn add(&mut self, key: &PublicKey, sig: Vec<u8>) {
        let keyid = key.id();
        self.signatures.retain(|s| s.keyid != keyid);
        self.signatures.push(Signature { keyid, sig });
    }

    /// Reads the payload as `D` without asking who signed it: for display, never for a decision.
    pub fn unverified<D: Document>(&self) -> Result<D, TrustError> {
        self.must_be::<D>()?;
        let document: D = serde_json::from_slice(&self.payload)
            .map_err(|why| TrustError::malformed(D::WHAT, why))?;
        document.check()?;
        Ok(document)
    }

    /// Which of `keys` have signed: distinct keys, in the order given.
    pub fn signers<'k>(&self, keys: &'k [PublicKey]) -> Vec<&'k PublicKey> {
        let pae = self.pae();
        let mut found: Vec<&PublicKey> = Vec::new();
        for key in keys {
            let signed = self.signatures.iter().any(|s| key.verifies(&pae, &s.sig));
            if signed && !found.contains(&key) {
                found.push(key);
            }
        }
        found
    }

    fn must_be<D: Document>(&self) -> Result<(), TrustError> {
        if self.payload_type == D::PAYLOAD_TYPE {
            return Ok(());
        }
        Err(TrustError::WrongType {
            expected: D::PAYLOAD_TYPE,
            found: self.payload_type.chars().take(80).collect(),
        })
    }

    /// The document, if one of `keys` signed it; with that key. The signature is checked before the payload is read, so that a
    /// changed byte is a bad signature wherever it is.
    pub fn verify<'k, D: Document>(
        &self,
        keys: &'k [PublicKey],
        by: &str,
    ) -> Result<(Verified<D>, &'k PublicKey), TrustError> {
        self.must_be::<D>()?;
        let signer = self
            .signers(keys)
            .into_iter()
            .next()
            .ok_or_else(|| TrustError::Unsigned {
                what: D::WHAT,
                by: by.to_owned(),
            })?;
        let document = self.unverified::<D>()?;
        Ok((Verified::new(document, self.clone()), signer))
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(d)?;
    BASE64
        .decode(text.as_bytes())
        .map_err(|_| D::Error::custom("not standard base64"))
}
