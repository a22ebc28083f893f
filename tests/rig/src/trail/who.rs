//! Who made a call: `userIdentity`.

use std::collections::HashMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::seconds;
use crate::client::Client;
use crate::proxy::Call;
use crate::{RigError, xml};

/// By access key id. A key never changes hands, so what was found once holds.
pub(crate) type Identities = HashMap<String, Identity>;

/// Whose key it is.
#[derive(Clone)]
pub(crate) enum Identity {
    User {
        name: String,
        arn: String,
        id: String,
    },
    Session {
        arn: String,
        /// `AROA...:name`.
        id: String,
        role: String,
        source_identity: Option<String>,
        begun: OffsetDateTime,
    },
}

/// The user that has this key, asked of the emulator.
pub(crate) async fn lookup(admin: &Client, key: &str) -> Result<Option<Identity>, RigError> {
    let owner = admin
        .query_async("iam", "GetAccessKeyLastUsed", &[("AccessKeyId", key)])
        .await?;
    match owner.text("UserName").filter(|_| owner.is_ok()) {
        Some(name) => user(admin, name).await,
        None => Ok(None),
    }
}

async fn user(admin: &Client, name: String) -> Result<Option<Identity>, RigError> {
    let found = admin
        .query_async("iam", "GetUser", &[("UserName", &name)])
        .await?;
    let whole = found.text("Arn").zip(found.text("UserId"));
    Ok(whole.map(|(arn, id)| Identity::User { name, arn, id }))
}

/// Takes from a success whose a new key is.
pub(crate) async fn learn(
    admin: &Client,
    call: &Call,
    reply: &str,
    now: OffsetDateTime,
) -> Result<Option<(String, Identity)>, RigError> {
    let Some(key) = xml::text(reply, "AccessKeyId") else {
        return Ok(None);
    };
    let identity = match call.action.as_str() {
        "iam:CreateAccessKey" => match xml::text(reply, "UserName") {
            Some(name) => user(admin, name).await?,
            None => None,
        },
        "sts:AssumeRole" => session(call, reply, now),
        _ => None,
    };
    Ok(identity.map(|identity| (key, identity)))
}

fn session(call: &Call, reply: &str, begun: OffsetDateTime) -> Option<Identity> {
    Some(Identity::Session {
        arn: xml::text(reply, "Arn")?,
        id: xml::text(reply, "AssumedRoleId")?,
        role: call.param("RoleArn")?.to_owned(),
        source_identity: call.param("SourceIdentity").map(str::to_owned),
        begun,
    })
}

/// As CloudTrail writes it.
pub(super) fn shown(call: &Call, identity: Option<&Identity>, account: &str) -> Value {
    let key = call.access_key_id.as_deref().unwrap_or_default();
    match identity {
        Some(Identity::User { name, arn, id }) => json!({
            "type": "IAMUser",
            "principalId": id,
            "arn": arn,
            "accountId": account,
            "accessKeyId": key,
            "userName": name,
        }),
        Some(Identity::Session {
            arn,
            id,
            role,
            source_identity,
            begun,
        }) => {
            let owner = role.split(':').nth(4).unwrap_or(account);
            let mut context = json!({
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": id.split(':').next().unwrap_or_default(),
                    "arn": role,
                    "accountId": owner,
                    "userName": role.rsplit('/').next().unwrap_or_default(),
                },
                "attributes": {"creationDate": seconds(*begun), "mfaAuthenticated": "false"},
            });
            if let Some(identity) = source_identity {
                context["sourceIdentity"] = identity.as_str().into();
            }
            json!({
                "type": "AssumedRole",
                "principalId": id,
                "arn": arn,
                "accountId": owner,
                "accessKeyId": key,
                "sessionContext": context,
            })
        }
        None => json!({"type": "Unknown", "accountId": account, "accessKeyId": key}),
    }
}
