//! Accounts that are nobody's own: of nobody in the roster, or of several people by the host's own user database.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use twotap::protocol::Code;
use twotap_rig::tools;

use crate::agent_support::{AGENT, ALICE, DANA, Host, SOFIA, STRANGER, paper::Paper};

/// A host whose user database has this text.
fn host(passwd: &str) -> Host {
    let mut host = Host::prepare(Paper::new());
    fs::write(host.path("passwd"), passwd).expect("written");
    let config = host.path("agent.toml");
    let text = fs::read_to_string(&config).expect("there");
    let more = "[accounts]\npasswd = 'passwd'\nshared = ['night-shift']\n";
    fs::write(config, text + more).expect("written");
    host.start_agent();
    host
}

fn line(name: &str, uid: u32) -> String {
    format!("{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n")
}

/// Puts another user database in place, as `useradd` does: a new file under the old name.
fn put(host: &Host, passwd: &str) {
    let beside = host.path("passwd.new");
    fs::write(&beside, passwd).expect("written");
    fs::rename(beside, host.path("passwd")).expect("renamed");
}

fn refusal(host: &Host, uid: u32) -> String {
    let reply = host.get(uid, "/v1/status");
    assert_eq!((reply.status, reply.problem().code), (403, Code::Refused));
    reply.problem().error
}

#[test]
fn root_the_agent_and_accounts_that_nobody_listed_are_refused() {
    let host = host(&line("dana", DANA));
    for (uid, why) in [
        (0, "root is not a person"),
        (65534, "nobody is not a person"),
        (AGENT, "the agent's own account is not a person"),
        (
            STRANGER,
            "account 61099 of this host is nobody's in the roster",
        ),
    ] {
        assert_eq!(refusal(&host, uid), why);
        assert_eq!(host.try_ask(uid).status, 403);
    }
    assert_eq!(host.status(DANA).you.name, "dana");
}

#[test]
fn an_account_with_two_names_is_nobodys_until_it_has_one() {
    let both = line("dana", DANA) + &line("deputy", DANA) + &line("sofia", SOFIA);
    let host = host(&both);
    let why = "account 61010 is not one person's: it has several names (dana, deputy)";
    assert_eq!(refusal(&host, DANA), why);
    assert_eq!(host.try_ask(DANA).problem().error, why);
    let status = host.status(SOFIA);
    assert_eq!(
        status.degraded,
        ["vault prod: account 61010 of dana is refused: it has several names (dana, deputy)"]
    );

    // The database is looked at as it is now.
    put(&host, &(line("dana", DANA) + &line("sofia", SOFIA)));
    assert_eq!(host.status(DANA).degraded, [""; 0]);
    let view = host.ask();
    put(&host, &both);
    let path = format!("/v1/requests/{}", view.id);
    assert_eq!(host.get(DANA, &path).status, 403);
}

#[test]
fn a_name_that_many_log_in_to_is_nobodys() {
    for (name, by) in [("ec2-user", "custom"), ("night-shift", "this host")] {
        let host = host(&(line(name, DANA) + &line("sofia", SOFIA)));
        let why = format!("account 61010 is not one person's: '{name}' is shared by custom");
        assert_eq!(refusal(&host, DANA), why, "{by}");
        // Whom it does not concern is served.
        assert_eq!(host.status(ALICE).you.name, "alice");
    }
}

#[test]
fn a_user_database_that_cannot_be_read_locks_nobody_out_and_is_said() {
    let host = host(&(line("dana", DANA) + &line("deputy", DANA)));
    assert_eq!(host.get(DANA, "/v1/status").status, 403);
    fs::remove_file(host.path("passwd")).expect("removed");
    let degraded = host.status(DANA).degraded;
    let [line] = &degraded[..] else {
        panic!("{degraded:?}");
    };
    assert!(line.contains("shared accounts are not found"), "{line}");
    put(&host, &self::line("dana", DANA));
    assert_eq!(host.status(DANA).degraded, [""; 0]);
}

#[test]
fn doctor_shows_whose_account_is_refused() {
    let host = host(&(line("dana", DANA) + &line("deputy", DANA)));
    let home = |name: &str, uid: u32| -> PathBuf {
        let home = host.path(name);
        fs::create_dir(&home).expect("a home");
        std::os::unix::fs::chown(&home, Some(uid), Some(uid)).expect("owner");
        home
    };
    // At a place where everybody can run it.
    let program = host.path("twotap");
    tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &program).expect("copied");
    let doctor = |name: &str, uid: u32| -> Value {
        let output = Command::new("setpriv")
            .args([&format!("--reuid={uid}"), &format!("--regid={uid}")])
            .args(["--clear-groups", "--"])
            .arg(&program)
            .args(["--json", "doctor", "--agent"])
            .arg(host.socket())
            .env_clear()
            .env("HOME", home(name, uid))
            .env("PCSCLITE_CSOCK_NAME", host.path("no-pcscd"))
            .output()
            .expect("it runs");
        serde_json::from_slice(&output.stdout).expect("one object")
    };
    let found = |report: &Value, what: &str| -> (String, String) {
        let findings = report["findings"].as_array().expect("findings");
        let one = findings.iter().find(|f| f["what"] == what);
        let one = one.unwrap_or_else(|| panic!("no {what} in {report}"));
        let text = |field: &str| one[field].as_str().expect("text").to_owned();
        (text("verdict"), text("text"))
    };
    let report = doctor("dana", DANA);
    let (verdict, text) = found(&report, "agent");
    assert_eq!(verdict, "fail");
    assert!(
        text.contains("it has several names (dana, deputy)"),
        "{text}"
    );
    assert_eq!(
        found(&report, "account").0,
        "ok",
        "this machine has no such name"
    );

    let (verdict, text) = found(&doctor("sofia", SOFIA), "degraded");
    assert_eq!(verdict, "warn");
    assert!(text.contains("account 61010 of dana is refused"), "{text}");
}
