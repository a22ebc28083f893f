//! A scenario's checks at the agent: what they come to stands in the request, or ends it, and in the record either way.

use std::fs;

use serde_json::json;
use twotap::{
    protocol::{Code, job::Ask, socket::RequestView},
    trust::{
        request::{BannedUse, CheckResult, Offer},
        roster::{Check, Roster, Scenario},
    },
};
use twotap_rig::tools;

use crate::agent_support::{DANA, Host, Reply, paper, paper::Paper};

/// A host whose roster has the scenario `pii-access` with these checks and sinks, and `outage` without any.
pub(crate) fn host(checks: &[(&str, bool)], sinks: &[&str]) -> Host {
    let checks = checks.iter().map(|(name, required)| Check {
        name: (*name).to_owned(),
        required: *required,
    });
    let scenario = Scenario {
        name: "pii-access".into(),
        access: vec!["admin".into()],
        default_seconds: 3600,
        max_seconds: 3600,
        review_hours: 24,
        needs: Vec::new(),
        ticket: None,
        min_reason: 0,
        checks: checks.collect(),
        sinks: sinks.iter().map(|s| (*s).to_owned()).collect(),
    };
    let plain = Scenario {
        name: "outage".into(),
        checks: Vec::new(),
        sinks: Vec::new(),
        ..scenario.clone()
    };
    Host::prepare(Paper::of(&["alice", "bob"], |roster: &mut Roster, _| {
        roster.scenarios = vec![scenario, plain];
    }))
}

/// More of `agent.toml`.
pub(crate) fn configure(host: &Host, text: &str) {
    let path = host.path("agent.toml");
    let before = fs::read_to_string(&path).expect("a configuration");
    fs::write(path, before + text).expect("written");
}

/// Installs a check: a shell script.
fn install(host: &Host, name: &str, script: &str) {
    let path = host.path(name);
    tools::install_text(&format!("#!/bin/sh\n{script}\n"), &path).expect("a check");
    let table = format!("[checks.{name}]\nprogram = '{}'\n", path.display());
    let known = fs::read_to_string(host.path("agent.toml")).expect("a configuration");
    if !known.contains(&table) {
        configure(host, &table);
    }
}

pub(crate) fn pii() -> Ask {
    Ask {
        scenario: Some("pii-access".into()),
        subject: Some("user-4711".into()),
        confirmed: BannedUse::ALL.into(),
        ..paper::ask()
    }
}

pub(crate) fn outage() -> Ask {
    Ask {
        scenario: Some("outage".into()),
        ..pii()
    }
}

pub(crate) fn ask(host: &Host, ask: &Ask) -> Reply {
    host.call(DANA, "POST", "/v1/requests", ask)
}

fn results(view: &RequestView) -> Vec<CheckResult> {
    let Offer(request) = view.offer.unverified().expect("an offer");
    request.checks
}

fn result(name: &str, required: bool, passed: bool, output: &str) -> CheckResult {
    CheckResult {
        name: name.to_owned(),
        required,
        passed,
        output: output.to_owned(),
    }
}

#[test]
fn what_the_checks_say_stands_in_the_request_and_in_the_record() {
    let mut host = host(
        &[("ticket", true), ("down", false), ("nowhere", false)],
        &[],
    );
    // Each waits for the other: they run at the same time.
    let meet = |own: &str, other: &str| {
        let at = |name: &str| host.path("run").join(name).display().to_string();
        let (own, other) = (at(own), at(other));
        format!("/bin/cat > {own}.in; : > {own}; until [ -e {other} ]; do /bin/sleep 0.01; done")
    };
    let (one, two) = (meet("one", "two"), meet("two", "one"));
    install(
        &host,
        "ticket",
        &format!("{one}; echo 'the ticket is dana'\"'\"'s'"),
    );
    install(&host, "down", &format!("{two}; echo it answers; exit 1"));
    host.start_agent();
    let view: RequestView = ask(&host, &pii()).json();
    let expected = [
        result("ticket", true, true, "the ticket is dana's"),
        result("down", false, false, "it answers"),
        result(
            "nowhere",
            false,
            false,
            "this host has no program for it: see [checks] in agent.toml",
        ),
    ];
    assert_eq!(results(&view), expected);
    let recorded = host.events_named("BREAK_GLASS_REQUESTED").remove(0);
    assert_eq!(recorded.what["checks"], json!(expected));

    // What they were told.
    let told = fs::read(host.path("run/one.in")).expect("the input");
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    let asked = json!({
        "v": 1, "check": "ticket", "vault": "prod", "operator": "dana", "access": "admin",
        "scenario": "pii-access", "subject": "user-4711", "incident": "INC-42",
        "reason": "the login is down for everybody", "commander": "ivan",
        "duration_seconds": null, "follows": null,
    });
    assert_eq!(told, asked);

    // A scenario without checks runs none.
    let view: RequestView = ask(&host, &outage()).json();
    assert_eq!(results(&view), []);
    let recorded = host.events_named("BREAK_GLASS_REQUESTED").remove(1);
    assert!(!recorded.what.contains_key("checks"));
}

