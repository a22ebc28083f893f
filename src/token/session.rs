//! A token in hand: what it says of itself, and the three operations of a custodian.

use super::apdu::Card;
use super::link::{Exclusive, Link};
use super::{Bounds, Capability, Firmware, Metadata, Pin, Puk, Slot, TokenError, piv, readers};
use zeroize::Zeroizing;

/// Key reference of the PIN in GET METADATA.
const PIN: u8 = 0x80;

/// A YubiKey in a reader.
///
/// Each method runs in one exclusive PC/SC transaction; if a PIN was shown, the card is reset at its end,
/// also after an error, so that no other program finds it verified.
pub struct Token {
    link: Link,
    reader: String,
    serial: u32,
    firmware: Firmware,
}

/// What the person has to do now. Tokens give no sign of waiting for a touch, so the prompt comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Touch the token: the command that wants it is about to be sent.
    Touch(Why),
    /// The token has not answered for [`Bounds::again`]: it does not count the touch before, and wants one more.
    TouchAgain(Why),
}

/// What a touch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// To sign.
    Sign,
    /// To open a share.
    Unseal,
    /// To sign a certificate over a new key.
    Certify,
}

/// What comes out of one approval.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::token::Approved) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::token::Approved) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::token::Approved) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct Approved {
    /// ECDSA P-256 over the digest: DER with low S, at most 72 bytes.
    pub signature: Vec<u8>,
    /// X coordinate of the ECDH with the peer, 32 bytes.
    pub shared: Zeroizing<[u8; 32]>,
}

impl Token {
    /// Opens the token with this serial number, or the only one that is plugged in.
    ///
    /// # Errors
    /// [`TokenError::NoService`], [`TokenError::NoReader`], [`TokenError::NoToken`], [`TokenError::WrongToken`],
    /// [`TokenError::SeveralTokens`], and [`TokenError::Held`] if a reader that may have it in it is held.
    pub fn open(serial: Option<u32>) -> Result<Self, TokenError> {
        Self::open_within(serial, Bounds::default())
    }

