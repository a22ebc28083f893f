//! Test programs side by side: a few always, more while the processors have nothing to do.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::programs::Program;
use super::times::{self, Idle};
use super::totals::Totals;
use crate::console::Failure;
use crate::inside;

/// The longest first, so that none of them is left over at the end; what is not named takes half a minute at most.
const LONGEST: [&str; 17] = [
    "kill_matrix",
    "aws_check",
    "aws_faults",
    "accounts",
    "secrets",
    "no_residue",
    "bypass",
    "custody",
    "fault_matrix",
    "model",
    "places",
    "clients",
    "runbook_d",
    "restarts",
    "ceremony",
    "least_power",
    "audit_verify",
];

/// They hold something to seconds that others would take from them; `card_safety` looks for whoever may hold a reader among all processes of the
/// machine, where others' `ykman` would be.
const ALONE: [&str; 5] = [
    "alerts",
    "card_safety",
    "evidence",
    "live_record",
    "token_session",
];

/// How many programs run side by side, and for how long.
pub(crate) struct Limits {
    /// So many, however busy the machine is.
    pub(crate) at_least: usize,
    pub(crate) at_most: usize,
    /// Another is begun only when as much of the processors is left, 0 to 1 ...
    pub(crate) idle: f64,
    /// ... for so long, since the last one began.
    pub(crate) settles: Duration,
    /// A program that has not ended by then never will.
    pub(crate) bound: Duration,
}

impl Limits {
    /// For a machine of so many processors. Programs that wait for the same thing wake together, and none of them can be taken back: there are no more
    /// than the processors can serve then. More than eight would have more agents than one account may watch files for (128 by inotify's usual limit).
    pub(crate) fn usual(processors: usize) -> Self {
        Self {
            at_least: 2,
            at_most: (2 * processors).clamp(2, 8),
            idle: 0.2,
            settles: Duration::from_secs(2),
            // By the clock: the longest (`kill_matrix`) takes 13 minutes beside others on two processors.
            bound: Duration::from_secs(45 * 60),
        }
    }
}

/// Which programs may run beside others, and in which order they begin.
pub(crate) struct Order {
    pub(crate) together: Vec<Program>,
    pub(crate) alone: Vec<Program>,
}

impl Order {
    pub(crate) fn of(mut programs: Vec<Program>) -> Self {
        programs.sort_by_key(|program| {
            let place = LONGEST.iter().position(|name| *name == program.name);
            (place.unwrap_or(LONGEST.len()), program.source.clone())
        });
        let (alone, together) = programs
            .into_iter()
            .partition(|program| ALONE.contains(&&*program.name));
        Self { together, alone }
    }
}

/// How a program is run.
type Start<'s> = &'s dyn Fn(&Program) -> Result<Command, Failure>;

/// The run of all of them.
pub(crate) struct Pool<'t, W> {
    limits: Limits,
    /// Where what they say is kept, a file each.
    folder: PathBuf,
    out: W,
    totals: &'t mut Totals,
    begun: Instant,
    ended: Vec<Ended>,
}

struct Running {
    program: Program,
    child: Process,
    since: Instant,
    said: PathBuf,
}

/// A program that is ended, with what it has running, when this is dropped: whatever goes wrong here, nobody is left behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            end_with_all_it_runs(&mut self.0);
        }
    }
}

struct Ended {
    program: Program,
    /// `None`: it was ended because it did not end.
    status: Option<ExitStatus>,
    took: Duration,
    processor: Duration,
}

impl<'t, W: Write> Pool<'t, W> {
    /// `folder` is made.
    pub(crate) fn new(
        limits: Limits,
        folder: &Path,
        out: W,
        totals: &'t mut Totals,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|why| failed(folder, &why))?;
        Ok(Self {
            limits,
            folder: folder.to_owned(),
            out,
            totals,
            begun: Instant::now(),
            ended: Vec::new(),
        })
    }

    /// Runs them in this order, several at a time.
    pub(crate) fn side_by_side(
        &mut self,
        programs: Vec<Program>,
        start: Start<'_>,
    ) -> Result<(), Failure> {
        self.run(programs, start, self.limits.at_most)
    }

    /// Runs them in this order, with nothing beside them.
    pub(crate) fn one_by_one(
        &mut self,
        programs: Vec<Program>,
        start: Start<'_>,
    ) -> Result<(), Failure> {
        self.run(programs, start, 1)
    }

