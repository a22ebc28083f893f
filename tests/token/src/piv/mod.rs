//! The PIV application: NIST SP 800-73-4 as far as a YubiKey speaks it, and Yubico's extensions
//! (<https://developers.yubico.com/PIV/Introduction/Yubico_extensions.html>).

mod keys;
mod management_key;
mod metadata;
mod objects;
mod operate;
mod reference;

use crate::{
    apdu::{Command, Sw},
    panel::Host,
    profile::{Profile, Slot},
    state::Store,
    tlv::tlv,
    touch::TouchCache,
};
use management_key::Authentication;
pub(crate) use objects::{ATTESTATION_CERTIFICATE, certificate_object};

/// The full application identifier; any prefix of at least five bytes selects it.
pub(crate) const AID: [u8; 11] = [0xa0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0];

const INS_VERIFY: u8 = 0x20;
const INS_CHANGE_REFERENCE: u8 = 0x24;
const INS_RESET_RETRY: u8 = 0x2c;
const INS_GENERATE: u8 = 0x47;
const INS_AUTHENTICATE: u8 = 0x87;
const INS_GET_DATA: u8 = 0xcb;
const INS_PUT_DATA: u8 = 0xdb;
const INS_MOVE_KEY: u8 = 0xf6;
const INS_METADATA: u8 = 0xf7;
const INS_SERIAL: u8 = 0xf8;
const INS_ATTEST: u8 = 0xf9;
const INS_SET_TRIES: u8 = 0xfa;
const INS_RESET: u8 = 0xfb;
const INS_VERSION: u8 = 0xfd;
const INS_IMPORT: u8 = 0xfe;
const INS_SET_MANAGEMENT_KEY: u8 = 0xff;

/// The slot of the attestation key.
pub(crate) const SLOT_ATTESTATION: Slot = Slot(0xf9);
/// The slot of the management key.
const SLOT_MANAGEMENT: u8 = 0x9b;

/// P-256, in APDUs.
const ALGORITHM_P256: u8 = 0x11;

/// Why a command has no answer with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// It is answered with this status word.
    Status(Sw),
    /// It is not answered: the token was pulled out.
    Gone,
}

impl From<Sw> for Fail {
    fn from(sw: Sw) -> Self {
        Self::Status(sw)
    }
}

/// The data of a 9000 answer, or why there is none.
pub(crate) type Reply = Result<Vec<u8>, Fail>;

/// The application with its memory: what lasts (`store`), and what goes with the power.
pub(crate) struct Piv {
    profile: Profile,
    store: Store,
    session: Session,
    touch: TouchCache,
}

/// What has been shown to the card since it was last reset.
#[derive(Default)]
struct Session {
    /// The PIN was verified: good for keys with PIN policy 'once'.
    pin_verified: bool,
    /// ... and no PIN-always key has used it up yet.
    pin_fresh: bool,
    management: Authentication,
}

impl Piv {
    pub(crate) fn new(profile: Profile, store: Store) -> Self {
        let touch = TouchCache::new(profile.touch_cache, profile.touch_cache_time());
        Self {
            profile,
            store,
            session: Session::default(),
            touch,
        }
    }

    /// The card lost its power or was reset: PIN, management key and touch are forgotten.
    pub(crate) fn power_off(&mut self) {
        self.session = Session::default();
        self.touch.clear();
    }

    /// Another application is selected.
    pub(crate) fn deselect(&mut self) {
        self.session = Session::default();
    }

    /// Whether this is not even there.
    pub(crate) fn is_foreign(&self) -> bool {
        self.profile.foreign
    }

    /// SELECT: answers with the application property template.
    pub(crate) fn select(&mut self) -> Vec<u8> {
        if !self.profile.keeps_pin_over_select {
            self.session = Session::default();
        }
        let authority = tlv(0x79, &tlv(0x4f, &AID[..5]));
        tlv(0x61, &[tlv(0x4f, &AID[5..]), authority].concat())
    }

    /// Runs one whole command.
    pub(crate) fn run(&mut self, c: &Command, host: &dyn Host) -> Reply {
        let reply = match c.ins {
            INS_VERIFY => self.verify(c),
            INS_CHANGE_REFERENCE => self.change_reference(c),
            INS_RESET_RETRY => self.reset_retry(c),
            INS_SET_TRIES => self.set_tries(c),
            INS_AUTHENTICATE if c.p2 == SLOT_MANAGEMENT => self.authenticate_management(c, host),
            INS_AUTHENTICATE => self.operate(c, host),
            INS_SET_MANAGEMENT_KEY => self.set_management_key(c),
            INS_GENERATE => self.generate(c),
            INS_IMPORT => self.import(c),
            INS_MOVE_KEY => self.move_key(c),
            INS_METADATA => self.metadata(c),
            INS_ATTEST => self.attest(c),
            INS_GET_DATA => self.get_data(c),
            INS_PUT_DATA => self.put_data(c),
            INS_RESET => self.reset(c),
            INS_VERSION => Ok(self.profile.version.bytes().to_vec()),
            INS_SERIAL if self.profile.version.0 >= 5 => {
                Ok(self.store.state.serial.to_be_bytes().to_vec())
            }
            _ => Err(Sw::BAD_INS.into()),
        };
        if self.profile.pin_always_immediate && c.ins != INS_VERIFY {
            self.session.pin_fresh = false;
        }
        reply
    }

    /// RESET: only when PIN and PUK are both blocked. The attestation key stays.
    fn reset(&mut self, c: &Command) -> Reply {
        if (c.p1, c.p2) != (0, 0) {
            return Err(Sw::BAD_P1P2.into());
        }
        let state = &mut self.store.state;
        if state.pin.tries > 0 || state.puk.tries > 0 {
            return Err(Sw::CONDITIONS.into());
        }
        let factory = crate::state::State::factory(state.serial, &self.profile);
        let old = std::mem::replace(state, factory);
        let is_attestation = |slot: &Slot| *slot == SLOT_ATTESTATION;
        state.keys = old
            .keys
            .into_iter()
            .filter(|(s, _)| is_attestation(s))
            .collect();
        let is_certificate = |id: &String| id == objects::ATTESTATION_CERTIFICATE;
        state.objects = old
            .objects
            .into_iter()
            .filter(|(i, _)| is_certificate(i))
            .collect();
        self.power_off();
        self.saved()
    }

    /// Writes the state down and answers 9000; 6581 if it cannot be written.
    fn saved(&self) -> Reply {
        match self.store.save() {
            Ok(()) => Ok(Vec::new()),
            Err(e) => {
                eprintln!("twotap-token: the state cannot be written: {e}");
                Err(Sw::MEMORY_FAILURE.into())
            }
        }
    }

    fn require_management(&self) -> Result<(), Fail> {
        if self.session.management.is_done() {
            return Ok(());
        }
        Err(Sw::SECURITY_STATUS.into())
    }

    /// Whether this token has a key slot of this number.
    fn has_slot(&self, slot: Slot) -> bool {
        let exists = matches!(slot.0, 0x82..=0x95 | 0x9a | 0x9c..=0x9e) || slot == SLOT_ATTESTATION;
        exists && !self.profile.missing_slots.contains(&slot)
    }
}

#[cfg(test)]
mod tests;
