//! Yubico's certificates, as data: the roots of both generations, and the intermediates of the newer one, which are not on the tokens.
//!
//! Published at <https://developers.yubico.com/PKI/> and <https://developers.yubico.com/PIV/Introduction/PIV_attestation.html>. Tokens
//! below firmware 5.7.4: F9, then the PIV root. From 5.7.4 on: F9, one of the three PIV authorities, one of the two intermediates,
//! the attestation root.

use super::AttestationError;
use crate::trust::Digest;

/// Each certificate, DER, with its SHA-256 as hex.
const ALL: [(&[u8], &str); 8] = [
    (
        include_bytes!("yubico/piv-root-263751.der"),
        "63ece914e54dd87915f34033c85af4c0696ba1512f8add66ced738331207b546",
    ),
    (
        // As it was before 2018: the same name and key, and a path too short for what YubiKeys 5 carry in F9.
        include_bytes!("yubico/piv-root-263751-before-2018.der"),
        "7e996a28e3055223733c9aec897900eda9b746e3e15d419556ac6a1179879a50",
    ),
    (
        include_bytes!("yubico/attestation-root-1.der"),
        "62760c6a6ef91679f454c8902b80fd009825b3f25da90f1fbace2ec6586cd5a8",
    ),
    (
        include_bytes!("yubico/attestation-intermediate-a-1.der"),
        "4698a1d3389c3ec60016c216250f1d0439922832d65142327436376dc2942b55",
    ),
    (
        include_bytes!("yubico/attestation-intermediate-b-1.der"),
        "d4cc3f456fdaf4e7812a21aab1dfe9d8e27d24e2fd2d6f21c9940109f0daa754",
    ),
    (
        include_bytes!("yubico/piv-attestation-a-1.der"),
        "6de693f05376f5d8ca29069261e1c8626c75d503bd2edbfd75354cad1f722870",
    ),
    (
        include_bytes!("yubico/piv-attestation-b-1.der"),
        "2d55b7998f4e42569d6d8fa382b6dc77d1dacf07358b19701163892922b17052",
    ),
    (
        include_bytes!("yubico/piv-attestation-b2-1.der"),
        "0c90b7d184a36edf50a35f9be935f0c5689bfdcfe5bdd073366cafb49061a440",
    ),
];

/// Chains of issuers, by their places in [`ALL`]: the one that signs tokens' own certificates first, the root last.
pub(super) const CHAINS: [&[usize]; 5] = [&[0], &[1], &[5, 3, 2], &[6, 4, 2], &[7, 4, 2]];

/// Yubico's certificates, DER, each compared with its digest first.
///
/// # Errors
/// [`AttestationError::Damaged`].
pub fn certificates() -> Result<[&'static [u8]; 8], AttestationError> {
    for (der, digest) in ALL {
        if Digest::parse(digest) != Some(Digest::of(der)) {
            return Err(AttestationError::Damaged);
        }
    }
    Ok(ALL.map(|(der, _)| der))
}

/// The SHA-256 of one of them as it should be, by its place.
#[must_use]
pub fn digest_of(place: usize) -> Option<&'static str> {
    ALL.get(place).map(|(_, digest)| *digest)
}
