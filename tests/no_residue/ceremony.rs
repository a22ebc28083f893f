//! A whole ceremony, every process scanned at each stage.

use std::{
    fs,
    io::{PipeReader, PipeWriter, Read as _, Write as _},
    process::Stdio,
    time::{Duration, Instant},
};

use twotap_rig::{
    Fault, Rule, Site, When,
    memory::{Stopped, processes_of, states},
    proxy::Gate,
    site::{Options, Requested, Running},
};

use crate::ledger::Ledger;

pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// System calls in which a client waits for the agent; x86-64: epoll_wait, epoll_pwait, epoll_pwait2; arm64: epoll_pwait.
pub(crate) const EPOLL: [&str; 4] = ["232", "281", "441", "22"];
const AGENT: &str = "twotapd";
const WORKER: &str = "twotap-worker";
const SESSION: [&str; 1] = ["the operator's"];
/// What a worker needs once the vault is open: neither shares nor identity any more.
const HANDS: [&str; 3] = ["the key", "the steward's", "the operator's"];

/// A PIN and a PUK that stand nowhere by chance, and every program as talkative as it can be.
pub(crate) fn options() -> Options {
    let random = |n: usize| -> String {
        let mut bytes = vec![0; n];
        rand_core::RngCore::fill_bytes(&mut rand_core::OsRng, &mut bytes);
        data_encoding::BASE64.encode(&bytes)
    };
    Options {
        touch_timeout_ms: 60_000,
        pin: random(6),
        puk: random(6),
        environment: [
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "full"),
            ("RUST_LIB_BACKTRACE", "full"),
            // 0 is PCSC_LOG_DEBUG.
            ("PCSCLITE_DEBUG", "0"),
            ("LIBPCSCLITE_DEBUG", "0"),
            ("AWS_LOG_LEVEL", "trace"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..Options::default()
    }
}

#[test]
fn no_process_holds_a_secret_after_the_stage_that_needed_it() {
    let mut site = Site::new(options()).expect("a site");
    let mut ledger = Ledger::default();

    enroll(&site, &mut ledger);
    ledger.stage(&site, "enrolled", &[]);
    site.create_vault().expect("a vault");
    site.sign_roster("alice").expect("signed");
    sign(&site, &mut ledger);
    site.install_roster().expect("pinned");
    site.start_agent().expect("an agent");

    seal(&site, &mut ledger);
    ledger.stage(&site, "sealed", &[(AGENT, &[])]);

    drill(&site, &mut ledger);
    ledger.stage(&site, "drilled", &[(AGENT, &[])]);

    let request = site.request("INC-1", "to be scanned").expect("asked");
    ledger.stage(&site, "requested", &[(AGENT, &[]), (WORKER, &[])]);

    approve(&site, &mut ledger, &request);
    let may = [
        "the mnemonic of alice",
        "the share of alice",
        "the opener of alice",
    ];
    ledger.stage(&site, "approved once", &[(AGENT, &[]), (WORKER, &may)]);

    deny(&site, &mut ledger);
    open(&site, &mut ledger, &request);
    wait_for_workers(&site);
    ledger.stage(&site, "rotated", &[(AGENT, &SESSION)]);
    exec(&site, &mut ledger, &request);

    site.kill_agent();
    site.start_agent().expect("an agent");
    site.wait_for_credentials(&request).expect("still open");
    wait_for_workers(&site);
    ledger.stage(&site, "restarted", &[(AGENT, &SESSION)]);

    site.close(&request).expect("closed");
    wait_for_workers(&site);
    ledger.stage(&site, "closed", &[(AGENT, &[])]);
    ledger.close();
    let left = site.stage().home("worker").join("runtime");
    let left: Vec<_> = fs::read_dir(left).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Bob's `twotap custodian enroll` is scanned when it has nothing left to do but to say so.
fn enroll(site: &Site, ledger: &mut Ledger) {
    site.enroll("alice").expect("enrolled");
    site.tap("bob", 3).expect("a finger");
    let file = site.shared("bob.enrollment.json").display().to_string();
    let arguments = [
        "--json",
        "custodian",
        "enroll",
        "--name",
        "bob",
        "--pin-fd",
        "0",
        "--puk-fd",
        "0",
        "-o",
        &file,
    ];
    let input = format!("{}\n{}\n", site.options().pin, site.options().puk);
    last_word(site, ledger, "bob", &arguments, &input);
}

/// The same for his signature under the roster.
fn sign(site: &Site, ledger: &mut Ledger) {
    let roster = fs::read(site.shared("roster.json")).expect("a roster");
    let copy = site.stage().write("bob", "roster.json", &roster, 0o600);
    let copy = copy.expect("written");
    let file = copy.display().to_string();
    site.tap("bob", 1).expect("a finger");
    let arguments = ["--json", "roster", "sign", &file, "--pin-fd", "0"];
    last_word(site, ledger, "bob", &arguments, &site.options().pin);
    fs::copy(&copy, site.shared("roster.json")).expect("handed back");
}

/// Runs a verb whose output nobody reads yet, so that it stops at its last word, and scans it there.
fn last_word(site: &Site, ledger: &mut Ledger, name: &str, arguments: &[&str], input: &str) {
    let (mut output, full) = full_pipe();
    let mut command = site
        .twotap(name, arguments)
        .expect("a person")
        .into_command();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(full)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // The command holds the pipe's other end as well.
    drop(command);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    // x86-64: write 1, arm64: 64.
    wait_for_call(child.id(), &["1", "64"]);
    ledger.known.learn(site);
    let shown = format!("twotap {}", arguments[1..3].join(" "));
    ledger.process("the last word", &shown, child.id(), &[]);
    let mut said = String::new();
    output.read_to_string(&mut said).expect("it speaks");
    ledger.said(&shown, &said);
    assert!(child.wait().expect("it ends").success(), "{shown}: {said}");
}

/// A pipe into which nothing fits.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a pipe");
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a pipe");
    (reader, writer)
}

/// The officer's `twotap vault seal` is scanned while it waits for what the worker does with the credential.
fn seal(site: &Site, ledger: &mut Ledger) {
    let gate = hold(site, "iam:CreateAccessKey");
    let seal = site
        .twotap(
            "sofia",
            &[
                "--json",
                "vault",
                "seal",
                twotap_rig::site::VAULT,
                "--from",
                "-",
            ],
        )
        .expect("sofia")
        .input(site.world().first_key_json())
        .start()
        .expect("it starts");
    gate.wait_arrived(1, BOUND).expect("a rotation");
    ledger.known.learn(site);
    ledger.process("sealing", "twotap vault seal", seal.id(), &[]);
    ledger.process("sealing", AGENT, agent(site), &[]);
    let found = ledger.process("sealing", WORKER, worker(site), &HANDS);
    let first = format!("the key {}", site.world().first_key().access_key_id);
    ledger.control("sealing", &found, &first);
    gate.open();
    ended(seal, ledger);
    wait_for_workers(site);
}

/// Alice's `twotap approve` is scanned while it waits for her finger, and when it has handed in the approval.
fn approve(site: &Site, ledger: &mut Ledger, request: &Requested) {
    let approve = site.approving("alice", request).expect("alice").start();
    let approve = approve.expect("it starts");
    let mut finger = site.finger("alice").expect("a finger");
    assert!(finger.wait_for_touch(BOUND).expect("an answer"));
    let found = ledger.process("touching", "twotap approve", approve.id(), &["the pin"]);
    ledger.control("touching", &found, "the pin");

    let agent = Stopped::new(agent(site)).expect("it stops");
    assert!(finger.tap().expect("an answer"));
    wait_for_an_answer(&approve);
    ledger.process("handed in", "twotap approve", approve.id(), &[]);
    drop(agent);
    ended(approve, ledger);
}

/// The same for a drill: the share was opened and compared, and nothing of it is left when the receipt is handed in.
fn drill(site: &Site, ledger: &mut Ledger) {
    let drill = site
        .twotap("alice", &["drill", "prod", "--pin-fd", "0"])
        .expect("alice")
        .input(site.options().pin.as_str())
        .start()
        .expect("it starts");
    let mut finger = site.finger("alice").expect("a finger");
    assert!(finger.wait_for_touch(BOUND).expect("an answer"));
    ledger.known.learn(site);
    let found = ledger.process("drilling", "twotap drill", drill.id(), &["the pin"]);
    ledger.control("drilling", &found, "the pin");
    ledger.process("drilling", AGENT, agent(site), &[]);

    let agent = Stopped::new(agent(site)).expect("it stops");
    assert!(finger.tap().expect("an answer"));
    wait_for_an_answer(&drill);
    ledger.process("receipt handed in", "twotap drill", drill.id(), &[]);
    drop(agent);
    ended(drill, ledger);
}

/// The same for a denial, of another request.
fn deny(site: &Site, ledger: &mut Ledger) {
    let request = site.request("INC-2", "to be denied").expect("asked");
    let deny = site
        .twotap(
            "bob",
            &[
                "deny",
                &request.id,
                "--reason",
                "not needed",
                "--pin-fd",
                "0",
            ],
        )
        .expect("bob")
        .input(site.options().pin.as_str())
        .start()
        .expect("it starts");
    let mut finger = site.finger("bob").expect("a finger");
    assert!(finger.wait_for_touch(BOUND).expect("an answer"));
    let agent = Stopped::new(agent(site)).expect("it stops");
    assert!(finger.tap().expect("an answer"));
    wait_for_an_answer(&deny);
    ledger.process("denied", "twotap deny", deny.id(), &[]);
    drop(agent);
    ended(deny, ledger);
    until("one worker is left", || running(site, WORKER).len() == 1);
}

/// Bob's approval opens the vault; the worker is scanned with the key in its hands.
fn open(site: &Site, ledger: &mut Ledger, request: &Requested) {
    let minting = hold(site, "sts:AssumeRole");
    let rotating = hold(site, "iam:CreateAccessKey");
    site.approve("bob", request).expect("approved");
    minting.wait_arrived(1, BOUND).expect("a call");
    ledger.known.learn(site);
    ledger.process("minting", AGENT, agent(site), &[]);
    let found = ledger.process("minting", WORKER, worker(site), &HANDS);
    ledger.control("minting", &found, "the key AKIA");
    minting.open();

    let session = site.wait_for_credentials(request).expect("open");
    rotating.wait_arrived(1, BOUND).expect("a call");
    ledger.known.learn(site);
    let found = ledger.process("opened", AGENT, agent(site), &SESSION);
    ledger.control("opened", &found, "the operator's");
    assert!(session.session_token.is_some());
    ledger.stage(site, "opened", &[(AGENT, &SESSION), (WORKER, &HANDS)]);
    rotating.open();
    site.wait_for_step(request, "rotated").expect("rotated");
}

/// `twotap exec` gives a command the session and has none itself.
fn exec(site: &Site, ledger: &mut Ledger, request: &Requested) {
    // The command asks for the session as an SDK does, drops it, and waits for its input to end.
    let ask = format!(
        "{} --agent {} credentials {} >/dev/null && echo asked && exec cat",
        site.program("twotap").display(),
        site.socket().display(),
        request.id
    );
    let mut command = site
        .twotap("dana", &["exec", &request.id, "--", "sh", "-c", &ask])
        .expect("dana")
        .into_command();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    assert_eq!(line, "asked\n");
    ledger.process("acting", "twotap exec", child.id(), &[]);
    ledger.stage(site, "acting", &[(AGENT, &SESSION), ("twotap", &[])]);
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}

fn hold(site: &Site, action: &str) -> Gate {
    let gate = Gate::new();
    let rule = Rule::new(action, When::Nth(1), Fault::HoldRequest(gate.clone()));
    site.world().proxy().add(rule);
    gate
}

fn agent(site: &Site) -> u32 {
    site.agent_pid().expect("it runs")
}

/// The one worker that runs.
fn worker(site: &Site) -> u32 {
    until("one worker runs", || running(site, WORKER).len() == 1);
    running(site, WORKER)[0]
}

fn running(site: &Site, program: &str) -> Vec<u32> {
    let processes = processes_of(site.programs()).expect("a list").into_iter();
    processes
        .filter_map(|(pid, name)| (name == program).then_some(pid))
        .collect()
}

fn wait_for_workers(site: &Site) {
    until("no worker runs", || running(site, WORKER).is_empty());
}

/// Until the verb has sent its last request and waits for the answer: its first thread stands in epoll_wait, with the agent standing still.
fn wait_for_an_answer(verb: &Running) {
    wait_for_call(verb.id(), &EPOLL);
}

/// Until the process sleeps in one of these system calls.
pub(crate) fn wait_for_call(pid: u32, calls: &[&str]) {
    until("the verb waits", || {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let sleeps = states(pid).is_ok_and(|states| states.first() == Some(&'S'));
        sleeps && calls.contains(&call.split(' ').next().unwrap_or_default())
    });
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The verb ended well, and said nothing secret.
fn ended(verb: Running, ledger: &mut Ledger) {
    let done = verb.finish().expect("it ends");
    assert_eq!(done.status, Some(0), "{done:?}");
    ledger.said("what a verb printed", &(done.stdout + &done.stderr));
}
