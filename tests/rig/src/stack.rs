//! The shipped CloudFormation template, its references filled in for one account and Region.
//!
//! What the emulator's CloudFormation cannot make, or makes without what counts, a test makes from these values: so
//! it is the shipped rule that is tried, not a copy of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::RigError;

/// The key of audit bucket, trail and topic, unless a case made one.
const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// Which template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// `twotap.cfn.json`, in the home Region.
    Main,
    /// `twotap-forward.cfn.json`, in us-east-1 and every other Region in use.
    Forward,
}

impl Shipped {
    /// The file's text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Main => include_str!("../../../packaging/aws/twotap.cfn.json"),
            Self::Forward => include_str!("../../../packaging/aws/twotap-forward.cfn.json"),
        }
    }
}

/// A shipped template for one account and Region.
pub struct Stack {
    template: Value,
    account: String,
    region: String,
    values: BTreeMap<String, String>,
}

/// One of the template's EventBridge rules, as `PutRule` and `PutTargets` take it.
pub struct AlertRule {
    /// The resource's name in the template, such as `AlertBypass`.
    pub logical: String,
    /// The rule's name, such as `twotap-bypass`.
    pub name: String,
    /// `ENABLED`, or the state that takes read-only management events too.
    pub state: String,
    /// What it looks for.
    pub pattern: Value,
    /// Its targets, each with its ARN, its dead-letter queue and what it is told.
    pub targets: Vec<Value>,
}

impl AlertRule {
    /// The `InputTransformer` of its first target, where it has one.
    pub fn transformer(&self) -> Option<&Value> {
        self.targets.first()?.get("InputTransformer")
    }
}

impl Stack {
    /// The main template in `account` and `region`, its parameters as a test has them: mode GOVERNANCE, seven years,
    /// no mail, no bundle.
    pub fn shipped(account: &str, region: &str) -> Result<Self, RigError> {
        Self::of(Shipped::Main, account, region)
    }

    /// Either template; what is forwarded goes to eu-central-1.
    pub fn of(shipped: Shipped, account: &str, region: &str) -> Result<Self, RigError> {
        let template: Value = serde_json::from_str(shipped.text())
            .map_err(|error| RigError::new(format!("{shipped:?} is not JSON: {error}")))?;
        let mut values: BTreeMap<String, String> = template["Parameters"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, parameter)| {
                let default = match parameter.get("Default")? {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                Some((name.clone(), default))
            })
            .collect();
        for (name, value) in [
            ("AWS::Partition", "aws".to_owned()),
            ("AWS::AccountId", account.to_owned()),
            ("AWS::Region", region.to_owned()),
            ("AuditKey", KEY_ID.to_owned()),
            ("AuditMode", "GOVERNANCE".to_owned()),
            ("ExternalId", "vault-prod".to_owned()),
            ("HomeRegion", "eu-central-1".to_owned()),
            (
                "RotatedSecretsArn",
                format!("arn:aws:secretsmanager:*:{account}:secret:prod/*"),
            ),
            (
                "RotationFunctionsArn",
                format!("arn:aws:lambda:*:{account}:function:rotate-*"),
            ),
        ] {
            values.insert(name.to_owned(), value);
        }
        Ok(Self {
            template,
            account: account.to_owned(),
            region: region.to_owned(),
            values,
        })
    }

    /// The same with one parameter, or the id of the key (`AuditKey`), as a case has it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.values.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Names of all resources of a type, such as `AWS::Events::Rule`, in the template's order.
    pub fn of_type(&self, kind: &str) -> Vec<String> {
        self.template["Resources"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, resource)| resource["Type"] == kind)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// A resource's properties with every reference filled in.
    pub fn properties(&self, logical: &str) -> Result<Value, RigError> {
        self.resolved(&self.template["Resources"][logical]["Properties"])
            .map_err(|error| RigError::new(format!("{logical}: {error}")))
    }

    /// All rules, in the template's order.
    pub fn rules(&self) -> Result<Vec<AlertRule>, RigError> {
        self.of_type("AWS::Events::Rule")
            .into_iter()
            .map(|logical| {
                let rule = self.properties(&logical)?;
                let text = |field: &str| rule[field].as_str().unwrap_or_default().to_owned();
                Ok(AlertRule {
                    name: text("Name"),
                    state: text("State"),
                    pattern: rule["EventPattern"].clone(),
                    targets: rule["Targets"].as_array().cloned().unwrap_or_default(),
                    logical,
                })
            })
            .collect()
    }

    /// One rule by its name, such as `twotap-bypass`.
    pub fn rule(&self, name: &str) -> Result<AlertRule, RigError> {
        self.rules()?
            .into_iter()
            .find(|rule| rule.name == name)
            .ok_or_else(|| RigError::new(format!("the template has no rule {name}")))
    }

