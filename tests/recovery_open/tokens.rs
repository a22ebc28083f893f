//! Two custodians at one laptop that has never met the agent: a bundle, a card reader, no network.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use twotap::{
    trust::{
        Envelope,
        recovery::{How, Record, Took},
        roster::verify_chain,
    },
    vault::archive,
};
use twotap_rig::{
    Credentials, Site, Terminal,
    site::{CUSTODIANS, Options, PIN, session},
    tools, world,
};
use twotap_token::pcscd::{Pcscd, TokenOptions, TokenProcess};

use crate::bench::{Machine, Ran, arg};

/// A laptop with a reader or two.
struct Laptop {
    machine: Machine,
    pcscd: Pcscd,
    states: Vec<(u32, PathBuf)>,
    pki: PathBuf,
}

impl Laptop {
    /// The custodians have carried their tokens here, and a bundle.
    fn of(site: &Site, bundle: &[u8], readers: usize) -> Self {
        let mut machine = Machine::new();
        let pcscd = Pcscd::start(&machine.file("pcscd"), readers).expect("pcscd");
        machine.pcscd = Some(pcscd.socket());
        machine.put("prod.tar", bundle);
        let states = CUSTODIANS.map(|(name, serial, _)| (serial, site.token_state(name)));
        Self {
            machine,
            pcscd,
            states: states.into(),
            pki: site.stage().path().join("pki"),
        }
    }

    /// Puts a token in; a finger rests on it and touches whenever it is asked.
    fn insert(&self, which: usize) -> TokenProcess {
        let (serial, state) = &self.states[which];
        let folder = self.machine.file(&format!("token-{serial}"));
        fs::create_dir_all(&folder).expect("a folder");
        let program = tools::build_folder().expect("built").join("twotap-token");
        let mut options = TokenOptions::new(&program, &folder, *serial);
        if !options.state.exists() {
            fs::copy(state, &options.state).expect("the token itself");
        }
        options.profile = CUSTODIANS[which].2.to_owned();
        options.pki = self.pki.clone();
        options.control = folder.join("finger.sock");
        let mut token = self.pcscd.insert(&options).expect("inserted");
        token.await_power().expect("powered");
        token
            .control()
            .expect("a finger")
            .tap_always()
            .expect("it touches");
        token
    }

    fn open(&self, more: &[&str], pins: &str) -> Ran {
        let mut args = vec![
            "recovery", "open", "--bundle", "prod.tar", "--tokens", "--pin-fd", "0",
        ];
        args.extend(more);
        self.machine.run(&args, pins)
    }

    /// The record that a run left, believed as an agent would.
    fn record(&self, name: &str) -> Record {
        let bundle = archive::read(&fs::read(self.machine.file("prod.tar")).expect("there"));
        let chain = verify_chain(&bundle.expect("a bundle").bundle.roster_chain).expect("good");
        let envelope = fs::read(self.machine.file(name)).expect("a record");
        let envelope = Envelope::parse(&envelope).expect("one");
        Record::verify(&envelope, &chain[0])
            .expect("signed by both")
            .into_document()
    }
}

fn exported(site: &Site) -> Vec<u8> {
    let file = site.stage().home("sofia").join("prod.tar");
    let args = ["--json", "vault", "export", "prod", "-o", &arg(&file)];
    site.twotap("sofia", &args)
        .expect("sofia")
        .ok()
        .expect("exported");
    fs::read(file).expect("there")
}

fn pins() -> String {
    format!("{PIN}\n{PIN}\n")
}

