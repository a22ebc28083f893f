//! What a token remembers without power: keys, objects, PIN, PUK, management key.
//!
//! It is one JSON file in plain text. These are keys of tests.

use crate::{
    hex::Hex,
    profile::{ManagementAlgorithm, Profile, Slot},
};
use p256::SecretKey;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// The factory PIN, padded.
pub const DEFAULT_PIN: [u8; 8] = *b"123456\xff\xff";
/// The factory PUK.
pub const DEFAULT_PUK: [u8; 8] = *b"12345678";

/// The factory management key of this length: 01 to 08, over and over.
pub(crate) fn default_management_key(len: usize) -> Vec<u8> {
    (1..=8).cycle().take(len).collect()
}

/// A PIN or PUK with its counter.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) value: Hex,
    pub(crate) tries: u8,
    pub(crate) max: u8,
}

impl Reference {
    pub(crate) fn new(value: [u8; 8], max: u8) -> Self {
        Self {
            value: Hex(value.to_vec()),
            tries: max,
            max,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ManagementKey {
    pub(crate) algorithm: ManagementAlgorithm,
    pub(crate) key: Hex,
    pub(crate) touch: bool,
}

impl ManagementKey {
    pub(crate) fn factory(profile: &Profile) -> Self {
        Self {
            algorithm: profile.management_key,
            key: Hex(default_management_key(profile.management_key.key_len())),
            touch: false,
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.key.0 == default_management_key(self.algorithm.key_len())
    }
}

/// A P-256 key in a slot.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    scalar: Hex,
    /// 01 never, 02 once, 03 always.
    pub(crate) pin_policy: u8,
    /// 01 never, 02 always, 03 cached.
    pub(crate) touch_policy: u8,
    /// Made on the token, or imported.
    pub(crate) generated: bool,
}

impl StoredKey {
    pub(crate) fn new(key: &SecretKey, pin_policy: u8, touch_policy: u8, generated: bool) -> Self {
        Self {
            scalar: Hex(key.to_bytes().to_vec()),
            pin_policy,
            touch_policy,
            generated,
        }
    }

    /// The key itself; `None` only if somebody edited the file.
    pub(crate) fn secret(&self) -> Option<SecretKey> {
        SecretKey::from_slice(&self.scalar.0).ok()
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) serial: u32,
    pub(crate) pin: Reference,
    pub(crate) puk: Reference,
    pub(crate) management: ManagementKey,
    pub(crate) keys: BTreeMap<Slot, StoredKey>,
    /// By object id in hex, `5fc10d`.
    pub(crate) objects: BTreeMap<String, Hex>,
}

impl State {
    /// As it leaves the factory, but without an attestation key.
    pub(crate) fn factory(serial: u32, profile: &Profile) -> Self {
        Self {
            serial,
            pin: Reference::new(DEFAULT_PIN, profile.pin_tries),
            puk: Reference::new(DEFAULT_PUK, profile.puk_tries),
            management: ManagementKey::factory(profile),
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }
}

/// The state and the file that it is kept in.
pub(crate) struct Store {
    pub(crate) state: State,
    path: Option<PathBuf>,
}

impl Store {
    /// Reads the file, or makes a new state where there is none. Without a path nothing is kept.
    ///
    /// # Errors
    /// The file cannot be read, is no state, or belongs to another serial number.
    pub(crate) fn open(
        path: Option<PathBuf>,
        serial: u32,
        new: impl FnOnce() -> io::Result<State>,
    ) -> io::Result<Self> {
        let found = match path.as_deref().map(fs::read) {
            Some(Ok(bytes)) => Some(serde_json::from_slice::<State>(&bytes)?),
            Some(Err(e)) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => None,
        };
        let is_new = found.is_none();
        let state = match found {
            Some(state) => state,
            None => new()?,
        };
        if state.serial != serial {
            let what = format!("the state file is of token {}, not {serial}", state.serial);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let store = Self { state, path };
        if is_new {
            store.save()?;
        }
        Ok(store)
    }

    /// Writes the file beside and renames it, so that a killed token leaves the old or the new.
    pub(crate) fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        fs::write(&beside, serde_json::to_vec_pretty(&self.state)?)?;
        fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_from_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1001.json");
        let profile = Profile::default();
        let new = || Ok(State::factory(1001, &profile));
        let mut store = Store::open(Some(path.clone()), 1001, new).expect("new");
        let key = SecretKey::random(&mut rand_core::OsRng);
        let stored = StoredKey::new(&key, 3, 2, true);
        store.state.keys.insert(Slot(0x82), stored);
        store.state.pin.tries = 1;
        store.save().expect("saved");

        let never = || panic!("the file is there");
        let again = Store::open(Some(path.clone()), 1001, never).expect("opened");
        assert_eq!(again.state.pin.tries, 1);
        let back = again.state.keys[&Slot(0x82)].secret().expect("a key");
        assert_eq!(back.to_bytes(), key.to_bytes());
        assert!(Store::open(Some(path), 1002, || panic!("the file is there")).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_broken_file_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1001.json");
        fs::write(&path, "{").expect("write");
        assert!(Store::open(Some(path.clone()), 1001, || panic!("not new")).is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "{");
    }
}
