//! The PIV commands, one function each, over any [`Card`].
//!
//! Sources: NIST SP 800-73-4 part 2 for SELECT, VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, GENERAL
//! AUTHENTICATE, GENERATE, GET and PUT DATA; Yubico's PIV extensions
//! (<https://developers.yubico.com/PIV/Introduction/Yubico_extensions.html>) for version, serial number,
//! metadata, attestation and policies.

use super::apdu::{self, Card, Command, Reply};
use super::{Capability, Firmware, Pin, PinPolicy, Puk, Slot, TokenError, TouchPolicy, tlv};
use p256::ecdsa::Signature;
use zeroize::Zeroizing;

/// The PIV application, without version bytes.
const PIV: [u8; 5] = [0xa0, 0x00, 0x00, 0x03, 0x08];
/// ECC P-256 as algorithm identifier (SP 800-78-4, table 6-2).
const P256: u8 = 0x11;
const PIN: u8 = 0x80;
const PUK: u8 = 0x81;
/// Key reference of the management key.
pub(super) const MANAGEMENT: u8 = 0x9b;
/// Certificate of the attestation key in slot F9.
pub(super) const ATTESTATION_OBJECT: [u8; 3] = [0x5f, 0xff, 0x01];

const AUTHENTICATE: u8 = 0x87;
const TEMPLATE: u16 = 0x7c;
const RESPONSE: u16 = 0x82;

const fn command(ins: u8, p1: u8, p2: u8) -> Command {
    Command {
        ins,
        p1,
        p2,
        replies: true,
    }
}

const fn order(ins: u8, p1: u8, p2: u8) -> Command {
    Command {
        ins,
        p1,
        p2,
        replies: false,
    }
}

/// Selects the PIV application. Any other program may have selected another one meanwhile.
pub(super) fn select(card: &mut dyn Card) -> Result<(), TokenError> {
    match apdu::send(card, command(0xa4, 0x04, 0x00), &PIV)?.status {
        0x9000 => Ok(()),
        _ => Err(TokenError::NotYubiKey),
    }
}

/// Which token this is: a PIV application that tells Yubico's version and serial number.
pub(super) fn identify(card: &mut dyn Card) -> Result<(Firmware, u32), TokenError> {
    select(card)?;
    let version = apdu::send(card, command(0xfd, 0, 0), &[])?;
    if version.status != 0x9000 {
        return Err(TokenError::NotYubiKey);
    }
    let firmware = match version.data[..] {
        [major, minor, patch] => Firmware::new(major, minor, patch),
        _ => {
            return Err(TokenError::Malformed {
                what: "get version",
            });
        }
    };
    if !firmware.has(Capability::SerialNumber) {
        return Err(TokenError::Unsupported {
            what: "serial numbers",
            firmware,
        });
    }
    let serial = apdu::send(card, command(0xf8, 0, 0), &[])?.ok("get serial")?;
    let serial = <[u8; 4]>::try_from(&serial[..])
        .map_err(|_| TokenError::Malformed { what: "get serial" })?;
    Ok((firmware, u32::from_be_bytes(serial)))
}

/// Presents the PIN.
pub(super) fn verify(card: &mut dyn Card, pin: &Pin) -> Result<(), TokenError> {
    let reply = apdu::send(card, order(0x20, 0, PIN), pin.padded())?;
    match secret_state(reply.status) {
        Some(State::Right) => Ok(()),
        Some(State::Wrong(tries)) => Err(TokenError::PinWrong { tries }),
        Some(State::Blocked) => Err(TokenError::PinBlocked),
        None => Err(TokenError::Refused {
            what: "the pin",
            status: reply.status,
        }),
    }
}

/// Tries left by VERIFY without data, which costs none. `None` while the PIN counts as verified.
pub(super) fn tries_by_verify(card: &mut dyn Card) -> Result<Option<u8>, TokenError> {
    let reply = apdu::send(card, order(0x20, 0, PIN), &[])?;
    match secret_state(reply.status) {
        Some(State::Right) => Ok(None),
        Some(State::Wrong(tries)) => Ok(Some(tries)),
        Some(State::Blocked) => Ok(Some(0)),
        None => Err(TokenError::Refused {
            what: "the pin tries",
            status: reply.status,
        }),
    }
}

enum State {
    Right,
    Wrong(u8),
    Blocked,
}

