//! One AWS account, made ready as production would have it: the user `break-glass` with its first key, the operator
//! role `op-admin` under its boundary, the steward, and the shipped policies on all of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Client, Credentials, Reply};
use crate::emulator::{Aws, REGION};
use crate::policies::{Names, Template, for_emulator, render};
use crate::proxy::{Proxy, Role, Shipped};
use crate::{RigError, xml};

/// The user whose key is sealed.
pub const USER: &str = "break-glass";
/// The operator role that a world has.
pub const OPERATOR_ROLE: &str = "op-admin";
/// The role of the session that closes.
pub const STEWARD_ROLE: &str = "steward";
/// The role of the place that is a secret.
pub const BUNDLE_ROLE: &str = "bundle";
/// The user that may read that place and nothing else.
pub const BUNDLE_READER: &str = "bundle-reader";
/// The secret that keeps the sealed bundle; it has no version yet.
pub const BUNDLE_SECRET: &str = "twotap/prod-bundle";
/// What every AssumeRole says as ExternalId, unless a case chooses another.
pub const EXTERNAL_ID: &str = "vault-prod";

/// IAM's path of everything that is twotap's.
const PATH: &str = "/twotap/";
/// The longest session of both roles, in seconds: 12 h.
const MAX_SESSION: &str = "43200";

/// An account with a proxy before it. Several worlds share one emulator and see nothing of each other.
pub struct World {
    account: String,
    admin: Client,
    proxy: Proxy,
    first_key: Credentials,
    first_key_json: String,
    bundle_secret_arn: String,
}

/// A user's access key as IAM lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `AKIA...`
    pub id: String,
    /// Whether it may sign.
    pub active: bool,
}

impl World {
    /// A world in a fresh account of the emulator that this test binary shares.
    pub fn new() -> Result<Self, RigError> {
        let aws = Aws::shared()?;
        Self::on(aws, &aws.new_account())
    }

    /// A world in `account` of an emulator of the caller's own.
    pub fn on(aws: &Aws, account: &str) -> Result<Self, RigError> {
        let admin = aws.admin(account);
        let bundle_secret_arn = make_bundle_secret(&admin)?;
        let shipped = build(&admin, account, &bundle_secret_arn)?;
        let made = admin
            .query("iam", "CreateAccessKey", &[("UserName", USER)])?
            .expect_ok("the first key of break-glass")?;
        let first_key = made
            .credentials()
            .ok_or_else(|| RigError::new("a new key without an id"))?;
        let created = made.text("CreateDate").unwrap_or_default();
        Ok(Self {
            account: account.to_owned(),
            admin,
            proxy: Proxy::start(aws.address(), account, shipped)?,
            first_key_json: as_the_cli_prints(USER, &first_key, &created),
            first_key,
            bundle_secret_arn,
        })
    }

    /// The account's number, twelve digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The Region that a case works in.
    pub fn region(&self) -> &str {
        REGION
    }

    /// The wire: its record and its faults.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The endpoint URL for the code under test, and for the AWS CLI.
    pub fn endpoint(&self) -> String {
        self.proxy.endpoint()
    }

    /// The first key of `break-glass`.
    pub fn first_key(&self) -> &Credentials {
        &self.first_key
    }

    /// The first key as `aws iam create-access-key` prints it; what `twotap vault seal` reads.
    pub fn first_key_json(&self) -> &str {
        &self.first_key_json
    }

    /// ARN of the secret that keeps the sealed bundle.
    pub fn bundle_secret_arn(&self) -> &str {
        &self.bundle_secret_arn
    }

    /// A new key of the user that may only read that secret, as `aws iam create-access-key` prints it.
    pub fn bundle_reader_json(&self) -> Result<String, RigError> {
        let made = self
            .admin
            .query("iam", "CreateAccessKey", &[("UserName", BUNDLE_READER)])?
            .expect_ok("a key of bundle-reader")?;
        let key = made
            .credentials()
            .ok_or_else(|| RigError::new("a new key without an id"))?;
        let created = made.text("CreateDate").unwrap_or_default();
        Ok(as_the_cli_prints(BUNDLE_READER, &key, &created))
    }

    /// ARN of the user `break-glass`.
    pub fn user_arn(&self) -> String {
        format!("arn:aws:iam::{}:user{PATH}{USER}", self.account)
    }

    /// ARN of a role of twotap's, by name.
    pub fn role_arn(&self, name: &str) -> String {
        role_arn(&self.account, name)
    }

    /// The account's root at the emulator itself, unrecorded and past every policy.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// A client past the proxy for these credentials, unrecorded: what really holds.
    pub fn direct(&self, credentials: Credentials) -> Client {
        self.admin.signing_as(credentials)
    }

    /// A client through the proxy for these credentials, as the code under test would call.
    pub fn through_proxy(&self, credentials: Credentials) -> Client {
        Client::new(self.proxy.address(), REGION, credentials)
    }

    /// The keys that `user` has, as IAM lists them.
    pub fn list_keys(&self, user: &str) -> Result<Vec<Key>, RigError> {
        let reply = self
            .admin
            .query("iam", "ListAccessKeys", &[("UserName", user)])?
            .expect_ok("listing keys")?;
        Ok(xml::members(&reply.body, "AccessKeyMetadata")
            .into_iter()
            .filter_map(|key| {
                Some(Key {
                    id: xml::text(key, "AccessKeyId")?,
                    active: xml::text(key, "Status")? == "Active",
                })
            })
            .collect())
    }

    /// Who AWS says these credentials are; the reply's error is `InvalidClientTokenId` for a key that is dead.
    pub fn identity(&self, credentials: &Credentials) -> Result<Reply, RigError> {
        self.direct(credentials.clone())
            .query("sts", "GetCallerIdentity", &[])
    }

