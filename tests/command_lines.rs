//! Nothing secret ever stands in an argument or in the environment of a process, where anybody on the machine (arguments) or the same account
//! (environment) may read it.
//!
//! A whole ceremony by the shipped programs, looked at while each of them is held at a known point: waiting for a touch, or for a reply of AWS.
//! Every process of the site is looked at, whoever runs it; which secrets there were is gathered at the end, so that none is missed for
//! having come up later than a look.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::Duration,
};

use data_encoding::{BASE64, HEXLOWER};
use twotap_rig::{
    Call, Fault, Rule, Site, When,
    people::{AGENT, ALICE, DANA, IVAN, SOFIA, WORKER},
    proxy::Gate,
    site::{Done, Invocation, Options, PIN},
};

const BOUND: Duration = Duration::from_secs(60);
const PUK: &str = "31415926";

/// What one process shows.
struct Shown {
    /// When it was looked at.
    moment: &'static str,
    uid: u32,
    arguments: Vec<u8>,
    environment: Vec<u8>,
}

impl Shown {
    fn program(&self) -> String {
        let first = self.arguments.split(|b| *b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(first).into_owned()
    }
}

/// Everything that was seen.
struct Looks<'s> {
    site: &'s Site,
    seen: Vec<Shown>,
}

impl Looks<'_> {
    /// Looks at every process of the site. These programs must be among them, each run by this account.
    fn look(&mut self, moment: &'static str, expected: &[(&str, u32)]) {
        let before = self.seen.len();
        for entry in fs::read_dir("/proc").expect("proc") {
            let path = entry.expect("an entry").path();
            let file = |name: &str| fs::read(path.join(name)).unwrap_or_default();
            let (arguments, environment) = (file("cmdline"), file("environ"));
            let folder = self.site.stage().path().display().to_string();
            let ours = |bytes: &[u8]| bytes.windows(folder.len()).any(|w| w == folder.as_bytes());
            if !ours(&arguments) && !ours(&environment) {
                continue;
            }
            let status = String::from_utf8_lossy(&file("status")).into_owned();
            let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"));
            let uid = uid.and_then(|l| l.split_whitespace().next()?.parse().ok());
            self.seen.push(Shown {
                moment,
                uid: uid.unwrap_or(u32::MAX),
                arguments,
                environment,
            });
        }
        for (name, uid) in expected {
            let program = self.site.program(name).display().to_string();
            let there = self.seen[before..].iter();
            let found = there.filter(|s| s.uid == *uid && s.program() == program);
            // Its environment is readable too: an empty one would show nothing.
            assert!(
                found.clone().any(|s| !s.environment.is_empty()),
                "{moment}: no {name} of {uid}"
            );
        }
    }

    /// Runs a custodian's verb, and looks while the token blinks.
    fn blinking(
        &mut self,
        who: &str,
        verb: Invocation,
        moment: &'static str,
        there: &[(&str, u32)],
    ) -> Done {
        let mut finger = self.site.finger(who).expect("a finger");
        finger.never().expect("not yet");
        let run = thread::spawn(move || verb.go());
        assert!(
            finger.wait_for_touch(BOUND).expect("asked"),
            "{moment}: no touch was asked for"
        );
        self.look(moment, there);
        finger.tap_always().expect("from now on");
        finger.tap().expect("tapped");
        run.join().expect("no panic").expect("it ends")
    }

    /// Holds the next call of an action at a gate.
    fn gate(&self, action: &str, nth: u32, fault: fn(Gate) -> Fault) -> Gate {
        let gate = Gate::new();
        let rule = Rule::new(action, When::Nth(nth), fault(gate.clone()));
        self.site.world().proxy().add(rule);
        gate
    }
}

/// Every secret that came up, by name.
fn secrets(site: &Site) -> Vec<(String, String)> {
    let mut secrets = vec![
        ("the pin".to_owned(), PIN.to_owned()),
        ("the puk".to_owned(), PUK.to_owned()),
        (
            "the first key".to_owned(),
            site.world().first_key().secret_access_key.clone(),
        ),
    ];
    for key in site.world().proxy().keys_made() {
        secrets.push(("a rotated key".to_owned(), key.secret_access_key));
    }
    for call in site.world().proxy().calls_of("sts:AssumeRole") {
        for field in ["SecretAccessKey", "SessionToken"] {
            if let Some(value) = field_of(&call, field) {
                let whose = call.param("RoleArn").unwrap_or_default();
                secrets.push((format!("{field} of {whose}"), value));
            }
        }
    }
    secrets
}

