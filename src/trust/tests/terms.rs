//! Scenarios: what a roster takes for one, and what a request is held to by whoever checks it.

use serde_json::json;

use super::people::{self, SoftToken, at, host, request, roster, signed};
use crate::trust::{
    Envelope, TrustError, Verified,
    request::{BannedUse, CheckResult, NOTHING_ALLOWED, Offer, Purpose, Request},
    roster::{Access, Change, Check, Needed, Person, Role, Roster, Scenario, changes},
    strict::Json,
};

fn outage() -> Scenario {
    Scenario {
        name: "outage".into(),
        access: vec!["admin".into()],
        default_seconds: 2 * 3600,
        max_seconds: 4 * 3600,
        review_hours: 48,
        needs: vec![Needed::Commander, Needed::Ticket, Needed::Subject],
        ticket: Some("INC-[0-9]+".into()),
        min_reason: 20,
        checks: vec![
            Check {
                name: "merged".into(),
                required: true,
            },
            Check {
                name: "down".into(),
                required: false,
            },
        ],
        sinks: vec!["siem".into()],
    }
}

/// The sample roster with one scenario, a commander, and a second access profile that no scenario goes with.
fn with_outage() -> Roster {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let mut roster = roster(2, &[&alice, &bob]);
    roster.people.push(Person {
        name: "ivan".into(),
        roles: vec![Role::Commander],
        ..roster.people[0].clone()
    });
    let other = Access {
        name: "read-only".into(),
        ..roster.access[0].clone()
    };
    roster.access.push(other);
    roster.scenarios = vec![outage()];
    roster
}

fn believed(roster: &Roster) -> Verified<Roster> {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    people::newest(&[signed(roster, &[&alice, &bob])])
}

fn result(name: &str, required: bool, passed: bool) -> CheckResult {
    CheckResult {
        name: name.into(),
        required,
        passed,
        output: "it says so".into(),
    }
}

/// A request on the scenario's terms.
fn on_its_terms(roster: &Verified<Roster>) -> Request {
    Request {
        scenario: Some("outage".into()),
        subject: Some("u-4711".into()),
        confirmed: BannedUse::ALL.to_vec(),
        checks: vec![result("merged", true, true), result("down", false, false)],
        ..request(roster)
    }
}

fn offer(request: Request, roster: &Verified<Roster>) -> Result<Verified<Offer>, TrustError> {
    Offer::verify(&Envelope::signed(&Offer(request), &host())?, roster)
}

#[test]
fn an_offer_is_held_to_its_scenario_whatever_worker_signed_it() {
    let roster = believed(&with_outage());
    offer(on_its_terms(&roster), &roster).expect("on its terms");
    type Change = fn(&mut Request);
    let changes: [(&str, Change); 15] = [
        ("names no scenario", |r| r.scenario = None),
        ("no scenario 'fun'", |r| r.scenario = Some("fun".into())),
        ("is not for access 'read-only'", |r| {
            r.access = "read-only".into()
        }),
        ("longer than", |r| {
            r.not_after = r.not_before.plus(4 * 3600 + 1)
        }),
        ("nobody is named", |r| r.commander_claimed = None),
        ("'sofia' is no commander", |r| {
            r.commander_claimed = Some("sofia".into())
        }),
        ("about one subject", |r| r.subject = None),
        ("no ticket of scenario 'outage'", |r| {
            r.incident = "INC-42; and more".into()
        }),
        ("has 4 characters, and 20", |r| r.reason = "down".into()),
        ("has 5 characters, and 20", |r| {
            r.reason = format!("do{}wn", " ".repeat(30))
        }),
        ("none of: expediency", |r| {
            r.confirmed.retain(|b| *b != BannedUse::Expediency)
        }),
        ("'merged' did not pass: it says so", |r| {
            r.checks[0].passed = false
        }),
        ("not those of the scenario's checks (merged, down)", |r| {
            r.checks.truncate(1)
        }),
        ("not those of the scenario's checks", |r| {
            r.checks.swap(0, 1)
        }),
        ("not those of the scenario's checks", |r| {
            r.checks[0] = result("merged", false, false)
        }),
    ];
    for (said, change) in changes {
        let mut bent = on_its_terms(&roster);
        change(&mut bent);
        let why = offer(bent, &roster).expect_err(said).to_string();
        assert!(why.contains(said), "{said}: {why}");
    }
}

