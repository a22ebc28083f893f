//! Documents as AWS gives them back, what is needed of what is known, and commands as a shell reads them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    agrees::{agrees, covers, told},
    check::complete,
    difference::aws,
    needed::Needed,
};

fn known(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let fixed = [
        ("AWS::Partition", "aws"),
        ("AWS::AccountId", "111122223333"),
        ("AWS::Region", "eu-central-1"),
        ("HomeRegion", "eu-central-1"),
    ];
    let all = fixed.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn documents_agree_however_aws_writes_them() {
    for (needed, stands) in [
        (
            json!({"Action": "s3:GetObject"}),
            json!({"Action": ["s3:GetObject"]}),
        ),
        (json!(["a", "b"]), json!(["b", "a"])),
        (json!({"a": 1, "b": true}), json!({"b": "true", "a": "1"})),
        (json!("arn:${Key}:x"), json!("arn:anything:x")),
    ] {
        assert!(agrees(&needed, &stands), "{needed} {stands}");
    }
    for (needed, stands) in [
        (
            json!({"Action": "s3:GetObject"}),
            json!({"Action": ["s3:GetObject", "s3:*"]}),
        ),
        (json!(["a", "a"]), json!(["a", "b"])),
        (json!({"a": 1}), json!({"a": 1, "b": 2})),
        (json!("arn:${Key}:x"), json!("arn:anything:y")),
        (json!({"a": {}}), json!({"a": "{}"})),
    ] {
        assert!(!agrees(&needed, &stands), "{needed} {stands}");
    }
    assert!(covers(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    assert!(!covers(&json!({"a": 1, "b": 2}), &json!({"a": 1})));
}

#[test]
fn a_difference_names_the_statements() {
    let statement = |sid: &str, effect: &str| json!({"Sid": sid, "Effect": effect, "Action": "*"});
    let needed = json!({"Statement": [statement("Mint", "Allow"), statement("KeyOnly", "Deny"), statement("Same", "Deny")]});
    let stands = json!({"Statement": [statement("Same", "Deny"), statement("Mint", "Deny"), statement("More", "Allow")]});
    assert_eq!(
        told(&needed, &stands),
        "Mint is another; KeyOnly is missing; also More"
    );
}

#[test]
fn what_is_not_known_takes_anything_and_what_is_not_needed_is_not_missed() {
    let none = Needed::main(known(&[])).unwrap();
    let trust = &none.resource("OpAdmin")["AssumeRolePolicyDocument"];
    assert_eq!(
        trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"],
        "${ExternalId}"
    );
    assert!(none.unknown().contains(&"ExternalId".to_owned()));
    let users = |needed: &Needed| needed.of_type("AWS::IAM::User").len();
    assert_eq!(
        users(&none),
        2,
        "whose condition is not known is not missed"
    );

    let all = [
        ("ExternalId", "vault-prod"),
        ("WatchUser", "yes"),
        (
            "BundleSecretArn",
            "arn:aws:secretsmanager:eu-central-1:111122223333:secret:twotap/b",
        ),
        (
            "RotatedSecretsArn",
            "arn:aws:secretsmanager:*:111122223333:secret:prod/*",
        ),
        (
            "RotationFunctionsArn",
            "arn:aws:lambda:*:111122223333:function:rotate-*",
        ),
        ("AuditMode", "GOVERNANCE"),
        ("AuditYears", "7"),
        ("AlertsEmail", ""),
        ("AuditKey", "k"),
        ("AuditKeyId", "k"),
    ];
    let all = Needed::main(known(&all)).unwrap();
    assert_eq!(all.unknown(), [""; 0]);
    assert_eq!(users(&all), 4);
    let kinds = [
        "AWS::IAM::Role",
        "AWS::Events::Rule",
        "AWS::S3::Bucket",
        "AWS::IAM::ManagedPolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::CloudTrail::Trail",
    ];
    for (name, properties) in kinds.iter().flat_map(|kind| all.of_type(kind)) {
        assert!(
            !properties.to_string().contains("${"),
            "{name}: {properties}"
        );
    }
    assert_eq!(
        all.resource("Alerts")["KmsMasterKeyId"],
        "arn:aws:kms:eu-central-1:111122223333:key/k"
    );
    let other = Needed::forward(known(&[("AWS::Region", "us-east-1")])).unwrap();
    let (_, rule) = &other.of_type("AWS::Events::Rule")[0];
    assert_eq!(
        rule["Targets"][0]["Arn"],
        "arn:aws:events:eu-central-1:111122223333:event-bus/default"
    );
    assert_eq!(
        rule["Targets"][0]["RoleArn"],
        "arn:aws:iam::111122223333:role/twotap-alerts/forward-us-east-1"
    );
}

#[test]
fn a_deployment_names_what_is_known_and_guesses_nothing() {
    let deploys = |more: &[(&str, &str)]| {
        let mut mend = vec!["aws iam x --arn ${OpAdmin}".to_owned()];
        let needed = Needed::main(known(more)).unwrap();
        complete(&mut mend, "prod", "eu-central-1", &needed);
        assert_eq!(mend.len(), 1);
        mend.remove(0)
    };
    let none = deploys(&[]);
    // The mode of the write-once record is somebody's decision.
    let (_, named) = none.split_once("--parameter-overrides ").unwrap();
    let mut named: Vec<&str> = named.split(' ').collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "AuditMode=VALUE",
            "ExternalId=VALUE",
            "RotatedSecretsArn=VALUE",
            "RotationFunctionsArn=VALUE"
        ]
    );
    let some = deploys(&[("AuditMode", "COMPLIANCE"), ("ExternalId", "vault-prod")]);
    assert!(some.contains("AuditMode=COMPLIANCE"), "{some}");
    assert!(some.contains("ExternalId=vault-prod"), "{some}");
    assert!(some.contains("RotatedSecretsArn=VALUE"), "{some}");
    assert!(some.contains("--stack-name prod"), "{some}");
}

#[test]
fn a_command_is_one_argument_a_word_for_a_shell() {
    let policy = Value::from("it's").to_string();
    let command = aws(&["iam", "put-user-policy", "--policy-document", &policy]);
    let printed = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("aws() {{ printf '%s|' \"$@\"; }}; {command}"))
        .output()
        .expect("sh runs");
    assert_eq!(
        printed.stdout,
        br#"iam|put-user-policy|--policy-document|"it's"|"#
    );
}
