//! A policy's statements as sentences.

use crate::{
    cli::ui::plain,
    trust::power::document::{Condition, Effect, Named, Statement},
};

/// What is allowed, and what is denied whatever is allowed.
pub(super) struct Said {
    pub(super) allows: Vec<String>,
    pub(super) denies: Vec<String>,
}

/// Services by the names that people know them by; others are called as in an ARN.
const SERVICES: [(&str, &str); 22] = [
    ("cloudformation", "CloudFormation"),
    ("cloudtrail", "CloudTrail"),
    ("cloudwatch", "CloudWatch"),
    ("dynamodb", "DynamoDB"),
    ("ec2", "EC2"),
    ("ecr", "ECR"),
    ("ecs", "ECS"),
    ("eks", "EKS"),
    ("elasticfilesystem", "EFS"),
    ("elasticloadbalancing", "load balancing"),
    ("iam", "IAM"),
    ("kms", "KMS"),
    ("lambda", "Lambda"),
    ("logs", "CloudWatch Logs"),
    ("rds", "RDS"),
    ("route53", "Route 53"),
    ("s3", "S3"),
    ("secretsmanager", "Secrets Manager"),
    ("sns", "SNS"),
    ("sqs", "SQS"),
    ("ssm", "Systems Manager"),
    ("sts", "STS"),
];

/// Verbs of actions that change nothing.
const READS: [&str; 15] = [
    "Get",
    "List",
    "Describe",
    "BatchGet",
    "Query",
    "Scan",
    "Head",
    "Select",
    "Search",
    "Lookup",
    "View",
    "Filter",
    "Tail",
    "StartQuery",
    "Decrypt",
];

pub(super) fn of(statements: &[Statement], subject: Option<&str>) -> Said {
    let lines = |effect: Effect| {
        let wanted = statements.iter().filter(move |s| s.effect == effect);
        wanted.flat_map(|s| sentences(s, subject)).collect()
    };
    Said {
        allows: lines(Effect::Allow),
        denies: lines(Effect::Deny),
    }
}

/// One sentence for what is read and one for what is changed in each service.
fn sentences(statement: &Statement, subject: Option<&str>) -> Vec<String> {
    let fill = |text: &str| match subject {
        Some(subject) => text.replace("${subject}", subject),
        None => text.to_owned(),
    };
    let on = resources(&statement.resources, fill);
    let only: Vec<String> = statement
        .conditions
        .iter()
        .map(|c| condition(c, fill))
        .collect();
    let only = match only.is_empty() {
        true => String::new(),
        false => format!(", only where {}", only.join(" and ")),
    };
    deeds(&statement.actions)
        .into_iter()
        .map(|deed| plain(&format!("{deed} on {on}{only}")))
        .collect()
}

fn deeds(actions: &Named) -> Vec<String> {
    let list = match actions {
        Named::AllBut(list) => return vec![format!("do anything but {}", list.join(", "))],
        Named::These(list) => list,
    };
    // (verb, service, action names), in the order in which they come.
    let mut deeds: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    let mut anything = false;
    for action in list {
        let Some((service, name)) = action.split_once(':') else {
            anything = true;
            continue;
        };
        let verb = match name {
            "*" => "do anything",
            name if READS.iter().any(|read| name.starts_with(read)) => "read",
            _ => "change or use",
        };
        match deeds.iter_mut().find(|d| (d.0, d.1) == (verb, service)) {
            Some((_, _, names)) => names.push(name),
            None => deeds.push((verb, service, vec![name])),
        }
    }
    let one = |(verb, service, names): (&str, &str, Vec<&str>)| {
        let known = SERVICES.iter().find(|(code, _)| *code == service);
        let service = known.map_or(service, |(_, name)| name);
        match verb {
            "do anything" => format!("do anything in {service}"),
            verb => format!("{verb} in {service} ({})", names.join(", ")),
        }
    };
    let all = anything.then(|| "do anything in any service".to_owned());
    all.into_iter().chain(deeds.into_iter().map(one)).collect()
}

