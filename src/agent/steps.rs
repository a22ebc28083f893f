//! A journal entry's step as the record and as people have it: its name, its details, its words.

use super::{book::Change, secrets};
use crate::{
    audit::event::Event,
    protocol::job::{ProvenBy, Step, Whose},
};

/// What an event says of a step beside its name.
pub(super) fn details(change: &Change<'_, '_>, event: Event, step: &Step) -> Event {
    match step {
        Step::MintIntent {
            role,
            not_after,
            revocation,
            steward_role: _,
            also,
            secrets: _,
        } => {
            let event = event
                .detail("role", role.as_str())
                .detail("not_after", not_after.to_string())
                .detail("revocation", revocation.as_str());
            match also.is_empty() {
                true => event,
                false => event.detail("also", roles(also.iter().map(|t| t.role_arn.as_str()))),
            }
        }
        Step::Minted {
            assumed_role,
            access_key_id,
            not_after,
            role,
            expires_at,
        } => event
            .who(assumed_role)
            .detail("role", role.as_str())
            .detail("not_after", not_after.to_string())
            .detail("credentials_until", expires_at.map(|at| at.to_string()))
            .detail(
                "access_key",
                change.fingerprint("access-key", access_key_id),
            ),
        Step::MintFailed { why, unsure } => event
            .detail("why", why.as_str())
            .detail("may_exist", *unsure),
        Step::RotationPending { why } => event.detail("why", why.as_str()),
        Step::TargetFailed { role, why } => event
            .detail("role", role.as_str())
            .detail("why", why.as_str()),
        Step::ClosePending {
            why,
            role,
            tries,
            next_attempt,
        } => event
            .detail("role", role.as_str())
            .detail("why", why.as_str())
            .detail("tries", *tries)
            .detail("next_attempt", next_attempt.map(|at| at.to_string())),
        Step::NotObserved { until, why } => event
            .detail("until", until.to_string())
            .detail("observed", false)
            .detail("why", why.as_str()),
        Step::CloseOnlyIntent { requests } => {
            event.detail("closes", roles(requests.iter().map(String::as_str)))
        }
        Step::CloseOnlyDone { denied, left } => {
            let left = left.iter().map(|(id, why)| format!("{id}: {why}"));
            event
                .detail("denied", roles(denied.iter().map(String::as_str)))
                .detail("left", roles(left))
        }
        Step::DrillIntent { roles: all } => {
            event.detail("roles", roles(all.iter().map(String::as_str)))
        }
        Step::Drilled {
            role,
            region,
            probe,
            code,
        } => event
            .detail("role", role.as_str())
            .detail("region", region.as_str())
            .detail("probe", probe.as_str())
            .detail("refused_with", code.as_str()),
        Step::DrillFailed { role, why } => event
            .detail("role", role.as_str())
            .detail("why", why.as_str()),
        Step::RotationIntent { old_access_key_id } => {
            event.detail("access_key_id", old_access_key_id.as_str())
        }
        Step::StrayFound {
            access_key_id,
            whose,
            active,
            created,
        } => event
            .detail("access_key_id", access_key_id.as_str())
            .detail("ours", *whose != Whose::Stranger)
            .detail("sure", *whose != Whose::Likely)
            .detail("active", *active)
            .detail("created", created.map(|at| at.to_string())),
        Step::CreateIntent { .. } => event,
        Step::CreateFailed { why } => event.detail("why", why.as_str()),
        Step::KeyRefused { access_key_id, by } => event
            .detail("access_key_id", access_key_id.as_str())
            .detail(
                "proven_by",
                match by {
                    ProvenBy::Itself => "itself",
                    ProvenBy::Id => "id",
                },
            ),
        Step::Misused {
            access_key_id,
            used,
        } => event
            .detail("access_key_id", access_key_id.as_str())
            .detail("used_at", used.at.to_string())
            .detail("region", used.region.as_str())
            .detail("service", used.service.as_str()),
        Step::DeletionOwed { access_key_id, why } => event
            .detail("access_key_id", access_key_id.as_str())
            .detail("why", why.as_str()),
        Step::StrangerDisabled { access_key_id }
        | Step::StrangerDeleted { access_key_id }
        | Step::KeyCreated { access_key_id }
        | Step::KeyProven { access_key_id }
        | Step::DeactivateIntent { access_key_id }
        | Step::DeleteIntent { access_key_id }
        | Step::KeyDeactivated { access_key_id }
        | Step::KeyDeleted { access_key_id } => {
            event.detail("access_key_id", access_key_id.as_str())
        }
        Step::GenerationWritten {
            generation,
            manifest,
        } => event
            .detail("generation", *generation)
            .detail("manifest_sha256", manifest.digest().to_string()),
        Step::GenerationCommitted {
            generation,
            manifest_sha256,
            access_key_id,
        } => event
            .detail("generation", *generation)
            .detail("manifest_sha256", manifest_sha256.to_string())
            .detail("access_key_id", access_key_id.as_str()),
        Step::Rotated { receipt } | Step::Revoked { receipt } => {
            event.envelope("receipt", receipt.to_json())
        }
        Step::Place(step) => super::copies::details(event, step),
        Step::RevokeIntent { policy, role } | Step::RevokeApplied { policy, role } => event
            .detail("role", role.as_str())
            .detail("policy", policy.as_str()),
        Step::RefusalObserved {
            role,
            region,
            since,
            refusals,
        } => event
            .detail("role", role.as_str())
            .detail("region", region.as_str())
            .detail("since", since.to_string())
            .detail("refusals", *refusals),
        Step::Expired { at } => event.detail("ended", at.to_string()),
        Step::Secret { secret, did } => secrets::details(event, secret, did),
    }
}

