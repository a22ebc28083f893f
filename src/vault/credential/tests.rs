use super::super::testing::PRINTED;
use super::*;
use crate::trust::access_key::MAX_DOCUMENT;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

#[test]
fn what_the_cli_prints_goes_through_byte_for_byte() {
    let key = AccessKey::parse(PRINTED.as_bytes()).expect("good");
    assert_eq!(key.id(), "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(key.user_name(), "break-glass");
    assert_eq!(key.expose_secret(), SECRET);
    assert_eq!(key.to_json().as_slice(), PRINTED.as_bytes());
}

#[test]
fn order_and_layout_do_not_matter() {
    let other = r#"{"AccessKey":{"SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","CreateDate":"2026-01-06T10:00:00+00:00",
        "UserName":"break-glass","Status":"Active","AccessKeyId":"AKIAIOSFODNN7EXAMPLE"}}"#;
    let key = AccessKey::parse(other.as_bytes()).expect("good");
    assert_eq!(key.to_json().as_slice(), PRINTED.as_bytes());
}

#[test]
fn parts_from_the_api_make_the_same_document() {
    let key = AccessKey::new(
        "break-glass",
        "AKIAIOSFODNN7EXAMPLE",
        Zeroizing::new(SECRET.to_owned()),
        "2026-01-06T10:00:00+00:00",
    )
    .expect("good");
    assert_eq!(key.to_json().as_slice(), PRINTED.as_bytes());
    assert!(bool::from(
        key.ct_eq(&AccessKey::parse(PRINTED.as_bytes()).expect("good"))
    ));
}

#[test]
fn anything_else_is_refused_without_quoting_it() {
    let change = |from: &str, to: &str| {
        assert!(PRINTED.contains(from));
        PRINTED.replacen(from, to, 1)
    };
    let bad = [
        ("nothing", String::new()),
        ("a list", format!("[{PRINTED}]")),
        ("two documents", format!("{PRINTED}{PRINTED}")),
        (
            "a list of keys",
            change("AccessKey\":", "AccessKeyMetadata\":"),
        ),
        ("inactive", change("Active", "Inactive")),
        (
            "a field missing",
            change("\"UserName\": \"break-glass\",", ""),
        ),
        (
            "a field too many",
            change("\"UserName\"", "\"Note\": \"x\", \"UserName\""),
        ),
        (
            "a field twice",
            change("\"UserName\"", "\"SecretAccessKey\": \"x\", \"UserName\""),
        ),
        ("an escape", change("/K7", "\\/K7")),
        ("a secret with a quote", change("/K7", "\\\"K7")),
        ("a secret with a space", change("/K7", " K7")),
        ("an empty secret", change(SECRET, "")),
        (
            "a number for the secret",
            change(&format!("\"{SECRET}\""), "12345678901234567890"),
        ),
        (
            "a list for the secret",
            change(&format!("\"{SECRET}\""), &format!("[\"{SECRET}\"]")),
        ),
        ("a secret for the status", change("Active", SECRET)),
        ("a short id", change("AKIAIOSFODNN7EXAMPLE", "AKIA")),
        (
            "an id with a path",
            change("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7/../X"),
        ),
        (
            "too large",
            format!("{PRINTED}{}", " ".repeat(MAX_DOCUMENT)),
        ),
    ];
    for (what, json) in bad {
        let why = AccessKey::parse(json.as_bytes())
            .err()
            .unwrap_or_else(|| panic!("{what} was taken"));
        let shown = format!("{why} {why:?} {:?}", why.hint());
        for start in 0..SECRET.len() - 8 {
            assert!(
                !shown.contains(&SECRET[start..start + 8]),
                "{what}: {shown}"
            );
        }
    }
    assert!(AccessKey::parse(b"\xff\xfe{\0\"\0").is_err());
}