    /// As [`Self::open`], with other waiting times.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(serial: Option<u32>, bounds: Bounds) -> Result<Self, TokenError> {
        let (reader, link, firmware, serial) =
            readers::choose(readers::probe(serial, bounds)?, serial)?;
        Ok(Self {
            link,
            reader,
            serial,
            firmware,
        })
    }

    /// Serial number, as printed on it.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Firmware of the PIV application.
    #[must_use]
    pub fn firmware(&self) -> Firmware {
        self.firmware
    }

    /// PC/SC's name of the reader it is in.
    #[must_use]
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// What the token says of the key in a slot; `None` if there is none.
    ///
    /// # Errors
    /// [`TokenError::Unsupported`] before firmware 5.3, and those of the connection.
    pub fn metadata(&mut self, slot: Slot) -> Result<Option<Metadata>, TokenError> {
        let firmware = self.firmware;
        self.with(|card| piv::metadata(card, firmware, slot.reference()))
    }

    /// Tries left before the PIN is blocked; 0 is blocked. Asking costs none.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn pin_tries(&mut self) -> Result<u8, TokenError> {
        let firmware = self.firmware;
        if firmware.has(Capability::Metadata)
            && let Some(tries) = told(self.unselected(|card| run_tries(card, firmware)))?
        {
            return Ok(tries);
        }
        if let Some(tries) = self.with(piv::tries_by_verify)? {
            return Ok(tries);
        }
        // Another program left the PIN verified; as long as it is, the card does not tell. A reset ends that.
        let mut card = self.link.exclusive()?;
        card.stain();
        card.end()?;
        self.with(piv::tries_by_verify)?
            .ok_or(TokenError::Malformed {
                what: "the pin tries",
            })
    }

    /// Whether the PIN still is the factory's, by the token's own word; `None` before firmware 5.3, which does not
    /// tell. A PIN is never tried out.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn default_pin_in_use(&mut self) -> Result<Option<bool>, TokenError> {
        self.default_in_use(PIN)
    }

    /// As [`Self::default_pin_in_use`], of the PUK.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn default_puk_in_use(&mut self) -> Result<Option<bool>, TokenError> {
        self.default_in_use(0x81)
    }

    fn default_in_use(&mut self, reference: u8) -> Result<Option<bool>, TokenError> {
        let firmware = self.firmware;
        let metadata = told(self.with(|card| piv::metadata(card, firmware, reference)))?;
        Ok(metadata.flatten().and_then(|metadata| metadata.default))
    }

    /// Certificate in a slot, DER.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] for one that is compressed or has no form, and those of the connection.
    pub fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, TokenError> {
        self.with(|card| piv::certificate(card, slot.object()))
    }

    /// Whether a slot holds a key or a certificate. Before firmware 5.3 only a certificate shows.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn slot_in_use(&mut self, slot: Slot) -> Result<bool, TokenError> {
        let firmware = self.firmware;
        self.with(|card| in_use(card, firmware, slot))
    }

    /// Two free slots for an approve and an unseal key: 82 and 83 if both are, else the first two that are.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn free_slots(&mut self) -> Result<Option<(Slot, Slot)>, TokenError> {
        let firmware = self.firmware;
        self.with(|card| {
            let mut first = None;
            for slot in Slot::all() {
                if in_use(card, firmware, slot)? {
                    continue;
                }
                match first {
                    None => first = Some(slot),
                    Some(first) => return Ok(Some((first, slot))),
                }
            }
            Ok(None)
        })
    }

    /// The token's own certificate that it made the key in this slot, DER. Wants neither PIN nor touch.
    ///
    /// # Errors
    /// [`TokenError::NoKey`] if there is none or it was imported, and those of the connection.
    pub fn attest(&mut self, slot: Slot) -> Result<Vec<u8>, TokenError> {
        self.with(|card| piv::attest(card, slot))
    }

    /// Certificate of the key that signs attestations (slot F9, object 5FFF01), DER.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn attestation_certificate(&mut self) -> Result<Option<Vec<u8>>, TokenError> {
        self.with(|card| piv::certificate(card, piv::ATTESTATION_OBJECT))
    }

    /// Signs a digest and agrees on a secret with `peer` (65 bytes, uncompressed), in this order: the signature's touch
    /// is fresh, and where the token's touch cache spans its keys, the agreement rides on it.
    ///
    /// Five commands: SELECT, VERIFY, sign, VERIFY (a PIN-always key wants it directly before each use), agree.
    ///
    /// # Errors
    /// Any [`TokenError`]; nothing of a half-done approval is handed out.
    pub fn approve(
        &mut self,
        pin: &Pin,
        approve: Slot,
        unseal: Slot,
        digest: &[u8; 32],
        peer: &[u8; 65],
        prompt: &mut dyn FnMut(Prompt),
    ) -> Result<Approved, TokenError> {
        // A bad point must not cost a tap.
        piv::check_point(peer)?;
        self.with(|card| run_approve(card, pin, approve, unseal, digest, peer, prompt))
    }

    /// Signs a digest alone: three commands, one touch.
    ///
    /// # Errors
    /// Any [`TokenError`].
    pub fn sign(
        &mut self,
        pin: &Pin,
        slot: Slot,
        digest: &[u8; 32],
        prompt: &mut dyn FnMut(Prompt),
    ) -> Result<Vec<u8>, TokenError> {
        self.with(|card| run_sign(card, pin, slot, digest, Why::Sign, prompt))
    }

    /// Agrees on a secret with `peer` alone: three commands, one touch unless one is still cached.
    ///
    /// # Errors
    /// Any [`TokenError`].
    pub fn unseal(
        &mut self,
        pin: &Pin,
        slot: Slot,
        peer: &[u8; 65],
        prompt: &mut dyn FnMut(Prompt),
    ) -> Result<Zeroizing<[u8; 32]>, TokenError> {
        piv::check_point(peer)?;
        self.with(|card| {
            piv::verify(card, pin)?;
            prompt(Prompt::Touch(Why::Unseal));
            piv::agree(card, slot, peer, &mut || {})
        })
    }

    /// Changes the PIN.
    ///
    /// # Errors
    /// [`TokenError::PinWrong`], [`TokenError::PinBlocked`], [`TokenError::NewPinRefused`], and those of the connection.
    pub fn change_pin(&mut self, old: &Pin, new: &Pin) -> Result<(), TokenError> {
        self.change(&piv::Change::Pin { old, new })
    }

    /// Changes the PUK.
    ///
    /// # Errors
    /// [`TokenError::PukWrong`], [`TokenError::PukBlocked`], [`TokenError::NewPinRefused`], and those of the connection.
    pub fn change_puk(&mut self, old: &Puk, new: &Puk) -> Result<(), TokenError> {
        self.change(&piv::Change::Puk { old, new })
    }

    /// Sets a new PIN by the PUK, also when the PIN is blocked.
    ///
    /// # Errors
    /// As [`Self::change_puk`].
    pub fn unblock_pin(&mut self, puk: &Puk, new: &Pin) -> Result<(), TokenError> {
        self.change(&piv::Change::Unblock { puk, new })
    }

    fn change(&mut self, change: &piv::Change<'_>) -> Result<(), TokenError> {
        self.with(|card| piv::change(card, change))
    }

    /// Selects PIV (another program may have selected something else) and runs `work`, in one transaction.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Card) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        self.unselected(|card| {
            piv::select(card)?;
            work(card)
        })
    }

    fn unselected<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Card) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let mut card = self.link.exclusive()?;
        let result = work(&mut card);
        // What the work says comes first: if the token was pulled out, ending fails as well.
        let ended = card.end();
        let result = result?;
        ended.map(|()| result)
    }

    pub(super) fn exclusive(&mut self) -> Result<Exclusive<'_>, TokenError> {
        self.link.exclusive()
    }
}

