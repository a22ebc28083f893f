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

use agent_support::{AGENT, DANA, Host, SOFIA, paper::Paper, refused};
use data_encoding::BASE64;
use serde_json::Value;
use twotap::{audit::event::Record, protocol::socket::Credentials};
use twotap_rig::{Aws, World, tools};

/// Where nobody listens (tcpmux).
const NOBODY: &str = "127.0.0.1:1";

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
        (
            "required = true\nkid = 'kid_202611'\nfile = 'group'",
            "others than its owner can use it (chmod 600)",
        ),
        (
            "required = true\nkid = 'kid_202611'\nfile = 'foreign'",
            "foreign: Permission denied",
        ),
    ] {
        let host = host(table);
        for (name, mode, owner) in [("group", 0o640, AGENT), ("foreign", 0o600, 0)] {
            keep(&host, name, &pepper(9));
            let path = host.path(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
            chown(&path, Some(owner), None).expect("owner");
        }
        let output = refused(host.command().env_remove("CREDENTIALS_DIRECTORY"));
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(
            log.contains("PEPPER_REQUIRED_BUT_NOT_SET")
                && log.contains(said)
                && log.contains("hint: "),
            "{log}"
        );
        // Another pepper under an id that is in use would make older fingerprints wrong ones: only who has none is told to make one.
        assert_eq!(log.contains("make one"), said == "names no pepper", "{log}");
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
    assert_eq!(by_hand("pepper-1", "access_key"), Some(0));
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
    // As systemd hands it over: readable by an access list, which shows as the group's right; the folder's name in the environment.
    let shown = fs::Permissions::from_mode(0o440);
    fs::set_permissions(host.path("credentials/twotap-pepper"), shown).expect("mode");
    let output = refused(&mut host.command());
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
    let absent = arn.replace("pepper", "absent");
    let garbage = world.make_secret("text", "GARBAGE").expect("a secret");
    let table = |arn: &str| {
        format!(
            "kid = 'kid_202611'\nrequired = true\nsecret = {{ arn = '{arn}', key_file = 'reader.json', endpoint = 'http://{}' }}",
            aws.address()
        )
    };
    let mut host = host(&table(&arn));
    let iam = |action: &str, params: &[(&str, &str)]| {
        let reply = world.admin().query("iam", action, params).expect(action);
        reply.expect_ok(action).expect(action)
    };
    let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": [&arn, &garbage, &absent]
    }]});
    let policy = policy.to_string();
    iam("CreateUser", &[("UserName", "pepper-reader")]);
    iam(
        "PutUserPolicy",
        &[
            ("UserName", "pepper-reader"),
            ("PolicyName", "read"),
            ("PolicyDocument", &policy),
        ],
    );
    let made = iam("CreateAccessKey", &[("UserName", "pepper-reader")]);
    let made = made.credentials().expect("a key");
    let key = serde_json::json!({ "AccessKey": {
        "UserName": "pepper-reader", "AccessKeyId": made.access_key_id, "Status": "Active",
        "SecretAccessKey": made.secret_access_key, "CreateDate": "2026-01-06T10:00:00+00:00"
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

    // What can go wrong there is said by name, and nothing of what was read.
    let other = world
        .make_secret("other", &pepper(5))
        .expect("another secret");
    let cases = [
        (table(&absent), "ResourceNotFound"),
        (table(&other), "AccessDenied"),
        (table(&garbage), "not 32 bytes in base64"),
        (
            table(&arn).replace(&aws.address().to_string(), NOBODY),
            "could not be reached",
        ),
        (table(&arn).replace("reader.json", "open.json"), "open.json"),
        (table(&arn).replace("reader.json", "none.json"), "none.json"),
        (table("prod/pepper"), "'arn' is not that of a secret"),
    ];
    keep(&host, "open.json", &key.to_string());
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(host.path("open.json"), open).expect("mode");
    for (required, said) in &cases {
        configure(&host, required);
        let output = refused(&mut host.command());
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2)
                && log.contains("PEPPER_REQUIRED_BUT_NOT_SET: kid_202611: ")
                && log.contains(said)
                && log.contains("hint: "),
            "{said}: {log}"
        );
        assert!(!log.contains("GARBAGE") && !log.contains(&made.secret_access_key));
    }
    // Where it is not required an emergency goes on, with the host's own, and it shows.
    let (required, _) = &cases[1];
    configure(
        &host,
        &required.replace("required = true", "required = false"),
    );
    host.start_agent();
    let (line, _) = access(&host);
    let print = line.what["access_key"].as_str().unwrap_or_default();
    assert!(print.starts_with("kid_dev:"), "{print}");
    let degraded = host.status(SOFIA).degraded.join("\n");
    assert!(
        degraded.contains("kid_202611") && degraded.contains("AccessDenied"),
        "{degraded}"
    );
}
