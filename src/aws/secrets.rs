//! Secrets Manager: starting a secret's own rotation, and replacing the value of one that has none.
//!
//! Labels say which version of a secret counts: `AWSCURRENT` is what programs get, `AWSPENDING` what will be that next, `AWSPREVIOUS`
//! what it was before. A label stands on one version only. Source:
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/>.

use std::{collections::BTreeMap, future::Future};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use zeroize::Zeroizing;

use super::client::{Aws, Ended, Repeat};
use super::endpoints::ConfigError;
use super::error::AwsError;
use super::sts::incomplete;
use super::{Answer, Credentials};

/// The version that programs get.
pub const CURRENT: &str = "AWSCURRENT";
/// The version that is about to be [`CURRENT`].
pub const PENDING: &str = "AWSPENDING";
/// The version that was [`CURRENT`] before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// What `secretsmanager:DescribeSecret` says: never a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFacts {
    /// Version ids with the labels that stand on each; versions without a label are not listed.
    pub versions: BTreeMap<String, Vec<String>>,
    /// Whether AWS rotates it.
    pub rotation_enabled: bool,
    /// ARN of its rotation function, where it has one.
    pub rotation_function: Option<String>,
    /// Whether it is marked for deletion.
    pub deleted: bool,
    /// The Region that it is a copy from; a copy cannot be rotated.
    pub primary_region: Option<String>,
}

impl SecretFacts {
    /// The version on which a label stands.
    pub fn version_with(&self, label: &str) -> Option<&str> {
        self.versions
            .iter()
            .find(|(_, labels)| labels.iter().any(|l| l == label))
            .map(|(version, _)| version.as_str())
    }

    /// Whether a label stands on this version.
    pub fn has_label(&self, version: &str, label: &str) -> bool {
        self.versions
            .get(version)
            .is_some_and(|labels| labels.iter().any(|l| l == label))
    }

    /// Whether AWS rotates it, by a function or by itself.
    pub fn rotates_itself(&self) -> bool {
        self.rotation_enabled || self.rotation_function.is_some()
    }
}

/// A secret's value. No `Debug`, no `Clone`, no comparison.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::aws::SecretValue) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::aws::SecretValue) {
/// let copy = secret.clone();
/// # }
/// ```
pub struct SecretValue {
    /// The version that it belongs to.
    pub version: String,
    /// The value; `None` where it is binary.
    pub text: Option<Zeroizing<String>>,
}

/// The session policy for one secret alone: to read it, to stage a value and to move its labels. Where a key of the customer's encrypts it
/// that key may be used, for this secret alone.
pub fn one_secret_policy(arn: &str) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:GetSecretValue",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:UpdateSecretVersionStage",
                ],
                "Resource": arn,
            },
            {
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:EncryptionContext:SecretARN": arn}},
            },
        ],
    })
    .to_string()
}

impl Aws {
    /// What stands where of a secret: `secretsmanager:DescribeSecret`.
    pub async fn describe_secret(
        &self,
        credentials: &Credentials,
        arn: &str,
    ) -> Result<Answer<SecretFacts>, AwsError> {
        // A read: repeating it is harmless.
        let ended = self
            .run_secrets(
                credentials,
                arn,
                "secretsmanager:DescribeSecret",
                Repeat::Harmless,
                |client| client.describe_secret().secret_id(arn).send(),
            )
            .await;
        Ok(ended.result?.map(|said| SecretFacts {
            versions: said
                .version_ids_to_stages
                .unwrap_or_default()
                .into_iter()
                .collect(),
            rotation_enabled: said.rotation_enabled.unwrap_or_default(),
            rotation_function: said.rotation_lambda_arn,
            deleted: said.deleted_date.is_some(),
            primary_region: said.primary_region,
        }))
    }