#[test]
fn officers_and_custodians_take_a_bundle_and_it_goes_on_record() {
    let site = Site::ready(Options::default()).expect("a site");
    for name in ["sofia", "alice"] {
        let file = site.stage().home(name).join("prod.tar");
        let export = |json: bool| {
            let mut args = vec!["vault", "export", "prod", "-o"];
            let file = arg(&file);
            args.push(&file);
            if json {
                args.insert(0, "--json");
            }
            site.twotap(name, &args)
                .expect("a person")
                .go()
                .expect("it ends")
        };
        let done = export(true);
        assert_eq!(done.status, Some(0), "{done:?}");
        let told: Value = serde_json::from_str(&done.stdout).expect("one object");
        assert_eq!(told["generation"], 2);
        // Never over another.
        assert_eq!(export(false).status, Some(2));
    }
    let of = |name: &str| fs::read(site.stage().home(name).join("prod.tar")).expect("there");
    assert_eq!(of("sofia"), of("alice"), "one generation is one file");
    for name in ["dana", "ivan"] {
        let file = arg(&site.stage().home(name).join("prod.tar"));
        let args = ["vault", "export", "prod", "-o", &file];
        let done = site
            .twotap(name, &args)
            .expect("a person")
            .go()
            .expect("it ends");
        assert_eq!(done.status, Some(3), "{name}: {done:?}");
        assert!(!PathBuf::from(&file).exists());
    }
    let tail = site
        .twotap("sofia", &["audit", "tail", "-n", "4"])
        .expect("sofia")
        .ok()
        .expect("the record");
    let took = tail
        .stdout
        .lines()
        .filter(|l| l.contains("BUNDLE_EXPORTED"));
    assert_eq!(took.count(), 2, "{}", tail.stdout);
}

#[test]
fn two_tokens_on_a_laptop_open_it_without_network_or_state() {
    let site = Site::ready(Options::default()).expect("a site");
    let laptop = Laptop::of(&site, &exported(&site), 2);
    let (first, second) = (laptop.insert(0), laptop.insert(1));
    let ran = laptop.open(&["--to", "key.json"], &pins());
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(laptop.machine.home_is_empty());

    // It is the key that is sealed, and it works.
    let printed = fs::read_to_string(laptop.machine.file("key.json")).expect("the key");
    let key: Value = serde_json::from_str(&printed).expect("what create-access-key prints");
    let field = |name: &str| key["AccessKey"][name].as_str().expect("a field").to_owned();
    let credentials = Credentials {
        access_key_id: field("AccessKeyId"),
        secret_access_key: field("SecretAccessKey"),
        session_token: None,
    };
    assert!(site.world().key_works(&credentials).expect("an answer"));
    for shown in [&ran.stdout, &ran.stderr] {
        assert!(!shown.contains(&credentials.secret_access_key) && !shown.contains(PIN));
    }

    // As many touches as an approval: the signature's, on which the share rides.
    for token in [&first, &second] {
        let status = token.control().expect("a finger").status().expect("told");
        assert_eq!(status.taps, 1);
    }
    let record = laptop.record("prod.recovered.json");
    let by = vec!["alice".to_owned(), "bob".to_owned()];
    assert_eq!(
        (record.how, record.took),
        (How::Tokens { by }, Took::Credential)
    );
    assert_eq!(record.generation, 2);
}

#[test]
fn one_reader_is_enough_and_tokens_may_follow_one_another() {
    let site = Site::ready(Options::default()).expect("a site");
    let laptop = Laptop::of(&site, &exported(&site), 1);
    let first = laptop.insert(1);
    // Nobody is there who could be asked for the other one.
    let alone = laptop.open(&["--to", "key.json"], &pins());
    assert_eq!(alone.status, Some(7), "{alone:?}");
    assert!(
        alone.stderr.contains("no token of alice is plugged in"),
        "{alone:?}"
    );
    assert!(!laptop.machine.file("key.json").exists());
    assert!(!laptop.machine.file("prod.recovered.json").exists());

    let command = laptop.machine.command(&[
        "recovery", "open", "--bundle", "prod.tar", "--tokens", "--to", "key.json",
    ]);
    let mut terminal = Terminal::owned(&command).expect("a terminal");
    terminal.secret("pin of token 10002", PIN);
    terminal.until("no token of alice is plugged in");
    drop(first);
    let _second = laptop.insert(0);
    terminal.answer("press Enter", "");
    terminal.secret("pin of token 10001", PIN);
    let shown = terminal.done();
    assert!(shown.contains("opened: key AKIA"), "{shown}");
    laptop.record("prod.recovered.json");
}

