//! What receipts say, held against the lines around them: a signature alone shows that a host said it.
//!
//! A rotation's receipt has to name the generation that the record has as sealed, with the key that it holds; and as the old key the one
//! that the generation before held. So each key of the chain is put in by one receipt and taken out by the next.

use std::collections::BTreeMap;

use super::plain;
use crate::{
    audit::{
        event::{EventType, Record},
        verify::EventView,
    },
    trust::{
        Digest,
        manifest::Manifest,
        receipt::{Outcome, Receipt},
    },
};

/// The generations that the record has had so far, by their manifests' digests.
#[derive(Default)]
pub(super) struct Keys {
    sealed: BTreeMap<Digest, Sealed>,
}

/// One of them.
struct Sealed {
    /// The line that named it first.
    seq: u64,
    manifest: Manifest,
}

impl Keys {
    /// Takes up a manifest whose signature holds.
    pub(super) fn take(&mut self, seq: u64, digest: Digest, manifest: Manifest) {
        self.sealed
            .entry(digest)
            .or_insert(Sealed { seq, manifest });
    }

    /// Whether a receipt whose signature holds fits its line and those before it. The error says which does not.
    pub(super) fn check(&self, view: &EventView<'_>, receipt: &Receipt) -> Result<(), String> {
        let record = view.record;
        let said = |key: &str| record.what.get(key).and_then(|v| v.as_str());
        if said("vault").is_some_and(|vault| vault != receipt.vault) {
            return Err(format!(
                "the receipt is for vault {}",
                plain(&receipt.vault)
            ));
        }
        if record.correlation_id != receipt.request {
            let of = receipt.request.as_deref().unwrap_or("no request");
            return Err(format!("the receipt is of {}", plain(of)));
        }
        match &receipt.outcome {
            Outcome::Rotated { .. } => {
                fits(record, EventType::CredentialRotated)?;
                self.rotated(view, receipt)
            }
            Outcome::Revoked { .. } => fits(record, EventType::SessionRevoked),
            Outcome::SecretRotated {
                secret, version, ..
            } => {
                fits(record, EventType::SecretRotated)?;
                let same = said("secret") == Some(secret.as_str())
                    && said("version") == Some(version.as_str());
                match same {
                    true => Ok(()),
                    false => Err(format!(
                        "the receipt is of version {} of {}, and the line is not",
                        plain(version),
                        plain(secret)
                    )),
                }
            }
        }
    }

    fn rotated(&self, view: &EventView<'_>, receipt: &Receipt) -> Result<(), String> {
        let Outcome::Rotated {
            old_access_key_id,
            new_access_key_id,
            generation,
            manifest_sha256,
            previous_manifest_sha256,
            ..
        } = &receipt.outcome
        else {
            return Ok(());
        };
        if old_access_key_id == new_access_key_id {
            return Err("the receipt has one key as the old and the new one".to_owned());
        }
        let Some(new) = self.sealed.get(manifest_sha256) else {
            // What was not given cannot be held against it.
            return match view.missing {
                0 => Err(format!(
                    "the receipt names a manifest of generation {generation} that no line before it has"
                )),
                _ => Ok(()),
            };
        };
        let manifest = &new.manifest;
        if (&manifest.vault, manifest.generation) != (&receipt.vault, *generation) {
            return Err(format!(
                "the receipt is of generation {generation}, and the manifest that it names, of event {}, of generation {}",
                new.seq, manifest.generation
            ));
        }
        if manifest.access_key_id != *new_access_key_id {
            return Err(format!(
                "the receipt has {} as the new key, and generation {generation} of event {} holds {}",
                plain(new_access_key_id),
                new.seq,
                plain(&manifest.access_key_id)
            ));
        }
        if previous_manifest_sha256.is_some() && *previous_manifest_sha256 != manifest.previous {
            return Err(format!(
                "the receipt names another manifest as the one before than generation {generation} of event {} does",
                new.seq
            ));
        }
        // One that came from another host's hands, by a place that keeps copies, has no manifest in this record.
        let Some(old) = manifest
            .previous
            .and_then(|digest| self.sealed.get(&digest))
        else {
            return Ok(());
        };
        if old.manifest.access_key_id != *old_access_key_id {
            return Err(format!(
                "the receipt has {} as the old key, and generation {} of event {} held {}",
                plain(old_access_key_id),
                old.manifest.generation,
                old.seq,
                plain(&old.manifest.access_key_id)
            ));
        }
        Ok(())
    }
}

