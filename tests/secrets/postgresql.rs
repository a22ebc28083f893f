//! The setter that ships for PostgreSQL, against a real server.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use twotap_rig::{postgres::Postgres, tools};

use crate::{
    closing::{by_setter, close, names, open, setter_toml},
    support::Bench,
};

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/setters/postgresql")
}

fn secret(server: &Postgres, host: &str, role: &str, password: &str) -> Value {
    json!({
        "engine": "postgres", "host": host, "port": server.port(), "dbname": "postgres",
        "username": role, "password": password,
    })
}

/// Runs the program as the helper would: exit code and answer.
fn run(action: &str, old: &Value, new: &Value) -> (i32, String) {
    let mut child = Command::new("setsid")
        .arg("--wait")
        .arg(program())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let ask = json!({"action": action, "secret": old, "new": new}).to_string();
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(ask.as_bytes()).expect("it reads");
    drop(stdin);
    let done = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let error = said["error"].as_str().unwrap_or_default().to_owned();
    (done.status.code().expect("a code"), error)
}

#[test]
fn a_password_is_changed_and_its_plain_text_reaches_no_log() {
    let server = &Postgres::start().expect("a server");
    for (role, old, new) in [
        ("app", "an old password", "Next-password_1"),
        (
            "Robert'); DROP ROLE admin;--",
            "o\\l:d'\"",
            "n\\e:w'\"$x`id`",
        ),
        ("rôle \"with\" quotes", "alt ohne Umlaut", "n%20eu=@~+#"),
        ("-W", "--help", "--version"),
    ] {
        server.make_role(role, old).expect("a role");
        let (host, socket) = ("127.0.0.1", server.socket().display().to_string());
        let (before, after) = (
            secret(server, host, role, old),
            secret(server, host, role, new),
        );
        assert_eq!(
            run("test", &before, &after).0,
            1,
            "{role}: it is not set yet"
        );
        assert_eq!(run("set", &before, &after), (0, String::new()), "{role}");
        assert!(
            !server.logs_in(role, old).expect("an answer"),
            "{role}: the old one works"
        );
        assert!(
            server.logs_in(role, new).expect("an answer"),
            "{role}: the new one does not"
        );
        assert_eq!(run("test", &before, &after), (0, String::new()), "{role}");
        // Once more is the same, and so is the socket.
        assert_eq!(run("set", &before, &after), (0, String::new()), "{role}");
        let (before, after) = (
            secret(server, &socket, role, old),
            secret(server, &socket, role, new),
        );
        assert_eq!(run("test", &before, &after), (0, String::new()), "{role}");
        assert!(server.log().contains("ALTER USER"));
        assert!(!server.log().contains(new), "{role}: plain text in the log");
    }
    assert!(server.log().contains("SCRAM-SHA-256$"));
}

#[test]
fn with_a_wrong_password_nothing_is_changed() {
    let server = &Postgres::start().expect("a server");
    server.make_role("kept", "the right one").expect("a role");
    let here = |password: &str| secret(server, "127.0.0.1", "kept", password);
    let (code, why) = run("set", &here("a wrong one"), &here("the next one"));
    assert_eq!(
        (code, why.as_str()),
        (1, "the current password is refused, and so is the new one")
    );
    assert!(server.logs_in("kept", "the right one").expect("an answer"));
    let altered = server
        .log()
        .lines()
        .filter(|l| l.contains("ALTER USER kept"))
        .count();
    assert_eq!(altered, 0);
    for password in ["a\nb", "a\u{7f}", ""] {
        let (code, why) = run("set", &here("the right one"), &here(password));
        assert_eq!(code, 1, "{why}");
    }
    let elsewhere = secret(server, "127.0.0.1", "app", "the next one");
    let (code, why) = run("set", &here("the right one"), &elsewhere);
    assert_eq!(
        (code, why.as_str()),
        (1, "the two versions are not for one role on one server")
    );
    assert_eq!(
        run("drop", &here("the right one"), &here("the next one")).0,
        1
    );
    assert!(server.logs_in("kept", "the right one").expect("an answer"));
}

#[test]
fn what_cannot_be_told_is_not_told() {
    let server = &Postgres::start().expect("a server");
    // Nobody there.
    let mut nowhere = secret(server, "127.0.0.1", "app", "x");
    nowhere["port"] = 1.into();
    for action in ["set", "test"] {
        let (code, why) = run(action, &nowhere, &nowhere);
        assert_eq!(code, 2, "{why}");
        assert!(why.starts_with("the server cannot be reached"), "{why}");
    }
    // Elsewhere the server's name is verified: this one has no certificate at all.
    let mut verified = secret(server, "127.0.0.1", "app", "x");
    verified["sslmode"] = "verify-full".into();
    let (code, why) = run("set", &verified, &verified);
    assert_eq!(code, 2);
    assert!(why.contains("SSL"), "{why}");

    // A server that lets everybody in proves nothing about a password.
    let open = &Postgres::start().expect("a server");
    open.make_role("anybody", "the right one").expect("a role");
    open.trust_everybody().expect("configured");
    let here = secret(open, "127.0.0.1", "anybody", "never set");
    let (code, why) = run("test", &here, &here);
    assert_eq!(code, 2);
    assert!(why.contains("lets this role in with any password"), "{why}");
}

/// All of it together: a session is closed, and the role's password is another one.
#[test]
fn closing_changes_a_roles_password() {
    let server = &Postgres::start().expect("a server");
    server.make_role("payments", "the old one").expect("a role");
    let mut arn = String::new();
    let bench = Bench::with_secrets(|world, folder| {
        let value = secret(server, "127.0.0.1", "payments", "the old one").to_string();
        arn = world.make_secret("payments", &value).expect("a secret");
        // A checkout need not belong to root; a setter has to.
        let installed = folder.join("postgresql");
        tools::install(&program(), &installed).expect("installed");
        let named = by_setter(world, &arn, "postgresql", true);
        (vec![named], setter_toml("postgresql", &installed, 30))
    });
    let session = open(&bench);
    let (entries, end) = close(&bench, &session.request);
    end.expect("closed");
    assert_eq!(names(&entries, &arn).last(), Some(&"secret_rotated"));
    let value = bench
        .world
        .secret_value(&arn, "AWSCURRENT")
        .expect("a value");
    let value: Value = serde_json::from_str(&value).expect("JSON");
    let new = value["password"].as_str().expect("a password");
    assert!(
        !server
            .logs_in("payments", "the old one")
            .expect("an answer")
    );
    assert!(server.logs_in("payments", new).expect("an answer"));
    assert!(!server.log().contains(new));
}