fn resources(resources: &Named, fill: impl Fn(&str) -> String) -> String {
    let names = |list: &[String]| -> String {
        let list: Vec<String> = list.iter().map(|r| fill(r)).collect();
        list.join(", ")
    };
    match resources {
        Named::These(list) if list.iter().any(|r| r == "*") => "everything".to_owned(),
        Named::These(list) => names(list),
        Named::AllBut(list) => format!("everything but {}", names(list)),
    }
}

pub(super) fn condition(condition: &Condition, fill: impl Fn(&str) -> String) -> String {
    let Condition {
        operator,
        key,
        values,
    } = condition;
    let values: Vec<String> = values.iter().map(|v| fill(v)).collect();
    let values = values.join(" or ");
    if operator == "Null" {
        return match values.as_str() {
            "false" => format!("{key} is given"),
            _ => format!("{key} is not given"),
        };
    }
    let (each, bare) = match operator.split_once(':') {
        Some(("ForAllValues", bare)) => ("each of ", bare),
        Some(("ForAnyValue", bare)) => ("one of ", bare),
        _ => ("", operator.as_str()),
    };
    let (bare, absent) = match bare.strip_suffix("IfExists") {
        Some(bare) => (bare, " (or is not given)"),
        None => (bare, ""),
    };
    let relation = match bare {
        "StringEquals" | "NumericEquals" | "ArnEquals" | "DateEquals" | "Bool" | "BinaryEquals" => {
            "is"
        }
        "StringLike" | "ArnLike" | "StringEqualsIgnoreCase" => "is like",
        "StringNotEquals" | "NumericNotEquals" | "ArnNotEquals" | "DateNotEquals" => "is not",
        "StringNotLike" | "ArnNotLike" | "StringNotEqualsIgnoreCase" => "is not like",
        "IpAddress" => "is in",
        "NotIpAddress" => "is not in",
        "NumericLessThan" | "DateLessThan" => "is below",
        "NumericLessThanEquals" | "DateLessThanEquals" => "is at most",
        "NumericGreaterThan" | "DateGreaterThan" => "is above",
        "NumericGreaterThanEquals" | "DateGreaterThanEquals" => "is at least",
        other => other,
    };
    format!("{each}{key} {relation} {values}{absent}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trust::power::document;

    #[test]
    fn a_policy_reads_as_sentences() {
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "s3:*"],
              "Resource": "arn:aws:dynamodb:eu-central-1:111122223333:table/users",
              "Condition": { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["${subject}"] },
                             "Null": { "dynamodb:LeadingKeys": false } } },
            { "Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::audit" },
            { "Effect": "Allow", "Action": "*", "Resource": "*",
              "Condition": { "NumericLessThanIfExists": { "s3:max-keys": 10 } } },
            { "Effect": "Deny", "Action": "acm:DeleteCertificate", "Resource": "*" } ] });
        let said = of(&document::read(&policy).expect("a policy"), Some("u-42"));
        let on = "on arn:aws:dynamodb:eu-central-1:111122223333:table/users, only where each of dynamodb:LeadingKeys is u-42 and dynamodb:LeadingKeys is given";
        assert_eq!(
            said.allows,
            [
                &format!("read in DynamoDB (GetItem, Query) {on}"),
                &format!("change or use in DynamoDB (PutItem) {on}"),
                &format!("do anything in S3 {on}"),
                "do anything but iam:* on everything but arn:aws:s3:::audit",
                "do anything in any service on everything, only where s3:max-keys is below 10 (or is not given)",
            ]
        );
        assert_eq!(
            said.denies,
            ["change or use in acm (DeleteCertificate) on everything"]
        );
        let bare = of(&document::read(&policy).expect("a policy"), None);
        assert!(
            bare.allows[0].contains("is ${subject}"),
            "{:?}",
            bare.allows
        );
    }
}
