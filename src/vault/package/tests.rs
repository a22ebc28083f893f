use rand_core::OsRng;
use twotap_shares::{Scheme, Secret, split};

use super::*;

fn share() -> Mnemonic {
    let secret = Secret::new(&[7; 32]).expect("a secret");
    let groups = split(&secret, b"", &Scheme::single(2, 2), &mut OsRng).expect("split");
    groups.into_iter().flatten().next().expect("a share")
}

fn binding(request: &[u8], manifest: &[u8]) -> ShareBinding {
    ShareBinding {
        request_sha256: Digest::of(request),
        manifest_sha256: Digest::of(manifest),
    }
}

#[test]
fn a_share_arrives_for_the_request_that_it_was_released_for() {
    let key = OneTime::generate();
    let share = share();
    let sent = binding(b"request", b"manifest");
    let file = seal_share(&key.recipient(), &sent, &share).expect("sealed");
    let arrived = open_share(&key, &file, &sent).expect("opened");
    assert_eq!(arrived.expose(), share.expose());

    let what = |expected: &ShareBinding| match open_share(&key, &file, expected) {
        Err(VaultError::OtherRequest { what }) => what,
        other => panic!("expected a refusal, not {:?}", other.err()),
    };
    assert_eq!(what(&binding(b"another", b"manifest")), "request");
    assert_eq!(what(&binding(b"request", b"another")), "manifest");

    let other = OneTime::generate();
    assert!(matches!(
        open_share(&other, &file, &sent),
        Err(VaultError::NotForThisKey { .. })
    ));
    for at in 0..file.len() {
        let mut forged = file.clone();
        forged[at] ^= 1;
        assert!(open_share(&key, &forged, &sent).is_err(), "byte {at}");
    }
}

#[test]
fn the_plaintext_is_one_line_of_json() {
    let share = share();
    let sent = binding(b"request", b"manifest");
    let json = to_json(&sent, &share);
    assert_eq!(json.iter().filter(|&&b| b == b'\n').count(), 1);
    let read: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(read["share"], share.expose());
    assert_eq!(read["request_sha256"], sent.request_sha256.to_string());
    assert_eq!(read["manifest_sha256"], sent.manifest_sha256.to_string());
}

#[test]
fn anything_else_is_refused_without_quoting_it() {
    let share = share();
    let sent = binding(b"request", b"manifest");
    let good = String::from_utf8(to_json(&sent, &share).to_vec()).expect("text");
    let words = share.expose();
    let first = words.split(' ').next().expect("a word");
    for (what, bad) in [
        (
            "a field too many",
            good.replacen('{', "{\"note\":\"x\",", 1),
        ),
        ("a field twice", good.replacen('{', "{\"share\":\"x\",", 1)),
        ("no share", good.replacen("\"share\"", "\"word\"", 1)),
        (
            "an escape",
            good.replacen(first, &format!("\\u0061{first}"), 1),
        ),
        ("a word missing", good.replacen(&format!("{first} "), "", 1)),
        ("a number", good.replacen(&format!("\"{words}\""), "7", 1)),
        (
            "a list",
            good.replacen(&format!("\"{words}\""), &format!("[\"{words}\"]"), 1),
        ),
        (
            "words for a digest",
            good.replacen(&sent.request_sha256.to_string(), words, 1),
        ),
        ("too large", format!("{good}{}", " ".repeat(MAX_PACKAGE))),
    ] {
        assert_ne!(bad, good, "{what}");
        let why = from_json(bad.as_bytes(), &sent)
            .err()
            .unwrap_or_else(|| panic!("{what} was taken"));
        let shown = format!("{why} {why:?}");
        let pair = words.split(' ').take(2).collect::<Vec<_>>().join(" ");
        assert!(!shown.contains(&pair), "{what}: {shown}");
    }
}

#[test]
fn only_a_worker_s_key_is_sealed_to() {
    let sent = binding(b"request", b"manifest");
    for bad in ["", "age1", "age1yubikey1qqqq", "AGE-SECRET-KEY-1QQQQ"] {
        assert!(seal_share(bad, &sent, &share()).is_err(), "{bad}");
    }
}
