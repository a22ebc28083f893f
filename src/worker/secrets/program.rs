//! Running a setter's program: the contract in `packaging/setters/README.md`.

use std::process::ExitStatus;

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::config::SetterProgram;
use super::helper::{Said, Verdict};
use crate::trust::{
    program::{Program, Without},
    text,
};

/// The most that a program's answer is read of, in bytes.
const ANSWER: u64 = 4096;
/// The most of its words that is passed on, in characters.
const WORDS: usize = 300;
/// All of its environment.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LC_ALL", "C.UTF-8"),
];

/// What a program reads.
#[derive(Serialize)]
pub(super) struct Input<'a> {
    /// `set` or `test`.
    pub(super) action: &'a str,
    /// The value that counts now.
    pub(super) secret: &'a Value,
    /// The value that is to count.
    pub(super) new: &'a Value,
}

/// Runs it once.
pub(super) async fn run(setter: &SetterProgram, input: &Input<'_>) -> Verdict {
    let Ok(input) = serde_json::to_vec(input).map(Zeroizing::new) else {
        return Verdict::Refused("its input cannot be written".to_owned());
    };
    let program = Program {
        path: &setter.program,
        arguments: &[],
        environment: &ENVIRONMENT,
        time: setter.time(),
        most: ANSWER,
    };
    match program.run(&input).await {
        Ok((status, answer)) => verdict(status, &Said::parse(&answer)),
        Err(Without::NotStarted(why)) => Verdict::Refused(why),
        Err(Without::Unfinished(why)) => Verdict::Unknown(why),
    }
}

/// Exit code 0 is done, 1 is 'no, and nothing was changed', everything else is 'it cannot be told'.
fn verdict(status: ExitStatus, said: &Said) -> Verdict {
    let words = || match text::plain(&said.error, WORDS) {
        words if words.is_empty() => status.to_string(),
        words => words,
    };
    match status.code() {
        Some(0) => Verdict::Done,
        Some(1) => Verdict::Refused(words()),
        _ => Verdict::Unknown(words()),
    }
}
