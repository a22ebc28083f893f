//! What AWS does when a secret is rotated, and the emulator does not: it stages an empty version, calls the rotation function, and
//! moves no label itself. The emulator copies the value and moves `AWSCURRENT` at once; here that is undone before anybody can see it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::call::Call;
use super::reply::{Refusal, answer};
use super::rules::Gate;
use super::wire::forwarded;
use super::{Shared, guard};
use crate::client::{Client, Reply};
use crate::{RigError, http};

/// What a rotation function does once AWS has called it.
#[derive(Clone)]
pub enum Function {
    /// Puts the new value and moves `AWSCURRENT`; `AWSPENDING` stays on the same version, as AWS allows.
    Succeeds,
    /// The same, and takes `AWSPENDING` off.
    SucceedsAndCleansUp,
    /// The same as [`Function::Succeeds`], once the gate is open.
    Waits(Gate),
    /// Fails: `AWSPENDING` stays on a version that nobody uses.
    Fails,
    /// Fails, and takes `AWSPENDING` off its version.
    GivesUp,
    /// AWS may not call it, or it does not exist.
    Missing,
}

/// Rotation functions by the ARN of their secret.
pub(super) type Functions = HashMap<String, (Function, Value)>;

/// A secret's labels by version.
type Versions = BTreeMap<String, Vec<String>>;

/// Whether this call needs the translation.
pub(super) fn is_ours(call: &Call) -> bool {
    matches!(
        call.action.as_str(),
        "secretsmanager:RotateSecret" | "secretsmanager:PutSecretValue"
    )
}

/// Does what AWS does with the call.
pub(super) async fn act(
    shared: &Arc<Shared>,
    call: &mut Call,
    head: &Parts,
    body: &Bytes,
) -> Result<Response<Bytes>, RigError> {
    let secret = call.param("SecretId").unwrap_or_default().to_owned();
    let version = call
        .param("ClientRequestToken")
        .unwrap_or_default()
        .to_owned();
    // Nobody sees the labels while they are put right.
    let _alone = shared.rotating.write().await;
    if call.action == "secretsmanager:PutSecretValue" {
        return put(shared, call, head, body, &secret, &version).await;
    }
    let admin = &shared.admin;
    let before = versions(admin, &secret).await?;
    let function = shared.lock().functions.get(&secret).cloned();
    let key = call.access_key_id.clone().unwrap_or_default();
    let session = shared.lock().sessions.get(&key).cloned();
    if let Some(name) = call_needs(admin, &secret).await?
        && let Err(refusal) = guard::may_invoke(&shared.shipped, session, &name)?
    {
        return Ok(refusal.response(call));
    }
    if before.contains_key(&version) {
        // The same token once more is the same rotation.
        return Ok(done(&secret, &version));
    }
    call.forwarded += 1;
    let response = http::exchange(shared.emulator, forwarded(head, body)).await?;
    if !response.status().is_success() {
        return Ok(response);
    }
    let current = with_label(&before, "AWSCURRENT").unwrap_or_default();
    relabel(admin, &secret, "AWSCURRENT", Some(&version), Some(&current)).await?;
    relabel(admin, &secret, "AWSPREVIOUS", Some(&version), None).await?;
    if let Some(pending) = with_label(&before, "AWSPENDING")
        && pending != current
    {
        let message = "A previous rotation isn't complete. That rotation will be reattempted.";
        return Ok(Refusal::new(400, "InvalidRequestException", message).response(call));
    }
    let (function, value) = match function {
        Some((Function::Missing, _)) => {
            let message = "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy \
                           grants access to the principal secretsmanager.amazonaws.com.";
            return Ok(Refusal::new(400, "AccessDeniedException", message).response(call));
        }
        Some(function) => function,
        None => {
            let message = "No Lambda rotation function ARN is associated with this secret.";
            return Ok(Refusal::new(400, "InvalidRequestException", message).response(call));
        }
    };
    relabel(admin, &secret, "AWSPENDING", None, Some(&version)).await?;
    let (shared, answered) = (Arc::clone(shared), done(&secret, &version));
    tokio::spawn(async move {
        if let Err(error) = run(&shared, function, &value, &secret, &version, &current).await {
            let mut state = shared.lock();
            state.broken.push(format!("a rotation function: {error}"));
        }
    });
    Ok(answered)
}

