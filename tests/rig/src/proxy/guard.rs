//! What the emulator gets wrong, decided here: paths in IAM's resources, the conditions that were taken out of its
//! copy of the policies, AWS's quotas of keys and policies, and the longest session of a role.
//!
//! The guard evaluates the shipped documents, unchanged, on each AssumeRole and each IAM call of a principal that it
//! knows. It only ever refuses: whatever it lets pass, the emulator still decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::call::Call;
use super::conditions::{Context, Question, Verdict, evaluate};
use super::limits;
use super::reply::Refusal;
use crate::client::Client;
use crate::{RigError, xml};

/// Access keys that AWS lets a user have.
const KEYS_PER_USER: usize = 2;

/// Characters, white space aside, that all inline policies of a role may have together.
const ROLE_POLICIES: usize = 10_240;

/// The shipped documents of the principals that a world has; the guard's law.
#[derive(Default)]
pub struct Shipped {
    users: BTreeMap<String, Vec<Value>>,
    roles: BTreeMap<String, Role>,
}

/// A role's shipped documents.
pub struct Role {
    /// Its own policies.
    pub identity: Vec<Value>,
    /// Its permissions boundary.
    pub boundary: Option<Value>,
    /// Who may assume it.
    pub trust: Value,
}

impl Shipped {
    /// Nothing known: the guard then checks shapes and quotas alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user's policies.
    pub fn user(mut self, name: &str, identity: Vec<Value>) -> Self {
        self.users.insert(name.to_owned(), identity);
        self
    }

    /// Adds a role's policies; roles of one name in two accounts are two.
    pub fn role(mut self, arn: &str, role: Role) -> Self {
        self.roles.insert(arn.to_owned(), role);
        self
    }
}

/// A session that the proxy saw being made: whose it is.
#[derive(Clone)]
pub(super) struct Session {
    role: String,
    arn: String,
    tags: Vec<(String, String)>,
}

impl Session {
    /// The session that a successful AssumeRole made, with its key's id.
    pub(super) fn of(call: &Call, reply: &str) -> Option<(String, Self)> {
        let session = Self {
            role: call.param("RoleArn")?.to_owned(),
            arn: xml::text(reply, "Arn")?,
            tags: call
                .tags()
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        };
        Some((xml::text(reply, "AccessKeyId")?, session))
    }
}

/// Who signed a call.
enum Caller {
    User {
        name: String,
        arn: String,
    },
    Session(Session),
    /// A key that does not work, or a session made elsewhere: the emulator decides alone.
    Unknown,
}

/// Refuses the call if AWS would and the emulator would not. `session` is what the proxy knows of the call's key.
pub(super) async fn check(
    shipped: &Shipped,
    emulator: SocketAddr,
    admin: &Client,
    call: &Call,
    session: Option<Session>,
) -> Result<Result<(), Refusal>, RigError> {
    if !matches!(call.service(), "iam" | "sts") {
        return Ok(Ok(()));
    }
    let caller = caller(admin, call, session).await?;
    if matches!(caller, Caller::Unknown) {
        return Ok(Ok(()));
    }
    // A role is looked up where it is; IAM is asked in the caller's own account.
    let of =
        |arn: &str| crate::emulator::admin(emulator, arn.split(':').nth(4).unwrap_or_default());
    match call.action.as_str() {
        "sts:AssumeRole" => {
            let admin = of(call.param("RoleArn").unwrap_or_default());
            assume_role(shipped, &admin, call, &caller).await
        }
        action if action.starts_with("iam:") => {
            iam(shipped, &of(caller.arn()), call, &caller).await
        }
        _ => Ok(Ok(())),
    }
}

async fn caller(admin: &Client, call: &Call, session: Option<Session>) -> Result<Caller, RigError> {
    if let Some(session) = session {
        return Ok(Caller::Session(session));
    }
    let Some(key) = call
        .access_key_id
        .as_deref()
        .filter(|_| !call.session_token)
    else {
        return Ok(Caller::Unknown);
    };
    let owner = admin
        .query_async("iam", "GetAccessKeyLastUsed", &[("AccessKeyId", key)])
        .await?;
    let Some(name) = owner.text("UserName").filter(|_| owner.is_ok()) else {
        return Ok(Caller::Unknown);
    };
    let active = keys(admin, &name)
        .await?
        .iter()
        .any(|(id, status)| id == key && status == "Active");
    let user = admin
        .query_async("iam", "GetUser", &[("UserName", &name)])
        .await?;
    Ok(match user.text("Arn") {
        Some(arn) if active => Caller::User { name, arn },
        _ => Caller::Unknown,
    })
}

