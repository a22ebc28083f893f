//! What people see of it: the whole site, and an AWS half of which is down.

use std::{fs::File, io::Write as _};

use serde_json::Value;
use twotap_rig::{
    Fault, Rule, Site, When,
    site::{CUSTODIANS, Options, Requested},
    world,
};

fn ready() -> Site {
    let site = Site::ready(Options::default()).expect("a site");
    let toml = site.stage().home("worker").join("worker.toml");
    let toml = File::options().append(true).open(toml);
    let mut toml = toml.expect("a configuration");
    let limits = b"\n[limits]\nrotation_seconds = 3\n";
    toml.write_all(limits).expect("written");
    site
}

fn opened(site: &Site, reason: &str) -> Requested {
    let request = site.request("INC-1", reason).expect("asked");
    for (name, ..) in CUSTODIANS {
        site.approve(name, &request).expect("approved");
    }
    request
}

fn status(site: &Site, name: &str) -> String {
    let status = site.twotap(name, &["status"]).expect("a person").ok();
    status.expect("a status").stdout
}

#[test]
fn iam_down_for_the_whole_incident_shows_as_degraded_until_the_next_two_taps_repair_it() {
    let site = ready();
    let down = Rule::new("iam:*", When::Always, Fault::Unreachable);
    site.world().proxy().add(down);
    let request = opened(&site, "IAM is down, STS is not");
    let session = site.wait_for_credentials(&request).expect("open");
    let probe = site.world().session_probe(&session).expect("an answer");
    assert!(probe.is_ok(), "{probe:?}");
    site.wait_for_step(&request, "rotation_pending")
        .expect("pending");
    for person in ["dana", "sofia"] {
        let shown = status(&site, person);
        let line = shown
            .lines()
            .find(|l| l.starts_with("degraded: vault prod: rotation pending"));
        let line = line.unwrap_or_else(|| panic!("not degraded: {shown}"));
        assert!(line.contains("iam:ListAccessKeys"), "{line}");
        assert!(line.contains("look at the state in aws"), "{line}");
    }
    let record = site.twotap("sofia", &["audit", "tail"]).expect("sofia");
    let record = record.ok().expect("the record").stdout;
    assert!(record.contains("CREDENTIAL_ROTATION_PENDING"), "{record}");

    site.world().proxy().clear_rules();
    let request = opened(&site, "to put the key right");
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    let keys = site.world().list_keys(world::USER).expect("a list");
    assert_eq!(keys.len(), 1, "{keys:?}");
    let shown = status(&site, "dana");
    assert!(!shown.contains("degraded"), "{shown}");
}

#[test]
fn a_session_that_aws_refuses_is_told_to_the_operator_with_what_to_do() {
    let site = ready();
    let denied = Rule::new("sts:AssumeRole", When::Always, Fault::denied());
    site.world()
        .proxy()
        .add(denied.with("RoleSessionName", "dana"));
    let request = opened(&site, "AWS will say no");
    site.wait_for_step(&request, "mint_failed").expect("failed");
    let told = |done: twotap_rig::site::Done| {
        assert_eq!(done.status, Some(3), "{done:?}");
        assert!(done.stdout.is_empty());
        done.stderr
    };
    // From the failure on the tag is denied as well: whether AWS made a session nobody here can know.
    let credentials = site.credentials("dana", &request).expect("it ends");
    let said = told(credentials);
    let view: Value = site.view(&request).expect("there");
    let all = format!("{said}{view}");
    for word in [
        "the operator's session could not be had",
        "AccessDenied",
        "compare the policies of the caller",
    ] {
        assert!(all.contains(word), "no {word:?} in {all}");
    }
}