fn secret_state(status: u16) -> Option<State> {
    match status {
        0x9000 => Some(State::Right),
        // No try left is what blocked means, even where the card says so only the next time.
        0x63c0 | 0x6983 => Some(State::Blocked),
        0x63c1..=0x63cf => Some(State::Wrong((status & 0xf) as u8)),
        _ => None,
    }
}

/// Which secret is shown and which is set by CHANGE REFERENCE DATA and RESET RETRY COUNTER.
pub(super) enum Change<'a> {
    Pin { old: &'a Pin, new: &'a Pin },
    Puk { old: &'a Puk, new: &'a Puk },
    Unblock { puk: &'a Puk, new: &'a Pin },
}

pub(super) fn change(card: &mut dyn Card, change: &Change<'_>) -> Result<(), TokenError> {
    let (ins, p2, shown, set) = match change {
        Change::Pin { old, new } => (0x24, PIN, old.padded(), new.padded()),
        Change::Puk { old, new } => (0x24, PUK, old.padded(), new.padded()),
        Change::Unblock { puk, new } => (0x2c, PIN, puk.padded(), new.padded()),
    };
    let mut both = Zeroizing::new([0; 16]);
    both[..8].copy_from_slice(shown);
    both[8..].copy_from_slice(set);
    let status = apdu::send(card, order(ins, 0, p2), &both[..])?.status;
    match (secret_state(status), change) {
        (Some(State::Right), _) => Ok(()),
        (Some(State::Wrong(tries)), Change::Pin { .. }) => Err(TokenError::PinWrong { tries }),
        (Some(State::Wrong(tries)), _) => Err(TokenError::PukWrong { tries }),
        (Some(State::Blocked), Change::Pin { .. }) => Err(TokenError::PinBlocked),
        (Some(State::Blocked), _) => Err(TokenError::PukBlocked),
        (None, _) if matches!(status, 0x6985 | 0x6a80) => Err(TokenError::NewPinRefused),
        (None, _) => Err(TokenError::Refused {
            what: "the change",
            status,
        }),
    }
}

/// Signs a SHA-256 digest; DER with low S. The PIN must have been verified directly before.
pub(super) fn sign(
    card: &mut dyn Card,
    slot: Slot,
    digest: &[u8; 32],
    late: &mut dyn FnMut(),
) -> Result<Vec<u8>, TokenError> {
    const WHAT: &str = "the signature";
    let data = tlv::element(
        TEMPLATE,
        &[&tlv::element(RESPONSE, &[]), &tlv::element(0x81, &[digest])],
    );
    let reply = apdu::send_with(
        card,
        command(AUTHENTICATE, P256, slot.reference()),
        &data,
        late,
    )?;
    let reply = used(reply, slot, WHAT)?;
    let der = tlv::within(&reply, &[TEMPLATE, RESPONSE], WHAT)?;
    let signature = Signature::from_der(der).map_err(|_| TokenError::Malformed { what: WHAT })?;
    let signature = signature.normalize_s().unwrap_or(signature);
    Ok(signature.to_der().as_bytes().to_vec())
}

/// ECDH with a peer's point; the X coordinate. The PIN must have been verified directly before.
pub(super) fn agree(
    card: &mut dyn Card,
    slot: Slot,
    peer: &[u8; 65],
    late: &mut dyn FnMut(),
) -> Result<Zeroizing<[u8; 32]>, TokenError> {
    const WHAT: &str = "the key agreement";
    check_point(peer)?;
    let data = tlv::element(
        TEMPLATE,
        &[&tlv::element(RESPONSE, &[]), &tlv::element(0x85, &[peer])],
    );
    let reply = apdu::send_with(
        card,
        command(AUTHENTICATE, P256, slot.reference()),
        &data,
        late,
    )?;
    let reply = used(reply, slot, WHAT)?;
    let x = tlv::within(&reply, &[TEMPLATE, RESPONSE], WHAT)?;
    let mut shared = Zeroizing::new([0; 32]);
    if x.len() != shared.len() {
        return Err(TokenError::Malformed { what: WHAT });
    }
    shared.copy_from_slice(x);
    Ok(shared)
}

/// Refuses a point that is off the curve; the token is never relied upon to do so.
pub(super) fn check_point(peer: &[u8; 65]) -> Result<(), TokenError> {
    match peer[0] == 4 && p256::PublicKey::from_sec1_bytes(peer).is_ok() {
        true => Ok(()),
        false => Err(TokenError::BadPoint),
    }
}

