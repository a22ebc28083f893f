//! What the walks of the runbooks have in common: a site with scenarios, and its people at their verbs.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each walk uses its part"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use serde_json::Value;
use twotap_rig::{
    Credentials, Site, people,
    site::{CUSTODIANS, Done, Options, Requested},
    tools,
};

pub const USAGE: i32 = 2;
pub const REFUSED: i32 = 3;
/// What the operator confirms that it is not.
pub const BANNED: &str = "routine-change,expediency,avoiding-review";

/// Findings of a review that found everything in order.
pub const FINDINGS: &str = r#"
deviations = []
lessons = ["the runbook names the second database now"]

[authorised]
yes = true
because = "ivan confirmed it from the own account"

[accounted]
yes = true
because = "CloudTrail and the record agree"

[avoidable]
yes = false
because = "the usual way was down as well"
"#;

/// A site whose roster has these scenarios.
pub fn site(policy: &str, change: impl FnOnce(&mut Options)) -> Site {
    let mut options = Options {
        policy: policy.to_owned(),
        ..Options::default()
    };
    change(&mut options);
    Site::ready(options).expect("a site")
}

/// A verb by somebody, to its end.
pub fn by(site: &Site, name: &str, args: &[&str]) -> Done {
    let verb = site.twotap(name, args).expect("a person");
    verb.go().expect("it ends")
}

/// The same, which has to succeed; what it says.
pub fn says(site: &Site, name: &str, args: &[&str]) -> String {
    let done = by(site, name, args);
    assert_eq!(done.status, Some(0), "{name} {args:?}: {}", done.stderr);
    done.stdout + &done.stderr
}

/// The same, as its one JSON object.
pub fn json(site: &Site, name: &str, args: &[&str]) -> Value {
    let done = by(site, name, &[&["--json"], args].concat());
    assert_eq!(
        done.status,
        Some(0),
        "{name} {args:?}: {} {}",
        done.stdout,
        done.stderr
    );
    serde_json::from_str(&done.stdout).expect("one object")
}

/// It has to be refused with this exit code, and say this.
pub fn is_refused(site: &Site, name: &str, args: &[&str], code: i32, said: &str) {
    let done = by(site, name, args);
    assert_eq!(done.status, Some(code), "{name} {args:?}: {}", done.stderr);
    assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
}

/// Dana asks.
pub fn asks(site: &Site, args: &[&str]) -> Requested {
    Requested::of(&json(site, "dana", &[&["request", "prod"], args].concat())).expect("a request")
}

/// Both custodians read the words, enter the PIN and tap.
pub fn approved_by_two(site: &Site, request: &Requested) -> Credentials {
    for (name, ..) in CUSTODIANS {
        site.approve(name, request).expect("approved");
    }
    site.wait_for_credentials(request).expect("open")
}

/// Whether AWS lets a session in.
pub fn lets_in(site: &Site, session: &Credentials) -> bool {
    let probe = site.world().session_probe(session);
    probe.expect("an answer").is_ok()
}

/// The record's events of a request, oldest first.
pub fn events(site: &Site, request: &Requested) -> Vec<Value> {
    let tail = json(site, "sofia", &["audit", "tail", "-n", "1000"]);
    let all = tail["events"].as_array().expect("a list").iter();
    all.filter(|e| e["correlation_id"] == request.id.as_str())
        .cloned()
        .collect()
}

/// The only event of this kind.
pub fn event(site: &Site, request: &Requested, name: &str) -> Value {
    let found = events(site, request);
    let mut found = found.into_iter().filter(|e| e["event_type"] == name);
    let event = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    event
}

/// A file of somebody's.
pub fn file(site: &Site, name: &str, file: &str, text: &str) -> String {
    let path = site.stage().write(name, file, text.as_bytes(), 0o600);
    path.expect("written").display().to_string()
}

/// Sofia hands in findings with which everything is in order; the report that follows.
pub fn reviewed(site: &Site, request: &Requested) -> Value {
    let findings = file(site, "sofia", "findings.toml", FINDINGS);
    let args = ["review", &request.id, "--findings", &findings];
    says(site, "sofia", &args);
    json(site, "sofia", &["report", &request.id])
}

/// A path in somebody's home.
pub fn at_home(site: &Site, name: &str, file: &str) -> String {
    site.stage().home(name).join(file).display().to_string()
}

/// The report's deadline with this name.
pub fn deadline(report: &Value, what: &str) -> Value {
    let all = report["deadlines"].as_array().expect("a list");
    let found = all.iter().find(|d| d["what"] == what);
    found
        .unwrap_or_else(|| panic!("no {what}: {all:?}"))
        .clone()
}

/// Seconds from one RFC 3339 time of a report to another.
pub fn seconds(from: &Value, to: &Value) -> i64 {
    let at = |value: &Value| {
        let text = value.as_str().expect("a time");
        twotap::trust::Timestamp::parse(text).expect("a time")
    };
    at(from).until(at(to))
}

/// What an operator's checks need on the agent host: programs of root's, files of the agent's.
pub struct Checks {
    folder: tempfile::TempDir,
}

impl Checks {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("twotap-checks-").tempdir();
        let folder = folder.expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        Self { folder }
    }

    /// A program.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        tools::install_text(text, &path).expect("a program");
        path
    }

    /// A file that the agent alone may read.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
        chown(&path, Some(people::AGENT), Some(people::AGENT)).expect("owner");
        path
    }

    /// Its lines in `agent.toml`.
    pub fn configured(&self, name: &str, program: &str, config: &str) -> String {
        let path = self.program(name, program);
        let config = match config {
            "" => String::new(),
            text => {
                let config = self.secret(&format!("{name}.toml"), text);
                format!("arguments = [{:?}]\n", config.display().to_string())
            }
        };
        format!(
            "\n[checks.{name}]\nprogram = {:?}\n{config}",
            path.display().to_string()
        )
    }
}
