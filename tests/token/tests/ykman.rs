//! Yubico's own command line tool accepts the token and sees what is true of it.

mod common;

use common::{FACTORY_KEY, Rig, fail, succeed, tools};
use std::fs;

/// Generates a key in slot 82; the public key's file.
fn generate(rig: &Rig, pin: &str, touch: &str) {
    let args = [
        &["piv", "keys", "generate", "--algorithm", "ECCP256"][..],
        &["--pin-policy", pin, "--touch-policy", touch],
        &["--management-key", FACTORY_KEY, "82", "public.pem"],
    ];
    rig.ykman(&args.concat());
}

#[test]
fn it_lists_the_token_by_serial_and_version() {
    let rig = Rig::new("5.7.4");
    let mut list = rig.client(tools().join("venv/bin/ykman"));
    list.arg("list");
    let out = succeed(list);
    assert!(
        out.contains("(5.7.4)") && out.contains("Serial: 1001"),
        "{out}"
    );
    let mut info = rig.client(tools().join("venv/bin/ykman"));
    info.args(["--device", "1001", "info"]);
    let out = succeed(info);
    assert!(out.contains("Serial number: 1001"), "{out}");
    assert!(
        out.lines()
            .any(|l| l.starts_with("PIV") && l.contains("Enabled")),
        "{out}"
    );
}

#[test]
fn it_sees_each_profiles_management_key() {
    for (profile, algorithm) in [("5.7.4", "AES192"), ("5.4.3", "TDES")] {
        let out = Rig::new(profile).ykman(&["piv", "info"]);
        assert!(
            out.contains(&format!("PIV version:              {profile}")),
            "{out}"
        );
        assert!(
            out.contains(&format!("Management key algorithm: {algorithm}")),
            "{out}"
        );
        assert!(out.contains("PIN tries remaining:      3/3"), "{out}");
    }
}

#[test]
fn it_generates_a_key_and_reads_its_policies_back() {
    for profile in ["5.7.4", "5.4.3"] {
        let rig = Rig::new(profile);
        generate(&rig, "ALWAYS", "CACHED");
        let out = rig.ykman(&["piv", "keys", "info", "82"]);
        for line in ["ECCP256", "GENERATED", "ALWAYS", "CACHED"] {
            assert!(out.contains(line), "{line} in {out}");
        }
    }
}

#[test]
fn it_signs_a_certificate_with_pin_and_touch() {
    let rig = Rig::new("5.7.4");
    generate(&rig, "ALWAYS", "ALWAYS");
    rig.control().tap_when_asked(1).expect("a finger");
    let args = [
        "--management-key",
        FACTORY_KEY,
        "--pin",
        "123456",
        "--subject",
        "CN=alice",
    ];
    let generate = ["piv", "certificates", "generate"];
    rig.ykman(&[&generate[..], &args, &["82", "public.pem"]].concat());
    let out = rig.ykman(&["piv", "info"]);
    assert!(out.contains("CN=alice"), "{out}");
    assert_eq!(rig.control().status().expect("status").taps, 1);
}

#[test]
fn without_a_touch_it_gets_no_signature() {
    let rig = Rig::with(|_, options| options.touch_timeout_ms = Some(100));
    generate(&rig, "ALWAYS", "ALWAYS");
    let mut command = rig.client(tools().join("venv/bin/ykman"));
    command.args([
        "--reader",
        common::READER,
        "piv",
        "certificates",
        "generate",
    ]);
    command.args(["--management-key", FACTORY_KEY, "--pin", "123456"]);
    command.args(["--subject", "CN=alice", "82", "public.pem"]);
    let err = fail(command);
    assert!(err.contains("Touch"), "{err}");
    let out = rig.ykman(&["piv", "info"]);
    assert!(!out.contains("CN=alice"), "{out}");
}

#[test]
fn it_changes_pin_puk_and_management_key() {
    let rig = Rig::new("5.7.4");
    let access = |args: &[&str]| rig.ykman(&[&["piv", "access"], args].concat());
    access(&["change-pin", "--pin", "123456", "--new-pin", "654321"]);
    access(&["change-puk", "--puk", "12345678", "--new-puk", "87654321"]);
    access(&["unblock-pin", "--puk", "87654321", "--new-pin", "246810"]);
    let new = "aa".repeat(32);
    let key = ["--management-key", FACTORY_KEY, "--algorithm", "AES256"];
    access(
        &[
            &["change-management-key"],
            &key[..],
            &["--new-management-key", &new],
        ]
        .concat(),
    );
    let retries = [
        "set-retries",
        "--management-key",
        &new,
        "--pin",
        "246810",
        "--force",
        "5",
        "4",
    ];
    access(&retries);
    let out = rig.ykman(&["piv", "info"]);
    assert!(
        out.contains("AES256") && out.contains("5/5") && out.contains("4/4"),
        "{out}"
    );
}

