//! IAM: the break-glass user's own keys, and the inline policies by which a steward closes sessions.
//!
//! IAM's control plane is one Region a partition and eventually consistent: lists may lag both ways.

use std::future::Future;

use aws_sdk_iam::types::StatusType;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use zeroize::Zeroizing;

use super::client::{Aws, Ended, Repeat};
use super::error::{AwsError, answered};
use super::http::Seen;
use super::sts::incomplete;
use super::{Answer, Credentials};

/// More pages than any list here can have; a server that always says 'more' is stopped by it.
const PAGES: usize = 40;

/// As the AWS CLI prints times: `2026-11-22T06:04:06+00:00`.
const CLI_TIME: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00");

/// One line of `iam:ListAccessKeys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// `AKIA...`.
    pub access_key_id: String,
    /// Whether IAM says `Active`.
    pub active: bool,
    /// When it was made.
    pub created: Option<OffsetDateTime>,
}

/// A key just made. No `Debug`, no `Clone`: it is the only copy of the secret in the world.
///
/// ```compile_fail,E0277
/// # fn show(secret: twotap::aws::NewKey) {
/// println!("{secret:?}");
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn copy(secret: twotap::aws::NewKey) {
/// let copy = secret.clone();
/// # }
/// ```
///
/// ```compile_fail,E0369
/// # fn compare(secret: twotap::aws::NewKey) {
/// assert!(secret == secret);
/// # }
/// ```
pub struct NewKey {
    /// The user that it belongs to.
    pub user_name: String,
    /// `AKIA...`.
    pub access_key_id: String,
    /// `Active`.
    pub status: String,
    /// The secret, 40 characters.
    pub secret_access_key: Zeroizing<String>,
    /// When it was made, UTC.
    pub create_date: OffsetDateTime,
}

impl NewKey {
    /// The key as something to sign with.
    pub fn credentials(&self) -> Credentials {
        Credentials::new(
            self.access_key_id.clone(),
            self.secret_access_key.as_str(),
            None,
            None,
            "twotap",
        )
    }

    /// Exactly what `aws iam create-access-key` prints (version 2, JSON), with the newline at its end.
    pub fn to_cli_json(&self) -> Zeroizing<String> {
        let created = self
            .create_date
            .to_offset(time::UtcOffset::UTC)
            .format(&CLI_TIME)
            .unwrap_or_default();
        let fields = [
            ("UserName", self.user_name.as_str()),
            ("AccessKeyId", &self.access_key_id),
            ("Status", &self.status),
            ("SecretAccessKey", &self.secret_access_key),
            ("CreateDate", &created),
        ];
        // Sized beforehand: a string that grows leaves copies behind. Six bytes is the longest escape.
        let size: usize = fields
            .iter()
            .map(|(name, value)| name.len() + 6 * value.len() + 16)
            .sum();
        let mut out = Zeroizing::new(String::with_capacity(size + 64));
        out.push_str("{\n    \"AccessKey\": {\n");
        for (index, (name, value)) in fields.iter().enumerate() {
            out.push_str("        \"");
            out.push_str(name);
            out.push_str("\": \"");
            escape_into(&mut out, value);
            out.push_str(if index + 1 < fields.len() {
                "\",\n"
            } else {
                "\"\n"
            });
        }
        out.push_str("    }\n}\n");
        out
    }
}

/// JSON's string escapes (RFC 8259 section 7), without an allocation.
fn escape_into(out: &mut String, text: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{0}'..='\u{1f}' => {
                let low = c as usize;
                out.extend(['\\', 'u', '0', '0', HEX[low >> 4], HEX[low & 15]]);
            }
            _ => out.push(c),
        }
    }
}