    /// Whether a user's key works, by GetCallerIdentity. It proves nothing about sessions: see
    /// [`World::session_probe`].
    pub fn key_works(&self, key: &Credentials) -> Result<bool, RigError> {
        Ok(self.identity(key)?.is_ok())
    }

    /// What AWS says to a session's `ec2:DescribeRegions`, the probe that a session policy allows.
    pub fn session_probe(&self, session: &Credentials) -> Result<Reply, RigError> {
        self.direct(session.clone())
            .query("ec2", "DescribeRegions", &[])
    }

    /// The inline policies of a role: name and document.
    pub fn role_policies(&self, role: &str) -> Result<BTreeMap<String, Value>, RigError> {
        let names = self
            .admin
            .query("iam", "ListRolePolicies", &[("RoleName", role)])?
            .expect_ok("role policies")?;
        xml::members(&names.body, "PolicyNames")
            .into_iter()
            .map(|name| {
                let reply = self
                    .admin
                    .query(
                        "iam",
                        "GetRolePolicy",
                        &[("RoleName", role), ("PolicyName", name)],
                    )?
                    .expect_ok("role policy")?;
                let document = xml::document(&reply.text("PolicyDocument").unwrap_or_default());
                let document = serde_json::from_str(&document).map_err(|error| {
                    RigError::new(format!("role policy {name} is not JSON: {error}"))
                })?;
                Ok((name.to_owned(), document))
            })
            .collect()
    }
}

/// Makes the account's principals with the translated policies; gives the shipped ones for the proxy's guard.
fn build(admin: &Client, account: &str, bundle_secret_arn: &str) -> Result<Shipped, RigError> {
    let names = Names {
        partition: "aws".into(),
        account: account.into(),
        external_id: EXTERNAL_ID.into(),
        rotated_secrets_arn: format!("arn:aws:secretsmanager:*:{account}:secret:prod/*"),
        bundle_secret_arn: bundle_secret_arn.to_owned(),
        audit_key_arn: format!("arn:aws:kms:{REGION}:{account}:key/audit"),
    };
    let user = render(Template::User, &names)?;
    let trust = render(Template::RoleTrust, &names)?;
    let steward = render(Template::Steward, &names)?;
    let operator = render(Template::OpAdmin, &names)?;
    let ceiling = render(Template::Ceiling, &names)?;
    let bundle = render(Template::Bundle, &names)?;
    let reader = render(Template::BundleReader, &names)?;
    let make = |action: &str, params: &[(&str, &str)]| {
        admin.query("iam", action, params)?.expect_ok(action)
    };
    let emulated = |policy: &Value| for_emulator(policy).to_string();

    for (name, policy) in [(USER, &user), (BUNDLE_READER, &reader)] {
        make("CreateUser", &[("UserName", name), ("Path", PATH)])?;
        make(
            "PutUserPolicy",
            &[
                ("UserName", name),
                ("PolicyName", "twotap"),
                ("PolicyDocument", &emulated(policy)),
            ],
        )?;
    }
    make(
        "CreatePolicy",
        &[
            ("PolicyName", "ceiling"),
            ("Path", PATH),
            ("PolicyDocument", &emulated(&ceiling)),
        ],
    )?;
    let boundary = format!("arn:aws:iam::{account}:policy{PATH}ceiling");
    let trust_copy = emulated(&trust);
    for (role, policy, boundary) in [
        (OPERATOR_ROLE, &operator, Some(&boundary)),
        (STEWARD_ROLE, &steward, None),
        (BUNDLE_ROLE, &bundle, None),
    ] {
        let mut params = vec![
            ("RoleName", role),
            ("Path", PATH),
            ("MaxSessionDuration", MAX_SESSION),
            ("AssumeRolePolicyDocument", trust_copy.as_str()),
        ];
        params.extend(boundary.map(|arn| ("PermissionsBoundary", arn.as_str())));
        make("CreateRole", &params)?;
        make(
            "PutRolePolicy",
            &[
                ("RoleName", role),
                ("PolicyName", "twotap"),
                ("PolicyDocument", &emulated(policy)),
            ],
        )?;
    }
    Ok(Shipped::new()
        .user(USER, vec![user])
        .user(BUNDLE_READER, vec![reader])
        .role(
            BUNDLE_ROLE,
            Role {
                identity: vec![bundle],
                boundary: None,
                trust: trust.clone(),
            },
        )
        .role(
            OPERATOR_ROLE,
            Role {
                identity: vec![operator],
                boundary: Some(ceiling),
                trust: trust.clone(),
            },
        )
        .role(
            STEWARD_ROLE,
            Role {
                identity: vec![steward],
                boundary: None,
                trust,
            },
        ))
}

/// A secret without a value: its first version is the first sealed bundle.
fn make_bundle_secret(admin: &Client) -> Result<String, RigError> {
    let reply = admin
        .json(
            "secretsmanager",
            "secretsmanager.CreateSecret",
            &json!({"Name": BUNDLE_SECRET, "ClientRequestToken": "0".repeat(32)}),
        )?
        .expect_ok("the bundle's secret")?;
    serde_json::from_str::<Value>(&reply.body)
        .ok()
        .and_then(|body| body["ARN"].as_str().map(str::to_owned))
        .ok_or_else(|| RigError::new("a secret without an ARN"))
}

fn role_arn(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:role{PATH}{name}")
}

fn as_the_cli_prints(user: &str, key: &Credentials, created: &str) -> String {
    let printed = json!({
        "AccessKey": {
            "UserName": user,
            "AccessKeyId": key.access_key_id,
            "Status": "Active",
            "SecretAccessKey": key.secret_access_key,
            "CreateDate": created,
        }
    });
    format!("{printed:#}\n")
}
