//! `twotap audit verify`: what a record proves to somebody who has files and public keys alone, up to where, and what is always shown.

#[path = "audit_verify/against.rs"]
mod against;
#[path = "audit_verify/machine.rs"]
mod machine;
#[path = "agent_support/paper.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part"
)]
mod paper;
#[path = "tampering/record.rs"]
mod record;
#[path = "audit_verify/rosters.rs"]
mod rosters;

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

const TAMPERING: i32 = 11;
const USAGE: i32 = 2;

/// `twotap audit verify` by somebody who has met nobody yet and reaches no agent.
fn verify(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twotap"))
        .args(["audit", "verify"])
        .args(args)
        .env_clear()
        .env("HOME", home)
        .env("TWOTAP_AGENT", "/nowhere")
        .current_dir(home)
        .output()
        .expect("it runs")
}

/// The same as one JSON object, which it has to come to; and what it warned of.
fn verified(home: &Path, args: &[&str]) -> (Value, String) {
    let done = verify(home, &[args, &["--json"]].concat());
    let warned = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{args:?}: {warned}");
    let found = serde_json::from_slice(&done.stdout).expect("one object");
    (found, warned)
}

/// What it says when it does not hold.
fn refused(home: &Path, args: &[&str], code: i32) -> String {
    let done = verify(home, args);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(code), "{args:?}: {said}");
    assert!(done.stdout.is_empty(), "{args:?}");
    said
}
