use super::*;

fn open(table: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["key", "hosts", "open"] {
        std::fs::write(path(name), "x").unwrap();
        let mode = if name == "open" { 0o644 } else { 0o600 };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path(name), mode).unwrap();
    }
    let config: GitConfig = toml::from_str(table).map_err(|why| why.to_string())?;
    let at = Opening {
        name: "evidence",
        folder: dir.path(),
        state: dir.path(),
        host: "bg-1",
    };
    config.open(&at).map(|_| ()).map_err(|why| why.to_string())
}

#[test]
fn good_settings_open() {
    for table in [
        "",
        "remote = '/srv/x.git'",
        "remote = 'ssh://git@git.example/x'\nssh_key = 'key'\nknown_hosts = 'hosts'\nsigning_key = 'key'",
        "remote = 'https://git.example/x'\ncredentials_file = 'key'\nca_file = 'hosts'",
        "branch = 'evidence/other'\nfolder = 'x.git'",
    ] {
        assert_eq!(open(table), Ok(()), "{table}");
    }
}

#[test]
fn bad_settings_are_refused_by_the_key() {
    for (table, key) in [
        ("remote = 'ext::sh -c x'", "remote: "),
        ("remote = 'https://dana:pw@git.example/x'", "remote: "),
        (
            "remote = 'ssh://git@git.example/x'\nknown_hosts = 'hosts'",
            "ssh_key: ",
        ),
        (
            "remote = 'ssh://git@git.example/x'\nssh_key = 'key'",
            "known_hosts: ",
        ),
        (
            "remote = 'ssh://git@git.example/x'\nssh_key = 'a b'\nknown_hosts = 'hosts'",
            "ssh_key: ",
        ),
        (
            "remote = 'https://git.example/x'\ncredentials_file = 'open'",
            "credentials_file: ",
        ),
        (
            "remote = 'https://git.example/x'\nssh_key = 'key'",
            "ssh_key: ",
        ),
        (
            "remote = '/srv/x.git'\ncredentials_file = 'key'",
            "credentials_file: ",
        ),
        ("remote = '/srv/x.git'\nssh_key = 'key'", "ssh_key: "),
        (
            "remote = 'file:///srv/x.git'\nknown_hosts = 'hosts'",
            "known_hosts: ",
        ),
        ("remote = '/srv/x.git'\nca_file = 'hosts'", "ca_file: "),
        ("ssh_key = 'key'", "ssh_key: "),
        ("signing_key = 'open'", "signing_key: "),
        ("signing_key = 'gone'", "signing_key: "),
        ("branch = 'main/../x'", "branch: "),
        ("branch = 'evidence/'", "branch: "),
    ] {
        let why = open(table).expect_err(table);
        assert!(why.starts_with(key), "{table}: {why}");
    }
    assert!(open("colour = 1").is_err());
}