    /// Starts a secret's own rotation now: `secretsmanager:RotateSecret`. `version` is the new version's id, 32 to 64 characters. Sent
    /// once: after [`AwsError::may_have_acted`] look for that version before trying again. It only begins: see where the labels go.
    pub async fn rotate_secret(
        &self,
        credentials: &Credentials,
        arn: &str,
        version: &str,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_secrets(
                credentials,
                arn,
                "secretsmanager:RotateSecret",
                Repeat::Never,
                |client| {
                    client
                        .rotate_secret()
                        .secret_id(arn)
                        .client_request_token(version)
                        .rotate_immediately(true)
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    /// A version's value: `secretsmanager:GetSecretValue`; the version that is [`CURRENT`] where none is named.
    pub async fn secret_value(
        &self,
        credentials: &Credentials,
        arn: &str,
        version: Option<&str>,
    ) -> Result<Answer<SecretValue>, AwsError> {
        let operation = "secretsmanager:GetSecretValue";
        // A read: repeating it is harmless.
        let ended = self
            .run_secrets(credentials, arn, operation, Repeat::Harmless, |client| {
                let call = client.get_secret_value().secret_id(arn);
                match version {
                    Some(version) => call.version_id(version),
                    None => call.version_stage(CURRENT),
                }
                .send()
            })
            .await;
        let mut answer = ended.result?;
        let Some(version) = answer.value.version_id.take() else {
            let target = self.secrets_target(arn)?;
            return Err(incomplete(operation, &target, &answer));
        };
        // The string moves: no copy stays behind.
        let text = answer.value.secret_string.take().map(Zeroizing::new);
        Ok(answer.map(|_| SecretValue { version, text }))
    }

    /// Adds a version under [`PENDING`], and under nothing else: `secretsmanager:PutSecretValue` with its `VersionStages`, without which
    /// it would move [`CURRENT`]. Sent once; AWS refuses another value for a version that exists (`ResourceExistsException`).
    pub async fn put_pending_value(
        &self,
        credentials: &Credentials,
        arn: &str,
        version: &str,
        value: &Zeroizing<String>,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_secrets(
                credentials,
                arn,
                "secretsmanager:PutSecretValue",
                Repeat::Never,
                |client| {
                    client
                        .put_secret_value()
                        .secret_id(arn)
                        .client_request_token(version)
                        .secret_string(value.as_str())
                        .version_stages(PENDING)
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    /// Moves a label by compare-and-swap: `secretsmanager:UpdateSecretVersionStage`, which is refused where `label` does not stand on
    /// `from` any more. `to` absent takes it away. Sent once: a second one would be refused by the first one's success.
    pub async fn move_label(
        &self,
        credentials: &Credentials,
        arn: &str,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_secrets(
                credentials,
                arn,
                "secretsmanager:UpdateSecretVersionStage",
                Repeat::Never,
                |client| {
                    client
                        .update_secret_version_stage()
                        .secret_id(arn)
                        .version_stage(label)
                        .set_remove_from_version_id(from.map(str::to_owned))
                        .set_move_to_version_id(to.map(str::to_owned))
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    pub(super) fn secrets_target(
        &self,
        arn: &str,
    ) -> Result<super::endpoints::Target, ConfigError> {
        // arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
        let region = arn.split(':').nth(3).unwrap_or_default();
        self.inner.endpoints.regional("secretsmanager", region)
    }

    /// One call of Secrets Manager's, in the Region that the secret's ARN names.
    pub(super) async fn run_secrets<T, E, F, Fut>(
        &self,
        credentials: &Credentials,
        arn: &str,
        operation: &'static str,
        repeat: Repeat,
        call: F,
    ) -> Ended<T>
    where
        F: Fn(aws_sdk_secretsmanager::Client) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let target = match self.secrets_target(arn) {
            Ok(target) => target,
            Err(why) => {
                return Ended {
                    result: Err(why.into()),
                    unsure: false,
                };
            }
        };
        self.run(operation, &target, repeat, |watch| {
            call(self.secrets_client(credentials, &target, &watch))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_on_their_versions() {
        let facts = SecretFacts {
            versions: [
                ("one".to_owned(), vec![PREVIOUS.to_owned()]),
                (
                    "two".to_owned(),
                    vec![CURRENT.to_owned(), PENDING.to_owned()],
                ),
            ]
            .into(),
            ..SecretFacts::default()
        };
        assert_eq!(facts.version_with(CURRENT), Some("two"));
        assert_eq!(facts.version_with(PREVIOUS), Some("one"));
        assert!(facts.has_label("two", PENDING) && !facts.has_label("one", PENDING));
        assert!(!facts.has_label("three", CURRENT) && !facts.rotates_itself());
    }
}
