//! The shipped policies, unchanged, in a second policy engine: what whoever holds a session or a key could do next is refused, what they
//! must be able to do is allowed, and every line of every policy is held by a case.

#[path = "policies/engine.rs"]
mod engine;
#[path = "policies/lines.rs"]
mod lines;
#[path = "policies/operator.rs"]
mod operator;
#[path = "policies/organisation.rs"]
mod organisation;
#[path = "policies/services.rs"]
mod services;
#[path = "policies/thief.rs"]
mod thief;

use std::collections::BTreeMap;

use engine::{Case, Verdict, decide};
use serde_json::Value;
use twotap_rig::{
    policies::{Names, TEMPLATES, Template, render},
    stack::Stack,
};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-central-1";
const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const BUNDLE: &str =
    "arn:aws:secretsmanager:eu-central-1:111122223333:secret:twotap/prod-bundle-AbCdEf";

/// A thing of IAM's in this account, such as `user/new`.
fn iam(path: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{path}")
}

/// A thing of a regional service in this account.
fn at(service: &str, path: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{path}")
}

fn s3(path: &str) -> String {
    format!("arn:aws:s3:::{path}")
}

fn key() -> String {
    at("kms", &format!("key/{KEY}"))
}

fn audit_bucket(object: &str) -> String {
    s3(&format!("twotap-audit-{ACCOUNT}-{REGION}{object}"))
}

/// All shipped policies by their file's name, rendered, with those that the template alone has.
fn shipped() -> BTreeMap<String, Value> {
    let names = Names {
        partition: "aws".into(),
        account: ACCOUNT.into(),
        region: REGION.into(),
        further_account: "444455556666".into(),
        external_id: "vault-prod".into(),
        rotated_secrets_arn: at("secretsmanager", "secret:prod/*"),
        rotation_functions_arn: at("lambda", "function:rotate-*"),
        bundle_secret_arn: BUNDLE.into(),
        audit_key_arn: key(),
    };
    let mut all: BTreeMap<String, Value> = TEMPLATES
        .iter()
        .map(|(template, file): &(Template, &str)| {
            ((*file).to_owned(), render(*template, &names).expect(file))
        })
        .collect();
    let scp = include_str!("../packaging/aws/scp.json")
        .replace("${AWS::Partition}", "aws")
        .replace("${DeployRoleArn}", organisation::DEPLOYER);
    all.insert(
        "scp.json".into(),
        serde_json::from_str(&scp).expect("scp.json"),
    );
    let stack = Stack::shipped(ACCOUNT, REGION)
        .expect("the template")
        .with("AuditKey", KEY);
    for (resource, field) in [
        ("AuditKey", "KeyPolicy"),
        ("AuditBucketPolicy", "PolicyDocument"),
        ("TrailBucketPolicy", "PolicyDocument"),
    ] {
        let policy = stack.properties(resource).expect(resource)[field].clone();
        all.insert(resource.to_owned(), policy);
    }
    all
}

fn cases() -> Vec<Case> {
    let mut all = operator::cases();
    all.extend(thief::cases());
    all.extend(services::cases());
    all.extend(organisation::cases());
    all
}

#[test]
fn every_escape_is_refused_and_every_duty_allowed() {
    let (shipped, cases) = (shipped(), cases());
    let said = decide(cases.iter().map(|case| case.simulation(&shipped)));
    let wrong: Vec<String> = cases
        .iter()
        .zip(&said)
        .filter(|(case, said)| !case.expected.holds(said))
        .map(|(case, said)| format!("{case}: {said}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let refused = cases
        .iter()
        .filter(|case| case.expected == Verdict::Refused)
        .count();
    println!(
        "{refused} escapes refused, {} duties allowed",
        cases.len() - refused
    );
    assert!(refused >= 150, "{refused} escapes are tried");
}

/// A wider Allow changes nothing there: the statement after it denies whatever is not that secret.
const HELD_TWICE: [&str; 2] = [
    "bundle-policy.json: \"KeepTheSealedBundle\": Resource",
    "bundle-reader-policy.json: \"ReadTheSealedBundle\": Resource",
];

/// The proof that the cases above say something: whatever is taken out of a policy, one of them notices.
#[test]
fn every_line_of_every_policy_is_held_by_a_case() {
    let (shipped, cases) = (shipped(), cases());
    let variants = lines::variants(&shipped);
    let mut asked = Vec::new();
    for (at, variant) in variants.iter().enumerate() {
        for (index, case) in cases.iter().enumerate() {
            if variant.touches(case) {
                asked.push((at, index, case.simulation(&variant.policies(&shipped))));
            }
        }
    }
    let said = decide(asked.iter().map(|(.., simulation)| simulation.clone()));
    let mut held = vec![false; variants.len()];
    for ((at, index, _), said) in asked.iter().zip(&said) {
        assert!(!said.starts_with("error"), "{}: {said}", cases[*index]);
        held[*at] |= !cases[*index].expected.holds(said);
    }
    let loose: Vec<&str> = variants
        .iter()
        .zip(&held)
        .map(|(variant, held)| (variant.what.as_str(), *held))
        .filter(|(what, held)| !held && !HELD_TWICE.iter().any(|twice| what.starts_with(twice)))
        .map(|(what, _)| what)
        .collect();
    println!(
        "{} lines taken out one by one, {} questions",
        variants.len(),
        asked.len()
    );
    assert!(variants.len() > 100, "{} variants", variants.len());
    assert!(
        loose.is_empty(),
        "no case notices that these are gone:\n{}",
        loose.join("\n")
    );
}
