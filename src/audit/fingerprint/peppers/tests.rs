use std::os::unix::fs::PermissionsExt as _;

use data_encoding::BASE64;

use super::*;

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn put(&self, name: &str, byte: u8, mode: u32) {
        let path = self.folder.path().join(name);
        fs::write(&path, BASE64.encode(&[byte; 32]) + "\n").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    }

    fn open(&self, text: &str) -> Result<Peppers, PepperError> {
        let table: FingerprintTable = toml::from_str(text).expect("a table");
        table.open(Surroundings {
            folder: self.folder.path(),
            state: self.folder.path(),
            credentials: Some(self.folder.path()),
        })
    }

    fn refused(&self, text: &str) -> String {
        self.open(text)
            .map_or_else(|why| why.to_string(), |_| "nothing".to_owned())
    }
}

fn good(opened: Result<Peppers, PepperError>) -> Peppers {
    opened.unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn without_a_table_the_host_has_a_pepper_of_its_own() {
    let host = Host::new();
    let peppers = good(host.open(""));
    assert_eq!((peppers.kid(), peppers.missing()), ("kid_dev", None));
    let before = peppers.fingerprint("subject", b"u-1");

    // And what was written with it stays checkable once another is named.
    host.put("pepper", 7, 0o600);
    let peppers = good(host.open("kid = 'kid_202611'\nfile = 'pepper'"));
    assert_eq!(peppers.kid(), "kid_202611");
    assert_eq!(peppers.matches(&before, "subject", b"u-1"), Ok(true));
    assert_eq!(peppers.matches(&before, "subject", b"u-2"), Ok(false));
}

#[test]
fn an_archived_pepper_keeps_old_fingerprints_checkable() {
    let host = Host::new();
    host.put("old", 1, 0o600);
    host.put("new", 2, 0o440);
    let old = good(host.open("kid = 'kid_202601'\nfile = 'old'\nrequired = true"));
    let made = old.fingerprint("access-key", b"AKIAEXAMPLE");
    let rotated = "kid = 'kid_202611'\ncredential = 'new'\nrequired = true\n";
    let without = good(host.open(rotated));
    assert_eq!(
        without.matches(&made, "access-key", b"AKIAEXAMPLE"),
        Err("no pepper kid_202601 is configured".to_owned())
    );
    let with = good(host.open(&format!("{rotated}[archived.kid_202601]\nfile = 'old'")));
    assert_eq!(with.matches(&made, "access-key", b"AKIAEXAMPLE"), Ok(true));
    assert_eq!(with.matches(&made, "subject", b"AKIAEXAMPLE"), Ok(false));
    assert_eq!(
        with.fingerprint("access-key", b"AKIAEXAMPLE").kid(),
        "kid_202611"
    );
}

#[test]
fn a_required_pepper_that_is_not_there_refuses_by_name() {
    let host = Host::new();
    host.put("open", 1, 0o644);
    fs::write(host.folder.path().join("short"), "AAAA").expect("written");
    fs::set_permissions(
        host.folder.path().join("short"),
        fs::Permissions::from_mode(0o600),
    )
    .expect("mode");
    for (text, said) in [
        ("required = true", "names no pepper"),
        (
            "required = true\nkid = 'kid_202611'\nfile = 'absent'",
            "absent: No such file",
        ),
        (
            "required = true\nkid = 'kid_202611'\ncredential = 'absent'",
            "absent: No such file",
        ),
        (
            "required = true\nkid = 'kid_202611'\nfile = 'open'",
            "others than its owner",
        ),
        (
            "required = true\nkid = 'kid_202611'\nfile = 'short'",
            "not 32 bytes in base64",
        ),
    ] {
        let refused = host.refused(text);
        assert!(
            refused.starts_with("PEPPER_REQUIRED_BUT_NOT_SET: ") && refused.contains(said),
            "{refused}"
        );
        // Where it is not required, an emergency is not held up by it.
        if let Some(rest) = text.strip_prefix("required = true\n") {
            let peppers = good(host.open(rest));
            assert_eq!(peppers.kid(), "kid_dev");
            assert!(peppers.missing().is_some_and(|m| m.contains("kid_202611")));
        }
    }
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    let host = Host::new();
    host.put("pepper", 1, 0o600);
    for (text, said) in [
        ("kid = 'kid_202611'", "fingerprints.kid: no pepper is named"),
        (
            "file = 'pepper'",
            "fingerprints.kid: the pepper that is named needs one",
        ),
        (
            "kid = 'kid_dev'\nfile = 'pepper'",
            "fingerprints.kid: it is written kid_YYYYMM",
        ),
        (
            "kid = 'kid_202613'\nfile = 'pepper'",
            "fingerprints.kid: it is written kid_YYYYMM",
        ),
        (
            "kid = 'kid_202611'\nfile = 'pepper'\ncredential = 'pepper'",
            "fingerprints: one of file, credential and secret",
        ),
        (
            "kid = 'kid_202611'\ncredential = '../pepper'",
            "fingerprints: a credential is named without a path",
        ),
        (
            "kid = 'kid_202611'\nfile = 'pepper'\n[archived.kid_202611]\nfile = 'pepper'",
            "fingerprints.archived.kid_202611: ",
        ),
        (
            "[archived.kid_202601]",
            "fingerprints.archived.kid_202601: it names no pepper",
        ),
    ] {
        let refused = host.refused(text);
        assert!(refused.starts_with(said), "{refused}");
    }
}
