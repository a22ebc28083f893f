//! What a journal says of the places that keep copies.

use serde::{Deserialize, Serialize};

use crate::trust::{Digest, KeyId};

/// A step at a place; its tag stands among those of [`Step`](super::Step).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlaceStep {
    /// This host may replace the generation: its claim stands at the place.
    ClaimTaken {
        /// The place that holds the claim.
        place: String,
        /// The generation that is to be replaced.
        generation: u64,
        /// The host whose old claim was taken over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<KeyId>,
    },
    /// A place holds the generation: written and read back.
    CopyWritten {
        /// The place.
        place: String,
        /// The generation.
        generation: u64,
        /// Digest of the bundle as it stands there.
        bundle_sha256: Digest,
    },
    /// A place does not hold the generation yet.
    CopyLags {
        /// The place.
        place: String,
        /// The generation that it lacks.
        generation: u64,
        /// Whether the old key waits for it.
        required: bool,
        /// Why, in plain words.
        why: String,
    },
    /// A place could not be read.
    PlaceUnread {
        /// The place.
        place: String,
        /// Why, in plain words.
        why: String,
    },
    /// A newer generation was found at a place, checked and taken over: it counts here from now on.
    GenerationAdopted {
        /// The place.
        place: String,
        /// Its number.
        generation: u64,
        /// Digest of its manifest.
        manifest_sha256: Digest,
        /// The key that it holds.
        access_key_id: String,
    },
}

impl PlaceStep {
    /// Its tag.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClaimTaken { .. } => "claim_taken",
            Self::CopyWritten { .. } => "copy_written",
            Self::CopyLags { .. } => "copy_lags",
            Self::PlaceUnread { .. } => "place_unread",
            Self::GenerationAdopted { .. } => "generation_adopted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Step, *};

    #[test]
    fn a_step_at_a_place_has_one_name_and_reads_back() {
        let place = || "safe".to_owned();
        let sha256 = Digest::of(b"");
        for step in [
            Step::Place(PlaceStep::ClaimTaken {
                place: place(),
                generation: 2,
                from: None,
            }),
            Step::Place(PlaceStep::CopyWritten {
                place: place(),
                generation: 2,
                bundle_sha256: sha256,
            }),
            Step::Place(PlaceStep::CopyLags {
                place: place(),
                generation: 2,
                required: true,
                why: String::new(),
            }),
            Step::Place(PlaceStep::PlaceUnread {
                place: place(),
                why: String::new(),
            }),
            Step::Place(PlaceStep::GenerationAdopted {
                place: place(),
                generation: 2,
                manifest_sha256: sha256,
                access_key_id: "AKIAEXAMPLE".to_owned(),
            }),
        ] {
            let json = serde_json::to_value(&step).expect("json");
            let Step::Place(inner) = &step else {
                panic!("{step:?}");
            };
            assert_eq!(json["step"], inner.name());
            assert_eq!(serde_json::from_value::<Step>(json).expect("read"), step);
        }
        let unknown = serde_json::json!({"step": "copy_eaten", "place": "safe"});
        assert!(serde_json::from_value::<Step>(unknown).is_err());
    }
}