    /// The ARN of a resource that has a name of its own.
    pub fn arn(&self, logical: &str) -> Result<String, RigError> {
        let resource = &self.template["Resources"][logical];
        let name = |field: &str| {
            let name = self.resolved(&resource["Properties"][field])?;
            let name = name.as_str().map(str::to_owned);
            name.ok_or_else(|| RigError::new(format!("{logical} has no {field}")))
        };
        let (account, region) = (&self.account, &self.region);
        let path = resource["Properties"]["Path"].as_str().unwrap_or("/");
        Ok(match resource["Type"].as_str().unwrap_or_default() {
            "AWS::SNS::Topic" => format!("arn:aws:sns:{region}:{account}:{}", name("TopicName")?),
            "AWS::SQS::Queue" => format!("arn:aws:sqs:{region}:{account}:{}", name("QueueName")?),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{}", name("BucketName")?),
            "AWS::IAM::User" => format!("arn:aws:iam::{account}:user{path}{}", name("UserName")?),
            "AWS::IAM::Role" => format!("arn:aws:iam::{account}:role{path}{}", name("RoleName")?),
            "AWS::IAM::ManagedPolicy" => {
                format!(
                    "arn:aws:iam::{account}:policy{path}{}",
                    name("ManagedPolicyName")?
                )
            }
            "AWS::KMS::Key" => format!(
                "arn:aws:kms:{region}:{account}:key/{}",
                self.value(logical)?
            ),
            "AWS::CloudTrail::Trail" => {
                format!(
                    "arn:aws:cloudtrail:{region}:{account}:trail/{}",
                    name("TrailName")?
                )
            }
            "AWS::Events::EventBus" => {
                format!(
                    "arn:aws:events:{region}:{account}:event-bus/{}",
                    name("Name")?
                )
            }
            other => {
                return Err(RigError::new(format!(
                    "{logical}: no ARN is known for a {other}"
                )));
            }
        })
    }

    fn value(&self, name: &str) -> Result<&str, RigError> {
        self.values
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| RigError::new(format!("{name} has no value")))
    }

    /// What `Ref` gives: a parameter's value, a resource's name, or its ARN where AWS gives that.
    fn reference(&self, name: &str) -> Result<String, RigError> {
        if let Ok(value) = self.value(name) {
            return Ok(value.to_owned());
        }
        let arn = self.arn(name)?;
        Ok(match self.template["Resources"][name]["Type"].as_str() {
            Some("AWS::SNS::Topic" | "AWS::IAM::ManagedPolicy") => arn,
            _ => arn.rsplit([':', '/']).next().unwrap_or_default().to_owned(),
        })
    }

    fn attribute(&self, of: &str, name: &str) -> Result<String, RigError> {
        match name {
            "Arn" => self.arn(of),
            "QueueName" => self.reference(of),
            other => Err(RigError::new(format!("{of}.{other} is not known here"))),
        }
    }

    fn resolved(&self, value: &Value) -> Result<Value, RigError> {
        match value {
            Value::Object(fields) => match single(fields) {
                Some(("Ref", Value::String(name))) => Ok(self.reference(name)?.into()),
                Some(("Fn::GetAtt", Value::Array(path))) => {
                    let part = |index: usize| path.get(index).and_then(Value::as_str);
                    let (of, name) = part(0)
                        .zip(part(1))
                        .ok_or_else(|| RigError::new(format!("not a Fn::GetAtt: {value}")))?;
                    Ok(self.attribute(of, name)?.into())
                }
                Some(("Fn::Sub", Value::String(text))) => {
                    Ok(self.filled(text, &Map::new())?.into())
                }
                Some(("Fn::Sub", Value::Array(with))) => {
                    let text = with.first().and_then(Value::as_str);
                    let own = with.get(1).and_then(Value::as_object);
                    let (text, own) = text
                        .zip(own)
                        .ok_or_else(|| RigError::new(format!("not a Fn::Sub: {value}")))?;
                    Ok(self.filled(text, own)?.into())
                }
                _ => fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.resolved(value)?)))
                    .collect::<Result<Map<_, _>, RigError>>()
                    .map(Value::Object),
            },
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            other => Ok(other.clone()),
        }
    }

    fn filled(&self, text: &str, own: &Map<String, Value>) -> Result<String, RigError> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| RigError::new(format!("an open placeholder: {text}")))?;
            filled.push_str(before);
            match (own.get(name), name.split_once('.')) {
                (Some(value), _) => {
                    filled.push_str(self.resolved(value)?.as_str().unwrap_or_default());
                }
                (None, Some((of, attribute))) => filled.push_str(&self.attribute(of, attribute)?),
                (None, None) => filled.push_str(&self.reference(name)?),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

fn single(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut fields = fields.iter();
    let (name, value) = fields.next()?;
    fields.next().is_none().then_some((name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_of_both_templates_resolves() {
        for shipped in [Shipped::Main, Shipped::Forward] {
            let stack = Stack::of(shipped, "111122223333", "eu-central-1").unwrap();
            for (logical, _) in stack.template["Resources"].as_object().unwrap() {
                let properties = stack.properties(logical).unwrap().to_string();
                assert!(!properties.contains("${"), "{logical}: {properties}");
                assert!(!properties.contains("Fn::"), "{logical}: {properties}");
                assert!(!properties.contains("\"Ref\""), "{logical}: {properties}");
            }
        }
    }

    #[test]
    fn a_rule_is_as_aws_takes_it() {
        let stack = Stack::shipped("111122223333", "eu-central-1").unwrap();
        let rule = stack.rule("twotap-bypass").unwrap();
        assert_eq!(
            rule.targets[0]["Arn"],
            "arn:aws:sns:eu-central-1:111122223333:twotap-alerts"
        );
        assert_eq!(
            rule.targets[0]["DeadLetterConfig"]["Arn"],
            "arn:aws:sqs:eu-central-1:111122223333:twotap-alerts-dead"
        );
        let transformer = rule.transformer().unwrap();
        assert_eq!(
            transformer["InputPathsMap"]["who"],
            "$.detail.userIdentity.arn"
        );
        assert!(
            transformer["InputTemplate"]
                .as_str()
                .unwrap()
                .contains("<what>")
        );
        assert!(stack.rule("twotap-nothing").is_err());
    }
}
