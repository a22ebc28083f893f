//! Keys in slots: generating, importing, moving, attesting.

use super::{ALGORITHM_P256, Fail, Piv, Reply, SLOT_ATTESTATION, objects};
use crate::{
    apdu::{Command, Sw},
    attest,
    profile::{Slot, Version},
    state::StoredKey,
    tlv::{find, parse, template, tlv},
    touch,
};
use p256::{PublicKey, SecretKey, elliptic_curve::sec1::ToEncodedPoint};
use rand_core::OsRng;

/// PIN policy: never.
const PIN_NEVER: u8 = 1;
/// PIN policy: once in a session.
const PIN_ONCE: u8 = 2;
/// PIN policy: before each use.
const PIN_ALWAYS: u8 = 3;

/// Tags in key data: algorithm, and the two policies.
const TAG_ALGORITHM: u8 = 0x80;
const TAG_PIN_POLICY: u8 = 0xaa;
const TAG_TOUCH_POLICY: u8 = 0xab;

impl Piv {
    /// GENERATE ASYMMETRIC (47/00/slot): `AC {80 algorithm, AA PIN policy, AB touch policy}`.
    pub(super) fn generate(&mut self, c: &Command) -> Reply {
        self.require_management()?;
        let slot = self.writable_slot(c.p2)?;
        let fields = template(&c.data, 0xac)?;
        if find(&fields, TAG_ALGORITHM) != Some(&[ALGORITHM_P256]) {
            return Err(Sw::BAD_DATA.into());
        }
        let policies = policies(slot, &fields)?;
        let key = SecretKey::random(&mut OsRng);
        self.put_key(slot, &key, policies, true)?;
        Ok(tlv(0x7f49, &point(&key.public_key())))
    }

    /// IMPORT (FE/11/slot): tag 06 with the scalar, then the policies.
    pub(super) fn import(&mut self, c: &Command) -> Reply {
        self.require_management()?;
        let slot = self.writable_slot(c.p2)?;
        let fields = parse(&c.data)?;
        if c.p1 != ALGORITHM_P256 {
            return Err(Sw::BAD_DATA.into());
        }
        let scalar = find(&fields, 0x06).ok_or(Sw::BAD_DATA)?;
        let key = SecretKey::from_slice(scalar).map_err(|_| Sw::BAD_DATA)?;
        self.put_key(slot, &key, policies(slot, &fields)?, false)?;
        Ok(Vec::new())
    }

    /// MOVE KEY (F6/to/from; to FF deletes), since firmware 5.7.
    pub(super) fn move_key(&mut self, c: &Command) -> Reply {
        if self.profile.version < Version(5, 7, 0) {
            return Err(Sw::BAD_INS.into());
        }
        self.require_management()?;
        let (to, from) = (Slot(c.p1), Slot(c.p2));
        let to_exists = to.0 == 0xff || (self.has_slot(to) && to != SLOT_ATTESTATION);
        let keys = &mut self.store.state.keys;
        if !to_exists || keys.contains_key(&to) || !keys.contains_key(&from) {
            return Err(Sw::REFERENCE_NOT_FOUND.into());
        }
        if let Some(key) = keys.remove(&from).filter(|_| to.0 != 0xff) {
            keys.insert(to, key);
        }
        self.saved()
    }

    /// ATTEST (F9/slot/00): the certificate that says that this key was made here.
    pub(super) fn attest(&mut self, c: &Command) -> Reply {
        if !self.profile.attestation || !self.profile.attest_command {
            return Err(Sw::BAD_INS.into());
        }
        let slot = Slot(c.p1);
        let state = &self.store.state;
        let key = state
            .keys
            .get(&slot)
            .filter(|k| k.generated && slot != SLOT_ATTESTATION);
        let attestation_key = state
            .keys
            .get(&SLOT_ATTESTATION)
            .and_then(StoredKey::secret);
        let certificate = state
            .objects
            .get(objects::ATTESTATION_CERTIFICATE)
            .and_then(|o| objects::certificate_in(&o.0));
        let (Some(key), Some(attestation_key), Some(certificate)) =
            (key, attestation_key, certificate)
        else {
            return Err(Sw::BAD_DATA.into());
        };
        let public = key.secret().ok_or(Sw::MEMORY_FAILURE)?.public_key();
        let pair = (&attestation_key, certificate);
        attest::statement(pair, (slot, key), public, &self.profile, state.serial)
            .map_err(|_| Sw::BAD_DATA.into())
    }

    fn writable_slot(&self, number: u8) -> Result<Slot, Fail> {
        let slot = Slot(number);
        if self.has_slot(slot) {
            return Ok(slot);
        }
        Err(Sw(self.profile.missing_slot_status.0).into())
    }

    fn put_key(
        &mut self,
        slot: Slot,
        key: &SecretKey,
        (pin, touch): (u8, u8),
        generated: bool,
    ) -> Reply {
        let stored = StoredKey::new(key, pin, touch, generated);
        self.store.state.keys.insert(slot, stored);
        self.saved()
    }
}

/// A public key as cards send it: tag 86 with the uncompressed point.
pub(super) fn point(key: &PublicKey) -> Vec<u8> {
    tlv(0x86, key.to_encoded_point(false).as_bytes())
}

/// The PIN and touch policies asked for, with the slot's defaults in place of 'default' (0).
fn policies(slot: Slot, fields: &[(u8, &[u8])]) -> Result<(u8, u8), Sw> {
    let asked = |tag| match find(fields, tag) {
        None => Ok(0),
        Some([policy @ 0..=3]) => Ok(*policy),
        Some(_) => Err(Sw::BAD_DATA),
    };
    let pin = match (asked(TAG_PIN_POLICY)?, slot.0) {
        (0, 0x9c) => PIN_ALWAYS,
        (0, 0x9e) => PIN_NEVER,
        (0, _) => PIN_ONCE,
        (policy, _) => policy,
    };
    let touch = match asked(TAG_TOUCH_POLICY)? {
        0 => touch::NEVER,
        policy => policy,
    };
    Ok((pin, touch))
}
