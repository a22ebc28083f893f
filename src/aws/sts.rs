//! STS: minting sessions, saying who a credential is, proving a key dead, and AWS's time.

use std::collections::BTreeSet;

use aws_sdk_sts::types::Tag;
use time::OffsetDateTime;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::arn::Arn;
use super::client::{Aws, Ended, Repeat};
use super::endpoints::Target;
use super::error::{AwsError, answered};
use super::http::{Seen, USER_AGENT};
use super::limits::{self, LimitError};
use super::{Answer, Credentials};

/// How long [`Aws::aws_time`] waits in all.
const TIME_BOUND: std::time::Duration = std::time::Duration::from_secs(2);

/// What to ask STS for. Checked against STS's limits before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role to take.
    pub role: Arn,
    /// Stands in the session's ARN: 2 to 64 of `A-Za-z0-9_+=,.@-`.
    pub session_name: String,
    /// The person, for CloudTrail, unchangeable through chaining; same characters.
    pub source_identity: String,
    /// What the role's trust policy asks for beside the caller.
    pub external_id: Option<String>,
    /// Session tags, key and value.
    pub tags: Vec<(String, String)>,
    /// Keys of those tags that follow the session into chained ones.
    pub transitive: Vec<String>,
    /// An inline policy that narrows the role; at most 2,048 characters.
    pub policy: Option<String>,
    /// 900 to 43,200, at most the role's own maximum.
    pub duration_seconds: u32,
}

impl AssumeRole {
    /// Checks everything that STS would refuse, as far as can be known here.
    pub fn check(&self) -> Result<(), LimitError> {
        if self.role.role().is_none() {
            return Err(LimitError::NotARole(self.role.to_string()));
        }
        limits::check_session_name(&self.session_name)?;
        limits::check_source_identity(&self.source_identity)?;
        if let Some(id) = &self.external_id {
            limits::check_external_id(id)?;
        }
        if self.tags.len() > limits::TAGS_MAX {
            return Err(LimitError::Tags("there are more than 50"));
        }
        let mut keys = BTreeSet::new();
        for (key, value) in &self.tags {
            limits::check_tag_key(key)?;
            limits::check_tag_value(value)?;
            // STS compares keys without regard to case.
            if !keys.insert(key.to_ascii_lowercase()) {
                return Err(LimitError::Tags("a key stands twice"));
            }
        }
        for key in &self.transitive {
            if !self.tags.iter().any(|(known, _)| known == key) {
                return Err(LimitError::Transitive(key.clone()));
            }
        }
        if let Some(policy) = &self.policy {
            limits::check_session_policy(policy)?;
        }
        limits::check_duration(self.duration_seconds)
    }
}

/// A session as STS gave it. No `Debug`: it carries secrets.
#[derive(Clone)]
pub struct Minted {
    /// Access key id, secret, token and expiry; zeroized when the last clone goes.
    pub credentials: Credentials,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub assumed_role_arn: String,
    /// How full the packed policy and tags are, in percent, where STS says so.
    /// Deprecated by AWS since June 2026 for the next one, and still the only one that some endpoints give.
    pub packed_policy_size: Option<i32>,
    /// How full the session token is, in percent, where STS says so.
    pub token_utilization: Option<i32>,
    /// When the session ends by itself.
    pub expires_at: OffsetDateTime,
    /// The source identity as STS repeated it.
    pub source_identity: Option<String>,
}

/// Who a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The caller's ARN.
    pub arn: String,
    /// Its account's 12 digits.
    pub account: String,
    /// Its unique id (`AIDA...`, or `AROA...:session`).
    pub user_id: String,
}

/// What became of a long-term key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// It still opens the door.
    Works(Identity),
    /// AWS does not know it (any more): `InvalidClientTokenId` with 403.
    Refused,
}

