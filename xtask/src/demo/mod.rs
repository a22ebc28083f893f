//! `cargo xtask demo`: the whole job on real parts, narrated, and one JSON object of what was seen.

mod findings;
mod liar;
mod secrets;
mod story;
mod teller;

use std::process::{Command, Stdio};

use crate::console::{Console, Failure};
use crate::{reach, setup};
use teller::Teller;

/// The verb by which the demo calls itself again, once everything is built and everybody can come to it.
pub(crate) const INSIDE: &str = "demo-inside";

/// How the demo is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// One object on standard output, nothing else there.
    pub(crate) json: bool,
    /// A person types the PIN and presses Enter for each touch.
    pub(crate) manual: bool,
}

impl Manner {
    /// From the command line.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let mut manner = Self {
            json: false,
            manual: false,
        };
        for argument in arguments {
            match argument.as_str() {
                "--json" => manner.json = true,
                "--manual" => manner.manual = true,
                _ => return None,
            }
        }
        // A person cannot take part where nothing may be shown.
        (!(manner.json && manner.manual)).then_some(manner)
    }

    fn arguments(self) -> Vec<&'static str> {
        [(self.json, "--json"), (self.manual, "--manual")]
            .into_iter()
            .filter_map(|(given, flag)| given.then_some(flag))
            .collect()
    }
}

/// Sets up, builds, and runs the demo where every person can come to the programs.
pub(crate) fn run(manner: Manner) -> Result<u8, Failure> {
    let console = Console::new(manner.json);
    let tools = setup::run(console)?;
    console.step("building twotap and the virtual token");
    let built = setup::cargo()
        .args([
            "build",
            "--quiet",
            "--package",
            "twotap",
            "--package",
            "twotap-token",
        ])
        .stdout(Stdio::null())
        .status()
        .map_err(|why| Failure::new(format!("cargo build: {why}")))?;
    if !built.success() {
        return Err(Failure::new("the build failed").with_hint("see the lines above"));
    }
    let own = std::env::current_exe().map_err(|why| Failure::new(format!("where am I: {why}")))?;
    let mut inside = Command::new(own);
    inside.arg(INSIDE).args(manner.arguments());
    let status = reach::for_everybody(inside)?
        .envs(tools.environment())
        .status()
        .map_err(|why| Failure::new(format!("the demo: {why}")))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// The demo itself.
pub(crate) fn inside(manner: Manner) -> Result<u8, Failure> {
    let teller = Teller::new(manner);
    // A fault of the rig brings its own hint along.
    let findings = story::tell(manner, &teller).map_err(|why| Failure::new(why.to_string()))?;
    if manner.json {
        println!("{}", findings.json());
    } else {
        teller.say(&format!("what was seen: {}", findings.json()));
    }
    Ok(u8::from(!findings.all_hold()))
}
