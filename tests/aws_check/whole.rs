//! An account with everything in it that twotap needs, as the shipped templates say.

use std::ops::Deref;

use serde_json::{Value, json};
use twotap_rig::{
    emulator::REGION,
    stack::{Shipped, Stack},
};

use crate::aws_stack::Account;

/// Where IAM's events are seen.
pub(crate) const ELSEWHERE: &str = "us-east-1";

/// The account, and the templates for it.
pub(crate) struct Whole {
    account: Account,
    pub(crate) stack: Stack,
}

impl Deref for Whole {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl Whole {
    /// Deploys the main template, and makes by calls of their own what the emulator's CloudFormation leaves out.
    pub(crate) fn new() -> Self {
        let account = Account::empty();
        account.deploy();
        let stack = Stack::shipped(&account.number, REGION).expect("the template");
        let mut whole = Self { account, stack };
        whole.complete();
        whole
    }

    /// What the emulator's CloudFormation leaves out, from the template's own values: trail, Object Lock, encryption, the role's boundary,
    /// the topic's key; and what stands in the other Region.
    fn complete(&mut self) {
        let key = self.aws(&["kms", "describe-key", "--key-id", "alias/twotap-audit"]);
        let key = key["KeyMetadata"]["KeyId"]
            .as_str()
            .expect("a key")
            .to_owned();
        self.stack = Stack::shipped(&self.number, REGION)
            .expect("the template")
            .with("AuditKey", &key);
        for bucket in ["AuditBucket", "TrailBucket"] {
            let shipped = self.properties(bucket);
            let name = shipped["BucketName"].as_str().expect("a name");
            let mut lock = shipped["ObjectLockConfiguration"].clone();
            let years = &mut lock["Rule"]["DefaultRetention"]["Years"];
            *years = years
                .as_str()
                .expect("years")
                .parse::<u32>()
                .expect("a number")
                .into();
            let rule = &shipped["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
            let encryption = json!({"Rules": [{
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"], "BucketKeyEnabled": rule["BucketKeyEnabled"],
            }]});
            let at = ["--bucket", name];
            self.aws(
                &[
                    &["s3api", "put-object-lock-configuration"][..],
                    &at[..],
                    &["--object-lock-configuration", &lock.to_string()][..],
                ]
                .concat(),
            );
            self.aws(
                &[
                    &["s3api", "put-bucket-encryption"][..],
                    &at[..],
                    &[
                        "--server-side-encryption-configuration",
                        &encryption.to_string(),
                    ][..],
                ]
                .concat(),
            );
        }
        let trail = self.properties("Trail");
        let of = |field: &str| trail[field].as_str().expect("a text").to_owned();
        self.aws(&[
            "cloudtrail",
            "create-trail",
            "--name",
            &of("TrailName"),
            "--s3-bucket-name",
            &of("S3BucketName"),
            "--kms-key-id",
            &of("KMSKeyId"),
            "--is-multi-region-trail",
            "--include-global-service-events",
            "--enable-log-file-validation",
        ]);
        let selectors = trail["AdvancedEventSelectors"].to_string();
        self.aws(&[
            "cloudtrail",
            "put-event-selectors",
            "--trail-name",
            "twotap",
            "--advanced-event-selectors",
            &selectors,
        ]);
        self.aws(&["cloudtrail", "start-logging", "--name", "twotap"]);
        let ceiling = self.stack.arn("Ceiling").expect("an ARN");
        self.aws(&[
            "iam",
            "put-role-permissions-boundary",
            "--role-name",
            "op-admin",
            "--permissions-boundary",
            &ceiling,
        ]);
        let topic = self.stack.arn("Alerts").expect("an ARN");
        let encrypt = [
            "--attribute-name",
            "KmsMasterKeyId",
            "--attribute-value",
            &key,
        ];
        self.aws(
            &[
                &["sns", "set-topic-attributes", "--topic-arn", &topic][..],
                &encrypt[..],
            ]
            .concat(),
        );
        self.aws(&["sqs", "create-queue", "--queue-name", "mailbox"]);
        let mailbox = format!("arn:aws:sqs:{REGION}:{}:mailbox", self.number);
        self.aws(&[
            "sns",
            "subscribe",
            "--topic-arn",
            &topic,
            "--protocol",
            "sqs",
            "--notification-endpoint",
            &mailbox,
        ]);
        for rule in Stack::of(Shipped::Forward, &self.number, ELSEWHERE)
            .and_then(|stack| stack.rules())
            .expect("rules")
        {
            let (pattern, targets) = (rule.pattern.to_string(), json!(rule.targets).to_string());
            let there = ["--region", ELSEWHERE];
            self.aws(
                &[
                    &[
                        "events",
                        "put-rule",
                        "--name",
                        &rule.name,
                        "--state",
                        &rule.state,
                        "--event-pattern",
                        &pattern,
                    ][..],
                    &there[..],
                ]
                .concat(),
            );
            self.aws(
                &[
                    &[
                        "events",
                        "put-targets",
                        "--rule",
                        &rule.name,
                        "--targets",
                        &targets,
                    ][..],
                    &there[..],
                ]
                .concat(),
            );
        }
    }

    /// A resource's properties, as the template has them here.
    pub(crate) fn properties(&self, logical: &str) -> Value {
        self.stack.properties(logical).expect("the template")
    }
}
