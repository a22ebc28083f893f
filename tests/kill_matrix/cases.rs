//! A case: a flow, the points where somebody is killed, who, and that all ends well.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use twotap::protocol::socket::Stage;

use crate::{
    flow,
    host::{Host, Trouble},
    points::Victim,
    truth,
    wait::BOUND,
};

/// For how long a disk takes no writes at most.
const REFUSED_FOR: Duration = Duration::from_millis(1500);
/// How often recovery may be tried: once more than anybody is killed.
const TRIES: usize = 4;

/// What people do when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The first sealing, with its rotation.
    Seal,
    /// Another, of a fresh key.
    Reseal,
    /// A ceremony with its rotation, delivery, and closing.
    Ceremony,
}

/// One case of the matrix.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) flow: Flow,
    pub(crate) victim: Victim,
    /// Points at which somebody is killed; those after the first may lie in the recovery.
    pub(crate) points: Vec<String>,
}

/// How a case ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    /// A point was not come by.
    NotReached,
    Badly(String),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = match self.flow {
            Flow::Seal => "seal",
            Flow::Reseal => "reseal",
            Flow::Ceremony => "ceremony",
        };
        let victim = match self.victim {
            Victim::Worker => "worker",
            Victim::Agent => "agent",
            Victim::Both => "both",
            Victim::FullDisk => "full disk",
            Victim::ReadOnlyDisk => "read-only disk",
        };
        write!(f, "{flow} {victim} {}", self.points.join(" "))
    }
}

fn refuse(host: &Host, point: &str, disk: &str) {
    host.rig.arm(&[]);
    host.rig.refuse(point, disk);
}

impl Case {
    /// Runs it on a host, which is as before when it ends well.
    pub(crate) fn run(&self, host: &Host) -> End {
        match catch_unwind(AssertUnwindSafe(|| self.try_run(host))) {
            Ok(Ok(true)) => End::Well,
            Ok(Ok(false)) => End::NotReached,
            Ok(Err(why)) => End::Badly(why),
            Err(panic) => End::Badly(said(&*panic)),
        }
    }

    /// Whether all points were come by.
    fn try_run(&self, host: &Host) -> Result<bool, String> {
        let before = match truth::sealed(host)? {
            Some(key) => key.access_key_id,
            None => host.world.first_key().access_key_id.clone(),
        };
        host.world.proxy().clear_calls();
        host.count_strikes(0);
        let stops: Vec<&str> = self.points.iter().map(String::as_str).collect();
        match self.victim {
            Victim::FullDisk => refuse(host, stops[0], "full"),
            Victim::ReadOnlyDisk => refuse(host, stops[0], "read-only"),
            _ => host.rig.arm(&stops),
        }

        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| self.watch(host, &over));
            let went = catch_unwind(AssertUnwindSafe(|| {
                let first = match self.flow {
                    Flow::Seal => flow::seal(host, host.world.first_key_json()).map(drop),
                    Flow::Reseal => flow::seal(host, &flow::new_key(host)).map(drop),
                    Flow::Ceremony => ceremony_and_closing(host),
                };
                recover(host, &before, first)
            }));
            over.store(true, Ordering::SeqCst);
            let watched = watcher.join().unwrap_or_else(|panic| Err(said(&*panic)));
            watched?;
            went.unwrap_or_else(|panic| Err(said(&*panic)))
        })?;
        let strikes = host.strikes() as usize;
        host.rig.disarm();
        truth::all_is_well(host, &before)?;
        Ok(strikes == self.points.len())
    }

    /// Waits for whoever comes to a point, kills, looks, and brings the agent back.
    fn watch(&self, host: &Host, over: &AtomicBool) -> Result<(), String> {
        while !over.load(Ordering::SeqCst) {
            if matches!(self.victim, Victim::FullDisk | Victim::ReadOnlyDisk) {
                if host.rig.is_refusing() {
                    host.count_strikes(host.strikes() + 1);
                    writable_again(host);
                    truth::something_works(host)?;
                    truth::no_secret_in_files(host, false)?;
                }
                std::thread::park_timeout(Duration::from_millis(5));
                continue;
            }
            let Some(stopped) = host.rig.stopped() else {
                std::thread::park_timeout(Duration::from_millis(5));
                continue;
            };
            host.count_strikes(host.strikes() + 1);
            host.strike(self.victim, stopped);
            truth::something_works(host)?;
            truth::no_secret_in_files(host, false)?;
            if host.agent_pid().is_none() {
                host.start_agent();
            }
        }
        Ok(())
    }
}

