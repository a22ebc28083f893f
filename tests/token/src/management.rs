//! The management application, as far as ykman needs it to see which token this is.

use crate::{
    apdu::{Command, Sw},
    piv::Reply,
    profile::Profile,
    tlv::tlv,
};

/// Its application identifier.
pub(crate) const AID: [u8; 8] = [0xa0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17];

const INS_READ_CONFIG: u8 = 0x1d;

/// The capability bit of PIV; this token has nothing else.
const CAPABILITY_PIV: u16 = 0x0010;

pub(crate) struct Management {
    serial: u32,
    profile: Profile,
}

impl Management {
    pub(crate) fn new(serial: u32, profile: Profile) -> Self {
        Self { serial, profile }
    }

    /// SELECT answers a string that ends in the version.
    pub(crate) fn select(&self) -> Vec<u8> {
        format!("Virtual mgr - FW version {}", self.profile.version).into_bytes()
    }

    /// READ CONFIG (1D/page): a length byte, then TLVs.
    pub(crate) fn run(&self, c: &Command) -> Reply {
        if c.ins != INS_READ_CONFIG {
            return Err(Sw::BAD_INS.into());
        }
        if c.p1 != 0 {
            // There is one page, and it says so by not announcing another.
            return Err(Sw::BAD_P1P2.into());
        }
        let fields = [
            tlv(0x01, &CAPABILITY_PIV.to_be_bytes()), // supported over USB
            tlv(0x02, &self.serial.to_be_bytes()),
            tlv(0x03, &CAPABILITY_PIV.to_be_bytes()), // enabled over USB
            tlv(0x04, &[self.profile.form_factor]),
            tlv(0x05, &self.profile.version.bytes()),
            tlv(0x06, &[0, 0]), // auto-eject time
            tlv(0x07, &[15]),   // challenge-response time
            tlv(0x08, &[0]),    // device flags
            tlv(0x0a, &[0]),    // no configuration lock
        ]
        .concat();
        let length = u8::try_from(fields.len()).map_err(|_| Sw::MEMORY_FAILURE)?;
        Ok([vec![length], fields].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlv::{find, parse};

    #[test]
    fn the_configuration_names_serial_and_version() {
        let management = Management::new(1001, Profile::default());
        let command = Command::parse(&[0, INS_READ_CONFIG, 0, 0]).expect("a command");
        let reply = management.run(&command).expect("a page");
        assert_eq!(usize::from(reply[0]), reply.len() - 1);
        let fields = parse(&reply[1..]).expect("TLVs");
        assert_eq!(find(&fields, 2), Some(&1001u32.to_be_bytes()[..]));
        assert_eq!(find(&fields, 5), Some(&[5, 7, 4][..]));
        assert!(management.select().ends_with(b"5.7.4"));
    }
}
