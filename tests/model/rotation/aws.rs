//! What calls do: to the user's keys, to the place.

use super::{Call, Key, Place, Sealed, Slot, What, World};

impl World {
    /// Takes a worker away; its lock goes with it.
    pub(super) fn end(&mut self, w: usize) {
        if let Some(worker) = self.workers[w].take()
            && worker.locks
        {
            let disk = &mut self.hosts[usize::from(worker.host)];
            disk.locked = false;
            disk.written = Sealed::default();
        }
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|s| s.key == key)
    }

    /// The place's move: the generation counts there, and nobody claims it.
    pub(super) fn commit_at_place(&mut self, newest: Sealed) {
        self.place = Place {
            newest,
            ..Place::default()
        };
    }

    /// What AWS does on a call that it accepts.
    pub(super) fn obey(&mut self, call: Call) {
        match (call.what, self.slot(call.key)) {
            (What::Create, _) => {
                self.create();
            }
            (What::Disable, Some(slot)) => slot.active = false,
            (What::Delete, Some(slot)) => *slot = Slot::default(),
            (_, None) => {}
        }
    }

    /// Puts a new key into a free slot.
    pub(super) fn create(&mut self) -> Option<Key> {
        let key = self.fresh_key();
        let slot = self.slot(0)?;
        *slot = Slot { key, active: true };
        Some(key)
    }
}