/// What GENERAL AUTHENTICATE says when the PIN was right a moment ago: the only security condition that can
/// still be open is the touch.
fn used(reply: Reply, slot: Slot, what: &'static str) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    match reply.status {
        0x6982 | 0x6600 => Err(TokenError::NoTouch),
        0x6a80 | 0x6a86 | 0x6a88 => Err(TokenError::NoKey { slot }),
        _ => reply.ok(what),
    }
}

/// One round of authentication with the management key: a template in, a template out.
pub(super) fn authenticate(
    card: &mut dyn Card,
    algorithm: u8,
    inner: &[u8],
) -> Result<Reply, TokenError> {
    let data = tlv::element(TEMPLATE, &[inner]);
    apdu::send(card, command(AUTHENTICATE, algorithm, MANAGEMENT), &data)
}

/// Sets the management key. It must be authenticated.
pub(super) fn set_management_key(
    card: &mut dyn Card,
    algorithm: u8,
    key: &[u8],
) -> Result<(), TokenError> {
    let data = Zeroizing::new(
        [
            &[algorithm][..],
            &tlv::element(u16::from(MANAGEMENT), &[key]),
        ]
        .concat(),
    );
    apdu::send(card, order(0xff, 0xff, 0xff), &data)?
        .ok("the management key")
        .map(drop)
}

/// Makes a P-256 key on the token, and answers its public point, uncompressed.
pub(super) fn generate(
    card: &mut dyn Card,
    slot: Slot,
    pin: PinPolicy,
    touch: TouchPolicy,
) -> Result<[u8; 65], TokenError> {
    const WHAT: &str = "key generation";
    let data = tlv::element(
        0xac,
        &[
            &tlv::element(0x80, &[&[P256]]),
            &tlv::element(0xaa, &[&[pin.byte()]]),
            &tlv::element(0xab, &[&[touch.byte()]]),
        ],
    );
    let reply = apdu::send(card, command(0x47, 0, slot.reference()), &data)?;
    // What a card says that lacks the slot differs; where the parameters are wrong, it is the only one that can be.
    if matches!(reply.status, 0x6b00 | 0x6a82 | 0x6a86 | 0x6a88) {
        return Err(TokenError::NoSlot { slot });
    }
    let reply = reply.ok(WHAT)?;
    point(tlv::within(&reply, &[0x7f49, 0x86], WHAT)?, WHAT)
}

fn point(bytes: &[u8], what: &'static str) -> Result<[u8; 65], TokenError> {
    <[u8; 65]>::try_from(bytes)
        .ok()
        .filter(|point| point[0] == 4 && p256::PublicKey::from_sec1_bytes(point).is_ok())
        .ok_or(TokenError::Malformed { what })
}

/// Reads a data object; `None` where there is none.
pub(super) fn object(
    card: &mut dyn Card,
    id: [u8; 3],
) -> Result<Option<Zeroizing<Vec<u8>>>, TokenError> {
    const WHAT: &str = "get data";
    let reply = apdu::send(card, command(0xcb, 0x3f, 0xff), &tlv::element(0x5c, &[&id]))?;
    if reply.status == 0x6a82 {
        return Ok(None);
    }
    let reply = reply.ok(WHAT)?;
    let value = tlv::within(&reply, &[0x53], WHAT)?;
    // An emptied object reads as one of length zero.
    Ok((!value.is_empty()).then(|| Zeroizing::new(value.to_vec())))
}

/// Writes a data object. The management key must be authenticated.
pub(super) fn put_object(card: &mut dyn Card, id: [u8; 3], value: &[u8]) -> Result<(), TokenError> {
    let data = Zeroizing::new(
        [
            &tlv::element(0x5c, &[&id])[..],
            &tlv::element(0x53, &[value]),
        ]
        .concat(),
    );
    apdu::send(card, order(0xdb, 0x3f, 0xff), &data)?
        .ok("put data")
        .map(drop)
}

/// Reads the certificate (DER) from an object; `None` where there is none.
pub(super) fn certificate(card: &mut dyn Card, id: [u8; 3]) -> Result<Option<Vec<u8>>, TokenError> {
    const WHAT: &str = "get certificate";
    let Some(value) = object(card, id)? else {
        return Ok(None);
    };
    let der = tlv::within(&value, &[0x70], WHAT)?;
    // 71 says whether it is compressed; nothing that twotap writes or reads is.
    match tlv::find(&value, 0x71) {
        None | Some([0]) if !der.is_empty() => Ok(Some(der.to_vec())),
        None | Some([0]) => Ok(None),
        Some(_) => Err(TokenError::Malformed { what: WHAT }),
    }
}

