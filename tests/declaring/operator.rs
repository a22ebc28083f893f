//! At the command line without a terminal: what is refused before it is asked, what would be allowed, and a host that offers something else.

use twotap::trust::{Timestamp, request::Request, roster::Roster};

use crate::{
    bench::DANA,
    desk::Desk,
    paper::{NOT_FOR, PII, REASON, confirmed},
};

/// Everything that `outage` asks for, as options.
const OUTAGE: [(&str, &str); 6] = [
    ("--scenario", "outage"),
    ("--access", "admin"),
    ("--incident", "INC-42"),
    ("--reason", REASON),
    ("--commander", "ivan"),
    ("--not-for", NOT_FOR),
];

/// These options with one of them changed, added, or (where nothing stands there) left out.
fn outage_but(option: &'static str, value: Option<&'static str>) -> Vec<&'static str> {
    let others = OUTAGE.iter().filter(|(name, _)| *name != option);
    let mut args: Vec<&str> = others.flat_map(|(name, value)| [*name, *value]).collect();
    if let Some(value) = value {
        args.extend([option, value]);
    }
    args
}

#[test]
fn every_refusal_says_what_would_be_allowed_and_asks_nobody() {
    let desk = Desk::new();
    let cases: [(&str, Option<&str>, i32, &str, &str); 16] = [
        (
            "--scenario",
            None,
            2,
            "the request lacks --scenario",
            "--scenario outage|pii-access",
        ),
        (
            "--incident",
            None,
            2,
            "the request lacks --incident",
            "--incident like INC-[0-9]+",
        ),
        (
            "--reason",
            None,
            2,
            "the request lacks --reason",
            "--reason TEXT of 20 characters or more",
        ),
        (
            "--commander",
            None,
            2,
            "the request lacks --commander",
            "--commander ivan",
        ),
        (
            "--not-for",
            None,
            2,
            "the request lacks --not-for",
            "--not-for routine-change,expediency,avoiding-review, if it is none of these",
        ),
        (
            "--scenario",
            Some("fun"),
            2,
            "the roster has no scenario 'fun'",
            "it has: outage, pii-access",
        ),
        (
            "--access",
            Some("root"),
            2,
            "the roster has no such access profile",
            "it has: admin, one-user",
        ),
        (
            "--access",
            Some("one-user"),
            2,
            "the request lacks --subject",
            "--subject ID",
        ),
        (
            "--duration",
            Some("5h"),
            3,
            "access 'admin' in scenario 'outage' lasts 1 minute to 240 minutes",
            "ask for less time",
        ),
        (
            "--duration",
            Some("soon"),
            2,
            "'soon' is not a length of time",
            "",
        ),
        (
            "--reason",
            Some("down"),
            3,
            "the reason has 4 characters, and 20 are asked for",
            "in 20 characters or more",
        ),
        (
            "--incident",
            Some("CHG-1"),
            3,
            "the incident's id is no ticket of scenario 'outage'",
            "like INC-[0-9]+",
        ),
        (
            "--commander",
            Some("dana"),
            3,
            "'dana' is no commander of this vault",
            "commanders of this vault are: ivan",
        ),
        (
            "--not-for",
            Some("routine-change"),
            2,
            "the request lacks --not-for",
            "--not-for",
        ),
        (
            "--not-for",
            Some("fun"),
            2,
            "one of routine-change, expediency, avoiding-review",
            "",
        ),
        ("--subject", Some("*"), 2, "a subject has 1 to 128 of", ""),
    ];
    for (option, value, code, error, hint) in cases {
        let done = desk.request(&outage_but(option, value)).output();
        let said = done.err();
        assert_eq!(done.code(), code, "{option} {value:?}: {said}");
        assert!(
            said.starts_with("error: ") || said.contains("\nerror: "),
            "{said}"
        );
        assert!(said.contains(error), "{option} {value:?}: {said}");
        assert!(said.contains(hint), "{option} {value:?}: {said}");
        assert_eq!(desk.asked(), None, "{option} {value:?}: nobody was asked");
    }
    // All at once, in one line.
    let done = desk.request(&[]).output();
    let all = "error: the request lacks --incident, --scenario, --reason, --access, --not-for\n";
    assert_eq!(
        (done.code(), done.err().contains(all)),
        (2, true),
        "{}",
        done.err()
    );

    // And with all of it there is nothing to refuse.
    desk.request(&outage_but("--duration", Some("10m"))).json();
    let request = desk.asked().expect("asked");
    assert_eq!(request.confirmed, confirmed());
    assert_eq!(request.not_before.until(request.not_after), 600);
}

#[test]
fn a_scenario_with_one_access_profile_needs_no_access() {
    let desk = Desk::new();
    let args = [&PII[..], &["--duration", "20m"]].concat();
    let object = desk.request(&args).json();
    assert_eq!(
        (&object["scenario"], &object["subject"]),
        (&"pii-access".into(), &"u-4711".into())
    );
    let request = desk.asked().expect("asked");
    assert_eq!(request.access, "one-user");
    // And the vault need not be named where there is one alone.
    let all = [&["request"], &args[..]].concat();
    desk.bench.twotap(DANA, &all).json();
}

