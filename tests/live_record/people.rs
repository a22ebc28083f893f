//! `twotap` as somebody of the roster.

use std::{
    fs,
    os::unix::fs::chown,
    path::Path,
    process::{Command, Output},
};

use twotap_rig::tools;

use crate::agent_support::Host;

/// `twotap ARGS` as somebody, in a folder of the own, without a terminal.
pub(crate) fn twotap(host: &Host, uid: u32, args: &[&str]) -> Output {
    let home = host.path(&format!("home-{uid}"));
    if !home.exists() {
        fs::create_dir(&home).expect("a folder");
        chown(&home, Some(uid), Some(uid)).expect("owner");
    }
    // At a place where everybody may run it.
    let program = host.path("twotap");
    if !program.exists() {
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &program).expect("copied");
    }
    Command::new("setpriv")
        .args(["--reuid", &uid.to_string(), "--regid", &uid.to_string()])
        .args(["--clear-groups", "setsid"])
        .arg(program)
        .args(args)
        .current_dir(&home)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &home)
        .env("TWOTAP_AGENT", host.socket())
        .output()
        .expect("it runs")
}

/// What it prints; it has to succeed.
pub(crate) fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr
}