fn field_of(call: &Call, name: &str) -> Option<String> {
    let (_, rest) = call.reply.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once("</")?;
    Some(value.to_owned())
}

/// Which of the secrets stand in some bytes, plain, in hex or in base64; also whatever looks like a share or an identity.
fn leaks(bytes: &[u8], secrets: &[(String, String)]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    for (name, secret) in secrets {
        let forms = [
            secret.clone(),
            HEXLOWER.encode(secret.as_bytes()),
            BASE64.encode(secret.as_bytes()),
        ];
        // A PIN is short: only as a word of its own, not as part of a longer number.
        let stands = |form: &String| {
            text.match_indices(form.as_str()).any(|(at, _)| {
                let beside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                let (before, after) = (&text[..at], &text[at + form.len()..]);
                form.len() > 16
                    || !(beside(before.chars().next_back()) || beside(after.chars().next()))
            })
        };
        if forms.iter().any(stands) {
            found.push(name.clone());
        }
    }
    if text.to_uppercase().contains("AGE-SECRET-KEY-1") {
        found.push("an age identity".to_owned());
    }
    // The six words of a request may be compared by argument; a share has at least twenty.
    let mut run = 0;
    for word in text.split(|c: char| !c.is_ascii_alphabetic()) {
        run = match twotap_shares::word_index(word) {
            Some(_) => run + 1,
            None => 0,
        };
        if run == 12 {
            found.push("a share".to_owned());
        }
    }
    found
}

