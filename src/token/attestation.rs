//! What an attestation certificate says: read here, believed only after its chain was verified elsewhere.
//!
//! Extensions under 1.3.6.1.4.1.41482.3
//! (<https://developers.yubico.com/PIV/Introduction/PIV_attestation.html>): 3 firmware, 7 serial number, 8 policies,
//! 9 form factor, 10 FIPS, 11 CSPN.

use super::{Firmware, PinPolicy, Slot, TokenError, TouchPolicy};
use x509_cert::certificate::{CertificateInner, Rfc5280};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Encode};

const YUBICO: &str = "1.3.6.1.4.1.41482.3.";

/// The facts in an attestation of a key in a slot, and the parts that a verifier needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Firmware that made the key's attestation.
    pub firmware: Firmware,
    /// Serial number; absent before firmware 5.0 and on tokens that hide it.
    pub serial: Option<u32>,
    /// When the key wants the PIN.
    pub pin_policy: PinPolicy,
    /// When the key wants a touch.
    pub touch_policy: TouchPolicy,
    /// Shape of the token, where it is told.
    pub form_factor: Option<FormFactor>,
    /// Slot by the subject `YubiKey PIV Attestation 82`, if it is a retired one.
    pub slot: Option<Slot>,
    /// P-256 point, uncompressed, 65 bytes.
    pub public_key: [u8; 65],
    /// The signed part of the certificate, DER as it stands there.
    pub signed: Vec<u8>,
    /// Signature algorithm, in dotted form.
    pub signature_algorithm: String,
    /// The signature's bits.
    pub signature: Vec<u8>,
}

/// Shape of a token (low bits of the form factor byte).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormFactor {
    /// USB-A keychain (01).
    UsbAKeychain,
    /// USB-A nano (02).
    UsbANano,
    /// USB-C keychain (03).
    UsbCKeychain,
    /// USB-C nano (04).
    UsbCNano,
    /// USB-C and Lightning (05).
    UsbCLightning,
    /// USB-A with a fingerprint reader (06).
    UsbABio,
    /// USB-C with a fingerprint reader (07).
    UsbCBio,
    /// One that this program does not know.
    Other(u8),
}

impl FormFactor {
    fn from_byte(byte: u8) -> Self {
        // The two highest bits mark FIPS and Security Key models.
        match byte & 0x3f {
            1 => Self::UsbAKeychain,
            2 => Self::UsbANano,
            3 => Self::UsbCKeychain,
            4 => Self::UsbCNano,
            5 => Self::UsbCLightning,
            6 => Self::UsbABio,
            7 => Self::UsbCBio,
            other => Self::Other(other),
        }
    }
}

impl Attestation {
    /// Reads an attestation, DER. Nothing of it is verified.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] when it is no certificate over a P-256 key, or lacks firmware or policies.
    pub fn parse(der: &[u8]) -> Result<Self, TokenError> {
        parse(der).ok_or(TokenError::Malformed {
            what: "the attestation",
        })
    }
}

fn parse(der: &[u8]) -> Option<Attestation> {
    let certificate = CertificateInner::<Rfc5280>::from_der(der).ok()?;
    let tbs = &certificate.tbs_certificate;
    let extension = |arc: u8| {
        let oid = ObjectIdentifier::new(&format!("{YUBICO}{arc}")).ok()?;
        let mut all = tbs
            .extensions
            .iter()
            .flatten()
            .filter(|found| found.extn_id == oid);
        let first = all.next()?;
        // Two that contradict each other are no fact.
        all.next().is_none().then(|| first.extn_value.as_bytes())
    };

    let firmware = match extension(3)? {
        [major, minor, patch] => Firmware::new(*major, *minor, *patch),
        _ => return None,
    };
    let (pin_policy, touch_policy) = match extension(8)? {
        [pin, touch] => (PinPolicy::from_byte(*pin), TouchPolicy::from_byte(*touch)),
        _ => return None,
    };
    let serial = match extension(7) {
        None => None,
        Some(der) => Some(number(der)?),
    };
    let form_factor = match extension(9) {
        None => None,
        Some([byte]) => Some(FormFactor::from_byte(*byte)),
        Some(_) => return None,
    };
    let point = tbs.subject_public_key_info.subject_public_key.as_bytes()?;
    let key = tbs.subject_public_key_info.to_der().ok()?;
    // Algorithm and curve are checked by this, the bytes are then taken as they are.
    <p256::PublicKey as p256::pkcs8::DecodePublicKey>::from_public_key_der(&key).ok()?;
    Some(Attestation {
        firmware,
        serial,
        pin_policy,
        touch_policy,
        form_factor,
        slot: slot(&tbs.subject.to_string()),
        public_key: point.try_into().ok()?,
        signed: signed(der)?.to_vec(),
        signature_algorithm: certificate.signature_algorithm.oid.to_string(),
        signature: certificate.signature.as_bytes()?.to_vec(),
    })
}

fn number(der: &[u8]) -> Option<u32> {
    let bytes = UintRef::from_der(der).ok()?;
    let bytes = bytes.as_bytes();
    let mut number = [0; 4];
    number[4_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(u32::from_be_bytes(number))
}

fn slot(subject: &str) -> Option<Slot> {
    let (_, name) = subject.rsplit_once("CN=YubiKey PIV Attestation ")?;
    match (name.len(), u8::from_str_radix(name, 16)) {
        (2, Ok(reference)) => Slot::parse(reference),
        _ => None,
    }
}

/// The first element inside the certificate's sequence, with its header: signatures are over these very bytes.
fn signed(der: &[u8]) -> Option<&[u8]> {
    let (_, inner, _) = super::tlv::first(der)?;
    let (_, _, rest) = super::tlv::first(inner)?;
    inner.get(..inner.len() - rest.len())
}

#[cfg(test)]
mod tests;
