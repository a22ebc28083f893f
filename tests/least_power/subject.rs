//! The shipped profile `pii-access`, unchanged but for the account: a session is for one subject, as real clients see it.

use std::process::{Command, Output};

use serde_json::{Value, json};
use twotap::trust::{roster::Roster, strict::Json};
use twotap_rig::{Credentials, World, emulator::REGION, tools};

use crate::{
    about, offered, opened, refused,
    support::{Bench, ask},
};

const SHIPPED: &str = include_str!("../../packaging/access/pii-access.json");
const CLIENT: &str = include_str!("subject.py");

fn shaped(world: &World, roster: &mut Roster) {
    let text = SHIPPED.replace("111122223333", world.account());
    let access = &mut roster.access[0];
    access.name = "pii-access".to_owned();
    access.policy = serde_json::from_str(&text).expect("a policy");
    access.subject = Some("u-[0-9]+".to_owned());
}

/// Records and files of three people whose names begin alike.
fn fill(world: &World) {
    let admin = world.admin();
    let call = |target: &str, body: Value| {
        let target = format!("DynamoDB_20120810.{target}");
        let reply = admin.json("dynamodb", &target, &body).expect("an answer");
        reply.expect_ok(&target).expect("done");
    };
    for table in ["users", "salaries"] {
        call(
            "CreateTable",
            json!({ "TableName": table, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] }),
        );
        for id in ["u-42", "u-43", "u-421"] {
            let item = json!({ "id": { "S": id }, "mail": { "S": format!("{id}@example.com") } });
            call("PutItem", json!({ "TableName": table, "Item": item }));
        }
    }
    let root = Credentials {
        access_key_id: world.account().to_owned(),
        secret_access_key: "not-checked".to_owned(),
        session_token: None,
    };
    let script = r#"
import boto3, sys
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-central-1", config=Config(s3={"addressing_style": "path"}))
s3.create_bucket(Bucket="example-user-data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
for id in ["u-42", "u-43", "u-421"]:
    s3.put_object(Bucket="example-user-data", Key=f"users/{id}/a.txt", Body=id.encode())
"#;
    let emulator = twotap_rig::Aws::shared().expect("an emulator").address();
    let done = python(script, &format!("http://{emulator}"), &root);
    assert!(done.status.success(), "{done:?}");
}

/// What a client gets to know of its credentials.
fn known(command: &mut Command, as_: &Credentials) {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", &as_.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &as_.secret_access_key);
    if let Some(token) = &as_.session_token {
        command.env("AWS_SESSION_TOKEN", token);
    }
}

fn python(script: &str, endpoint: &str, as_: &Credentials) -> Output {
    let mut command = Command::new(tools::python().expect("python"));
    known(&mut command, as_);
    command
        .args(["-c", script, endpoint])
        .output()
        .expect("it runs")
}

/// The AWS CLI.
fn aws(world: &World, as_: &Credentials, args: &[&str]) -> Output {
    let mut command = Command::new(tools::script("aws").expect("the cli"));
    known(&mut command, as_);
    command
        .args(["--endpoint-url", &world.endpoint()])
        .args(args)
        .output()
        .expect("it runs")
}

#[test]
fn a_session_for_one_subject_is_refused_everybody_elses_data_and_explain_names_the_request() {
    let bench = Bench::shaped(World::new().expect("an account"), shaped);
    fill(&bench.world);
    let session = opened(&bench, about("u-42"));

    let done = python(CLIENT, &bench.world.endpoint(), &session);
    assert!(done.status.success(), "{done:?}");
    let found: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let found = found.as_object().expect("cases");
    assert_eq!(found.len(), 20);
    for (case, came) in found {
        let own = ["get own", "batch own", "query own", "file own", "list own"];
        let denied = ["AccessDenied", "AccessDeniedException"];
        let came = came.as_str().expect("a text");
        let fits = match own.contains(&case.as_str()) {
            true => came == "ok",
            false => denied.contains(&came),
        };
        assert!(fits, "{case}: {came}");
    }

    // The same by the AWS CLI, whose words are then explained from the signed roster.
    let file = |id: &str| {
        let (key, to) = (format!("users/{id}/a.txt"), bench.path("a.txt"));
        let to = to.to_str().expect("plain");
        let args = [
            "s3api",
            "get-object",
            "--bucket",
            "example-user-data",
            "--key",
            &key,
            to,
        ];
        aws(&bench.world, &session, &args)
    };
    let done = file("u-42");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(std::fs::read(bench.path("a.txt")).expect("read"), b"u-42");
    let get = |id: &str| {
        let key = json!({ "id": { "S": id } }).to_string();
        let args = [
            "dynamodb",
            "get-item",
            "--table-name",
            "users",
            "--key",
            &key,
        ];
        aws(&bench.world, &session, &args)
    };
    assert!(get("u-42").status.success());
    assert!(!get("u-43").status.success());
    let other = file("u-43");
    assert!(!other.status.success());
    let roster = bench.path("chain.json");
    std::fs::write(&roster, serde_json::to_vec(&bench.chain()).expect("JSON")).expect("written");
    let error = bench.path("error.txt");
    std::fs::write(&error, &other.stderr).expect("written");
    let explained = Command::new(env!("CARGO_BIN_EXE_twotap"))
        .args(["explain", "--roster"])
        .arg(&roster)
        .arg("--from")
        .arg(&error)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.status.success(), "{explained:?}");
    assert!(
        text.contains("refused     s3:GetObject"),
        "{text}: {}",
        String::from_utf8_lossy(&other.stderr)
    );
    assert!(
        text.contains("twotap request prod --access pii-access --subject"),
        "{text}"
    );
}

#[test]
fn no_subject_can_be_more_than_one() {
    let bench = Bench::shaped(World::new().expect("an account"), shaped);
    for subject in [
        "u-",
        "x-42",
        "u-4*",
        "u-42/../u-43",
        "${aws:username}",
        "u-42\n",
        "",
    ] {
        let problem = refused(&bench, "dana", about(subject));
        assert!(problem.error.contains("subject"), "{subject}: {problem:?}");
    }
    let mut none = ask();
    none.access = "pii-access".to_owned();
    let problem = refused(&bench, "dana", none);
    assert!(problem.error.contains("subject"), "{problem:?}");
    // The digest that custodians sign is of the policy for this subject and no other.
    let (_worker, made) = offered(&bench, about("u-42"));
    let policy: Json = serde_json::from_str(&made.policy).expect("a policy");
    assert_eq!(
        policy.0["Statement"][0]["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"],
        json!(["u-42"])
    );
}
