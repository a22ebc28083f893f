use super::*;
use proptest::prelude::*;
use time::macros::datetime;

const PROBE: &str = "ec2:DescribeRegions";

fn vars() -> PolicyVars {
    PolicyVars {
        subject: "cluster-7".into(),
        incident: "INC-42".into(),
        operator: "dana".into(),
        request: "r-2345abcdefghi".into(),
    }
}

fn template(resource: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "s3:*", "Resource": resource }]
    })
}

fn render(template: &Value) -> Result<String, PolicyError> {
    session_policy(
        template,
        &vars(),
        datetime!(2026-11-22 10:00:00.9 +02:00),
        PROBE,
    )
}

#[test]
fn every_byte_is_as_expected() {
    assert_eq!(
        render(&template(
            "arn:aws:s3:::${subject}-${incident}/${aws:username}/*"
        ))
        .unwrap(),
        concat!(
            r#"{"Version":"2012-10-17","Statement":["#,
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::cluster-7-INC-42/${aws:username}/*"},"#,
            r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-11-22T08:00:00Z"}}},"#,
            r#"{"Effect":"Deny","Action":["sts:AssumeRole","sts:AssumeRoot"],"Resource":"*"},"#,
            r#"{"Effect":"Allow","Action":"ec2:DescribeRegions","Resource":"*"}]}"#
        )
    );
}

#[test]
fn a_single_statement_is_a_statement() {
    let one = json!({
        "Version": "2012-10-17",
        "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" }
    });
    assert!(
        render(&one)
            .unwrap()
            .starts_with(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow""#)
    );
}

#[test]
fn every_variable_is_filled_in_and_iams_own_stay() {
    let text = render(&template(
        "${subject}|${incident}|${operator}|${request}|${*}|${?}|${$}|$x",
    ))
    .unwrap();
    assert!(
        text.contains("cluster-7|INC-42|dana|r-2345abcdefghi|${*}|${?}|${$}|$x"),
        "{text}"
    );
}

#[test]
fn bad_templates_say_what_is_wrong() {
    let statement = |s: Value| json!({ "Version": "2012-10-17", "Statement": [s] });
    for bad in [
        json!("text"),
        json!({}),
        json!({ "Version": "2008-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] }),
        json!({ "Version": "2012-10-17" }),
        json!({ "Version": "2012-10-17", "Statement": [] }),
        json!({ "Version": "2012-10-17", "Statement": [], "Extra": 1 }),
        statement(json!("x")),
        statement(json!({ "Effect": "allow", "Action": "*", "Resource": "*" })),
        statement(json!({ "Effect": "Allow", "Action": "*" })),
        statement(json!({ "Effect": "Allow", "Resource": "*" })),
        statement(json!({ "Effect": "Allow", "Action": "*", "NotAction": "x", "Resource": "*" })),
        statement(json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*" })),
        statement(json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Conditions": {} })),
    ] {
        assert!(
            matches!(render(&bad), Err(PolicyError::Template(_))),
            "{bad}"
        );
    }
    assert_eq!(
        render(&template("${nobody}")),
        Err(PolicyError::UnknownVariable("nobody".into()))
    );
    assert_eq!(render(&template("${subject")), Err(PolicyError::Unclosed));
    let named = statement(json!({
        "Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": { "StringEquals": { "aws:ResourceTag/${subject}": "x" } }
    }));
    assert!(matches!(
        render(&named),
        Err(PolicyError::VariableInName(_))
    ));
}

#[test]
fn values_cannot_change_what_a_policy_means() {
    for bad in [
        "",
        "*",
        "a*",
        "a?",
        "${aws:username}",
        "a\"b",
        "a\\b",
        "a/b",
        "a:b",
        "a b",
        "ä",
        "a\n",
        &"x".repeat(129),
    ] {
        let vars = PolicyVars {
            subject: bad.into(),
            ..vars()
        };
        let at = datetime!(2026-11-22 10:00 UTC);
        assert_eq!(
            session_policy(&template("x"), &vars, at, PROBE),
            Err(PolicyError::Value("subject")),
            "{bad:?}"
        );
    }
}

#[test]
fn the_limit_is_on_the_last_character() {
    let short = render(&template("")).unwrap().chars().count();
    let room = SESSION_POLICY_MAX - short;
    assert_eq!(
        render(&template(&"x".repeat(room)))
            .unwrap()
            .chars()
            .count(),
        SESSION_POLICY_MAX
    );
    assert_eq!(
        render(&template(&"x".repeat(room + 1))),
        Err(PolicyError::TooLong(SESSION_POLICY_MAX + 1))
    );
    // Characters are counted, not bytes.
    assert!(render(&template(&"é".repeat(room))).is_ok());
    assert_eq!(render(&template("€")), Err(PolicyError::Character('€')));
}

#[test]
fn only_known_probes() {
    let at = datetime!(2026-11-22 10:00 UTC);
    assert_eq!(
        session_policy(&template("x"), &vars(), at, "iam:*"),
        Err(PolicyError::Probe("iam:*".into()))
    );
}

#[test]
fn deny_all_is_json() {
    let policy: Value = serde_json::from_str(&deny_all_policy()).unwrap();
    assert_eq!(policy["Statement"]["Effect"], "Deny");
}

proptest! {
    /// Whatever text a template holds and whatever values are given: either a refusal, or a policy of
    /// the same bytes each time that ends in our three statements and has the template's statements unchanged but
    /// for the variables.
    #[test]
    fn what_is_rendered_is_always_boxed_in(
        resource in "(\\$\\{(subject|request|aws:x|y)\\}|[ -~]){0,40}",
        subject in "[A-Za-z0-9_.@+=,-]{1,20}|\\PC{0,20}",
    ) {
        let vars = PolicyVars { subject, ..vars() };
        let at = datetime!(2026-11-22 10:00 UTC);
        let template = template(&resource);
        if let Ok(policy) = session_policy(&template, &vars, at, PROBE) {
            prop_assert_eq!(&session_policy(&template, &vars, at, PROBE).unwrap(), &policy);
            let read: Value = serde_json::from_str(&policy).unwrap();
            let list = read["Statement"].as_array().unwrap();
            prop_assert_eq!(list.len(), 4);
            prop_assert_eq!(&list[1..], &ours(at, PROBE).unwrap()[..]);
            let wanted = resource
                .replace("${subject}", &vars.subject)
                .replace("${request}", &vars.request);
            prop_assert_eq!(list[0]["Resource"].as_str().unwrap(), wanted);
        }
    }
}
