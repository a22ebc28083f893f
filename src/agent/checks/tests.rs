//! The runner, against small programs. Programs belong to root, so these tests run as root.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Input, MAX_OUTPUT, Outcome, Program};
use crate::trust::text::check_text;

const INPUT: Input<'_> = Input {
    v: 1,
    check: "ticket",
    vault: "prod",
    operator: "dana",
    access: "pii",
    scenario: "pii-access",
    subject: Some("user-4711"),
    incident: "INC-42",
    reason: "a reason with \"quotes\", $(a command) and ; more",
    commander: None,
    duration_seconds: Some(3600),
    follows: None,
};

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn install(&self, script: &str) -> PathBuf {
        let (text, path) = (self.0.path().join("text"), self.0.path().join("check"));
        fs::write(&text, script).expect("written");
        // Made by a process of its own: none that another thread starts just then holds it open for writing when it is run.
        let mut install = std::process::Command::new("install");
        install.args(["-m", "0755", "--"]).args([&text, &path]);
        assert!(install.status().expect("install").success());
        path
    }

    fn run(&self, script: &str) -> Outcome {
        run(&program(&self.install(script), 10))
    }
}

fn program(path: &Path, seconds: u32) -> Program {
    Program {
        program: path.to_owned(),
        arguments: vec!["--config".to_owned(), "a b".to_owned()],
        seconds,
    }
}

fn run(program: &Program) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(program.run(&INPUT))
}

fn said(passed: bool, output: &str) -> Outcome {
    Outcome {
        passed,
        output: output.to_owned(),
    }
}

#[test]
fn exit_code_0_has_passed_and_nothing_else_has() {
    let bench = Bench::new();
    for (script, outcome) in [
        (
            "echo '#17, approved by carol'",
            said(true, "#17, approved by carol"),
        ),
        ("true", said(true, "passed")),
        (
            "echo 'no such ticket'; exit 1",
            said(false, "no such ticket"),
        ),
        ("exit 1", said(false, "exit status: 1, without a word")),
        (
            "echo 'no answer'; exit 2",
            said(false, "it could not be told: no answer"),
        ),
        (
            "echo half; kill -9 $$",
            said(false, "it could not be told: half"),
        ),
        (
            "kill -9 $$",
            said(false, "signal: 9 (SIGKILL), without a word"),
        ),
    ] {
        assert_eq!(
            bench.run(&format!("#!/bin/sh\n{script}\n")),
            outcome,
            "{script}"
        );
    }
}

#[test]
fn the_request_comes_as_json_and_nothing_else_comes() {
    let bench = Bench::new();
    let copy = bench.0.path().join("copy");
    let script = format!(
        "#!/bin/sh\n/bin/cat > {0}.in\n/usr/bin/tr '\\0' '\\n' < /proc/self/environ > {0}.env\necho $# \"$2\" $(pwd)\n",
        copy.display()
    );
    assert_eq!(bench.run(&script), said(true, "2 a b /"));
    let read =
        |end: &str| fs::read_to_string(bench.0.path().join(format!("copy.{end}"))).expect("a copy");
    let input: serde_json::Value = serde_json::from_str(&read("in")).expect("JSON");
    assert_eq!(input["reason"], INPUT.reason);
    assert_eq!(input["operator"], "dana");
    assert_eq!(input["subject"], "user-4711");
    assert_eq!(input["commander"], serde_json::Value::Null);
    // What the shell itself sets (PWD and the like) is not ours.
    let environment = read("env");
    for name in ["HOME=", "PATH=", "CARGO", "USER="] {
        assert!(!environment.contains(name), "{environment}");
    }
}

#[test]
fn what_a_program_says_is_one_plain_short_line() {
    let bench = Bench::new();
    let script = "#!/usr/bin/python3 -I\n\
        import sys\n\
        sys.stdout.write('\\x1b[2Jone\\n\\u202etwo\\u200b\\t' + 'x' * 3_000_000)\n";
    let Outcome { passed, output } = bench.run(script);
    assert!(passed, "{output}");
    assert!(output.starts_with("[2Jone two x"), "{output}");
    assert_eq!(output.chars().count(), MAX_OUTPUT);
    assert!(check_text("output", &output, 4 * MAX_OUTPUT).is_ok());
    // Bytes that are no text.
    let outcome = bench.run("#!/bin/sh\nprintf '\\377\\376ok'\n");
    assert_eq!(outcome, said(true, "\u{fffd}\u{fffd}ok"));
}

#[test]
fn one_that_takes_too_long_is_ended_with_all_that_it_has_started() {
    let bench = Bench::new();
    let pids = bench.0.path().join("pids");
    let path = bench.install(&format!(
        "#!/bin/sh\n/bin/sleep 600 &\necho $! > {0}\necho $$ >> {0}\necho so far\nwait\n",
        pids.display()
    ));
    let began = Instant::now();
    assert_eq!(
        run(&program(&path, 5)),
        said(false, "it took longer than 5 s")
    );
    assert!(began.elapsed() < Duration::from_secs(60));
    let pids = fs::read_to_string(pids).expect("pids");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        until_gone(pid);
    }
}

#[test]
fn one_that_leaves_something_running_does_not_keep_us() {
    let bench = Bench::new();
    let pid = bench.0.path().join("pid");
    let script = format!(
        "#!/bin/sh\n/bin/sleep 600 &\necho $! > {}\necho fine\n",
        pid.display()
    );
    assert_eq!(bench.run(&script), said(true, "fine"));
    until_gone(fs::read_to_string(pid).expect("a pid").trim());
}

/// Gone, or dead and not yet waited for by whoever took it over.
fn until_gone(pid: &str) {
    let began = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        if state.is_empty() || state.starts_with('Z') {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{pid} lives: {stat}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_program_that_others_may_change_is_not_run() {
    let bench = Bench::new();
    let path = bench.install("#!/bin/sh\necho ran\n");
    assert_eq!(run(&program(&path, 10)), said(true, "ran"));
    let refused = |what: &str| {
        let Outcome { passed, output } = run(&program(&path, 10));
        assert!(!passed && output.contains(what), "{output}");
    };
    chown(&path, Some(61099), None).expect("root may");
    refused("it does not belong to root");
    chown(&path, Some(0), None).expect("root may");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("mode");
    refused("others than root may write it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
    refused("it is not a program");
    fs::remove_file(&path).expect("removed");
    refused("No such file");
}
