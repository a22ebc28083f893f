//! Runbook A: access to one user's PII, by a support engineer.
//!
//! Two layers: a pull request that a senior engineer has reviewed, checked by program; and two custodians with their tokens. What it gives is
//! temporary, read-only, and one user's data alone; the record is the log of all grants.

#[path = "checks/github.rs"]
mod github;
mod runbook_support;

use std::{fs, path::Path, process::Command};

use github::{GitHub, REPOSITORY, TOKEN};
use runbook_support::{
    BANNED, Checks, REFUSED, USAGE, approved_by_two, asks, event, events, is_refused, lets_in,
    reviewed, says, site,
};
use serde_json::json as value;
use twotap::trust::Timestamp;
use twotap_rig::{Aws, Client, Credentials, Site, site::Requested, tools};

const HEAD: &str = "5a1f0c2b7d3e4f5061728394a5b6c7d8e9f00112";
const WHY: &str =
    "u-42 cannot download the own invoices since the migration; the export has to be seen as it is";

const POLICY: &str = r#"
[[scenario]]
name = "pii-access"
access = ["pii-access"]
default = "1h"
max = "4h"
review_hours = 48
needs = ["subject", "ticket"]
ticket = "(SUP|INC)-[0-9]+"
min_reason = 40

[[scenario.checks]]
name = "iam-group"
required = true

[[scenario.checks]]
name = "pull-request"
required = true
"#;

/// The profile as it ships, in the site's account.
fn access() -> String {
    let policy = include_str!("../packaging/access/pii-access.json");
    format!(
        r#"
[[access]]
name = "pii-access"
account = "ACCOUNT"
role_arn = "ROLE"
regions = ["eu-central-1"]
probe = "ec2:DescribeRegions"
default = "1h"
max = "4h"
subject = "u-[0-9]+"
policy = '''
{}'''
"#,
        policy.replace("111122223333", "ACCOUNT")
    )
}

/// The company's directory: who is in `Support-L2`, and has an MFA device.
struct Directory {
    admin: Client,
    key: String,
    address: String,
}

impl Directory {
    fn new() -> Self {
        let aws = Aws::shared().expect("an emulator");
        let account = aws.new_account();
        let admin = aws.admin(&account);
        let mut directory = Self {
            admin,
            key: String::new(),
            address: aws.address().to_string(),
        };
        for user in ["dana", "check"] {
            directory.call("CreateUser", &[("UserName", user)]);
        }
        directory.call("CreateGroup", &[("GroupName", "Support-L2")]);
        let policy = shipped("iam-group-policy.json")
            .replace("${AWS::Partition}", "aws")
            .replace("${AWS::AccountId}", &account);
        directory.call(
            "PutUserPolicy",
            &[
                ("UserName", "check"),
                ("PolicyName", "check"),
                ("PolicyDocument", &policy),
            ],
        );
        let key = directory.call("CreateAccessKey", &[("UserName", "check")]);
        let key = key.credentials().expect("a key");
        directory.key = value!({"AccessKey": {
            "UserName": "check", "AccessKeyId": key.access_key_id, "Status": "Active",
            "SecretAccessKey": key.secret_access_key,
        }})
        .to_string();
        directory
    }

    fn call(&self, action: &str, parameters: &[(&str, &str)]) -> twotap_rig::Reply {
        let reply = self.admin.query("iam", action, parameters);
        reply.expect("an answer").expect_ok(action).expect("done")
    }

    fn take_in_dana(&self) {
        self.call(
            "AddUserToGroup",
            &[("UserName", "dana"), ("GroupName", "Support-L2")],
        );
        let device = self.call(
            "CreateVirtualMFADevice",
            &[("VirtualMFADeviceName", "dana")],
        );
        let device = device.text("SerialNumber").expect("a device");
        self.call(
            "EnableMFADevice",
            &[
                ("UserName", "dana"),
                ("SerialNumber", &device),
                ("AuthenticationCode1", "123456"),
                ("AuthenticationCode2", "654321"),
            ],
        );
    }
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/checks");
    fs::read_to_string(path.join(name)).expect("shipped")
}

