//! Whether a request can be made by this operator under this commander at all, so that a quorum of other people is left to approve it.

use super::home::Vault;
use crate::{
    ceremony::duties,
    protocol::{Code, Problem},
};

/// Refuses a commander who cannot be one, and a request that the people who are left could not approve.
pub(super) fn separate(
    vault: &Vault,
    operator: &str,
    commander: Option<&str>,
) -> Result<(), Problem> {
    duties::separate(&vault.roster, operator, commander)
        .map_err(|unfit| Problem::new(Code::Refused, &unfit).hint(unfit.hint()))
}