/// The function's own work, with an execution role's rights.
async fn run(
    shared: &Shared,
    function: Function,
    value: &Value,
    secret: &str,
    version: &str,
    current: &str,
) -> Result<(), RigError> {
    let admin = &shared.admin;
    if let Function::Waits(gate) = &function {
        gate.pass().await;
    }
    let _alone = shared.rotating.write().await;
    match function {
        Function::Succeeds | Function::SucceedsAndCleansUp | Function::Waits(_) => {
            let put = json!({
                "SecretId": secret, "ClientRequestToken": version, "SecretString": value.as_str(),
                "VersionStages": ["AWSPENDING"],
            });
            say(admin, "PutSecretValue", &put).await?;
            relabel(admin, secret, "AWSCURRENT", Some(current), Some(version)).await?;
            if matches!(function, Function::SucceedsAndCleansUp) {
                relabel(admin, secret, "AWSPENDING", Some(version), None).await?;
            }
        }
        Function::GivesUp => relabel(admin, secret, "AWSPENDING", Some(version), None).await?,
        Function::Fails | Function::Missing => {}
    }
    Ok(())
}

/// PutSecretValue with the token of a version that exists: the same value is the same call, another one is refused.
async fn put(
    shared: &Shared,
    call: &mut Call,
    head: &Parts,
    body: &Bytes,
    secret: &str,
    version: &str,
) -> Result<Response<Bytes>, RigError> {
    let ask = json!({"SecretId": secret, "VersionId": version});
    let there = shared
        .admin
        .json_async("secretsmanager", "secretsmanager.GetSecretValue", &ask)
        .await?;
    if there.is_ok() {
        if there.text("SecretString").as_deref() == call.param("SecretString") {
            return Ok(done(secret, version));
        }
        let message = "You can't use ClientRequestToken because that value is already in use for a version of the secret.";
        return Ok(Refusal::new(400, "ResourceExistsException", message).response(call));
    }
    call.forwarded += 1;
    http::exchange(shared.emulator, forwarded(head, body)).await
}

fn done(secret: &str, version: &str) -> Response<Bytes> {
    let name = secret.rsplit(':').next().unwrap_or_default();
    let body = json!({"ARN": secret, "Name": name, "VersionId": version});
    answer(200, "application/x-amz-json-1.1", body.to_string())
}

/// The rotation function that AWS would call.
async fn call_needs(admin: &Client, secret: &str) -> Result<Option<String>, RigError> {
    let facts = describe(admin, secret).await?;
    Ok(facts["RotationLambdaARN"].as_str().map(str::to_owned))
}

async fn versions(admin: &Client, secret: &str) -> Result<Versions, RigError> {
    let facts = describe(admin, secret).await?;
    Ok(serde_json::from_value(facts["VersionIdsToStages"].clone()).unwrap_or_default())
}

async fn describe(admin: &Client, secret: &str) -> Result<Value, RigError> {
    let target = "secretsmanager.DescribeSecret";
    let said = admin
        .json_async("secretsmanager", target, &json!({"SecretId": secret}))
        .await?;
    Ok(serde_json::from_str(&said.body).unwrap_or_default())
}

fn with_label(versions: &Versions, label: &str) -> Option<String> {
    let found = versions
        .iter()
        .find(|(_, labels)| labels.iter().any(|l| l == label));
    found.map(|(version, _)| version.clone())
}

async fn relabel(
    admin: &Client,
    secret: &str,
    label: &str,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(), RigError> {
    let mut ask = json!({"SecretId": secret, "VersionStage": label});
    if let Some(from) = from {
        ask["RemoveFromVersionId"] = from.into();
    }
    if let Some(to) = to {
        ask["MoveToVersionId"] = to.into();
    }
    say(admin, "UpdateSecretVersionStage", &ask).await.map(drop)
}

async fn say(admin: &Client, action: &str, body: &Value) -> Result<Reply, RigError> {
    let target = format!("secretsmanager.{action}");
    admin
        .json_async("secretsmanager", &target, body)
        .await?
        .expect_ok(action)
}
