//! `cargo xtask test`: set up, build, run every test, and say at the end how it went.
//!
//! Whoever says what to test has it run by `cargo test`, as it stands. The whole is built first, and then its programs run side by side: most of
//! them wait most of the time, for AWS to have refused for 30 s, for a finger, for a process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::console::{Console, Failure};
use crate::{reach, setup, terminals};

mod pool;
mod programs;
mod times;
mod totals;

use pool::{Limits, Order, Pool};
use programs::Program;
use totals::Totals;

/// Everything is built with this: what only some of the members ask of a crate would have it, and all that stands on it, compiled once more for
/// the others.
const EVERYTHING: &[&str] = &["--workspace"];

/// The test programs whose binaries have failpoints. They start tens of thousands of processes of ours, so these are worth optimising: for
/// a minute more of building, half of the processor time of the runs.
const WITH_FAILPOINTS: &[&str] = &[
    "--config",
    "profile.dev.package.twotap.opt-level=1",
    "--workspace",
    "--features",
    "twotap/failpoints",
    "--test",
    "kill_matrix",
    "--test",
    "fault_matrix",
];

/// At the end alone, one test of this program: it holds every line that the agents of all tests have written to the shipped schema.
const RECORDS: (&str, &str) = ("record", "every_line_that");

/// Says to that test that all others have run, so that each kind of event has to be among the lines.
const ALL_HAVE_RUN: &str = "TWOTAP_ALL_HAVE_RUN";

/// Runs the tests; `arguments` go to `cargo test`. The exit code is that of the first part that failed.
pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    let console = Console::new(false);
    let environment = Environment {
        tools: setup::run(console)?.environment(),
    };
    // What an earlier run has left says nothing of this one.
    for left in ["records", "emulators"] {
        empty(&setup::workspace().join("target").join(left))?;
    }
    let mut totals = Totals::default();
    let worst = match arguments {
        [] => whole(console, &[], &environment, &mut totals)?,
        [first, rest @ ..] if first == "--" => whole(console, rest, &environment, &mut totals)?,
        chosen => some(console, chosen, &environment, &mut totals)?,
    };
    println!("{totals}");
    Ok(worst)
}

/// The tests that `cargo test` runs with these arguments.
fn some(
    console: Console,
    arguments: &[String],
    environment: &Environment,
    totals: &mut Totals,
) -> Result<u8, Failure> {
    console.step("building the workspace");
    let built = setup::cargo()
        .args(["build", "--workspace", "--quiet"])
        .status()
        .map_err(|error| Failure::new(format!("cargo build: {error}")))?;
    if !built.success() {
        return Ok(code(built));
    }
    let mut part = words(arguments);
    if !names_a_package(arguments) {
        part.splice(..0, EVERYTHING.iter().copied());
    }
    one_after_the_other(&part, environment, totals)
}

/// Whether they choose a package, which cargo passes over beside `--workspace`. What is behind `--` is not for cargo.
fn names_a_package(arguments: &[String]) -> bool {
    let mut for_cargo = arguments.iter().take_while(|word| *word != "--");
    for_cargo
        .any(|word| word.starts_with("-p") || word == "--package" || word.starts_with("--package="))
}

