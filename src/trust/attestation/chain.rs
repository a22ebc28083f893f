//! From a key's attestation to a root that is known.
//!
//! The rules are those of RFC 5280, section 6, for chains of two to five certificates, with what the maker's really have: names that link
//! byte for byte, signatures, basic constraints with their path length in every certificate that signs, key usage where it is stated,
//! no critical extension that is not known.
//!
//! **Dates decide nothing.** A token's certificates were made in the factory and say when they were to end; a key that was made on a token
//! remains a key that was made on a token, and nobody must be locked out of an emergency by a date that a custodian cannot change. A key
//! that should count no longer is taken out of the roster.

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::ring;
use x509_cert::certificate::{CertificateInner, Rfc5280};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Header, Reader, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};

use super::{AttestationError, AttestationRoot, FormFactor, Statement, Which, yubico};
use crate::trust::{
    firmware::{Firmware, Model},
    roster::Attestation,
};

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");

/// Whose root a chain ends at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The maker's, by the name that stands in it.
    Yubico(String),
    /// One that the roster names.
    Named(String),
}

/// What is known of a token after its chain was verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Attested {
    /// What is said of the approve key.
    pub approve: Statement,
    /// What is said of the unseal key.
    pub unseal: Statement,
    /// Whether the token's own certificate says that it is a FIPS model.
    pub fips: bool,
    /// Whether it says that it is certified under CSPN.
    pub cspn: bool,
    /// Whose root vouches.
    pub root: Root,
}

impl Attested {
    /// Firmware, by the approve key's statement.
    #[must_use]
    pub fn firmware(&self) -> Firmware {
        self.approve.firmware
    }

    /// Shape, where it is told.
    #[must_use]
    pub fn form_factor(&self) -> Option<FormFactor> {
        self.approve.form_factor
    }

    /// What decides, besides the firmware, which advisories are about it.
    #[must_use]
    pub fn model(&self) -> Model {
        Model {
            bio: self.form_factor().is_some_and(FormFactor::is_bio),
            fips: self.fips,
        }
    }
}

/// Verifies a token's attestations up to one of Yubico's roots, or one that is named.
///
/// A named root is a trust anchor: whichever certificate signs the tokens' own. It need not be signed by itself.
///
/// # Errors
/// [`AttestationError`], by the first rule that does not hold.
pub fn verify(
    attestation: &Attestation,
    named: &[AttestationRoot],
) -> Result<Attested, AttestationError> {
    let token = Link::read(Which::Token, &attestation.f9.0)?;
    let root = issued(&token, named)?;
    let (approve, unseal) = (
        stated(Which::Approve, &attestation.approve.0, &token)?,
        stated(Which::Unseal, &attestation.unseal.0, &token)?,
    );
    Ok(Attested {
        approve,
        unseal,
        fips: super::has(&token.certificate, 10),
        cspn: super::has(&token.certificate, 11),
        root,
    })
}

/// Whether a certificate (DER) can be a named root: it may sign certificates that sign others.
///
/// # Errors
/// [`AttestationError::Unreadable`] and [`AttestationError::NoAuthority`].
pub fn check_root(der: &[u8]) -> Result<(), AttestationError> {
    Link::read(Which::Issuer, der)?.may_sign(1)
}

/// One statement, signed by the token's own key.
fn stated(which: Which, der: &[u8], token: &Link<'_>) -> Result<Statement, AttestationError> {
    let link = Link::read(which, der)?;
    link.issued_by(token)?;
    token.may_sign(0)?;
    if link.basic_constraints()?.is_some_and(|basic| basic.ca) {
        return Err(AttestationError::Authority(which));
    }
    Statement::of(&link.certificate).ok_or(AttestationError::Unreadable(which))
}