impl Aws {
    /// A user's access keys: `iam:ListAccessKeys`.
    pub async fn list_access_keys(
        &self,
        credentials: &Credentials,
        user: &str,
    ) -> Result<Answer<Vec<KeyInfo>>, AwsError> {
        let mut keys = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            // A read: repeating it is harmless.
            let ended = self
                .run_iam(
                    credentials,
                    "iam:ListAccessKeys",
                    Repeat::Harmless,
                    |client| {
                        client
                            .list_access_keys()
                            .user_name(user)
                            .set_marker(marker.clone())
                            .send()
                    },
                )
                .await;
            let answer = ended.result?;
            keys.extend(answer.value.access_key_metadata().iter().filter_map(|key| {
                Some(KeyInfo {
                    access_key_id: key.access_key_id()?.to_owned(),
                    active: key.status() == Some(&StatusType::Active),
                    created: key.create_date().and_then(utc),
                })
            }));
            marker = answer.value.marker().map(str::to_owned);
            if !answer.value.is_truncated() || marker.is_none() {
                return Ok(answer.map(|_| keys));
            }
        }
        Err(self.endless("iam:ListAccessKeys"))
    }

    /// Makes a second key for a user: `iam:CreateAccessKey`. Sent once: after
    /// [`AwsError::may_have_acted`] list the keys before trying again, because a lost answer
    /// leaves a key that nobody knows and that holds one of the two places.
    pub async fn create_access_key(
        &self,
        credentials: &Credentials,
        user: &str,
    ) -> Result<Answer<NewKey>, AwsError> {
        let operation = "iam:CreateAccessKey";
        let ended = self
            .run_iam(credentials, operation, Repeat::Never, |client| {
                client.create_access_key().user_name(user).send()
            })
            .await;
        let mut answer = ended.result?;
        let Some(key) = answer.value.access_key.take() else {
            return Err(incomplete(operation, &self.inner.endpoints.iam, &answer));
        };
        // The string moves: no copy stays behind.
        let secret_access_key = Zeroizing::new(key.secret_access_key);
        let Some(create_date) = key.create_date.as_ref().and_then(utc).or(answer.date) else {
            return Err(incomplete(operation, &self.inner.endpoints.iam, &answer));
        };
        let new = NewKey {
            user_name: key.user_name,
            access_key_id: key.access_key_id,
            status: key.status.as_str().to_owned(),
            secret_access_key,
            create_date,
        };
        Ok(answer.map(|_| new))
    }

    /// Makes a key active or inactive: `iam:UpdateAccessKey`. It sets a state, so a repeat is harmless.
    pub async fn set_access_key_active(
        &self,
        credentials: &Credentials,
        user: &str,
        access_key_id: &str,
        active: bool,
    ) -> Result<Answer<()>, AwsError> {
        let status = if active {
            StatusType::Active
        } else {
            StatusType::Inactive
        };
        let ended = self
            .run_iam(
                credentials,
                "iam:UpdateAccessKey",
                Repeat::Harmless,
                |client| {
                    client
                        .update_access_key()
                        .user_name(user)
                        .access_key_id(access_key_id)
                        .status(status.clone())
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    /// Deletes a key for good: `iam:DeleteAccessKey`. Ids are never given twice, so a repeat is harmless; that
    /// the key is gone counts as done when an earlier attempt's answer was lost.
    pub async fn delete_access_key(
        &self,
        credentials: &Credentials,
        user: &str,
        access_key_id: &str,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_iam(
                credentials,
                "iam:DeleteAccessKey",
                Repeat::Harmless,
                |client| {
                    client
                        .delete_access_key()
                        .user_name(user)
                        .access_key_id(access_key_id)
                        .send()
                },
            )
            .await;
        gone(ended)
    }

    /// Writes one inline policy of a role: `iam:PutRolePolicy`. It replaces the policy of that name alone, so a
    /// repeat is harmless and two writers with different names do not meet.
    pub async fn put_role_policy(
        &self,
        credentials: &Credentials,
        role_name: &str,
        policy_name: &str,
        document: &str,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_iam(
                credentials,
                "iam:PutRolePolicy",
                Repeat::Harmless,
                |client| {
                    client
                        .put_role_policy()
                        .role_name(role_name)
                        .policy_name(policy_name)
                        .policy_document(document)
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    /// Removes one inline policy of a role: `iam:DeleteRolePolicy`. A repeat is harmless, as for keys.
    pub async fn delete_role_policy(
        &self,
        credentials: &Credentials,
        role_name: &str,
        policy_name: &str,
    ) -> Result<Answer<()>, AwsError> {
        let ended = self
            .run_iam(
                credentials,
                "iam:DeleteRolePolicy",
                Repeat::Harmless,
                |client| {
                    client
                        .delete_role_policy()
                        .role_name(role_name)
                        .policy_name(policy_name)
                        .send()
                },
            )
            .await;
        gone(ended)
    }

    /// The names of a role's inline policies: `iam:ListRolePolicies`.
    pub async fn list_role_policies(
        &self,
        credentials: &Credentials,
        role_name: &str,
    ) -> Result<Answer<Vec<String>>, AwsError> {
        let mut names = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            // A read: repeating it is harmless.
            let ended = self
                .run_iam(
                    credentials,
                    "iam:ListRolePolicies",
                    Repeat::Harmless,
                    |client| {
                        client
                            .list_role_policies()
                            .role_name(role_name)
                            .set_marker(marker.clone())
                            .send()
                    },
                )
                .await;
            let answer = ended.result?;
            names.extend(answer.value.policy_names().iter().cloned());
            marker = answer.value.marker().map(str::to_owned);
            if !answer.value.is_truncated() || marker.is_none() {
                return Ok(answer.map(|_| names));
            }
        }
        Err(self.endless("iam:ListRolePolicies"))
    }
}

impl Aws {
    /// One call of IAM's, by a client of its own.
    pub(super) async fn run_iam<T, E, F, Fut>(
        &self,
        credentials: &Credentials,
        operation: &'static str,
        repeat: Repeat,
        call: F,
    ) -> Ended<T>
    where
        F: Fn(aws_sdk_iam::Client) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.run(operation, &self.inner.endpoints.iam, repeat, |watch| {
            call(self.iam_client(credentials, &watch))
        })
        .await
    }

    fn endless(&self, operation: &'static str) -> AwsError {
        let target = &self.inner.endpoints.iam;
        answered(
            operation,
            target,
            200,
            None,
            "the list has no end",
            &Seen::default(),
        )
    }
}

/// A deletion's end: what is gone already is deleted, if we may have done it.
fn gone<T>(ended: Ended<T>) -> Result<Answer<()>, AwsError> {
    match ended.result {
        Ok(answer) => Ok(answer.map(|_| ())),
        Err(AwsError::Invalid(reply))
            if ended.unsure && reply.code.as_deref() == Some("NoSuchEntity") =>
        {
            Ok(Answer {
                value: (),
                region: reply.region,
                request_id: reply.request_id,
                date: reply.date,
            })
        }
        Err(error) => Err(error),
    }
}

pub(super) fn utc(at: &aws_smithy_types::DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn key(secret: &str) -> NewKey {
        NewKey {
            user_name: "break-glass".into(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            status: "Active".into(),
            secret_access_key: Zeroizing::new(secret.into()),
            create_date: datetime!(2026-11-22 06:04:06 UTC),
        }
    }

    #[test]
    fn prints_what_the_cli_prints() {
        let expected = r#"{
    "AccessKey": {
        "UserName": "break-glass",
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "Status": "Active",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "CreateDate": "2026-11-22T06:04:06+00:00"
    }
}
"#;
        assert_eq!(
            *key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").to_cli_json(),
            expected
        );
    }

    #[test]
    fn odd_characters_survive_and_nothing_is_reallocated() {
        let odd = "\u{1}\"\\\u{1f}".repeat(20);
        let json = key(&odd).to_cli_json();
        let capacity = json.capacity();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["AccessKey"]["SecretAccessKey"], odd.as_str());
        assert!(json.len() <= capacity);
    }
}
