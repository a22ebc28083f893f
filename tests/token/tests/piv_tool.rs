//! Debian's yubico-piv-tool accepts the token. Its version 2.2 knows triple DES alone, so the
//! token here is a 5.4.3.

mod common;

use common::{FACTORY_KEY, Rig, fail};

/// Generates a key with the tool and has ykman certify it: with OpenSSL 3 the tool's own signing
/// of certificates fails before it sends an APDU (Yubico/yubico-piv-tool issue 388).
fn generate(rig: &Rig, slot: &str) {
    rig.piv_tool(&[
        "-s",
        slot,
        "-A",
        "ECCP256",
        "-a",
        "generate",
        "-o",
        "public.pem",
    ]);
    let certify = [
        "piv",
        "certificates",
        "generate",
        "--management-key",
        FACTORY_KEY,
    ];
    rig.ykman(
        &[
            &certify[..],
            &["-P", "123456", "-s", "CN=bob", slot, "public.pem"],
        ]
        .concat(),
    );
    rig.ykman(&["piv", "certificates", "export", slot, "certificate.pem"]);
}

#[test]
fn it_stores_a_certificate_and_checks_a_signature_against_it() {
    let rig = Rig::new("5.4.3");
    let out = rig.piv_tool(&["-a", "status"]);
    for line in ["5.4.3", "1001", "PIN tries left:\t3"] {
        assert!(out.contains(line), "{line} in {out}");
    }
    generate(&rig, "9c");
    rig.piv_tool(&[
        "-s",
        "9c",
        "-a",
        "import-certificate",
        "-i",
        "certificate.pem",
    ]);
    let out = rig.piv_tool(&["-a", "status"]);
    assert!(out.contains("CN=bob"), "{out}");
    rig.control().mark().expect("a mark");
    let test = [
        "-s",
        "9c",
        "-a",
        "verify-pin",
        "-P",
        "123456",
        "-a",
        "test-signature",
    ];
    rig.piv_tool(&[&test[..], &["-i", "certificate.pem"]].concat());
    let apdus = rig.control().status().expect("status").apdus_since_mark;
    assert_eq!(apdus.by_ins["87"], 1, "{apdus:?}");
}

#[test]
fn it_agrees_on_a_key_by_ecdh() {
    let rig = Rig::new("5.4.3");
    generate(&rig, "9d");
    // The tool makes a key of its own and compares both sides' secrets.
    let test = [
        "-s",
        "9d",
        "-a",
        "verify-pin",
        "-P",
        "123456",
        "-a",
        "test-decipher",
    ];
    rig.piv_tool(&[&test[..], &["-i", "certificate.pem"]].concat());
}

#[test]
fn it_attests_and_reads_large_objects() {
    let rig = Rig::new("5.4.3");
    rig.piv_tool(&[
        "-s",
        "82",
        "-A",
        "ECCP256",
        "-a",
        "generate",
        "-o",
        "public.pem",
    ]);
    let out = rig.piv_tool(&["-s", "82", "-a", "attest"]);
    assert!(out.contains("BEGIN CERTIFICATE"), "{out}");
    let out = rig.piv_tool(&["-s", "f9", "-a", "read-certificate"]);
    assert!(out.contains("BEGIN CERTIFICATE"), "{out}");
}

#[test]
fn it_manages_pin_puk_and_management_key() {
    let rig = Rig::new("5.4.3");
    rig.piv_tool(&["-a", "change-pin", "-P", "123456", "-N", "654321"]);
    rig.piv_tool(&["-a", "change-puk", "-P", "12345678", "-N", "87654321"]);
    rig.piv_tool(&["-a", "unblock-pin", "-P", "87654321", "-N", "246810"]);
    rig.piv_tool(&["-a", "verify-pin", "-P", "246810"]);
    let new = "0123456789abcdef".repeat(3);
    rig.piv_tool(&[
        "-a",
        "set-mgm-key",
        &format!("--key={FACTORY_KEY}"),
        "-n",
        &new,
    ]);
    rig.piv_tool(&[&format!("--key={new}"), "-a", "set-chuid"]);
    let mut old = rig.client("yubico-piv-tool");
    old.args(["--reader", common::READER, "-a", "set-chuid"]);
    let err = fail(old);
    assert!(err.contains("authentication"), "{err}");
}
