//! Rotation as a state machine: one IAM user with its two slots, one or two hosts, workers that go by the shipped table
//! (`twotap::ceremony::rotation`), a place, and everything that can go wrong.
//!
//! What is shipped and what is modelled: the order of the acts (`next`, `after_failure`) and what becomes of each
//! listed key (`fate`) are the shipped functions; what an act does to IAM, disk and place, and what goes wrong in it, is
//! written here, and held to the real worker by `paths.rs`.

mod aws;
mod event;
mod faults;
mod officer;
mod rules;
mod steps;

pub(crate) use event::{Event, Line, Of};
pub(crate) use rules::{ANY, Claim, Faults, Rules, Where};

use twotap::ceremony::rotation::{Act, Terms};

use crate::explore::Model;

/// A key's number; 0 is none.
pub(crate) type Key = u8;

/// One of the user's two slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) active: bool,
}

/// A generation and the key that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sealed {
    pub(crate) generation: u8,
    pub(crate) key: Key,
}

/// A host's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    /// Burnt down.
    pub(crate) lost: bool,
    /// What `current` names.
    pub(crate) current: Sealed,
    /// Written by the worker that holds the lock, and not committed; left behind it protects nothing, and the next one removes it.
    pub(crate) written: Sealed,
    /// The newest generation that was ever believed here; nothing older is read again.
    pub(crate) seen: u8,
    /// Whether a worker holds the vault's lock.
    pub(crate) locked: bool,
}

/// Where copies go, and where hosts meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) newest: Sealed,
    /// The claim that stands there, and the host that made it; 0 for none. Every claim is a version of its own.
    pub(crate) claim: u8,
    pub(crate) holder: u8,
}

/// A commit at the place that is still on its way: it counts if the label stands where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    pub(crate) claim: u8,
    pub(crate) to: Sealed,
}

/// How far a worker's job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// An officer's key: it is asked who it is.
    Check,
    /// The vault is locked, to store it.
    Lock,
    /// It is written, and counts.
    Store,
    /// Waits for the vault's lock, to rotate.
    Wait,
    /// Rotates.
    Rotate,
}

/// A worker that holds a key in plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) host: u8,
    pub(crate) stage: Stage,
    pub(crate) locks: bool,
    pub(crate) opened: Sealed,
    pub(crate) terms: Terms,
    pub(crate) doing: Act,
    /// How much of the act is done, where it has parts.
    pub(crate) part: u8,
    /// The generation that counts is a later one than it opened.
    pub(crate) replaced: bool,
    /// The claim that it made.
    pub(crate) claim: u8,
    pub(crate) new: Key,
    pub(crate) listing: Option<[Slot; 2]>,
    pub(crate) refused: bool,
}

/// A call on its way to AWS, whose sender has given it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    /// The key that signed it, which has to be active when it arrives.
    pub(crate) by: Key,
    pub(crate) what: What,
    /// The key that it is about.
    pub(crate) key: Key,
}

/// What a call changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Create,
    Disable,
    Delete,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) slots: [Slot; 2],
    pub(crate) hosts: [Host; 2],
    pub(crate) place: Place,
    /// What the first host may be set back to.
    pub(crate) snapshot: Sealed,
    /// What may still arrive.
    pub(crate) late: Option<Call>,
    pub(crate) late_commit: Option<Move>,
    pub(crate) workers: [Option<Worker>; 2],
    /// How much may still go wrong; [`ANY`] never runs out.
    pub(crate) faults: u8,
    /// Somebody signed a receipt for a key that was not dead.
    pub(crate) lied: bool,
}

