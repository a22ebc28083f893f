//! Secrets in Secrets Manager, as a case wants them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use crate::proxy::{Function, Gate};
use crate::{RigError, World};

/// A secret as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Labels by version.
    pub versions: BTreeMap<String, Vec<String>>,
}

impl Standing {
    /// The version that a label stands on.
    pub fn with(&self, label: &str) -> Option<&str> {
        let found = self
            .versions
            .iter()
            .find(|(_, labels)| labels.iter().any(|l| l == label));
        found.map(|(version, _)| version.as_str())
    }
}

impl World {
    /// Makes a secret `prod/NAME` without a rotation function; gives its ARN.
    pub fn make_secret(&self, name: &str, value: &str) -> Result<String, RigError> {
        self.create(json!({"Name": format!("prod/{name}"), "SecretString": value}))
    }

    /// Makes a secret `prod/NAME` with the rotation function `rotate-NAME`, which puts `next` when it succeeds.
    pub fn make_rotated_secret(
        &self,
        name: &str,
        value: &str,
        function: Function,
        next: &str,
    ) -> Result<String, RigError> {
        let lambda = format!(
            "arn:aws:lambda:{}:{}:function:rotate-{name}",
            self.region(),
            self.account()
        );
        let arn = self.create(json!({
            "Name": format!("prod/{name}"), "SecretString": value, "RotationLambdaARN": lambda,
        }))?;
        self.set_function(&arn, function, next);
        Ok(arn)
    }

    /// Says what a secret's rotation function does from now on.
    pub fn set_function(&self, secret: &str, function: Function, next: &str) {
        self.proxy()
            .set_function(secret, function, Value::from(next));
    }

    /// Where a secret's labels stand.
    pub fn secret_standing(&self, secret: &str) -> Result<Standing, RigError> {
        let said = self.secrets("DescribeSecret", &json!({"SecretId": secret}))?;
        let said: Value = serde_json::from_str(&said)
            .map_err(|why| RigError::new(format!("DescribeSecret: {why}")))?;
        let versions = serde_json::from_value(said["VersionIdsToStages"].clone());
        Ok(Standing {
            versions: versions.unwrap_or_default(),
        })
    }

    /// The value under a label.
    pub fn secret_value(&self, secret: &str, label: &str) -> Result<String, RigError> {
        let said = self.secrets(
            "GetSecretValue",
            &json!({"SecretId": secret, "VersionStage": label}),
        )?;
        let said: Value = serde_json::from_str(&said)
            .map_err(|why| RigError::new(format!("GetSecretValue: {why}")))?;
        said["SecretString"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| RigError::new("a secret without a text"))
    }

    /// Puts a version under a label, as somebody else would; gives its id.
    pub fn put_secret(&self, secret: &str, value: &str, label: &str) -> Result<String, RigError> {
        let said = self.secrets(
            "PutSecretValue",
            &json!({"SecretId": secret, "SecretString": value, "VersionStages": [label],
                    "ClientRequestToken": format!("somebody-else-{:0>32}", label.to_lowercase())}),
        )?;
        let said: Value = serde_json::from_str(&said)
            .map_err(|why| RigError::new(format!("PutSecretValue: {why}")))?;
        Ok(said["VersionId"].as_str().unwrap_or_default().to_owned())
    }

    /// Takes a label off a version, as somebody else would.
    pub fn take_label(&self, secret: &str, version: &str, label: &str) -> Result<(), RigError> {
        self.secrets(
            "UpdateSecretVersionStage",
            &json!({"SecretId": secret, "VersionStage": label, "RemoveFromVersionId": version}),
        )
        .map(drop)
    }

    fn create(&self, ask: Value) -> Result<String, RigError> {
        let made = self.secrets("CreateSecret", &ask)?;
        let made: Value = serde_json::from_str(&made)
            .map_err(|why| RigError::new(format!("CreateSecret: {why}")))?;
        made["ARN"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| RigError::new("a secret without an ARN"))
    }

    fn secrets(&self, action: &str, body: &Value) -> Result<String, RigError> {
        let target = format!("secretsmanager.{action}");
        let reply = self.admin().json("secretsmanager", &target, body)?;
        Ok(reply.expect_ok(action)?.body)
    }
}