#[test]
fn a_wrong_pin_costs_a_try_and_a_reset_needs_both_blocked() {
    let rig = Rig::new("5.7.4");
    let mut wrong = rig.client(tools().join("venv/bin/ykman"));
    wrong.args(["--reader", common::READER, "piv", "access", "change-pin"]);
    wrong.args(["--pin", "999999", "--new-pin", "654321"]);
    fail(wrong);
    let out = rig.ykman(&["piv", "info"]);
    assert!(out.contains("PIN tries remaining:      2/3"), "{out}");
    generate(&rig, "ONCE", "NEVER");
    // ykman blocks PIN and PUK by itself before it resets.
    rig.ykman(&["piv", "reset", "--force"]);
    let out = rig.ykman(&["piv", "info"]);
    assert!(out.contains("3/3") && !out.contains("Slot 82"), "{out}");
    rig.ykman(&["piv", "certificates", "export", "f9", "f9.pem"]);
    assert!(
        rig.path("f9.pem").exists(),
        "the attestation certificate outlives a reset"
    );
}

#[test]
fn an_imported_key_works_and_does_not_attest() {
    let rig = Rig::new("5.7.4");
    let script = "from cryptography.hazmat.primitives.asymmetric import ec\n\
                  from cryptography.hazmat.primitives.serialization import *\n\
                  k = ec.generate_private_key(ec.SECP256R1())\n\
                  print(k.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())";
    fs::write(rig.path("key.pem"), rig.python(script, &[])).expect("written");
    let import = [
        "piv",
        "keys",
        "import",
        "--management-key",
        FACTORY_KEY,
        "83",
        "key.pem",
    ];
    rig.ykman(&import);
    assert!(
        rig.ykman(&["piv", "keys", "info", "83"])
            .contains("IMPORTED")
    );
    let mut attest = rig.client(tools().join("venv/bin/ykman"));
    attest.args([
        "--reader",
        common::READER,
        "piv",
        "keys",
        "attest",
        "83",
        "a.pem",
    ]);
    fail(attest);
}

#[test]
fn moving_and_deleting_a_key_is_for_firmware_5_7() {
    let rig = Rig::new("5.7.4");
    generate(&rig, "ALWAYS", "ALWAYS");
    let key = ["--management-key", FACTORY_KEY];
    rig.ykman(&[&["piv", "keys", "move"], &key[..], &["82", "95"]].concat());
    assert!(
        rig.ykman(&["piv", "keys", "info", "95"])
            .contains("ECCP256")
    );
    rig.ykman(&[&["piv", "keys", "delete"], &key[..], &["95"]].concat());
    assert!(!rig.ykman(&["piv", "info"]).contains("Slot 95"));
}

#[test]
fn the_attestation_verifies_up_to_the_root_of_its_kind() {
    for (profile, root, intermediates) in [
        (
            "5.7.4",
            "root.pem",
            &["intermediate.pem", "piv-intermediate.pem"][..],
        ),
        ("5.4.3", "legacy-root.pem", &[]),
    ] {
        let rig = Rig::new(profile);
        generate(&rig, "ALWAYS", "CACHED");
        rig.ykman(&["piv", "keys", "attest", "82", "statement.pem"]);
        rig.ykman(&["piv", "certificates", "export", "f9", "f9.pem"]);
        let pki = |name: &&str| rig.path("pki").join(name).display().to_string();
        let mut chain = vec![pki(&root)];
        chain.extend(intermediates.iter().map(pki));
        chain.extend(["f9.pem".into(), "statement.pem".into(), "public.pem".into()]);
        let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
        let out = rig.python(include_str!("common/chain.py"), &chain);
        // Firmware, serial 1001 as an INTEGER, PIN always and touch cached, USB-C keychain.
        let version = profile
            .replace('.', "")
            .bytes()
            .fold(String::new(), |mut s, digit| {
                s.push_str(&format!("{:02x}", digit - b'0'));
                s
            });
        let expected = format!("3={version}\n7=020203e9\n8=0303\n9=03\n");
        assert_eq!(out, expected, "{profile}");
    }
}
