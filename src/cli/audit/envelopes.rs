//! What the signed envelopes of a record prove: each is checked against the rosters, and the heads inside are witnesses.

use std::collections::BTreeSet;

use crate::{
    audit::{
        chain::{Hash, Head},
        note::NoteKey,
        verify::{EventView, Witness},
    },
    protocol::{Code, Problem},
    trust::{
        self, Digest, Document, Envelope, PublicKey, Verified,
        drill::Drill,
        enrollment::Enrollment,
        manifest::Manifest,
        receipt::Receipt,
        recovery::Record,
        request::{Approval, Denial, Offer, SealOffer, Withdrawal},
        roster::{Roster, verify_chain, verify_next},
    },
};

use super::{pages::Chains, receipts::Keys};

/// All versions of all rosters, each verified.
pub(super) struct Rosters {
    versions: Vec<Verified<Roster>>,
}

impl Rosters {
    /// Checks every chain.
    pub(super) fn verify(chains: &Chains) -> Result<Self, Problem> {
        let mut versions = Vec::new();
        for (vault, chain) in chains {
            let chain = verify_chain(chain)?;
            if chain.iter().any(|r| r.vault != *vault) {
                return Err(Problem::new(
                    Code::Tampering,
                    format!("the roster beside vault {vault} is for another vault"),
                ));
            }
            versions.extend(chain);
        }
        Ok(Self { versions })
    }

    /// The newest version of each vault.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Verified<Roster>> {
        self.versions.iter().filter(|r| {
            self.versions
                .iter()
                .all(|other| other.vault != r.vault || other.version <= r.version)
        })
    }

    /// The version with this digest.
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.version(digest).is_some()
    }

    fn version(&self, digest: &Digest) -> Option<&Verified<Roster>> {
        self.versions.iter().find(|r| r.digest() == *digest)
    }

    /// The keys whose checkpoints count. The name in a note is a label; agents use the host's name or its key id.
    pub(super) fn checkpoint_keys(&self) -> Vec<NoteKey> {
        let mut keys: Vec<NoteKey> = Vec::new();
        for host in self.versions.iter().flat_map(|r| &r.hosts) {
            let PublicKey::Ed25519(key) = &host.checkpoint_key else {
                continue;
            };
            for name in [host.name.clone(), host.key.id().to_string()] {
                match NoteKey::new(&name, *key) {
                    Ok(key) if !keys.contains(&key) => keys.push(key),
                    _ => {}
                }
            }
        }
        keys
    }

    fn all_approve_keys(&self) -> Vec<PublicKey> {
        self.versions
            .iter()
            .flat_map(|r| r.approve_keys())
            .collect()
    }

    fn all_host_keys(&self) -> Vec<PublicKey> {
        self.versions.iter().flat_map(|r| r.host_keys()).collect()
    }

    /// The approve keys of the version with this digest; none where it was not given.
    pub(super) fn approve_keys_of(&self, digest: &Digest) -> Vec<PublicKey> {
        self.version(digest)
            .map_or_else(Vec::new, |r| r.approve_keys())
    }

    /// Whose approve key this is, with the token's number.
    pub(super) fn owner(&self, key: &PublicKey) -> String {
        self.versions
            .iter()
            .find_map(|r| r.token_by_approve_key(key))
            .map_or_else(|| "a custodian".to_owned(), owner)
    }
}

/// Checks envelopes one by one, in the order of the record.
pub(super) struct Checker<'r> {
    rosters: &'r Rosters,
    /// Digests of the requests that a listed host has offered so far.
    offered: BTreeSet<Digest>,
    /// Which key each generation holds, by the manifests so far.
    keys: Keys,
}

impl<'r> Checker<'r> {
    pub(super) fn new(rosters: &'r Rosters) -> Self {
        Self {
            rosters,
            offered: BTreeSet::new(),
            keys: Keys::default(),
        }
    }

    /// Checks one envelope with the line that names it: what a receipt says has to be what the lines around it say.
    pub(super) fn check_event(&mut self, view: &EventView<'_>) -> Result<Option<Witness>, String> {
        let witness = self.check(view.envelope)?;
        let envelope = Envelope::parse(view.envelope).map_err(|why| why.to_string())?;
        match envelope.payload_type.as_str() {
            t if t == Manifest::PAYLOAD_TYPE => {
                let manifest = envelope.unverified::<Manifest>().map_err(text)?;
                self.keys.take(view.head.seq, envelope.digest(), manifest);
            }
            t if t == Receipt::PAYLOAD_TYPE => {
                let hosts = self.rosters.all_host_keys();
                let signed = envelope.verify::<Receipt>(&hosts, "a listed host");
                let (receipt, signer) = signed.map_err(text)?;
                if receipt.host != signer.id() {
                    return Err("the receipt names another host than signed it".to_owned());
                }
                self.keys.check(view, &receipt)?;
            }
            _ => {}
        }
        Ok(witness)
    }

