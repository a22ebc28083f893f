//! The alerts that AWS sends on its own, standing in an account as the shipped templates would have them: audit bucket, topic,
//! rules and their transformers, in the home Region and in us-east-1, with a queue where a person's mail would be.
//!
//! The emulator's CloudFormation makes rules without their transformers and buckets without Object Lock, so each part is made
//! from the template's own values by a call of its own; the stack `twotap` has the outputs alone.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Credentials, Reply};
use crate::emulator::REGION;
use crate::stack::{AlertRule, Shipped, Stack};
use crate::{RigError, World, tools};

/// Where IAM's events are seen.
const GLOBAL: &str = "us-east-1";

/// The alerts of one account.
pub struct Alerts {
    home: Client,
    stack: Stack,
    topic: String,
    queue: String,
    bucket: String,
}

impl Alerts {
    /// Makes them in the world's account, and lets its CloudTrail deliver.
    pub fn stand(world: &World) -> Result<Self, RigError> {
        let account = world.account();
        let stack = Stack::shipped(account, REGION)?;
        let home = root(world, REGION);
        let bucket = last(&stack.arn("AuditBucket")?).to_owned();
        let topic = stack.arn("Alerts")?;
        sns(&home, "CreateTopic", &[("Name", last(&topic))])?;
        let policy = stack.properties("AlertsPolicy")?["PolicyDocument"].to_string();
        let attribute = [
            ("TopicArn", topic.as_str()),
            ("AttributeName", "Policy"),
            ("AttributeValue", &policy),
        ];
        sns(&home, "SetTopicAttributes", &attribute)?;
        let queue = queue_of(&home, "mailbox", account, &topic)?;
        for rule in stack.rules()? {
            put_rule(&home, &rule)?;
        }
        let forward = Stack::of(Shipped::Forward, account, GLOBAL)?;
        for rule in forward.rules()? {
            put_rule(&root(world, GLOBAL), &rule)?;
        }
        let mut lock = stack.properties("AuditBucket")?["ObjectLockConfiguration"].clone();
        // A parameter's value is text to CloudFormation, and a number to S3.
        let years = &mut lock["Rule"]["DefaultRetention"]["Years"];
        if let Some(number) = years.as_str().and_then(|text| text.parse::<u32>().ok()) {
            *years = number.into();
        }
        let made = s3(
            &format!("http://{}", world.admin().endpoint()),
            &root_key(account),
            &json!([
                {"call": "create_bucket", "with": {
                    "Bucket": bucket, "ObjectLockEnabledForBucket": true,
                    "CreateBucketConfiguration": {"LocationConstraint": REGION},
                }},
                {"call": "put_object_lock_configuration", "with": {
                    "Bucket": bucket,
                    "ObjectLockConfiguration": lock,
                }},
            ]),
        )?;
        if let Some(failed) = made.iter().find(|one| one["ok"] != true) {
            return Err(RigError::new(format!("the audit bucket: {failed}")));
        }
        let outputs = json!({
            "Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
            "Outputs": {
                "AlertsTopicArn": {"Value": topic},
                "AuditBucketName": {"Value": bucket},
            },
        });
        let outputs = outputs.to_string();
        let stacked = [("StackName", "twotap"), ("TemplateBody", outputs.as_str())];
        home.query("cloudformation", "CreateStack", &stacked)?
            .expect_ok("the stack's outputs")?;
        world.proxy().deliver_trail(&[&bucket]);
        Ok(Self {
            home,
            stack,
            topic,
            queue,
            bucket,
        })
    }

    /// The audit bucket, locked as shipped.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// ARN of the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The queue that stands for a person's mail.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The shipped template.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The home Region's bus, queues and topics, as the account's root.
    pub fn home(&self) -> &Client {
        &self.home
    }

    /// Puts a rule in the place of the shipped one of its name.
    pub fn put_rule(&self, rule: &AlertRule) -> Result<(), RigError> {
        put_rule(&self.home, rule)
    }

