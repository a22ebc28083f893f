//! What is left in memory: of the identity nothing anywhere once its shares are made, of a sheet's words nothing in the program that has
//! checked them. Needs root, as the scan of other residue tests does.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::OpenOptionsExt as _, net::UnixListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use twotap::vault::VaultIdentity;
use twotap_rig::memory::{Secrets, scan};
use twotap_shares::{Mnemonic, combine};

use crate::bench::Bench;

const BOUND: Duration = Duration::from_secs(60);

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until this is there.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The words of a share as they are kept, as they are printed, and as they are typed in a hurry.
fn add_words(secrets: &mut Secrets, name: &str, share: &Mnemonic) {
    let words = share.expose();
    let capitals = words.to_uppercase();
    let short: Vec<&str> = words.split(' ').map(|w| &w[..4]).collect();
    for (how, text) in [
        ("", words),
        (" in capitals", &capitals),
        (" in short", &short.join(" ")),
    ] {
        secrets
            .add(&format!("{name}{how}"), text.as_bytes())
            .expect("long enough");
    }
}

/// The worker that `twotap` with this id has started.
fn worker_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("running");
    let worker = children.split_whitespace().find(|child| {
        let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.contains("twotap-worker")
    });
    worker.expect("a worker").parse().expect("a number")
}

#[test]
fn once_the_shares_are_made_nobody_has_the_identity() {
    let bench = Bench::new();
    fs::create_dir(bench.path("tray")).expect("made");
    let made = Command::new("mkfifo").arg(bench.path("go")).status();
    assert!(made.expect("mkfifo").success());
    // The second sheet's printer waits; the third is still in the worker.
    let print = "n=$(ls tray | wc -l); cat > tray/$n.pdf; test $n -ne 1 || read go < go";
    let record = bench.text("prod.recovery.json");
    let args = [
        "recovery",
        "create",
        "prod",
        "--shares",
        "3",
        "--threshold",
        "2",
        "--print",
        print,
        "-o",
        &record,
    ];
    let child = bench
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = Running(child.expect("started"));
    let mut go: File = wait_for("the second sheet", || {
        assert!(
            child.0.try_wait().expect("a child").is_none(),
            "it has ended"
        );
        // No writer without a reader: it is open when the printer waits.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("small");
        OpenOptions::new()
            .write(true)
            .custom_flags(nonblocking)
            .open(bench.path("go"))
            .ok()
    });

    let shares = [0, 1].map(|n| bench.words(&format!("tray/{n}.pdf")));
    let secret = combine(&shares, b"").expect("a quorum");
    let identity = VaultIdentity::from_secret(&secret).expect("32 bytes");
    let mut secrets = Secrets::new();
    secrets
        .add("the identity", secret.expose())
        .expect("long enough");
    let text = identity.expose_text().expect("text");
    secrets
        .add("the identity's text", text.as_bytes())
        .expect("long enough");
    for (n, share) in (1..).zip(&shares) {
        add_words(&mut secrets, &format!("share {n}"), share);
    }

    let program = child.0.id();
    let found = scan(program, &secrets).expect("its memory");
    assert!(
        found.bytes > 100_000 && found.found.is_empty(),
        "twotap: {:#?}",
        found.found
    );
    // The worker has the shares until it has handed out the last; so it is seen that the scan sees.
    let found = scan(worker_of(program), &secrets).expect("its memory");
    assert!(found.names().contains("share 2"), "{:?}", found.names());
    assert!(
        !found
            .names()
            .iter()
            .any(|name| name.starts_with("the identity")),
        "the worker: {:#?}",
        found.found
    );
    writeln!(go, "go").expect("taken");
    let ended = wait_for("its end", || child.0.try_wait().expect("a child"));
    assert!(ended.success());
}

/// Checks a sheet with an agent that has not answered yet; answers what it was sent, and what the program said in the end.
fn checked(bench: &Bench, from: &[&str], words: &str, share: &Mnemonic) -> (String, String) {
    let _ = fs::remove_file(bench.path("agent.sock"));
    let agent = UnixListener::bind(bench.path("agent.sock")).expect("a socket");
    let (socket, record) = (bench.text("agent.sock"), bench.text("prod.recovery.json"));
    let mut args = vec!["recovery", "check", "--agent", &socket, "--set", &record];
    args.extend(from);
    let child = bench
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Running(child.expect("started"));
    let _ = child
        .0
        .stdin
        .take()
        .expect("piped")
        .write_all(words.as_bytes());

    let (mut call, _) = agent.accept().expect("a call");
    call.set_read_timeout(Some(BOUND)).expect("a bound");
    let mut lines = BufReader::new(call.try_clone().expect("both ways"));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        lines.read_line(&mut head).expect("a head");
        let line = head[from..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a number");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).expect("a body");

    let mut secrets = Secrets::new();
    add_words(&mut secrets, "the words", share);
    let found = scan(child.0.id(), &secrets).expect("its memory");
    assert!(
        found.bytes > 100_000 && found.found.is_empty(),
        "{from:?}: {:#?}",
        found.found
    );

    let answer = r#"{"at":"2026-11-22T10:00:00Z","by":"alice","sheets":2}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    call.write_all(reply.as_bytes()).expect("taken");
    let mut out = String::new();
    child
        .0
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut out)
        .expect("text");
    assert!(child.0.wait().expect("ended").success(), "{out}");
    let first = head.lines().next().unwrap_or_default();
    (
        format!("{first}\n{}", String::from_utf8(body).expect("json")),
        out,
    )
}

#[test]
fn once_a_sheet_is_checked_its_words_are_gone_and_only_its_place_is_sent() {
    let bench = Bench::new();
    bench
        .create(
            "prod",
            &["--group", "2of3:executives", "--group", "2of2:board"],
        )
        .done();
    let share = bench.words("prod/prod-executives-2.pdf");
    let scan = bench.text("prod/prod-executives-2.png");
    let fingerprint = bench.record("prod").fingerprint();
    for (from, words) in [
        (&["--words-fd", "0"][..], share.expose()),
        (&["--image", &scan][..], ""),
    ] {
        let (call, out) = checked(&bench, from, words, &share);
        let (first, body) = call.split_once('\n').expect("both");
        assert_eq!(first, "POST /v1/vaults/prod/sheets HTTP/1.1");
        let body: serde_json::Value = serde_json::from_str(body).expect("json");
        let sent = serde_json::json!({"fingerprint": fingerprint, "group": "executives", "share": 2, "of": 3});
        assert_eq!(body, sent);
        assert!(
            out.contains("good: executives, share 2 of 3 of vault prod"),
            "{out}"
        );
        let noted = "recorded by alice at 2026-11-22T10:00:00Z; of this set 2 sheets were found good so far";
        assert!(out.contains(noted), "{out}");
    }
}