/// The entry's own tag, so that journal, record and receipts use one word.
pub(super) fn step_name(step: &Step) -> &'static str {
    match step {
        Step::MintIntent { .. } => "mint_intent",
        Step::Minted { .. } => "minted",
        Step::MintFailed { .. } => "mint_failed",
        Step::DrillIntent { .. } => "drill_intent",
        Step::Drilled { .. } => "drilled",
        Step::DrillFailed { .. } => "drill_failed",
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
        Step::Place(step) => step.name(),
        Step::RevokeIntent { .. } => "revoke_intent",
        Step::RevokeApplied { .. } => "revoke_applied",
        Step::RefusalObserved { .. } => "refusal_observed",
        Step::Revoked { .. } => "revoked",
        Step::Expired { .. } => "expired",
        Step::NotObserved { .. } => "not_observed",
        Step::TargetFailed { .. } => "target_failed",
        Step::CloseOnlyIntent { .. } => "close_only_intent",
        Step::CloseOnlyDone { .. } => "close_only_done",
        Step::ClosePending { .. } => "close_pending",
        Step::Secret { did, .. } => did.name(),
    }
}

/// A step as people read it.
pub(super) fn in_words(step: &Step) -> String {
    match step {
        Step::MintIntent { role, also, .. } => match also.len() {
            0 => format!("asking AWS for a session in {role}"),
            n => format!("asking AWS for sessions in {role} and {n} more"),
        },
        Step::Minted {
            not_after, role, ..
        } => format!("the session{} is open until {not_after}", in_role(role)),
        Step::TargetFailed { role, why } => format!("no session{}: {why}", in_role(role)),
        Step::MintFailed { why, .. } => format!("no session: {why}"),
        Step::CloseOnlyIntent { requests } => match requests.is_empty() {
            true => "there is no session to close; the sealed key is replaced".to_owned(),
            false => format!("closing {}", requests.join(", ")),
        },
        Step::CloseOnlyDone { denied, left } => {
            let mut said: Vec<String> = denied
                .iter()
                .map(|id| format!("{id} is denied by its tag"))
                .collect();
            said.extend(
                left.iter()
                    .map(|(id, why)| format!("{id} is not closed: {why}")),
            );
            match said.is_empty() {
                true => "no session was to be closed".to_owned(),
                false => said.join("; "),
            }
        }
        Step::DrillIntent { roles } => format!(
            "drill: asking AWS for a session that may do nothing in {} role(s)",
            roles.len()
        ),
        Step::Drilled {
            role,
            region,
            probe,
            code,
        } => format!(
            "drill: the session{} was refused {probe} in {region} ({code}) and is dropped",
            in_role(role)
        ),
        Step::DrillFailed { role, why } => format!("drill failed{}: {why}", in_role(role)),
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
        Step::Place(step) => super::copies::in_words(step),
        Step::RevokeIntent { policy, role } => {
            format!("revoking{} with policy {policy}", in_role(role))
        }
        Step::RevokeApplied { role, .. } => format!("the revocation{} stands", in_role(role)),
        Step::RefusalObserved {
            role,
            region,
            since,
            refusals,
        } => format!(
            "refused{} in {region} since {since} ({refusals} times in a row)",
            in_role(role)
        ),
        Step::NotObserved { until, why } => {
            format!("denied by its tag, not observed ({why}); ends at {until}")
        }
        Step::Revoked { .. } => "the session was revoked and seen refused".to_owned(),
        Step::Expired { at } => format!("the session's time ran out at {at}"),
        Step::Secret { secret, did } => secrets::in_words(secret, did),
        Step::ClosePending { why, role, .. } => {
            format!("closing{} cannot go on now: {why}", in_role(role))
        }
    }
}

