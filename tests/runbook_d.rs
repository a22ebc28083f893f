//! Runbook D: an alert on a bypass of the write-once audit store.
//!
//! The path is proven before it is needed; a bypass is told with who, where and what; whoever is on call follows the triage page, every command of
//! which is run here as it stands there; a theft is told while the agent is silent, and accounted for afterwards.

mod runbook_support;

use std::time::Duration;

use runbook_support::{approved_by_two, asks, at_home, by, events, site};
use serde_json::{Value, json as value};
use twotap_rig::{
    Site,
    alerts::{Alerts, s3, somebody},
    site::Done,
    tools, trail,
};

const PAGE: &str = include_str!("../packaging/runbooks/triage.md");
const SOON: Duration = Duration::from_secs(60);
const TAMPERING: i32 = 11;
/// Under which the record stands in the bucket.
const PREFIX: &str = "bg/";

/// The commands of the page, in their order; those that go on in the next line are whole.
fn commands() -> Vec<&'static str> {
    let lines = PAGE.lines().map(str::trim_start);
    lines.filter_map(|line| line.strip_prefix("$ ")).collect()
}

fn fields(alert: &str) -> Value {
    serde_json::from_str(alert).unwrap_or_else(|why| panic!("{why}: {alert}"))
}

fn of<'a>(alerts: &'a [String], kind: &str) -> Vec<&'a String> {
    let is = |alert: &&String| {
        fields(alert)["alert"]
            .as_str()
            .is_some_and(|t| t.starts_with(kind))
    };
    alerts.iter().filter(is).collect()
}

/// Runs a line of the page in a shell, as this person with the responder's own credentials.
fn runs(site: &Site, name: &str, line: &str, environment: &[(&str, String)]) -> Done {
    let aws = tools::script("aws").expect("the AWS CLI");
    let aws = aws.parent().expect("a folder").display();
    let path = format!("{}:{aws}:/usr/bin:/bin", site.programs().display());
    let line = format!("cd \"$HOME\" && {line}");
    let mut run = site
        .run(name, "/bin/sh".into(), &["-c", &line])
        .expect("a person")
        .env("PATH", path)
        .env("TWOTAP_AGENT", site.socket());
    for (name, text) in environment {
        run = run.env(name, text);
    }
    run.go().expect("it ends")
}

#[test]
fn every_alert_that_aws_sends_is_on_the_page_and_no_other() {
    let site = twotap_rig::stack::Stack::shipped("111122223333", "eu-central-1").expect("a stack");
    let mut named: Vec<String> = Vec::new();
    for rule in site.rules().expect("rules") {
        let Some(transformer) = rule.transformer() else {
            continue;
        };
        let template = transformer["InputTemplate"].as_str().expect("a template");
        let title = template.split("\"alert\": \"").nth(1).expect("a title");
        let (title, _) = title.split_once(':').expect("a kind");
        named.push(title.to_owned());
        // And the alert leads to the page.
        assert!(
            template.contains("packaging/runbooks/triage.md"),
            "{template}"
        );
    }
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let mut shown: Vec<String> = rows
        .filter_map(|row| Some(row.split('`').nth(1)?.to_owned()))
        .collect();
    named.sort();
    shown.sort();
    assert_eq!(named, shown);
}

/// Has the agent send its record to the audit bucket, write once; without a mode it does not start.
fn records_to(site: &mut Site, bucket: &str) {
    let writer = [
        "s3:PutObject",
        "s3:PutObjectRetention",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectRetention",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:GetBucketVersioning",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketPolicy",
        "iam:SimulatePrincipalPolicy",
    ];
    let writer = somebody(site.world(), "audit-writer", &writer).expect("a user");
    let key = value!({"AccessKey": {
        "UserName": "audit-writer", "AccessKeyId": writer.access_key_id, "Status": "Active",
        "SecretAccessKey": writer.secret_access_key, "CreateDate": "2026-01-06T10:00:00+00:00",
    }});
    let key = key.to_string();
    let stage = site.stage();
    let key = stage.write("agent", "audit-writer.json", key.as_bytes(), 0o600);
    let key = key.expect("written");
    let config = stage.home("agent").join("agent.toml");
    let before = std::fs::read_to_string(&config).expect("its configuration");
    let sink = format!(
        "{before}\n[sinks.worm]\nkind = \"s3\"\nbucket = {bucket:?}\nprefix = {PREFIX:?}\nregion = {:?}\ncredential = {key:?}\nendpoint = {:?}\n",
        site.world().region(),
        site.world().endpoint(),
    );
    site.stop_agent();
    std::fs::write(&config, &sink).expect("written");
    let refused = site.start_agent().expect_err("no mode is named");
    let said = refused.to_string();
    assert!(said.contains("WORM_MODE_REQUIRED_BUT_NOT_SET"), "{said}");
    std::fs::write(&config, sink + "mode = \"GOVERNANCE\"\n").expect("written");
    site.start_agent().expect("it starts");
}

