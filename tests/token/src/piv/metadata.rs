//! GET METADATA (F7/00/slot), since firmware 5.3.

use super::{ALGORITHM_P256, Piv, Reply, SLOT_MANAGEMENT, keys::point};
use crate::{
    apdu::{Command, Sw},
    profile::Slot,
    state::{DEFAULT_PIN, DEFAULT_PUK, Reference, StoredKey},
    tlv::tlv,
    touch,
};

const TAG_ALGORITHM: u16 = 0x01;
const TAG_POLICY: u16 = 0x02;
const TAG_ORIGIN: u16 = 0x03;
const TAG_PUBLIC_KEY: u16 = 0x04;
const TAG_IS_DEFAULT: u16 = 0x05;
const TAG_TRIES: u16 = 0x06;

impl Piv {
    pub(super) fn metadata(&mut self, c: &Command) -> Reply {
        if !self.profile.metadata {
            return Err(Sw::BAD_INS.into());
        }
        let state = &self.store.state;
        match c.p2 {
            0x80 => Ok(reference(&state.pin, DEFAULT_PIN)),
            0x81 => Ok(reference(&state.puk, DEFAULT_PUK)),
            SLOT_MANAGEMENT => {
                let key = &state.management;
                let touch = if key.touch {
                    touch::ALWAYS
                } else {
                    touch::NEVER
                };
                Ok([
                    tlv(TAG_ALGORITHM, &[key.algorithm as u8]),
                    tlv(TAG_POLICY, &[0, touch]),
                    tlv(TAG_IS_DEFAULT, &[u8::from(key.is_default())]),
                ]
                .concat())
            }
            // 96 is the slot of biometrics: like any empty slot on a token that has none.
            slot => match state.keys.get(&Slot(slot)) {
                Some(stored) => key(stored),
                None => Err(Sw::REFERENCE_NOT_FOUND.into()),
            },
        }
    }
}

fn reference(r: &Reference, default: [u8; 8]) -> Vec<u8> {
    [
        tlv(TAG_ALGORITHM, &[0xff]),
        tlv(TAG_IS_DEFAULT, &[u8::from(r.value.0 == default)]),
        tlv(TAG_TRIES, &[r.max, r.tries]),
    ]
    .concat()
}

fn key(stored: &StoredKey) -> Reply {
    let public = stored.secret().ok_or(Sw::MEMORY_FAILURE)?.public_key();
    let origin = if stored.generated { 1 } else { 2 };
    Ok([
        tlv(TAG_ALGORITHM, &[ALGORITHM_P256]),
        tlv(TAG_POLICY, &[stored.pin_policy, stored.touch_policy]),
        tlv(TAG_ORIGIN, &[origin]),
        tlv(TAG_PUBLIC_KEY, &point(&public)),
    ]
    .concat())
}