impl Aws {
    /// Takes a role: `sts:AssumeRole`, at each regional endpoint in order until one gives a session.
    ///
    /// It goes on to the next Region when there was no connection, no answer, an answer that is none, a 5xx,
    /// throttling, or when STS is not enabled there. An answer that was lost may have been a session,
    /// so there may be two in the end: harmless, because both carry the same tag, nobody holds the other's
    /// secret, and closing revokes by that tag.
    pub async fn assume_role(
        &self,
        credentials: &Credentials,
        ask: &AssumeRole,
    ) -> Result<Answer<Minted>, AwsError> {
        ask.check()?;
        let mut tried = Tried::default();
        for target in &self.inner.endpoints.sts {
            let ended = self.assume_role_at(credentials, ask, target).await;
            match ended.result.and_then(|answer| minted(target, answer)) {
                Ok(answer) => return Ok(answer),
                Err(error) => tried.note(error)?,
            }
        }
        Err(tried.end())
    }

    async fn assume_role_at(
        &self,
        credentials: &Credentials,
        ask: &AssumeRole,
        target: &Target,
    ) -> Ended<aws_sdk_sts::operation::assume_role::AssumeRoleOutput> {
        let tags: Vec<Tag> = ask
            .tags
            .iter()
            .filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok())
            .collect();
        let tags = (!tags.is_empty()).then_some(tags);
        let transitive = (!ask.transitive.is_empty()).then(|| ask.transitive.clone());
        self.run("sts:AssumeRole", target, Repeat::Never, |watch| {
            self.sts_client(credentials, target, &watch)
                .assume_role()
                .role_arn(ask.role.as_str())
                .role_session_name(&ask.session_name)
                .source_identity(&ask.source_identity)
                .set_external_id(ask.external_id.clone())
                .set_tags(tags.clone())
                .set_transitive_tag_keys(transitive.clone())
                .set_policy(ask.policy.clone())
                .duration_seconds(i32::try_from(ask.duration_seconds).unwrap_or(i32::MAX))
                .send()
        })
        .await
    }

    /// Who these credentials are: `sts:GetCallerIdentity`, which no policy can forbid; so it says whether a
    /// credential is alive, and nothing about what it may do.
    pub async fn caller_identity(
        &self,
        credentials: &Credentials,
    ) -> Result<Answer<Identity>, AwsError> {
        let operation = "sts:GetCallerIdentity";
        let mut tried = Tried::default();
        for target in &self.inner.endpoints.sts {
            // A read: repeating it is harmless.
            let ended = self
                .run(operation, target, Repeat::Harmless, |watch| {
                    self.sts_client(credentials, target, &watch)
                        .get_caller_identity()
                        .send()
                })
                .await;
            match ended
                .result
                .and_then(|answer| identity(operation, target, answer))
            {
                Ok(answer) => return Ok(answer),
                Err(error) => tried.note(error)?,
            }
        }
        Err(tried.end())
    }

    /// Whether a long-term key is dead: [`KeyState::Refused`] only on `InvalidClientTokenId` with 403.
    ///
    /// A Region that is not enabled for the account refuses good keys with the same words: believe a refusal only
    /// from a Region ([`Answer::region`]) where another key of the account works now.
    /// IAM's data plane is cached, so one answer of either kind is not the last word.
    ///
    /// # Errors
    /// Everything else, refusals with other codes included: they say nothing about the key.
    pub async fn key_refused(
        &self,
        credentials: &Credentials,
    ) -> Result<Answer<KeyState>, AwsError> {
        match self.caller_identity(credentials).await {
            Ok(answer) => Ok(answer.map(KeyState::Works)),
            Err(AwsError::Refused(reply))
                if reply.status == 403 && reply.code.as_deref() == Some("InvalidClientTokenId") =>
            {
                Ok(Answer {
                    value: KeyState::Refused,
                    region: reply.region,
                    request_id: reply.request_id,
                    date: reply.date,
                })
            }
            Err(other) => Err(other),
        }
    }

    /// AWS's time, from the `Date` of an unsigned request to STS (which it refuses, and dates). `None` when no
    /// Region answered within 2 s in all. From then on requests are signed by it where the host's clock is far off.
    pub async fn aws_time(&self) -> Option<OffsetDateTime> {
        let until = Instant::now() + TIME_BOUND;
        let targets = &self.inner.endpoints.sts;
        for (index, target) in targets.iter().enumerate() {
            let rest = until.saturating_duration_since(Instant::now());
            let share = rest / u32::try_from(targets.len() - index).unwrap_or(1);
            let asked = tokio::time::timeout(share, self.date_at(target)).await;
            if let Ok(Some(date)) = asked {
                self.inner.clock.note(date);
                return Some(date);
            }
        }
        None
    }

    async fn date_at(&self, target: &Target) -> Option<OffsetDateTime> {
        use aws_smithy_runtime_api::client::http::HttpConnector;
        use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

        let url = format!(
            "{}/?Action=GetCallerIdentity&Version=2011-06-15",
            target.url
        );
        let mut request = HttpRequest::get(url).ok()?;
        request.headers_mut().insert("user-agent", USER_AGENT);
        // A connection of its own: its body is not read, so it could not be used again.
        let response = self.inner.connectors.fresh.call(request).await.ok()?;
        Seen::of(response.headers()).date
    }
}

