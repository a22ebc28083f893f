//! The outside of a token, shared between the card and whoever handles it: finger, plug, faults
//! and counters. The card blocks here while it waits for a touch; everybody else is brief.

use crate::{
    control::{Apdus, Fault, FaultKind, Status},
    hex,
    profile::Slot,
};
use std::{
    net::{Shutdown, TcpStream},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Longer than any test: no number from outside makes a point in time overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a wait for a touch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// A finger tapped in time.
    Tapped,
    /// No touch in time.
    TimedOut,
    /// The token was pulled out meanwhile.
    Gone,
}

/// What the card asks of the world around it.
pub(crate) trait Host {
    /// The time, for the touch cache.
    fn now(&self) -> Instant;
    /// Blinks until somebody taps, at most `timeout`.
    fn ask_touch(&self, slot: Slot, timeout: Duration) -> Touch;
}

/// A fault that strikes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    Remove,
    Slow(Duration),
    Silent,
    Status(u16),
    Reset,
}

/// The outside of one token.
pub struct Panel {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    serial: u32,
    inserted: bool,
    stopped: bool,
    /// The open connection to the reader, so that removal can cut it.
    wire: Option<TcpStream>,
    power_ons: u64,
    finger: Finger,
    waiting: Option<Slot>,
    tapped: bool,
    taps: u64,
    taps_unasked: u64,
    apdus: Apdus,
    marked: (u64, Apdus),
    faults: Vec<Pending>,
    silent: bool,
    ahead: Duration,
}

/// What the finger does when the token asks.
enum Finger {
    Always,
    Times(u32),
}

struct Pending {
    strike: Strike,
    ins: Option<u8>,
    left: u32,
}

impl Panel {
    /// A token that is plugged in, with nobody's finger near it.
    #[must_use]
    pub fn new(serial: u32) -> Self {
        Self {
            inner: Mutex::new(Inner {
                serial,
                inserted: true,
                stopped: false,
                wire: None,
                power_ons: 0,
                finger: Finger::Times(0),
                waiting: None,
                tapped: false,
                taps: 0,
                taps_unasked: 0,
                apdus: Apdus::default(),
                marked: (0, Apdus::default()),
                faults: Vec::new(),
                silent: false,
                ahead: Duration::ZERO,
            }),
            changed: Condvar::new(),
        }
    }

    /// A finger taps once; says whether the token waited for it.
    pub fn tap(&self) -> bool {
        self.change(|i| {
            i.taps += 1;
            let used = i.waiting.is_some() && !i.tapped;
            if used {
                i.tapped = true;
            } else {
                i.taps_unasked += 1;
            }
            used
        })
    }

    /// From now on a finger taps when asked: so often, or (`None`) always.
    pub fn tap_when_asked(&self, times: Option<u32>) {
        self.change(|i| {
            i.finger = times.map_or(Finger::Always, Finger::Times);
            // A token that is waiting already is asking now.
            if i.waiting.is_some() && !i.tapped {
                i.tapped = i.finger_taps();
            }
        });
    }

    /// Blocks until the token asks for a touch, at most `bound`; false if it did not.
    pub fn await_request(&self, bound: Duration) -> bool {
        self.wait(bound, |i| i.waiting.is_some().then_some(()))
            .is_some()
    }

    /// Pulls the token out.
    pub fn remove(&self) {
        self.change(Inner::unplug);
    }

    /// Plugs the token in.
    pub fn insert(&self) {
        self.change(|i| i.inserted = true);
    }

    /// Ends the token for good.
    pub fn stop(&self) {
        self.change(|i| {
            i.stopped = true;
            i.unplug();
        });
    }

    /// Whether the token has ended.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Whether the token is plugged in.
    #[must_use]
    pub fn is_inserted(&self) -> bool {
        self.lock().inserted
    }

    /// Starts the counters 'since the mark' anew.
    pub fn mark(&self) {
        self.change(|i| i.marked = (i.taps, i.apdus.clone()));
    }

    /// Moves the token's clock ahead.
    pub fn advance(&self, by: Duration) {
        self.change(|i| i.ahead = i.ahead.saturating_add(by).min(LONGEST));
    }

