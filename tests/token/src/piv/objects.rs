//! Data objects: GET DATA (CB/3F/FF) and PUT DATA (DB/3F/FF).

use super::{AID, Piv, Reply};
use crate::{
    apdu::{Command, Sw},
    hex::Hex,
    tlv::{find, parse, split, tlv},
};
use data_encoding::HEXLOWER;

/// The certificate of the attestation key.
pub(crate) const ATTESTATION_CERTIFICATE: &str = "5fff01";

/// Objects that want the PIN: printed information, fingerprints, face, iris.
const WITH_PIN: [&str; 4] = ["5fc109", "5fc103", "5fc108", "5fc121"];

/// The tag of the discovery object, which is asked for by one byte and not wrapped.
const DISCOVERY: u8 = 0x7e;

/// The most that one object may hold.
const OBJECT_MAX: usize = 3052;

impl Piv {
    /// `5C id` answers `53 value`.
    pub(super) fn get_data(&mut self, c: &Command) -> Reply {
        check_parameters(c)?;
        let fields = parse(&c.data)?;
        let id = find(&fields, 0x5c).ok_or(Sw::BAD_DATA)?;
        if id == [DISCOVERY] {
            let policy = tlv(0x5f2f, &[0x40, 0x00]); // the application PIN alone
            return Ok(tlv(DISCOVERY.into(), &[tlv(0x4f, &AID), policy].concat()));
        }
        let id = HEXLOWER.encode(id);
        if WITH_PIN.contains(&id.as_str()) && !self.session.pin_verified {
            return Err(Sw::SECURITY_STATUS.into());
        }
        match self.store.state.objects.get(&id) {
            Some(value) => Ok(tlv(0x53, &value.0)),
            None => Err(Sw::NOT_FOUND.into()),
        }
    }

    /// `5C id, 53 value`; an empty value deletes.
    pub(super) fn put_data(&mut self, c: &Command) -> Reply {
        self.require_management()?;
        check_parameters(c)?;
        let fields = parse(&c.data)?;
        let (Some([a, b, d]), Some(value)) = (find(&fields, 0x5c), find(&fields, 0x53)) else {
            return Err(Sw::BAD_DATA.into());
        };
        if value.len() > OBJECT_MAX {
            return Err(Sw::WRONG_LENGTH.into());
        }
        let id = HEXLOWER.encode(&[*a, *b, *d]);
        let objects = &mut self.store.state.objects;
        if value.is_empty() {
            objects.remove(&id);
        } else {
            objects.insert(id, Hex(value.to_vec()));
        }
        self.saved()
    }
}

/// The object that holds a certificate (DER) without compression.
pub(crate) fn certificate_object(der: &[u8]) -> Vec<u8> {
    [tlv(0x70, der), tlv(0x71, &[0]), tlv(0xfe, &[])].concat()
}

/// The certificate in such an object.
pub(super) fn certificate_in(object: &[u8]) -> Option<&[u8]> {
    match split(object) {
        Ok((0x70, der, _)) => Some(der),
        _ => None,
    }
}

fn check_parameters(c: &Command) -> Result<(), Sw> {
    if (c.p1, c.p2) == (0x3f, 0xff) {
        return Ok(());
    }
    Err(Sw::BAD_P1P2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_goes_into_its_object_and_comes_out() {
        let object = certificate_object(&[0x30, 1, 2]);
        assert_eq!(certificate_in(&object), Some(&[0x30, 1, 2][..]));
        assert_eq!(certificate_in(&[0x53, 0]), None);
    }
}