    /// Takes alerts from the mailbox, oldest first, until `enough` of them are there or the time is over.
    pub fn wait(
        &self,
        within: Duration,
        enough: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, RigError> {
        let begun = Instant::now();
        let mut alerts = Vec::new();
        loop {
            alerts.extend(self.take()?);
            if enough(&alerts) {
                return Ok(alerts);
            }
            if begun.elapsed() > within {
                return Err(RigError::new(format!(
                    "these alerts alone came: {alerts:#?}"
                )));
            }
        }
    }

    /// What is in the mailbox now, or comes within a second.
    pub fn take(&self) -> Result<Vec<String>, RigError> {
        let asked =
            json!({"QueueUrl": self.queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
        let got = sqs(&self.home, "ReceiveMessage", &asked)?;
        let mut alerts = Vec::new();
        for message in got["Messages"].as_array().into_iter().flatten() {
            let body = message["Body"].as_str().unwrap_or_default();
            let envelope: Value = serde_json::from_str(body)
                .map_err(|_| RigError::new(format!("not what SNS sends: {body}")))?;
            alerts.push(envelope["Message"].as_str().unwrap_or(body).to_owned());
            let done = json!({"QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"]});
            sqs(&self.home, "DeleteMessage", &done)?;
        }
        Ok(alerts)
    }
}

/// Calls S3 by the stock SDK for Python; see `s3_calls.py` for what goes in and comes out.
pub fn s3(endpoint: &str, key: &Credentials, calls: &Value) -> Result<Vec<Value>, RigError> {
    let failed = |why: std::io::Error| RigError::new(format!("python: {why}"));
    let mut command = Command::new(tools::python()?);
    command
        .args(["-c", include_str!("s3_calls.py")])
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(token) = &key.session_token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(calls.to_string().as_bytes())
            .map_err(failed)?;
    }
    let done = child.wait_with_output().map_err(failed)?;
    serde_json::from_slice(&done.stdout)
        .map_err(|_| RigError::new(String::from_utf8_lossy(&done.stderr).into_owned()))
}

/// A user of the account who has nothing to do with twotap, with these permissions on everything.
pub fn somebody(world: &World, name: &str, actions: &[&str]) -> Result<Credentials, RigError> {
    let make = |action: &str, params: &[(&str, &str)]| {
        world
            .admin()
            .query("iam", action, params)?
            .expect_ok(action)
    };
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    });
    make("CreateUser", &[("UserName", name)])?;
    let policy = policy.to_string();
    let put = [
        ("UserName", name),
        ("PolicyName", "own"),
        ("PolicyDocument", policy.as_str()),
    ];
    make("PutUserPolicy", &put)?;
    let key = make("CreateAccessKey", &[("UserName", name)])?.credentials();
    key.ok_or_else(|| RigError::new("a new key without an id"))
}

fn root_key(account: &str) -> Credentials {
    Credentials {
        access_key_id: account.to_owned(),
        secret_access_key: "not-checked".to_owned(),
        session_token: None,
    }
}

fn root(world: &World, region: &str) -> Client {
    Client::new(world.admin().endpoint(), region, root_key(world.account()))
}

fn last(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn sns(client: &Client, action: &str, params: &[(&str, &str)]) -> Result<Reply, RigError> {
    client.query("sns", action, params)?.expect_ok(action)
}

fn sqs(client: &Client, action: &str, body: &Value) -> Result<Value, RigError> {
    answered(client, "sqs", &format!("AmazonSQS.{action}"), body)
}

fn answered(client: &Client, service: &str, target: &str, body: &Value) -> Result<Value, RigError> {
    let reply = client.json(service, target, body)?.expect_ok(target)?;
    Ok(serde_json::from_str(&reply.body).unwrap_or(Value::Null))
}

/// A queue that this topic may write to, and that is subscribed to it.
fn queue_of(client: &Client, name: &str, account: &str, topic: &str) -> Result<String, RigError> {
    let arn = format!("arn:aws:sqs:{REGION}:{account}:{name}");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }],
    });
    let made = json!({"QueueName": name, "Attributes": {"Policy": policy.to_string()}});
    let made = sqs(client, "CreateQueue", &made)?;
    let subscription = [
        ("TopicArn", topic),
        ("Protocol", "sqs"),
        ("Endpoint", arn.as_str()),
    ];
    sns(client, "Subscribe", &subscription)?;
    let url = made["QueueUrl"].as_str().map(str::to_owned);
    url.ok_or_else(|| RigError::new(format!("a queue without an address: {made}")))
}

fn put_rule(client: &Client, rule: &AlertRule) -> Result<(), RigError> {
    let (name, bus) = (&rule.name, "default");
    let put = json!({
        "Name": name, "EventBusName": bus, "State": rule.state, "EventPattern": rule.pattern.to_string(),
    });
    answered(client, "events", "AWSEvents.PutRule", &put)?;
    let targets = json!({"Rule": name, "EventBusName": bus, "Targets": rule.targets});
    let put = answered(client, "events", "AWSEvents.PutTargets", &targets)?;
    match put["FailedEntryCount"].as_u64() {
        None | Some(0) => Ok(()),
        _ => Err(RigError::new(format!("targets of {name}: {put}"))),
    }
}
