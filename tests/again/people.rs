//! The same as dana sees it, at a whole site: one line asks for the next time box, and a command that runs goes on with it.

use std::fs;

use serde_json::Value;
use twotap_rig::{
    Credentials, Site,
    site::{CUSTODIANS, Options, Requested, session},
};

use crate::agent_support::until;

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

fn dana(site: &Site, args: &[&str]) -> twotap_rig::site::Done {
    site.twotap("dana", args)
        .expect("dana")
        .go()
        .expect("it ends")
}

#[test]
fn a_running_command_goes_on_with_the_next_time_box() {
    let site = Site::ready(Options::default()).expect("a site");
    let nothing = dana(&site, &["request", "--again"]);
    assert!(nothing.refused_with(2), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("no session within the last day"));

    let first = site
        .request("INC-1", "the import has to be done again")
        .expect("asked");
    let before = approve_all(&site, &first);
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

    let asked = site.twotap(
        "dana",
        &["--json", "request", "--again", "--duration", "30m"],
    );
    let asked = asked.expect("dana").ok().expect("asked");
    assert!(
        asked.stderr.contains(&format!("again as in {}", first.id)),
        "{}",
        asked.stderr
    );
    let asked: Value = serde_json::from_str(&asked.stdout).expect("JSON");
    assert_eq!(asked["follows"], first.id);
    let second = Requested::of(&asked).expect("a request");
    // Nothing changes until it is open.
    let now = session(&dana(&site, &["credentials"]).stdout).expect("credentials");
    assert_eq!(now.access_key_id, before.access_key_id);
    let after = approve_all(&site, &second);
    let record = site.view(&second).expect("a view");
    assert_eq!(record["stage"], "open");

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
    assert!(
        closing.stdout.contains(&second.id) || closing.stderr.contains(&second.id),
        "{closing:?}"
    );
    site.wait_for_step(&first, "closing").expect("closing too");
}
