//! Using a key (87/11/slot): ECDSA over a hash, or ECDH with a peer's point, after PIN and touch.

use super::{ALGORITHM_P256, Fail, Piv, Reply};
use crate::{
    apdu::{Command, Sw},
    panel::{Host, Touch},
    profile::Slot,
    state::StoredKey,
    tlv::{find, template, tlv},
};
use p256::{
    PublicKey, SecretKey,
    ecdh::diffie_hellman,
    ecdsa::{Signature, SigningKey, signature::hazmat::RandomizedPrehashSigner},
};
use rand_core::OsRng;

/// The length of a P-256 scalar, and so the most of a hash that is signed.
const FIELD: usize = 32;

/// What is asked of a key.
enum Task {
    Sign([u8; FIELD]),
    Agree(PublicKey),
}

impl Piv {
    pub(super) fn operate(&mut self, c: &Command, host: &dyn Host) -> Reply {
        let slot = Slot(c.p2);
        if !self.has_slot(slot) {
            return Err(Sw::BAD_P1P2.into());
        }
        let key = self.store.state.keys.get(&slot).cloned();
        let key = key.filter(|_| c.p1 == ALGORITHM_P256).ok_or(Sw::BAD_DATA)?;
        let task = task(&c.data)?;
        self.satisfy_pin(key.pin_policy)?;
        self.satisfy_touch(slot, &key, host)?;
        let secret = key.secret().ok_or(Sw::MEMORY_FAILURE)?;
        let out = run(task, &secret)?;
        Ok(tlv(0x7c, &tlv(0x82, &out)))
    }

    /// PIN policy 01 never, 02 once, 03 always: the last uses the verification up, whether or not
    /// a touch follows.
    fn satisfy_pin(&mut self, policy: u8) -> Result<(), Fail> {
        let is_satisfied = match policy {
            1 => true,
            2 => self.session.pin_verified,
            _ => std::mem::take(&mut self.session.pin_fresh),
        };
        if is_satisfied {
            return Ok(());
        }
        Err(Sw::SECURITY_STATUS.into())
    }

    fn satisfy_touch(&mut self, slot: Slot, key: &StoredKey, host: &dyn Host) -> Result<(), Fail> {
        if !self.touch.needs_touch(slot, key.touch_policy, host.now()) {
            return Ok(());
        }
        match host.ask_touch(slot, self.profile.touch_timeout()) {
            Touch::Tapped => {
                self.touch.touched(slot, host.now());
                Ok(())
            }
            Touch::TimedOut => Err(Sw(self.profile.no_touch_status.0).into()),
            Touch::Gone => Err(Fail::Gone),
        }
    }
}

/// `7C {82 empty, 81 hash}` asks for a signature, `7C {82 empty, 85 point}` for an agreement.
fn task(data: &[u8]) -> Result<Task, Sw> {
    let fields = template(data, 0x7c)?;
    match (
        find(&fields, 0x82),
        find(&fields, 0x81),
        find(&fields, 0x85),
    ) {
        (Some([]), Some(hash), None) if hash.len() <= FIELD => {
            // A shorter hash is a smaller number.
            let mut padded = [0; FIELD];
            padded[FIELD - hash.len()..].copy_from_slice(hash);
            Ok(Task::Sign(padded))
        }
        (Some([]), None, Some(point)) if point.len() == 1 + 2 * FIELD => {
            let peer = PublicKey::from_sec1_bytes(point).map_err(|_| Sw::BAD_DATA)?;
            Ok(Task::Agree(peer))
        }
        _ => Err(Sw::BAD_DATA),
    }
}

/// The signature (DER, as it falls: s is high half the time, as on the real token), or the
/// 32-byte x coordinate.
fn run(task: Task, key: &SecretKey) -> Result<Vec<u8>, Sw> {
    match task {
        Task::Sign(hash) => {
            let signature: Signature = SigningKey::from(key)
                .sign_prehash_with_rng(&mut OsRng, &hash)
                .map_err(|_| Sw::BAD_DATA)?;
            Ok(signature.to_der().as_bytes().to_vec())
        }
        Task::Agree(peer) => {
            let shared = diffie_hellman(key.to_nonzero_scalar(), peer.as_affine());
            Ok(shared.raw_secret_bytes().to_vec())
        }
    }
}
