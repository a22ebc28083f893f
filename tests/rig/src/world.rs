//! One AWS account, made ready as production would have it: the user `break-glass` with its first key, the operator
//! role `op-admin` under its boundary, the steward, and the shipped policies on all of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Client, Credentials, Reply};
use crate::emulator::{Aws, REGION};
use crate::policies::{Names, Template, for_emulator, render};
use crate::proxy::{Proxy, Role, Shipped};
use crate::{RigError, xml};

/// The user that may ask when the break-glass user's keys were used.
pub const WATCH_USER: &str = "watch";
/// The user whose key is sealed.
pub const USER: &str = "break-glass";
/// The operator role that a world has.
pub const OPERATOR_ROLE: &str = "op-admin";
/// Another operator role, for profiles with several.
pub const DATABASE_ROLE: &str = "op-db";
/// The role of the session that closes.
pub const STEWARD_ROLE: &str = "steward";
/// The role of sessions that give one secret a new value.
pub const SETTER_ROLE: &str = "setter";
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
    /// A second account with the same roles, where a case has asked for one.
    further: Option<String>,
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
        Self::with(aws, account, None)
    }

    /// A world with a second account whose operator and steward roles trust this one's user.
    pub fn with_further() -> Result<Self, RigError> {
        let aws = Aws::shared()?;
        Self::with(aws, &aws.new_account(), Some(aws.new_account()))
    }

    fn with(aws: &Aws, account: &str, further: Option<String>) -> Result<Self, RigError> {
        let admin = aws.admin(account);
        let names = names(account, account);
        let mut shipped = build_user(&admin, &names, further.as_deref())?;
        shipped = build_roles(&admin, account, &names, shipped)?;
        if let Some(further) = &further {
            shipped = build_roles(&aws.admin(further), further, &names, shipped)?;
        }
        let bundle_secret_arn = make_bundle_secret(&admin)?;
        shipped = build_bundle(&admin, names, &bundle_secret_arn, shipped)?;
        let made = admin
            .query("iam", "CreateAccessKey", &[("UserName", USER)])?
            .expect_ok("the first key of break-glass")?;
        let first_key = made
            .credentials()
            .ok_or_else(|| RigError::new("a new key without an id"))?;
        let created = made.text("CreateDate").unwrap_or_default();
        Ok(Self {
            account: account.to_owned(),
            further,
            admin,
            proxy: Proxy::start(aws.address(), account, shipped)?,
            first_key_json: as_the_cli_prints(USER, &first_key, &created),
            first_key,
            bundle_secret_arn,
        })
    }

    /// Makes the standing user that watches, with a key; gives what `aws iam create-access-key` prints of it.
    pub fn watcher(&self) -> Result<String, RigError> {
        let make = |action: &str, params: &[(&str, &str)]| {
            self.admin.query("iam", action, params)?.expect_ok(action)
        };
        let policy = for_emulator(&render(
            Template::Watch,
            &names(&self.account, &self.account),
        )?);
        make("CreateUser", &[("UserName", WATCH_USER), ("Path", PATH)])?;
        make(
            "PutUserPolicy",
            &[
                ("UserName", WATCH_USER),
                ("PolicyName", "twotap"),
                ("PolicyDocument", &policy.to_string()),
            ],
        )?;
        let made = make("CreateAccessKey", &[("UserName", WATCH_USER)])?;
        let key = made
            .credentials()
            .ok_or_else(|| RigError::new("a new key without an id"))?;
        let created = made.text("CreateDate").unwrap_or_default();
        Ok(as_the_cli_prints(WATCH_USER, &key, &created))
    }

    /// The account's number, twelve digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The second account's number, where the world has one.
    pub fn further(&self) -> Option<&str> {
        self.further.as_deref()
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

    /// The same in another account.
    pub fn role_arn_in(&self, account: &str, name: &str) -> String {
        role_arn(account, name)
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
        self.role_policies_in(&self.account, role)
    }

    /// The same in another account.
    pub fn role_policies_in(
        &self,
        account: &str,
        role: &str,
    ) -> Result<BTreeMap<String, Value>, RigError> {
        let admin = Aws::shared()?.admin(account);
        let admin = if account == self.account {
            &self.admin
        } else {
            &admin
        };
        let names = admin
            .query("iam", "ListRolePolicies", &[("RoleName", role)])?
            .expect_ok("role policies")?;
        xml::members(&names.body, "PolicyNames")
            .into_iter()
            .map(|name| {
                let reply = admin
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

/// What the templates' placeholders are; `further` is another account that the user may take roles in.
fn names(account: &str, further: &str) -> Names {
    Names {
        partition: "aws".into(),
        account: account.into(),
        region: REGION.into(),
        further_account: further.into(),
        external_id: EXTERNAL_ID.into(),
        rotated_secrets_arn: format!("arn:aws:secretsmanager:*:{account}:secret:prod/*"),
        rotation_functions_arn: format!("arn:aws:lambda:*:{account}:function:rotate-*"),
        bundle_secret_arn: format!("arn:aws:secretsmanager:*:{account}:secret:{BUNDLE_SECRET}-*"),
        audit_key_arn: format!("arn:aws:kms:{REGION}:{account}:key/audit"),
    }
}

fn make(admin: &Client, action: &str, params: &[(&str, &str)]) -> Result<(), RigError> {
    admin.query("iam", action, params)?.expect_ok(action)?;
    Ok(())
}

/// Makes the user with its translated policies; gives the shipped ones for the proxy's guard.
fn build_user(admin: &Client, names: &Names, further: Option<&str>) -> Result<Shipped, RigError> {
    let mut policies = vec![("twotap", render(Template::User, names)?)];
    if let Some(further) = further {
        let names = self::names(&names.account, further);
        policies.push(("twotap-further", render(Template::UserFurther, &names)?));
    }
    make(admin, "CreateUser", &[("UserName", USER), ("Path", PATH)])?;
    for (name, policy) in &policies {
        let put = [
            ("UserName", USER),
            ("PolicyName", *name),
            ("PolicyDocument", &for_emulator(policy).to_string()),
        ];
        make(admin, "PutUserPolicy", &put)?;
    }
    let policies = policies.into_iter().map(|(_, policy)| policy).collect();
    Ok(Shipped::new()
        .user(USER, policies)
        .user(WATCH_USER, vec![render(Template::Watch, names)?]))
}

/// Makes an account's roles with the translated policies; adds the shipped ones. Who may take them is the user of `trusted`.
fn build_roles(
    admin: &Client,
    account: &str,
    trusted: &Names,
    mut shipped: Shipped,
) -> Result<Shipped, RigError> {
    let own = names(account, account);
    let trust = render(Template::RoleTrust, trusted)?;
    let steward = render(Template::Steward, &own)?;
    let setter = render(Template::Setter, &own)?;
    let operator = render(Template::OpAdmin, &own)?;
    let ceiling = render(Template::Ceiling, &own)?;
    let emulated = |policy: &Value| for_emulator(policy).to_string();
    make(
        admin,
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
        (DATABASE_ROLE, &operator, Some(&boundary)),
        (STEWARD_ROLE, &steward, None),
        (SETTER_ROLE, &setter, None),
    ] {
        let mut params = vec![
            ("RoleName", role),
            ("Path", PATH),
            ("MaxSessionDuration", MAX_SESSION),
            ("AssumeRolePolicyDocument", trust_copy.as_str()),
        ];
        params.extend(boundary.map(|arn| ("PermissionsBoundary", arn.as_str())));
        make(admin, "CreateRole", &params)?;
        let put = [
            ("RoleName", role),
            ("PolicyName", "twotap"),
            ("PolicyDocument", &emulated(policy)),
        ];
        make(admin, "PutRolePolicy", &put)?;
        let documents = Role {
            identity: vec![policy.clone()],
            boundary: boundary.map(|_| ceiling.clone()),
            trust: trust.clone(),
        };
        shipped = shipped.role(&role_arn(account, role), documents);
    }
    Ok(shipped)
}

/// Makes the role that keeps the sealed bundle in its secret, and the user that may read it.
fn build_bundle(
    admin: &Client,
    mut names: Names,
    secret: &str,
    shipped: Shipped,
) -> Result<Shipped, RigError> {
    secret.clone_into(&mut names.bundle_secret_arn);
    let trust = render(Template::RoleTrust, &names)?;
    let policy = render(Template::Bundle, &names)?;
    let reader = render(Template::BundleReader, &names)?;
    let put = |kind: &str, name: &str, policy: &Value| {
        let document = for_emulator(policy).to_string();
        let params = [
            (
                if kind == "Role" {
                    "RoleName"
                } else {
                    "UserName"
                },
                name,
            ),
            ("PolicyName", "twotap"),
            ("PolicyDocument", document.as_str()),
        ];
        make(admin, &format!("Put{kind}Policy"), &params)
    };
    let role = [
        ("RoleName", BUNDLE_ROLE),
        ("Path", PATH),
        (
            "AssumeRolePolicyDocument",
            &for_emulator(&trust).to_string(),
        ),
    ];
    make(admin, "CreateRole", &role)?;
    put("Role", BUNDLE_ROLE, &policy)?;
    make(
        admin,
        "CreateUser",
        &[("UserName", BUNDLE_READER), ("Path", PATH)],
    )?;
    put("User", BUNDLE_READER, &reader)?;
    let documents = Role {
        identity: vec![policy],
        boundary: None,
        trust,
    };
    Ok(shipped
        .role(&role_arn(&names.account, BUNDLE_ROLE), documents)
        .user(BUNDLE_READER, vec![reader]))
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
