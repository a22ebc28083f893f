//! `twotap aws check` at an account of the emulator's: nothing is said where nothing differs, each kind of difference is found with its risk,
//! and the commands that it prints mend it.

mod aws_stack;
#[path = "aws_check/breaks.rs"]
mod breaks;
#[path = "aws_check/whole.rs"]
mod whole;

use std::process::Output;

use aws_stack::{Account, said};
use serde_json::Value;
use whole::Whole;

fn check(account: &Account, arguments: &[&str], key: Option<(&str, &str)>) -> Output {
    account
        .program(env!("CARGO_BIN_EXE_twotap"), key)
        .args(["aws", "check"])
        .args(arguments)
        .output()
        .expect("twotap runs")
}

/// The check's own account of it, and how it ended.
fn outcome(account: &Account) -> (Value, Option<i32>) {
    let done = check(account, &["--json"], None);
    let outcome = serde_json::from_slice(&done.stdout);
    (
        outcome.unwrap_or_else(|why| panic!("{why}: {}", said(&done))),
        done.status.code(),
    )
}

fn texts<'a>(of: &'a Value, field: &str) -> Vec<&'a str> {
    of[field]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn each_kind_of_difference_is_found_and_its_commands_mend_it() {
    let account = Whole::new();
    // What comes and goes by itself, or is somebody's own to decide, is no difference.
    breaks::harmless(&account);
    let (clean, code) = outcome(&account);
    assert_eq!(clean["differences"], Value::Array(Vec::new()), "{clean:#}");
    assert_eq!(
        (code, &clean["stack"]),
        (Some(0), &"twotap".into()),
        "{clean:#}"
    );
    assert!(clean["looked_at"].as_u64() > Some(25), "{clean:#}");
    assert!(
        texts(&clean, "unseen").is_empty() && texts(&clean, "not_compared").is_empty(),
        "{clean:#}"
    );

    let breaks = breaks::all(&account);
    for broken in &breaks {
        account.shell(&broken.command);
    }
    let (found, code) = outcome(&account);
    assert_eq!(code, Some(3));
    let differences = found["differences"].as_array().expect("a list");
    let of = |broken: &breaks::Break| {
        let said = |difference: &&Value, field: &str, part: &str| {
            difference[field]
                .as_str()
                .is_some_and(|text| text.contains(part))
        };
        differences
            .iter()
            .filter(|difference| {
                said(difference, "thing", broken.thing) && said(difference, "what", &broken.what)
            })
            .count()
    };
    let missed: Vec<String> = breaks
        .iter()
        .filter(|broken| of(broken) != 1)
        .map(|broken| format!("{} times {}: {}", of(broken), broken.thing, broken.what))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}\n{found:#}");
    assert_eq!(differences.len(), breaks.len(), "{found:#}");
    for difference in differences {
        assert!(
            difference["risk"]
                .as_str()
                .is_some_and(|risk| risk.len() > 20),
            "{difference:#}"
        );
        assert!(!texts(difference, "mend").is_empty(), "{difference:#}");
        for command in texts(difference, "mend") {
            account.shell(command);
        }
    }
    let (left, _) = outcome(&account);
    let mut left: Vec<String> = left["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|difference| {
            format!(
                "{}: {}",
                difference["thing"].as_str().unwrap_or(""),
                difference["what"].as_str().unwrap_or("")
            )
        })
        .collect();
    left.retain(|said| said != breaks::MAY_BE_LEFT);
    left.sort();
    assert_eq!(left, breaks::LEFT_TO_PEOPLE);
}

/// Nothing at all in the account, and somebody who may not see everything in it.
#[test]
fn an_empty_account_lacks_everything_and_what_was_not_seen_is_said() {
    let account = Account::empty();
    account.shell("aws iam create-user --user-name sofia");
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["sns:*","sqs:*"],"Resource":"*"}]}"#;
    account.shell(&format!(
        "aws iam put-user-policy --user-name sofia --policy-name most --policy-document '{policy}'"
    ));
    let key =
        account.aws(&["iam", "create-access-key", "--user-name", "sofia"])["AccessKey"].clone();
    let text = |field: &str| key[field].as_str().expect("a text").to_owned();
    let (id, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
    let done = check(&account, &[], Some((&id, &secret)));
    let told = said(&done);
    assert_eq!(done.status.code(), Some(3), "{told}");
    for line in [
        "user /twotap/break-glass: it does not exist",
        "role /twotap/op-admin: it does not exist",
        "policy /twotap/ceiling: it does not exist",
        "key alias/twotap-audit: it does not exist",
        "trail twotap: it does not exist",
        "rule twotap-bypass in eu-central-1: it does not exist",
        "rules in us-east-1: nothing is handed on from there",
        "  risk  a bypass of the record's write-once mode alerts nobody",
        "not looked at: aws sns get-topic-attributes: ",
        "not looked at: aws sqs get-queue-url: ",
        "not compared, there is no such stack, so nothing says them: ExternalId",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(told.contains("AuditMode=VALUE"), "{told}");
    // What is not known is never put into a command.
    for line in told.lines().filter(|line| line.starts_with("  mend")) {
        assert!(!line.contains("${"), "{line}");
    }
    assert!(
        told.contains("  mend  aws cloudformation deploy "),
        "{told}"
    );
}