/// Who issued the token's own certificate.
fn issued(token: &Link<'_>, named: &[AttestationRoot]) -> Result<Root, AttestationError> {
    let known = yubico::certificates()?;
    let mut why = None;
    for chain in yubico::CHAINS {
        let ders = chain.iter().filter_map(|place| known.get(*place).copied());
        match climb(token, ders) {
            Ok(top) => return Ok(Root::Yubico(top)),
            Err(AttestationError::OtherIssuer(_)) => {}
            Err(error) => why = Some(error),
        }
    }
    for root in named {
        match climb(token, std::iter::once(&root.certificate.0[..])) {
            Ok(_) => return Ok(Root::Named(root.name.clone())),
            Err(AttestationError::OtherIssuer(_)) => {}
            Err(error) => why = Some(error),
        }
    }
    // Where one has the issuer's name, what is wrong beyond the name says more.
    Err(why.unwrap_or_else(|| AttestationError::UnknownMaker {
        issuer: token.certificate.tbs_certificate.issuer.to_string(),
    }))
}

/// Checks each issuer against the one below it; the root's name.
fn climb<'a>(
    token: &Link<'_>,
    issuers: impl Iterator<Item = &'a [u8]>,
) -> Result<String, AttestationError> {
    let mut issuers = issuers.map(|der| Link::read(Which::Issuer, der));
    let mut below = issuers.next().ok_or(AttestationError::Damaged)??;
    token.issued_by(&below)?;
    // Certificates that sign and stand below: the token's own, then one more each.
    let mut signing_below = 1;
    below.may_sign(signing_below)?;
    for above in issuers {
        let above = above?;
        below.issued_by(&above)?;
        signing_below += 1;
        above.may_sign(signing_below)?;
        below = above;
    }
    Ok(below.certificate.tbs_certificate.subject.to_string())
}

/// One certificate of a chain.
struct Link<'a> {
    which: Which,
    certificate: CertificateInner<Rfc5280>,
    /// What is signed, as it stands there.
    signed: &'a [u8],
}

impl<'a> Link<'a> {
    fn read(which: Which, der: &'a [u8]) -> Result<Self, AttestationError> {
        let unreadable = |_| AttestationError::Unreadable(which);
        let certificate = CertificateInner::from_der(der).map_err(unreadable)?;
        let link = Self {
            which,
            certificate,
            signed: signed(der).map_err(unreadable)?,
        };
        link.knows_what_is_critical()?;
        Ok(link)
    }

    /// Name and signature.
    fn issued_by(&self, issuer: &Link<'_>) -> Result<(), AttestationError> {
        let tbs = &self.certificate.tbs_certificate;
        if tbs.issuer != issuer.certificate.tbs_certificate.subject {
            return Err(match self.is_self_issued() && self.which != Which::Issuer {
                true => AttestationError::SelfSigned(self.which),
                false => AttestationError::OtherIssuer(self.which),
            });
        }
        let bad = AttestationError::BadSignature(self.which);
        // The algorithm is stated twice; only one of them is signed.
        if tbs.signature != self.certificate.signature_algorithm {
            return Err(bad);
        }
        let key = &issuer.certificate.tbs_certificate.subject_public_key_info;
        let parameters = key.algorithm.parameters.as_ref();
        let curve = parameters.and_then(|p| p.decode_as::<ObjectIdentifier>().ok());
        let algorithm = algorithm(
            &tbs.signature.oid.to_string(),
            &key.algorithm.oid.to_string(),
            curve.map(|oid| oid.to_string()).as_deref(),
        );
        let parts = algorithm.zip(key.subject_public_key.as_bytes());
        let parts = parts.zip(self.certificate.signature.as_bytes());
        match parts {
            Some(((algorithm, key), signature)) => algorithm
                .verify_signature(key, self.signed, signature)
                .map_err(|_| bad),
            None => Err(bad),
        }
    }

    /// Whether it may sign, with so many signing certificates below it.
    fn may_sign(&self, below: u8) -> Result<(), AttestationError> {
        let no = AttestationError::NoAuthority(self.which);
        let basic = self.basic_constraints()?;
        let enough = basic
            .is_some_and(|basic| basic.ca && basic.path_len_constraint.is_none_or(|n| n >= below));
        // Tokens' own certificates state no key usage; the maker's others do.
        let usage: Option<KeyUsage> = self.extension(KEY_USAGE)?;
        let signs = usage.is_none_or(|usage| usage.0.contains(KeyUsages::KeyCertSign));
        if enough && signs { Ok(()) } else { Err(no) }
    }