/// `None` where the token does not tell such things at all.
pub(super) fn told<T>(asked: Result<T, TokenError>) -> Result<Option<T>, TokenError> {
    match asked {
        Ok(told) => Ok(Some(told)),
        Err(TokenError::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Most often PIV is still selected, and one command is enough: no other application answers in this form.
fn run_tries(card: &mut dyn Card, firmware: Firmware) -> Result<u8, TokenError> {
    let ask = |card: &mut dyn Card| {
        let metadata = piv::metadata(card, firmware, PIN)?;
        Ok(metadata
            .and_then(|metadata| metadata.tries)
            .map(|(_, left)| left))
    };
    match ask(card) {
        Ok(Some(left)) => return Ok(left),
        Ok(None)
        | Err(
            TokenError::Refused { .. }
            | TokenError::Malformed { .. }
            | TokenError::Unsupported { .. },
        ) => {}
        Err(error) => return Err(error),
    }
    piv::select(card)?;
    ask(card)?.ok_or(TokenError::Malformed {
        what: "get metadata",
    })
}

pub(super) fn in_use(
    card: &mut dyn Card,
    firmware: Firmware,
    slot: Slot,
) -> Result<bool, TokenError> {
    if let Some(Some(_)) = told(piv::metadata(card, firmware, slot.reference()))? {
        return Ok(true);
    }
    Ok(piv::object(card, slot.object())?.is_some())
}

fn run_approve(
    card: &mut dyn Card,
    pin: &Pin,
    approve: Slot,
    unseal: Slot,
    digest: &[u8; 32],
    peer: &[u8; 65],
    prompt: &mut dyn FnMut(Prompt),
) -> Result<Approved, TokenError> {
    let signature = run_sign(card, pin, approve, digest, Why::Sign, prompt)?;
    piv::verify(card, pin)?;
    let shared = piv::agree(card, unseal, peer, &mut || {
        prompt(Prompt::TouchAgain(Why::Unseal))
    })?;
    Ok(Approved { signature, shared })
}

/// VERIFY and sign; the application is selected.
pub(super) fn run_sign(
    card: &mut dyn Card,
    pin: &Pin,
    slot: Slot,
    digest: &[u8; 32],
    why: Why,
    prompt: &mut dyn FnMut(Prompt),
) -> Result<Vec<u8>, TokenError> {
    piv::verify(card, pin)?;
    prompt(Prompt::Touch(why));
    piv::sign(card, slot, digest, &mut || {})
}

#[cfg(test)]
mod tests;
