//! Promise 3 for `recovery open`: once the vault is open, the person's program has forgotten sheets, passphrase and identity, and has
//! never met the key; the worker has the key alone, and forgets it with its process.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    process::Stdio,
    time::Duration,
};

use twotap::vault::{VaultIdentity, archive};
use twotap_rig::{
    Fault, Rule, When, World,
    memory::{Secrets, scan},
    proxy::Gate,
};
use twotap_shares::{Mnemonic, combine};

use crate::bench::{Machine, SECRET, Sheets, Vault};

const BOUND: Duration = Duration::from_secs(60);

/// What was found in a process, by name.
fn found(pid: u32, secrets: &Secrets) -> BTreeSet<String> {
    let scan = scan(pid, secrets).expect("readable, as root");
    assert!(scan.mappings.iter().any(|m| m == "[stack]"));
    scan.names().into_iter().map(str::to_owned).collect()
}

#[test]
fn while_a_session_is_minted_nothing_is_left_of_what_opened_the_vault() {
    let passphrase = "a passphrase that stands nowhere by chance";
    let sheets = Sheets::create(&["--shares", "3", "--threshold", "2"], Some(passphrase));
    let vault = Vault::new("prod", sheets.entry());
    let world = World::new().expect("an account");
    let gate = Gate::new();
    let hold = Fault::HoldRequest(gate.clone());
    world
        .proxy()
        .add(Rule::new("sts:AssumeRole", When::Always, hold));

    let mut secrets = Secrets::new();
    let mut note = |name: &str, secret: &[u8]| secrets.add(name, secret).expect("long enough");
    let mut quorum = Vec::new();
    for words in &sheets.words[..2] {
        note("a sheet", words.as_bytes());
        note("a sheet", words.to_uppercase().as_bytes());
        quorum.push(Mnemonic::parse(words).expect("a share"));
    }
    let secret = combine(&quorum, passphrase.as_bytes()).expect("a quorum");
    let identity = VaultIdentity::from_secret(&secret).expect("an identity");
    let text = identity.expose_text().expect("its text");
    note("the identity", identity.expose());
    note(
        "the identity's text",
        &text.as_bytes()["AGE-SECRET-KEY-1".len()..],
    );
    note("the passphrase", passphrase.as_bytes());
    note("the key", SECRET.as_bytes());

    let mut machine = Machine::new();
    machine.network = true;
    let bundle = machine.put(
        "prod.tar",
        &archive::write(&vault.bundle(1)).expect("written"),
    );
    let endpoint = world.endpoint();
    let role = "arn:aws:iam::123456789012:role/twotap/op-admin";
    let mut child = machine
        .command(&[
            "--json",
            "recovery",
            "open",
            "--bundle",
            &bundle,
            "--words-fd",
            "0",
            "--passphrase-fd",
            "0",
            "--mint",
            "--role",
            role,
            "--endpoint-url",
            &endpoint,
            "--to",
            "session.json",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let typed = format!("{}{passphrase}\n", sheets.lines(&[0, 1]));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(typed.as_bytes()).expect("written");
    drop(stdin);
    gate.wait_arrived(1, BOUND).expect("it is open");

    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let worker = fs::read_to_string(children).expect("listed");
    let worker: u32 = worker.trim().parse().expect("one worker");
    assert_eq!(
        found(child.id(), &secrets),
        BTreeSet::new(),
        "twotap recovery open"
    );
    // The control: what it must hold is found, and nothing else.
    let key = BTreeSet::from(["the key".to_owned()]);
    assert_eq!(found(worker, &secrets), key, "its worker");
    for pid in [child.id(), worker] {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).expect("readable");
        for public in [read("cmdline"), read("environ")] {
            assert!(secrets.look(&public, "public", 0).is_empty());
        }
    }
    gate.open();

    // That account does not know the key: nothing is left where the session was to go, and the record says what was done.
    let mut said = String::new();
    for stream in [
        child
            .stdout
            .take()
            .map(|s| Box::new(s) as Box<dyn std::io::Read>),
        child
            .stderr
            .take()
            .map(|s| Box::new(s) as Box<dyn std::io::Read>),
    ] {
        stream
            .expect("piped")
            .read_to_string(&mut said)
            .expect("text");
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(9), "{said}");
    assert!(said.contains("the vault was opened"), "{said}");
    assert!(secrets.look(said.as_bytes(), "what it said", 0).is_empty());
    assert_eq!(machine.files(), ["prod.recovery.json", "prod.tar"]);
    let record = fs::read(machine.file("prod.recovery.json")).expect("a record");
    assert!(secrets.look(&record, "the record", 0).is_empty());
}
