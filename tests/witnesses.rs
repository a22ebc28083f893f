//! Programs that nobody here wrote open a vault, and use a session.

use std::{fs, path::Path, path::PathBuf, process::Command};

use serde_json::Value;
use twotap_rig::{
    Credentials, Site, Terminal,
    site::{CUSTODIANS, Options, PIN},
    tools,
};

/// The current generation's folder in the worker's state.
fn current(site: &Site) -> PathBuf {
    let vault = site.stage().home("worker").join("state/vaults/prod");
    vault.join(fs::read_link(vault.join("current")).expect("a current generation"))
}

/// Promise 9: two YubiKeys with stock `age`, `age-plugin-yubikey` and any SLIP-39 tool are enough.
#[test]
fn stock_tools_and_two_tokens_open_the_vault() {
    let site = Site::ready(Options::default()).expect("a site");
    let generation = current(&site);
    let mnemonics: Vec<String> = CUSTODIANS
        .iter()
        .map(|(name, serial, _)| open_share(&site, &generation, name, *serial))
        .collect();
    let words = mnemonics.iter().map(String::as_str);
    let hex = tools::shamir_recover(site.stage().path(), words, None).expect("a secret");
    let identity = age_key(&hex);
    let credential = open_vault(&site, &generation, &identity);

    // It is the key that is sealed, and it works.
    let key = &credential["AccessKey"];
    let field = |name: &str| key[name].as_str().expect("a field").to_owned();
    let credentials = Credentials {
        access_key_id: field("AccessKeyId"),
        secret_access_key: field("SecretAccessKey"),
        session_token: None,
    };
    assert_eq!(field("UserName"), "break-glass");
    assert!(site.world().key_works(&credentials).expect("an answer"));
}

/// The AWS CLI by a profile of its own, with nothing but `credential_process`.
#[test]
fn the_aws_cli_uses_the_session_in_a_profile_named_break_glass() {
    let site = Site::ready(Options::default()).expect("a site");
    let request = site
        .request("INC-7", "the witness wants to see")
        .expect("asked");
    for (name, ..) in CUSTODIANS {
        site.approve(name, &request).expect("approved");
    }
    site.wait_for_credentials(&request).expect("open");

    let config = format!(
        "[profile break-glass]\nregion = eu-central-1\ncredential_process = {} --agent {} credentials {}\n",
        site.program("twotap").display(),
        site.socket().display(),
        request.id,
    );
    let config = site
        .stage()
        .write("dana", "config", config.as_bytes(), 0o600)
        .expect("written");
    let aws = |call: &[&str]| {
        let endpoint = site.world().endpoint();
        let mut args = vec!["--profile", "break-glass", "--endpoint-url", &endpoint];
        args.extend(call);
        site.run("dana", tools::script("aws").expect("the AWS CLI"), &args)
            .expect("dana")
            .env("AWS_CONFIG_FILE", &config)
            .go()
            .expect("it ends")
    };
    let who = aws(&["sts", "get-caller-identity"]);
    assert!(
        who.stdout.contains(":assumed-role/op-admin/dana"),
        "{who:?}"
    );
    let allowed = aws(&["ec2", "describe-regions"]);
    assert_eq!(allowed.status, Some(0), "{allowed:?}");
    let refused = aws(&["iam", "list-users"]);
    assert_ne!(refused.status, Some(0));
    assert!(refused.stderr.contains("AccessDenied"), "{refused:?}");
}

/// `age -d` with the plugin and the custodian's token, PIN typed, touched once.
fn open_share(site: &Site, generation: &Path, name: &str, serial: u32) -> String {
    let plugin = tools::program("age-plugin-yubikey").expect("the plugin");
    let serial = serial.to_string();
    // 83, where the unseal key is, is the plugin's slot 2.
    let identity = site
        .run(
            name,
            plugin.clone(),
            &["--identity", "--serial", &serial, "--slot", "2"],
        )
        .expect("a custodian")
        .ok()
        .expect("the plugin knows the unseal key")
        .stdout;
    let stage = site.stage();
    let share = fs::read(generation.join(format!("shares/{name}.age"))).expect("a share");
    let identity = stage
        .write(name, "identity", identity.as_bytes(), 0o600)
        .expect("written");
    let share = stage
        .write(name, "share.age", &share, 0o600)
        .expect("written");
    let opened = stage.home(name).join("share.txt");
    let arg = |path: &Path| path.display().to_string();

    site.tap(name, 1).expect("a finger");
    let path = format!(
        "{}:{}",
        plugin.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let age = site
        .run(
            name,
            "age".into(),
            &[
                "-d",
                "-i",
                &arg(&identity),
                "-o",
                &arg(&opened),
                &arg(&share),
            ],
        )
        .expect("a custodian")
        .env("PATH", path)
        .env("TERM", "dumb");
    let mut terminal = Terminal::of(age).expect("a terminal");
    terminal.secret("PIN", PIN);
    terminal.done();
    fs::read_to_string(opened).expect("the share opened")
}

/// The seven lines of Python.
fn age_key(hex: &str) -> String {
    use std::io::Write as _;
    let mut python = Command::new(tools::python().expect("python"))
        .args(["-c", twotap::vault::AGE_KEY_PY])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python starts");
    python
        .stdin
        .take()
        .expect("its input")
        .write_all(hex.as_bytes())
        .expect("written");
    let output = python.wait_with_output().expect("python ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

/// `age -d -i key vault.age`.
fn open_vault(site: &Site, generation: &Path, identity: &str) -> Value {
    let key = site
        .stage()
        .write("sofia", "key.txt", identity.as_bytes(), 0o600)
        .expect("written");
    let vault = fs::read(generation.join("vault.age")).expect("vault.age");
    let vault = site
        .stage()
        .write("sofia", "vault.age", &vault, 0o600)
        .expect("written");
    let opened = site
        .run(
            "sofia",
            "age".into(),
            &[
                "-d",
                "-i",
                &key.display().to_string(),
                &vault.display().to_string(),
            ],
        )
        .expect("sofia")
        .ok()
        .expect("age opens it");
    serde_json::from_str(&opened.stdout).expect("what create-access-key prints")
}