    /// Sets a fault up.
    ///
    /// # Errors
    /// An instruction or a status word that is no hex of its length, or a count of 0.
    pub fn set_fault(&self, fault: &Fault) -> Result<(), &'static str> {
        let strike = match &fault.kind {
            FaultKind::Remove => Strike::Remove,
            FaultKind::Slow { ms } => Strike::Slow(Duration::from_millis(*ms)),
            FaultKind::Silent => Strike::Silent,
            FaultKind::Status { sw } => {
                let word = hex::fixed(sw).ok_or("a status word is four hex digits")?;
                Strike::Status(u16::from_be_bytes(word))
            }
            FaultKind::Reset => Strike::Reset,
        };
        let ins = match fault.ins.as_deref().map(hex::fixed) {
            None => None,
            Some(Some([ins])) => Some(ins),
            Some(None) => return Err("an instruction is two hex digits"),
        };
        if fault.nth == 0 {
            return Err("the first APDU is number 1");
        }
        let left = fault.nth;
        self.change(|i| i.faults.push(Pending { strike, ins, left }));
        Ok(())
    }

    /// Takes back faults that have not struck, and ends a silence.
    pub fn clear_faults(&self) {
        self.change(|i| {
            i.faults.clear();
            i.silent = false;
        });
    }

    /// How the token stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let i = self.lock();
        Status {
            serial: i.serial,
            inserted: i.inserted,
            connected: i.wire.is_some(),
            power_ons: i.power_ons,
            waiting: i.waiting.map(|slot| format!("{:02x}", slot.0)),
            taps: i.taps,
            taps_unasked: i.taps_unasked,
            taps_since_mark: i.taps - i.marked.0,
            apdus_since_mark: since(&i.apdus, &i.marked.1),
            apdus: i.apdus.clone(),
            faults: i.faults.len(),
        }
    }

    /// Blocks until the token is plugged in or stopped; false if stopped.
    pub(crate) fn await_insertion(&self) -> bool {
        let mut i = self.lock();
        while !i.inserted && !i.stopped {
            i = self.changed.wait(i).unwrap_or_else(PoisonError::into_inner);
        }
        !i.stopped
    }

    /// Notes the connection to the reader; false if the token was pulled out meanwhile.
    pub(crate) fn connected(&self, wire: TcpStream) -> bool {
        self.change(|i| {
            let here = i.inserted && !i.stopped;
            if here {
                i.wire = Some(wire);
            }
            here
        })
    }

    /// Notes that the connection is gone.
    pub(crate) fn disconnected(&self) {
        self.change(|i| i.wire = None);
    }

    pub(crate) fn powered(&self) {
        self.change(|i| i.power_ons += 1);
    }

    /// Counts one APDU and says which faults strike at it.
    pub(crate) fn count(&self, ins: u8) -> Vec<Strike> {
        self.change(|i| {
            i.apdus.total += 1;
            *i.apdus.by_ins.entry(format!("{ins:02x}")).or_default() += 1;
            for f in &mut i.faults {
                if f.ins.is_none_or(|want| want == ins) {
                    f.left -= 1;
                }
            }
            let mut struck = Vec::new();
            i.faults.retain(|f| {
                if f.left == 0 {
                    struck.push(f.strike.clone());
                }
                f.left > 0
            });
            i.silent = struck.contains(&Strike::Silent);
            struck
        })
    }

    /// Says nothing for `time`; false if the token was pulled out meanwhile.
    pub(crate) fn dawdle(&self, time: Duration) -> bool {
        self.wait(time, |i| (!i.inserted).then_some(())).is_none()
    }

    /// Says nothing until the token is pulled out (false) or its faults are cleared (true).
    pub(crate) fn fall_silent(&self) -> bool {
        loop {
            let ended = self.wait(Duration::from_secs(3600), |i| {
                (!i.inserted || !i.silent).then_some(i.inserted)
            });
            if let Some(still_here) = ended {
                return still_here;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, how: impl FnOnce(&mut Inner) -> T) -> T {
        let out = how(&mut self.lock());
        self.changed.notify_all();
        out
    }

    /// Blocks until `found` finds something, at most `bound`.
    fn wait<T>(&self, bound: Duration, found: impl Fn(&mut Inner) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + bound.min(LONGEST);
        let mut i = self.lock();
        loop {
            if let Some(out) = found(&mut i) {
                return Some(out);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            i = self
                .changed
                .wait_timeout(i, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Host for Panel {
    fn now(&self) -> Instant {
        Instant::now() + self.lock().ahead
    }

    fn ask_touch(&self, slot: Slot, timeout: Duration) -> Touch {
        self.change(|i| {
            i.waiting = Some(slot);
            i.tapped = i.finger_taps();
        });
        let outcome = self.wait(timeout, |i| match (i.inserted, i.tapped) {
            (false, _) => Some(Touch::Gone),
            (true, true) => Some(Touch::Tapped),
            (true, false) => None,
        });
        self.change(|i| {
            i.waiting = None;
            i.tapped = false;
        });
        outcome.unwrap_or(Touch::TimedOut)
    }
}

impl Inner {
    /// Whether the standing finger taps at this request; one of its times is used up.
    fn finger_taps(&mut self) -> bool {
        let taps = match &mut self.finger {
            Finger::Always => true,
            Finger::Times(0) => false,
            Finger::Times(n) => {
                *n -= 1;
                true
            }
        };
        self.taps += u64::from(taps);
        taps
    }

    fn unplug(&mut self) {
        self.inserted = false;
        self.power_ons = 0;
        if let Some(wire) = self.wire.take() {
            // Wakes the card's thread, which then closes the connection in its own way. Fails
            // only if the reader has closed it already.
            let _ = wire.shutdown(Shutdown::Read);
        }
    }
}

fn since(now: &Apdus, mark: &Apdus) -> Apdus {
    let by_ins = now.by_ins.iter().filter_map(|(ins, n)| {
        let new = n - mark.by_ins.get(ins).copied().unwrap_or(0);
        (new > 0).then(|| (ins.clone(), new))
    });
    Apdus {
        total: now.total - mark.total,
        by_ins: by_ins.collect(),
    }
}

#[cfg(test)]
mod tests;