/// Writes a certificate: 70 = DER, 71 = 00 (not compressed), FE = empty (SP 800-73-4 part 1, appendix A).
pub(super) fn put_certificate(
    card: &mut dyn Card,
    id: [u8; 3],
    der: &[u8],
) -> Result<(), TokenError> {
    let value = [
        &tlv::element(0x70, &[der])[..],
        &tlv::element(0x71, &[&[0]]),
        &tlv::element(0xfe, &[]),
    ]
    .concat();
    put_object(card, id, &value)
}

/// The attestation of a key that was generated on the token: a DER certificate.
pub(super) fn attest(card: &mut dyn Card, slot: Slot) -> Result<Vec<u8>, TokenError> {
    const WHAT: &str = "the attestation";
    let reply = apdu::send(card, command(0xf9, slot.reference(), 0), &[])?;
    match reply.status {
        0x6a80 | 0x6a82 | 0x6a86 | 0x6a88 | 0x6b00 => return Err(TokenError::NoKey { slot }),
        _ => {}
    }
    let der = reply.ok(WHAT)?;
    match tlv::first(&der) {
        Some((0x30, _, [])) => Ok(der.to_vec()),
        _ => Err(TokenError::Malformed { what: WHAT }),
    }
}

/// What GET METADATA says of a slot, the PIN or the management key. Which fields are there depends on which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Algorithm identifier: 11 for P-256, 03, 08, 0A, 0C for management keys.
    pub algorithm: Option<u8>,
    /// When the key wants the PIN.
    pub pin_policy: Option<PinPolicy>,
    /// When the key wants a touch.
    pub touch_policy: Option<TouchPolicy>,
    /// Whether the key was made on the token (and not imported).
    pub generated: Option<bool>,
    /// P-256 point, uncompressed, 65 bytes.
    pub public_key: Option<[u8; 65]>,
    /// Whether PIN, PUK or management key still are what the factory set.
    pub default: Option<bool>,
    /// Tries in all and tries left, for PIN and PUK.
    pub tries: Option<(u8, u8)>,
}

/// Asks for metadata; `None` where there is no key.
pub(super) fn metadata(
    card: &mut dyn Card,
    firmware: Firmware,
    reference: u8,
) -> Result<Option<Metadata>, TokenError> {
    const WHAT: &str = "get metadata";
    const LACKS: &str = "metadata";
    if !firmware.has(Capability::Metadata) {
        return Err(TokenError::Unsupported {
            what: LACKS,
            firmware,
        });
    }
    let reply = apdu::send(card, command(0xf7, 0, reference), &[])?;
    // Other makers' cards may name a version that has it and not have it.
    if reply.status == 0x6d00 {
        return Err(TokenError::Unsupported {
            what: LACKS,
            firmware,
        });
    }
    if matches!(reply.status, 0x6a82 | 0x6a88) {
        return Ok(None);
    }
    parse_metadata(&reply.ok(WHAT)?)
        .ok_or(TokenError::Malformed { what: WHAT })
        .map(Some)
}

fn parse_metadata(mut bytes: &[u8]) -> Option<Metadata> {
    let mut metadata = Metadata::default();
    while !bytes.is_empty() {
        let (tag, value, rest) = tlv::first(bytes)?;
        bytes = rest;
        match (tag, value) {
            (1, &[algorithm]) => metadata.algorithm = Some(algorithm),
            (2, &[pin, touch]) => {
                metadata.pin_policy = Some(PinPolicy::from_byte(pin));
                metadata.touch_policy = Some(TouchPolicy::from_byte(touch));
            }
            (3, &[origin]) => metadata.generated = Some(origin == 1),
            // Other keys than P-256 are somebody else's; their form is none of our business.
            (4, key) => {
                metadata.public_key = tlv::find(key, 0x86).and_then(|key| point(key, "").ok());
            }
            (5, &[default]) => metadata.default = Some(default == 1),
            (6, &[total, left]) => metadata.tries = Some((total, left)),
            (1..=3 | 5..=6, _) => return None,
            _ => {}
        }
    }
    Some(metadata)
}

#[cfg(test)]
mod tests;
