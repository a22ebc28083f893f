//! What is needed: the shipped template, its references filled in as far as they are known.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::protocol::{Code, Problem};

/// `packaging/aws/twotap.cfn.json`.
const MAIN: &str = include_str!("../../../packaging/aws/twotap.cfn.json");
/// `packaging/aws/twotap-forward.cfn.json`.
const FORWARD: &str = include_str!("../../../packaging/aws/twotap-forward.cfn.json");
/// `packaging/aws/user-further-policy.json`: what the user may have beside the template, once for each further account.
const FURTHER: &str = include_str!("../../../packaging/aws/user-further-policy.json");

/// The alias of the key of buckets, trail and topic.
pub(super) const KEY_ALIAS: &str = "alias/twotap-audit";

/// A template and what is known of its values. What is not stays `${Name}` in texts, and is not compared.
pub(super) struct Needed {
    template: Value,
    known: BTreeMap<String, String>,
}

impl Needed {
    /// The main template.
    pub(super) fn main(known: BTreeMap<String, String>) -> Result<Self, Problem> {
        Self::of(MAIN, known)
    }

    /// The template of the other Regions.
    pub(super) fn forward(known: BTreeMap<String, String>) -> Result<Self, Problem> {
        Self::of(FORWARD, known)
    }

    fn of(text: &str, mut known: BTreeMap<String, String>) -> Result<Self, Problem> {
        let template = parsed(text)?;
        for (name, parameter) in object(&template["Parameters"]) {
            // What a stack that is not there would have been given is not known, its defaults least of all.
            if let (Some("Runbook"), Some(default)) =
                (Some(name.as_str()), parameter["Default"].as_str())
            {
                known
                    .entry(name.clone())
                    .or_insert_with(|| default.to_owned());
            }
        }
        Ok(Self { template, known })
    }

    /// The policy of a further account, its number unknown.
    pub(super) fn further(&self) -> Result<Value, Problem> {
        Ok(self.resolved(&parsed(FURTHER)?))
    }

    /// The resources of a type that are needed, by their names in the template; not those whose condition does not hold, or is not known to.
    pub(super) fn of_type(&self, kind: &str) -> Vec<(String, Value)> {
        object(&self.template["Resources"])
            .filter(|(_, resource)| resource["Type"] == kind)
            .filter(|(_, resource)| match resource["Condition"].as_str() {
                Some(name) => self.holds(&self.template["Conditions"][name]) == Some(true),
                None => true,
            })
            .map(|(name, resource)| (name.clone(), self.resolved(&resource["Properties"])))
            .collect()
    }

