//! Runbook B: emergency access to production.
//!
//! A critical outage that the standard procedures do not resolve. Three roles, three people: ivan commands, dana acts, sofia watches and reviews.

mod runbook_support;

use age::secrecy::ExposeSecret as _;
use runbook_support::{
    BANNED, FINDINGS, REFUSED, approved_by_two, asks, at_home, deadline, event, events, file,
    is_refused, json, lets_in, says, seconds, site,
};
use serde_json::json as value;
use twotap::trust::Timestamp;
use twotap_rig::tools;

const POLICY: &str = r#"
[[scenario]]
name = "outage"
access = ["admin"]
default = "4h"
max = "8h"
review_hours = 48
needs = ["commander", "ticket"]
ticket = "INC-[0-9]+"
min_reason = 20
"#;

#[test]
fn production_is_down_and_three_people_bring_it_back() {
    let key = age::x25519::Identity::generate();
    let site = site(POLICY, |options| {
        options.recipient = key.to_public().to_string();
    });
    let first_key = site.world().first_key().clone();

    // The trigger is declared: what it is, for which incident, and who commands.
    let request = asks(
        &site,
        &[
            "--scenario",
            "outage",
            "--incident",
            "INC-42",
            "--reason",
            "checkout is down and the failover job fails since 09:40",
            "--commander",
            "ivan",
            "--not-for",
            BANNED,
        ],
    );

    // The incident commander authorises, and records nature, expected impact, and why standard procedures do not do. Nobody else can.
    let confirm = ["confirm", request.id.as_str(), "--yes"];
    for other in ["dana", "alice", "sofia"] {
        is_refused(&site, other, &confirm, REFUSED, "");
    }
    let said = json(&site, "dana", &["status"]);
    assert_eq!(said["requests"][0]["commander"], value!({ "name": "ivan" }));
    let word = [
        "--nature",
        "checkout refuses every order",
        "--impact",
        "no sales in any shop",
        "--why",
        "the failover job itself is what fails",
    ];
    says(&site, "ivan", &[&confirm[..], &word].concat());
    let authorised = event(&site, &request, "BREAK_GLASS_AUTHORISED");
    assert_eq!(authorised["actor"], "ivan");
    assert!(
        authorised["who"]
            .as_str()
            .is_some_and(|who| who.starts_with("uid:61014@"))
    );
    assert_eq!(authorised["what"]["impact"], "no sales in any shop");

    // Credentials come from a vault that opens to two custodians' tokens.
    let session = approved_by_two(&site, &request);

    // They are used as the runbook has it: a profile named break-glass, and who one is with it.
    says(
        &site,
        "dana",
        &["setup", "aws-profile", "--region", "eu-central-1", "--yes"],
    );
    let identity = || {
        let endpoint = site.world().endpoint();
        let args = [
            "--endpoint-url",
            &endpoint,
            "sts",
            "get-caller-identity",
            "--profile",
            "break-glass",
        ];
        let aws = tools::script("aws").expect("the AWS CLI");
        let run = site.run("dana", aws, &args).expect("dana");
        run.env("TWOTAP_AGENT", site.socket())
            .go()
            .expect("it ends")
    };
    let seen = identity();
    assert_eq!(seen.status, Some(0), "{}", seen.stderr);
    assert!(
        seen.stdout.contains("assumed-role/op-admin/dana"),
        "{}",
        seen.stdout
    );

    // Least privilege: what the profile does not allow is refused, also to the operator of an emergency.
    let call = site.world().through_proxy(session.clone());
    let user = call.query("iam", "CreateUser", &[("UserName", "back-door")]);
    assert!(!user.expect("an answer").is_ok());

    // What dana does is put on record as it is done.
    let done = "restarted the failover job by hand";
    says(&site, "dana", &["note", "--session", &request.id, done]);
    let action = event(&site, &request, "BREAK_GLASS_ACTION");
    assert_eq!(action["actor"], "dana");
    assert_eq!(action["what"]["note"], done);

    // And where it can be, what the terminal shows is recorded.
    let command = ["sh", "-c", "echo the failover job runs again"];
    let exec = ["exec", request.id.as_str(), "--record", "--"];
    says(&site, "dana", &[&exec[..], &command].concat());

    // The officer watches while it happens.
    let watched = says(&site, "sofia", &["status"]);
    for said in [&*request.id, "INC-42", "dana", "open"] {
        assert!(watched.contains(said), "{said}: {watched}");
    }
    // One line a minute in which they are handed out.
    let mut delivered = events(&site, &request);
    delivered.retain(|e| e["event_type"] == "CREDENTIALS_DELIVERED");
    assert!(!delivered.is_empty());
    assert!(delivered.iter().all(|e| e["actor"] == "dana"));

    // Resolved: the credentials are revoked at once, and seen refused. The key that opened the session was dead before.
    site.wait_for_step(&request, "rotated").expect("rotated");
    site.close(&request).expect("closed");
    assert!(!lets_in(&site, &session));
    assert_ne!(identity().status, Some(0));
    assert!(!site.world().key_works(&first_key).expect("an answer"));
    let keys = site.world().list_keys("break-glass").expect("the keys");
    assert_eq!(keys.len(), 1);

    // The review: due, then done by the officer, who was nothing else in it.
    let due = says(&site, "sofia", &["status"]);
    // Not a minute of the 48 h may have gone.
    let soon = ["due in 48 h", "due in 47 h"];
    assert!(soon.iter().any(|words| due.contains(words)), "{due}");
    let key = key.to_string();
    let own = file(&site, "sofia", "officer.key", key.expose_secret());
    let cast = at_home(&site, "sofia", "session.cast");
    let replay = [
        "replay",
        request.id.as_str(),
        "--identity",
        &own,
        "--export",
        &cast,
    ];
    says(&site, "sofia", &replay);
    let seen = std::fs::read_to_string(&cast).expect("a recording");
    assert!(seen.contains("the failover job runs again"), "{seen}");
    // Nobody else gets at it, with that key either.
    let copy = file(&site, "alice", "officer.key", key.expose_secret());
    let export = at_home(&site, "alice", "session.cast");
    let theirs = [
        "replay",
        request.id.as_str(),
        "--identity",
        &copy,
        "--export",
        &export,
    ];
    is_refused(&site, "alice", &theirs, REFUSED, "");
    let findings = file(&site, "sofia", "findings.toml", FINDINGS);
    let review = [
        "review",
        request.id.as_str(),
        "--findings",
        findings.as_str(),
    ];
    says(&site, "sofia", &review);
    let theirs = file(&site, "alice", "findings.toml", FINDINGS);
    is_refused(
        &site,
        "alice",
        &["review", &request.id, "--findings", &theirs],
        REFUSED,
        "",
    );

    // The formal report: incident, actions, findings, lessons.
    let report = json(&site, "sofia", &["report", &request.id]);
    assert_eq!(report["incident"]["scenario"], "outage");
    assert_eq!(report["actions"][0]["text"], done);
    let statement = &report["incident"]["commander"]["statement"];
    assert_eq!(statement["nature"], "checkout refuses every order");
    assert_eq!(statement["why"], "the failover job itself is what fails");
    let parts = report["people"].as_array().expect("people").iter();
    let parts: Vec<(String, String)> = parts
        .map(|p| [&p["did"], &p["name"]].map(|v| v.as_str().expect("a word").to_owned()))
        .map(|[did, name]| (did, name))
        .collect();
    for (did, name) in [
        ("asked", "dana"),
        ("authorised", "ivan"),
        ("approved", "alice"),
        ("approved", "bob"),
        ("closed", "dana"),
        ("reviewed", "sofia"),
    ] {
        assert!(
            parts.contains(&(did.to_owned(), name.to_owned())),
            "{did} {name}: {parts:?}"
        );
    }
    assert!(
        report["findings"]
            .as_str()
            .is_some_and(|f| f.contains("second database"))
    );
    for what in [
        "access ended",
        "sealed key replaced, the old one dead",
        "reviewed by an officer",
    ] {
        assert_eq!(deadline(&report, what)["kept"], "in_time", "{what}");
    }
    let review = &report["review"];
    assert_eq!(seconds(&review["closed"], &review["due"]), 48 * 3600);
    let shown = says(&site, "sofia", &["report", &request.id]);
    for said in [
        "checkout refuses every order",
        "ivan, confirmed",
        "10. Review",
        "lookup-events",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }

    // It also feeds the quarterly access review and the evidence.
    let today = Timestamp::now().to_string();
    let month: u8 = today[5..7].parse().expect("a month");
    let quarter = format!("{}Q{}", &today[..4], (month - 1) / 3 + 1);
    let all = json(&site, "sofia", &["report", "--quarter", &quarter]);
    assert_eq!(all["totals"]["sessions"], 1);
    assert_eq!(all["totals"]["reviewed"], 1);
    assert_eq!(all["requests"][0]["commander"]["name"], "ivan");
    let to = at_home(&site, "sofia", "evidence");
    says(&site, "sofia", &["audit", "export", "-o", &to]);
    says(&site, "sofia", &["audit", "verify", "--export", &to]);
    let names: Vec<String> = events(&site, &request)
        .iter()
        .filter_map(|e| e["event_type"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(
        names.last().map(String::as_str),
        Some("REVIEW_SIGNED"),
        "{names:?}"
    );
}