async fn assume_role(
    shipped: &Shipped,
    admin: &Client,
    call: &Call,
    caller: &Caller,
) -> Result<Result<(), Refusal>, RigError> {
    if let Err(refusal) = limits::shape(call) {
        return Ok(Err(refusal));
    }
    let arn = call.param("RoleArn").unwrap_or_default();
    let role = admin
        .query_async("iam", "GetRole", &[("RoleName", last(arn))])
        .await?;
    if !role.is_ok() {
        return Ok(Ok(()));
    }
    let longest = role
        .text("MaxSessionDuration")
        .and_then(|text| text.parse().ok())
        .unwrap_or(3600);
    if let Err(refusal) = limits::duration_of_role(call, longest) {
        return Ok(Err(refusal));
    }

    let mut context = caller.context();
    for (key, parameter) in [
        ("sts:externalid", "ExternalId"),
        ("sts:rolesessionname", "RoleSessionName"),
        ("sts:sourceidentity", "SourceIdentity"),
    ] {
        context.extend(
            call.param(parameter)
                .map(|value| (key.to_owned(), vec![value.to_owned()])),
        );
    }
    let mut actions = vec!["sts:AssumeRole"];
    let tags = call.tags();
    if !tags.is_empty() {
        actions.push("sts:TagSession");
        context.insert(
            "aws:tagkeys".into(),
            tags.iter().map(|(key, _)| (*key).to_owned()).collect(),
        );
    }
    for (key, value) in tags {
        context.insert(
            format!("aws:requesttag/{}", key.to_ascii_lowercase()),
            vec![value.to_owned()],
        );
    }
    let transitive = call.list("TransitiveTagKeys");
    if !transitive.is_empty() {
        context.insert(
            "sts:transitivetagkeys".into(),
            transitive.into_iter().map(str::to_owned).collect(),
        );
    }
    if call.param("SourceIdentity").is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    for action in actions {
        let question = Question {
            action,
            resource: arn,
            principal: caller.arn(),
            context: &context,
        };
        if let Err(refusal) = identity_allows(shipped, caller, &question)? {
            return Ok(Err(refusal));
        }
        if let Some(role) = shipped.roles.get(arn)
            && said(&role.trust, &question)? != Verdict::Allowed
        {
            return Ok(Err(denied(&question)));
        }
    }
    Ok(Ok(()))
}

/// Whether the caller of RotateSecret may invoke the rotation function, as AWS demands and the emulator does not.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>.
pub(super) fn may_invoke(
    shipped: &Shipped,
    session: Option<Session>,
    function: &str,
) -> Result<Result<(), Refusal>, RigError> {
    let caller = match session {
        Some(session) => Caller::Session(session),
        None => Caller::Unknown,
    };
    let context = caller.context();
    let question = Question {
        action: "lambda:InvokeFunction",
        resource: function,
        principal: caller.arn(),
        context: &context,
    };
    identity_allows(shipped, &caller, &question)
}

async fn iam(
    shipped: &Shipped,
    admin: &Client,
    call: &Call,
    caller: &Caller,
) -> Result<Result<(), Refusal>, RigError> {
    let mut context = caller.context();
    let found = if let Some(name) = call.param("RoleName") {
        let role = admin
            .query_async("iam", "GetRole", &[("RoleName", name)])
            .await?;
        if let Some(boundary) = role.text("PermissionsBoundaryArn") {
            context.insert("iam:permissionsboundary".into(), vec![boundary]);
        }
        role
    } else if let Some(name) = call.param("UserName") {
        admin
            .query_async("iam", "GetUser", &[("UserName", name)])
            .await?
    } else if let Some(key) = call.param("AccessKeyId") {
        let owner = admin
            .query_async("iam", "GetAccessKeyLastUsed", &[("AccessKeyId", key)])
            .await?;
        let Some(name) = owner.text("UserName").filter(|_| owner.is_ok()) else {
            return Ok(Ok(()));
        };
        admin
            .query_async("iam", "GetUser", &[("UserName", &name)])
            .await?
    } else {
        return Ok(Ok(()));
    };
    let Some(resource) = found.text("Arn") else {
        return Ok(Ok(()));
    };
    let question = Question {
        action: &call.action,
        resource: &resource,
        principal: caller.arn(),
        context: &context,
    };
    if let Err(refusal) = identity_allows(shipped, caller, &question)? {
        return Ok(Err(refusal));
    }
    quotas(admin, call).await
}

