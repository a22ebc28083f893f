//! Epochs of a host's record: what this person has seen may have been lost since, and a signed epoch says so.
//!
//! Without one a head that is older than what was seen is tampering. With one it is said aloud, once, and remembered: an epoch that this person has
//! met before explains nothing that was seen since.

use crate::{
    audit::{
        chain::{self, Hash},
        epoch::{Proven, proven},
        hosts::Owner,
        signed::{Chains, Rosters},
    },
    protocol::{Code, Problem, evidence::EpochProof},
    trust::{Digest, Envelope, Head, KeyId, Timestamp},
};

/// The epochs that a host shows, each signed by the checkpoint key that a version of the roster lists for it: one that began before the host was given
/// another key is signed by the one that it had.
pub(super) struct Epochs(Vec<Proven>);

impl Epochs {
    /// Checks each, for the host with this key id in a vault's roster. One that is not what it claims to be is tampering.
    pub(super) fn of(
        proofs: &[EpochProof],
        (vault, chain): (&str, &[Envelope]),
        host: KeyId,
    ) -> Result<Self, Problem> {
        if proofs.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let chains = Chains::from([(vault.to_owned(), chain.to_vec())]);
        let rosters = Rosters::verify(&chains)?;
        let (keys, hosts) = (rosters.checkpoint_keys(), rosters.hosts());
        let none = |why: &str| {
            let said = format!("the host shows an epoch of its record that is none: {why}");
            Problem::new(Code::Tampering, said).hint("do not go on; tell the security officer")
        };
        let owner = Owner::with_id(&hosts, &host.to_string());
        let owner = owner.ok_or_else(|| none("the roster does not list that host"))?;
        let one = |proof: &EpochProof| {
            let checked = proven(proof.line.as_bytes(), &proof.note, &keys, &owner);
            checked.map_err(|why| none(&why))
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
        let Proven {
            epoch,
            why,
            replaced,
            ..
        } = self.0.iter().find(|proven| {
            proven.epoch.covers(&seen, Some(at.into()))
                && now.seq > proven.epoch.seq
                && !met.contains(&began(proven))
        })?;
        let with = match replaced {
            true => " with a key that was replaced since",
            false => "",
        };
        Some(format!(
            "the record on this host was put back to an earlier state: events {} to {}, among them what you have seen, are lost (epoch {}, signed by the host{with}): {why}",
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
    use crate::audit::{
        checkpoint::HEADER,
        epoch::Epoch,
        event::{Actor, Event, EventType},
        note::{self, NoteKey},
    };
    use crate::trust::{
        Signer as _,
        roster::Host,
        tests::people::{self, HostKey, SoftToken},
    };

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
        let at = Timestamp::parse("2026-01-06T12:00:00Z").expect("a time");
        let epoch = Epoch {
            epoch: 2,
            seq: 11,
            lost_from: 11,
            held,
            at: at.into(),
        };
        let epochs = Epochs(vec![Proven {
            epoch,
            began: held,
            why: "restored".to_owned(),
            replaced: false,
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
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (own, host) = (people::host().public().id(), HostKey::new("vault-2"));
        let mut first = people::roster(2, &[&alice, &bob]);
        first.hosts.push(Host {
            name: "vault-2".into(),
            key: host.public(),
            checkpoint_key: HostKey::new("vault-2 checkpoint").public(),
        });
        let mut chain = vec![people::signed(&first, &[&alice, &bob])];
        // Since then the first host has another key for checkpoints.
        let mut second = people::next(&people::newest(&chain));
        second.hosts[0].checkpoint_key = HostKey::new("vault-1 later").public();
        chain.push(people::signed(&second, &[&alice, &bob]));
        let shown = |proof: EpochProof, host| Epochs::of(&[proof], ("prod", &chain), host);
        let none = EpochProof {
            line: "{}".into(),
            note: "none".into(),
        };
        let refused = |proof, host| {
            let problem = shown(proof, host).err().expect("refused");
            assert_eq!(problem.code, Code::Tampering);
            problem.error
        };
        refused(none, own);
        for (by, of, replaced) in [
            ("vault-1 checkpoint", own, true),
            ("vault-1 later", own, false),
            ("vault-2 checkpoint", host.public().id(), false),
        ] {
            let epochs = shown(proof(by), of).unwrap_or_else(|why| panic!("{by}: {}", why.error));
            assert_eq!(epochs.0[0].replaced, replaced, "{by}");
        }
        for (by, of) in [
            ("vault-2 checkpoint", own),
            ("vault-1 checkpoint", host.public().id()),
        ] {
            let said = refused(proof(by), of);
            assert!(
                said.contains("the record is not by this host but by"),
                "{said}"
            );
        }
        refused(proof("vault-3 checkpoint"), own);
        refused(
            proof("vault-1 checkpoint"),
            HostKey::new("vault-3").public().id(),
        );
        assert!(Epochs::of(&[], ("prod", &[]), own).is_ok());
    }

    /// An epoch, signed with this key in the name of its host.
    fn proof(by: &str) -> EpochProof {
        let event = Event::new(EventType::StoreReset, Actor::agent())
            .detail("epoch", 2)
            .detail("lost_from", 1)
            .detail(
                "held",
                serde_json::json!({ "seq": 1, "hash": Hash::of(b"x").to_string() }),
            )
            .detail("by", "sink worm")
            .detail("why", "restored");
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let line = event
            .line_after(&chain::Head::default(), now)
            .expect("a line");
        let (name, _) = by.split_once(' ').expect("a host");
        let secret = ed25519_dalek::SigningKey::from_bytes(&Digest::of(by.as_bytes()).0);
        let key = NoteKey::new(name, secret.verifying_key()).expect("a name");
        let text = format!(
            "{HEADER}\norigin nobody\nseq 1\nhash {}\ntime 1970-01-01T00:00:00.000Z\n",
            Hash::of(&line)
        );
        EpochProof {
            line: String::from_utf8(line).expect("text"),
            note: note::sign(&text, &key, &secret).expect("signed"),
        }
    }
}