/// Account and name of a role, where one is named.
fn in_role(role: &str) -> String {
    match (role.split(':').nth(4), role.rsplit_once('/')) {
        (Some(account), Some((_, name))) => format!(" in {account} {name}"),
        _ => String::new(),
    }
}

fn roles<S: Into<String>>(all: impl Iterator<Item = S>) -> serde_json::Value {
    all.map(Into::into).collect::<Vec<String>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Timestamp;

    #[test]
    fn a_step_has_one_name_on_the_wire_and_in_the_record() {
        let at = Timestamp(0);
        let steps = [
            Step::MintIntent {
                role: String::new(),
                not_after: at,
                revocation: String::new(),
                steward_role: String::new(),
                also: Vec::new(),
                secrets: Vec::new(),
            },
            Step::MintFailed {
                why: String::new(),
                unsure: false,
            },
            Step::TargetFailed {
                role: String::new(),
                why: String::new(),
            },
            Step::CloseOnlyIntent {
                requests: Vec::new(),
            },
            Step::CloseOnlyDone {
                denied: Vec::new(),
                left: Vec::new(),
            },
            Step::NotObserved {
                until: at,
                why: String::new(),
            },
            Step::DrillIntent { roles: Vec::new() },
            Step::Drilled {
                role: String::new(),
                region: String::new(),
                probe: String::new(),
                code: String::new(),
            },
            Step::DrillFailed {
                role: String::new(),
                why: String::new(),
            },
            Step::StrayFound {
                access_key_id: String::new(),
                whose: Whose::Likely,
                active: true,
                created: None,
            },
            Step::CreateIntent { aws_time: None },
            Step::CreateFailed { why: String::new() },
            Step::DeactivateIntent {
                access_key_id: String::new(),
            },
            Step::DeleteIntent {
                access_key_id: String::new(),
            },
            Step::KeyRefused {
                access_key_id: String::new(),
                by: ProvenBy::Id,
            },
            Step::DeletionOwed {
                access_key_id: String::new(),
                why: String::new(),
            },
            Step::Misused {
                access_key_id: String::new(),
                used: crate::protocol::job::KeyUse {
                    at,
                    region: String::new(),
                    service: String::new(),
                },
            },
            Step::KeyCreated {
                access_key_id: String::new(),
            },
            Step::RefusalObserved {
                role: String::new(),
                region: String::new(),
                since: at,
                refusals: 1,
            },
            Step::Expired { at },
            Step::ClosePending {
                why: String::new(),
                role: String::new(),
                tries: 1,
                next_attempt: None,
            },
        ];
        for step in steps {
            let json = serde_json::to_value(&step).expect("json");
            assert_eq!(json["step"], step_name(&step));
        }
    }
}
