//! Nothing of the environment changes what is sent, or where.

use std::process::Command;

use twotap::aws::{Aws, AwsError, ConfigError, Credentials, Endpoints, ProbeAction};

use crate::wire::{Asked, Server, done, identity, regions};

const AT: &str = "TWOTAP_TEST_AWS_AT";

/// What the child does; run by the tests below, in a process with another environment.
#[tokio::test]
#[ignore = "the body of a child process that other tests start"]
async fn child() {
    let port = std::env::var(AT).expect("only the tests of this file start this one");
    let made = Aws::new(Endpoints {
        override_url: Some(format!("http://127.0.0.1:{port}")),
        ..Endpoints::commercial(["eu-west-1"])
    });
    let aws = match made {
        Ok(aws) => aws,
        Err(AwsError::Config(ConfigError::Ambient(name))) => {
            println!("refused: {name}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let session = Credentials::new(
        "ASIA1",
        "the-secret",
        Some("the-token".into()),
        None,
        "test",
    );
    aws.caller_identity(&session).await.unwrap();
    aws.put_role_policy(&session, "r", "p", "{}").await.unwrap();
    aws.probe_session(&session, "eu-west-1", ProbeAction::DescribeRegions)
        .await;
    println!("calls made");
}

/// Runs the child against this port with this environment added; what it printed.
async fn run(port: u16, variables: &[(&str, &str)]) -> String {
    let port = port.to_string();
    let variables: Vec<_> = variables
        .iter()
        .copied()
        .chain([(AT, port.as_str())])
        .collect();
    run_test("ambient::child", &variables).await
}

/// Runs one of this program's ignored tests as a process with this environment added; what it printed.
pub(crate) async fn run_test(name: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// A request without what differs from one to the next by its nature.
fn fixed(asked: &Asked) -> Vec<String> {
    let mut lines: Vec<String> = asked
        .head
        .iter()
        .map(|line| match line.split_once(':') {
            Some((name @ ("x-amz-date" | "amz-sdk-invocation-id" | "host"), _)) => name.to_owned(),
            Some(("authorization", value)) => {
                let parts: Vec<_> = value.split(", ").collect();
                let credential: Vec<_> = parts[0].split('/').collect();
                format!(
                    "authorization {} {:?} {}",
                    credential[0],
                    &credential[2..],
                    parts[1]
                )
            }
            _ => line.clone(),
        })
        .collect();
    lines.sort_unstable();
    lines.push(asked.body.clone());
    lines
}

#[tokio::test]
async fn the_environment_changes_nothing() {
    let script = || [identity(), done("PutRolePolicy"), regions()];
    let quiet = Server::start(script()).await;
    assert!(run(quiet.port, &[]).await.contains("calls made"));
    let wanted: Vec<_> = quiet.asked().iter().map(fixed).collect();
    assert_eq!(wanted.len(), 3);

    let trap = Server::start([]).await;
    let elsewhere = format!("http://127.0.0.1:{}", trap.port);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::write(
        &config,
        format!("[default]\nregion=ap-south-1\nendpoint_url={elsewhere}\naws_access_key_id=AKIAWRONG\naws_secret_access_key=wrong\nretry_mode=adaptive\n"),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let loud = Server::start(script()).await;
    let printed = run(
        loud.port,
        &[
            ("AWS_ACCESS_KEY_ID", "AKIAWRONG"),
            ("AWS_SECRET_ACCESS_KEY", "wrong"),
            ("AWS_SESSION_TOKEN", "wrong"),
            ("AWS_PROFILE", "no-such-profile"),
            ("AWS_CONFIG_FILE", config),
            ("AWS_SHARED_CREDENTIALS_FILE", config),
            ("AWS_REGION", "ap-south-1"),
            ("AWS_DEFAULT_REGION", "ap-south-1"),
            ("AWS_ENDPOINT_URL", &elsewhere),
            ("AWS_ENDPOINT_URL_STS", &elsewhere),
            ("AWS_ENDPOINT_URL_IAM", &elsewhere),
            ("AWS_ENDPOINT_URL_EC2", &elsewhere),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &elsewhere),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &elsewhere),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", config),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/wrong"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
            ("AWS_STS_REGIONAL_ENDPOINTS", "legacy"),
            ("AWS_MAX_ATTEMPTS", "9"),
            ("AWS_RETRY_MODE", "adaptive"),
            ("AWS_SIGV4A_SIGNING_REGION_SET", "*"),
            ("AWS_SDK_UA_APP_ID", "ambient-app"),
            ("AWS_EXECUTION_ENV", "ambient-execution"),
            ("AWS_LAMBDA_FUNCTION_NAME", "ambient-lambda"),
            ("_X_AMZN_TRACE_ID", "Root=ambient-trace"),
            ("AWS_CA_BUNDLE", config),
            ("SSL_CERT_FILE", config),
            ("HTTP_PROXY", &elsewhere),
            ("HTTPS_PROXY", &elsewhere),
            ("ALL_PROXY", &elsewhere),
            ("http_proxy", &elsewhere),
            ("https_proxy", &elsewhere),
            ("all_proxy", &elsewhere),
            ("NO_PROXY", ""),
            ("LOG_SENSITIVE_BODIES", "true"),
            ("LOG_SIGNABLE_BODY", "true"),
            ("RUST_LOG", "trace"),
        ],
    )
    .await;
    assert!(printed.contains("calls made"), "{printed}");
    for secret in ["the-secret", "the-token"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let seen: Vec<_> = loud.asked().iter().map(fixed).collect();
    assert_eq!(seen, wanted);
    assert_eq!(trap.connections(), 0);
    let heads = format!("{:?}", loud.asked());
    assert!(
        !heads.contains("ambient") && !heads.contains("WRONG"),
        "{heads}"
    );
}

#[tokio::test]
async fn a_partition_table_from_the_environment_is_refused() {
    let server = Server::start([]).await;
    let name = "SMITHY_CLIENT_SDK_CUSTOM_PARTITION";
    let printed = run(server.port, &[(name, "/nonexistent")]).await;
    assert!(printed.contains(&format!("refused: {name}")), "{printed}");
    assert_eq!(server.connections(), 0);
}