#[test]
fn a_declaration_in_the_environment_stands_for_reason_and_confirmation() {
    let desk = Desk::new();
    let args: Vec<&str> = OUTAGE
        .iter()
        .filter(|(name, _)| !matches!(*name, "--reason" | "--not-for"))
        .flat_map(|(name, value)| [*name, *value])
        .chain(["--duration", "10m"])
        .collect();
    let declared = |at: Timestamp| {
        desk.request(&args)
            .env("GOVERNED_BREAK_GLASS", "true")
            .env("BREAK_GLASS_REASON", REASON)
            .env("BREAK_GLASS_TIMESTAMP", at.to_string())
    };
    let now = Timestamp::now();
    let (code, error) = declared(now.plus(-16 * 60)).fails();
    assert_eq!(
        (code, error.contains("BREAK_GLASS_TIMESTAMP")),
        (3, true),
        "{error}"
    );
    let half = desk.request(&args).env("GOVERNED_BREAK_GLASS", "true");
    let (code, error) = half.fails();
    assert_eq!(
        (code, error.contains("BREAK_GLASS_REASON is not")),
        (2, true),
        "{error}"
    );
    // With a reason of its own, what is stale confirms nothing.
    let with_reason = [&args[..], &["--reason", REASON]].concat();
    let stale = desk
        .request(&with_reason)
        .env("GOVERNED_BREAK_GLASS", "true")
        .env("BREAK_GLASS_REASON", REASON)
        .env("BREAK_GLASS_TIMESTAMP", now.plus(-16 * 60).to_string());
    let (code, error) = stale.fails();
    assert_eq!((code, error.as_str()), (2, "the request lacks --not-for"));
    assert_eq!(desk.asked(), None);

    declared(now).json();
    let request = desk.asked().expect("asked");
    assert_eq!(
        (request.reason.as_str(), request.confirmed),
        (REASON, confirmed())
    );
}

#[test]
fn without_scenarios_everything_is_as_before() {
    let desk = Desk::of(|_| {});
    let args = ["--access", "admin", "--incident", "x", "--reason", "down"];
    desk.request(&args).json();
    let request = desk.asked().expect("asked");
    assert_eq!(request.scenario, None);
    assert_eq!(request.confirmed, []);
    let (code, error) = desk
        .request(&[&args[..], &["--scenario", "outage"]].concat())
        .fails();
    assert_eq!(
        (code, error.as_str()),
        (2, "the roster has no scenario 'outage'")
    );
    let (code, error) = desk.request(&["--incident", "x"]).fails();
    assert_eq!(
        (code, error.as_str()),
        (2, "the request lacks --reason, --access")
    );
}

#[test]
fn a_host_that_offers_other_terms_is_found() {
    let desk = Desk::new();
    // What the stand-in puts in by itself are no checks; a scenario without any is enough here.
    type Lie = fn(&mut Request);
    let lies: [(&str, Lie); 6] = [
        ("no scenario", |r| r.scenario = None),
        ("another subject", |r| r.subject = Some("u-1".to_owned())),
        ("about one subject", |r| r.subject = None),
        ("not confirmed", |r| r.confirmed.clear()),
        ("another earlier session", |r| {
            r.follows = Some("r-aaaaaaaaaaaaa".to_owned())
        }),
        ("the results are not those", |r| {
            r.checks = crate::paper::results()
        }),
    ];
    for (said, lie) in lies {
        desk.bench.agent.world().lie = Some(lie);
        let (code, error) = desk.request(&PII).fails();
        assert_eq!((code, error.contains(said)), (11, true), "{said}: {error}");
    }
}

#[test]
fn a_policy_file_becomes_the_next_roster_and_says_what_it_changes() {
    let desk = Desk::of(|_| {});
    let policy = |text: &str| desk.bench.write("policy.toml", text);
    let file = policy(
        r#"
[[scenario]]
name = "outage"
access = ["admin"]
max = "4h"
needs = ["ticket"]
ticket = "INC-[0-9]+"
"#,
    );
    let file = file.to_str().expect("plain");
    let propose = |out: &'static str| {
        let args = ["roster", "propose", "prod", "--policy", file, "-o", out];
        desk.bench.twotap(DANA, &args)
    };
    let proposed = propose("next.json").json();
    let said: Vec<&str> = proposed["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|c| c["text"].as_str())
        .collect();
    assert_eq!(
        said,
        [
            "every request has to name a scenario",
            "scenario outage can be named: access admin for at most 240 minutes, review due after 48 h",
        ]
    );
    let written = std::fs::read(desk.bench.home(DANA).join("next.json")).expect("written");
    let chain = twotap::trust::roster::parse_chain(&written).expect("a chain");
    let next: Roster = chain[1].unverified().expect("a roster");
    let scenario = next.scenario("outage").expect("there");
    assert_eq!((scenario.max_seconds, scenario.min_reason), (4 * 3600, 10));

    policy("[[scenario]]\nname = \"outage\"\naccess = [\"root\"]\n");
    let (code, error) = propose("other.json").fails();
    assert_eq!(
        (code, error.contains("the access profiles are admin")),
        (2, true),
        "{error}"
    );
}
