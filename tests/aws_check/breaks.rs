//! What can be wrong in an account, one kind after another: the command that does it, and how the check names it.

use serde_json::{Value, json};

use crate::whole::{ELSEWHERE, Whole};

/// One thing gone wrong.
pub(crate) struct Break {
    pub(crate) command: String,
    pub(crate) thing: &'static str,
    pub(crate) what: String,
}

/// A message that was read is hidden for half a minute, and may or may not be there again.
pub(crate) const MAY_BE_LEFT: &str =
    "queue twotap-alerts-dead in eu-central-1: 1 alerts lie in it that could not be delivered";

/// What no command can decide: these stay until somebody has looked.
pub(crate) const LEFT_TO_PEOPLE: [&str; 2] = [
    "role /twotap/helper: nobody shipped it",
    "user /twotap/extra: nobody shipped it",
];

const NOBODY: &str = r#"'{"Version":"2012-10-17","Statement":[{"Sid":"Own","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}'"#;
const OWN: &str = r#"'{"Version":"2012-10-17","Statement":[{"Sid":"Own","Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}'"#;

/// A document without one of its statements, as one word for a shell.
fn without(policy: &Value, sid: &str) -> String {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().expect("statements");
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != sid);
    assert_eq!(statements.len() + 1, before, "{sid}");
    format!("'{policy}'")
}

/// Done before anything is looked at: a revocation, the policy of a further account, an operator role of their own.
pub(crate) fn harmless(account: &Whole) {
    let number = &account.number;
    account.shell(&format!("aws iam put-role-policy --role-name op-admin --policy-name twotap-revoke-r-jmlboxtovwmsu-1795345269 --policy-document {OWN}"));
    let further = include_str!("../../packaging/aws/user-further-policy.json")
        .replace("${AWS::Partition}", "aws")
        .replace("${FurtherAccountId}", "444455556666");
    account.shell(&format!("aws iam put-user-policy --user-name break-glass --policy-name elsewhere --policy-document '{further}'"));
    let trust = &account.properties("OpAdmin")["AssumeRolePolicyDocument"];
    account.shell(&format!(
        "aws iam create-role --role-name op-own --path /twotap/ --assume-role-policy-document '{trust}' \
         --permissions-boundary arn:aws:iam::{number}:policy/twotap/ceiling && \
         aws iam put-role-permissions-boundary --role-name op-own --permissions-boundary arn:aws:iam::{number}:policy/twotap/ceiling && \
         aws iam put-role-policy --role-name op-own --policy-name narrow --policy-document {OWN}"
    ));
}

/// Everything that can be wrong.
pub(crate) fn all(account: &Whole) -> Vec<Break> {
    let mut all = identities(account);
    all.extend(store(account));
    all.extend(alarms(account));
    all
}

fn one(thing: &'static str, what: &str, command: String) -> Break {
    Break {
        command,
        thing,
        what: what.to_owned(),
    }
}