/// AWS's quotas on what IAM stores, which the emulator does not have.
async fn quotas(admin: &Client, call: &Call) -> Result<Result<(), Refusal>, RigError> {
    let exceeded = match (
        call.action.as_str(),
        call.param("UserName"),
        call.param("RoleName"),
    ) {
        ("iam:CreateAccessKey", Some(user), _)
            if keys(admin, user).await?.len() >= KEYS_PER_USER =>
        {
            format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_PER_USER}")
        }
        ("iam:PutRolePolicy", _, Some(role))
            if policies_after(admin, call, role).await? > ROLE_POLICIES =>
        {
            format!("Maximum policy size of {ROLE_POLICIES} bytes exceeded for role {role}")
        }
        _ => return Ok(Ok(())),
    };
    Ok(Err(Refusal::new(409, "LimitExceeded", exceeded)))
}

/// How large the role's inline policies would be together, once this PutRolePolicy were done.
async fn policies_after(admin: &Client, call: &Call, role: &str) -> Result<usize, RigError> {
    let size = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let mut total = call.param("PolicyDocument").map_or(0, size);
    let listed = admin
        .query_async("iam", "ListRolePolicies", &[("RoleName", role)])
        .await?;
    for name in xml::members(&listed.body, "PolicyNames") {
        if call.param("PolicyName") == Some(name) {
            continue;
        }
        let named = [("RoleName", role), ("PolicyName", name)];
        let policy = admin.query_async("iam", "GetRolePolicy", &named).await?;
        total += size(&xml::document(
            &policy.text("PolicyDocument").unwrap_or_default(),
        ));
    }
    Ok(total)
}

/// Whether the caller's own shipped policies, and its boundary, allow what is asked. Of a principal without shipped
/// policies nothing is known, and the emulator decides.
fn identity_allows(
    shipped: &Shipped,
    caller: &Caller,
    question: &Question<'_>,
) -> Result<Result<(), Refusal>, RigError> {
    let (identity, boundary) = match caller {
        Caller::User { name, .. } => match shipped.users.get(name) {
            Some(identity) => (identity, None),
            None => return Ok(Ok(())),
        },
        Caller::Session(session) => match shipped.roles.get(&session.role) {
            Some(role) => (&role.identity, role.boundary.as_ref()),
            None => return Ok(Ok(())),
        },
        Caller::Unknown => return Ok(Ok(())),
    };
    let mut verdicts = Vec::new();
    for document in identity {
        verdicts.push(said(document, question)?);
    }
    let boundary = boundary
        .map(|boundary| said(boundary, question))
        .transpose()?;
    let allowed = verdicts.contains(&Verdict::Allowed)
        && !verdicts.contains(&Verdict::Denied)
        && boundary.is_none_or(|verdict| verdict == Verdict::Allowed);
    Ok(if allowed {
        Ok(())
    } else {
        Err(denied(question))
    })
}

fn said(document: &Value, question: &Question<'_>) -> Result<Verdict, RigError> {
    evaluate(document, question).map_err(|unknown| {
        RigError::new(format!(
            "the rig cannot evaluate {unknown}; teach it in proxy/conditions.rs"
        ))
    })
}

fn denied(question: &Question<'_>) -> Refusal {
    let Question {
        action,
        resource,
        principal,
        ..
    } = question;
    Refusal::new(
        403,
        "AccessDenied",
        format!("User: {principal} is not authorized to perform: {action} on resource: {resource}"),
    )
}

/// The user's keys: id and status.
async fn keys(admin: &Client, user: &str) -> Result<Vec<(String, String)>, RigError> {
    let reply = admin
        .query_async("iam", "ListAccessKeys", &[("UserName", user)])
        .await?;
    Ok(xml::members(&reply.body, "AccessKeyMetadata")
        .into_iter()
        .filter_map(|key| Some((xml::text(key, "AccessKeyId")?, xml::text(key, "Status")?)))
        .collect())
}

impl Caller {
    fn arn(&self) -> &str {
        match self {
            Self::User { arn, .. } | Self::Session(Session { arn, .. }) => arn,
            Self::Unknown => "",
        }
    }

    fn context(&self) -> Context {
        let mut context =
            Context::from([("aws:principalarn".to_owned(), vec![self.arn().to_owned()])]);
        if let Self::Session(session) = self {
            // When the token was issued stands in no shipped condition; that there is one does.
            context.insert("aws:tokenissuetime".into(), vec![String::new()]);
            for (key, value) in &session.tags {
                context.insert(
                    format!("aws:principaltag/{}", key.to_ascii_lowercase()),
                    vec![value.clone()],
                );
            }
        }
        context
    }
}

/// The name at the end of an ARN.
fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
