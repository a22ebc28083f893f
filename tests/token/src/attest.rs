//! Attestation: the certificate of the attestation key (F9), and the statements that it signs.
//!
//! Yubico's extensions are 1.3.6.1.4.1.41482.3.x; see
//! <https://developers.yubico.com/PIV/Introduction/PIV_attestation.html>.

use crate::{
    pki::Pki,
    profile::{Chain, Profile, Slot},
    state::StoredKey,
    x509::{Ends, Template, ca_extensions, raw_extension, subject_of},
};
use p256::SecretKey;
use rand_core::OsRng;
use std::io;
use x509_cert::{
    der::{Encode, asn1::ObjectIdentifier},
    ext::Extension,
};

const FIRMWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.3");
const SERIAL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.7");
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.8");
const FORM_FACTOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.9");
const FIPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.10");
const CSPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.11");

/// Makes a token's attestation key and has the factory's CA sign it: key and certificate (DER).
pub(crate) fn factory(pki: &Pki, profile: &Profile) -> io::Result<(SecretKey, Vec<u8>)> {
    let key = SecretKey::random(&mut OsRng);
    let signer = Pki::signer(profile.chain);
    let mut extensions = vec![raw_extension(FIRMWARE, &profile.version.bytes())?];
    if profile.fips {
        extensions.push(raw_extension(FIPS, &[])?);
    }
    if profile.cspn {
        extensions.push(raw_extension(CSPN, &[])?);
    }
    // Like the real one: basic constraints, no key usage.
    extensions.extend(ca_extensions(0)?.into_iter().take(1));
    let certificate = Template {
        subject: "CN=Test PIV Attestation",
        issuer: subject_of(&pki.certificate(signer)?)?,
        key: key.public_key(),
        ends: ends(profile.chain),
        extensions,
    }
    .sign(&pki.key(signer)?)?;
    Ok((key, certificate))
}

/// The statement that a key was made on this token (DER), signed by the key in F9 and issued in
/// the name of whatever certificate object 5FFF01 holds.
pub(crate) fn statement(
    (attestation_key, attestation_certificate): (&SecretKey, &[u8]),
    (slot, key): (Slot, &StoredKey),
    public: p256::PublicKey,
    profile: &Profile,
    serial: u32,
) -> io::Result<Vec<u8>> {
    let extensions: Vec<Extension> = vec![
        raw_extension(FIRMWARE, &profile.version.bytes())?,
        raw_extension(SERIAL, &serial.to_der().map_err(io::Error::other)?)?,
        raw_extension(POLICY, &[key.pin_policy, key.touch_policy])?,
        raw_extension(FORM_FACTOR, &[profile.form_factor])?,
    ];
    Template {
        subject: &format!("CN=YubiKey PIV Attestation {:x}", slot.0),
        issuer: subject_of(attestation_certificate)?,
        key: public,
        ends: ends(profile.chain),
        extensions,
    }
    .sign(attestation_key)
}

fn ends(chain: Chain) -> Ends {
    match chain {
        Chain::Root => Ends::In2052,
        Chain::Intermediates => Ends::Never,
    }
}
