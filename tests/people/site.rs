//! Two operators at one site at once: neither gets at the other's session, and everything that anybody does names person, account and key.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use twotap::audit::event::Record;
use twotap_rig::{
    Credentials, Site,
    people::{ALICE, BOB, CAROL, DANA, IVAN, SOFIA},
    site::{Done, Options, Requested, session},
};

const REFUSED: i32 = 3;
const NO_TERMINAL: i32 = 12;
const BOUND: Duration = Duration::from_secs(60);

/// The second operator.
const CAROL_TOML: &str = r#"
[[person]]
name = "carol"
roles = ["operator"]
uids = [61015]
member_of = ["Support-L2"]
"#;

fn run(site: &Site, name: &str, args: &[&str]) -> Done {
    let verb = site.twotap(name, args).expect("a person");
    verb.go().expect("it ends")
}

fn json(site: &Site, name: &str, args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    let verb = site.twotap(name, &args).expect("a person");
    verb.json().expect("done")
}

fn asked(site: &Site, name: &str, more: &[&str]) -> Requested {
    let args = [
        &[
            "request",
            "prod",
            "--access",
            "admin",
            "--incident",
            "INC-7",
        ][..],
        &["--reason", "sign-in is down for everybody"],
        more,
    ]
    .concat();
    Requested::of(&json(site, name, &args)).expect("a request")
}

/// Both custodians approve; the session of whoever asked, once the key is replaced.
fn opened(site: &Site, name: &str, request: &Requested) -> Credentials {
    for custodian in ["alice", "bob"] {
        site.approve(custodian, request).expect("approved");
    }
    site.wait_for_step(request, "rotated").expect("rotated");
    let done = site.credentials(name, request).expect("it ends");
    session(&done.stdout).expect("credentials")
}

/// The processes of an account that belong to this site.
fn processes(site: &Site, uid: u32) -> Vec<u32> {
    let home = site.stage().path().display().to_string();
    let all = fs::read_dir("/proc").expect("proc");
    all.filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        let environment = fs::read(path.join("environ")).ok()?;
        let of_site = environment
            .windows(home.len())
            .any(|w| w == home.as_bytes());
        (of_site && fs::metadata(&path).ok()?.uid() == uid).then_some(pid)
    })
    .collect()
}