#[test]
fn where_there_are_no_scenarios_none_is_named_and_no_check_was_run() {
    let mut bare = with_outage();
    bare.scenarios.clear();
    let roster = believed(&bare);
    offer(request(&roster), &roster).expect("as before");
    type Change = fn(&mut Request);
    let changes: [(&str, Change); 2] = [
        ("no scenario 'outage'", |r| {
            r.scenario = Some("outage".into())
        }),
        ("not those of the scenario's checks", |r| {
            r.checks = vec![result("merged", false, true)]
        }),
    ];
    for (said, change) in changes {
        let mut bent = request(&roster);
        change(&mut bent);
        let why = offer(bent, &roster).expect_err(said).to_string();
        assert!(why.contains(said), "{said}: {why}");
    }
}

#[test]
fn what_opens_no_session_declares_nothing() {
    let roster = believed(&with_outage());
    let drill = || Request {
        purpose: Purpose::Drill,
        regions: Vec::new(),
        policy_sha256: crate::trust::Digest::of(NOTHING_ALLOWED.as_bytes()),
        not_after: at("2026-01-06T13:00:00Z"),
        ..request(&roster)
    };
    offer(drill(), &roster).expect("a drill");
    type Change = fn(&mut Request);
    let changes: [Change; 5] = [
        |r| r.scenario = Some("outage".into()),
        |r| r.subject = Some("u-1".into()),
        |r| r.confirmed = BannedUse::ALL.to_vec(),
        |r| r.follows = Some("r-aaaaaaaaaaaaa".into()),
        |r| r.checks = vec![result("merged", true, true)],
    ];
    for change in changes {
        let mut bent = drill();
        change(&mut bent);
        let why = offer(bent, &roster).expect_err("refused").to_string();
        assert!(why.contains("declares what only a session needs"), "{why}");
    }
}