    /// The resources of a type, needed or not, by what one of their properties says.
    pub(super) fn names_of(&self, kind: &str, property: &str) -> Vec<String> {
        object(&self.template["Resources"])
            .filter(|(_, resource)| resource["Type"] == kind)
            .filter_map(|(_, resource)| resource["Properties"][property].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// A resource's properties.
    pub(super) fn resource(&self, name: &str) -> Value {
        self.resolved(&self.template["Resources"][name]["Properties"])
    }

    /// The value of a parameter or of a pseudo parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    /// Parameters without a value: what depends on them was not compared.
    pub(super) fn unknown(&self) -> Vec<String> {
        object(&self.template["Parameters"])
            .map(|(name, _)| name.clone())
            .filter(|name| !self.known.contains_key(name))
            .collect()
    }

    /// The parameters without a default, as `NAME=value` of a deployment; `VALUE` where it is not known.
    pub(super) fn required(&self) -> Vec<String> {
        object(&self.template["Parameters"])
            .filter(|(_, parameter)| parameter.get("Default").is_none())
            .map(|(name, _)| format!("{name}={}", self.value(name).unwrap_or("VALUE")))
            .collect()
    }

    fn holds(&self, condition: &Value) -> Option<bool> {
        match single(condition)? {
            ("Fn::Not", Value::Array(of)) => self.holds(of.first()?).map(|holds| !holds),
            ("Fn::Equals", Value::Array(pair)) => {
                let mut sides = pair.iter().map(|side| self.resolved(side));
                let (left, right) = (sides.next()?, sides.next()?);
                let known = |side: &Value| side.as_str().is_some_and(|text| !text.contains("${"));
                (known(&left) && known(&right)).then_some(left == right)
            }
            _ => None,
        }
    }

    fn resolved(&self, value: &Value) -> Value {
        match (single(value), value) {
            (Some(("Ref", Value::String(name))), _) => self.reference(name).into(),
            (Some(("Fn::GetAtt", Value::Array(path))), _) => {
                let part = |at: usize| path.get(at).and_then(Value::as_str).unwrap_or_default();
                self.attribute(part(0), part(1)).into()
            }
            (Some(("Fn::Sub", Value::String(text))), _) => self.filled(text, &Map::new()).into(),
            (Some(("Fn::Sub", Value::Array(with))), _) => {
                let none = Map::new();
                let own = with.get(1).and_then(Value::as_object).unwrap_or(&none);
                let text = with.first().and_then(Value::as_str).unwrap_or_default();
                self.filled(text, own).into()
            }
            (_, Value::Object(fields)) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.resolved(value)));
                Value::Object(fields.collect())
            }
            (_, Value::Array(items)) => items.iter().map(|item| self.resolved(item)).collect(),
            (_, other) => other.clone(),
        }
    }

    fn filled(&self, text: &str, own: &Map<String, Value>) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            filled.push_str(before);
            filled.push_str(&match (own.get(name), name.split_once('.')) {
                (Some(value), _) => match self.resolved(value) {
                    Value::String(text) => text,
                    other => other.to_string(),
                },
                (None, Some((of, attribute))) => self.attribute(of, attribute),
                (None, None) => self.reference(name),
            });
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// What `Ref` gives; `${Name}` where it is not known.
    fn reference(&self, name: &str) -> String {
        if let Some(value) = self.value(name) {
            return value.to_owned();
        }
        let kind = self.template["Resources"][name]["Type"]
            .as_str()
            .unwrap_or_default();
        let arn = self.attribute(name, "Arn");
        match kind {
            "AWS::SNS::Topic" | "AWS::IAM::ManagedPolicy" => arn,
            "" => format!("${{{name}}}"),
            _ => arn.rsplit([':', '/']).next().unwrap_or_default().to_owned(),
        }
    }

    fn attribute(&self, of: &str, attribute: &str) -> String {
        if attribute == "QueueName" {
            return self.reference(of);
        }
        let resource = &self.template["Resources"][of];
        let properties = self.resolved(&resource["Properties"]);
        let (service, prefix, name) = match resource["Type"].as_str().unwrap_or_default() {
            "AWS::SNS::Topic" => ("sns", "", "TopicName"),
            "AWS::SQS::Queue" => ("sqs", "", "QueueName"),
            "AWS::Events::EventBus" => ("events", "event-bus/", "Name"),
            "AWS::CloudTrail::Trail" => ("cloudtrail", "trail/", "TrailName"),
            "AWS::IAM::User" => ("iam", "user", "UserName"),
            "AWS::IAM::Role" => ("iam", "role", "RoleName"),
            "AWS::IAM::ManagedPolicy" => ("iam", "policy", "ManagedPolicyName"),
            "AWS::S3::Bucket" => ("s3", "", "BucketName"),
            "AWS::KMS::Key" => {
                return self.filled(
                    &format!("arn:${{AWS::Partition}}:kms:${{AWS::Region}}:${{AWS::AccountId}}:key/${{{of}Id}}"),
                    &Map::new(),
                );
            }
            _ => return format!("${{{of}}}"),
        };
        let name = properties[name].as_str().unwrap_or_default();
        let partition = self.reference("AWS::Partition");
        let (region, account) = (
            self.reference("AWS::Region"),
            self.reference("AWS::AccountId"),
        );
        let path = properties["Path"].as_str().unwrap_or("/");
        match service {
            "s3" => format!("arn:{partition}:s3:::{name}"),
            "iam" => format!("arn:{partition}:iam::{account}:{prefix}{path}{name}"),
            _ => format!("arn:{partition}:{service}:{region}:{account}:{prefix}{name}"),
        }
    }
}

fn parsed(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|why| {
        Problem::new(
            Code::Internal,
            format!("a shipped template is not JSON: {why}"),
        )
    })
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn single(value: &Value) -> Option<(&str, &Value)> {
    let mut fields = value.as_object()?.iter();
    let (name, value) = fields.next()?;
    fields.next().is_none().then_some((name.as_str(), value))
}