/// The agent's `[checks]`, with the programs as they ship.
fn configured(checks: &Checks, directory: &Directory, github: &GitHub) -> String {
    let key = checks.secret("key.json", &directory.key);
    let token = checks.secret("token", &format!("{TOKEN}\n"));
    let group = format!(
        "group = 'Support-L2'\ncredential_file = '{}'\nendpoint = 'http://{}'\n[people]\ndana = 'dana'\n",
        key.display(),
        directory.address
    );
    let pull = format!(
        "repository = '{REPOSITORY}'\ntoken_file = '{}'\napi = '{}'\n[people]\ndana = 'dana-gh'\n",
        token.display(),
        github.api()
    );
    checks.configured("iam-group", &shipped("iam-group"), &group)
        + &checks.configured("pull-request", &shipped("pull-request"), &pull)
}

/// The pull request in the internal repository, merged, and approved by this person.
fn merged(github: &GitHub, approved_by: &str) {
    let at = Timestamp::now().plus(-3600).to_string();
    let pull = value!({
        "number": 17, "state": "closed", "title": "SUP-1234: read access to one user's data",
        "body": "For u-42, asked for in the ticket.", "user": {"login": "dana-gh"},
        "head": {"sha": HEAD}, "base": {"ref": "main"}, "merged_at": at, "updated_at": at,
    });
    let review = value!({
        "user": {"login": approved_by}, "state": "APPROVED", "commit_id": HEAD,
        "author_association": "MEMBER",
    });
    github.hold(|held| {
        held.pulls = vec![pull];
        held.reviews = [(17, vec![review])].into();
    });
}

/// Two users' records and files.
fn fill(site: &Site) {
    let call = |target: &str, body: serde_json::Value| {
        let target = format!("DynamoDB_20120810.{target}");
        let reply = site.world().admin().json("dynamodb", &target, &body);
        reply.expect("an answer").expect_ok(&target).expect("done");
    };
    call(
        "CreateTable",
        value!({ "TableName": "users", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] }),
    );
    for id in ["u-42", "u-43"] {
        call(
            "PutItem",
            value!({ "TableName": "users", "Item": { "id": { "S": id } } }),
        );
    }
    let script = r#"
import boto3, sys
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-central-1", config=Config(s3={"addressing_style": "path"}))
s3.create_bucket(Bucket="example-user-data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
for id in ["u-42", "u-43"]:
    s3.put_object(Bucket="example-user-data", Key=f"users/{id}/a.txt", Body=id.encode())
"#;
    let address = Aws::shared().expect("an emulator").address();
    let done = Command::new(tools::python().expect("python"))
        .args(["-c", script, &format!("http://{address}")])
        .env("AWS_ACCESS_KEY_ID", site.world().account())
        .env("AWS_SECRET_ACCESS_KEY", "not-checked")
        .output()
        .expect("it runs");
    assert!(done.status.success(), "{done:?}");
}

/// Dana runs the AWS CLI as a command of the session: its exit code, and what it said.
fn aws(site: &Site, request: &Requested, call: &[&str]) -> (Option<i32>, String) {
    let aws = tools::script("aws").expect("the AWS CLI");
    let (aws, endpoint) = (aws.display().to_string(), site.world().endpoint());
    let exec = [
        "exec",
        &request.id,
        "--",
        &aws,
        "--endpoint-url",
        &endpoint,
        "--region",
        "eu-central-1",
    ];
    let done = runbook_support::by(site, "dana", &[&exec[..], call].concat());
    (done.status, done.stderr)
}

/// Dana reads a user's file and record; what came of each.
fn reads(site: &Site, request: &Requested, user: &str) -> [(Option<i32>, String); 2] {
    let to = runbook_support::at_home(site, "dana", "a.txt");
    let (path, key) = (
        format!("users/{user}/a.txt"),
        value!({ "id": { "S": user } }).to_string(),
    );
    [
        vec![
            "s3api",
            "get-object",
            "--bucket",
            "example-user-data",
            "--key",
            &path,
            &to,
        ],
        vec![
            "dynamodb",
            "get-item",
            "--table-name",
            "users",
            "--key",
            &key,
        ],
    ]
    .map(|call| aws(site, request, &call))
}

fn question<'a>(subject: &'a str, incident: &'a str) -> Vec<&'a str> {
    vec![
        "request",
        "prod",
        "--scenario",
        "pii-access",
        "--incident",
        incident,
        "--reason",
        WHY,
        "--subject",
        subject,
        "--not-for",
        BANNED,
    ]
}