#[test]
fn a_template_that_asks_for_a_subject_gets_one_that_fits() {
    let mut about = with_outage();
    about.scenarios.clear();
    about.access[0].policy = Json(json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::people/${subject}/*"]}
    ]}));
    about.access[0].subject = Some("u-[0-9]+".into());
    let roster = believed(&about);
    let with = |subject: Option<&str>| {
        let asked = Request {
            subject: subject.map(str::to_owned),
            ..request(&roster)
        };
        offer(asked, &roster).map_err(|why| why.to_string())
    };
    with(Some("u-4711")).expect("one of them");
    for (subject, said) in [
        (None, "access 'admin' is about one subject"),
        (Some("u-4711x"), "none that access 'admin' is about"),
        (Some("*"), "1 to 128"),
        (Some("a/b"), "1 to 128"),
        (Some(""), "1 to 128"),
    ] {
        let why = with(subject).expect_err(said);
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn a_length_is_the_smaller_of_the_two_limits() {
    let mut roster = with_outage();
    let terms = |roster: &Roster, asked: Option<u32>| {
        let believed = believed(roster);
        let request = on_its_terms(&believed);
        let terms = believed.terms(&request.declared()).expect("on its terms");
        terms.seconds(asked).map_err(|why| why.to_string())
    };
    assert_eq!(terms(&roster, None), Ok(2 * 3600));
    assert_eq!(terms(&roster, Some(4 * 3600)), Ok(4 * 3600));
    let why = terms(&roster, Some(4 * 3600 + 1)).expect_err("over the scenario's");
    assert_eq!(
        why,
        "access 'admin' in scenario 'outage' lasts 1 minute to 240 minutes"
    );
    assert!(terms(&roster, Some(59)).is_err());
    roster.access[0].max_seconds = 3600;
    roster.access[0].default_seconds = 1800;
    assert_eq!(terms(&roster, None), Ok(3600));
    let why = terms(&roster, Some(3601)).expect_err("over the profile's");
    assert_eq!(why, "access 'admin' lasts 1 minute to 60 minutes");
}

#[test]
fn a_scenario_that_makes_no_sense_makes_no_roster() {
    Envelope::new(&with_outage()).expect("good");
    type Bend = fn(&mut Roster);
    let bends: [(&str, Bend); 15] = [
        ("twice", |r| r.scenarios.push(outage())),
        ("does not have", |r| {
            r.scenarios[0].access = vec!["root".into()]
        }),
        ("names no access profile", |r| r.scenarios[0].access.clear()),
        ("names an access profile twice", |r| {
            r.scenarios[0].access = vec!["admin".into(), "admin".into()]
        }),
        ("1 minute to 11 hours", |r| {
            r.scenarios[0].max_seconds = 11 * 3600 + 1
        }),
        ("1 minute to 11 hours", |r| {
            r.scenarios[0].default_seconds = 5 * 3600
        }),
        ("1 to 168 hours", |r| r.scenarios[0].review_hours = 0),
        ("needs the same twice", |r| {
            r.scenarios[0].needs = vec![Needed::Subject; 2]
        }),
        ("does not say how one looks", |r| {
            r.scenarios[0].ticket = None
        }),
        ("pattern", |r| r.scenarios[0].ticket = Some("INC-(".into())),
        ("longer reason than fits", |r| {
            r.scenarios[0].min_reason = 600
        }),
        ("runs a check twice", |r| {
            let check = r.scenarios[0].checks[0].clone();
            r.scenarios[0].checks.push(check);
        }),
        ("a name has", |r| {
            r.scenarios[0].checks[0].name = "../merged".into()
        }),
        ("waits for a sink twice", |r| {
            r.scenarios[0].sinks = vec!["siem".into(); 2]
        }),
        ("nobody is one", |r| {
            r.people.retain(|p| p.name != "ivan");
        }),
    ];
    for (said, bend) in bends {
        let mut bent = with_outage();
        bend(&mut bent);
        let why = Envelope::new(&bent).expect_err(said).to_string();
        assert!(why.contains(said), "{said}: {why}");
    }
    let mut both = with_outage();
    both.may_coincide = vec![[Role::Operator, Role::Operator]];
    assert!(Envelope::new(&both).is_err());
}

#[test]
fn what_a_version_changes_about_scenarios_is_said() {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let mut without = with_outage();
    without.scenarios.clear();
    let with = with_outage();
    let said = |before: &Roster, after: &Roster| -> Vec<(String, bool)> {
        let all = changes(before, after).into_iter();
        all.map(|Change { text, widens }| (text, widens)).collect()
    };
    let added = said(&without, &with);
    assert_eq!(
        added[0],
        ("every request has to name a scenario".into(), false)
    );
    assert!(
        added[1].0.starts_with("scenario outage can be named"),
        "{added:?}"
    );
    let removed = said(&with, &without);
    assert_eq!(
        removed[0],
        ("requests no longer name a scenario".into(), true)
    );

    let mut other = with_outage();
    other.scenarios[0].min_reason = 0;
    other.scenarios[0].checks.clear();
    other.may_coincide = vec![[Role::Operator, Role::Commander]];
    assert_eq!(
        said(&with, &other),
        [
            (
                "scenario outage means something else: how long a reason is, its checks".into(),
                true
            ),
            (
                "operator and commander of one request may be one person".into(),
                true
            ),
        ]
    );
    // A version without any of it is the same bytes as before there was any.
    let json = serde_json::to_string(&roster(2, &[&alice, &bob])).expect("json");
    assert!(
        !json.contains("scenario") && !json.contains("coincide"),
        "{json}"
    );
    let believed = believed(&without);
    let json = serde_json::to_string(&request(&believed)).expect("json");
    for field in ["scenario", "subject", "confirmed", "follows", "checks"] {
        assert!(!json.contains(field), "{json}");
    }
}
