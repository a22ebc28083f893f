//! Proofs: that a new key works, and that an old one is dead.

use super::Run;
use crate::{
    aws::{Answer, AssumeRole, AwsError, Credentials, KeyState, Minted, policy, revocation},
    ceremony::rotation::Act,
    protocol::{
        Code, Problem,
        job::{ProvenBy, Step},
    },
    vault::AccessKey,
    worker::{
        Worker,
        home::Vault,
        mint::{credentials, trace},
        plan::{arn, tag},
        problems::of_aws,
        setback::{Setback, setback_of_new_key},
    },
};

/// Stands where a secret does that nobody has any more. AWS looks for the key before it looks at the signature.
const NO_SECRET: &str = "the-secret-of-this-key-is-not-known-here";

/// What AWS says of a live key whose signature does not fit.
const WRONG_SIGNATURE: [&str; 2] = ["SignatureDoesNotMatch", "InvalidSignatureException"];

/// Takes the operator role with a key, for a session that may do nothing.
pub(in crate::worker) async fn take_role(
    worker: &Worker,
    vault: &Vault,
    request: Option<&str>,
    key: &AccessKey,
) -> Result<Answer<Minted>, Setback> {
    let role = &vault.roster.access[0].role_arn;
    let ask = AssumeRole {
        role: arn(role).map_err(Setback::Never)?,
        session_name: "twotap-proof".to_owned(),
        source_identity: "twotap-proof".to_owned(),
        external_id: Some(vault.roster.aws.external_id.clone()),
        tags: tag(request.unwrap_or("r-aaaaaaaaaaaaa")),
        transitive: vec![revocation::TAG_KEY.to_owned()],
        policy: Some(policy::deny_all_policy()),
        duration_seconds: 900,
    };
    worker
        .aws
        .assume_role(&credentials(key), &ask)
        .await
        // Not known yet, or not allowed yet, is what a new key looks like at first.
        .map_err(|why| setback_of_new_key(&why))
}

impl Run<'_, '_> {
    /// The new key must take the operator role before anything rests on it. New keys take a while to be known everywhere.
    pub(super) async fn prove_new(
        &mut self,
        vault: &Vault,
        new: &AccessKey,
    ) -> Result<(), Setback> {
        self.order.begin(Act::ProveNew)?;
        let request = self.rotation.request;
        let mut tries = self.tries("the new key to work");
        loop {
            match take_role(self.worker, vault, request, new).await {
                Ok(answer) => {
                    let step = Step::KeyProven {
                        access_key_id: new.id().to_owned(),
                    };
                    return self
                        .log(step, Some(trace(&answer)))
                        .await
                        .map_err(Setback::Never);
                }
                Err(setback) => self.again(&mut tries, setback).await?,
            }
        }
    }

    /// Dead is what AWS says to the old key itself. Where there is a new one it must work in the same Region: a Region that is not
    /// enabled for the account refuses good keys in the same words.
    pub(super) async fn prove_dead(
        &mut self,
        old: &str,
        new: Option<&Credentials>,
    ) -> Result<(), Setback> {
        self.order.begin(Act::ProveDead)?;
        let with = credentials(&self.rotation.key);
        let mut tries = self.tries("the old key to be refused");
        loop {
            let still = match self.worker.aws.key_refused(&with).await {
                Ok(refused) if refused.value == KeyState::Refused => {
                    match self.works_in(new, &refused.region).await {
                        Ok(true) => return self.refused(old, ProvenBy::Itself, &refused).await,
                        Ok(false) => Problem::new(Code::AwsUnreachable, "Regions answer in turn"),
                        Err(why) => of_aws(&why),
                    }
                }
                Ok(_) => Problem::new(Code::AwsRefused, "the old key still works"),
                Err(why) => of_aws(&why),
            };
            self.again(&mut tries, Setback::Later(still)).await?;
        }
    }

    /// A key whose secret is lost: AWS must not know its id any more, and must know the id of the current key when that one's signature
    /// is as wrong.
    pub(super) async fn prove_unknown(&mut self, old: &str, current: &str) -> Result<(), Setback> {
        let (with, control) = (unsigned(old), unsigned(current));
        let mut tries = self.tries("the old key to be refused");
        loop {
            let still = match self.worker.aws.key_refused(&with).await {
                Ok(refused) if refused.value == KeyState::Refused => {
                    match self.worker.aws.key_refused(&control).await {
                        Err(AwsError::Refused(reply))
                            if reply.region == refused.region
                                && reply
                                    .code
                                    .as_deref()
                                    .is_some_and(|c| WRONG_SIGNATURE.contains(&c)) =>
                        {
                            return self.refused(old, ProvenBy::Id, &refused).await;
                        }
                        Err(why) => of_aws(&why),
                        Ok(_) => Problem::new(
                            Code::AwsUnreachable,
                            "aws does not tell a key that it knows from one that it does not",
                        ),
                    }
                }
                Ok(_) => Problem::new(Code::AwsRefused, "the old key still works"),
                Err(why)
                    if why
                        .code()
                        .is_some_and(|code| WRONG_SIGNATURE.contains(&code)) =>
                {
                    Problem::new(Code::AwsRefused, "aws still knows the old key")
                }
                Err(why) => of_aws(&why),
            };
            self.again(&mut tries, Setback::Later(still)).await?;
        }
    }

    async fn refused(
        &mut self,
        old: &str,
        by: ProvenBy,
        answer: &Answer<KeyState>,
    ) -> Result<(), Setback> {
        let step = Step::KeyRefused {
            access_key_id: old.to_owned(),
            by,
        };
        self.log(step, Some(trace(answer)))
            .await
            .map_err(Setback::Never)
    }

    async fn works_in(&self, key: Option<&Credentials>, region: &str) -> Result<bool, AwsError> {
        let Some(key) = key else { return Ok(true) };
        let works = self.worker.aws.caller_identity(key).await?;
        Ok(works.region == region)
    }
}

fn unsigned(key: &str) -> Credentials {
    Credentials::new(key, NO_SECRET, None, None, "twotap")
}
