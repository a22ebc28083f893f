//! A step's name and its words.

use crate::protocol::job::{Step, Whose};

/// The entry's own tag, so that journal, record and receipts use one word.
pub(in crate::agent) fn step_name(step: &Step) -> &'static str {
    match step {
        Step::MintIntent { .. } => "mint_intent",
        Step::Minted { .. } => "minted",
        Step::MintFailed { .. } => "mint_failed",
        Step::RotationIntent { .. } => "rotation_intent",
        Step::StrayFound { .. } => "stray_found",
        Step::CreateIntent { .. } => "create_intent",
        Step::CreateFailed { .. } => "create_failed",
        Step::DeactivateIntent { .. } => "deactivate_intent",
        Step::DeleteIntent { .. } => "delete_intent",
        Step::DeletionOwed { .. } => "deletion_owed",
        Step::Misused { .. } => "misused",
        Step::StrangerDisabled { .. } => "stranger_disabled",
        Step::StrangerDeleted { .. } => "stranger_deleted",
        Step::KeyCreated { .. } => "key_created",
        Step::GenerationWritten { .. } => "generation_written",
        Step::KeyProven { .. } => "key_proven",
        Step::GenerationCommitted { .. } => "generation_committed",
        Step::KeyDeactivated { .. } => "key_deactivated",
        Step::KeyRefused { .. } => "key_refused",
        Step::KeyDeleted { .. } => "key_deleted",
        Step::Rotated { .. } => "rotated",
        Step::RotationPending { .. } => "rotation_pending",
        Step::RevokeIntent { .. } => "revoke_intent",
        Step::RevokeApplied { .. } => "revoke_applied",
        Step::RefusalObserved { .. } => "refusal_observed",
        Step::Revoked { .. } => "revoked",
        Step::Expired { .. } => "expired",
        Step::ClosePending { .. } => "close_pending",
    }
}

/// A step as people read it.
pub(in crate::agent) fn in_words(step: &Step) -> String {
    match step {
        Step::MintIntent { role, .. } => format!("asking AWS for a session in {role}"),
        Step::Minted { not_after, .. } => format!("the session is open until {not_after}"),
        Step::MintFailed { why } => format!("no session: {why}"),
        Step::RotationIntent { old_access_key_id } => {
            format!("replacing the sealed key {old_access_key_id}")
        }
        Step::StrayFound {
            access_key_id,
            whose,
            ..
        } => match whose {
            Whose::Ours => format!("key {access_key_id} was left by a worker that was stopped"),
            Whose::Likely => {
                format!(
                    "key {access_key_id} is most likely ours: the answer that named it was lost"
                )
            }
            Whose::Stranger => format!(
                "key {access_key_id} was made by somebody else: whoever made it has the break-glass user's power"
            ),
        },
        Step::Misused {
            access_key_id,
            used,
        } => format!(
            "the sealed key {access_key_id} was used outside a ceremony at {}: {} in {}",
            used.at, used.service, used.region
        ),
        Step::CreateIntent { .. } => "asking AWS for a new key".to_owned(),
        Step::CreateFailed { why } => format!("AWS made no new key: {why}"),
        Step::DeactivateIntent { access_key_id } => format!("making key {access_key_id} inactive"),
        Step::DeleteIntent { access_key_id } => format!("deleting key {access_key_id}"),
        Step::DeletionOwed { access_key_id, why } => format!(
            "the sealed key was replaced; the old key {access_key_id} is dead, and could not be deleted yet: {why}"
        ),
        Step::StrangerDisabled { access_key_id } => {
            format!("another key of the user was made inactive: {access_key_id}")
        }
        Step::StrangerDeleted { access_key_id } => {
            format!("another key of the user was deleted: {access_key_id}")
        }
        Step::KeyCreated { access_key_id } => format!("new key {access_key_id} made"),
        Step::GenerationWritten { generation, .. } => {
            format!("generation {generation} sealed and read back")
        }
        Step::KeyProven { access_key_id } => format!("new key {access_key_id} seen to work"),
        Step::GenerationCommitted { generation, .. } => {
            format!("generation {generation} counts from here on")
        }
        Step::KeyDeactivated { access_key_id } => format!("old key {access_key_id} made inactive"),
        Step::KeyRefused { access_key_id, .. } => format!("old key {access_key_id} seen refused"),
        Step::KeyDeleted { access_key_id } => format!("old key {access_key_id} deleted"),
        Step::Rotated { .. } => "the sealed key was replaced".to_owned(),
        Step::RotationPending { why } => format!("the sealed key could not be replaced yet: {why}"),
        Step::RevokeIntent { policy } => format!("revoking with policy {policy}"),
        Step::RevokeApplied { .. } => "the revocation stands".to_owned(),
        Step::RefusalObserved {
            region,
            since,
            refusals,
        } => format!("refused in {region} since {since} ({refusals} times in a row)"),
        Step::Revoked { .. } => "the session was revoked and seen refused".to_owned(),
        Step::Expired { at } => format!("the session's time ran out at {at}"),
        Step::ClosePending { why } => format!("closing cannot go on now: {why}"),
    }
}
