//! A secret of AWS Secrets Manager as a place.
//!
//! The label [`LABEL`] stands on the version that counts. A version is put beside, under [`WRITTEN`], read back and compared; then
//! the label moves, and only from where it was seen.

use rand_core::{OsRng, RngCore as _};

use crate::{
    aws::{Arn, Aws, AwsError, Credentials, Moved},
    protocol::{Code, Problem},
    trust::Timestamp,
    vault::Bundle,
};

use super::super::{
    problems::of_vault,
    setback::{Setback, setback},
};

/// The label of ours that says which version counts.
pub(super) const LABEL: &str = "twotap-generation";
/// The label that a version is put with. It says nothing: without one, `AWSCURRENT` would move.
const WRITTEN: &str = "twotap-written";

/// The secret and what may use it.
pub(super) struct SecretPlace {
    pub(super) aws: Aws,
    pub(super) name: String,
    pub(super) arn: Arn,
    pub(super) credentials: Credentials,
}

/// What the label stands on.
pub(super) struct Found {
    pub(super) version: String,
    pub(super) bundle: Bundle,
    /// How old the version is, in seconds by AWS's clock; 0 where AWS did not say.
    pub(super) age: i64,
}

impl SecretPlace {
    /// What counts at this place now; nothing where the label stands nowhere.
    pub(super) async fn look(&self) -> Result<Option<Found>, Setback> {
        let answer = self
            .aws
            .labelled_version(&self.credentials, &self.arn, LABEL)
            .await
            .map_err(|why| self.failed(&why))?;
        let Some(found) = answer.value else {
            return Ok(None);
        };
        let bundle = Bundle::parse(found.text.as_bytes()).map_err(|why| {
            let mut problem = of_vault(&why);
            problem.error = format!("place {}: {}", self.name, problem.error);
            problem.code = Code::Tampering;
            Setback::Never(problem)
        })?;
        let age = match (found.created, answer.date) {
            (Some(created), Some(now)) => Timestamp::from(created).until(Timestamp::from(now)),
            _ => 0,
        };
        Ok(Some(Found {
            version: found.version,
            bundle,
            age,
        }))
    }

    /// Puts a version and reads it back; it does not count yet. `version` names it, so that the same may be put again.
    pub(super) async fn put(&self, version: &str, bundle: &Bundle) -> Result<(), Setback> {
        let text = bundle.to_json();
        self.aws
            .put_secret_version(&self.credentials, &self.arn, version, &text, WRITTEN)
            .await
            .map_err(|why| self.failed(&why))?;
        let read = self
            .aws
            .secret_version(&self.credentials, &self.arn, version)
            .await
            .map_err(|why| self.failed(&why))?;
        if read.value.text == text {
            Ok(())
        } else {
            Err(Setback::Later(Problem::new(
                Code::AwsUnreachable,
                format!("place {} gives back other bytes than were put", self.name),
            )))
        }
    }

    /// Moves the label; nothing moves where it does not stand on `from`.
    pub(super) async fn move_label(&self, from: Option<&str>, to: &str) -> Result<Moved, Setback> {
        self.aws
            .swap_label(&self.credentials, &self.arn, LABEL, from, to)
            .await
            .map(|answer| answer.value)
            .map_err(|why| self.failed(&why))
    }

    fn failed(&self, why: &AwsError) -> Setback {
        let named = |mut problem: Problem| {
            problem.error = format!("place {}: {}", self.name, problem.error);
            problem
        };
        match setback(why) {
            Setback::Later(problem) => Setback::Later(named(problem)),
            Setback::Refused(problem) => Setback::Refused(named(problem)),
            Setback::Never(problem) => Setback::Never(named(problem)),
        }
    }
}

/// A new version's id: 128 random bits.
pub(super) fn version_id() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    data_encoding::HEXLOWER.encode(&bytes)
}