    fn run(
        &mut self,
        programs: Vec<Program>,
        start: Start<'_>,
        at_most: usize,
    ) -> Result<(), Failure> {
        let mut waiting = VecDeque::from(programs);
        let mut running: Vec<Running> = Vec::new();
        let mut idle = Idle::begin();
        while !waiting.is_empty() || !running.is_empty() {
            let wanted = running.len() < self.limits.at_least
                || (idle.elapsed() >= self.limits.settles && idle.share() >= self.limits.idle);
            if wanted
                && running.len() < at_most
                && let Some(program) = waiting.pop_front()
            {
                running.push(self.begin(program, start)?);
                idle = Idle::begin();
                continue;
            }
            if idle.elapsed() > 3 * self.limits.settles {
                idle = Idle::begin();
            }
            let mut still = Vec::new();
            for one in running {
                still.extend(self.look(one)?);
            }
            running = still;
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    fn begin(&self, program: Program, start: Start<'_>) -> Result<Running, Failure> {
        // `twotap-test-accounts.txt`
        let name = program.chosen.trim_start_matches("-p ").replace(" --", "-");
        let said = self.folder.join(name.replace([' ', '/'], "-") + ".txt");
        let out = File::create(&said).map_err(|why| failed(&said, &why))?;
        let also = out.try_clone().map_err(|why| failed(&said, &why))?;
        // Whoever ends us, by a signal that nobody can see coming, has ended the programs too.
        let mut with_us = Command::new("setpriv");
        with_us.args(["--pdeathsig", "TERM", "--"]);
        let child = inside::run(with_us, &start(&program)?)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(also)
            .spawn()
            .map_err(|why| failed(&program.file, &why))?;
        Ok(Running {
            program,
            child: Process(child),
            since: Instant::now(),
            said,
        })
    }

    /// Gives it back while it runs, and tells how it went once it has ended.
    fn look(&mut self, mut one: Running) -> Result<Option<Running>, Failure> {
        // Only here is anybody waited for, so that the difference is this one's.
        let before = times::of_ended_children();
        let status = one
            .child
            .0
            .try_wait()
            .map_err(|why| failed(&one.program.file, &why))?;
        let took = one.since.elapsed();
        if status.is_none() {
            if took < self.limits.bound {
                return Ok(Some(one));
            }
            end_with_all_it_runs(&mut one.child.0);
        }
        let ended = Ended {
            program: one.program,
            status,
            took,
            processor: times::of_ended_children().saturating_sub(before),
        };
        self.tell(&ended, &one.said);
        self.ended.push(ended);
        Ok(None)
    }

    /// All that one program said, in one piece. A reader that has gone away (a pipe into head) is no reason to stop the tests.
    fn tell(&mut self, ended: &Ended, said: &Path) {
        let said = fs::read(said).unwrap_or_default();
        for line in String::from_utf8_lossy(&said).lines() {
            self.totals.add(line);
        }
        let _ = writeln!(
            self.out,
            "     Running {} ({:.1} s, {:.1} s of processor time)",
            ended.program.source,
            ended.took.as_secs_f64(),
            ended.processor.as_secs_f64(),
        );
        let _ = self.out.write_all(&said);
        if let Some(how) = ended.badly() {
            let _ = writeln!(self.out, "error: {how}\n");
        }
        let _ = self.out.flush();
    }

    /// Says which took longest, and which failed with how to run each alone; the exit code of the first that did.
    pub(crate) fn end(mut self) -> u8 {
        let mut longest: Vec<&Ended> = self.ended.iter().collect();
        longest.sort_by_key(|ended| std::cmp::Reverse(ended.took));
        let names = longest
            .iter()
            .take(8)
            .map(|ended| format!("{} {:.0} s", ended.program.name, ended.took.as_secs_f64()));
        let names: Vec<String> = names.collect();
        let processor: Duration = self.ended.iter().map(|ended| ended.processor).sum();
        let _ = writeln!(
            self.out,
            "test programs: {:.0} s, with {:.0} s of processor time; the longest: {}",
            self.begun.elapsed().as_secs_f64(),
            processor.as_secs_f64(),
            names.join(", ")
        );
        let mut worst = 0;
        for ended in &self.ended {
            let Some(how) = ended.badly() else { continue };
            let again = format!("cargo xtask test {}", ended.program.chosen);
            let _ = writeln!(self.out, "error: {how}; to run it alone: {again}");
            let code = ended.status.and_then(|status| status.code());
            let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            worst = if worst == 0 { code } else { worst };
        }
        worst
    }
}

impl Ended {
    /// What went wrong, if it did.
    fn badly(&self) -> Option<String> {
        let source = &self.program.source;
        match self.status {
            None => Some(format!(
                "{source} had not ended after {} s and was ended, with what it had running",
                self.took.as_secs()
            )),
            Some(status) if status.success() => None,
            // As cargo has it: what a test program says when tests have failed.
            Some(status) if status.code() == Some(101) => Some(format!("{source} failed")),
            Some(status) => Some(format!("{source} failed ({status})")),
        }
    }
}

/// Ends a program that does not end, and what it has left running: first it stands still, so that it starts nothing more.
fn end_with_all_it_runs(child: &mut Child) {
    let signal = |pid: u32, signal| {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, signal));
    };
    signal(child.id(), Signal::STOP);
    for pid in offspring(child.id()) {
        signal(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Children, their children, and so on, as they are now; who has outlived a parent is not among them.
fn offspring(of: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (_, rest) = stat.rsplit_once(')')?;
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let mut family = vec![of];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let children = parents.iter().filter(|(_, p)| *p == parent);
        family.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    family.split_off(1)
}

fn failed(path: &Path, why: &io::Error) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests;