/// Every test of the workspace; `arguments` go to each program.
fn whole(
    console: Console,
    arguments: &[String],
    environment: &Environment,
    totals: &mut Totals,
) -> Result<u8, Failure> {
    console.step("building the tests");
    // Those with failpoints first: the programs without take their place in the build folder, so these are kept beside it.
    let built = setup::workspace().join("target/debug");
    let beside = setup::workspace().join("target/failpoints");
    empty(&beside)?;
    let mut programs = match programs::build(WITH_FAILPOINTS)? {
        Ok(found) => found.keep(&beside, "failpoints")?,
        Err(status) => return Ok(code(status)),
    };
    match programs::build(EVERYTHING)? {
        Ok(found) => programs.extend(found.tests),
        Err(status) => return Ok(code(status)),
    }
    programs::complete(&beside, &built)?;
    let records = programs
        .iter()
        .find(|program| program.name == RECORDS.0)
        .map(|program| Program {
            chosen: format!("{} {}", program.chosen, RECORDS.1),
            ..program.clone()
        });

    let said = setup::workspace().join("target/test-output");
    empty(&said)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits::usual(processors);
    let mut pool = Pool::new(limits, &said, std::io::stdout(), totals)?;
    let order = Order::of(programs);
    let as_it_is = |program: &Program| {
        let mut command = environment.command(program, arguments)?;
        if program.name == RECORDS.0 {
            command.args(["--skip", RECORDS.1]);
        }
        Ok(command)
    };
    let at_the_end = |program: &Program| {
        let mut command = environment.command(program, arguments)?;
        command.arg(RECORDS.1).env(ALL_HAVE_RUN, "1");
        Ok(command)
    };
    pool.side_by_side(order.together, &as_it_is)?;
    pool.one_by_one(order.alone, &as_it_is)?;
    pool.one_by_one(records.into_iter().collect(), &at_the_end)?;
    let worst = pool.end();

    let mut examples = [EVERYTHING, &["--doc"]].concat();
    if !arguments.is_empty() {
        examples.push("--");
        examples.extend(words(arguments));
    }
    let ended = one_after_the_other(&examples, environment, totals)?;
    Ok(if worst == 0 { ended } else { worst })
}

/// One run of `cargo test`, which runs program after program; its results are added up.
fn one_after_the_other(
    part: &[&str],
    environment: &Environment,
    totals: &mut Totals,
) -> Result<u8, Failure> {
    let mut cargo = environment.around(setup::cargo())?;
    let mut child = cargo
        .args(["test", "--no-fail-fast"])
        .args(part)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("cargo test: {error}")))?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Failure::new("cargo test has no output"))?;
    let mut out = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line =
            line.map_err(|error| Failure::new(format!("reading cargo test's output: {error}")))?;
        totals.add(&String::from_utf8_lossy(&line));
        // A reader that has gone away (a pipe into head) is no reason to stop the tests.
        let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
    }
    let status = child
        .wait()
        .map_err(|error| Failure::new(format!("cargo test: {error}")))?;
    Ok(code(status))
}

/// What tests find around them.
struct Environment {
    tools: [(&'static str, PathBuf); 2],
}

impl Environment {
    /// A test program as `cargo test` would run it.
    fn command(&self, program: &Program, arguments: &[String]) -> Result<Command, Failure> {
        let mut command = Command::new(&program.file);
        command
            .args(arguments)
            .current_dir(&program.folder)
            .env("CARGO_MANIFEST_DIR", &program.folder);
        self.around(command)
    }

    /// The command where there are terminals, where everybody may come to the checkout, and where the tools can be found.
    fn around(&self, command: Command) -> Result<Command, Failure> {
        let mut command = reach::for_everybody(terminals::for_tests(command))?;
        command
            .envs(self.tools.iter().cloned())
            // The long ones wait (for AWS to have refused for 30 s, for a finger): more of them than there are cores.
            .env("RUST_TEST_THREADS", threads());
        Ok(command)
    }
}

/// How many tests of one program run side by side.
fn threads() -> String {
    std::env::var("RUST_TEST_THREADS").unwrap_or_else(|_| "6".to_owned())
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Takes away what an earlier run has left there.
fn empty(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{}: {why}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// The exit code of a program; one that a signal ended counts as failed.
fn code(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_named_is_tested_and_not_the_whole_workspace() {
        let named = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            names_a_package(&words)
        };
        for line in [
            "-p twotap-rig",
            "--test people -p twotap",
            "--package twotap --lib",
            "--package=twotap",
            "-ptwotap",
        ] {
            assert!(named(line), "{line}");
        }
        for line in ["--test people", "--lib -- -p", "aws::probe", "--profile x"] {
            assert!(!named(line), "{line}");
        }
    }
}
