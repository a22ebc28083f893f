//! When a key was last used, as AWS tells it: `iam:GetAccessKeyLastUsed`.

use time::OffsetDateTime;

use super::client::{Aws, Repeat};
use super::error::AwsError;
use super::iam::utc;
use super::{Answer, Credentials};

/// The newest use of a key. Source: IAM API reference, 'AccessKeyLastUsed'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUsed {
    /// By AWS's clock. AWS rounds it, keeps the newest use alone, and may be hours late with it.
    pub at: OffsetDateTime,
    /// The Region that was called.
    pub region: String,
    /// The service that was called, as in `sts`.
    pub service: String,
}

impl Aws {
    /// The newest use of a key; none where AWS knows of none.
    ///
    /// # Errors
    /// `NoSuchEntity` among others, where the key does not exist.
    pub async fn key_last_used(
        &self,
        credentials: &Credentials,
        access_key_id: &str,
    ) -> Result<Answer<Option<LastUsed>>, AwsError> {
        // A read: repeating it is harmless.
        let ended = self
            .run_iam(
                credentials,
                "iam:GetAccessKeyLastUsed",
                Repeat::Harmless,
                |client| {
                    client
                        .get_access_key_last_used()
                        .access_key_id(access_key_id)
                        .send()
                },
            )
            .await;
        let answer = ended.result?;
        let used = answer.value.access_key_last_used().and_then(|used| {
            Some(LastUsed {
                at: used.last_used_date().and_then(utc)?,
                region: used.region().to_owned(),
                service: used.service_name().to_owned(),
            })
        });
        Ok(answer.map(|_| used))
    }
}
