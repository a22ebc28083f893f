//! What did not get through, and whether it is worth another try.

use std::time::{Duration, Instant};

use super::problems::{may_pass, of_aws};
use crate::{
    aws::AwsError,
    ceremony::rotation::OutOfTurn,
    protocol::{Code, Problem},
};

/// The first pause between two tries; it doubles up to [`LONGEST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Why a try did not get through.
pub(super) enum Setback {
    /// It may get through a little later.
    Later(Problem),
    /// It will not.
    Never(Problem),
}

impl Setback {
    /// Pauses before the next try, or gives up: where it will not get through, or where the pause would end after `until`.
    pub(super) async fn pause(self, until: Instant, pause: &mut Duration) -> Result<(), Self> {
        match self {
            Self::Later(_) if Instant::now() + *pause < until => {
                tokio::time::sleep(*pause).await;
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
            over => Err(over),
        }
    }
}

impl From<OutOfTurn> for Setback {
    fn from(why: OutOfTurn) -> Self {
        Self::Never(Problem::new(Code::Internal, why))
    }
}

/// What AWS answered, as a setback.
pub(super) fn setback(why: &AwsError) -> Setback {
    if may_pass(why) {
        Setback::Later(of_aws(why))
    } else {
        Setback::Never(of_aws(why))
    }
}

/// A new key's permissions may lag behind its first success, so a refusal is not final.
pub(super) fn setback_of_new_key(why: &AwsError) -> Setback {
    match why {
        AwsError::Refused(_) => Setback::Later(of_aws(why)),
        other => setback(other),
    }
}
