//! What a worker does next.

use twotap::ceremony::rotation::{Act, Fate, Terms};

use super::{Call, Claim, Event, Move, Rules, Slot, Stage, What, Where, Worker, World};

/// The mark of a worker that has only its setback left to write down.
const PENDING: u8 = 9;

type Then = Vec<(Event, World)>;

/// One worker's turn.
pub(super) struct Turn<'t> {
    pub(super) rules: &'t Rules,
    pub(super) world: &'t World,
    w: usize,
    pub(super) worker: Worker,
    then: &'t mut Then,
}

impl Rules {
    /// Everything that this worker can do next, with what can go wrong in it.
    pub(super) fn step(&self, world: &World, w: usize, worker: Worker, then: &mut Then) {
        let mut turn = Turn {
            rules: self,
            world,
            w,
            worker,
            then,
        };
        match worker.stage {
            Stage::Check | Stage::Lock | Stage::Store => turn.seal_as_brought(),
            Stage::Wait => turn.begin(),
            Stage::Rotate if worker.part == PENDING => {
                turn.ends(Event::Pending(turn.n()), |world| {
                    // Given back, so that nobody has to wait for it.
                    if world.place.claim == worker.claim {
                        world.place.claim = 0;
                        world.place.holder = 0;
                    }
                });
            }
            Stage::Rotate => turn.act(),
        }
    }
}

