//! The AWS emulator, and the account that production would have.

use std::path::PathBuf;

use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::region::Region;
use twotap::aws::{Arn, Credentials, Endpoints};
use twotap_rig::Aws;

/// The emulator's root keys and account.
const ACCOUNT: &str = "000000000000";

pub(crate) const USER: &str = "break-glass";
pub(crate) const EXTERNAL_ID: &str = "vault-prod";

/// The Python that has the emulator.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("TWOTAP_PYTHON").map(PathBuf::from).expect(
        "TWOTAP_PYTHON names no Python with the emulator: run these tests through `cargo xtask test`",
    )
}

pub(crate) struct Emulator {
    /// It ends with this.
    _aws: Aws,
    pub(crate) url: String,
}

impl Emulator {
    /// One of this case's own: the account in it is the same for all.
    pub(crate) fn start() -> Emulator {
        let aws = Aws::start().expect("an emulator");
        Emulator {
            url: format!("http://{}", aws.address()),
            _aws: aws,
        }
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