/// What the Regions asked so far said.
#[derive(Default)]
struct Tried(Option<AwsError>);

impl Tried {
    /// Takes a failure. `Err` if another Region would say the same.
    fn note(&mut self, error: AwsError) -> Result<(), AwsError> {
        if !error.is_transient() && error.code() != Some("RegionDisabledException") {
            return Err(error);
        }
        // Of several failures the one that leaves most open is told.
        if self
            .0
            .as_ref()
            .is_none_or(|known| openness(&error) > openness(known))
        {
            self.0 = Some(error);
        }
        Ok(())
    }

    /// The error, when no Region is left.
    fn end(self) -> AwsError {
        self.0
            .unwrap_or(AwsError::Config(super::ConfigError::NoRegion))
    }
}

/// How much a failure leaves open, for choosing which of several to tell.
fn openness(error: &AwsError) -> u8 {
    match error {
        AwsError::Lost { .. } => 4,
        AwsError::Server(_) | AwsError::Malformed(_) => 3,
        AwsError::Throttled(_) => 2,
        AwsError::Unreachable { .. } => 1,
        _ => 0,
    }
}

fn identity(
    operation: &'static str,
    target: &Target,
    answer: Answer<aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput>,
) -> Result<Answer<Identity>, AwsError> {
    let out = &answer.value;
    let (Some(arn), Some(account), Some(user_id)) = (out.arn(), out.account(), out.user_id())
    else {
        return Err(incomplete(operation, target, &answer));
    };
    let identity = Identity {
        arn: arn.into(),
        account: account.into(),
        user_id: user_id.into(),
    };
    Ok(answer.map(|_| identity))
}

fn minted(
    target: &Target,
    mut answer: Answer<aws_sdk_sts::operation::assume_role::AssumeRoleOutput>,
) -> Result<Answer<Minted>, AwsError> {
    let parts = answer
        .value
        .credentials
        .take()
        .zip(answer.value.assumed_role_user.take());
    let Some((session, user)) = parts else {
        return Err(incomplete("sts:AssumeRole", target, &answer));
    };
    // The strings move, so that no copy stays behind; until they rest in `Credentials` they are wiped on the way out.
    let mut secret = Zeroizing::new(session.secret_access_key);
    let mut token = Zeroizing::new(session.session_token);
    let Ok(expires_at) = OffsetDateTime::from_unix_timestamp(session.expiration.secs()) else {
        return Err(incomplete("sts:AssumeRole", target, &answer));
    };
    let credentials = Credentials::new(
        session.access_key_id,
        std::mem::take(&mut *secret),
        Some(std::mem::take(&mut *token)),
        Some(expires_at.into()),
        "twotap",
    );
    #[expect(deprecated, reason = "older endpoints give nothing else")]
    let packed_policy_size = answer.value.packed_policy_size;
    let minted = Minted {
        credentials,
        assumed_role_arn: user.arn,
        packed_policy_size,
        token_utilization: answer.value.session_token_utilization,
        expires_at,
        source_identity: answer.value.source_identity.take(),
    };
    Ok(answer.map(|_| minted))
}

/// A 2xx without what it must hold.
pub(crate) fn incomplete<T>(
    operation: &'static str,
    target: &Target,
    answer: &Answer<T>,
) -> AwsError {
    let seen = Seen {
        request_id: answer.request_id.clone(),
        date: answer.date,
    };
    answered(
        operation,
        target,
        200,
        None,
        "the answer lacks a part that it must have",
        &seen,
    )
}
