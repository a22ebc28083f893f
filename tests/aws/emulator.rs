//! The AWS emulator as a child process, and the account that production would have.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::region::Region;
use twotap::aws::{Arn, Credentials, Endpoints};

/// The emulator's root keys and account.
const ACCOUNT: &str = "000000000000";

pub(crate) const USER: &str = "break-glass";
pub(crate) const EXTERNAL_ID: &str = "vault-prod";

/// Dies with the thread that started it, so that an aborted test leaves nothing behind.
const START: &str = "import ctypes, runpy, signal
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
runpy.run_module('ministack', run_name='__main__')";

/// The Python that has the emulator.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("TWOTAP_PYTHON").map(PathBuf::from).expect(
        "TWOTAP_PYTHON names no Python with the emulator: run these tests through `cargo xtask test`",
    )
}

pub(crate) struct Emulator {
    child: Child,
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Emulator {
    /// Starts one on a free port. The port can be taken between choosing and binding, so a few are tried.
    pub(crate) async fn start() -> Emulator {
        for _ in 0..5 {
            if let Some(emulator) = Self::try_start().await {
                return emulator;
            }
        }
        panic!("the emulator did not start on any of five ports");
    }

    async fn try_start() -> Option<Emulator> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new(python())
            .args(["-c", START])
            .env_clear()
            .envs([
                ("AUTH", "true"),
                ("BIND_HOST", "127.0.0.1"),
                ("IOT_MTLS_ENABLED", "0"),
            ])
            .env("PATH", "/usr/bin:/bin")
            .env("GATEWAY_PORT", port.to_string())
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                break;
            }
            if child.try_wait().unwrap().is_some() || Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Emulator {
            child,
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        })
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            override_url: Some(self.url.clone()),
            ..Endpoints::commercial(["eu-west-1", "eu-central-1"])
        }
    }

    fn root(&self) -> aws_sdk_iam::Client {
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new("test", "test", None, None, "root"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_iam::Client::from_conf(config)
    }

    /// The break-glass user with one key, the operator's role and the steward's, as in production but for what the
    /// emulator gets wrong: no IAM paths, and no condition on `sts:SourceIdentity`.
    pub(crate) async fn account(&self) -> Account {
        let root = self.root();
        root.create_user().user_name(USER).send().await.unwrap();
        root.put_user_policy()
            .user_name(USER)
            .policy_name("break-glass")
            .policy_document(
                serde_json::json!({ "Version": "2012-10-17", "Statement": [
                    { "Effect": "Allow", "Resource": format!("arn:aws:iam::{ACCOUNT}:role/op-*"),
                      "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"] },
                    { "Effect": "Allow", "Resource": format!("arn:aws:iam::{ACCOUNT}:role/steward"),
                      "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"] },
                    { "Effect": "Allow", "Resource": format!("arn:aws:iam::{ACCOUNT}:user/{USER}"),
                      "Action": ["iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey",
                                 "iam:ListAccessKeys"] },
                    { "Effect": "Deny", "Action": "*", "Resource": "*",
                      "Condition": { "Null": { "aws:TokenIssueTime": "false" } } }
                ]})
                .to_string(),
            )
            .send()
            .await
            .unwrap();
        let roles = [
            (
                "op-admin",
                serde_json::json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]),
            ),
            (
                "steward",
                serde_json::json!([{ "Effect": "Allow",
                    "Resource": format!("arn:aws:iam::{ACCOUNT}:role/op-*"),
                    "Action": ["iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:ListRolePolicies"] }]),
            ),
        ];
        for (role, statements) in roles {
            root.create_role()
                .role_name(role)
                .max_session_duration(43_200)
                .assume_role_policy_document(trust().to_string())
                .send()
                .await
                .unwrap();
            root.put_role_policy()
                .role_name(role)
                .policy_name("power")
                .policy_document(
                    serde_json::json!({ "Version": "2012-10-17", "Statement": statements })
                        .to_string(),
                )
                .send()
                .await
                .unwrap();
        }
        let key = root
            .create_access_key()
            .user_name(USER)
            .send()
            .await
            .unwrap()
            .access_key
            .unwrap();
        let arn = |name: &str| Arn::parse(&format!("arn:aws:iam::{ACCOUNT}:role/{name}")).unwrap();
        Account {
            key: Credentials::new(
                key.access_key_id,
                key.secret_access_key,
                None,
                None,
                "sealed",
            ),
            operator: arn("op-admin"),
            steward: arn("steward"),
        }
    }
}

pub(crate) struct Account {
    pub(crate) key: Credentials,
    pub(crate) operator: Arn,
    pub(crate) steward: Arn,
}

fn trust() -> serde_json::Value {
    let user = serde_json::json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:user/{USER}") });
    serde_json::json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": user, "Action": "sts:AssumeRole",
          "Condition": { "StringEquals": { "sts:ExternalId": EXTERNAL_ID },
                         "StringLike": { "aws:RequestTag/twotap": "*" } } },
        { "Effect": "Allow", "Principal": user, "Action": "sts:TagSession",
          "Condition": { "StringLike": { "aws:RequestTag/twotap": "*" } } },
        { "Effect": "Allow", "Principal": user, "Action": "sts:SetSourceIdentity" }
    ]})
}
