//! Each signed envelope against the rosters, and against the line that names it.

use super::{Rosters, openings::Openings, owner, plain, receipts::Keys};
use crate::{
    audit::{
        chain::{Hash, Head},
        event::{EventType, Record as Line},
        verify::{EventView, Witness},
    },
    trust::{
        self, Document, Envelope, PublicKey, Timestamp,
        drill::Drill,
        enrollment::Enrollment,
        manifest::Manifest,
        receipt::Receipt,
        recovery::Record,
        request::{Approval, Denial, Offer, SealOffer, Withdrawal},
        roster::{Roster, Token, verify_next},
    },
};

/// Checks envelopes one by one, in the order of the record.
pub struct Checker<'r> {
    rosters: &'r Rosters,
    /// The requests that a listed host has offered so far, and what became of them.
    openings: Openings,
    /// Which key each generation holds, by the manifests so far.
    keys: Keys,
}

impl<'r> Checker<'r> {
    /// One that has seen no envelope yet.
    pub fn new(rosters: &'r Rosters) -> Self {
        Self {
            rosters,
            openings: Openings::default(),
            keys: Keys::default(),
        }
    }

    /// Checks one envelope with the line that names it: both have to say the same.
    pub fn check_event(&mut self, view: &EventView<'_>) -> Result<Option<Witness>, String> {
        let envelope = Envelope::parse(view.envelope).map_err(|why| why.to_string())?;
        let witness = self.take(view.head.seq, &envelope)?;
        let line = view.record;
        match envelope.payload_type.as_str() {
            t if t == Offer::PAYLOAD_TYPE => {
                let request = envelope.unverified::<Offer>().map_err(text)?.0;
                of_request(line, &request.id)?;
                by(line, &request.operator)?;
                same("incident", line.incident_id.as_deref(), &request.incident)?;
                belongs(line, &[EventType::BreakGlassRequested])?;
            }
            t if t == Approval::PAYLOAD_TYPE => {
                belongs(line, &[EventType::BreakGlassApproved])?;
                let request = envelope.unverified::<Approval>().map_err(text)?.0;
                of_request(line, &request.id)?;
                let keys = self.rosters.approve_keys_of(&request.roster_sha256);
                let person = self.signer(&envelope, &keys)?.person;
                by(line, &person)?;
                self.openings.approve(&envelope.digest(), &person);
            }
            t if t == Denial::PAYLOAD_TYPE => {
                belongs(line, &[EventType::BreakGlassDenied])?;
                let denial = envelope.unverified::<Denial>().map_err(text)?;
                self.vote(line, &envelope, &denial.request_sha256)?;
            }
            t if t == Withdrawal::PAYLOAD_TYPE => {
                belongs(line, &[EventType::BreakGlassWithdrawn])?;
                let withdrawal = envelope.unverified::<Withdrawal>().map_err(text)?;
                let person = self.vote(line, &envelope, &withdrawal.request_sha256)?;
                self.openings.withdraw(&withdrawal.request_sha256, &person);
            }
            t if t == Manifest::PAYLOAD_TYPE => {
                let manifest = envelope.unverified::<Manifest>().map_err(text)?;
                same("vault", said(line, "vault"), &manifest.vault)?;
                self.keys.take(view.head.seq, envelope.digest(), manifest);
            }
            t if t == Roster::PAYLOAD_TYPE => {
                let roster = envelope.unverified::<Roster>().map_err(text)?;
                same("vault", said(line, "vault"), &roster.vault)?;
                let counts = [EventType::RosterSigned, EventType::RosterChanged];
                if counts.iter().any(|kind| kind.name() == line.event_type) {
                    if !self.rosters.contains(&envelope.digest()) {
                        return Err("it is none of the rosters that were given".to_owned());
                    }
                    let (seq, digest) = (view.head.seq, envelope.digest());
                    self.openings
                        .counts(seq, &roster.vault, roster.version, digest);
                }
            }
            t if t == Drill::PAYLOAD_TYPE => belongs(line, &[EventType::DrillPassed])?,
            t if t == Record::PAYLOAD_TYPE => belongs(line, &[EventType::RecoveryUsed])?,
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

    /// Takes up an event that opens a session.
    pub fn opens(&mut self, record: &Line, missing: u64) {
        self.openings.open(record, missing);
    }

    /// What the events so far should show and do not.
    pub fn doubts(&self) -> Vec<super::Doubt> {
        self.openings.doubts(self.rosters)
    }

    /// Checks one envelope by itself. `Ok(Some)` names a head that its signer vouches for.
    pub fn check(&mut self, bytes: &[u8]) -> Result<Option<Witness>, String> {
        let envelope = Envelope::parse(bytes).map_err(|why| why.to_string())?;
        self.take(0, &envelope)
    }

    fn take(&mut self, seq: u64, envelope: &Envelope) -> Result<Option<Witness>, String> {
        match envelope.payload_type.as_str() {
            t if t == Offer::PAYLOAD_TYPE => self.offer(seq, envelope),
            t if t == Approval::PAYLOAD_TYPE => self.approval(envelope),
            t if t == Manifest::PAYLOAD_TYPE => self.manifest(envelope),
            t if t == Roster::PAYLOAD_TYPE => self.roster(envelope),
            t if t == Denial::PAYLOAD_TYPE => self.by_custodian::<Denial>(envelope),
            t if t == Withdrawal::PAYLOAD_TYPE => self.by_custodian::<Withdrawal>(envelope),
            t if t == Drill::PAYLOAD_TYPE => self.drill(envelope),
            t if t == Record::PAYLOAD_TYPE => self.recovery(envelope),
            t if t == Receipt::PAYLOAD_TYPE => self.by_host::<Receipt>(envelope),
            t if t == SealOffer::PAYLOAD_TYPE => self.by_host::<SealOffer>(envelope),
            t if t == Enrollment::PAYLOAD_TYPE => Enrollment::verify(envelope)
                .map(|_| None)
                .map_err(|why| why.to_string()),
            other => Err(format!("its type is not known: {}", plain(other))),
        }
    }

    fn offer(&mut self, seq: u64, envelope: &Envelope) -> Result<Option<Witness>, String> {
        let named = envelope
            .unverified::<Offer>()
            .map_err(text)?
            .0
            .roster_sha256;
        let roster = self.rosters.version(&named).ok_or_else(no_roster)?;
        let offer = Offer::verify(envelope, roster).map_err(text)?;
        self.openings.ask(seq, offer.digest(), &offer.0);
        let host = roster
            .host(offer.0.host)
            .map_or("a host", |h| h.name.as_str());
        let asked = offer.0.not_before;
        Ok(Some(witness(offer.0.audit, format!("host {host}"), asked)))
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
        let Some(asked) = self.openings.asked(&approval.digest()) else {
            return Err("it approves a request that no host has offered before".to_owned());
        };
        let token = roster.token_by_approve_key(signer).ok_or_else(no_roster)?;
        if token.person == asked.operator {
            return Err("its signer asked for the request".to_owned());
        }
        let asked = approval.0.not_before;
        Ok(Some(witness(approval.0.audit, owner(token), asked)))
    }

    /// A custodian's word on a request: of the roster that the request names, in a line that says so.
    fn vote(
        &self,
        line: &Line,
        envelope: &Envelope,
        request: &trust::Digest,
    ) -> Result<String, String> {
        let Some(asked) = self.openings.asked(request) else {
            return Err("it is about a request that no host has offered before".to_owned());
        };
        of_request(line, &asked.id)?;
        let keys = self.rosters.approve_keys_of(&asked.roster);
        let person = self.signer(envelope, &keys)?.person;
        by(line, &person)?;
        Ok(person)
    }

    /// Whose token of these keys signed it, whatever it is.
    fn signer(&self, envelope: &Envelope, keys: &[PublicKey]) -> Result<Token, String> {
        let signers = envelope.signers(keys);
        let mut rosters = self.rosters.all();
        signers
            .first()
            .and_then(|key| rosters.find_map(|r| r.token_by_approve_key(key)))
            .cloned()
            .ok_or_else(|| "no custodian of the roster of that time has signed it".to_owned())
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
        let (by, at) = (format!("host {host}"), manifest.created_at);
        Ok(Some(witness(manifest.audit, by, at)))
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
pub fn head(head: trust::Head) -> Head {
    Head {
        seq: head.seq,
        hash: Hash::from_bytes(head.hash.0),
    }
}

/// What a line says in a field of `what`.
pub(super) fn said<'l>(line: &'l Line, field: &str) -> Option<&'l str> {
    line.what.get(field)?.as_str()
}

/// Whether the line is of a kind that such an envelope belongs to.
fn belongs(line: &Line, kinds: &[EventType]) -> Result<(), String> {
    let fits = kinds.iter().any(|kind| kind.name() == line.event_type);
    match (fits, kinds.first()) {
        (false, Some(kind)) => Err(format!(
            "it belongs to an event {}, not {}",
            kind.name(),
            plain(&line.event_type)
        )),
        _ => Ok(()),
    }
}

fn of_request(line: &Line, id: &str) -> Result<(), String> {
    same("request", line.correlation_id.as_deref(), id)
}

fn by(line: &Line, person: &str) -> Result<(), String> {
    same("actor", Some(&line.actor), person)
}

/// Where the line says something it has to be what was signed.
fn same(what: &str, said: Option<&str>, signed: &str) -> Result<(), String> {
    match said {
        Some(said) if said != signed => Err(format!(
            "the line has {} as the {what}, and what was signed {}",
            plain(said),
            plain(signed)
        )),
        _ => Ok(()),
    }
}

fn witness(seen: trust::Head, by: String, at: Timestamp) -> Witness {
    Witness {
        head: head(seen),
        by,
        at: Some(at.to_string()),
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
    use super::super::Chains;
    use super::*;
    use crate::audit::hosts::Owner;
    use crate::trust::{
        Digest, Signer as _, Verified,
        tests::people::{self, SoftToken},
    };

    pub(crate) fn rosters(alice: &SoftToken, bob: &SoftToken) -> (Rosters, Verified<Roster>) {
        let envelope = people::signed(&people::roster(2, &[alice, bob]), &[alice, bob]);
        let roster = people::newest(std::slice::from_ref(&envelope));
        let chains = Chains::from([("prod".to_owned(), vec![envelope])]);
        (Rosters::verify(&chains).expect("a good chain"), roster)
    }

    fn offer(roster: &Verified<Roster>) -> Envelope {
        let manifest = people::manifest(roster, 1);
        let manifest = Envelope::signed(&manifest, &people::host()).expect("signed");
        let mut request = people::request(roster);
        request.audit.seq = 41;
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
        let [alice, bob, stranger] = ["alice", "bob", "stranger"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let mut checker = Checker::new(&rosters);
        let offer = offer(&roster);
        assert!(checker.check(offer.to_json().as_bytes()).is_ok());

        let mut forged = offer.repurposed::<Approval>();
        forged.sign(&stranger);
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
        let [alice, bob, stranger] = ["alice", "bob", "stranger"].map(SoftToken::new);
        let (rosters, roster) = rosters(&alice, &bob);
        let withdrawal = Withdrawal {
            v: 1,
            request_sha256: offer(&roster).digest(),
        };
        let mut checker = Checker::new(&rosters);
        let by = |token: &SoftToken| Envelope::signed(&withdrawal, token).expect("signed");
        assert!(checker.check(by(&bob).to_json().as_bytes()).is_ok());
        assert!(checker.check(by(&stranger).to_json().as_bytes()).is_err());
    }

    #[test]
    fn checkpoints_count_by_the_keys_of_the_roster() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let (rosters, _) = rosters(&alice, &bob);
        let keys = rosters.checkpoint_keys();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].name(), "vault-1");
        // The origin of that host's notes is its key id.
        let (hosts, id) = (rosters.hosts(), people::host().public().id());
        assert!(Owner::with_id(&hosts, &id.to_string()).is_some());
    }
}
