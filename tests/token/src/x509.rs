//! Building the few X.509 certificates that attestation needs, with every byte under control:
//! Yubico's extensions hold raw bytes that are no DER, which certificate builders do not offer. Tests forge with it.

use p256::{
    PublicKey, SecretKey,
    ecdsa::{DerSignature, Signature, SigningKey, signature::Signer},
    pkcs8::EncodePublicKey,
};
use rand_core::{OsRng, RngCore};
use std::{io, str::FromStr};
use x509_cert::{
    Certificate, TbsCertificate, Version,
    der::{
        Decode, Encode,
        asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString},
    },
    ext::{
        Extension,
        pkix::{BasicConstraints, KeyUsage, KeyUsages},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");

/// When a certificate ends.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// In 2001, long ago.
    In2001,
    /// In 2052, like the older chain.
    In2052,
    /// On the last day of 9999, like the newer chain: RFC 5280's 'no well-defined end'.
    Never,
}

/// A certificate before it is signed.
pub struct Template<'a> {
    /// Whom it is about, `CN=...`.
    pub subject: &'a str,
    /// Who issues it.
    pub issuer: Name,
    /// The key that it is about.
    pub key: PublicKey,
    /// When it ends.
    pub ends: Ends,
    /// In this order.
    pub extensions: Vec<Extension>,
}

impl Template<'_> {
    /// Signs and encodes (DER).
    ///
    /// # Errors
    /// What is given cannot be encoded or read.
    pub fn sign(self, issuer_key: &SecretKey) -> io::Result<Vec<u8>> {
        self.build(issuer_key).map_err(other)
    }

    fn build(self, issuer_key: &SecretKey) -> x509_cert::der::Result<Vec<u8>> {
        let algorithm = AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        };
        let mut serial = [0; 16];
        OsRng.fill_bytes(&mut serial);
        serial[0] = serial[0] & 0x7f | 0x01; // positive, and never a leading zero
        let spki = self.key.to_public_key_der().map_err(|_| value_error())?;
        let tbs = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&serial)?,
            signature: algorithm.clone(),
            issuer: self.issuer,
            validity: validity(self.ends)?,
            subject: Name::from_str(self.subject)?,
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(spki.as_bytes())?,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(self.extensions),
        };
        let signer = SigningKey::from(issuer_key);
        let signature: Signature = signer.sign(&tbs.to_der()?);
        let der: DerSignature = signature.to_der();
        Certificate {
            tbs_certificate: tbs,
            signature_algorithm: algorithm,
            signature: BitString::from_bytes(der.as_bytes())?,
        }
        .to_der()
    }
}

/// An extension whose value is these bytes, whatever they are.
///
/// # Errors
/// What is given cannot be encoded or read.
pub fn raw_extension(oid: ObjectIdentifier, bytes: &[u8]) -> io::Result<Extension> {
    Ok(Extension {
        extn_id: oid,
        critical: false,
        extn_value: OctetString::new(bytes).map_err(other)?,
    })
}

/// The extensions of a CA below which `path_len` further CAs may stand.
///
/// # Errors
/// What is given cannot be encoded or read.
pub fn ca_extensions(path_len: u8) -> io::Result<Vec<Extension>> {
    let basic = BasicConstraints {
        ca: true,
        path_len_constraint: Some(path_len),
    };
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let critical = |oid, der: Vec<u8>| -> io::Result<Extension> {
        Ok(Extension {
            critical: true,
            ..raw_extension(oid, &der)?
        })
    };
    Ok(vec![
        critical(BASIC_CONSTRAINTS, basic.to_der().map_err(other)?)?,
        critical(KEY_USAGE, usage.to_der().map_err(other)?)?,
    ])
}

/// The subject of a certificate (DER).
///
/// # Errors
/// What is given cannot be encoded or read.
pub fn subject_of(der: &[u8]) -> io::Result<Name> {
    let certificate = Certificate::from_der(der).map_err(other)?;
    Ok(certificate.tbs_certificate.subject)
}

/// A name from its text form, `CN=...`.
///
/// # Errors
/// What is given cannot be encoded or read.
pub fn name(text: &str) -> io::Result<Name> {
    Name::from_str(text).map_err(other)
}

fn validity(ends: Ends) -> x509_cert::der::Result<Validity> {
    let at = |year, month, day, h, m, s| {
        x509_cert::der::DateTime::new(year, month, day, h, m, s)
            .map(|t| Time::GeneralTime(GeneralizedTime::from_date_time(t)))
    };
    let utc = |year, month, day| {
        let t = x509_cert::der::DateTime::new(year, month, day, 0, 0, 0)?;
        x509_cert::der::asn1::UtcTime::from_date_time(t).map(Time::UtcTime)
    };
    Ok(match ends {
        Ends::In2001 => Validity {
            not_before: utc(2000, 1, 1)?,
            not_after: utc(2001, 1, 1)?,
        },
        Ends::In2052 => Validity {
            not_before: utc(2016, 3, 14)?,
            not_after: at(2052, 4, 17, 0, 0, 0)?,
        },
        Ends::Never => Validity {
            not_before: utc(2024, 12, 1)?,
            not_after: at(9999, 12, 31, 23, 59, 59)?,
        },
    })
}

fn value_error() -> x509_cert::der::Error {
    x509_cert::der::ErrorKind::Failed.into()
}

fn other(e: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(e)
}
