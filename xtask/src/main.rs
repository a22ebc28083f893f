//! What the README's commands call: `cargo xtask demo`, `cargo xtask test`, and `cargo xtask setup` beneath both.
//!
//! It depends on nothing that needs PC/SC, since it installs what PC/SC needs.

#![forbid(unsafe_code)]

mod console;
mod demo;
mod inside;
mod quiet;
mod reach;
mod setup;
mod terminals;
mod test;

use std::process::ExitCode;

use console::{Console, Failure};

const USAGE: &str = "\
usage: cargo xtask demo [--manual]     the whole job on real parts, narrated; --manual lets you type and touch
       cargo xtask demo --json         the same, told in one JSON object
       cargo xtask setup [--json]      install what tests and demo need, once
       cargo xtask test [ARGUMENTS]    set up, build, and run every test; ARGUMENTS go to `cargo test`";

/// Exit codes as the shipped programs have them: 1 internal, 2 usage.
const FAILED: u8 = 1;
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match (verb.as_str(), rest.as_slice()) {
        ("setup", []) => setup_alone(false),
        ("setup", [flag]) if flag == "--json" => setup_alone(true),
        ("test", _) => test::run(&rest),
        ("demo", flags) => with_manner(flags, demo::run),
        (demo::INSIDE, flags) => with_manner(flags, demo::inside),
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(0)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(MISUSED)
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(FAILED)
        }
    }
}

fn with_manner(
    flags: &[String],
    run: fn(demo::Manner) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    match demo::Manner::parse(flags) {
        Some(manner) => run(manner),
        None => Err(Failure::new("unknown flags").with_hint("see cargo xtask help")),
    }
}

fn setup_alone(json: bool) -> Result<u8, Failure> {
    let tools = setup::run(Console::new(json))?;
    if json {
        println!("{}", tools.json());
    }
    Ok(0)
}