    fn basic_constraints(&self) -> Result<Option<BasicConstraints>, AttestationError> {
        self.extension(BASIC_CONSTRAINTS)
    }

    fn extension<T: for<'d> Decode<'d>>(
        &self,
        oid: ObjectIdentifier,
    ) -> Result<Option<T>, AttestationError> {
        let extensions = self.certificate.tbs_certificate.extensions.iter().flatten();
        let mut found = extensions.filter(|e| e.extn_id == oid);
        let Some(first) = found.next() else {
            return Ok(None);
        };
        let decoded = T::from_der(first.extn_value.as_bytes()).ok();
        match (decoded, found.next()) {
            (Some(decoded), None) => Ok(Some(decoded)),
            _ => Err(AttestationError::Unreadable(self.which)),
        }
    }

    fn knows_what_is_critical(&self) -> Result<(), AttestationError> {
        let extensions = self.certificate.tbs_certificate.extensions.iter().flatten();
        let mut unknown = extensions
            .filter(|e| e.critical && ![BASIC_CONSTRAINTS, KEY_USAGE].contains(&e.extn_id));
        match unknown.next() {
            Some(_) => Err(AttestationError::UnknownExtension(self.which)),
            None => Ok(()),
        }
    }

    fn is_self_issued(&self) -> bool {
        self.certificate.tbs_certificate.issuer == self.certificate.tbs_certificate.subject
    }
}

/// The first element inside the certificate's sequence, with its header: signatures are over these very bytes.
fn signed(der: &[u8]) -> x509_cert::der::Result<&[u8]> {
    let mut reader = SliceReader::new(der)?;
    Header::decode(&mut reader)?;
    reader.tlv_bytes()
}

/// The one way to check this kind of signature by this kind of key.
fn algorithm(
    signature: &str,
    key: &str,
    curve: Option<&str>,
) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    const RSA: &str = "1.2.840.113549.1.1.1";
    const ECDSA: &str = "1.2.840.10045.2.1";
    const P256: Option<&str> = Some("1.2.840.10045.3.1.7");
    const P384: Option<&str> = Some("1.3.132.0.34");
    Some(match (signature, key) {
        ("1.2.840.113549.1.1.11", RSA) => ring::RSA_PKCS1_2048_8192_SHA256,
        ("1.2.840.113549.1.1.12", RSA) => ring::RSA_PKCS1_2048_8192_SHA384,
        ("1.2.840.113549.1.1.13", RSA) => ring::RSA_PKCS1_2048_8192_SHA512,
        ("1.2.840.10045.4.3.2", ECDSA) if curve == P256 => ring::ECDSA_P256_SHA256,
        ("1.2.840.10045.4.3.2", ECDSA) if curve == P384 => ring::ECDSA_P384_SHA256,
        ("1.2.840.10045.4.3.3", ECDSA) if curve == P256 => ring::ECDSA_P256_SHA384,
        ("1.2.840.10045.4.3.3", ECDSA) if curve == P384 => ring::ECDSA_P384_SHA384,
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::trust::attestation) fn each_authority_is_issued_by_the_next() {
        let all = yubico::certificates().unwrap();
        let link = |place: usize| Link::read(Which::Issuer, all[place]).unwrap();
        for chain in yubico::CHAINS {
            for (below, pair) in (1..).zip(chain.windows(2)) {
                link(pair[0]).issued_by(&link(pair[1])).unwrap();
                link(pair[0]).may_sign(below).unwrap();
            }
            let root = link(*chain.last().unwrap());
            assert!(root.is_self_issued());
            root.issued_by(&root).unwrap();
        }
        // The root of before 2018 allows no certificate below the one that it signs to sign others; YubiKeys 5 have one.
        assert!(link(1).may_sign(0).is_ok() && link(1).may_sign(1).is_err());
        assert!(link(2).may_sign(3).is_ok() && link(2).may_sign(4).is_err());
        // And a wrong one in between does not fit.
        assert!(link(5).issued_by(&link(4)).is_err());
        assert!(link(3).issued_by(&link(4)).is_err());
    }
}
