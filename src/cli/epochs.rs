//! Epochs of a host's record: what this person has seen may have been lost since, and a signed epoch says so.
//!
//! Without one a head that is older than what was seen is tampering. With one it is said aloud, once, and remembered: an epoch that this person has
//! met before explains nothing that was seen since.

use crate::{
    audit::{
        chain::{self, Hash},
        epoch::{Proven, proven},
        note::NoteKey,
    },
    protocol::{Code, Problem, evidence::EpochProof},
    trust::{Digest, Head, PublicKey, Timestamp, roster::Host},
};

/// The epochs that a host shows, each signed by its checkpoint key as the roster lists it.
pub(super) struct Epochs(Vec<Proven>);

impl Epochs {
    /// Checks each. One that is not what it claims to be is tampering.
    pub(super) fn of(proofs: &[EpochProof], host: Option<&Host>) -> Result<Self, Problem> {
        let keys: Vec<NoteKey> = host
            .and_then(|host| match &host.checkpoint_key {
                PublicKey::Ed25519(key) => NoteKey::new(&host.name, *key).ok(),
                PublicKey::P256(_) => None,
            })
            .into_iter()
            .collect();
        let one = |proof: &EpochProof| {
            proven(proof.line.as_bytes(), &proof.note, &keys).map_err(|why| {
                let said = format!("the host shows an epoch of its record that is none: {why}");
                Problem::new(Code::Tampering, said).hint("do not go on; tell the security officer")
            })
        };
        proofs.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// The events that begin them, to be remembered.
    pub(super) fn all(&self) -> Vec<Head> {
        self.0.iter().map(began).collect()
    }

    /// In words, why a record that stood at `seen` at a time may stand at `now`: an epoch that began since says that what was seen is lost. One of
    /// `met` was known by then.
    pub(super) fn explain(
        &self,
        (seen, at): (Head, Timestamp),
        now: Head,
        met: &[Head],
    ) -> Option<String> {
        let seen = chain::Head {
            seq: seen.seq,
            hash: Hash::from_bytes(seen.hash.0),
        };
        let Proven { epoch, why, .. } = self.0.iter().find(|proven| {
            proven.covers(&seen, at.into())
                && now.seq > proven.epoch.seq
                && !met.contains(&began(proven))
        })?;
        Some(format!(
            "the record on this host was put back to an earlier state: events {} to {}, among them what you have seen, are lost (epoch {}, signed by the host): {why}",
            epoch.lost_from, epoch.held.seq, epoch.epoch
        ))
    }
}

fn began(proven: &Proven) -> Head {
    Head {
        seq: proven.began.seq,
        hash: Digest(*proven.began.hash.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::epoch::Epoch;

    fn head(seq: u64) -> Head {
        Head {
            seq,
            hash: Digest([1; 32]),
        }
    }

    #[test]
    fn what_was_seen_is_explained_by_an_epoch_that_lost_it_and_by_nothing_else() {
        let held = chain::Head {
            seq: 15,
            hash: Hash::from_bytes([1; 32]),
        };
        let epoch = Epoch {
            epoch: 2,
            seq: 11,
            lost_from: 11,
            held,
        };
        let at = Timestamp::parse("2026-01-06T12:00:00Z").expect("a time");
        let epochs = Epochs(vec![Proven {
            epoch,
            began: held,
            at: at.into(),
            why: "restored".to_owned(),
        }]);
        let explain = |seen, now| epochs.explain((seen, at), now, &[]);
        let said = explain(head(14), head(12)).expect("explained");
        assert!(
            said.contains("events 11 to 15") && said.ends_with("restored"),
            "{said}"
        );
        // Before the epoch, after what was lost, and where the record has not come so far.
        assert!(explain(head(10), head(12)).is_none());
        assert!(explain(head(16), head(12)).is_none());
        assert!(explain(head(14), head(11)).is_none());
        let none = Epochs(Vec::new());
        assert!(none.explain((head(14), at), head(12), &[]).is_none());
        // It was seen after the epoch began, or by somebody who knew of the epoch.
        let later = (head(14), at.plus(1));
        assert!(epochs.explain(later, head(12), &[]).is_none());
        let met = epochs.all();
        assert!(epochs.explain((head(14), at), head(12), &met).is_none());
    }

    #[test]
    fn an_epoch_that_nobody_listed_has_signed_is_tampering() {
        let proof = EpochProof {
            line: "{}".into(),
            note: "none".into(),
        };
        let problem = Epochs::of(&[proof], None).err().expect("refused");
        assert_eq!(problem.code, Code::Tampering);
        assert!(Epochs::of(&[], None).is_ok());
    }
}
