//! The management key: authentication by witness (mutual) or by challenge alone, and setting it.

use super::{Fail, Piv, Reply, SLOT_MANAGEMENT};
use crate::{
    apdu::{Command, Sw},
    hex::Hex,
    panel::{Host, Touch},
    profile::{ManagementAlgorithm, Slot, Version},
    state::ManagementKey,
    tlv::{find, template, tlv},
};
use aes::cipher::{BlockEncrypt, KeyInit, generic_array::GenericArray};
use rand_core::{OsRng, RngCore};

/// Where an authentication stands.
#[derive(Default)]
pub(super) enum Authentication {
    #[default]
    None,
    /// The host was sent this witness, encrypted, and has to send it back in plain.
    Witness(Vec<u8>),
    /// The host was sent this challenge and has to send it back encrypted.
    Challenge(Vec<u8>),
    Done,
}

impl Authentication {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

impl Piv {
    /// GENERAL AUTHENTICATE with 9B (87/alg/9B). Tags: 80 witness, 81 challenge, 82 response.
    pub(super) fn authenticate_management(&mut self, c: &Command, host: &dyn Host) -> Reply {
        let key = self.store.state.management.clone();
        if ManagementAlgorithm::from_number(c.p1) != Some(key.algorithm) {
            return Err(Sw::BAD_P1P2.into());
        }
        let fields = template(&c.data, 0x7c)?;
        let [witness, challenge, response] = [0x80, 0x81, 0x82].map(|tag| find(&fields, tag));
        // Whatever fails leaves nothing behind; a second attempt starts anew.
        let before = std::mem::take(&mut self.session.management);
        match (before, witness, challenge, response) {
            (_, Some([]), _, _) => {
                let witness = random_block(key.algorithm);
                let reply = field(0x80, &encrypt(&key, &witness)?);
                self.session.management = Authentication::Witness(witness);
                Ok(reply)
            }
            (Authentication::Witness(sent), Some(got), Some(challenge), _) => {
                if sent != got {
                    return Err(Sw::SECURITY_STATUS.into());
                }
                let answer = encrypt(&key, challenge)?;
                self.touch_for_management(&key, host)?;
                self.session.management = Authentication::Done;
                Ok(field(0x82, &answer))
            }
            (_, None, Some([]), _) => {
                let challenge = random_block(key.algorithm);
                let reply = field(0x81, &challenge);
                self.session.management = Authentication::Challenge(challenge);
                Ok(reply)
            }
            (Authentication::Challenge(sent), None, None, Some(got)) => {
                if encrypt(&key, &sent)? != got {
                    return Err(Sw::SECURITY_STATUS.into());
                }
                self.touch_for_management(&key, host)?;
                self.session.management = Authentication::Done;
                Ok(Vec::new())
            }
            (Authentication::None | Authentication::Done, ..) => Err(Sw::CONDITIONS.into()),
            _ => Err(Sw::BAD_DATA.into()),
        }
    }

    /// SET MANAGEMENT KEY (FF/FF/FF, or FE for one that wants a touch): algorithm, 9B, length, key.
    pub(super) fn set_management_key(&mut self, c: &Command) -> Reply {
        self.require_management()?;
        let touch = match (c.p1, c.p2) {
            (0xff, 0xff) => false,
            (0xff, 0xfe) => true,
            _ => return Err(Sw::BAD_P1P2.into()),
        };
        let [algorithm, SLOT_MANAGEMENT, len, key @ ..] = c.data.as_slice() else {
            return Err(Sw::BAD_DATA.into());
        };
        let algorithm = ManagementAlgorithm::from_number(*algorithm)
            .filter(|a| {
                let aes = self.profile.aes_management_keys;
                *a == ManagementAlgorithm::Tdes || (aes && self.profile.version >= Version(5, 4, 2))
            })
            .ok_or(Sw::BAD_DATA)?;
        if usize::from(*len) != key.len() || key.len() != algorithm.key_len() {
            return Err(Sw::BAD_DATA.into());
        }
        self.store.state.management = ManagementKey {
            algorithm,
            key: Hex(key.to_vec()),
            touch,
        };
        self.saved()
    }

    fn touch_for_management(&self, key: &ManagementKey, host: &dyn Host) -> Result<(), Fail> {
        if !key.touch {
            return Ok(());
        }
        match host.ask_touch(Slot(SLOT_MANAGEMENT), self.profile.touch_timeout()) {
            Touch::Tapped => Ok(()),
            Touch::TimedOut => Err(Sw(self.profile.no_touch_status.0).into()),
            Touch::Gone => Err(Fail::Gone),
        }
    }
}

/// One field in a 7C template.
fn field(tag: u16, value: &[u8]) -> Vec<u8> {
    tlv(0x7c, &tlv(tag, value))
}

fn random_block(algorithm: ManagementAlgorithm) -> Vec<u8> {
    let mut block = vec![0; algorithm.block_len()];
    OsRng.fill_bytes(&mut block);
    block
}

/// Encrypts one block; 6A80 if it is not one.
fn encrypt(key: &ManagementKey, block: &[u8]) -> Result<Vec<u8>, Sw> {
    fn run<C: BlockEncrypt + KeyInit>(key: &[u8], block: &mut [u8]) -> Result<(), Sw> {
        // The length of a stored key was checked when it was set.
        let cipher = C::new_from_slice(key).map_err(|_| Sw::MEMORY_FAILURE)?;
        cipher.encrypt_block(GenericArray::from_mut_slice(block));
        Ok(())
    }
    if block.len() != key.algorithm.block_len() {
        return Err(Sw::BAD_DATA);
    }
    let mut out = block.to_vec();
    match key.algorithm {
        ManagementAlgorithm::Tdes => run::<des::TdesEde3>(&key.key.0, &mut out),
        ManagementAlgorithm::Aes128 => run::<aes::Aes128>(&key.key.0, &mut out),
        ManagementAlgorithm::Aes192 => run::<aes::Aes192>(&key.key.0, &mut out),
        ManagementAlgorithm::Aes256 => run::<aes::Aes256>(&key.key.0, &mut out),
    }?;
    Ok(out)
}
