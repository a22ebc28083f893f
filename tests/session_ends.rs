//! How sessions end at a whole site, as its people see it: several accounts, and a host that was rebooted.

use std::{fs, time::Instant};

use serde_json::Value;
use twotap_rig::{
    Credentials, Site,
    site::{CUSTODIANS, Options, Requested, session},
};

const REFUSED: i32 = 3;
const USAGE: i32 = 2;

fn approve_all(site: &Site, request: &Requested) {
    for (name, ..) in CUSTODIANS {
        site.approve(name, request).expect("approved");
    }
}

fn probe(site: &Site, session: &Credentials) -> bool {
    let probe = site.world().session_probe(session);
    probe.expect("an answer").is_ok()
}

fn status(site: &Site) -> String {
    let shown = site.twotap("dana", &["status"]).expect("dana");
    shown.ok().expect("a status").stdout
}

#[test]
fn one_request_for_three_roles_in_two_accounts_from_the_screen_to_the_receipt() {
    let options = Options {
        several: true,
        ..Options::default()
    };
    let site = Site::ready(options).expect("a site");
    let further = site.world().further().expect("two accounts").to_owned();
    let own = site.world().account().to_owned();
    let request = site.request("INC-1", "three roles").expect("asked");
    approve_all(&site, &request);
    let first = site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");

    let wanted = |args: &[&str]| {
        let all = [&["credentials", request.id.as_str()], args].concat();
        site.twotap("dana", &all)
            .expect("dana")
            .go()
            .expect("it ends")
    };
    let got = |args: &[&str]| session(&wanted(args).stdout).expect("credentials");
    let database = got(&["--role", "op-db"]);
    let other = got(&["--account", &further]);
    // The first is what is meant by saying nothing; and it stays the same.
    assert_eq!(got(&[]).access_key_id, first.access_key_id);
    assert_eq!(
        got(&["--account", &own, "--role", "op-admin"]).access_key_id,
        first.access_key_id
    );
    let keys = [&first, &database, &other].map(|s| s.access_key_id.clone());
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    for session in [&first, &database, &other] {
        assert!(probe(&site, session));
    }
    let identity = site.world().identity(&other).expect("an answer");
    assert_eq!(identity.text("Account").as_deref(), Some(further.as_str()));
    for (args, said) in [
        (["--account", "999999999999"], "no such account or role"),
        (["--account", own.as_str()], "several roles there"),
        (["--role", "op-none"], "no such account or role"),
    ] {
        let refused = wanted(&args);
        assert!(refused.refused_with(USAGE), "{refused:?}");
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(&format!("{further} op-admin")),
            "{}",
            refused.stderr
        );
    }

    // A command gets a profile for each.
    let run = [
        "exec",
        &request.id,
        "--",
        "sh",
        "-c",
        "cat $AWS_CONFIG_FILE",
    ];
    let run = site
        .twotap("dana", &run)
        .expect("dana")
        .ok()
        .expect("it runs");
    for profile in [
        "[default]".to_owned(),
        "[profile break-glass]".to_owned(),
        format!("[profile twotap-{own}-op-admin]"),
        format!("[profile twotap-{own}-op-db]"),
        format!("[profile twotap-{further}-op-admin]"),
    ] {
        assert!(run.stdout.contains(&profile), "{profile}: {}", run.stdout);
    }
    let shown = status(&site);
    for line in [
        format!("{own} op-admin: open since"),
        format!("{own} op-db: open since"),
        format!("{further} op-admin: open since"),
    ] {
        assert!(shown.contains(&line), "{shown}");
    }

    // Closing says what it does as it does it, and gives one object in the end.
    let closing = site.twotap("dana", &["close", &request.id]).expect("dana");
    let closing = closing.start().expect("closing");
    site.wait_for_step(&request, "revoke_applied")
        .expect("applied");
    let shown = status(&site);
    assert!(
        shown.contains("closing") && shown.contains("revoking in"),
        "{shown}"
    );
    let done = closing.finish().expect("it ends");
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    for line in [
        "revoking in",
        "the revocation in",
        "refusal being observed",
        "refused in",
    ] {
        assert!(done.stderr.contains(line), "{line}: {}", done.stderr);
    }
    assert!(
        done.stdout.contains("revoked; refused since"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("(EKS) let it in until"),
        "{}",
        done.stdout
    );
    let again = site.close(&request).expect("an object");
    let targets = again["targets"].as_array().expect("a list");
    assert_eq!(targets.len(), 3);
    for target in targets {
        assert_eq!(target["state"]["state"], "refused", "{target}");
        assert!(
            target["refused"][0]["refusals"].as_u64() >= Some(10),
            "{target}"
        );
    }
    for session in [&first, &database, &other] {
        assert!(!probe(&site, session));
    }
    let shown = status(&site);
    assert!(shown.contains("refused at {eu-central-1} since"), "{shown}");
    assert!(shown.contains("identity"), "{shown}");
    let record = site
        .twotap("dana", &["audit", "tail", "-n", "400", "--raw"])
        .expect("dana");
    let record = record.ok().expect("a record").stdout;
    assert_eq!(record.matches("BREAK_GLASS_ACCESS").count(), 3, "{record}");
}