fn identities(account: &Whole) -> Vec<Break> {
    let number = &account.number;
    let user = without(
        &account.properties("BreakGlass")["Policies"][0]["PolicyDocument"],
        "KeyOnly",
    );
    let ceiling = without(
        &account.properties("Ceiling")["PolicyDocument"],
        "NotTheEvidence",
    );
    vec![
        one("user /twotap/break-glass", "not what was shipped: KeyOnly is missing", format!(
            "aws iam put-user-policy --user-name break-glass --policy-name twotap --policy-document {user}")),
        one("user /twotap/break-glass", "it is in the group staff",
            "aws iam create-group --group-name staff && aws iam add-user-to-group --group-name staff --user-name break-glass".into()),
        one("user /twotap/break-glass", "it may sign in to the console",
            "aws iam create-login-profile --user-name break-glass --password Correct-Horse-7-Battery".into()),
        one("user /twotap/audit-writer", "another inline policy, extra", format!(
            "aws iam put-user-policy --user-name audit-writer --policy-name extra --policy-document {OWN}")),
        one("user /twotap/audit-writer", "policy/wide is attached to it", format!(
            "aws iam create-policy --policy-name wide --policy-document {OWN} && \
             aws iam attach-user-policy --user-name audit-writer --policy-arn arn:aws:iam::{number}:policy/wide")),
        one("user /twotap/watch", "it has no inline policy twotap",
            "aws iam delete-user-policy --user-name watch --policy-name twotap".into()),
        one("user /twotap/extra", "nobody shipped it", "aws iam create-user --path /twotap/ --user-name extra".into()),
        one("policy /twotap/ceiling", "not what was shipped: NotTheEvidence is missing", format!(
            "aws iam create-policy-version --set-as-default --policy-arn arn:aws:iam::{number}:policy/twotap/ceiling --policy-document {ceiling}")),
        one("role /twotap/op-admin", "no permissions boundary", "aws iam delete-role-permissions-boundary --role-name op-admin".into()),
        one("role /twotap/op-own", "its trust policy is not what was shipped", format!(
            "aws iam update-assume-role-policy --role-name op-own --policy-document {NOBODY}")),
        one("role /twotap/steward", "its trust policy is not what was shipped", format!(
            "aws iam update-assume-role-policy --role-name steward --policy-document {NOBODY}")),
        one("role /twotap/steward", "policy/wide is attached to it", format!(
            "aws iam attach-role-policy --role-name steward --policy-arn arn:aws:iam::{number}:policy/wide")),
        one("role /twotap/setter", "its sessions may last 3600 s", "aws iam update-role --role-name setter --max-session-duration 3600".into()),
        one("role /twotap/setter", "another inline policy, extra", format!(
            "aws iam put-role-policy --role-name setter --policy-name extra --policy-document {OWN}")),
        one("role /twotap/helper", "nobody shipped it", format!(
            "aws iam create-role --role-name helper --path /twotap/ --assume-role-policy-document {NOBODY}")),
    ]
}

