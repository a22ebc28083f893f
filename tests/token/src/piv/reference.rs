//! PIN and PUK: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER and the number of tries.

use super::{Fail, Piv, Reply};
use crate::{
    apdu::{Command, Sw},
    hex::Hex,
    state::{DEFAULT_PIN, DEFAULT_PUK, Reference},
};

/// The PIN's reference number, in P2.
const PIN: u8 = 0x80;
/// The PUK's.
const PUK: u8 = 0x81;

impl Piv {
    /// VERIFY (20): with data checks the PIN; without data asks; with P1 FF forgets.
    pub(super) fn verify(&mut self, c: &Command) -> Reply {
        if c.p2 != PIN {
            return Err(Sw::REFERENCE_NOT_FOUND.into());
        }
        match (c.p1, c.data.len()) {
            (0x00, 0) if self.session.pin_verified => Ok(Vec::new()),
            (0x00, 0) => Err(self.store.state.pin.refusal().into()),
            (0xff, 0) => {
                self.forget_pin();
                Ok(Vec::new())
            }
            (0x00, 8) => {
                self.forget_pin();
                self.check(PIN, &c.data)?;
                self.session.pin_verified = true;
                self.session.pin_fresh = true;
                Ok(Vec::new())
            }
            (0x00, _) => Err(Sw::BAD_DATA.into()),
            _ => Err(Sw::BAD_P1P2.into()),
        }
    }

    /// CHANGE REFERENCE DATA (24): the old value, then the new one.
    pub(super) fn change_reference(&mut self, c: &Command) -> Reply {
        if c.p1 != 0 || !matches!(c.p2, PIN | PUK) {
            return Err(Sw::BAD_P1P2.into());
        }
        let (old, new) = halves(&c.data)?;
        self.check(c.p2, old)?;
        self.replace(c.p2, new)
    }

    /// RESET RETRY COUNTER (2C): the PUK, then the new PIN.
    pub(super) fn reset_retry(&mut self, c: &Command) -> Reply {
        if (c.p1, c.p2) != (0, PIN) {
            return Err(Sw::BAD_P1P2.into());
        }
        let (puk, new) = halves(&c.data)?;
        self.check(PUK, puk)?;
        self.replace(PIN, new)
    }

    /// SET PIN RETRIES (FA): P1 for the PIN, P2 for the PUK; both become the factory's again.
    pub(super) fn set_tries(&mut self, c: &Command) -> Reply {
        self.require_management()?;
        if !self.session.pin_verified {
            return Err(Sw::SECURITY_STATUS.into());
        }
        if c.p1 == 0 || c.p2 == 0 {
            return Err(Sw::BAD_P1P2.into());
        }
        self.store.state.pin = Reference::new(DEFAULT_PIN, c.p1);
        self.store.state.puk = Reference::new(DEFAULT_PUK, c.p2);
        self.forget_pin();
        self.saved()
    }

    fn forget_pin(&mut self) {
        self.session.pin_verified = false;
        self.session.pin_fresh = false;
    }

    fn reference(&mut self, which: u8) -> &mut Reference {
        match which {
            PUK => &mut self.store.state.puk,
            _ => &mut self.store.state.pin,
        }
    }

    /// Compares; a wrong value costs a try, a right one gives all tries back.
    fn check(&mut self, which: u8, value: &[u8]) -> Result<(), Fail> {
        let reference = self.reference(which);
        if reference.tries == 0 {
            return Err(Sw::BLOCKED.into());
        }
        let before = reference.tries;
        let is_right = reference.value.0 == value;
        reference.tries = if is_right { reference.max } else { before - 1 };
        let (after, refusal) = (reference.tries, Sw::tries_left(reference.tries));
        if after != before {
            self.saved()?;
        }
        if is_right {
            Ok(())
        } else {
            Err(refusal.into())
        }
    }

    fn replace(&mut self, which: u8, value: &[u8]) -> Reply {
        if !is_well_formed(value, which) {
            return Err(Sw::BAD_DATA.into());
        }
        let reference = self.reference(which);
        reference.value = Hex(value.to_vec());
        reference.tries = reference.max;
        self.saved()
    }
}

impl Reference {
    /// What an empty VERIFY answers while the PIN is not verified.
    fn refusal(&self) -> Sw {
        match self.tries {
            0 => Sw::BLOCKED,
            tries => Sw::tries_left(tries),
        }
    }
}

fn halves(data: &[u8]) -> Result<(&[u8], &[u8]), Fail> {
    match data.len() {
        16 => Ok(data.split_at(8)),
        _ => Err(Sw::BAD_DATA.into()),
    }
}

/// Six to eight bytes (a PUK may fill all eight with anything), then FF to the end.
fn is_well_formed(value: &[u8], which: u8) -> bool {
    let len = value.iter().position(|b| *b == 0xff).unwrap_or(value.len());
    let least = if which == PIN { 6 } else { 1 };
    len >= least && value[len..].iter().all(|b| *b == 0xff)
}
