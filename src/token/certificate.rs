//! Certificates over the token's keys: made here, signed by the key itself.
//!
//! Nobody chains to them. The one over the unseal key lets stock `age-plugin-yubikey` find the key: subject
//! O=age-plugin-yubikey and the policies in Yubico's attestation extension
//! (<https://github.com/str4d/age-plugin-yubikey>). The one over the approve key names it for people.

use super::{PinPolicy, TokenError, TouchPolicy};
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use std::time::SystemTime;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{CertificateInner, TbsCertificateInner, Version};
use x509_cert::der::asn1::{BitString, GeneralizedTime, OctetString, SetOfVec, Utf8StringRef};
use x509_cert::der::{Any, DateTime, Encode, asn1::ObjectIdentifier};
use x509_cert::ext::Extension;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, EncodePublicKey, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// PIN and touch policy as two bytes, in attestations and in age-plugin-yubikey's certificates.
pub(super) const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.8");

/// What a key is for, which decides the subject of its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signs approvals.
    Approve,
    /// Opens shares; listed by age-plugin-yubikey as one of its own.
    Unseal,
}

/// A certificate that lacks only its signature.
#[derive(Debug)]
pub(super) struct Unsigned(TbsCertificateInner);

impl Unsigned {
    pub(super) fn new(
        purpose: Purpose,
        name: &str,
        public_key: &p256::PublicKey,
        policies: (PinPolicy, TouchPolicy),
        now: SystemTime,
    ) -> Result<Self, TokenError> {
        if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(TokenError::BadName);
        }
        build(purpose, name, public_key, policies, now)
            .map(Self)
            .ok_or(TokenError::Malformed {
                what: "the certificate",
            })
    }

    /// SHA-256 of what is signed.
    pub(super) fn digest(&self) -> Result<[u8; 32], TokenError> {
        let der = self.0.to_der().map_err(|_| TokenError::Malformed {
            what: "the certificate",
        })?;
        Ok(Sha256::digest(der).into())
    }

    /// The whole certificate, DER.
    pub(super) fn signed(self, signature: &[u8]) -> Result<Vec<u8>, TokenError> {
        let whole = || {
            let signature_algorithm = self.0.signature.clone();
            let signature = BitString::from_bytes(signature).ok()?;
            CertificateInner {
                tbs_certificate: self.0,
                signature_algorithm,
                signature,
            }
            .to_der()
            .ok()
        };
        whole().ok_or(TokenError::Malformed {
            what: "the certificate",
        })
    }
}

fn build(
    purpose: Purpose,
    name: &str,
    public_key: &p256::PublicKey,
    (pin, touch): (PinPolicy, TouchPolicy),
    now: SystemTime,
) -> Option<TbsCertificateInner> {
    let organization = match purpose {
        Purpose::Approve => "twotap",
        Purpose::Unseal => "age-plugin-yubikey",
    };
    let subject: Name = RdnSequence(vec![
        part(ORGANIZATION, organization)?,
        part(UNIT, concat!("twotap ", env!("CARGO_PKG_VERSION")))?,
        part(COMMON_NAME, name)?,
    ]);
    let mut serial = [0; 16];
    OsRng.fill_bytes(&mut serial);
    // Positive, and of full length whatever was drawn.
    serial[0] = serial[0] & 0x3f | 0x40;
    let spki = public_key.to_public_key_der().ok()?;
    Some(TbsCertificateInner {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).ok()?,
        signature: AlgorithmIdentifierOwned {
            oid: ECDSA_SHA256,
            parameters: None,
        },
        issuer: subject.clone(),
        validity: Validity {
            not_before: Time::try_from(now).ok()?,
            // RFC 5280, 4.1.2.5: this date says that there is no well-defined expiry.
            not_after: Time::GeneralTime(GeneralizedTime::from_date_time(
                DateTime::new(9999, 12, 31, 23, 59, 59).ok()?,
            )),
        },
        subject,
        subject_public_key_info: SubjectPublicKeyInfoOwned::try_from(spki.as_bytes()).ok()?,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(vec![Extension {
            extn_id: POLICIES,
            critical: false,
            extn_value: OctetString::new([pin.byte(), touch.byte()]).ok()?,
        }]),
    })
}

fn part(oid: ObjectIdentifier, value: &str) -> Option<RelativeDistinguishedName> {
    let value = Any::encode_from(&Utf8StringRef::new(value).ok()?).ok()?;
    let pair = AttributeTypeAndValue { oid, value };
    Some(RelativeDistinguishedName(
        SetOfVec::try_from(vec![pair]).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
    use p256::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
    use std::time::Duration;
    use x509_cert::der::Decode;

    fn certificate(purpose: Purpose, name: &str) -> (SigningKey, Vec<u8>) {
        let key = SigningKey::random(&mut OsRng);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let public = p256::PublicKey::from(key.verifying_key());
        let policies = (PinPolicy::Always, TouchPolicy::Cached);
        let unsigned = Unsigned::new(purpose, name, &public, policies, now).unwrap();
        let signature: Signature = key.sign_prehash(&unsigned.digest().unwrap()).unwrap();
        let der = unsigned.signed(signature.to_der().as_bytes()).unwrap();
        (key, der)
    }

    #[test]
    fn the_unseal_certificate_is_what_the_plugin_looks_for() {
        let (key, der) = certificate(Purpose::Unseal, "alice (prod)");
        let parsed = CertificateInner::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
        let tbs = &parsed.tbs_certificate;
        assert_eq!(tbs.issuer, tbs.subject);
        let subject = tbs.subject.to_string();
        assert!(subject.contains("O=age-plugin-yubikey"), "{subject}");
        assert!(subject.contains("CN=alice (prod)"), "{subject}");
        let extensions = tbs.extensions.as_ref().unwrap();
        assert_eq!(extensions.len(), 1);
        assert!(!extensions[0].critical);
        assert_eq!(extensions[0].extn_value.as_bytes(), [3, 3]);

        let digest = Sha256::digest(tbs.to_der().unwrap());
        let signature = DerSignature::from_bytes(parsed.signature.raw_bytes()).unwrap();
        let signature = Signature::try_from(signature).unwrap();
        VerifyingKey::from(&key)
            .verify_prehash(&digest, &signature)
            .unwrap();
        let (_, again) = certificate(Purpose::Unseal, "alice (prod)");
        assert_ne!(der, again);
    }

    #[test]
    fn the_approve_certificate_is_not_the_plugins() {
        let (_, der) = certificate(Purpose::Approve, "alice");
        let parsed = CertificateInner::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
        assert!(
            parsed
                .tbs_certificate
                .subject
                .to_string()
                .contains("O=twotap")
        );
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let key = p256::PublicKey::from(SigningKey::random(&mut OsRng).verifying_key());
        let policies = (PinPolicy::Always, TouchPolicy::Always);
        for name in ["", "al\u{1b}ice", &"a".repeat(65)] {
            let made = Unsigned::new(
                Purpose::Unseal,
                name,
                &key,
                policies,
                SystemTime::UNIX_EPOCH,
            );
            assert_eq!(made.err(), Some(TokenError::BadName), "{name:?}");
        }
    }
}
