//! What AWS answers and the roster says, read as what a rotation needs.

use zeroize::Zeroizing;

use super::super::{home::Vault, plan::arn, problems::Explain as _, setback::Setback};
use crate::{
    aws,
    protocol::{Code, Problem},
    vault::AccessKey,
};

/// What `CreateAccessKey` answered, as it is sealed.
pub(super) fn access_key(new: &aws::NewKey) -> Result<AccessKey, Setback> {
    let json: Zeroizing<String> = new.to_cli_json();
    AccessKey::parse(json.as_bytes())
        .explain()
        .map_err(Setback::Never)
}

/// The break-glass user's name without its path.
pub(super) fn user_name(vault: &Vault) -> Result<String, Setback> {
    let user = arn(&vault.roster.aws.user_arn).map_err(Setback::Never)?;
    user.user().map(|u| u.name.to_owned()).ok_or_else(|| {
        Setback::Never(Problem::new(
            Code::Usage,
            "the roster's user_arn does not name a user",
        ))
    })
}
