//! AWS Secrets Manager as a place for sealed bundles: versions that are written beside, and one label of ours that says which
//! of them counts.
//!
//! A label stands on one version only, and a move that names the wrong version to take it from is refused: a compare-and-swap.
//! A version is always put with a label of its own, because a put that names none moves `AWSCURRENT` without a word.
//!
//! Source: AWS Secrets Manager API Reference, `PutSecretValue`, `GetSecretValue`, `UpdateSecretVersionStage`.

use time::OffsetDateTime;

use super::client::{Aws, Repeat};
use super::error::AwsError;
use super::sts::incomplete;
use super::{Answer, Arn, Credentials};

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Its id: the token that it was put with.
    pub version: String,
    /// What stands in it.
    pub text: String,
    /// When it was made, by AWS's clock; UTC.
    pub created: Option<OffsetDateTime>,
}

/// What became of a label that was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It stands on the new version.
    Yes,
    /// It did not stand where it was to be taken from, and stays where it is.
    No,
}

impl Aws {
    /// The version that carries `label`: `secretsmanager:GetSecretValue`. `None` where no version carries it.
    pub async fn labelled_version(
        &self,
        credentials: &Credentials,
        secret: &Arn,
        label: &str,
    ) -> Result<Answer<Option<Labelled>>, AwsError> {
        let ended = self.version_of(credentials, secret, Some(label), None);
        match ended.await {
            Ok(answer) => Ok(answer.map(Some)),
            // The same code says that the secret is not there: then what is put next is refused with it.
            Err(AwsError::Invalid(reply))
                if reply.code.as_deref() == Some("ResourceNotFoundException") =>
            {
                Ok(Answer {
                    value: None,
                    region: reply.region,
                    request_id: reply.request_id,
                    date: reply.date,
                })
            }
            Err(why) => Err(why),
        }
    }

    /// One version by its id: `secretsmanager:GetSecretValue`.
    pub async fn secret_version(
        &self,
        credentials: &Credentials,
        secret: &Arn,
        version: &str,
    ) -> Result<Answer<Labelled>, AwsError> {
        self.version_of(credentials, secret, None, Some(version))
            .await
    }

    /// Puts a version under an id of the caller's, with one label and no other: `secretsmanager:PutSecretValue`.
    /// The same id with the same text again changes nothing, so a repeat is harmless.
    ///
    /// `version`: 32 to 64 of `A-Za-z0-9-`. `text`: at most 65,536 bytes.
    pub async fn put_secret_version(
        &self,
        credentials: &Credentials,
        secret: &Arn,
        version: &str,
        text: &str,
        label: &str,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_secrets(
                credentials,
                secret.as_str(),
                "secretsmanager:PutSecretValue",
                Repeat::Harmless,
                |client| {
                    client
                        .put_secret_value()
                        .secret_id(secret.as_str())
                        .client_request_token(version)
                        .secret_string(text)
                        .version_stages(label)
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    /// Moves `label` from one version to another: `secretsmanager:UpdateSecretVersionStage`. `from` is what the caller has seen it on;
    /// where it stands elsewhere nothing moves. Where `from` is `None`, it may stand nowhere.
    ///
    /// A move whose answer was lost is looked after: it counts as made where the label stands on `to`.
    pub async fn swap_label(
        &self,
        credentials: &Credentials,
        secret: &Arn,
        label: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<Answer<Moved>, AwsError> {
        let ended = self
            .run_secrets(
                credentials,
                secret.as_str(),
                "secretsmanager:UpdateSecretVersionStage",
                // Nothing else moves a label back to where it was, so a repeat is refused where the first one counted.
                Repeat::Harmless,
                |client| {
                    client
                        .update_secret_version_stage()
                        .secret_id(secret.as_str())
                        .version_stage(label)
                        .set_remove_from_version_id(from.map(str::to_owned))
                        .move_to_version_id(to)
                        .send()
                },
            )
            .await;
        let stale = |why: &AwsError| why.code() == Some("InvalidParameterException");
        match ended.result {
            Ok(answer) => Ok(answer.map(|_| Moved::Yes)),
            Err(why) if stale(&why) || why.may_have_acted() || ended.unsure => {
                let now = self.labelled_version(credentials, secret, label).await?;
                let there = now.value.as_ref().is_some_and(|v| v.version == to);
                if there {
                    Ok(now.map(|_| Moved::Yes))
                } else if stale(&why) {
                    Ok(now.map(|_| Moved::No))
                } else {
                    Err(why)
                }
            }
            Err(why) => Err(why),
        }
    }

    async fn version_of(
        &self,
        credentials: &Credentials,
        secret: &Arn,
        label: Option<&str>,
        version: Option<&str>,
    ) -> Result<Answer<Labelled>, AwsError> {
        let operation = "secretsmanager:GetSecretValue";
        let ended = self
            .run_secrets(
                credentials,
                secret.as_str(),
                operation,
                // A read: repeating it is harmless.
                Repeat::Harmless,
                |client| {
                    client
                        .get_secret_value()
                        .secret_id(secret.as_str())
                        .set_version_stage(label.map(str::to_owned))
                        .set_version_id(version.map(str::to_owned))
                        .send()
                },
            )
            .await;
        let mut answer = ended.result?;
        let parts = answer
            .value
            .version_id
            .take()
            .zip(answer.value.secret_string.take());
        let Some((version, text)) = parts else {
            return Err(incomplete(
                operation,
                &self.secrets_target(secret.as_str())?,
                &answer,
            ));
        };
        let created = answer
            .value
            .created_date()
            .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok());
        Ok(answer.map(|_| Labelled {
            version,
            text,
            created,
        }))
    }
}