/// What a reboot does: agent and workers are gone, and with them all that was in memory.
fn reboot(site: &mut Site) {
    site.kill_agent();
    let runtime = site.stage().home("worker").join("runtime");
    for file in fs::read_dir(&runtime).expect("a folder") {
        fs::remove_file(file.expect("an entry").path()).expect("removed");
    }
    site.start_agent().expect("it starts");
}

#[test]
fn after_a_reboot_two_taps_close_what_was_open_and_nobody_is_told_that_it_was_revoked() {
    let mut site = Site::ready(Options::default()).expect("a site");
    let request = site.request("INC-1", "before the reboot").expect("asked");
    approve_all(&site, &request);
    let session = site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    reboot(&mut site);

    // The state says so, with what helps.
    let verb = format!("twotap request prod --close-only {}", request.id);
    assert!(status(&site).contains(&verb), "{}", status(&site));
    let begun = Instant::now();
    let close = site.twotap("dana", &["close", &request.id]).expect("dana");
    let close = close.go().expect("it ends");
    assert!(close.refused_with(REFUSED), "{close:?}");
    assert!(close.stderr.contains(&verb), "{}", close.stderr);
    assert!(
        begun.elapsed().as_secs() < 60,
        "it does not wait for what cannot come"
    );
    assert!(probe(&site, &session), "nothing has closed it yet");

    let asked = site
        .twotap(
            "dana",
            &[
                "--json",
                "request",
                "prod",
                "--close-only",
                &request.id,
                "--incident",
                "INC-1",
                "--reason",
                "the host was rebooted",
            ],
        )
        .expect("dana")
        .json()
        .expect("asked");
    assert_eq!(asked["purpose"]["kind"], "close_only", "{asked}");
    let closing = Requested::of(&asked).expect("a request");
    // The custodian's screen says plainly that this opens nothing.
    let shown = site.approving("alice", &closing).expect("alice");
    site.tap("alice", 1).expect("a finger");
    let shown = shown.go().expect("it ends");
    assert_eq!(shown.status, Some(0), "{}", shown.stderr);
    let screen = format!("{}{}", shown.stdout, shown.stderr);
    assert!(
        screen.contains("NO SESSION") && screen.contains(&request.id),
        "{screen}"
    );
    site.approve("bob", &closing).expect("approved");
    site.wait_for_step(&closing, "rotated").expect("rotated");

    assert!(!probe(&site, &session));
    let view = site.view(&request).expect("there");
    assert_eq!(view["stage"], "closing", "{view}");
    assert_eq!(
        view["targets"][0]["state"]["state"], "not_observed",
        "{view}"
    );
    let shown = status(&site);
    assert!(
        shown.contains("denied by tag since") && shown.contains("not observed, ends at"),
        "{shown}"
    );
    let done = site.view(&closing).expect("there");
    assert_eq!(done["stage"], "closed");
    assert_eq!(
        done["outcome"].as_str(),
        Some(format!("{} is denied by its tag", request.id).as_str())
    );
    let none = site.credentials("dana", &closing).expect("it ends");
    assert_ne!(none.status, Some(0));
    let close = site
        .twotap("dana", &["--json", "close", &request.id])
        .expect("dana");
    let close: Value = close.json().expect("an object");
    assert_eq!(close["targets"][0]["state"]["state"], "not_observed");
    let record = site
        .twotap("dana", &["audit", "tail", "-n", "400", "--raw"])
        .expect("dana");
    let record = record.ok().expect("a record").stdout;
    assert_eq!(
        record.matches("BREAK_GLASS_ACCESS").count(),
        1,
        "one session, and not two"
    );
    assert!(!record.contains("SESSION_REVOKED"), "{record}");
}
