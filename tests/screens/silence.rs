//! Nothing hangs silently: every verb that asks the agent says so after a second.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use crate::standin::StandIn;

const TWOTAP: &str = env!("CARGO_BIN_EXE_twotap");

/// A line of each verb that comes as far as the agent by itself.
const WAIT: [&str; 31] = [
    "status",
    "--json status",
    "status --watch",
    "request prod --access admin --incident INC-42 --reason everything-is-down",
    "approve",
    "approve r-aaaaaaaaaaaaa",
    "approval withdraw r-aaaaaaaaaaaaa",
    "deny r-aaaaaaaaaaaaa --reason no",
    "confirm r-aaaaaaaaaaaaa",
    "drill prod",
    "drill prod --history",
    "credentials",
    "credentials r-aaaaaaaaaaaaa",
    "exec -- true",
    "exec r-aaaaaaaaaaaaa -- true",
    "close",
    "close r-aaaaaaaaaaaaa",
    "roster show prod",
    "access show admin",
    "env",
    "explain AccessDenied",
    "note looked-at-the-logs",
    "replay r-aaaaaaaaaaaaa --identity officer.key --export out.cast",
    "report r-aaaaaaaaaaaaa",
    "report --quarter 2026Q4",
    "review r-aaaaaaaaaaaaa --findings findings.toml",
    "vault export prod -o bundle.json",
    "audit tail",
    "audit acknowledge --reason looked-into",
    "audit verify",
    "doctor",
];

/// An officer's findings.
const FINDINGS: &str = r#"
authorised = { yes = true, because = "ivan confirmed it" }
accounted = { yes = true, because = "each call stands in the record" }
avoidable = { yes = false, because = "sign-in was down as well" }
deviations = []
lessons = []
"#;

/// Verbs that ask no agent, and why.
const ALONE: [(&str, &str); 7] = [
    ("alerts", "it asks AWS by its CLI, and says so by itself"),
    ("aws", "it asks AWS by its CLI, and says so by itself"),
    ("custodian", "it asks a token, and says so by itself"),
    ("recovery", "its paper is waited for at a question"),
    ("setup", "it changes a file, and asks about that"),
    ("shell", "it wants a terminal, and asks as exec does"),
    ("help", "it waits for nothing"),
];

/// The verbs that the program has.
fn verbs() -> BTreeSet<String> {
    let help = Command::new(TWOTAP).arg("--help").output();
    let help = String::from_utf8(help.expect("it starts").stdout).expect("text");
    let list = help.split("Commands:").nth(1).expect("a list of verbs");
    let list = list.split("\n\n").next().expect("a list of verbs");
    // A verb stands two columns in; what its description goes on with stands further.
    list.lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_verb_is_among_those_that_are_walked() {
    let walked = WAIT.iter().map(|line| {
        let mut words = line.split(' ').filter(|word| !word.starts_with("--"));
        words.next().expect("a verb").to_owned()
    });
    let alone = ALONE.iter().map(|(verb, _)| (*verb).to_owned());
    let known: BTreeSet<String> = walked.chain(alone).collect();
    let missing: Vec<String> = verbs().difference(&known).cloned().collect();
    assert_eq!(
        missing, [""; 0],
        "say what they wait for, and list them here"
    );
}

#[test]
fn a_silent_agent_is_named_after_a_second_by_every_verb() {
    let agent = StandIn::silent();
    let said: Vec<(&str, Result<String, String>)> = std::thread::scope(|scope| {
        let all: Vec<_> = WAIT
            .iter()
            .map(|line| (*line, scope.spawn(|| first_note(&agent, line))))
            .collect();
        all.into_iter()
            .map(|(line, note)| (line, note.join().expect("ended")))
            .collect()
    });
    let expected = format!(
        "note: waiting for the agent at {}",
        agent.socket().display()
    );
    for (line, note) in said {
        let note = note.unwrap_or_else(|said| panic!("twotap {line} says nothing of it: {said}"));
        let worker = note.starts_with("note: waiting for a worker of the agent at");
        assert!(
            note.starts_with(&expected) || worker,
            "twotap {line}: {note}"
        );
    }
}

/// The line on standard error that says what is waited for; what there was instead, if it ended without one.
fn first_note(agent: &StandIn, line: &str) -> Result<String, String> {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("findings.toml"), FINDINGS).expect("written");
    let key = age::x25519::Identity::generate().to_string();
    let key = age::secrecy::ExposeSecret::expose_secret(&key);
    std::fs::write(home.path().join("officer.key"), key).expect("written");
    let mut child = Command::new("setsid")
        .args(["--wait", TWOTAP])
        .args(["--agent", &agent.socket().display().to_string()])
        .args(line.split(' '))
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut said = String::new();
    let found = loop {
        match lines.recv_timeout(Duration::from_secs(60)) {
            // What comes before may take its second as well on a busy machine.
            Ok(line)
                if line.contains("waiting for the agent")
                    || line.contains("waiting for a worker") =>
            {
                break Ok(line);
            }
            Ok(line) => said.push_str(&line),
            Err(RecvTimeoutError::Disconnected) => break Err(said),
            Err(RecvTimeoutError::Timeout) => break Err(format!("{said} (and it hangs)")),
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    found
}
