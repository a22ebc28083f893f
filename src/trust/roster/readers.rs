//! The officers to whom recordings of operators' terminals are sealed.

use std::collections::BTreeSet;

use twotap_shares::sheet::DEMO_RECIPIENT;

use super::{Access, Person, Recording, Role, Roster, check::ensure};
use crate::trust::TrustError;

/// Whether this is an age X25519 recipient (`age1...`), spelt the way that age spells it.
pub fn is_recipient(text: &str) -> bool {
    let recipient = text.parse::<age::x25519::Recipient>();
    recipient.is_ok_and(|recipient| recipient.to_string() == text)
}

impl Roster {
    /// The officers to whom recordings are sealed, with their recipients.
    pub fn readers(&self) -> impl Iterator<Item = (&Person, &str)> {
        let officers = self.people.iter();
        let officers = officers.filter(|p| p.roles.contains(&Role::Officer));
        officers.filter_map(|p| Some((p, p.recipient.as_deref()?)))
    }

    pub(super) fn check_readers(&self) -> Result<(), TrustError> {
        let mut recipients = BTreeSet::new();
        for person in &self.people {
            let Some(recipient) = &person.recipient else {
                continue;
            };
            ensure(
                person.roles.contains(&Role::Officer),
                "somebody who is not an officer has a recipient for recordings",
            )?;
            ensure(
                is_recipient(recipient),
                "a person's recipient is not an age X25519 recipient (age1...)",
            )?;
            ensure(
                recipient != DEMO_RECIPIENT,
                "a person's recipient is that of the demo set, whose shares everybody has",
            )?;
            ensure(
                recipients.insert(recipient),
                "two people have the same recipient",
            )?;
            // Whoever reads recordings would open the vault alone.
            let recovery = self.recovery.as_ref();
            ensure(
                recovery.is_none_or(|r| r.recipient.to_lowercase() != *recipient),
                "a person's recipient is the recovery recipient",
            )?;
        }
        let required = |a: &Access| a.recording == Recording::Required;
        ensure(
            !self.access.iter().any(required) || self.readers().next().is_some(),
            "an access profile has to be recorded, and no officer has a recipient",
        )
    }
}
