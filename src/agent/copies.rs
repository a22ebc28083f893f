//! What the journal says of the places that keep copies: which holds what, which lags, since when and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    audit::event::Event,
    protocol::{job::PlaceStep, socket::CopyStatus},
    trust::{Timestamp, roster::Roster},
};

/// What is known of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Copy {
    /// The newest generation that it acknowledged, or that was read from it.
    generation: Option<u64>,
    lags: Option<Lag>,
}

/// That a place does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lag {
    since: Timestamp,
    why: String,
}

/// Takes up a step; whether it was about a copy.
pub(super) fn take(copies: &mut BTreeMap<String, Copy>, step: &PlaceStep, at: Timestamp) -> bool {
    match step {
        PlaceStep::CopyWritten {
            place, generation, ..
        }
        | PlaceStep::GenerationAdopted {
            place, generation, ..
        } => {
            copies.insert(
                place.clone(),
                Copy {
                    generation: Some(*generation),
                    lags: None,
                },
            );
            true
        }
        PlaceStep::CopyLags { place, why, .. } => {
            let copy = copies.entry(place.clone()).or_default();
            // It lags since the first time that it was missed.
            let since = copy.lags.as_ref().map_or(at, |lag| lag.since);
            copy.lags = Some(Lag {
                since,
                why: why.clone(),
            });
            true
        }
        PlaceStep::ClaimTaken { .. } | PlaceStep::PlaceUnread { .. } => false,
    }
}

/// The roster's places as people see them, in its order.
pub(super) fn status(roster: &Roster, copies: &BTreeMap<String, Copy>) -> Vec<CopyStatus> {
    let places = roster.places.iter();
    places
        .map(|place| {
            let copy = copies.get(&place.name).cloned().unwrap_or_default();
            let (since, why) = copy.lags.map(|lag| (lag.since, lag.why)).unzip();
            CopyStatus {
                place: place.name.clone(),
                required: place.required,
                generation: copy.generation,
                lags_since: since,
                why,
            }
        })
        .collect()
}

/// The line of the status for a copy that lags.
pub(super) fn degraded(vault: &str, copy: &CopyStatus) -> Option<String> {
    let (since, why) = copy.lags_since.zip(copy.why.as_ref())?;
    Some(format!(
        "vault {vault}: the copy at place {} lags since {since}: {why}",
        copy.place
    ))
}

/// What the record holds of such a step.
pub(super) fn details(event: Event, step: &PlaceStep) -> Event {
    match step {
        PlaceStep::ClaimTaken {
            place,
            generation,
            from,
        } => {
            let event = event
                .detail("place", place.as_str())
                .detail("generation", *generation);
            match from {
                Some(host) => event.detail("taken_over_from", host.to_string()),
                None => event,
            }
        }
        PlaceStep::CopyWritten {
            place,
            generation,
            bundle_sha256,
        } => event
            .detail("place", place.as_str())
            .detail("generation", *generation)
            .detail("bundle_sha256", bundle_sha256.to_string()),
        PlaceStep::CopyLags {
            place,
            generation,
            required,
            why,
        } => event
            .detail("place", place.as_str())
            .detail("generation", *generation)
            .detail("required", *required)
            .detail("why", why.as_str()),
        PlaceStep::PlaceUnread { place, why } => event
            .detail("place", place.as_str())
            .detail("why", why.as_str()),
        PlaceStep::GenerationAdopted {
            place,
            generation,
            manifest_sha256,
            access_key_id,
        } => event
            .detail("place", place.as_str())
            .detail("generation", *generation)
            .detail("manifest_sha256", manifest_sha256.to_string())
            .detail("access_key_id", access_key_id.as_str()),
    }
}

/// Such a step as people read it.
pub(super) fn in_words(step: &PlaceStep) -> String {
    match step {
        PlaceStep::ClaimTaken { place, from, .. } => match from {
            Some(host) => format!("the claim at place {place} was taken over from host {host}"),
            None => format!("this host has the claim at place {place}"),
        },
        PlaceStep::CopyWritten {
            place, generation, ..
        } => format!("place {place} holds generation {generation}"),
        PlaceStep::CopyLags {
            place,
            generation,
            why,
            ..
        } => format!("place {place} does not hold generation {generation} yet: {why}"),
        PlaceStep::PlaceUnread { place, why } => format!("place {place} could not be read: {why}"),
        PlaceStep::GenerationAdopted {
            place, generation, ..
        } => format!("generation {generation} was taken over from place {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lags_since_it_was_first_missed_and_until_it_is_written() {
        let mut copies = BTreeMap::new();
        let lags = |why: &str| PlaceStep::CopyLags {
            place: "nas".into(),
            generation: 3,
            required: true,
            why: why.into(),
        };
        let written = PlaceStep::CopyWritten {
            place: "nas".into(),
            generation: 2,
            bundle_sha256: crate::trust::Digest::of(b""),
        };
        assert!(take(&mut copies, &written, Timestamp(1)));
        assert!(take(&mut copies, &lags("away"), Timestamp(2)));
        assert!(take(&mut copies, &lags("full"), Timestamp(3)));
        let copy = &copies["nas"];
        assert_eq!(copy.generation, Some(2));
        let lag = copy.lags.as_ref().expect("it lags");
        assert_eq!((lag.since, lag.why.as_str()), (Timestamp(2), "full"));
        assert!(take(&mut copies, &written, Timestamp(4)));
        assert_eq!(copies["nas"].lags, None);
        let other = PlaceStep::PlaceUnread {
            place: "nas".into(),
            why: String::new(),
        };
        assert!(!take(&mut copies, &other, Timestamp(5)));
    }
}
