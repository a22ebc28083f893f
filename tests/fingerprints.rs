//! Fingerprints: peppers by file, credential and Secrets Manager, one that is required and missing, rotation, and whether a value is the one that
//! an event is about.

mod agent_support;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::{Command, Output, Stdio},
};

use agent_support::{AGENT, DANA, Host, Paper, SOFIA};
use data_encoding::BASE64;
use serde_json::Value;
use twotap::{audit::event::Record, protocol::socket::Credentials};
use twotap_rig::{Aws, World, tools};

fn pepper(byte: u8) -> String {
    BASE64.encode(&[byte; 32])
}

/// A host whose agent has not started, with `table` in its configuration.
fn host(table: &str) -> Host {
    let host = Host::prepare(Paper::new());
    configure(&host, table);
    host
}

/// Writes the table anew.
fn configure(host: &Host, table: &str) {
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let before = text.split("[fingerprints]").next().unwrap_or_default();
    fs::write(path, format!("{before}[fingerprints]\n{table}\n")).expect("written");
}

/// A file that the agent alone may read.
fn keep(host: &Host, name: &str, text: &str) {
    let path = host.path(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
    chown(&path, Some(AGENT), Some(AGENT)).expect("owner");
}

/// The event of the newest access, and the access key id that the record does not say.
fn access(host: &Host) -> (Record, String) {
    let open = host.open();
    let credentials: Credentials = host.credentials(DANA, &open.id).json();
    let line = host
        .events_named("BREAK_GLASS_ACCESS")
        .pop()
        .expect("access");
    (line, credentials.access_key_id)
}

/// `twotap audit match` by a person, with `value` on standard input.
fn matching(host: &Host, uid: u32, arguments: &[&str], value: &str) -> Output {
    let twotap = host.path("twotap");
    if !twotap.exists() {
        tools::install(Path::new(env!("CARGO_BIN_EXE_twotap")), &twotap).expect("copied");
    }
    let id = uid.to_string();
    let mut child = Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
        .arg(twotap)
        .args(["--json", "--agent"])
        .arg(host.socket())
        .args(["audit", "match"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("twotap starts");
    // Who refuses before reading closes it early.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(value.as_bytes());
    child.wait_with_output().expect("twotap ends")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| {
        panic!(
            "{why}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

#[test]
fn a_required_pepper_that_is_missing_is_named_and_nothing_starts() {
    for (table, said) in [
        ("required = true", "names no pepper"),
        (
            "required = true\nkid = 'kid_202611'\nfile = 'absent'",
            "absent",
        ),
        (
            "required = true\nkid = 'kid_202611'\ncredential = 'pepper'",
            "systemd has given no credentials",
        ),
    ] {
        let host = host(table);
        let output = host
            .command()
            .env_remove("CREDENTIALS_DIRECTORY")
            .output()
            .expect("it ends");
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(
            log.contains("PEPPER_REQUIRED_BUT_NOT_SET")
                && log.contains(said)
                && log.contains("hint: "),
            "{log}"
        );
        assert!(!host.socket().exists() && !host.path("state/state.db").exists());
    }
}

#[test]
fn after_a_change_of_pepper_old_events_stay_checkable_and_new_ones_carry_the_new_id() {
    let first = "kid = 'kid_202601'\nfile = 'pepper-1'\nrequired = true";
    let mut host = host(first);
    keep(&host, "pepper-1", &pepper(1));
    host.start_agent();
    let (line, value) = access(&host);
    assert!(
        line.what["access_key"]
            .as_str()
            .is_some_and(|p| p.starts_with("kid_202601:"))
    );
    assert!(
        !host
            .events()
            .iter()
            .any(|e| serde_json::to_string(e).expect("json").contains(&value))
    );
    host.stop_agent();

    keep(&host, "pepper-2", &pepper(2));
    let rotated = "kid = 'kid_202611'\nfile = 'pepper-2'\nrequired = true";
    configure(&host, rotated);
    host.start_agent();
    let seq = line.seq.to_string();
    // The archived pepper is not named yet: that is said, and is no answer.
    let output = matching(&host, SOFIA, &[&seq], &value);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        json(&output)["fields"][0]["why"],
        "no pepper kid_202601 is configured"
    );
    host.stop_agent();

    configure(
        &host,
        &format!("{rotated}\n[fingerprints.archived.kid_202601]\nfile = 'pepper-1'"),
    );
    host.start_agent();
    let output = matching(&host, SOFIA, &[&seq], &format!("{value}\n"));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(json(&output)["fields"][0]["matches"], true);
    let output = matching(&host, SOFIA, &[&seq], "ASIAOTHER");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(json(&output)["fields"][0]["matches"], false);

    // Each comparison is on record, by whom, and the value is not.
    let compared = host.events_named("FINGERPRINT_COMPARED");
    assert_eq!(compared.len(), 3);
    assert!(
        compared
            .iter()
            .all(|e| e.actor == "sofia" && e.what["event"] == line.seq)
    );
    assert_eq!(compared[0].what["not_at_hand"][0], "kid_202601");
    assert_eq!(compared[1].what["fields"][0], "access_key");
    assert_eq!(compared[2].what["fields"], serde_json::json!([]));
    let lines = serde_json::to_string(&compared).expect("json");
    assert!(!lines.contains(&value) && !lines.contains("ASIAOTHER"));

    // An operator may not try values; an event without a fingerprint is no answer.
    let output = matching(&host, DANA, &[&seq], &value);
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output = matching(&host, SOFIA, &["1"], &value);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(host.events_named("FINGERPRINT_COMPARED").len(), 3);

    // Without an agent, with the pepper alone.
    let print = line.what["access_key"].as_str().expect("text");
    let by_hand = |file: &str, purpose: &str| {
        let file = host.path(file);
        let arguments = [
            "--fingerprint",
            print,
            "--purpose",
            purpose,
            "--pepper",
            file.to_str().expect("text"),
        ];
        matching(&host, AGENT, &arguments, &value).status.code()
    };
    assert_eq!(by_hand("pepper-1", "access-key"), Some(0));
    assert_eq!(by_hand("pepper-1", "subject"), Some(3));
    assert_eq!(by_hand("pepper-2", "access-key"), Some(3));
}

#[test]
fn a_pepper_that_is_not_required_and_not_there_shows_and_stops_nobody() {
    let mut host = host("kid = 'kid_202611'\nfile = 'absent'");
    host.start_agent();
    let (line, _) = access(&host);
    assert!(
        line.what["access_key"]
            .as_str()
            .is_some_and(|p| p.starts_with("kid_dev:"))
    );
    let status = host.status(SOFIA);
    assert!(
        status
            .degraded
            .iter()
            .any(|line| line.contains("kid_202611") && line.contains("absent")),
        "{:?}",
        status.degraded
    );
}

#[test]
fn a_pepper_comes_from_a_systemd_credential() {
    let mut host = host("kid = 'kid_202611'\ncredential = 'twotap-pepper'\nrequired = true");
    fs::create_dir(host.path("credentials")).expect("a folder");
    keep(&host, "credentials/twotap-pepper", &pepper(3));
    // As systemd hands it over: the folder's name in the environment.
    let output = host.command().output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let folder = host.path("credentials");
    chown(&folder, Some(AGENT), Some(AGENT)).expect("owner");
    host.environment.push(("CREDENTIALS_DIRECTORY", folder));
    host.start_agent();
    let (line, _) = access(&host);
    assert!(
        line.what["access_key"]
            .as_str()
            .is_some_and(|p| p.starts_with("kid_202611:"))
    );
}

#[test]
fn a_pepper_comes_from_secrets_manager() {
    let aws = Aws::shared().expect("the emulator");
    let world = World::new().expect("an account");
    let arn = world.make_secret("pepper", &pepper(4)).expect("a secret");
    let table = |arn: &str| {
        format!(
            "kid = 'kid_202611'\nrequired = true\nsecret = {{ arn = '{arn}', key_file = 'reader.json', endpoint = 'http://{}' }}",
            aws.address()
        )
    };
    let mut host = host(&table(&arn));
    let key = serde_json::json!({ "AccessKey": {
        "UserName": "audit-writer", "AccessKeyId": world.account(), "Status": "Active",
        "SecretAccessKey": "not-checked", "CreateDate": "2026-01-06T10:00:00Z"
    }});
    keep(&host, "reader.json", &key.to_string());
    host.start_agent();
    let (line, value) = access(&host);
    let output = matching(&host, SOFIA, &[&line.seq.to_string()], &value);
    assert_eq!(json(&output)["fields"][0]["matches"], true);
    let print = line.what["access_key"].as_str().expect("text").to_owned();
    host.stop_agent();

    // It is the secret's value and no other.
    keep(&host, "pepper", &pepper(4));
    let file = host.path("pepper");
    let arguments = [
        "--fingerprint",
        &print,
        "--purpose",
        "access-key",
        "--pepper",
        file.to_str().expect("text"),
    ];
    assert_eq!(
        matching(&host, AGENT, &arguments, &value).status.code(),
        Some(0)
    );

    configure(&host, &table(&arn.replace("pepper", "absent")));
    let output = host.command().output().expect("it ends");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2)
            && log.contains("PEPPER_REQUIRED_BUT_NOT_SET: kid_202611: "),
        "{log}"
    );
}