fn store(account: &Whole) -> Vec<Break> {
    let name = |logical: &str| {
        account.properties(logical)["BucketName"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    let (audit, trail) = (name("AuditBucket"), name("TrailBucket"));
    let policy = without(
        &account.properties("AuditBucketPolicy")["PolicyDocument"],
        "NobodyBypassesButTheNamedRole",
    );
    let key = account.properties("AuditKey")["KeyPolicy"].clone();
    let key_policy = without(&key, "RulesAndAlarmsPublish");
    let key = account.stack.arn("AuditKey").expect("an ARN");
    let lock = r#"{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Mode":"GOVERNANCE","Days":30}}}"#;
    let management =
        r#"[{"Name":"m","FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]}]}]"#;
    let lifecycle = r#"{"Rules":[{"ID":"tidy","Status":"Enabled","Filter":{"Prefix":""},"Expiration":{"Days":30}}]}"#;
    vec![
        one("key alias/twotap-audit", "it is never changed", format!("aws kms disable-key-rotation --key-id {key}")),
        one("key alias/twotap-audit", "not what was shipped: RulesAndAlarmsPublish is missing", format!(
            "aws kms put-key-policy --key-id {key} --policy-name default --policy {key_policy}")),
        one("key alias/twotap-audit", "its state is Disabled", format!("aws kms disable-key --key-id {key}")),
        one("bucket twotap-audit-", "it keeps for 30 days", format!(
            "aws s3api put-object-lock-configuration --bucket {audit} --object-lock-configuration '{lock}'")),
        one("bucket twotap-audit-", "NobodyBypassesButTheNamedRole is missing", format!("aws s3api put-bucket-policy --bucket {audit} --policy {policy}")),
        one("bucket twotap-audit-", "a lifecycle rule is at work", format!(
            "aws s3api put-bucket-lifecycle-configuration --bucket {audit} --lifecycle-configuration '{lifecycle}'")),
        one("bucket twotap-trail-", "its policy is not what was shipped: TlsAlone is missing", format!("aws s3api delete-bucket-policy --bucket {trail}")),
        one("bucket twotap-trail-", "block of public access", format!("aws s3api delete-public-access-block --bucket {trail}")),
        one("bucket twotap-trail-", "encryption by the key of the record", format!("aws s3api delete-bucket-encryption --bucket {trail}")),
        one("bucket twotap-trail-", "ownership by the bucket's owner", format!("aws s3api delete-bucket-ownership-controls --bucket {trail}")),
        one("trail twotap", "it is stopped", "aws cloudtrail stop-logging --name twotap".into()),
        one("trail twotap", "it sees one Region alone; its files carry no digests",
            "aws cloudtrail update-trail --name twotap --no-is-multi-region-trail --no-enable-log-file-validation".into()),
        one("trail twotap", "it does not see writes to the audit bucket, nor writes to the trail's own bucket", format!(
            "aws cloudtrail put-event-selectors --trail-name twotap --advanced-event-selectors '{management}'")),
    ]
}

fn alarms(account: &Whole) -> Vec<Break> {
    let topic = account.stack.arn("Alerts").expect("an ARN");
    let policy = without(
        &account.properties("AlertsPolicy")["PolicyDocument"],
        "RulesPublish",
    );
    let pattern = |name: &str| format!("'{}'", account.stack.rule(name).expect("a rule").pattern);
    let target = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut target = account.stack.rule(name).expect("a rule").targets[0].clone();
        change(&mut target);
        format!(
            "aws events put-targets --rule {name} --targets '{}'",
            json!([target]).to_string().replace('\'', r"'\''")
        )
    };
    let elsewhere = format!("arn:aws:sns:eu-central-1:{}:other", account.number);
    let mut all = vec![
        one("rule twotap-bypass in", "it is switched off", "aws events disable-rule --name twotap-bypass".into()),
        one("rule twotap-use in", "it does not see read-only calls", format!(
            "aws events put-rule --name twotap-use --state ENABLED --event-pattern {}", pattern("twotap-use"))),
        one("rule twotap-record in", "it looks for something else", format!(
            "aws events put-rule --name twotap-record --event-pattern {}", pattern("twotap-bypass"))),
        one("rule twotap-revocation in", "it does not exist",
            "aws events remove-targets --rule twotap-revocation --ids alerts && aws events delete-rule --name twotap-revocation".into()),
        one("rule twotap-identities in", "it tells somebody else", target("twotap-identities", &|target| target["Arn"] = elsewhere.clone().into())),
        one("rule twotap-blinding in", "its message is not what was shipped", target("twotap-blinding", &|target| {
            target["InputTransformer"]["InputPathsMap"]["who"] = "$.detail.userAgent".into();
        })),
        one("rule twotap-bypass in", "it has no queue for what it cannot deliver", target("twotap-bypass", &|target| {
            target.as_object_mut().expect("a target").remove("DeadLetterConfig");
        })),
        one("rule twotap-sessions in", "it has no target", "aws events remove-targets --rule twotap-sessions --ids log".into()),
        one("rule twotap-forward-use in us-east-1", "it is switched off", format!("aws events disable-rule --region {ELSEWHERE} --name twotap-forward-use")),
        one("topic twotap-alerts", "its policy is not what was shipped: RulesPublish is missing", format!(
            "aws sns set-topic-attributes --topic-arn {topic} --attribute-name Policy --attribute-value {policy}")),
        one("topic twotap-alerts", "it is encrypted by another key", format!(
            "aws sns set-topic-attributes --topic-arn {topic} --attribute-name KmsMasterKeyId --attribute-value alias/aws/sns")),
        one("topic twotap-alerts", "nobody subscribes to it", format!(
            "for one in $(aws sns list-subscriptions-by-topic --topic-arn {topic} --query 'Subscriptions[].SubscriptionArn' --output text); \
             do aws sns unsubscribe --subscription-arn $one; done")),
        one("bus twotap", "it does not exist", "aws events delete-event-bus --name twotap".into()),
        one("alarm twotap-alerts-dead", "it is switched off", "aws cloudwatch disable-alarm-actions --alarm-names twotap-alerts-dead".into()),
        one("log /aws/events/twotap-sessions", "it does not exist", "aws logs delete-log-group --log-group-name /aws/events/twotap-sessions".into()),
        one("log /aws/events/twotap-sessions", "rules may not write to it", "aws logs delete-resource-policy --policy-name twotap-sessions".into()),
    ];
    let queue =
        "$(aws sqs get-queue-url --queue-name twotap-alerts-dead --query QueueUrl --output text)";
    all.extend([
        one("queue twotap-alerts-dead in", "its policy or its time", format!(
            "aws sqs set-queue-attributes --queue-url {queue} --attributes MessageRetentionPeriod=3600")),
        one("queue twotap-alerts-dead in", "1 alerts lie in it", format!("aws sqs send-message --queue-url {queue} --message-body lost")),
    ]);
    all
}