/// Waits until the bucket has the record up to this event, and gives the key of an object in the middle of it.
fn held(site: &Site, bucket: &str, key: &twotap_rig::Credentials, seq: u64) -> String {
    let begun = std::time::Instant::now();
    let list = value!([{"call": "list_objects_v2", "with": {"Bucket": bucket, "Prefix": format!("{PREFIX}events/")}}]);
    loop {
        let listed = s3(&site.world().endpoint(), key, &list).expect("python");
        let listed = listed[0]["answer"]["Contents"].as_array().cloned();
        let keys = listed.into_iter().flatten();
        let keys: Vec<String> = keys
            .filter_map(|one| Some(one["Key"].as_str()?.to_owned()))
            .collect();
        // PREFIXevents/FIRST-LAST-HASH.jsonl
        let last = keys
            .iter()
            .filter_map(|key| key.split('-').nth_back(1)?.parse::<u64>().ok());
        if keys.len() >= 3 && last.max().is_some_and(|last| last >= seq) {
            return keys[1].clone();
        }
        assert!(
            begun.elapsed() < SOON,
            "{seq}: {keys:#?} {} {}",
            by(site, "sofia", &["status"]).stdout,
            site.agent_log()
        );
    }
}

#[test]
fn a_bypass_is_told_triaged_frozen_and_accounted_for() {
    let mut site = site("", |_| {});
    let alerts = Alerts::stand(site.world()).expect("alerts");
    records_to(&mut site, alerts.bucket());
    let world = site.world();
    let account = world.account().to_owned();
    let responder = somebody(world, "responder", &["*"]).expect("a user");
    let bucket = alerts.bucket().to_owned();
    let trail_bucket = format!("twotap-trail-{account}-{}", world.region());

    // A ceremony is P2: its alerts name its number and its operator.
    let ask = [
        "--access",
        "admin",
        "--incident",
        "INC-42",
        "--reason",
        "the database is down",
    ];
    let request = asks(&site, &ask);
    approved_by_two(&site, &request);
    site.wait_for_step(&request, "rotated").expect("rotated");
    site.close(&request).expect("closed");
    let opened = |came: &[String]| {
        let used = of(came, "BREAK-GLASS USED");
        used.iter().any(|alert| {
            let what = fields(alert)["request_parameters"].to_string();
            what.contains(&request.id)
                && what.contains("\"sourceIdentity\":\"dana\"")
                && what.contains("op-admin")
        })
    };
    let came = alerts
        .wait(SOON, opened)
        .expect("the alert of the ceremony");
    // What the closing did to its own revocation is no alarm.
    assert!(of(&came, "REVOCATION REMOVED").is_empty(), "{came:#?}");

    // Somebody of the account goes around the lock of a line of the record, with every right to, and no ticket.
    let insider = somebody(world, "insider", &["s3:*"]).expect("a user");
    let last = events(&site, &request).pop().expect("events");
    let key = held(
        &site,
        &bucket,
        &responder,
        last["seq"].as_u64().expect("a number"),
    );
    let listed = s3(
        &world.endpoint(),
        &responder,
        &value!([{"call": "list_object_versions", "with": {"Bucket": bucket, "Prefix": key}}]),
    );
    let version = listed.expect("python")[0]["answer"]["Versions"][0]["VersionId"].clone();
    let gone = s3(
        &world.endpoint(),
        &insider,
        &value!([{"call": "delete_object", "with": {
            "Bucket": bucket, "Key": key, "VersionId": version, "BypassGovernanceRetention": true,
        }}]),
    );
    assert_eq!(gone.expect("python")[0]["ok"], true);
    let kind = "GOVERNANCE BYPASS";
    let came = alerts.wait(SOON, |came| !of(came, kind).is_empty());
    let came = came.expect("the alert");
    let mail = fields(of(&came, kind)[0]);
    // Enough for triage without a console.
    let actor = mail["actor_arn"].as_str().expect("who");
    assert_eq!(actor, format!("arn:aws:iam::{account}:user/insider"));
    assert_eq!(mail["source_ip"], "127.0.0.1");
    assert_eq!(mail["request_parameters"]["key"], key.as_str());
    assert_eq!(mail["account"], account.as_str());
    for field in ["event", "time", "region"] {
        assert!(
            mail[field].as_str().is_some_and(|text| !text.is_empty()),
            "{mail}"
        );
    }

    // What CloudTrail keeps, where it keeps it.
    let made = s3(
        &format!("http://{}", world.admin().endpoint()),
        &root(&account),
        &value!([
            {"call": "create_bucket", "with": {"Bucket": trail_bucket,
                "CreateBucketConfiguration": {"LocationConstraint": world.region()}}},
            {"call": "put_object", "with": {"Bucket": trail_bucket,
                "Key": format!("AWSLogs/{account}/CloudTrail/eu-central-1/2026/01/06/x.json"),
                "Body": trail::as_file(&world.proxy().trail())}},
        ]),
    );
    assert!(made.expect("python").iter().all(|one| one["ok"] == true));

    // The page, line by line, with what the mail says.
    let revoke = format!("twotap-revoke-{}-4102444800", request.id);
    let environment = [
        ("WHO", actor.rsplit('/').next().expect("a name").to_owned()),
        ("SINCE", "2026-01-05T10:00:00Z".to_owned()),
        ("INCIDENT", "INC-43".to_owned()),
        ("BUCKET", bucket.clone()),
        ("PREFIX", PREFIX.to_owned()),
        ("TRAIL", trail_bucket),
        ("OP_ROLE", "op-admin".to_owned()),
        ("POLICY", revoke),
        ("REQUEST", request.id.clone()),
        ("AWS_ENDPOINT_URL", world.endpoint()),
        ("AWS_DEFAULT_REGION", world.region().to_owned()),
        ("AWS_ACCESS_KEY_ID", responder.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", responder.secret_access_key.clone()),
    ];
    // The same name for a role, so that both forms of freezing find somebody.
    let trust = value!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}},
    ]});
    let role = [
        ("RoleName", "insider"),
        ("AssumeRolePolicyDocument", &*trust.to_string()),
    ];
    let role = world.admin().query("iam", "CreateRole", &role);
    assert!(role.expect("an answer").is_ok());
    let lines = commands();
    assert!(lines.len() >= 12, "{lines:?}");
    for line in lines {
        // Only an operator asks, also for what closes.
        let name = if line.starts_with("twotap request") {
            "dana"
        } else {
            "sofia"
        };
        let done = runs(&site, name, line, &environment);
        // The line of the record that is gone from the bucket is found missing there.
        let missing = line.starts_with("twotap audit verify --s3");
        let (out, err) = (&done.stdout, &done.stderr);
        let code = if missing { TAMPERING } else { 0 };
        assert_eq!(done.status, Some(code), "{line}\n{out}\n{err}");
        if missing {
            let name = key.rsplit('/').next().expect("a name");
            let number = |part: &str| part.trim_start_matches('0').to_owned();
            let mut ends = name.split('-').take(2).map(number);
            let (from, to) = (ends.next().expect("a number"), ends.next().expect("two"));
            // How many events one object has depends on how they came.
            let said = match from == to {
                true => format!("event {from} is missing in the bucket"),
                false => format!("events {from} to {to} are missing in the bucket"),
            };
            assert!(err.contains(&said), "{said}: {err}");
        }
        if line.starts_with("aws s3api list-object-versions") {
            assert!(
                !done.stdout.contains(version.as_str().expect("a version")),
                "{}",
                done.stdout
            );
        }
        if line.starts_with("aws iam put-user-policy") {
            let again = s3(
                &world.endpoint(),
                &insider,
                &value!([{"call": "list_buckets", "with": {}}]),
            );
            assert_eq!(again.expect("python")[0]["code"], "AccessDenied", "frozen");
        }
    }
    assert_eq!(world.proxy().broken(), [""; 0]);

    // The agent is gone, and the sealed key is used: AWS tells it by itself, and the record that was exported does not account for it.
    let stolen = world.proxy().keys_made().last().expect("a key").clone();
    site.stop_agent();
    let _ = alerts.take();
    let world = site.world();
    let used = world
        .through_proxy(stolen)
        .query("sts", "GetCallerIdentity", &[]);
    assert!(used.expect("an answer").is_ok());
    let kind = "BREAK-GLASS USED";
    let told = |came: &[String]| {
        let used = of(came, kind);
        used.iter().any(|alert| {
            fields(alert)["event"] == "GetCallerIdentity"
                && fields(alert)["actor_arn"] == world.user_arn()
        })
    };
    alerts.wait(SOON, told).expect("the alert of the theft");
    let last = world.proxy().trail();
    let path = at_home(&site, "sofia", "later.json");
    // Long after the last worker: the emulator's clock cannot wait, the export can say so.
    let mut theft = last.last().expect("a record").clone();
    theft["eventTime"] = "2100-01-01T00:00:00Z".into();
    std::fs::write(&path, trail::as_file(&[theft])).expect("written");
    let record = at_home(&site, "sofia", "record");
    let done = by(
        &site,
        "sofia",
        &["audit", "reconcile", &path, "--export", &record],
    );
    assert_eq!(
        done.status,
        Some(TAMPERING),
        "{} {}",
        done.stdout,
        done.stderr
    );
    assert!(
        done.stdout.contains("UNMATCHED") && done.stdout.contains(&world.user_arn()),
        "{}",
        done.stdout
    );
}

fn root(account: &str) -> twotap_rig::Credentials {
    twotap_rig::Credentials {
        access_key_id: account.to_owned(),
        secret_access_key: "not-checked".to_owned(),
        session_token: None,
    }
}
