//! Stock `age` with stock `age-plugin-yubikey` 0.5.1 sets the token up and decrypts with it. The
//! plugin knows triple DES alone, so a 5.7.4 is given such a management key first.

mod common;

use common::{FACTORY_KEY, Rig, succeed, tools};
use std::fs;
use twotap_rig::Terminal;

/// Has the plugin make an identity as a person would; answers with `(identity file, recipient)`.
fn set_up(rig: &Rig) -> String {
    rig.control().tap_always().expect("a finger");
    let mut generate = rig.client(tools().join("bin/age-plugin-yubikey"));
    generate.args([
        "--generate",
        "--serial",
        "1001",
        "--slot",
        "1",
        "--name",
        "alice",
    ]);
    generate.args(["--pin-policy", "always", "--touch-policy", "always"]);
    let mut terminal = Terminal::owned(generate.env("TERM", "dumb")).expect("a terminal");
    for (question, secret) in [
        ("(default is 123456): ", "123456"),
        ("(default is 12345678): ", "12345678"),
        ("Choose a new PIN/PUK: ", "246810"),
        ("Repeat the PIN/PUK: ", "246810"),
        ("Enter PIN for YubiKey with serial 1001: ", "246810"),
    ] {
        terminal.secret(question, secret);
    }
    let shown = terminal.done();
    assert!(shown.contains("AGE-PLUGIN-YUBIKEY-"), "{shown}");
    rig.control().never().expect("no finger");

    let mut identity = rig.client(tools().join("bin/age-plugin-yubikey"));
    identity.args(["--identity", "--serial", "1001", "--slot", "1"]);
    let identity = succeed(identity);
    assert!(identity.contains("PIN policy: Always"), "{identity}");
    assert!(identity.contains("Touch policy: Always"), "{identity}");
    fs::write(rig.path("identity"), &identity).expect("written");
    let recipient = identity
        .split_whitespace()
        .find(|w| w.starts_with("age1yubikey1"));
    recipient.expect("a recipient").to_owned()
}

fn seal_and_open(rig: &Rig) {
    let recipient = set_up(rig);
    fs::write(rig.path("plain"), "break glass").expect("written");
    let mut seal = rig.client("age");
    seal.args(["--recipient", &recipient, "--output", "sealed", "plain"]);
    succeed(seal);

    let mut control = rig.control();
    control.mark().expect("a mark");
    control.tap_when_asked(1).expect("a finger");
    let mut open = rig.client("age");
    open.args([
        "--decrypt",
        "--identity",
        "identity",
        "--output",
        "opened",
        "sealed",
    ]);
    let mut terminal = Terminal::owned(open.env("TERM", "dumb")).expect("a terminal");
    terminal.secret("PIN", "246810");
    terminal.done();
    assert_eq!(
        fs::read_to_string(rig.path("opened")).expect("opened"),
        "break glass"
    );

    let status = control.status().expect("status");
    assert_eq!(status.taps_since_mark, 1);
    let apdus = status.apdus_since_mark;
    assert_eq!(
        (apdus.by_ins["20"], apdus.by_ins["87"]),
        (1, 1),
        "{apdus:?}"
    );
    // SELECT, version, serial, certificate in two parts, VERIFY, ECDH.
    assert_eq!(apdus.total, 7, "{apdus:?}");
}

#[test]
fn it_opens_a_file_with_an_older_token() {
    seal_and_open(&Rig::new("5.4.3"));
}

#[test]
fn it_opens_a_file_with_a_newer_token_whose_management_key_is_triple_des() {
    let rig = Rig::new("5.7.4");
    let change = [
        "piv",
        "access",
        "change-management-key",
        "--management-key",
        FACTORY_KEY,
    ];
    let to = ["--algorithm", "TDES", "--new-management-key", FACTORY_KEY];
    rig.ykman(&[&change[..], &to].concat());
    seal_and_open(&rig);
}