/// Every regular file below `folder` that `name` could read.
fn readable(site: &Site, name: &str, folder: &Path) -> Vec<String> {
    let mut find = site.stage().command(name, "find").expect("a person");
    find.arg(folder).args(["-type", "f", "-readable"]);
    let output = find.output().expect("find runs");
    let text = String::from_utf8(output.stdout).expect("paths");
    // The shipped programs are what everybody has.
    let programs = site.programs().display().to_string();
    let files = text.lines().filter(|file| !file.starts_with(&programs));
    files.map(str::to_owned).collect()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

/// What `spy` can find out about a session of somebody else's while a command runs in it.
fn nothing_leaks(site: &Site, spy: &str, owner: u32, session: &Credentials) {
    let secrets = [
        session.secret_access_key.as_str(),
        session.session_token.as_deref().expect("a token"),
    ];
    let files = readable(site, spy, site.stage().path());
    assert!(!files.is_empty(), "what is public is found");
    for file in &files {
        let bytes = fs::read(file).unwrap_or_default();
        for secret in secrets {
            assert!(!holds(&bytes, secret), "{file} has the session");
        }
    }
    let agent = site.agent_pid().expect("an agent");
    let mut pids = processes(site, owner);
    assert!(pids.len() >= 2, "the command and what runs it: {pids:?}");
    pids.push(agent);
    for pid in pids {
        for what in ["environ", "mem", "maps"] {
            let mut cat = site.stage().command(spy, "head").expect("a person");
            cat.args(["-c", "1"]).arg(format!("/proc/{pid}/{what}"));
            let output = cat.output().expect("it runs");
            assert!(!output.status.success(), "{spy} reads {what} of {pid}");
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(secrets.iter().all(|secret| !holds(&line, secret)));
    }
}

#[test]
fn two_operators_at_once_and_all_that_is_done_names_person_account_and_key() {
    let site = Site::ready(Options {
        people: CAROL_TOML.to_owned(),
        ..Options::default()
    })
    .expect("a site");

    let danas = asked(&site, "dana", &["--commander", "ivan"]);
    confirming(&site, &danas);
    let dana = opened(&site, "dana", &danas);
    let carols = asked(&site, "carol", &[]);
    let review = run(&site, "alice", &["approve", &carols.id, "--review"]);
    assert_eq!(review.status, Some(0), "{review:?}");
    assert!(
        review.stderr.contains("carol is a member of Support-L2"),
        "{review:?}"
    );
    let carol = opened(&site, "carol", &carols);
    assert_ne!(dana.access_key_id, carol.access_key_id);

    // Without a name each gets the own one; by name nobody gets another's.
    for (me, own, others) in [("dana", &dana, &carols), ("carol", &carol, &danas)] {
        let mine = session(&run(&site, me, &["credentials"]).stdout).expect("credentials");
        assert_eq!(mine.access_key_id, own.access_key_id);
        for (args, status) in [
            (&["credentials", others.id.as_str()][..], REFUSED),
            (&["close", &others.id, "--force"], REFUSED),
            // Its own failures have a code of their own.
            (&["exec", &others.id, "--", "env"], 125),
        ] {
            let done = run(&site, me, args);
            assert_eq!(done.status, Some(status), "{me} {args:?}: {done:?}");
            assert_eq!(done.stdout, "", "{me} {args:?}");
        }
    }

    while_a_command_runs(&site, &danas, || nothing_leaks(&site, "carol", DANA, &dana));

    json(&site, "dana", &["close", &danas.id, "--no-wait"]);
    json(
        &site,
        "sofia",
        &["close", &carols.id, "--force", "--no-wait"],
    );
    listings(&site, &danas, &carols);
    record(&site, &danas);
}

/// Ivan reads and confirms; nobody does for him, and not without having read.
fn confirming(site: &Site, request: &Requested) {
    let unread = run(site, "ivan", &["confirm", &request.id]);
    assert_eq!(unread.status, Some(NO_TERMINAL), "{unread:?}");
    for other in ["sofia", "dana", "alice"] {
        let done = run(site, other, &["confirm", &request.id, "--yes"]);
        assert_eq!(done.status, Some(REFUSED), "{other}: {done:?}");
    }
    let shown = run(site, "sofia", &["status"]).stdout;
    assert!(shown.contains("ivan, says dana"), "{shown}");
    let said = [
        "confirm",
        &request.id,
        "--yes",
        "--why",
        "the standard way goes through sign-in",
    ];
    let done = run(site, "ivan", &said);
    assert_eq!(done.status, Some(0), "{done:?}");
    assert!(
        done.stdout.contains("authorised by ivan, confirmed"),
        "{done:?}"
    );
    // What was authorised was shown.
    assert!(
        done.stderr.contains("sign-in is down for everybody"),
        "{done:?}"
    );
}

/// Runs `look` while dana runs a command with the session.
fn while_a_command_runs(site: &Site, request: &Requested, look: impl FnOnce()) {
    let home = site.stage().home("dana");
    let (ready, go_on) = (home.join("ready"), home.join("go-on"));
    let mut fifo = site.stage().command("dana", "mkfifo").expect("dana");
    assert!(fifo.arg(&go_on).status().expect("it runs").success());
    let script = format!(
        "test -r \"$AWS_CONFIG_FILE\" && : > {} && read line < {}",
        ready.display(),
        go_on.display()
    );
    let exec = ["exec", &request.id, "--", "sh", "-c", &script];
    let running = site.twotap("dana", &exec).expect("dana").start();
    let running = running.expect("it runs");
    let begun = Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed() < BOUND, "the command does not run");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    look();
    fs::write(&go_on, "\n").expect("it reads");
    let done = running.finish().expect("it ends");
    assert_eq!(done.status, Some(0), "{done:?}");
}

/// Status, roster and the record's tail.
fn listings(site: &Site, danas: &Requested, carols: &Requested) {
    let shown = run(site, "sofia", &["status"]).stdout;
    for row in [
        "you are sofia (officer), uid 61013",
        "ivan, confirmed ",
        "from uid 61014 on host-1",
        "the standard way goes through sign-in",
        "dana, uid 61010 on host-1",
        "carol (Support-L2), uid 61015 on host-1",
        "sofia, uid 61013 on host-1",
    ] {
        assert!(shown.contains(row), "no {row:?} in {shown}");
    }
    let status = json(site, "sofia", &["status"]);
    let requests = status["requests"].as_array().expect("requests");
    for (id, closer) in [(&danas.id, "dana"), (&carols.id, "sofia")] {
        let one = requests.iter().find(|r| r["id"] == id.as_str());
        let people = one.expect("shown")["people"].as_array().expect("people");
        for hand in people {
            let account = hand["account"].as_str().expect("an account");
            let uid = uid_of(hand["name"].as_str().expect("a name"));
            assert!(account.starts_with(&format!("uid:{uid}@")), "{hand}");
            let voted = hand["did"] == "approved";
            assert_eq!(hand["key"].is_string(), voted, "{hand}");
            assert_eq!(hand["serial"].is_u64(), voted, "{hand}");
        }
        let names: Vec<&str> = people.iter().filter_map(|h| h["name"].as_str()).collect();
        let last = names.last().expect("somebody");
        assert_eq!(*last, closer, "{names:?}");
        // In words too: the person, the token, its key and the account.
        let alice = people.iter().find(|h| h["name"] == "alice");
        let alice = alice.expect("approved");
        let key = &alice["key"].as_str().expect("a key")[..12];
        let row = format!(
            "alice, token {}, key {key}, uid 61011 on host-1",
            alice["serial"]
        );
        assert!(shown.contains(&row), "no {row:?} in {shown}");
    }
    let roster = run(site, "sofia", &["roster", "show", "prod"]).stdout;
    assert!(
        roster.contains("carol: operator; uid 61015 on host-1; member of Support-L2"),
        "{roster}"
    );
    let tail = run(site, "sofia", &["audit", "tail", "-n", "400"]).stdout;
    for part in ["ivan (uid 61014 on ", "alice (key ", "dana (arn:aws:sts:"] {
        assert!(tail.contains(part), "no {part:?} in {tail}");
    }
}

fn uid_of(name: &str) -> u32 {
    match name {
        "alice" => ALICE,
        "bob" => BOB,
        "carol" => CAROL,
        "dana" => DANA,
        "ivan" => IVAN,
        "sofia" => SOFIA,
        other => panic!("{other} is nobody here"),
    }
}

/// Every event of the whole record: by the agent alone, or by a person with the account or the key that it was done with.
fn record(site: &Site, danas: &Requested) {
    let raw = run(site, "sofia", &["audit", "tail", "-n", "1000", "--raw"]).stdout;
    let events: Vec<Record> = raw
        .lines()
        .map(|line| Record::parse(line.as_bytes()).expect("a line of the record"))
        .collect();
    assert_eq!(events[0].seq, 1, "the whole of it");
    let account = |text: &str, name: &str| text.starts_with(&format!("uid:{}@", uid_of(name)));
    let mut seen = Vec::new();
    for event in events.iter().filter(|e| e.actor != "agent") {
        let (kind, name) = (event.event_type.as_str(), event.actor.as_str());
        let who = event.who.as_deref().unwrap_or_default();
        let key = who.len() == 64 && who.bytes().all(|b| b.is_ascii_hexdigit());
        match kind {
            "BREAK_GLASS_APPROVED" => {
                assert!(key && event.what["serial"].is_u64(), "{event:?}");
                let by = event.what["handed_in_by"].as_str().expect("an account");
                assert!(account(by, name), "{event:?}");
            }
            "CUSTODIAN_ENROLLED" => assert!(key && event.what["serial"].is_u64(), "{event:?}"),
            "BREAK_GLASS_ACCESS" => {
                assert!(
                    who.starts_with("arn:aws:sts:") && who.ends_with(name),
                    "{event:?}"
                );
                let by = event.what["asked_by"].as_str().expect("an account");
                assert!(account(by, name), "{event:?}");
            }
            _ => assert!(account(who, name), "{event:?}"),
        }
        seen.push(kind);
    }
    for kind in [
        "CUSTODIAN_ENROLLED",
        "BREAK_GLASS_REQUESTED",
        "BREAK_GLASS_AUTHORISED",
        "BREAK_GLASS_APPROVED",
        "BREAK_GLASS_ACCESS",
        "CREDENTIALS_DELIVERED",
        "SESSION_CLOSED",
    ] {
        assert!(seen.contains(&kind), "no {kind} by a person: {seen:?}");
    }
    let carols = events.iter().filter(|e| e.actor == "carol");
    let mut asked = carols.filter(|e| e.event_type == "BREAK_GLASS_REQUESTED");
    let groups = &asked.next().expect("recorded").what["member_of"];
    assert_eq!(*groups, serde_json::json!(["Support-L2"]));
    let verified = json(site, "sofia", &["audit", "verify"]);
    assert_eq!(verified["verified"], true, "{verified}");
    assert!(
        events
            .iter()
            .any(|e| e.correlation_id.as_deref() == Some(&danas.id))
    );
}
