//! Making keys on a token: one transaction with PIN verified and management key authenticated.

use super::apdu::Card;
use super::link::Exclusive;
use super::management::{self, ManagementAlgorithm, ManagementKey};
use super::session::{self, Prompt, Token, Why};
use super::{
    Capability, Firmware, Metadata, Pin, PinPolicy, Purpose, Slot, TokenError, TouchPolicy,
    certificate, piv,
};
use std::time::SystemTime;

/// The right to change a token's keys and certificates, until dropped; then the card is reset.
pub struct Manage<'a> {
    card: Exclusive<'a>,
    firmware: Firmware,
    algorithm: ManagementAlgorithm,
    factory: bool,
}

impl Token {
    /// Shows PIN and management key, and takes the token for us alone until the result is dropped.
    ///
    /// Without `key`, the one that is stored on the token under the PIN is used, else the factory's if the token says
    /// that it still is in use.
    ///
    /// # Errors
    /// [`TokenError::PinWrong`], [`TokenError::PinBlocked`], [`TokenError::ManagementKeyNeeded`],
    /// [`TokenError::ManagementKeyWrong`], and those of the connection.
    pub fn manage(
        &mut self,
        pin: &Pin,
        key: Option<&ManagementKey>,
    ) -> Result<Manage<'_>, TokenError> {
        let firmware = self.firmware();
        let mut card = self.exclusive()?;
        let (algorithm, factory) = enter(&mut card, firmware, pin, key)?;
        Ok(Manage {
            card,
            firmware,
            algorithm,
            factory,
        })
    }
}

fn enter(
    card: &mut dyn Card,
    firmware: Firmware,
    pin: &Pin,
    key: Option<&ManagementKey>,
) -> Result<(ManagementAlgorithm, bool), TokenError> {
    piv::select(card)?;
    piv::verify(card, pin)?;
    let (algorithm, default) = management::kind(card, firmware)?;
    if let Some(key) = key {
        management::authenticate(card, algorithm, key)?;
        return Ok((algorithm, default.unwrap_or(false)));
    }
    // By the token's own word it is the factory's, whatever is stored there.
    if default != Some(true) {
        if let Some(key) = management::stored(card)? {
            match management::authenticate(card, algorithm, &key) {
                // Before firmware 5.3 there is no such word, and a key that is stored may not yet have been set.
                Err(TokenError::ManagementKeyWrong) if default.is_none() => {}
                result => return result.map(|()| (algorithm, false)),
            }
        } else if default == Some(false) {
            return Err(TokenError::ManagementKeyNeeded);
        }
    }
    match management::authenticate(card, algorithm, &ManagementKey::factory()) {
        Err(TokenError::ManagementKeyWrong) if default.is_none() => {
            Err(TokenError::ManagementKeyNeeded)
        }
        result => result.map(|()| (algorithm, true)),
    }
}