/// Whether the line is of the kind that such a receipt belongs to.
fn fits(record: &Record, kind: EventType) -> Result<(), String> {
    if record.event_type == kind.name() {
        return Ok(());
    }
    Err(format!(
        "the receipt belongs to an event {}, not {}",
        kind.name(),
        plain(&record.event_type)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{
            chain::{Hash, Head},
            event::EnvelopeRef,
            signed::checker::{Checker, tests::rosters},
        },
        trust::{
            Envelope, Timestamp,
            receipt::{Proof, ProvenBy},
            tests::people::{self, SoftToken},
        },
    };

    const REQUEST: &str = "r-aaaaaaaaaaaaa";

    /// A line that names an envelope.
    fn line(seq: u64, kind: &str, what: serde_json::Value, envelope: &Envelope) -> Record {
        let sha256 = Hash::of(envelope.to_json().as_bytes());
        let json = serde_json::json!({
            "v": 1, "seq": seq, "prev": Hash::ZERO, "event_type": kind, "correlation_id": REQUEST, "incident_id": null,
            "actor": "agent", "action": "rotate", "justification": null, "timestamp": "2026-01-06T10:00:00.000Z", "who": null,
            "where": {"host": null, "region": null, "ip": null}, "what": what,
            "envelopes": [{"kind": "receipt", "sha256": sha256}],
        });
        serde_json::from_value(json).expect("a line")
    }

    fn look(
        checker: &mut Checker<'_>,
        line: &Record,
        envelope: &Envelope,
        missing: u64,
    ) -> Result<(), String> {
        let json = envelope.to_json();
        let reference: &EnvelopeRef = &line.envelopes[0];
        let view = EventView {
            head: Head {
                seq: line.seq,
                hash: Hash::ZERO,
            },
            record: line,
            line: b"",
            reference,
            envelope: json.as_bytes(),
            missing,
        };
        checker.check_event(&view).map(drop)
    }

    fn rotated(manifests: &[Manifest; 2], digests: [Digest; 2]) -> Receipt {
        let proof = Proof {
            at: Timestamp(0),
            aws_request_id: None,
            aws_date: None,
        };
        Receipt {
            v: 1,
            vault: "prod".to_owned(),
            request: Some(REQUEST.to_owned()),
            host: manifests[1].host,
            outcome: Outcome::Rotated {
                old_access_key_id: manifests[0].access_key_id.clone(),
                new_access_key_id: manifests[1].access_key_id.clone(),
                generation: 2,
                manifest_sha256: digests[1],
                previous_manifest_sha256: Some(digests[0]),
                new_key_worked: proof.clone(),
                counts_since: Timestamp(0),
                old_key_refused: proof.clone(),
                proven_by: ProvenBy::Itself,
                old_key_deleted: Some(proof),
            },
            steps: Vec::new(),
        }
    }

    /// What a forger changes: the receipt, and the line.
    type Change = fn(&mut Receipt, &mut Record);

    #[test]
    fn a_rotations_receipt_fits_the_generations_around_it_or_its_line_is_named() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let mut first = people::manifest(&roster, 1);
        first.access_key_id = "AKIA0000000000000001".to_owned();
        let one = Envelope::signed(&first, &people::host()).expect("signed");
        let mut second = people::manifest(&roster, 2);
        second.access_key_id = "AKIA0000000000000002".to_owned();
        second.previous = Some(one.digest());
        let two = Envelope::signed(&second, &people::host()).expect("signed");
        let manifests = [first, second];
        let good = rotated(&manifests, [one.digest(), two.digest()]);
        let of = |receipt: &Receipt| Envelope::signed(receipt, &people::host()).expect("signed");
        let what = serde_json::json!({"vault": "prod"});

        let told = |missing: u64, manifests: &[(u64, &Envelope)], change: Change| {
            let mut checker = Checker::new(&rosters);
            for (seq, manifest) in manifests {
                let line = line(*seq, "VAULT_SEALED", what.clone(), manifest);
                look(&mut checker, &line, manifest, 0).expect("a good manifest");
            }
            let mut receipt = good.clone();
            let mut at = line(9, "CREDENTIAL_ROTATED", what.clone(), &of(&receipt));
            change(&mut receipt, &mut at);
            look(&mut checker, &at, &of(&receipt), missing)
        };
        let both = [(4, &one), (7, &two)];
        told(0, &both, |_, _| {}).expect("it fits");

        macro_rules! outcome {
            ($field:ident = $value:expr) => {
                |r: &mut Receipt, _: &mut Record| {
                    if let Outcome::Rotated { $field, .. } = &mut r.outcome {
                        *$field = $value;
                    }
                }
            };
        }
        let bad: [(&str, Change); 9] = [
            (
                "generation 1 of event 4 held AKIA0000000000000001",
                outcome!(old_access_key_id = "AKIAOTHER".into()),
            ),
            (
                "of event 7 holds AKIA0000000000000002",
                outcome!(new_access_key_id = "AKIAOTHER".into()),
            ),
            (
                "one key as the old and the new",
                outcome!(old_access_key_id = "AKIA0000000000000002".into()),
            ),
            ("of event 7, of generation 2", outcome!(generation = 3)),
            (
                "no line before it has",
                outcome!(manifest_sha256 = Digest([7; 32])),
            ),
            (
                "another manifest as the one before",
                outcome!(previous_manifest_sha256 = Some(Digest([7; 32]))),
            ),
            ("for vault other", |r, _| r.vault = "other".to_owned()),
            ("is of no request", |r, _| r.request = None),
            ("belongs to an event CREDENTIAL_ROTATED", |_, at| {
                at.event_type = "ROTATION_STEP".to_owned()
            }),
        ];
        for (why, change) in bad {
            let said = told(0, &both, change).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
        // A manifest that was not given is held against nobody; one that was never there is.
        told(1, &[(4, &one)], |_, _| {}).expect("nothing to compare with");
        let said = told(0, &[(4, &one)], |_, _| {}).expect_err("no manifest");
        assert!(said.contains("no line before it has"), "{said}");
        // A generation that another host has sealed stands in that host's record.
        told(0, &[(7, &two)], |_, _| {}).expect("its predecessor is not of this record");
    }

    #[test]
    fn a_secrets_receipt_is_of_the_version_that_its_line_names() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let receipt = Receipt {
            v: 1,
            vault: "prod".to_owned(),
            request: Some(REQUEST.to_owned()),
            host: roster.hosts[0].key.id(),
            outcome: Outcome::SecretRotated {
                secret: "arn:db".to_owned(),
                version: "v2".to_owned(),
                previous: None,
                setter: None,
            },
            steps: Vec::new(),
        };
        let envelope = Envelope::signed(&receipt, &people::host()).expect("signed");
        for (version, good) in [("v2", true), ("v3", false)] {
            let what = serde_json::json!({"vault": "prod", "secret": "arn:db", "version": version});
            let line = line(3, "SECRET_ROTATED", what, &envelope);
            let mut checker = Checker::new(&rosters);
            assert_eq!(
                look(&mut checker, &line, &envelope, 0).is_ok(),
                good,
                "{version}"
            );
        }
        let what = serde_json::json!({"vault": "prod", "secret": "arn:db", "version": "v2"});
        let line = line(3, "SESSION_REVOKED", what, &envelope);
        assert!(look(&mut Checker::new(&rosters), &line, &envelope, 0).is_err());
    }
}