impl World {
    /// One key, sealed, active, and wherever it should be.
    pub(crate) fn whole(rules: &Rules) -> Self {
        let sealed = Sealed {
            generation: 1,
            key: 1,
        };
        let host = Host {
            current: sealed,
            seen: 1,
            ..Host::default()
        };
        let mut hosts = [host; 2];
        if rules.hosts == 1 {
            hosts[1] = Host {
                lost: true,
                ..Host::default()
            };
        }
        let place = match rules.place {
            Where::Nowhere => Place::default(),
            _ => Place {
                newest: sealed,
                ..Place::default()
            },
        };
        Self {
            slots: [
                Slot {
                    key: 1,
                    active: true,
                },
                Slot::default(),
            ],
            hosts,
            place,
            snapshot: Sealed::default(),
            late: None,
            late_commit: None,
            workers: [None; 2],
            faults: rules.most,
            lied: false,
        }
    }

    /// Nothing is sealed yet; an officer brings the user's only key to the first host.
    pub(crate) fn first_key(rules: &Rules) -> Self {
        let mut world = Self::whole(rules);
        let key = Sealed {
            generation: 0,
            key: 1,
        };
        world.hosts[0].current = Sealed::default();
        world.hosts[0].seen = 0;
        world.workers[0] = Some(Worker::with(0, Stage::Lock, key));
        world
    }

    /// One thing more goes wrong, if it may.
    fn spend(&mut self) -> bool {
        match self.faults {
            0 => return false,
            ANY => {}
            _ => self.faults -= 1,
        }
        true
    }

    pub(crate) fn active(&self, key: Key) -> bool {
        self.slots.iter().any(|s| s.key == key && s.active)
    }

    /// What two taps open, if anything: the newest generation that can be reached and is believed.
    fn reachable(&self, rules: &Rules) -> Option<Sealed> {
        let read = |h: &Host| (!h.lost && h.current.generation >= h.seen).then_some(h.current);
        match rules.place {
            Where::Nowhere => read(&self.hosts[0]),
            // After the host is lost, the copy is what there is.
            Where::Copies { .. } if self.hosts[0].lost => Some(self.place.newest),
            Where::Copies { .. } => read(&self.hosts[0]),
            Where::Shared(_) => {
                let alive = self.hosts.iter().any(|h| !h.lost);
                alive.then_some(self.place.newest)
            }
        }
    }

    fn nobody_at_work(&self) -> bool {
        self.workers.iter().all(Option::is_none)
    }

    fn nothing_on_its_way(&self) -> bool {
        self.late.is_none() && self.late_commit.is_none()
    }

    /// Nobody is left who could do anything.
    fn over(&self) -> bool {
        self.hosts.iter().all(|h| h.lost)
    }

    fn whole_again(&self, rules: &Rules) -> bool {
        let Some(sealed) = self.reachable(rules) else {
            return false;
        };
        let copied =
            rules.place != (Where::Copies { required: true }) || self.place.newest == sealed;
        let keys = || self.slots.iter().filter(|s| s.key != 0);
        self.nobody_at_work()
            && self.nothing_on_its_way()
            && copied
            && keys().count() == 1
            && keys().all(|s| s.active && s.key == sealed.key)
    }

    /// Every key that is mentioned anywhere.
    fn keys(&mut self, of: &mut impl FnMut(&mut Key)) {
        for slot in &mut self.slots {
            of(&mut slot.key);
        }
        for host in &mut self.hosts {
            of(&mut host.current.key);
            of(&mut host.written.key);
        }
        of(&mut self.place.newest.key);
        of(&mut self.snapshot.key);
        if let Some(call) = &mut self.late {
            of(&mut call.by);
            of(&mut call.key);
        }
        if let Some(commit) = &mut self.late_commit {
            of(&mut commit.to.key);
        }
        for worker in self.workers.iter_mut().flatten() {
            of(&mut worker.opened.key);
            of(&mut worker.new);
            for slot in worker.listing.iter_mut().flatten() {
                of(&mut slot.key);
            }
        }
    }

