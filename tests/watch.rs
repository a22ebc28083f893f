//! The sealed key as a canary: what workers do with it is no alarm, and any other use is, once.

mod support;

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Bench, names};
use twotap::protocol::{
    Code, Problem,
    job::{Entry, FromWorker, Job, Step, ToWorker, Watched},
};
use twotap_rig::{Credentials, Fault, Rule, Site, When, site::CUSTODIANS, site::Options, world};

/// A sealed vault whose worker may ask.
fn watched() -> Bench {
    let bench = Bench::sealed();
    let file = bench.path("watch.json");
    let key = bench.world.watcher().expect("a standing user");
    private(&file, &key);
    append(
        &bench.path("worker.toml"),
        &format!("\n[watch]\ncredential = {file:?}\n"),
    );
    bench
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("private");
}

fn append(path: &Path, text: &str) {
    let mut file = File::options().append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
}

/// Looks once: what the worker says, and what it wrote down.
fn look(bench: &Bench) -> Result<(Watched, Vec<Entry>), Problem> {
    let mut worker = bench.worker();
    worker.send(&Job::Watch {
        vault: "prod".to_owned(),
    });
    let mut entries = Vec::new();
    let mut watched = None;
    loop {
        match worker.next() {
            Some(FromWorker::Entry(entry)) => entries.push(entry),
            Some(FromWorker::Watched(seen)) => watched = Some(seen),
            Some(FromWorker::Done) => return Ok((watched.expect("a word"), entries)),
            Some(FromWorker::Failed(problem)) => return Err(problem),
            other => panic!("out of turn: {other:?}"),
        }
    }
}

/// A whole ceremony: two approvals, a session, another key.
fn ceremony(bench: &Bench) {
    let (mut worker, made) = bench.ask();
    for custodian in &bench.custodians[..2] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let (_, entries) = worker.rest();
    assert!(names(&entries.expect("done")).contains(&"rotated".to_owned()));
}

/// The sealed key in a thief's hands.
fn stolen(bench: &Bench) -> Credentials {
    let sealed = bench.world.list_keys(world::USER).expect("a list");
    let made = bench.world.proxy().keys_made();
    let key = made.into_iter().find(|k| k.access_key_id == sealed[0].id);
    key.expect("seen being made")
}

#[test]
fn what_workers_do_with_the_key_is_no_alarm() {
    let bench = watched();
    for _ in 0..2 {
        let (seen, entries) = look(&bench).expect("a look");
        let Watched::Quiet {
            used: Some(used), ..
        } = &seen
        else {
            panic!("not quiet: {seen:?}");
        };
        // The proofs and the deletion that the worker made with it: AWS knows of them.
        assert!(["sts", "iam"].contains(&used.service.as_str()), "{used:?}");
        assert_eq!(entries, []);
        ceremony(&bench);
    }
    assert_eq!(bench.world.proxy().broken(), [""; 0]);
}

#[test]
fn a_use_that_no_worker_made_is_written_down_once() {
    let bench = watched();
    let key = stolen(&bench);
    // What no worker ever calls, in the very minute of a ceremony.
    let thief = bench.world.through_proxy(key.clone());
    let listed = thief.query("ec2", "DescribeRegions", &[]);
    listed.expect("an answer");
    let (seen, entries) = look(&bench).expect("a look");
    assert!(matches!(&seen, Watched::Misused { used, .. } if used.service == "ec2"));
    let [
        Entry {
            step: Step::Misused {
                access_key_id,
                used,
            },
            aws,
            ..
        },
    ] = &entries[..]
    else {
        panic!("{entries:?}");
    };
    assert_eq!(*access_key_id, key.access_key_id);
    assert_eq!(used.region, bench.world.region());
    assert!(aws.is_some());
    // The same use again is the same.
    let (seen, entries) = look(&bench).expect("a look");
    assert!(matches!(seen, Watched::Misused { .. }));
    assert_eq!(entries, []);
    // What workers do call, at a time when none was at work: another use.
    let proxy = bench.world.proxy();
    proxy.tell_last_use(&key.access_key_id, 3600, "eu-central-1", "sts");
    let (_, entries) = look(&bench).expect("a look");
    assert_eq!(names(&entries), ["misused"]);
    // A little after a worker's own call it cannot be told apart.
    proxy.tell_last_use(&key.access_key_id, 300, "eu-central-1", "sts");
    let (seen, _) = look(&bench).expect("a look");
    assert!(matches!(seen, Watched::Quiet { .. }));
}

#[test]
fn without_a_standing_identity_nobody_asks() {
    let bench = Bench::sealed();
    let (seen, entries) = look(&bench).expect("a look");
    assert_eq!((seen, entries), (Watched::Off, vec![]));
    let asked = bench.world.proxy().calls_of("iam:GetAccessKeyLastUsed");
    assert!(asked.is_empty());
}

