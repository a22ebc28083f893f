use serde_json::{Value, json};

use super::*;
use crate::trust::{
    Document as _,
    strict::Json,
    tests::people::{self, SoftToken},
};

fn roster() -> Roster {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let mut roster = (*people::verified(2, &[&alice, &bob])).clone();
    roster.access[0].policy = policy(json!("s3:GetObject"), "arn:aws:s3:::logs/*");
    roster
}

fn policy(action: Value, resource: &str) -> Json {
    Json(json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": action, "Resource": resource }] }))
}

fn refused(roster: &Roster) -> Why {
    let refusal = judge_all(roster).expect_err("refused");
    assert!(refusal.to_string().starts_with("access 'admin': "));
    refusal.why
}

#[test]
fn wholesale_and_lasting_power_have_to_be_declared() {
    let mut roster = roster();
    assert_eq!(judge_all(&roster), Ok(()));
    roster.access[0].policy = policy(json!("*"), "*");
    assert!(matches!(refused(&roster), Why::Broad(what) if what == "every action on everything"));
    roster.access[0].broad = true;
    assert!(matches!(refused(&roster), Why::Lasting(_)));
    roster.access[0].persistence = true;
    assert_eq!(judge_all(&roster), Ok(()));
    roster.access[0].broad = false;
    assert!(matches!(refused(&roster), Why::Broad(_)));
}

#[test]
fn what_was_signed_once_stays_valid_until_it_is_changed() {
    let mut old = roster();
    old.access[0].policy = policy(json!("*"), "*");
    assert!(judge_all(&old).is_err());
    // A document by itself, as it is read whenever a vault is opened, holds.
    assert!(old.check().is_ok());
    let mut next = old.clone();
    next.threshold = 2;
    assert_eq!(judge_change(&old, &next), Ok(()));
    next.access[0].max_seconds -= 1;
    assert!(
        judge_change(&old, &next).is_err(),
        "changed, so it is judged"
    );
    let mut more = old.clone();
    more.access.push(Access {
        name: "more".to_owned(),
        ..old.access[0].clone()
    });
    assert!(judge_change(&old, &more).is_err(), "new, so it is judged");
}

#[test]
fn a_subject_is_said_where_it_is_used_and_nowhere_else() {
    let mut roster = roster();
    roster.access[0].policy = policy(json!("s3:GetObject"), "arn:aws:s3:::data/${subject}/*");
    assert_eq!(refused(&roster), Why::NoPattern);
    roster.access[0].subject = Some("u-[0-9]+".to_owned());
    assert_eq!(judge_all(&roster), Ok(()));
    roster.access[0].policy = policy(json!("s3:GetObject"), "arn:aws:s3:::data/*");
    assert_eq!(refused(&roster), Why::NoSubject);
    roster.access[0].subject = None;
    assert_eq!(judge_all(&roster), Ok(()));
}

#[test]
fn a_policy_that_aws_would_not_take_is_refused_before_anybody_signs() {
    let mut roster = roster();
    for (action, resource) in [
        (json!("GetObject"), "*"),
        (json!("s3:Get Object"), "*"),
        (json!([]), "*"),
        (json!(["s3:GetObject", 7]), "*"),
        (json!("s3:GetObject"), "bucket"),
        (json!("s3:GetObject"), "arn:aws:s3"),
        (json!("s3:GetObject"), "arn:aws:s3:::${nobody}"),
        (json!("s3:GetObject"), "arn:aws:s3:::${subject"),
        (json!("s3:GetObject"), "arn:aws:s3:::€"),
    ] {
        roster.access[0].policy = policy(action.clone(), resource);
        assert!(
            matches!(refused(&roster), Why::Policy(_)),
            "{action} {resource}"
        );
    }
    let with = |more: Value| {
        let mut statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
        for (name, value) in more.as_object().expect("fields") {
            statement[name] = value.clone();
        }
        Json(json!({ "Version": "2012-10-17", "Statement": [statement] }))
    };
    for more in [
        json!({ "Sid": "not plain" }),
        json!({ "Condition": [] }),
        json!({ "Condition": { "StringIs": { "aws:x": "y" } } }),
        json!({ "Condition": { "StringEquals": "x" } }),
        json!({ "Condition": { "StringEquals": { "x": "y" } } }),
        json!({ "Condition": { "StringEquals": { "aws:x": {} } } }),
        json!({ "Condition": { "ForEach:StringEquals": { "aws:x": "y" } } }),
    ] {
        roster.access[0].policy = with(more.clone());
        assert!(matches!(refused(&roster), Why::Policy(_)), "{more}");
    }
    roster.access[0].policy = with(json!({ "Sid": "Read1", "Condition": {
        "ForAllValues:StringLikeIfExists": { "s3:prefix": ["a", "b"] },
        "Null": { "s3:prefix": false } } }));
    assert_eq!(judge_all(&roster), Ok(()));
    roster.access[0].probe = "sts:GetCallerIdentity".to_owned();
    assert!(matches!(refused(&roster), Why::Policy(_)));
}

#[test]
fn a_policy_has_room_for_real_values() {
    let mut roster = roster();
    roster.access[0].subject = Some(".+".to_owned());
    // 2,048 characters, less what is ours and the frame; the first that is refused is one over the limit.
    let size = |n: usize, roster: &mut Roster| {
        roster.access[0].policy = policy(
            json!("s3:GetObject"),
            &format!("arn:aws:s3:::{}${{subject}}", "x".repeat(n)),
        );
        judge_all(roster)
    };
    let most = (0..2048)
        .find(|n| size(n + 1, &mut roster).is_err())
        .expect("a limit");
    assert!(size(most, &mut roster).is_ok());
    assert_eq!(
        size(most + 1, &mut roster).expect_err("too long").why,
        Why::Policy(PolicyError::TooLong(2049))
    );
    // A longer subject than there is room for is refused when it is asked for.
    size(most, &mut roster).expect("fits");
    let vars = |subject: usize| PolicyVars {
        subject: "x".repeat(subject),
        incident: "INC-42".to_owned(),
        operator: "dana".to_owned(),
        request: "r-aaaaaaaaaaaaa".to_owned(),
    };
    let render = |subject| {
        let access = &roster.access[0];
        session_policy(
            &access.policy.0,
            &vars(subject),
            Timestamp(0).into(),
            &access.probe,
        )
    };
    assert!(render(64).is_ok());
    assert_eq!(render(65), Err(PolicyError::TooLong(2049)));
}
