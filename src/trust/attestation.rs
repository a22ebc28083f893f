//! What a token's maker says about its keys.
//!
//! A token signs, with a key that its factory put into slot F9, a certificate over each key that was made on it. [`Statement`] is what such a
//! certificate says; [`verify`] believes it after the chain up to a root that is known.
//!
//! Extensions under 1.3.6.1.4.1.41482.3
//! (<https://developers.yubico.com/PIV/Introduction/PIV_attestation.html>): 3 firmware, 7 serial number, 8 policies,
//! 9 form factor; 10 FIPS and 11 CSPN, which stand in the certificate of slot F9 alone.

mod chain;
mod error;
mod yubico;

use x509_cert::certificate::{CertificateInner, Rfc5280};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Encode};

use super::{
    PublicKey, TrustError,
    firmware::Firmware,
    policy::{PinPolicy, TouchPolicy},
    roster::AttestationRoot,
};

pub use chain::{Attested, Root, check_root, verify};
pub use error::{AttestationError, Which};
pub use yubico::{certificates, digest_of};

const YUBICO: &str = "1.3.6.1.4.1.41482.3.";

/// The facts in an attestation of a key in a slot. Nothing about them is verified yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Firmware that made the statement.
    pub firmware: Firmware,
    /// Serial number; absent before firmware 5.0 and on tokens that hide it.
    pub serial: Option<u32>,
    /// When the key wants the PIN.
    pub pin_policy: PinPolicy,
    /// When the key wants a touch.
    pub touch_policy: TouchPolicy,
    /// Shape of the token, where it is told.
    pub form_factor: Option<FormFactor>,
    /// Slot by the subject, `YubiKey PIV Attestation 82`: 0x82.
    pub slot: Option<u8>,
    /// The key that the statement is about.
    pub key: PublicKey,
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

    /// Whether it has a fingerprint reader.
    #[must_use]
    pub fn is_bio(self) -> bool {
        matches!(self, Self::UsbABio | Self::UsbCBio)
    }

    /// In plain words, e.g. `usb-c keychain`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UsbAKeychain => "usb-a keychain",
            Self::UsbANano => "usb-a nano",
            Self::UsbCKeychain => "usb-c keychain",
            Self::UsbCNano => "usb-c nano",
            Self::UsbCLightning => "usb-c and lightning",
            Self::UsbABio => "usb-a with fingerprint reader",
            Self::UsbCBio => "usb-c with fingerprint reader",
            Self::Other(_) => "of a shape that is not known",
        }
    }
}

impl Statement {
    /// Reads an attestation, DER. Nothing of it is verified.
    ///
    /// # Errors
    /// [`TrustError::Malformed`] when it is no certificate over a P-256 key, or lacks firmware or policies.
    pub fn parse(der: &[u8]) -> Result<Self, TrustError> {
        let certificate = CertificateInner::<Rfc5280>::from_der(der)
            .map_err(|_| TrustError::malformed("attestation", "it is not a certificate"))?;
        Self::of(&certificate).ok_or_else(|| {
            TrustError::malformed(
                "attestation",
                "it lacks what an attestation says, or says it twice",
            )
        })
    }

    fn of(certificate: &CertificateInner<Rfc5280>) -> Option<Self> {
        let tbs = &certificate.tbs_certificate;
        let firmware = match extension(certificate, 3)? {
            [major, minor, patch] => Firmware::new(*major, *minor, *patch),
            _ => return None,
        };
        let (pin_policy, touch_policy) = match extension(certificate, 8)? {
            [pin, touch] => (PinPolicy::from_byte(*pin), TouchPolicy::from_byte(*touch)),
            _ => return None,
        };
        let serial = match has(certificate, 7) {
            false => None,
            true => Some(number(extension(certificate, 7)?)?),
        };
        let form_factor = match has(certificate, 9) {
            false => None,
            true => match extension(certificate, 9)? {
                [byte] => Some(FormFactor::from_byte(*byte)),
                _ => return None,
            },
        };
        let spki = tbs.subject_public_key_info.to_der().ok()?;
        let key = PublicKey::from_spki(&spki).ok()?;
        key.p256()?;
        Some(Self {
            firmware,
            serial,
            pin_policy,
            touch_policy,
            form_factor,
            slot: slot(&tbs.subject.to_string()),
            key,
        })
    }
}

/// The value of one of Yubico's extensions. Two that may contradict each other are no fact.
fn extension(certificate: &CertificateInner<Rfc5280>, arc: u8) -> Option<&[u8]> {
    let mut all = values(certificate, arc);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn has(certificate: &CertificateInner<Rfc5280>, arc: u8) -> bool {
    values(certificate, arc).next().is_some()
}

fn values(certificate: &CertificateInner<Rfc5280>, arc: u8) -> impl Iterator<Item = &[u8]> {
    let oid = ObjectIdentifier::new(&format!("{YUBICO}{arc}")).ok();
    certificate
        .tbs_certificate
        .extensions
        .iter()
        .flatten()
        .filter(move |found| Some(found.extn_id) == oid)
        .map(|found| found.extn_value.as_bytes())
}

fn number(der: &[u8]) -> Option<u32> {
    let bytes = UintRef::from_der(der).ok()?;
    let bytes = bytes.as_bytes();
    let mut number = [0; 4];
    number[4_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(u32::from_be_bytes(number))
}

fn slot(subject: &str) -> Option<u8> {
    let (_, name) = subject.rsplit_once("CN=YubiKey PIV Attestation ")?;
    let hex = name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit());
    u8::from_str_radix(name, 16).ok().filter(|_| hex)
}

#[cfg(test)]
mod tests;