impl Manage<'_> {
    /// Whether the management key is the factory's, which everybody knows. Before firmware 5.3, whether the factory's was accepted.
    #[must_use]
    pub fn factory_management_key(&self) -> bool {
        self.factory
    }

    /// Kind of the management key.
    #[must_use]
    pub fn management_algorithm(&self) -> ManagementAlgorithm {
        self.algorithm
    }

    /// Replaces the management key by a random one, stored on the token under the PIN as ykman does, and proves it. A token that
    /// refuses one of this kind gets one of the kind that it had.
    ///
    /// # Errors
    /// [`TokenError::Refused`] when the token does not take it (the former key then still counts), and those of the
    /// connection.
    pub fn set_management_key(&mut self, algorithm: ManagementAlgorithm) -> Result<(), TokenError> {
        if algorithm != ManagementAlgorithm::Tdes
            && !self.firmware.has(Capability::AesManagementKeys)
        {
            let firmware = self.firmware;
            return Err(TokenError::Unsupported {
                what: "aes management keys",
                firmware,
            });
        }
        self.algorithm = match management::replace(&mut self.card, algorithm) {
            // Other makers' cards may name a version that has AES keys and not take one.
            Err(TokenError::Refused { .. }) if algorithm != self.algorithm => {
                management::replace(&mut self.card, self.algorithm)?;
                self.algorithm
            }
            result => result.map(|()| algorithm)?,
        };
        self.factory = false;
        Ok(())
    }

    /// What the token says of the key in a slot.
    ///
    /// # Errors
    /// As [`Token::metadata`].
    pub fn metadata(&mut self, slot: Slot) -> Result<Option<Metadata>, TokenError> {
        piv::metadata(&mut self.card, self.firmware, slot.reference())
    }

    /// The first slot that holds nothing and is none of `besides`.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn free_slot(&mut self, besides: &[Slot]) -> Result<Option<Slot>, TokenError> {
        for slot in Slot::all().filter(|slot| !besides.contains(slot)) {
            if !session::in_use(&mut self.card, self.firmware, slot)? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Makes a P-256 key in a slot. A key that is there is lost: ask [`Token::slot_in_use`] first.
    ///
    /// # Errors
    /// [`TokenError::NoSlot`], [`TokenError::Refused`], and those of the connection.
    pub fn generate(
        &mut self,
        slot: Slot,
        pin: PinPolicy,
        touch: TouchPolicy,
    ) -> Result<p256::PublicKey, TokenError> {
        let point = piv::generate(&mut self.card, slot, pin, touch)?;
        p256::PublicKey::from_sec1_bytes(&point).map_err(|_| TokenError::Malformed {
            what: "key generation",
        })
    }

    /// Writes a certificate (DER) into a slot's object.
    ///
    /// # Errors
    /// [`TokenError::Refused`], and those of the connection.
    pub fn write_certificate(&mut self, slot: Slot, der: &[u8]) -> Result<(), TokenError> {
        piv::put_certificate(&mut self.card, slot.object(), der)
    }

    /// Makes a certificate over the key in `slot`, signs it with that very key (which takes PIN and touch, and so
    /// shows that both work), checks it, and writes it. Answers the certificate, DER.
    ///
    /// # Errors
    /// [`TokenError::BadName`], [`TokenError::PinWrong`], [`TokenError::NoTouch`], and those of the connection.
    #[allow(clippy::too_many_arguments)]
    pub fn certify(
        &mut self,
        pin: &Pin,
        slot: Slot,
        purpose: Purpose,
        name: &str,
        public_key: &p256::PublicKey,
        policies: (PinPolicy, TouchPolicy),
        now: SystemTime,
        prompt: &mut dyn FnMut(Prompt),
    ) -> Result<Vec<u8>, TokenError> {
        let card = &mut self.card;
        certify(
            card, pin, slot, purpose, name, public_key, policies, now, prompt,
        )
    }

    /// Ends the transaction and says whether the reset worked; dropping does the same silently.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn finish(self) -> Result<(), TokenError> {
        self.card.end()
    }
}

#[allow(clippy::too_many_arguments)]
fn certify(
    card: &mut dyn Card,
    pin: &Pin,
    slot: Slot,
    purpose: Purpose,
    name: &str,
    public_key: &p256::PublicKey,
    policies: (PinPolicy, TouchPolicy),
    now: SystemTime,
    prompt: &mut dyn FnMut(Prompt),
) -> Result<Vec<u8>, TokenError> {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;

    let unsigned = certificate::Unsigned::new(purpose, name, public_key, policies, now)?;
    let digest = unsigned.digest()?;
    let signature = session::run_sign(card, pin, slot, &digest, Why::Certify, prompt)?;
    // A key that does not sign what it is said to sign is found now, not at three in the morning.
    let genuine = p256::ecdsa::Signature::from_der(&signature).is_ok_and(|signature| {
        let key = p256::ecdsa::VerifyingKey::from(public_key);
        key.verify_prehash(&digest, &signature).is_ok()
    });
    if !genuine {
        return Err(TokenError::Malformed {
            what: "the signature",
        });
    }
    let der = unsigned.signed(&signature)?;
    piv::put_certificate(card, slot.object(), &der)?;
    Ok(der)
}

#[cfg(test)]
mod tests;