    /// Every generation's number on which something depends; 0 is none.
    fn generations(&mut self, of: &mut impl FnMut(&mut u8)) {
        for host in &mut self.hosts {
            of(&mut host.current.generation);
            of(&mut host.written.generation);
            of(&mut host.seen);
        }
        of(&mut self.place.newest.generation);
        of(&mut self.snapshot.generation);
        if let Some(commit) = &mut self.late_commit {
            of(&mut commit.to.generation);
        }
        for worker in self.workers.iter_mut().flatten() {
            of(&mut worker.opened.generation);
        }
    }

    /// Every claim that is mentioned anywhere; 0 is none.
    fn claims(&mut self, of: &mut impl FnMut(&mut u8)) {
        of(&mut self.place.claim);
        if let Some(commit) = &mut self.late_commit {
            of(&mut commit.claim);
        }
        for worker in self.workers.iter_mut().flatten() {
            of(&mut worker.claim);
        }
    }

    /// The smallest number that no key bears.
    fn fresh_key(mut self) -> Key {
        let mut taken = 0_u64;
        self.keys(&mut |key| taken |= 1 << *key);
        unused(taken)
    }

    /// The smallest number that no claim bears.
    fn fresh_claim(mut self) -> u8 {
        let mut taken = 0_u64;
        self.claims(&mut |claim| taken |= 1 << *claim);
        unused(taken)
    }
}

fn unused(taken: u64) -> u8 {
    (1..64).find(|n| taken & (1 << n) == 0).expect("few names")
}

/// Names things in the order in which they are mentioned.
fn rename() -> impl FnMut(&mut u8) {
    let (mut names, mut count) = ([0_u8; 64], 0_u8);
    move |name| {
        if *name == 0 {
            return;
        }
        let known = &mut names[usize::from(*name)];
        if *known == 0 {
            count += 1;
            *known = count;
        }
        *name = *known;
    }
}

/// The protocol under its rules.
pub(crate) struct Rotation(pub(crate) Rules);

impl Model for Rotation {
    type State = World;
    type Event = Event;

    fn start(&self) -> Vec<World> {
        vec![World::whole(&self.0)]
    }

    /// Keys and claims are numbered in the order in which they are mentioned, generations from the oldest that is mentioned.
    ///
    /// Where anything may go wrong any number of times the gaps between generations are closed as well, or a worker that waits for ever
    /// would make every later generation another world. A new generation is made only on top of the newest (whoever holds an older one
    /// is fenced, or waits), so nothing depends on a gap.
    fn canonical(&self, world: &World) -> World {
        let mut world = *world;
        world.slots.sort_by_key(|s| s.key == 0);
        world.keys(&mut rename());
        world.claims(&mut rename());
        let mut there = 0_u128;
        world.generations(&mut |n| there |= 1 << *n);
        there &= !1;
        let oldest = there.trailing_zeros();
        world.generations(&mut |n| {
            if *n != 0 {
                let before = there & ((1 << *n) - 1);
                let rank = match self.0.most {
                    ANY => before.count_ones(),
                    _ => u32::from(*n) - oldest,
                };
                *n = u8::try_from(rank + 1).expect("few generations");
            }
        });
        world
    }

    fn next(&self, world: &World, then: &mut Vec<(Event, World)>) {
        for w in 0..2 {
            if let Some(worker) = world.workers[w] {
                self.0.step(world, w, worker, then);
            }
        }
        self.0.outside(world, then);
    }

    fn is_fault(&self, event: Event) -> bool {
        event.is_fault()
    }

    fn broken(&self, world: &World) -> Option<&'static str> {
        if world.lied {
            return Some("a receipt says 'rotated' only of a key that was seen refused");
        }
        if world.over() && !matches!(self.0.place, Where::Copies { .. }) {
            return None;
        }
        let sealed = world.reachable(&self.0);
        (!sealed.is_some_and(|s| world.active(s.key)))
            .then_some("at every moment a working credential is sealed and within reach")
    }

    fn good(&self, world: &World) -> bool {
        world.over() || world.whole_again(&self.0)
    }
}
