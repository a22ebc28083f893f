//! Whether a bucket keeps what is written to it, and whether a credential could undo that.

use super::{Bucket, LockMode};
use crate::aws::client::{Aws, Repeat};
use crate::aws::error::AwsError;
use crate::aws::sts::incomplete;
use crate::aws::{Answer, Credentials};

/// What keeps a bucket's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketGuards {
    /// Old versions stay.
    pub versioning: bool,
    /// Versions can be locked.
    pub object_lock: bool,
    /// The lock that a version gets whose writer names none.
    pub default_mode: Option<LockMode>,
}

/// Whether a credential may lift GOVERNANCE locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// It may not.
    Forbidden,
    /// It may, by this action.
    Allowed(String),
    /// The simulation does not even know that it may write: it was asked about somebody else, or about nothing.
    Unknown,
}

/// What would let a holder lift a lock.
const LIFTS: &str = "s3:BypassGovernanceRetention";
/// What the writer surely may; a simulation that denies it knows nothing about the writer.
const WRITES: &str = "s3:PutObject";

impl Aws {
    /// How a bucket keeps its objects: `s3:GetBucketVersioning`, `s3:GetBucketObjectLockConfiguration`.
    pub async fn bucket_guards(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
    ) -> Result<Answer<BucketGuards>, AwsError> {
        let target = self.s3_target(bucket)?;
        // Both are reads: repeating them is harmless.
        let ended = self
            .run(
                "s3:GetBucketVersioning",
                &target,
                Repeat::Harmless,
                |watch| {
                    self.s3_client(credentials, &target, bucket, &watch)
                        .get_bucket_versioning()
                        .bucket(bucket.name())
                        .send()
                },
            )
            .await;
        let answer = ended.result?;
        let versioning = answer
            .value
            .status()
            .is_some_and(|s| s.as_str() == "Enabled");
        let ended = self
            .run(
                "s3:GetObjectLockConfiguration",
                &target,
                Repeat::Harmless,
                |watch| {
                    self.s3_client(credentials, &target, bucket, &watch)
                        .get_object_lock_configuration()
                        .bucket(bucket.name())
                        .send()
                },
            )
            .await;
        let (object_lock, default_mode) = match ended.result {
            Ok(said) => {
                let lock = said.value.object_lock_configuration();
                let enabled = lock
                    .and_then(|l| l.object_lock_enabled())
                    .is_some_and(|e| e.as_str() == "Enabled");
                let default = lock.and_then(|l| l.rule()?.default_retention()?.mode());
                (enabled, default.map(LockMode::from))
            }
            Err(why) if why.code() == Some("ObjectLockConfigurationNotFoundError") => (false, None),
            Err(why) => return Err(why),
        };
        Ok(answer.map(|_| BucketGuards {
            versioning,
            object_lock,
            default_mode,
        }))
    }

    /// Whether the holder of these credentials may lift GOVERNANCE locks of the objects at `prefix`, by simulating its own policies:
    /// `iam:SimulatePrincipalPolicy` on itself. An attempt would show it too, but would raise the alarm that attempts are to raise.
    ///
    /// What its policies deny stays denied whatever else says; where they merely do not allow it, the bucket's policy could, and is asked for too
    /// (`s3:GetBucketPolicy`). What an organisation denies beyond that can only forbid more.
    pub async fn may_bypass(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
        prefix: &str,
    ) -> Result<Answer<Bypass>, AwsError> {
        let arn = self.caller_identity(credentials).await?.value.arn;
        let partition = arn.split(':').nth(1).unwrap_or("aws");
        let objects = format!("arn:{partition}:s3:::{}/{prefix}*", bucket.name());
        let alone = self.simulate(credentials, &arn, &objects, None).await?;
        let (lifts, writes) = &alone.value;
        let verdict = match (lifts.as_str(), writes.as_str()) {
            ("allowed", _) => Bypass::Allowed(LIFTS.to_owned()),
            ("explicitDeny", _) => Bypass::Forbidden,
            (_, "allowed") => match self.bucket_policy(credentials, bucket).await? {
                None => Bypass::Forbidden,
                Some(policy) => {
                    let both = self
                        .simulate(credentials, &arn, &objects, Some(policy))
                        .await?;
                    match both.value.0.as_str() {
                        "allowed" => Bypass::Allowed(LIFTS.to_owned()),
                        _ => Bypass::Forbidden,
                    }
                }
            },
            _ => Bypass::Unknown,
        };
        Ok(alone.map(|_| verdict))
    }

    /// What IAM decides on lifting and on writing.
    async fn simulate(
        &self,
        credentials: &Credentials,
        arn: &str,
        objects: &str,
        policy: Option<String>,
    ) -> Result<Answer<(String, String)>, AwsError> {
        let operation = "iam:SimulatePrincipalPolicy";
        let ended = self
            // A read: repeating it is harmless.
            .run_iam(credentials, operation, Repeat::Harmless, |client| {
                client
                    .simulate_principal_policy()
                    .policy_source_arn(arn)
                    .action_names(LIFTS)
                    .action_names(WRITES)
                    .resource_arns(objects)
                    .set_resource_policy(policy.clone())
                    .set_caller_arn(policy.as_ref().map(|_| arn.to_owned()))
                    .send()
            })
            .await;
        let answer = ended.result?;
        let decided = |action: &str| {
            let mut results = answer.value.evaluation_results().iter();
            let found = results.find(|r| r.eval_action_name().eq_ignore_ascii_case(action))?;
            Some(found.eval_decision().as_str().to_owned())
        };
        match decided(LIFTS).zip(decided(WRITES)) {
            Some(decisions) => Ok(answer.map(|_| decisions)),
            None => Err(incomplete(operation, &self.inner.endpoints.iam, &answer)),
        }
    }

    /// The bucket's own policy: `s3:GetBucketPolicy`.
    async fn bucket_policy(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
    ) -> Result<Option<String>, AwsError> {
        let target = self.s3_target(bucket)?;
        let ended = self
            // A read: repeating it is harmless.
            .run("s3:GetBucketPolicy", &target, Repeat::Harmless, |watch| {
                self.s3_client(credentials, &target, bucket, &watch)
                    .get_bucket_policy()
                    .bucket(bucket.name())
                    .send()
            })
            .await;
        match ended.result {
            Ok(answer) => Ok(answer.value.policy),
            Err(why) if why.code() == Some("NoSuchBucketPolicy") => Ok(None),
            Err(why) => Err(why),
        }
    }
}