#[test]
fn a_support_engineer_reads_one_users_data_and_nobody_elses() {
    let (checks, directory, github) = (Checks::new(), Directory::new(), GitHub::start());
    let site = site(POLICY, |options| {
        options.agent = configured(&checks, &directory, &github);
        options.access = access();
    });
    fill(&site);
    let asked = question("u-42", "SUP-1234");

    // Who may ask: a member of Support-L2 with an MFA device.
    is_refused(
        &site,
        "dana",
        &asked,
        REFUSED,
        "dana is not a member of Support-L2",
    );
    directory.take_in_dana();
    // First layer: the pull request, merged, and reviewed by somebody else.
    is_refused(&site, "dana", &asked, REFUSED, "no pull request");
    merged(&github, "dana-gh");
    is_refused(&site, "dana", &asked, REFUSED, "no approval that counts");
    merged(&github, "carol-gh");
    // Asked with a ticket id, a userId and a detailed justification.
    is_refused(
        &site,
        "dana",
        &question("u-42", "please"),
        REFUSED,
        "ticket",
    );
    is_refused(
        &site,
        "dana",
        &question("everybody", "SUP-1234"),
        REFUSED,
        "subject",
    );
    let mut nobody = question("u-42", "SUP-1234");
    nobody.drain(8..10);
    let done = runbook_support::by(&site, "dana", &nobody);
    assert!(
        done.refused_with(USAGE) || done.refused_with(REFUSED),
        "{done:?}"
    );
    assert!(done.stderr.contains("subject"), "{}", done.stderr);
    let mut short = question("u-42", "SUP-1234");
    short[7] = "export is wrong";
    is_refused(&site, "dana", &short, REFUSED, "reason");
    // Not for longer than the scenario has it.
    let long = [question("u-42", "SUP-1234"), vec!["--duration", "5h"]].concat();
    is_refused(&site, "dana", &long, REFUSED, "240 minutes");

    let request = asks(&site, &asked[2..]);
    let recorded = event(&site, &request, "BREAK_GLASS_REQUESTED");
    let results = recorded["what"]["checks"].as_array().expect("checks");
    assert_eq!(results.len(), 2);
    assert!(
        results.iter().all(|check| check["passed"] == true),
        "{results:?}"
    );

    // Second layer, technically enforced: custodians with their tokens. The operator is none of them, and one is not enough.
    let refused = site.credentials("dana", &request).expect("it ends");
    assert_ne!(refused.status, Some(0));
    let session = approved_by_two(&site, &request);
    assert_eq!(
        events(&site, &request)
            .iter()
            .filter(|e| e["event_type"] == "BREAK_GLASS_APPROVED")
            .count(),
        2
    );

    // Temporary, read-only, this user's data alone.
    for (code, said) in reads(&site, &request, "u-42") {
        assert_eq!(code, Some(0), "{said}");
    }
    for (code, said) in reads(&site, &request, "u-43") {
        assert_ne!(code, Some(0));
        assert!(said.contains("AccessDenied"), "{said}");
    }
    assert!(!writes(&site, &session), "read-only");

    // It ends, and what is left is a log of the grant that cannot be changed unseen.
    site.close(&request).expect("closed");
    assert!(!lets_in(&site, &session));
    let report = reviewed(&site, &request);
    assert_eq!(report["incident"]["subject"], "u-42");
    assert_eq!(report["incident"]["id"], "SUP-1234");
    assert_eq!(report["checks"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["review"]["signed"]["by"], "sofia");
    let to = runbook_support::at_home(&site, "sofia", "record");
    says(&site, "sofia", &["audit", "export", "-o", &to]);
    let verified = says(&site, "sofia", &["audit", "verify", "--export", &to]);
    assert!(verified.contains("events follow one another"), "{verified}");
}

/// Whether the session can put a file where it can read.
fn writes(site: &Site, session: &Credentials) -> bool {
    let script = r#"
import boto3, sys
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-central-1", config=Config(s3={"addressing_style": "path"}))
s3.put_object(Bucket="example-user-data", Key="users/u-42/b.txt", Body=b"x")
"#;
    let done = Command::new(tools::python().expect("python"))
        .args(["-c", script, &site.world().endpoint()])
        .env("AWS_ACCESS_KEY_ID", &session.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &session.secret_access_key)
        .env(
            "AWS_SESSION_TOKEN",
            session.session_token.as_deref().unwrap_or_default(),
        )
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() || said.contains("AccessDenied"),
        "{said}"
    );
    done.status.success()
}
