//! Faults of the lower floors as problems that travel.

use crate::{
    aws::AwsError,
    ceremony::Refusal,
    protocol::{Code, Problem},
    trust::TrustError,
    vault::VaultError,
};

/// Turns a result's error into a [`Problem`].
pub(super) trait Explain<T> {
    fn explain(self) -> Result<T, Problem>;
}

impl<T> Explain<T> for Result<T, VaultError> {
    fn explain(self) -> Result<T, Problem> {
        self.map_err(|why| of_vault(&why))
    }
}

impl<T> Explain<T> for Result<T, AwsError> {
    fn explain(self) -> Result<T, Problem> {
        self.map_err(|why| of_aws(&why))
    }
}

pub(super) fn of_vault(why: &VaultError) -> Problem {
    use VaultError as V;
    let code = match why {
        V::Digest { .. }
        | V::WrongShare { .. }
        | V::WrongCredential { .. }
        | V::OtherRequest { .. }
        | V::SameShareTwice { .. }
        | V::TooFewGroups { .. }
        | V::Tampered { .. }
        | V::Trust(_) => Code::Tampering,
        V::TooLarge { .. }
        | V::Credential { .. }
        | V::Malformed { .. }
        | V::NotForThisKey { .. } => Code::Usage,
        V::Busy { .. } => Code::Refused,
        _ => Code::Internal,
    };
    with_hint(Problem::new(code, why), why.hint())
}

/// What is wrong with a file that the worker wrote itself: whatever cannot be read in it, somebody else has changed.
pub(super) fn of_own_file(file: &str, why: VaultError) -> Problem {
    let problem = match &why {
        VaultError::Io { why: io, .. } if io.kind() == std::io::ErrorKind::NotFound => {
            Problem::new(Code::Tampering, &why)
        }
        // These name their file, and a disk's fault is nobody's act.
        VaultError::Digest { .. } | VaultError::Io { .. } => return of_vault(&why),
        VaultError::Trust(TrustError::Io { .. }) => Problem::new(Code::Internal, &why),
        _ => Problem::new(Code::Tampering, format!("{file}: {why}")),
    };
    with_hint(problem, why.hint())
}

pub(super) fn of_aws(why: &AwsError) -> Problem {
    let code = match why {
        AwsError::Refused(_) | AwsError::Invalid(_) => Code::AwsRefused,
        AwsError::Config(_) | AwsError::Limit(_) => Code::Usage,
        _ => Code::AwsUnreachable,
    };
    with_hint(Problem::new(code, why), why.hint())
}

/// Whether a call that failed so may get through a little later. A key that AWS does not know may be one that it does not know yet: new keys
/// take a while to be known everywhere.
pub(super) fn may_pass(why: &AwsError) -> bool {
    why.is_transient() || why.code() == Some("InvalidClientTokenId")
}

/// What is wrong and what to do, in one line, for the journal and whoever reads of it later.
pub(super) fn in_one_line(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.error),
        None => problem.error.clone(),
    }
}

pub(super) fn of_refusal(why: Refusal) -> Problem {
    match why {
        Refusal::Trust(why) => why.into(),
        Refusal::TooLate { .. } => {
            Problem::new(Code::Approvals, &why).hint("ask for a new request")
        }
        Refusal::OwnRequest { .. } => {
            Problem::new(Code::Refused, &why).hint("another custodian has to approve")
        }
        Refusal::OtherDuty(_) => Problem::new(Code::Refused, &why)
            .hint("another custodian has to approve; see: twotap roster show"),
        Refusal::NothingToWithdraw { .. } => {
            Problem::new(Code::Refused, &why).hint("see who has approved: twotap status")
        }
        Refusal::AlreadyVoted { .. } => Problem::new(Code::Refused, &why)
            .hint("one vote a person; another custodian has to approve"),
    }
}

fn with_hint(problem: Problem, hint: Option<impl std::fmt::Display>) -> Problem {
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
