//! What programs that nobody here wrote say of a token that was enrolled here.
//!
//! `TWOTAP_TOOLS` names the folder with `venv/bin/ykman` and `bin/age-plugin-yubikey`; `cargo xtask test` installs
//! them and sets it.

use crate::bench::{Bench, PATIENT, isolated, pin};
use std::path::PathBuf;
use std::process::Command;
use twotap::token::{ManagementAlgorithm, Slot, TouchPolicy, identity, recipient};

const READER: &str = "Yubico YubiKey OTP+FIDO+CCID 00 00";

/// Runs `program`, which has to succeed, with a home of its own; what it printed.
fn run(bench: &Bench, program: &str, args: &[&str]) -> String {
    let tools = std::env::var_os("TWOTAP_TOOLS").map(PathBuf::from);
    let tools = tools.expect("TWOTAP_TOOLS is set by `cargo xtask test`");
    // ykman kills other people's scdaemon when a reader is busy. Not here.
    let bin = bench.folder().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let pkill = bin.join("pkill");
    let _ = std::fs::remove_file(&pkill);
    std::os::unix::fs::symlink("/bin/false", &pkill).unwrap();
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("timeout")
        .arg("60")
        .arg(tools.join(program))
        .args(args)
        .env("PATH", path)
        .env("HOME", bench.folder())
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} failed: {text}");
    text
}

#[test]
fn ykman_finds_the_stored_management_key() {
    isolated(
        "witnesses::ykman_finds_the_stored_management_key",
        |bench| {
            let plugged = bench.insert(1001, "5.7.4");
            for (algorithm, name) in [
                (ManagementAlgorithm::Aes192, "AES192"),
                (ManagementAlgorithm::Aes256, "AES256"),
            ] {
                let mut token = plugged.open(PATIENT);
                let mut manage = token.manage(&pin(), None).ok().unwrap();
                manage.set_management_key(algorithm).unwrap();
                manage.finish().unwrap();
                drop(token);

                let ykman = |args: &[&str]| run(bench, "venv/bin/ykman", args);
                let info = ykman(&["--reader", READER, "piv", "info"]);
                assert!(info.contains(name), "{info}");
                assert!(
                    info.contains("stored on the YubiKey, protected by PIN"),
                    "{info}"
                );
                // With the PIN alone: only the stored key lets it write.
                let generate = [
                    "piv", "keys", "generate", "--pin", "123456", "-a", "ECCP256", "9a", "-",
                ];
                let key = ykman(&[&["--reader", READER][..], &generate].concat());
                assert!(key.contains("BEGIN PUBLIC KEY"), "{key}");
            }
        },
    );
}

#[test]
fn a_management_key_that_ykman_stored_is_found() {
    isolated(
        "witnesses::a_management_key_that_ykman_stored_is_found",
        |bench| {
            let plugged = bench.insert(1001, "5.7.4");
            let protect = [
                "piv",
                "access",
                "change-management-key",
                "--generate",
                "--protect",
            ];
            let factory = "010203040506070801020304050607080102030405060708";
            let known = ["--pin", "123456", "--management-key", factory, "--force"];
            let args = [&["--reader", READER][..], &protect, &known].concat();
            run(bench, "venv/bin/ykman", &args);
            let mut token = plugged.open(PATIENT);
            let manage = token.manage(&pin(), None).ok().unwrap();
            assert!(!manage.factory_management_key());
        },
    );
}

#[test]
fn age_plugin_yubikey_lists_the_unseal_key_as_its_own() {
    isolated(
        "witnesses::age_plugin_yubikey_lists_the_unseal_key_as_its_own",
        |bench| {
            for profile in ["5.7.4", "5.4.3"] {
                let plugged = bench.insert(1001, profile);
                let keys = plugged.enrol(TouchPolicy::Cached);
                let plugin = |args: &[&str]| run(bench, "bin/age-plugin-yubikey", args);

                // Only the unseal key is one of the plugin's own; 83 is its slot 2.
                let own = plugin(&["--list"]);
                assert!(own.contains(&recipient(&keys.unseal)), "{own}");
                assert!(!own.contains(&recipient(&keys.approve)), "{own}");
                let shown = plugin(&["--identity", "--serial", "1001", "--slot", "2"]);
                for expected in [
                    recipient(&keys.unseal),
                    identity(1001, Slot::UNSEAL, &keys.unseal),
                    "alice".to_owned(),
                    "PIN policy: Always".to_owned(),
                    "Touch policy: Cached".to_owned(),
                ] {
                    assert!(shown.contains(&expected), "{expected} in {shown}");
                }
                drop(plugged);
                std::fs::remove_file(bench.state(1001)).unwrap();
            }
        },
    );
}