#[test]
fn a_required_check_that_has_not_passed_ends_the_request_on_record() {
    let mut host = host(&[("ticket", true), ("down", false)], &[]);
    install(&host, "ticket", "echo there is no such ticket; exit 1");
    install(&host, "down", "echo it is down");
    host.start_agent();
    let problem = ask(&host, &pii()).problem();
    assert_eq!(problem.code, Code::Refused);
    assert_eq!(
        problem.error,
        "required check ticket has not passed: there is no such ticket"
    );
    // Custodians are not asked, and no worker was.
    assert_eq!(host.worker.jobs("ceremony"), 0);
    assert!(host.status(DANA).requests.is_empty());
    let refused = host.events_named("REQUEST_REFUSED").remove(0);
    assert_eq!(refused.actor, "dana");
    assert_eq!(refused.incident_id.as_deref(), Some("INC-42"));
    assert_eq!(
        refused.justification.as_deref(),
        Some("the login is down for everybody")
    );
    assert_eq!(refused.what["why"], problem.error);
    let both = [
        result("ticket", true, false, "there is no such ticket"),
        result("down", false, true, "it is down"),
    ];
    assert_eq!(refused.what["checks"], json!(both));
    // The subject stands in no event as it is.
    let subject = refused.what["subject"].as_str().expect("a fingerprint");
    assert!(subject.starts_with("kid_dev:"), "{subject}");
    let line = serde_json::to_string(&refused).expect("a line");
    assert!(!line.contains("user-4711"), "{line}");

    // One that cannot tell is no yes either, and neither is one that is not there.
    install(&host, "ticket", "echo the tracker is down; exit 2");
    let problem = ask(&host, &pii()).problem();
    assert!(
        problem
            .error
            .ends_with("it could not be told: the tracker is down")
    );
    fs::remove_file(host.path("ticket")).expect("removed");
    let problem = ask(&host, &pii()).problem();
    assert!(problem.error.contains("No such file"), "{}", problem.error);
    // Nothing was held on to: more than may wait at once have been refused, and the next one is asked for.
    for _ in 0..4 {
        assert_eq!(ask(&host, &pii()).problem().code, Code::Refused);
    }
    install(&host, "ticket", "true");
    let view: RequestView = ask(&host, &pii()).json();
    assert_eq!(results(&view)[0], result("ticket", true, true, "passed"));
    assert_eq!(host.events_named("REQUEST_REFUSED").len(), 7);
}

#[test]
fn a_required_check_that_this_host_does_not_have_is_not_passed() {
    let mut host = host(&[("ticket", true)], &[]);
    host.start_agent();
    let said = "vault prod: scenario pii-access: check ticket: this host has no program for it";
    assert_eq!(host.status(DANA).degraded, [said]);
    let problem = ask(&host, &pii()).problem();
    assert_eq!(problem.code, Code::Refused);
    assert!(problem.error.contains("this host has no program for it"));
}

#[test]
fn a_worker_that_says_something_else_about_the_checks_is_not_believed() {
    let mut host = host(&[("ticket", false)], &[]);
    install(&host, "ticket", "exit 1");
    host.start_agent();
    for lie in [
        (|request| request.checks[0].passed = true) as fn(&mut twotap::trust::request::Request),
        |request| request.checks.clear(),
        |request| request.checks[0].output = "all is well".to_owned(),
        |request| request.scenario = None,
    ] {
        host.worker.told(|script| script.lie = Some(lie));
        let problem = ask(&host, &pii()).problem();
        assert_eq!(problem.code, Code::Tampering, "{}", problem.error);
    }
    assert!(host.status(DANA).requests.is_empty());
}
