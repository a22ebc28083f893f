//! Looking: one call of the AWS CLI, an answer, nothing, or a refusal that is kept for the end.

use std::sync::Mutex;

use serde_json::Value;

use crate::{
    cli::aws_cli::{Aws, Failed},
    protocol::Problem,
};

use super::difference::Difference;

/// AWS's codes for something that is not there.
const NOT_THERE: [&str; 19] = [
    "404",
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchEntity",
    "NoSuchEntityException",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NotFound",
    "NotFoundException",
    "ObjectLockConfigurationNotFoundError",
    "OwnershipControlsNotFoundError",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "ServerSideEncryptionConfigurationNotFoundError",
    "TrailNotFoundException",
    "ResourceNotFound",
    "NotFoundError",
    "InvalidRequest.NotFound",
];

/// What was found, by all parts of the check together.
#[derive(Default)]
pub(super) struct Found {
    pub(super) differences: Vec<Difference>,
    /// What nobody was allowed to look at: the call and AWS's words.
    pub(super) unseen: Vec<String>,
    pub(super) looked: usize,
}

/// One Region of the account, seen through somebody's AWS CLI.
pub(super) struct Look<'a> {
    aws: Aws,
    pub(super) region: String,
    found: &'a Mutex<Found>,
}

impl<'a> Look<'a> {
    pub(super) fn new(aws: &Aws, region: &str, found: &'a Mutex<Found>) -> Self {
        Self {
            aws: aws.in_region(region),
            region: region.to_owned(),
            found,
        }
    }

    /// Asks; `None` where it does not exist.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Seen, Problem> {
        match self.aws.json(arguments) {
            Ok(answer) => Ok(Seen::There(answer)),
            Err(why) if NOT_THERE.iter().any(|code| why.is(code)) => Ok(Seen::Missing),
            Err(Failed::Answered { code, message, .. })
                if code == "ValidationError" && message.contains("does not exist") =>
            {
                Ok(Seen::Missing)
            }
            Err(why @ Failed::Refused { .. }) => {
                let call = arguments
                    .iter()
                    .take(2)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(" ");
                self.with(|found| found.unseen.push(format!("aws {call}: {why}")));
                Ok(Seen::Refused)
            }
            Err(why) => Err(why.into()),
        }
    }

    /// One more thing was looked at.
    pub(super) fn looked(&self) {
        self.with(|found| found.looked += 1);
    }

    /// Keeps a difference.
    pub(super) fn differs(&self, difference: Difference) {
        self.with(|found| found.differences.push(difference));
    }

    fn with(&self, change: impl FnOnce(&mut Found)) {
        // A part that panicked has ended the verb anyway; what it had found is still whole.
        let mut found = self
            .found
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut found);
    }
}

/// What a call came to.
pub(super) enum Seen {
    /// It is there, and this is it.
    There(Value),
    /// It is not there.
    Missing,
    /// AWS refused to say; it stands in [`Found::unseen`].
    Refused,
}
