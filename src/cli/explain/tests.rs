use serde_json::{Value, json};

use super::*;
use crate::{
    cli::tests::sample_request,
    trust::{
        roster::Scenario,
        strict::Json,
        tests::people::{self, SoftToken},
    },
};

const WHO: &str = "arn:aws:sts::111122223333:assumed-role/op-support/dana";

fn profile(base: &Access, name: &str, subject: Option<&str>, statement: Value) -> Access {
    let mut access = base.clone();
    access.name = name.to_owned();
    access.subject = subject.map(str::to_owned);
    access.policy = Json(json!({ "Version": "2012-10-17", "Statement": [statement] }));
    access
}

/// Everything, logs, and one person's files; the session is for the files of u-42.
fn context() -> Context {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let mut roster = (*people::verified(2, &[&alice, &bob])).clone();
    let base = roster.access[0].clone();
    let allow =
        |action: Value, on: &str| json!({ "Effect": "Allow", "Action": action, "Resource": on });
    roster.access = vec![
        profile(&base, "admin", None, allow(json!("*"), "*")),
        profile(
            &base,
            "logs",
            None,
            allow(
                json!(["s3:GetObject", "s3:ListBucket"]),
                "arn:aws:s3:::logs*",
            ),
        ),
        profile(
            &base,
            "pii-access",
            Some("u-[0-9]+"),
            allow(
                json!("s3:GetObject"),
                "arn:aws:s3:::data/users/${subject}/*",
            ),
        ),
    ];
    let mut request = sample_request();
    request.access = "pii-access".to_owned();
    request.subject = Some("u-42".to_owned());
    request.role.clone_from(&base.role_arn);
    Context {
        roster,
        request: Some(request),
    }
}

fn explained(error: &str, context: Option<&Context>) -> Advice {
    let said = refusal::read(error).expect("a refusal");
    let now = sample_request().not_before.plus(60);
    Advice::of(&said, context, now)
}

fn denied(action: &str, on: &str, why: &str) -> String {
    format!(
        "An error occurred (AccessDenied) when calling the X operation: User: {WHO} is not authorized to perform: {action} on resource: {on} {why}"
    )
}

const SILENT: &str = "because no session policy allows the action";

#[test]
fn another_subjects_data_is_asked_for_by_name() {
    let context = context();
    let error = denied("s3:GetObject", "arn:aws:s3:::data/users/u-43/a.txt", SILENT);
    let advice = explained(&error, Some(&context));
    assert_eq!(
        advice.why,
        "what was asked for, access pii-access for u-42, does not include it"
    );
    // The narrowest first; everything is offered too, and said to be much.
    assert_eq!(
        advice.requests,
        [
            "twotap request prod --access pii-access --subject u-43 --incident INC-42 --reason TEXT",
            "twotap request prod --access admin --incident INC-42 --reason TEXT",
        ]
    );
    let text = advice.text();
    assert!(text.contains("access pii-access for u-43\n"), "{text}");
    assert!(
        text.contains("access admin; much more comes with it"),
        "{text}"
    );
}

#[test]
fn the_own_profile_is_no_help_for_what_it_already_gives() {
    let context = context();
    let error = denied("s3:GetObject", "arn:aws:s3:::data/users/u-42/a.txt", SILENT);
    let advice = explained(&error, Some(&context));
    assert_eq!(advice.requests.len(), 1, "{:?}", advice.requests);
    assert!(advice.requests[0].contains("--access admin"));
}

#[test]
fn what_no_request_changes_is_said() {
    let mut context = context();
    let on = "arn:aws:s3:::logs/x";
    for why in [
        "because no permissions boundary allows the action",
        "with an explicit deny in a service control policy",
        "because no resource-based policy allows the action",
    ] {
        let advice = explained(&denied("s3:GetObject", on, why), Some(&context));
        assert_eq!(advice.requests, [""; 0], "{why}");
        assert!(advice.text().contains("no request changes that"), "{why}");
    }
    // The role itself is in the way, and every profile has the same one.
    let role = "because no identity-based policy allows the action";
    let advice = explained(&denied("s3:GetObject", on, role), Some(&context));
    assert_eq!(advice.requests, [""; 0]);
    assert!(
        advice.text().contains("roster propose"),
        "{}",
        advice.text()
    );
    context.roster.access[1].role_arn = "arn:aws:iam::111122223333:role/op-logs".to_owned();
    let advice = explained(&denied("s3:GetObject", on, role), Some(&context));
    assert!(advice.requests[0].contains("--access logs"));
    assert_eq!(advice.requests.len(), 1);
}

#[test]
fn scenarios_and_odd_incidents_stand_in_the_line() {
    let mut context = context();
    context.roster.scenarios = vec![Scenario {
        name: "outage".to_owned(),
        access: vec!["logs".to_owned()],
        default_seconds: 3600,
        max_seconds: 3600,
        review_hours: 48,
        needs: Vec::new(),
        ticket: None,
        min_reason: 0,
        checks: Vec::new(),
        sinks: Vec::new(),
    }];
    let request = context.request.as_mut().expect("one");
    request.incident = "it's down".to_owned();
    let error =
        "An error occurred (AccessDenied) when calling the ListObjectsV2 operation: Access Denied";
    let advice = explained(error, Some(&context));
    assert_eq!(
        advice.requests[0],
        r"twotap request prod --access logs --scenario outage --incident 'it'\''s down' --reason TEXT"
    );
}

#[test]
fn other_ends_and_no_roster() {
    let advice = explained("An error occurred (ExpiredToken) when", Some(&context()));
    assert!(
        advice.text().contains("request --again"),
        "{}",
        advice.text()
    );
    let error = denied("s3:GetObject", "arn:aws:s3:::logs/x", SILENT);
    let advice = explained(&error, None);
    assert!(advice.requests.is_empty());
    assert!(advice.text().contains("--roster"), "{}", advice.text());
    // What AWS wrote cannot move the cursor.
    let odd = denied(
        "s3:GetObject",
        "arn:aws:s3:::logs/\u{1b}[2J\u{202e}",
        SILENT,
    );
    let text = explained(&odd, None).text();
    assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None);
    let mut late = context();
    let request = late.request.as_mut().expect("one");
    request.not_after = request.not_before.plus(30);
    let advice = explained(
        &denied(
            "s3:GetObject",
            "arn:aws:s3:::x/y",
            "with an explicit deny in a session policy",
        ),
        Some(&late),
    );
    assert!(advice.why.starts_with("the session's time was over at"));
}
