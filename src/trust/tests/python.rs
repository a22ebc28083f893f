//! Independent witnesses in Python.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

/// Runs Python with `arguments` and gives it `input`.
///
/// `TWOTAP_PYTHON` names an interpreter that has the witnesses' packages; `cargo xtask test` sets it up.
pub(crate) fn python(arguments: &[&str], input: &str) -> Output {
    let interpreter = std::env::var_os("TWOTAP_PYTHON")
        .expect("TWOTAP_PYTHON is not set: run the tests with `cargo xtask test`");
    let mut child = Command::new(interpreter)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("TWOTAP_PYTHON does not start: run the tests with `cargo xtask test`");
    let mut stdin = child.stdin.take().expect("piped");
    // One that gives up early closes the pipe; its exit code is what counts.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}