#[test]
fn nothing_secret_is_in_an_argument_or_in_the_environment() {
    let options = Options {
        touch_timeout_ms: 30_000,
        ..Options::default()
    };
    let mut site = Site::new(options).expect("a site");
    let mut seen = Vec::new();

    // Enrolment: PIN and PUK are chosen here.
    let mut looks = Looks { site: &site, seen };
    let file = site.shared("alice.enrollment.json").display().to_string();
    let enroll = [
        "custodian",
        "enroll",
        "--name",
        "alice",
        "--pin-fd",
        "0",
        "--puk-fd",
        "0",
        "-o",
        &file,
    ];
    let enroll = site.twotap("alice", &enroll).expect("alice");
    let enroll = enroll.input(format!("{PIN}\n{PUK}\n"));
    let done = looks.blinking("alice", enroll, "enrolling", &[("twotap", ALICE)]);
    assert_eq!(done.status, Some(0), "{done:?}");
    seen = looks.seen;

    site.enroll("bob").expect("enrolled");
    site.create_vault().expect("drawn up");
    for name in ["alice", "bob"] {
        site.sign_roster(name).expect("signed");
    }
    site.install_roster().expect("pinned");
    site.start_agent().expect("an agent");
    let mut looks = Looks { site: &site, seen };

    // Sealing: the officer's process has read a key, the worker opens it and asks for the next.
    let gate = looks.gate("iam:CreateAccessKey", 1, Fault::HoldRequest);
    let seal = site.twotap("sofia", &["vault", "seal", "prod", "--from", "-"]);
    let seal = seal.expect("sofia").input(site.world().first_key_json());
    let sealing = thread::spawn(move || seal.go());
    gate.wait_arrived(1, BOUND).expect("sealing gets there");
    let everybody = [
        ("twotap", SOFIA),
        ("twotapd", AGENT),
        ("twotap-worker", WORKER),
    ];
    looks.look("sealing", &everybody);
    gate.open();
    let sealed = sealing.join().expect("no panic").expect("it ends");
    assert_eq!(sealed.status, Some(0), "{sealed:?}");

    // Approving: the PIN is in the custodian's process, then the share.
    let request = site.request("INC-1", "to be looked at").expect("asked");
    let alice = site.approving("alice", &request).expect("alice");
    let everybody = [
        ("twotap", ALICE),
        ("twotapd", AGENT),
        ("twotap-worker", WORKER),
    ];
    let done = looks.blinking("alice", alice, "approving", &everybody);
    assert_eq!(done.status, Some(0), "{done:?}");

    // The second tap: minting, where the steward's session is there and the operator's comes; rotating, with two keys in one process.
    let minting = looks.gate("sts:AssumeRole", 2, Fault::HoldReply);
    let rotating = looks.gate("iam:CreateAccessKey", 1, Fault::HoldReply);
    let bob = site.approving("bob", &request).expect("bob");
    site.tap("bob", 1).expect("a finger");
    let approving = thread::spawn(move || bob.go());
    let everybody = [("twotapd", AGENT), ("twotap-worker", WORKER)];
    minting.wait_arrived(1, BOUND).expect("minting gets there");
    looks.look("minting", &everybody);
    minting.open();
    rotating
        .wait_arrived(1, BOUND)
        .expect("rotating gets there");
    looks.look("rotating", &everybody);
    rotating.open();
    let done = approving.join().expect("no panic").expect("it ends");
    assert_eq!(done.status, Some(0), "{done:?}");
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");

    // Acting: the operator's command finds the session, and has it neither before nor behind it.
    let script = "twotap=$(sed -n 's/^credential_process = //p' $AWS_CONFIG_FILE | head -1); \
                  sh -c \"$twotap\" | grep -c SecretAccessKey; read -r _";
    let exec = site.twotap("dana", &["exec", &request.id, "--", "sh", "-c", script]);
    let mut acting = exec
        .expect("dana")
        .into_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    let screen = acting.stdout.take().expect("piped");
    BufReader::new(screen).read_line(&mut line).expect("a line");
    assert_eq!(line, "1\n", "the command had the session");
    looks.look("acting", &[("twotap", DANA), ("twotapd", AGENT)]);
    let mut under = looks.seen.iter().filter(|s| s.moment == "acting");
    assert!(under.any(|s| s.program() == "sh"), "the operator's command");
    drop(acting.stdin.take());
    acting.wait().expect("ended");

    // Closing: the steward's session is in the worker. The half minute of observing shows nothing more, and is left out.
    let gate = looks.gate("iam:PutRolePolicy", 1, Fault::HoldRequest);
    let close = site.twotap("dana", &["close", &request.id]).expect("dana");
    let mut closing = close
        .into_command()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    gate.wait_arrived(1, BOUND).expect("closing gets there");
    looks.look(
        "closing",
        &[
            ("twotap", DANA),
            ("twotapd", AGENT),
            ("twotap-worker", WORKER),
        ],
    );
    gate.open();
    closing.kill().expect("ours");
    closing.wait().expect("ended");

    let secrets = secrets(&site);
    // PIN, PUK, three keys, and two parts of each of the sessions of steward, operator and the probes of new keys.
    assert!(secrets.len() >= 9, "{}", secrets.len());
    for shown in &looks.seen {
        for (where_, bytes) in [
            ("arguments", &shown.arguments),
            ("environment", &shown.environment),
        ] {
            let leaked = leaks(bytes, &secrets);
            assert_eq!(
                leaked,
                [""; 0],
                "{}: {} of {} ({})",
                shown.moment,
                where_,
                shown.program(),
                shown.uid
            );
        }
    }
    assert!(looks.seen.len() > 15, "{}", looks.seen.len());

    the_same_look_finds_what_is_there(&site, &secrets);
    assert_eq!(site.world().proxy().broken(), [""; 0]);
}

/// A process that does carry them, in each of the two places.
fn the_same_look_finds_what_is_there(site: &Site, secrets: &[(String, String)]) {
    let (name, secret) = secrets.last().expect("some");
    let share =
        "academic acid acne acquire acrobat activity actress adapt adequate adjust admit adorn";
    let careless = site
        .run(
            "ivan",
            "sh".into(),
            &["-c", "echo; read -r _", "sh", PIN, share],
        )
        .expect("ivan")
        .env("TOKEN", secret);
    let mut careless = careless.into_command();
    let careless = careless.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut careless = careless.spawn().expect("started");
    let screen = careless.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(screen).read_line(&mut line).expect("a line");
    let mut looks = Looks {
        site,
        seen: Vec::new(),
    };
    looks.look("careless", &[]);
    drop(careless.stdin.take());
    careless.wait().expect("ended");
    let shown = looks.seen.iter().find(|s| s.uid == IVAN).expect("seen");
    assert_eq!(leaks(&shown.arguments, secrets), ["the pin", "a share"]);
    assert_eq!(leaks(&shown.environment, secrets), [name.as_str()]);
}