impl Turn<'_> {
    pub(super) fn n(&self) -> u8 {
        u8::try_from(self.w).expect("two workers")
    }

    pub(super) fn host(&self) -> usize {
        usize::from(self.worker.host)
    }

    /// One thing that can happen; the worker goes on as changed.
    pub(super) fn can(&mut self, event: Event, change: impl FnOnce(&mut World, &mut Worker)) {
        let (mut world, mut worker) = (*self.world, self.worker);
        change(&mut world, &mut worker);
        if event.is_fault() && !world.spend() {
            return;
        }
        world.workers[self.w] = Some(worker);
        self.then.push((event, world));
    }

    /// The same, after which the worker is gone.
    pub(super) fn ends(&mut self, event: Event, change: impl FnOnce(&mut World)) {
        let (w, before) = (self.w, self.then.len());
        self.can(event, |world, _| change(world));
        for (_, world) in &mut self.then[before..] {
            world.end(w);
        }
    }

    /// The act comes through, and the next one follows.
    fn done(&mut self, change: impl FnOnce(&mut World, &mut Worker)) {
        let event = Event::Did(self.n(), self.worker.doing);
        self.on(event, change);
    }

    fn on(&mut self, event: Event, change: impl FnOnce(&mut World, &mut Worker)) {
        let next = (self.rules.next)(self.worker.terms, self.worker.doing);
        match next {
            Some(act) => self.can(event, |world, worker| {
                change(world, worker);
                worker.doing = act;
                worker.part = 0;
            }),
            None => {
                let mut worker = self.worker;
                self.ends(event, |world| change(world, &mut worker));
            }
        }
    }

    /// It comes through, and the worker does not learn of it: it tries again.
    fn unanswered(&mut self, change: impl FnOnce(&mut World, &mut Worker)) {
        if self.rules.faults.lost_answer {
            self.can(Event::Unanswered(self.n(), self.worker.doing), change);
        }
    }

    /// It is sent and does not arrive; whoever sent it tries again, or does not.
    fn late(&mut self, call: Call, change: impl FnOnce(&mut World, &mut Worker)) {
        if self.rules.faults.late && self.world.late.is_none() {
            self.can(
                Event::Late(self.n(), call.what, call.key),
                |world, worker| {
                    world.late = Some(call);
                    change(world, worker);
                },
            );
        }
    }

    /// It does not come through for as long as there is time.
    fn fails(&mut self, event: Event) {
        let after = (self.rules.after_failure)(self.worker.doing);
        self.can(event, |_, worker| match after {
            Some(act) if worker.new != 0 => {
                worker.doing = act;
                worker.part = 0;
            }
            _ => worker.part = PENDING,
        });
    }

    fn outage(&mut self) {
        if self.rules.faults.outage {
            self.fails(Event::Outage(self.n(), self.worker.doing));
        }
    }

    fn full(&mut self) {
        if self.rules.faults.full {
            self.fails(Event::Full(self.n(), self.worker.doing));
        }
    }

    fn cannot(&mut self) {
        self.fails(Event::GaveUp(self.n(), self.worker.doing));
    }

    /// The lock, the intent, and what it finds.
    fn begin(&mut self) {
        let (n, host, rules) = (self.n(), self.host(), self.rules);
        let disk = self.world.hosts[host];
        if disk.locked && rules.locks {
            if self.rules.faults.outage {
                self.ends(Event::Outage(n, Act::Intent), |_| {});
            }
            return;
        }
        if disk.current.generation < disk.seen {
            return self.ends(Event::Step(n, "does not believe the vault"), |_| {});
        }
        self.can(Event::Intent(n), |world, worker| {
            world.hosts[host].locked = true;
            worker.locks = rules.locks;
            worker.stage = Stage::Rotate;
            worker.terms = Terms {
                still_sealed: disk.current.key == worker.opened.key,
                claim: matches!(rules.place, Where::Shared(c) if c != Claim::Nobody),
                copies: matches!(rules.place, Where::Copies { .. }),
            };
            worker.replaced = disk.current.generation > worker.opened.generation;
            // From here on it goes by the key: no two generations hold the same.
            worker.opened.generation = 0;
            match (rules.next)(worker.terms, Act::Intent) {
                Some(act) => worker.doing = act,
                None => worker.part = PENDING,
            }
        });
    }

    fn act(&mut self) {
        match self.worker.doing {
            Act::Intent | Act::Claim => self.claim(),
            Act::CatchUp | Act::Copy => self.copy(),
            Act::Reconcile => self.reconcile(),
            Act::Create => self.create(),
            Act::Seal => self.seal(),
            Act::ProveNew => self.prove_new(),
            Act::TakeBack => self.take_back(),
            Act::Commit => self.commit(),
            Act::Deactivate => self.with_new(What::Disable),
            Act::ProveDead => self.prove_dead(),
            Act::Delete => self.with_new(What::Delete),
            Act::Receipt => self.receipt(),
        }
    }

    /// The place's compare-and-swap, before any call to IAM.
    fn claim(&mut self) {
        self.outage();
        let (place, own) = (self.world.place, self.worker.host + 1);
        let free = match self.rules.place {
            _ if place.claim == 0 || place.holder == own => true,
            Where::Shared(Claim::Stolen) => true,
            Where::Shared(Claim::UntilDone) => !self.other_host_at_work(),
            _ => false,
        };
        if place.newest.key != self.worker.opened.key || !free {
            return self.cannot();
        }
        let claim = match place.holder == own && !self.rules.claims_anew {
            true => place.claim,
            false => self.world.fresh_claim(),
        };
        let take = |world: &mut World, worker: &mut Worker| {
            world.place.claim = claim;
            world.place.holder = own;
            worker.claim = claim;
        };
        self.done(take);
        self.unanswered(take);
    }

    fn other_host_at_work(&self) -> bool {
        self.world.workers.iter().flatten().any(|other| {
            other.host != self.worker.host
                && other.stage == Stage::Rotate
                && other.part != PENDING
                && other.doing != Act::Claim
        })
    }

    fn copy(&mut self) {
        let host = self.host();
        self.done(|world, _| world.place.newest = world.hosts[host].current);
        if self.rules.place == (Where::Copies { required: false }) {
            if self.rules.faults.outage {
                // Shown, and caught up some other time.
                self.on(Event::Outage(self.n(), self.worker.doing), |_, _| {});
            }
        } else {
            self.outage();
        }
    }

    /// Lists, judges, makes inactive, deletes; one call at a time.
    fn reconcile(&mut self) {
        let (n, opened) = (self.n(), self.worker.opened.key);
        if !self.world.active(opened) {
            return self.cannot();
        }
        let Some(listing) = self.worker.listing else {
            let keys = self.world.slots;
            self.can(Event::Step(n, "lists the keys"), |_, w| {
                w.listing = Some(keys)
            });
            for i in 0..2 {
                if self.rules.faults.lag && keys[i].key != 0 && keys[i].key != opened {
                    let mut short = keys;
                    short[i] = Slot::default();
                    self.can(Event::Lagged(n, keys[i].key), |_, w| {
                        w.listing = Some(short)
                    });
                }
            }
            return self.outage();
        };
        let newest = self.world.hosts[self.host()].current.key;
        let judged = |s: &Slot| (self.rules.fate)(&s.key, s.active, &opened, Some(&newest));
        let next = (0..2).find(|&i| listing[i].key != 0 && judged(&listing[i]) != Fate::Leave);
        let Some(i) = next else {
            return self.on(
                Event::Step(n, "finds nothing more to clear away"),
                |_, w| {
                    w.listing = None;
                },
            );
        };
        let key = listing[i].key;
        let (event, what) = match listing[i].active {
            true => (Event::Disabled(n, key), What::Disable),
            false => (Event::Deleted(n, key), What::Delete),
        };
        let call = Call {
            by: opened,
            what,
            key,
        };
        if what == What::Disable {
            // Where the journal names it, it is this host's own, and nobody else has it.
            let at_once = Call {
                what: What::Delete,
                ..call
            };
            self.can(Event::Deleted(n, key), |world, worker| {
                world.obey(at_once);
                worker.listing = None;
            });
        }
        self.can(event, |world, worker| {
            world.obey(call);
            let left = listing.iter().copied().filter_map(|slot| match what {
                _ if slot.key != key => Some(slot),
                What::Disable => Some(Slot { key, active: false }),
                _ => None,
            });
            let mut rest = [Slot::default(); 2];
            rest.iter_mut().zip(left).for_each(|(to, slot)| *to = slot);
            worker.listing = Some(rest);
        });
        self.unanswered(|world, worker| {
            world.obey(call);
            worker.listing = None;
        });
        self.late(call, |_, worker| worker.listing = None);
        self.outage();
    }

    fn create(&mut self) {
        let n = self.n();
        if self.worker.new != 0 {
            // Made, but not written down yet.
            self.done(|_, _| {});
            return self.full();
        }
        if !self.world.active(self.worker.opened.key) {
            return self.cannot();
        }
        let again = |worker: &mut Worker| worker.doing = Act::Reconcile;
        if self.world.slots.iter().all(|s| s.key != 0) {
            self.can(
                Event::Step(n, "is told that the user has two keys"),
                |_, w| again(w),
            );
        } else {
            self.can(Event::Step(n, "makes a key"), |world, worker| {
                worker.new = world.create().unwrap_or_default();
            });
            self.unanswered(|world, worker| {
                world.create();
                again(worker);
            });
            let call = Call {
                by: self.worker.opened.key,
                what: What::Create,
                key: 0,
            };
            self.late(call, |_, worker| again(worker));
        }
        self.outage();
    }

    fn seal(&mut self) {
        let host = self.host();
        self.done(|world, worker| {
            let disk = &mut world.hosts[host];
            disk.written.generation = disk.current.generation + 1;
            disk.written.key = worker.new;
        });
        self.full();
    }

    fn prove_new(&mut self) {
        if !self.world.active(self.worker.new) {
            return self.cannot();
        }
        self.done(|_, _| {});
        self.outage();
    }

    fn take_back(&mut self) {
        let call = Call {
            by: self.worker.opened.key,
            what: What::Delete,
            key: self.worker.new,
        };
        self.outage();
        if !self.world.active(call.by) {
            return self.cannot();
        }
        self.can(Event::Did(self.n(), Act::TakeBack), |world, worker| {
            world.obey(call);
            worker.part = PENDING;
        });
        self.unanswered(|world, worker| {
            world.obey(call);
            worker.part = PENDING;
        });
        self.late(call, |_, worker| worker.part = PENDING);
    }

    /// The place's move where it is claimed, then `current`, then what was seen.
    fn commit(&mut self) {
        let (n, host) = (self.n(), self.host());
        let (disk, place) = (self.world.hosts[host], self.world.place);
        let remembers = !self.rules.counts_then_remembers;
        let part = |n: u8| move |worker: &mut Worker| worker.part = n;
        match self.worker.part {
            0 if self.rules.shared() => {
                self.outage();
                // A move whose answer was lost is found done.
                let there = place.newest == disk.written;
                let claimed = self.worker.terms.claim;
                if claimed && !there && place.claim != self.worker.claim {
                    return self.cannot();
                }
                self.can(Event::Step(n, "moves the place"), |world, worker| {
                    if !there {
                        world.commit_at_place(disk.written);
                    }
                    part(1)(worker);
                });
                if there {
                    return;
                }
                self.unanswered(|world, _| world.commit_at_place(disk.written));
                if self.rules.faults.late && claimed && self.world.late_commit.is_none() {
                    let claim = self.worker.claim;
                    let to = disk.written;
                    self.can(Event::LateCommit(n), |world, _| {
                        world.late_commit = Some(Move { claim, to });
                    });
                }
            }
            0 | 1 => {
                self.full();
                let what = match remembers {
                    true => "remembers the generation",
                    false => "moves current",
                };
                self.can(Event::Step(n, what), |world, worker| {
                    let disk = &mut world.hosts[host];
                    if remembers {
                        disk.seen = disk.written.generation;
                    } else {
                        disk.current = disk.written;
                    }
                    part(2)(worker);
                });
            }
            _ => {
                self.full();
                self.done(|world, _| {
                    let disk = &mut world.hosts[host];
                    if remembers {
                        disk.current = disk.written;
                    }
                    disk.seen = disk.seen.max(disk.written.generation);
                    disk.written = super::Sealed::default();
                });
            }
        }
    }

    /// A call with the new key, about the old one.
    fn with_new(&mut self, what: What) {
        let call = Call {
            by: self.worker.new,
            what,
            key: self.worker.opened.key,
        };
        if !self.world.active(call.by) {
            return self.cannot();
        }
        self.done(|world, _| world.obey(call));
        self.unanswered(|world, _| world.obey(call));
        self.late(call, |_, _| {});
        self.outage();
    }

    fn prove_dead(&mut self) {
        let opened = self.worker.opened.key;
        let moved_on = !self.worker.terms.still_sealed;
        if self.world.active(opened) {
            // Replaced by a worker that did not live to end it: it can end itself.
            let itself = Call {
                by: opened,
                what: What::Delete,
                key: opened,
            };
            if self.worker.replaced {
                let event = Event::EndedItself(self.n());
                self.can(event, |world, _| world.obey(itself));
                self.unanswered(|world, _| world.obey(itself));
                self.late(itself, |_, _| {});
            }
            return self.cannot();
        }
        self.done(|_, worker| worker.refused = true);
        if moved_on {
            // Its end is owed a receipt, if nobody has signed one.
            let event = Event::Did(self.n(), Act::ProveDead);
            self.can(event, |_, worker| {
                worker.refused = true;
                worker.doing = Act::Receipt;
            });
        }
        self.outage();
    }

    fn receipt(&mut self) {
        let worker = self.worker;
        self.done(|world, _| {
            world.lied |= !worker.refused || world.active(worker.opened.key);
        });
    }
}
