//! The same as dana sees it, at a whole site: one line asks for the next time box, and a command that runs goes on with it. The vault has a
//! scenario with a check and a sink.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use twotap_rig::{
    Credentials, Site,
    site::{CUSTODIANS, Done, Options, Requested, session},
    tools,
};

use crate::agent_support::until;

const POLICY: &str = "
[[scenario]]
name = 'outage'
access = ['admin']
default = '1h'
max = '2h'
review_hours = 48
ticket = 'INC-[0-9]+'
needs = ['ticket']
sinks = ['file']
[[scenario.checks]]
name = 'ticket'
required = true
";
const NOT_FOR: &str = "routine-change,expediency,avoiding-review";

/// A check that knows the tickets in a file beside it.
fn install(folder: &Path) -> PathBuf {
    let path = folder.join("ticket");
    let script = "#!/usr/bin/python3 -I\n\
        import json, os, sys\n\
        incident = json.load(sys.stdin)['incident']\n\
        open_ones = open(os.path.dirname(__file__) + '/tickets').read().split()\n\
        print(f'{incident} is open' if incident in open_ones else f'there is no {incident}')\n\
        sys.exit(0 if incident in open_ones else 1)\n";
    tools::install_text(script, &path).expect("a check");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("mode");
    path
}

fn approve_all(site: &Site, request: &Requested) -> Credentials {
    for (name, ..) in CUSTODIANS {
        site.approve(name, request).expect("approved");
    }
    site.wait_for_credentials(request).expect("open")
}

fn works(site: &Site, session: &Credentials) -> bool {
    let probe = site.world().session_probe(session);
    probe.expect("an answer").is_ok()
}

fn dana(site: &Site, args: &[&str]) -> Done {
    let run = site.twotap("dana", args).expect("dana");
    run.go().expect("it ends")
}

/// What one object of `--json` says.
fn object(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|why| panic!("{why}: {done:?}"))
}

#[test]
fn a_running_command_goes_on_with_the_next_time_box() {
    let checks = tempfile::tempdir().expect("a folder");
    let program = install(checks.path());
    fs::write(checks.path().join("tickets"), "INC-1\n").expect("written");
    let site = Site::ready(Options {
        policy: POLICY.to_owned(),
        agent: format!("\n[checks.ticket]\nprogram = {program:?}\n"),
        ..Options::default()
    });
    let site = site.expect("a site");
    let nothing = dana(&site, &["request", "--again"]);
    assert!(nothing.refused_with(2), "{nothing:?}");
    assert!(nothing.stderr.contains("no session within the last day"));

    let ask = |incident: &str| {
        let reason = "the import has to be done again";
        let args = [
            "--json",
            "request",
            "prod",
            "--scenario",
            "outage",
            "--incident",
            incident,
        ];
        dana(
            &site,
            &[&args[..], &["--reason", reason, "--not-for", NOT_FOR]].concat(),
        )
    };
    let refused = ask("INC-2");
    assert!(refused.refused_with(3), "{refused:?}");
    let said = object(&refused);
    assert_eq!(
        said["error"]["error"],
        "required check ticket has not passed: there is no INC-2"
    );
    let first = Requested::of(&object(&ask("INC-1"))).expect("a request");
    // What custodians read before they tap.
    let read = site.approving("alice", &first).expect("alice");
    site.tap("alice", 1).expect("a finger");
    let read = read.go().expect("approved");
    let shown = read.stderr.lines().find(|l| l.contains("INC-1 is open"));
    assert!(
        shown.expect("the check").contains("ticket"),
        "{}",
        read.stderr
    );
    site.approve("bob", &first).expect("approved");
    let before = site.wait_for_credentials(&first).expect("open");
    site.wait_for_step(&first, "rotated").expect("rotated");

    // A command that was started without naming a session, and asks for credentials twice.
    let (asks, goes_on) = (site.shared("asks"), site.shared("goes-on"));
    let script = format!(
        "process=$(grep -m1 credential_process \"$AWS_CONFIG_FILE\" | cut -d= -f2-)\n\
         eval \"$process\"; : > {}; until [ -e {} ]; do sleep 0.05; done; eval \"$process\"",
        asks.display(),
        goes_on.display()
    );
    let running = site.twotap("dana", &["exec", "--", "sh", "-c", &script]);
    let running = running.expect("dana").start().expect("it runs");
    until("it has asked once", || asks.exists());

    // What it is not is confirmed each time; all else is as it was.
    let unsaid = dana(&site, &["request", "--again"]);
    assert!(unsaid.refused_with(2), "{unsaid:?}");
    assert!(
        unsaid.stderr.contains("the request lacks --not-for"),
        "{unsaid:?}"
    );
    let again = ["--json", "request", "--again", "--not-for", NOT_FOR];
    let asked = dana(&site, &again);
    let note = format!("again as in {}: access admin, incident INC-1", first.id);
    assert!(asked.stderr.contains(&note), "{asked:?}");
    assert_eq!(object(&asked)["follows"], first.id);
    let second = Requested::of(&object(&asked)).expect("a request");
    // Nothing changes until it is open.
    let now = session(&dana(&site, &["credentials"]).stdout).expect("credentials");
    assert_eq!(now.access_key_id, before.access_key_id);
    let after = approve_all(&site, &second);

    // No gap: both work, and whoever asks gets the newer one.
    assert!(works(&site, &before) && works(&site, &after));
    let now = session(&dana(&site, &["credentials"]).stdout).expect("credentials");
    assert_eq!(now.access_key_id, after.access_key_id);
    fs::write(&goes_on, "").expect("written");
    let done = running.finish().expect("it ends");
    let keys: Vec<String> = done
        .stdout
        .lines()
        .map(|line| session(line).expect("credentials").access_key_id)
        .collect();
    assert_eq!(
        keys,
        [before.access_key_id, after.access_key_id],
        "{done:?}"
    );

    // 'I am done' is said once.
    let closing = dana(&site, &["close", "--no-wait"]);
    assert!(closing.stdout.contains(&second.id), "{closing:?}");
    site.wait_for_step(&first, "closing").expect("closing too");
}