#[test]
fn a_wrong_pin_a_stranger_and_a_changed_share_open_nothing() {
    let site = Site::ready(Options::default()).expect("a site");
    let bundle = exported(&site);
    let laptop = Laptop::of(&site, &bundle, 2);
    let _tokens = (laptop.insert(0), laptop.insert(1));
    let wrong = laptop.open(&["--to", "key.json"], &format!("{PIN}\n999999\n"));
    assert_eq!(wrong.status, Some(5), "{wrong:?}");
    let stranger = laptop.open(&["--to", "key.json", "--custodian", "stranger"], &pins());
    assert_eq!(stranger.status, Some(2), "{stranger:?}");
    let one = laptop.open(&["--to", "key.json", "--custodian", "alice"], &pins());
    assert_eq!(one.status, Some(2), "{one:?}");

    // Alice's share where bob's should be, as a copy that somebody mended may have it.
    let mut read = archive::read(&bundle).expect("a bundle").bundle;
    read.shares[1].age = read.shares[0].age.clone();
    laptop
        .machine
        .put("prod.tar", &archive::write(&read).expect("written"));
    let changed = laptop.open(&["--to", "key.json"], &pins());
    assert_eq!(changed.status, Some(11), "{changed:?}");
    for left in ["key.json", "prod.recovered.json"] {
        assert!(!laptop.machine.file(left).exists(), "{left}");
    }
}

/// With a network the key itself need not leave the worker.
#[test]
fn a_session_can_be_minted_instead_of_handing_out_the_key() {
    let site = Site::ready(Options::default()).expect("a site");
    let mut laptop = Laptop::of(&site, &exported(&site), 2);
    laptop.machine.network = true;
    let _tokens = (laptop.insert(0), laptop.insert(1));
    let (endpoint, role) = (
        site.world().endpoint(),
        site.world().role_arn(world::OPERATOR_ROLE),
    );
    let ran = laptop.open(
        &[
            "--mint",
            "--role",
            &role,
            "--duration",
            "30m",
            "--endpoint-url",
            &endpoint,
            "--to",
            "session.json",
        ],
        &pins(),
    );
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let printed = fs::read_to_string(laptop.machine.file("session.json")).expect("a session");
    let credentials = session(&printed).expect("the form of credential_process");
    let json: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(json["Version"], 1);
    let probe = site.world().session_probe(&credentials).expect("an answer");
    assert_eq!(probe.status, 200, "{probe:?}");
    let who = site.world().identity(&credentials).expect("an answer");
    assert!(
        who.body.contains(":assumed-role/op-admin/alice+bob"),
        "{who:?}"
    );
    let record = laptop.record("prod.recovered.json");
    let Took::Session {
        role: taken,
        not_after,
    } = record.took
    else {
        panic!("{:?}", record.took);
    };
    assert_eq!((taken, record.at.until(not_after)), (role, 1800));
    assert!(ran.stdout.contains("tagged twotap=r-"), "{ran:?}");

    // The box, and the tag by which it can be revoked, stand in what was asked for.
    let calls = site.world().proxy().calls_of("sts:AssumeRole");
    let sent = format!("{:?}", calls.last().expect("one"));
    assert!(
        sent.contains("aws%3ACurrentTime") || sent.contains("aws:CurrentTime"),
        "{sent}"
    );
}

/// The same with nothing of ours but the file: `tests/witnesses.rs` does it from the worker's folder, this from an exported bundle.
#[test]
fn an_exported_share_is_what_the_plugin_opens() {
    let site = Site::ready(Options::default()).expect("a site");
    let dir = crate::bench::folder();
    fs::write(dir.path().join("prod.tar"), exported(&site)).expect("written");
    let unpacked = Command::new("tar")
        .args(["-xf", "prod.tar"])
        .current_dir(dir.path())
        .status();
    assert!(unpacked.expect("tar").success());
    let vault = site.stage().home("worker").join("state/vaults/prod");
    let current = vault.join(fs::read_link(vault.join("current")).expect("a current generation"));
    for file in [
        "vault.age",
        "shares/alice.age",
        "shares/bob.age",
        "manifest.dsse.json",
    ] {
        let ours = fs::read(dir.path().join(file)).expect("there");
        let theirs = fs::read(current.join(file)).expect("there");
        let end = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        assert_eq!(end(ours), end(theirs), "{file}");
    }
}