/// Once nobody works who could still come to a write, or after a moment where somebody goes on trying.
fn writable_again(host: &Host) {
    let begun = Instant::now();
    while !host.workers().is_empty() && begun.elapsed() < REFUSED_FOR {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    host.rig.allow();
}

fn ceremony_and_closing(host: &Host) -> Result<(), Trouble> {
    let view = flow::ceremony(host)?;
    if view.stage == Stage::Open {
        flow::close(host, &view.id)?;
    }
    Ok(())
}

/// Lets everything finish; a second ceremony where taps are owed. Tried again as long as somebody is killed meanwhile.
fn recover(host: &Host, before: &str, first: Result<(), Trouble>) -> Result<(), String> {
    let mut seen = 0;
    if let Err(why) = first
        && host.strikes() == 0
        && !host.rig.is_refusing()
    {
        return Err(format!("nobody was killed, and yet: {why:?}"));
    }
    let mut last = String::new();
    for _ in 0..TRIES {
        match finish(host, before) {
            Ok(()) => return Ok(()),
            Err(why) if host.strikes() > seen => {
                seen = host.strikes();
                last = why;
            }
            Err(why) => return Err(format!("{why}; before that: {last}")),
        }
    }
    Err(last)
}

fn finish(host: &Host, before: &str) -> Result<(), String> {
    quiet(host)?;
    close_all(host)?;
    if truth::owed(host, before)?.is_some() {
        let nothing_sealed = truth::sealed(host)?.is_none();
        let went = if nothing_sealed {
            seal_when_free(host)
        } else {
            ceremony_and_closing(host)
        };
        went.map_err(|why| format!("the second time: {why:?}"))?;
        quiet(host)?;
        close_all(host)?;
    }
    match truth::owed(host, before)? {
        None => Ok(()),
        Some(why) => Err(format!("after a second ceremony {why}")),
    }
}

/// The agent may not have noticed yet that the worker of the last sealing is gone.
fn seal_when_free(host: &Host) -> Result<(), Trouble> {
    let begun = Instant::now();
    loop {
        match flow::seal(host, host.world.first_key_json()) {
            Err(Trouble::Refused(why))
                if why.error.contains("being sealed") && begun.elapsed() < BOUND =>
            {
                std::thread::park_timeout(Duration::from_millis(100));
            }
            went => return went.map(drop),
        }
    }
}

/// Waits until nobody works and each request has come to rest.
fn quiet(host: &Host) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let working = !host.workers().is_empty();
        let busy = match (!working).then(|| host.status()) {
            None => "workers".to_owned(),
            Some(Err(why)) => format!("no agent: {why:?}"),
            Some(Ok(status)) => {
                let moving = status.requests.iter().find(|r| {
                    let rests = r.stage.is_final() || r.stage == Stage::Open;
                    let waits = r.stage == Stage::Closing && truth::ends_by_the_clock(host, &r.id);
                    !rests && !waits
                });
                match moving {
                    None => return Ok(()),
                    Some(r) => format!("{} is {}", r.id, r.stage),
                }
            }
        };
        if begun.elapsed() > BOUND {
            return Err(format!("no rest: {busy}\n{}", host.log()));
        }
        std::thread::park_timeout(Duration::from_millis(150));
    }
}

fn close_all(host: &Host) -> Result<(), String> {
    let status = host.status().map_err(|why| format!("{why:?}"))?;
    for request in status.requests.iter().filter(|r| r.stage == Stage::Open) {
        flow::close(host, &request.id).map_err(|why| format!("closing: {why:?}"))?;
    }
    // Whoever gave up waiting for a worker looks once more.
    quiet(host)?;
    let status = host.status().map_err(|why| format!("{why:?}"))?;
    match status.requests.iter().find(|r| r.stage == Stage::Open) {
        None => Ok(()),
        Some(open) => Err(format!("{} was closed and is {}", open.id, open.stage)),
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}
