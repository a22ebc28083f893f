//! What happens outside the workers: people who ask, and everything that breaks.

use twotap::ceremony::rotation::{Act, Terms};

use super::{Call, Event, Rules, Sealed, Stage, What, Worker, World};

impl Worker {
    /// A worker that has just come to hold a key in plain.
    pub(super) fn with(host: usize, stage: Stage, opened: Sealed) -> Self {
        Self {
            host: u8::try_from(host).expect("two hosts"),
            stage,
            locks: false,
            opened,
            terms: Terms::alone(true),
            doing: Act::Intent,
            part: 0,
            replaced: false,
            claim: 0,
            new: 0,
            listing: None,
            refused: false,
        }
    }
}

impl Rules {
    pub(super) fn outside(&self, world: &World, then: &mut Vec<(Event, World)>) {
        self.people(world, then);
        if let Some(call) = world.late {
            let mut world = *world;
            world.late = None;
            if world.active(call.by) {
                world.obey(call);
            }
            then.push((Event::Arrived(call.what, call.key), world));
        }
        if let Some(commit) = world.late_commit {
            let mut world = *world;
            world.late_commit = None;
            if world.place.claim == commit.claim {
                world.commit_at_place(commit.to);
            }
            then.push((Event::ArrivedCommit, world));
        }
        let mut goes_wrong = |event, change: &dyn Fn(&mut World)| {
            let mut world = *world;
            if world.spend() {
                change(&mut world);
                then.push((event, world));
            }
        };
        if self.faults.crash {
            for w in (0..2).filter(|&w| world.workers[w].is_some()) {
                goes_wrong(Event::Killed(number(w)), &|world| world.end(w));
            }
            // Where one worker runs, a crash of its host is the same: what stands on the disk was synced before it went on.
            if world.workers.iter().flatten().count() == 2 {
                for host in self.hosts_of(world) {
                    goes_wrong(Event::HostCrashed(number(host)), &|world| {
                        world.stop(host);
                    });
                }
            }
        }
        if self.faults.stranger && world.slots.iter().any(|s| s.key == 0) {
            let key = world.fresh_key();
            goes_wrong(Event::Stranger(key), &|world| {
                world.create();
            });
        }
        // One that its maker has put aside.
        if self.faults.stranger && world.slots.iter().any(|s| s.key == 0) {
            let key = world.fresh_key();
            goes_wrong(Event::Stranger(key), &|world| {
                world.create();
                world.obey(Call {
                    by: key,
                    what: What::Disable,
                    key,
                });
            });
        }
        if self.faults.snapshot && !world.hosts[0].lost {
            let current = world.hosts[0].current;
            if world.snapshot != current {
                goes_wrong(Event::Snapshot(0), &|world| world.snapshot = current);
            }
            if world.snapshot.key != 0 {
                goes_wrong(Event::SetBack(0), &|world| {
                    world.stop(0);
                    world.hosts[0].current = world.snapshot;
                    world.hosts[0].seen = world.snapshot.generation;
                });
            }
        }
        for host in self.hosts_of(world) {
            if self.faults.host_lost {
                goes_wrong(Event::HostLost(number(host)), &|world| {
                    world.stop(host);
                    world.hosts[host] = super::Host {
                        lost: true,
                        ..super::Host::default()
                    };
                });
            }
        }
    }

    /// Somebody asks and two custodians tap; an officer brings a key.
    fn people(&self, world: &World, then: &mut Vec<(Event, World)>) {
        let Some(w) = (0..2).find(|&w| world.workers[w].is_none()) else {
            return;
        };
        // What is still on its way arrives, or is too old to be taken, before anybody is asked again for want of it.
        let owed = world.nobody_at_work() && world.nothing_on_its_way() && !world.whole_again(self);
        let rival = self.faults.rival && world.faults > 0;
        for host in self.hosts_of(world) {
            let name = number(host);
            if (owed || rival)
                && let Some(mut asked) = self.opened_at(world, host, w, true)
            {
                let event = if owed {
                    Event::Asked { host: name }
                } else {
                    asked.spend();
                    Event::Rival { host: name }
                };
                then.push((event, asked));
            }
            if self.shared()
                && self.faults.outage
                && world.faults > 0
                && let Some(mut asked) = self.opened_at(world, host, w, false)
            {
                asked.spend();
                then.push((Event::Blind { host: name }, asked));
            }
            if self.faults.officer && world.faults > 0 && world.slots.iter().any(|s| s.key == 0) {
                then.push(self.brought_to(world, host, w));
            }
        }
    }

    /// A quorum has opened what this host holds, or the place if that can be asked and holds something newer.
    fn opened_at(&self, world: &World, host: usize, w: usize, asks: bool) -> Option<World> {
        let mut world = *world;
        let newest = world.place.newest;
        let disk = &mut world.hosts[host];
        // Not while a worker of this host holds the lock: then it opens what it has, and does not get far.
        let free = !disk.locked || !self.locks;
        if asks && free && self.shared() && newest.generation > disk.current.generation {
            disk.current = newest;
            disk.seen = newest.generation;
        }
        if disk.current.generation < disk.seen {
            return None;
        }
        world.workers[w] = Some(Worker::with(host, Stage::Wait, disk.current));
        Some(world)
    }

    fn brought_to(&self, world: &World, host: usize, w: usize) -> (Event, World) {
        let mut world = *world;
        world.spend();
        let key = world.create().unwrap_or_default();
        let (stage, generation) = match self.seals_under_lock {
            true => (Stage::Lock, 0),
            false => (Stage::Check, world.hosts[host].current.generation + 1),
        };
        let brought = Sealed { generation, key };
        world.workers[w] = Some(Worker::with(host, stage, brought));
        let host = number(host);
        (Event::Brought { host, key }, world)
    }

    fn hosts_of(&self, world: &World) -> impl Iterator<Item = usize> + use<> {
        let lost = world.hosts.map(|h| h.lost);
        (0..usize::from(self.hosts)).filter(move |&h| !lost[h])
    }
}

impl World {
    /// Nobody works on this host any more.
    fn stop(&mut self, host: usize) {
        for w in 0..2 {
            if self.workers[w].is_some_and(|it| usize::from(it.host) == host) {
                self.end(w);
            }
        }
        self.hosts[host].locked = false;
    }
}

fn number(n: usize) -> u8 {
    u8::try_from(n).expect("one or two")
}