#[test]
fn a_credential_that_others_may_read_is_not_used() {
    let bench = watched();
    let file = bench.path("watch.json");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("set");
    let why = look(&bench).expect_err("refused");
    assert_eq!(why.code, Code::Usage);
    assert!(why.error.contains("(mode 0640)"), "{why}");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("set");
    std::os::unix::fs::chown(&file, Some(61010), None).expect("as root");
    let why = look(&bench).expect_err("refused");
    assert!(why.error.contains("it belongs to uid 61010"), "{why}");
    let elsewhere = bench.path("elsewhere.json");
    fs::rename(&file, &elsewhere).expect("moved");
    std::os::unix::fs::chown(&elsewhere, Some(0), None).expect("as root");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
    look(&bench).expect_err("a link may be somebody else's");
    fs::remove_file(&file).expect("gone");
    let why = look(&bench).expect_err("refused");
    let hint = why.hint.clone().unwrap_or_default();
    assert!(hint.contains("create-access-key"), "{why}: {hint}");
}

#[test]
fn the_standing_identity_can_do_nothing_else() {
    let bench = Bench::sealed();
    let json: Value =
        serde_json::from_str(&bench.world.watcher().expect("a standing user")).expect("JSON");
    let field = |name: &str| json["AccessKey"][name].as_str().expect("there").to_owned();
    let client = bench.world.through_proxy(Credentials {
        access_key_id: field("AccessKeyId"),
        secret_access_key: field("SecretAccessKey"),
        session_token: None,
    });
    let user = [("UserName", world::USER)];
    for action in ["ListAccessKeys", "CreateAccessKey", "GetUser"] {
        let answer = client.query("iam", action, &user).expect("an answer");
        assert!(!answer.is_ok(), "{action}");
    }
    // Nor about anybody else's keys.
    let own = [("AccessKeyId", &*field("AccessKeyId"))];
    let answer = client.query("iam", "GetAccessKeyLastUsed", &own);
    assert!(!answer.expect("an answer").is_ok());
}

#[test]
fn a_sealed_key_that_is_gone_and_an_aws_that_does_not_answer_are_told() {
    let bench = watched();
    let rule = Rule::new(
        "iam:GetAccessKeyLastUsed",
        When::First(1),
        Fault::Refuse(404, "NoSuchEntity".to_owned(), "cannot be found".to_owned()),
    );
    bench.world.proxy().add(rule);
    let why = look(&bench).expect_err("gone");
    assert_eq!(why.code, Code::Tampering);
    assert!(why.error.contains("does not exist any more"), "{why}");
    let down = Rule::new("iam:GetAccessKeyLastUsed", When::Always, Fault::denied());
    bench.world.proxy().add(down);
    let why = look(&bench).expect_err("refused");
    assert_eq!(why.code, Code::AwsRefused);
    assert!(why.error.contains("iam:GetAccessKeyLastUsed"), "{why}");
}

/// Waits until the status has such a line.
fn wait_for_line(site: &Site, person: &str, holds: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let status = site.twotap(person, &["status"]).expect("a person").ok();
        let shown = status.expect("a status").stdout;
        if let Some(line) = shown.lines().find(|l| holds(l)) {
            return line.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{shown}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn a_misused_key_is_an_event_once_and_degrades_until_it_is_replaced() {
    let mut site = Site::ready(Options::default()).expect("a site");
    site.stop_agent();
    let key = site.world().watcher().expect("a standing user");
    let file = site
        .stage()
        .write("worker", "watch.json", key.as_bytes(), 0o600)
        .expect("written");
    let config = |name: &str, file: &str| site.stage().home(name).join(file);
    append(
        &config("worker", "worker.toml"),
        &format!("\n[watch]\ncredential = {file:?}\n"),
    );
    append(
        &config("agent", "agent.toml"),
        "\n[watch]\ngap_seconds = 1\n",
    );
    site.start_agent().expect("the agent");
    wait_for_line(&site, "sofia", |l| {
        l.contains("watch") && l.contains("quiet; last used by us")
    });

    let sealed = site.world().list_keys(world::USER).expect("a list");
    let sealed = sealed[0].id.clone();
    let proxy = site.world().proxy();
    proxy.tell_last_use(&sealed, -3600, "ap-south-1", "sts");
    let line = wait_for_line(&site, "dana", |l| {
        l.starts_with("degraded: vault prod: the")
    });
    for word in [
        sealed.as_str(),
        "used outside a ceremony",
        "sts in ap-south-1",
    ] {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    wait_for_line(&site, "sofia", |l| l.contains("USED OUTSIDE A CEREMONY"));
    // Looked at again and again, told once.
    let asked = proxy.calls_of("iam:GetAccessKeyLastUsed").len();
    let again = proxy.wait_for(
        "iam:GetAccessKeyLastUsed",
        asked + 2,
        Duration::from_secs(30),
    );
    again.expect("looked again");
    let record = site.twotap("sofia", &["audit", "tail"]).expect("sofia");
    let record = record.ok().expect("the record").stdout;
    let times = record.matches("CREDENTIAL_MISUSED").count();
    assert_eq!(times, 1, "{record}");

    // Two taps replace it, and the alarm goes with it.
    let request = site.request("INC-1", "the key is stolen").expect("asked");
    for (name, ..) in CUSTODIANS {
        site.approve(name, &request).expect("approved");
    }
    site.wait_for_step(&request, "rotated").expect("rotated");
    wait_for_line(&site, "dana", |l| l.contains("quiet"));
    let status = site.twotap("dana", &["status"]).expect("dana").ok();
    let shown = status.expect("a status").stdout;
    assert!(!shown.contains("degraded"), "{shown}");
}
