//! `cargo xtask test`: set up, build, run every test, and say at the end how it went.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use crate::console::{Console, Failure};
use crate::{reach, setup, terminals};

/// What the test programs reported, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    programs: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

/// The test programs whose binaries have failpoints. They start tens of thousands of processes of ours, so these are worth optimising: for
/// a minute more of building, half of the processor time of the runs.
const WITH_FAILPOINTS: &[&str] = &[
    "--config",
    "profile.dev.package.twotap.opt-level=1",
    "-p",
    "twotap",
    "--features",
    "failpoints",
    "--test",
    "kill_matrix",
    "--test",
    "fault_matrix",
];

/// Once more at the end, one test of it: it holds every line that the agents of all tests have written to the shipped schema.
const RECORDS: &[&str] = &["-p", "twotap", "--test", "record", "every_line_that"];

/// Says to that test that all others have run, so that each kind of event has to be among the lines.
const ALL_HAVE_RUN: &str = "TWOTAP_ALL_HAVE_RUN";

/// Runs the tests; `arguments` go to `cargo test`. The exit code is that of the first part that failed.
pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    let console = Console::new(false);
    let tools = setup::run(console)?;
    console.step("building the workspace");
    let built = setup::cargo()
        .args(["build", "--workspace", "--quiet"])
        .status()
        .map_err(|error| Failure::new(format!("cargo build: {error}")))?;
    if !built.success() {
        return Ok(code(built));
    }
    // What an earlier run has left says nothing of this one.
    let records = setup::workspace().join("target/records");
    match std::fs::remove_dir_all(&records) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::new(format!("{}: {why}", records.display())));
        }
        _ => {}
    }
    let mut totals = Totals::default();
    let mut worst = 0;
    // The matrices first: their programs have failpoints, and those of the other tests take their place again. Whoever says what to test
    // says by that whether it is meant.
    let chosen = arguments.first().is_some_and(|first| first != "--");
    let everything: &[&str] = &["--workspace"];
    let parts = [WITH_FAILPOINTS, everything, RECORDS];
    let parts = match chosen {
        false => &parts[..],
        true => &parts[1..2],
    };
    for part in parts.iter().copied() {
        let mut environment = tools.environment().to_vec();
        if part == RECORDS {
            environment.push((ALL_HAVE_RUN, "1".into()));
        }
        let status = tests(part, arguments, &environment, &mut totals)?;
        worst = if worst == 0 { code(status) } else { worst };
    }
    println!(
        "{} passed, {} failed, {} ignored in {} test programs",
        totals.passed, totals.failed, totals.ignored, totals.programs
    );
    Ok(worst)
}

/// One run of `cargo test`; its results are added up.
fn tests(
    part: &[&str],
    arguments: &[String],
    environment: &[(&'static str, PathBuf)],
    totals: &mut Totals,
) -> Result<ExitStatus, Failure> {
    let mut cargo = reach::for_everybody(terminals::for_tests(setup::cargo()))?;
    let mut child = cargo
        .args(["test", "--no-fail-fast"])
        .args(part)
        .args(arguments)
        .envs(environment.iter().cloned())
        // The long ones wait (for AWS to have refused for 30 s, for a finger): more of them than there are cores.
        .env("RUST_TEST_THREADS", threads())
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
    child
        .wait()
        .map_err(|error| Failure::new(format!("cargo test: {error}")))
}

/// How many tests of one program run side by side.
fn threads() -> String {
    std::env::var("RUST_TEST_THREADS").unwrap_or_else(|_| "6".to_owned())
}

impl Totals {
    /// Takes up a line such as `test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; ...`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.programs += 1;
        for count in counts.split("; ") {
            let mut words = count.split(' ');
            let number = words
                .next()
                .and_then(|number| number.parse::<u32>().ok())
                .unwrap_or_default();
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
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
    fn results_add_up() {
        let mut totals = Totals::default();
        for line in [
            "running 2 tests",
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s",
            "test result: FAILED. 6 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 6.32s",
        ] {
            totals.add(line);
        }
        assert_eq!(
            totals,
            Totals {
                programs: 2,
                passed: 13,
                failed: 2,
                ignored: 1
            }
        );
    }
}
