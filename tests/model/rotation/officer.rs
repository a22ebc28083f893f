//! A key that an officer brings: sealed as it is, and then rotated like any other.

use twotap::ceremony::rotation::Act;

use super::{Event, Stage, steps::Turn};

impl Turn<'_> {
    /// An officer's key: who it is, and then it counts as it is.
    pub(super) fn seal_as_brought(&mut self) {
        let (n, host) = (self.n(), self.host());
        let under_lock = self.rules.seals_under_lock;
        match self.worker.stage {
            Stage::Lock if self.world.hosts[host].locked && self.rules.locks => {
                self.ends(
                    Event::Step(n, "finds the vault locked, and says so"),
                    |_| {},
                );
            }
            Stage::Lock => self.can(Event::Step(n, "locks the vault"), |world, worker| {
                world.hosts[host].locked = true;
                worker.locks = true;
                worker.stage = Stage::Store;
                if under_lock {
                    worker.opened.generation = world.hosts[host].current.generation + 1;
                    worker.stage = Stage::Check;
                }
            }),
            Stage::Check if self.world.active(self.worker.opened.key) => {
                let event = Event::Step(n, "asks the officer's key who it is");
                self.can(event, |_, worker| {
                    worker.stage = if under_lock {
                        Stage::Store
                    } else {
                        Stage::Lock
                    };
                });
            }
            Stage::Check => self.ends(Event::Step(n, "refuses a key that does not work"), |_| {}),
            _ => self.store(),
        }
    }

    fn store(&mut self) {
        let (n, host, sealed) = (self.n(), self.host(), self.worker.opened);
        if self.world.hosts[host].current.generation == sealed.generation {
            return self.ends(Event::Step(n, "finds its number taken"), |_| {});
        }
        if self.rules.faults.full {
            self.ends(Event::Full(n, Act::Seal), |_| {});
        }
        if self.world.hosts[host].seen > sealed.generation {
            // The number is older than what was seen: it counts, and is not believed.
            return self.ends(Event::Stored(n), |world| world.hosts[host].current = sealed);
        }
        self.can(Event::Stored(n), |world, worker| {
            let disk = &mut world.hosts[host];
            disk.current = sealed;
            disk.seen = sealed.generation;
            disk.locked = false;
            worker.locks = false;
            worker.stage = Stage::Wait;
        });
    }
}