    /// Checks one envelope as it stands in the record. `Ok(Some)` names a head that its signer vouches for.
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<Option<Witness>, String> {
        let envelope = Envelope::parse(bytes).map_err(|why| why.to_string())?;
        match envelope.payload_type.as_str() {
            t if t == Offer::PAYLOAD_TYPE => self.offer(&envelope),
            t if t == Approval::PAYLOAD_TYPE => self.approval(&envelope),
            t if t == Manifest::PAYLOAD_TYPE => self.manifest(&envelope),
            t if t == Roster::PAYLOAD_TYPE => self.roster(&envelope),
            t if t == Denial::PAYLOAD_TYPE => self.by_custodian::<Denial>(&envelope),
            t if t == Withdrawal::PAYLOAD_TYPE => self.by_custodian::<Withdrawal>(&envelope),
            t if t == Drill::PAYLOAD_TYPE => self.drill(&envelope),
            t if t == Record::PAYLOAD_TYPE => self.recovery(&envelope),
            t if t == Receipt::PAYLOAD_TYPE => self.by_host::<Receipt>(&envelope),
            t if t == SealOffer::PAYLOAD_TYPE => self.by_host::<SealOffer>(&envelope),
            t if t == Enrollment::PAYLOAD_TYPE => Enrollment::verify(&envelope)
                .map(|_| None)
                .map_err(|why| why.to_string()),
            other => Err(format!(
                "its type is not known: {}",
                crate::cli::ui::plain(other)
            )),
        }
    }

    fn offer(&mut self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let named = envelope
            .unverified::<Offer>()
            .map_err(text)?
            .0
            .roster_sha256;
        let roster = self.rosters.version(&named).ok_or_else(no_roster)?;
        let offer = Offer::verify(envelope, roster).map_err(text)?;
        self.offered.insert(offer.digest());
        let host = roster
            .host(offer.0.host)
            .map_or("a host", |h| h.name.as_str());
        Ok(Some(witness(offer.0.audit, format!("host {host}"))))
    }

    fn approval(&mut self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let claimed = envelope.unverified::<Approval>().map_err(text)?;
        let roster = self
            .rosters
            .version(&claimed.0.roster_sha256)
            .ok_or_else(no_roster)?;
        let keys = roster.approve_keys();
        let (approval, signer) = envelope
            .verify::<Approval>(&keys, "a custodian of the roster")
            .map_err(text)?;
        if !self.offered.contains(&approval.digest()) {
            return Err("it approves a request that no host has offered before".to_owned());
        }
        let token = roster.token_by_approve_key(signer).ok_or_else(no_roster)?;
        Ok(Some(witness(approval.0.audit, owner(token))))
    }

    fn manifest(&self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let named = envelope
            .unverified::<Manifest>()
            .map_err(text)?
            .roster_sha256;
        let roster = self.rosters.version(&named).ok_or_else(no_roster)?;
        let manifest = Manifest::verify(envelope, roster).map_err(text)?;
        let host = roster
            .host(manifest.host)
            .map_or("a host", |h| h.name.as_str());
        Ok(Some(witness(manifest.audit, format!("host {host}"))))
    }

    /// One of the versions that count or counted, or one that was handed in as the next to one of them and never came to count.
    fn roster(&self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let handed_in = || {
            let mut versions = self.rosters.versions.iter();
            versions.any(|before| verify_next(before, envelope).is_ok())
        };
        if self.rosters.contains(&envelope.digest()) || handed_in() {
            Ok(None)
        } else {
            Err("it is none of the rosters that were given".to_owned())
        }
    }

    fn by_custodian<D: Document>(&self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let keys = self.rosters.all_approve_keys();
        envelope.verify::<D>(&keys, "a custodian").map_err(text)?;
        Ok(None)
    }

    fn drill(&self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let keys = self.rosters.all_approve_keys();
        let signed = envelope.verify::<Drill>(&keys, "a custodian");
        let (drill, signer) = signed.map_err(text)?;
        let rosters = self.rosters.versions.iter();
        let own = rosters
            .filter_map(|roster| roster.token_by_approve_key(signer))
            .any(|token| token.person == drill.custodian && token.serial == drill.serial);
        match own {
            true => Ok(None),
            false => Err("the drill names another token than signed it".to_owned()),
        }
    }

    fn recovery(&self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let record = envelope.unverified::<Record>().map_err(text)?;
        let roster = self.rosters.version(&record.roster_sha256);
        let roster = roster.ok_or("the recovery is of a roster that is not here")?;
        Record::verify(envelope, roster).map_err(text)?;
        Ok(None)
    }

    fn by_host<D: Document>(&self, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let keys = self.rosters.all_host_keys();
        envelope.verify::<D>(&keys, "a listed host").map_err(text)?;
        Ok(None)
    }
}

/// A head of ours in the record's own type.
pub(super) fn head(head: trust::Head) -> Head {
    Head {
        seq: head.seq,
        hash: Hash::from_bytes(head.hash.0),
    }
}

