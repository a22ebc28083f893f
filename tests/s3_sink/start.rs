//! With which settings, bucket and key it works at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use twotap::audit::sinks::S3Config;

use crate::record_at_aws::{Bench, SOON};

fn refused(bench: &Bench, table: &str, environment: Option<&str>) -> (String, String) {
    let config: Result<S3Config, _> = toml::from_str(table);
    let config = match config {
        Ok(config) => config,
        Err(why) => return (why.to_string(), String::new()),
    };
    let why = bench
        .open(config, environment)
        .map(|_| ())
        .expect_err(table);
    assert!(bench.proxy.calls().is_empty());
    (why.to_string(), why.hint().unwrap_or_default().to_owned())
}

#[test]
fn without_a_mode_it_does_not_start_and_says_so_by_name() {
    let bench = Bench::without_bucket();
    let (why, hint) = refused(&bench, &bench.table(""), None);
    assert!(why.contains("WORM_MODE_REQUIRED_BUT_NOT_SET"), "{why}");
    assert!(hint.contains("COMPLIANCE"), "{hint}");
    let config: S3Config = toml::from_str(&bench.table("")).expect("a table");
    assert!(bench.open(config, Some("COMPLIANCE")).is_ok());
    let (why, _) = refused(&bench, &bench.table(""), Some("OFF"));
    assert!(why.contains("KILL_SWITCH_AUDIT_WORM_MODE"), "{why}");
}

#[test]
fn bad_settings_are_refused_with_their_key() {
    let bench = Bench::without_bucket();
    let table = bench.table("mode = 'GOVERNANCE'");
    for (from, to, words) in [
        (bench.bucket.as_str(), "A_B", "bucket"),
        ("bg-1/", "bg-1", "prefix"),
        ("eu-central-1'\ncred", "eu central'\ncred", "region"),
        ("http://127.0.0.1", "http://192.0.2.7", "plain http"),
        ("'GOVERNANCE'", "'BOTH'", "mode"),
        (
            "'GOVERNANCE'",
            "'GOVERNANCE'\nretention_days = 0",
            "retention_days",
        ),
        (
            "'GOVERNANCE'",
            "'GOVERNANCE'\nretention_day = 1",
            "retention_day",
        ),
        ("audit-writer.json", "nobody.json", "credential"),
    ] {
        let changed = table.replacen(from, to, 1);
        assert_ne!(changed, table, "{from}");
        let (why, _) = refused(&bench, &changed, None);
        assert!(why.contains(words), "{words}: {why}");
    }
    fs::set_permissions(&bench.key, fs::Permissions::from_mode(0o644)).expect("changed");
    let (why, hint) = refused(&bench, &table, None);
    assert!(why.contains("credential") && why.contains("0644"), "{why}");
    assert!(hint.contains("0600"), "{hint}");
}

#[test]
fn a_bucket_that_keeps_nothing_gets_nothing() {
    let bench = Bench::without_bucket();
    bench.make_bucket(false);
    bench.record(2);
    let sinks = bench.run(bench.sink());
    let why = bench.failure(&sinks).to_string();
    assert!(why.contains("Object Lock"), "{why}");
    drop(sinks);
    assert_eq!(bench.keys(), [""; 0]);
}

#[test]
fn a_key_that_may_lift_locks_is_not_used() {
    let bench = Bench::new();
    bench.record(2);
    let mut policy = bench.shipped();
    let statements = policy["Statement"].as_array_mut().expect("a list");
    for statement in statements {
        for list in ["Action", "NotAction"] {
            let list = statement.get_mut(list).and_then(|l| l.as_array_mut());
            if let Some(list) = list
                && list.iter().any(|a| a == "s3:PutObject")
            {
                list.push("s3:BypassGovernanceRetention".into());
            }
        }
    }
    bench.allow(&policy);
    let sinks = bench.run(bench.sink());
    let why = bench.failure(&sinks).to_string();
    assert!(why.contains("s3:BypassGovernanceRetention"), "{why}");
    assert_eq!(bench.keys(), [""; 0]);
    // Taken from it, the sink goes on by itself.
    bench.allow(&bench.shipped());
    bench.wait_held(&sinks, 2);
    assert_eq!(bench.held(), bench.lines());
    assert!(sinks.shutdown(SOON));
}