fn owner(token: &trust::roster::Token) -> String {
    format!("{} (token {})", token.person, token.serial)
}

fn witness(seen: trust::Head, by: String) -> Witness {
    Witness {
        head: head(seen),
        by,
    }
}

fn text(why: trust::TrustError) -> String {
    why.to_string()
}

fn no_roster() -> String {
    "the roster that it names was not given".to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::trust::tests::people::{self, SoftToken};

    pub(crate) fn rosters(alice: &SoftToken, bob: &SoftToken) -> (Rosters, Verified<Roster>) {
        let envelope = people::signed(&people::roster(2, &[alice, bob]), &[alice, bob]);
        let roster = people::newest(std::slice::from_ref(&envelope));
        let chains = Chains::from([("prod".to_owned(), vec![envelope])]);
        (Rosters::verify(&chains).expect("a good chain"), roster)
    }

    fn offer(roster: &Verified<Roster>) -> Envelope {
        let manifest = people::manifest(roster, 1);
        let manifest = Envelope::signed(&manifest, &people::host()).expect("signed");
        let mut request = crate::cli::tests::sample_request();
        let access = roster.access("admin").expect("listed");
        request.host = roster.hosts[0].key.id();
        request.role = access.role_arn.clone();
        request.account = access.account.clone();
        request.regions = access.regions.clone();
        request.roster_sha256 = roster.digest();
        request.manifest_sha256 = manifest.digest();
        Envelope::signed(&Offer(request), &people::host()).expect("signed")
    }

    #[test]
    fn custodians_and_hosts_vouch_for_the_head_that_they_signed() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let offer = offer(&roster);
        let mut approval = offer.repurposed::<Approval>();
        approval.sign(&alice);
        let mut checker = Checker::new(&rosters);

        // An approval of what nobody offered proves nothing.
        let early = checker.check(approval.to_json().as_bytes());
        assert!(early.is_err_and(|why| why.contains("offered")));

        let by_host = checker
            .check(offer.to_json().as_bytes())
            .expect("good")
            .expect("a head");
        assert_eq!(
            (by_host.head.seq, by_host.by.as_str()),
            (41, "host vault-1")
        );
        let by_alice = checker
            .check(approval.to_json().as_bytes())
            .expect("good")
            .expect("a head");
        assert_eq!(by_alice.by, format!("alice (token {})", alice.serial));
        assert_eq!(by_alice.head, by_host.head);
    }

    #[test]
    fn a_signature_by_the_wrong_side_is_bad() {
        let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let mut checker = Checker::new(&rosters);
        let offer = offer(&roster);
        assert!(checker.check(offer.to_json().as_bytes()).is_ok());

        let mut forged = offer.repurposed::<Approval>();
        forged.sign(&mallory);
        let mut by_host = offer.repurposed::<Approval>();
        by_host.sign(&people::host());
        let mut by_custodian = offer.clone();
        by_custodian.signatures.clear();
        by_custodian.sign(&alice);
        let denial = Denial {
            v: 1,
            request_sha256: offer.digest(),
            reason: "no".to_owned(),
        };
        let denial = Envelope::signed(&denial, &people::host()).expect("signed");
        for bad in [forged, by_host, by_custodian, denial] {
            assert!(
                checker.check(bad.to_json().as_bytes()).is_err(),
                "{}",
                bad.payload_type
            );
        }
        assert!(checker.check(b"{}").is_err());
    }

    #[test]
    fn a_roster_that_was_handed_in_and_never_counted_is_still_rightly_signed() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let mut checker = Checker::new(&rosters);
        let mut next = people::next(&roster);
        next.accept_risk.push("YSA-2024-03".to_owned());
        let good = people::signed(&next, &[&alice, &bob]);
        assert!(checker.check(good.to_json().as_bytes()).is_ok());
        let by_one = people::signed(&next, &[&alice]);
        next.previous = Some(Digest([7; 32]));
        let rival = people::signed(&next, &[&alice, &bob]);
        for bad in [by_one, rival] {
            assert!(checker.check(bad.to_json().as_bytes()).is_err());
        }
    }

    #[test]
    fn a_withdrawal_is_a_custodians_and_nobody_elses() {
        let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let withdrawal = Withdrawal {
            v: 1,
            request_sha256: offer(&roster).digest(),
        };
        let mut checker = Checker::new(&rosters);
        let by = |token: &SoftToken| Envelope::signed(&withdrawal, token).expect("signed");
        assert!(checker.check(by(&bob).to_json().as_bytes()).is_ok());
        assert!(checker.check(by(&mallory).to_json().as_bytes()).is_err());
    }

    #[test]
    fn checkpoints_count_by_the_keys_of_the_roster() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (rosters, _) = rosters(&alice, &bob);
        let keys = rosters.checkpoint_keys();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].name(), "vault-1");
    }
}
