//! What a record proves, with files and public keys alone.
//!
//! The chain shows that lines fit together; it does not show that somebody did not write all of them anew, or cut off the end.
//! Heads that others hold do: signed checkpoints, heads inside envelopes that custodians' tokens signed, heads that a client
//! remembers. [`verify`] compares each with the chain and says up to which event the record is proven, by whom. What comes after is only the
//! host's word.

mod claims;
mod copies;
mod gaps;
mod histories;
mod lines;
mod lost;
mod report;
mod resets;

use std::io::{self, BufRead};

pub use self::copies::{Copy, Standing};
pub use self::gaps::Gap;
pub use self::lines::{Line, Lines};
pub use self::report::{Problem, Proof, Report, Source};
pub use self::resets::Reset;

use self::claims::{Claim, Given, open_checkpoint};
use self::gaps::Gaps;
use self::lines::{examine_all, kind, note_in};
use self::lost::Lost;
use self::resets::Resets;
use super::chain::{Fault, Hash, Head, Walk, Why};
use super::event::{EnvelopeRef, EventType, Record};
use super::hosts::{Hosts, Owner};
use super::note::NoteKey;

/// Lines that are read and examined together, before any of them is looked at; enough that threads are worth starting.
pub const READ_AHEAD: usize = 8192;

/// A head that somebody outside the record vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where the record stood.
    pub head: Head,
    /// Who says so: a person, a key's name, 'this client'.
    pub by: String,
    /// When, RFC 3339, as it is signed or remembered. Where that is not known no epoch can say that what was seen is lost.
    pub at: Option<String>,
}

/// An event with envelopes, as the callback sees it.
pub struct EventView<'a> {
    /// The line's hash and number.
    pub head: Head,
    /// The line's fields.
    pub record: &'a Record,
    /// The line, byte for byte.
    pub line: &'a [u8],
    /// How the line names the envelope.
    pub reference: &'a EnvelopeRef,
    /// The envelope's bytes; they fit the digest in the line.
    pub envelope: &'a [u8],
    /// How many envelopes that earlier lines name were not at hand.
    pub missing: u64,
}

/// What the caller brings. The default brings nothing.
#[derive(Default)]
pub struct Evidence<'a> {
    /// Public keys whose checkpoints count.
    pub keys: &'a [NoteKey],
    /// The hosts that rosters list: where they are given, a key counts for the record of its own host alone.
    pub hosts: Option<&'a Hosts>,
    /// Signed checkpoints held elsewhere.
    pub checkpoints: &'a [String],
    /// Heads held elsewhere, e.g. what a client has seen.
    pub held: &'a [Witness],
    /// Finds an envelope's bytes by digest.
    pub envelopes: Option<FindEnvelope<'a>>,
    /// Copies that others hold.
    pub copies: &'a [Copy],
    /// Is shown each event that opens a session, after the envelopes before it.
    pub opens: Option<LookAtOpening<'a>>,
}

/// Is shown an event that opens a session, and how many envelopes that lines up to there name were not at hand.
pub type LookAtOpening<'a> = &'a dyn Fn(&Record, u64);

/// Finds the bytes with this SHA-256, e.g. in a [`Folder`](super::folder::Folder).
pub type FindEnvelope<'a> = &'a dyn Fn(&Hash) -> Option<Vec<u8>>;

/// Checks one signed envelope: `Err` if it is bad, `Ok(Some)` if it attests a head, `Ok(None)` if it is good and attests none.
pub type EnvelopeCheck<'a> = &'a mut dyn FnMut(&EventView<'_>) -> Result<Option<Witness>, String>;

/// Verifies a whole record: JSON lines from event 1 on. An error is a failure to read; what is wrong with the record stands in the
/// report.
pub fn verify(
    lines: impl BufRead,
    evidence: &Evidence<'_>,
    check: EnvelopeCheck<'_>,
) -> io::Result<Report> {
    let mut given = Given::open(evidence);
    let mut run = Run {
        hashes: Vec::new(),
        report: Report::default(),
        claims: std::mem::take(&mut given.claims),
        resets: Resets::default(),
        gaps: Gaps::default(),
        owner: Owner::new(evidence.hosts),
        evidence,
    };
    let mut last = Vec::new();
    run.report.problems = given.problems;
    run.report.checkpoints_unknown = given.unknown;

    let mut walk = Walk::after(Head::default());
    let mut source = Lines::of(lines);
    let mut broken = false;
    'blocks: loop {
        let mut block = source.block(READ_AHEAD)?;
        if block.is_empty() {
            break;
        }
        let examined = examine_all(&block);
        for (i, (line, seen)) in block.iter().zip(&examined).enumerate() {
            if walk.step(seen) {
                run.take(walk.head(), line, check);
                continue;
            }
            let mut failed = None;
            let here = examined[i + 1..].iter().copied();
            let later = std::iter::from_fn(|| match source.line() {
                Ok(line) => line.map(|line| line.examine()),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            });
            let known = |seq| {
                run.claims
                    .iter()
                    .find(|c| c.witness.head.seq == seq && c.is_owners(&run.owner).is_ok())
                    .map(|c| c.witness.head.hash)
            };
            let fault = walk.diagnose(seen, here.chain(later), known);
            if let Some(error) = failed {
                return Err(error);
            }
            run.break_at(fault);
            broken = true;
            break 'blocks;
        }
        last = block.pop().map(|line| line.bytes).unwrap_or_default();
    }
    Ok(run.conclude(broken, &last))
}

struct Run<'e> {
    /// The hash of each event, by number less one: witnesses may name any.
    hashes: Vec<Hash>,
    report: Report,
    claims: Vec<Claim>,
    resets: Resets,
    gaps: Gaps,
    /// Whose record it is.
    owner: Owner<'e>,
    evidence: &'e Evidence<'e>,
}

impl Run<'_> {
    /// Takes an event that follows: looks at the notes and envelopes that it carries.
    fn take(&mut self, head: Head, line: &Line, check: EnvelopeCheck<'_>) {
        self.hashes.push(head.hash);
        if line.bytes.ends_with(b"]}") {
            match Record::parse(&line.bytes) {
                Ok(record) => self.check_envelopes(head, &record, &line.bytes, check),
                Err(error) => self.problem(Problem::Envelope {
                    seq: head.seq,
                    why: error.to_string(),
                }),
            }
        }
        let kind = kind(&line.bytes);
        let is = |event: EventType| kind == event.name().as_bytes();
        // These say which host writes from there on.
        if (head.seq == 1 || is(EventType::AgentStarted) || is(EventType::StoreReset))
            && let Ok(record) = Record::parse(&line.bytes)
        {
            if let Some(host) = &record.place.host {
                self.owner.named(host);
            }
            if is(EventType::AgentStarted) {
                self.gaps.started(&record);
            }
        }
        let waiting = self.resets.waiting();
        let mut signer = None;
        if let Some(note) = note_in(&line.bytes) {
            let opened = open_checkpoint(&note, self.evidence.keys, Some(head.seq));
            let opened = opened.map_err(|why| why.to_string()).and_then(|mut claim| {
                if let Some((checkpoint, key)) = claim.as_mut().and_then(|c| c.signed.take()) {
                    self.owner.take(&checkpoint, &key)?;
                }
                Ok(claim)
            });
            match opened {
                Ok(Some(claim)) => {
                    self.gaps
                        .checkpoint(head.seq, claim.time.as_deref().unwrap_or_default());
                    if Some(claim.witness.head.seq) == waiting {
                        signer = Some(self.claims.len());
                    }
                    self.claims.push(claim);
                }
                Ok(None) => self.report.checkpoints_unknown += 1,
                Err(why) => self.problem(Problem::Checkpoint { seq: head.seq, why }),
            }
        }
        if let Some(seq) = waiting {
            self.epoch(seq, signer);
        }
        if is(EventType::StoreReset) {
            let before = &self.hashes[..self.hashes.len() - 1];
            if let Err(why) = self.resets.take(head, &line.bytes, before) {
                self.problem(Problem::Epoch { seq: head.seq, why });
            }
        }
        if let Some(look) = self.evidence.opens
            && (is(EventType::MintIntent) || is(EventType::BreakGlassAccess))
            && let Ok(record) = Record::parse(&line.bytes)
        {
            look(&record, self.report.envelopes_missing);
        }
    }

    /// What came right after an event that begins an epoch: its signature, or none.
    fn epoch(&mut self, seq: u64, signer: Option<usize>) {
        if signer.is_none() && !self.evidence.keys.is_empty() {
            let why = "no listed key has signed it right after".to_owned();
            self.problem(Problem::Epoch { seq, why });
        }
        self.resets.signed(signer.and_then(|n| self.claims.get(n)));
    }

    fn check_envelopes(
        &mut self,
        head: Head,
        record: &Record,
        line: &[u8],
        check: EnvelopeCheck<'_>,
    ) {
        for reference in &record.envelopes {
            let Some(envelope) = self
                .evidence
                .envelopes
                .and_then(|find| find(&reference.sha256))
            else {
                self.report.envelopes_missing += 1;
                continue;
            };
            self.report.envelopes_checked += 1;
            if Hash::of(&envelope) != reference.sha256 {
                let why = format!("the {} is not the one that the line names", reference.kind);
                self.problem(Problem::Envelope { seq: head.seq, why });
                continue;
            }
            match check(&EventView {
                head,
                record,
                line,
                reference,
                envelope: &envelope,
                missing: self.report.envelopes_missing,
            }) {
                Ok(None) => {}
                Ok(Some(witness)) => self.claims.push(Claim {
                    witness,
                    source: Source::Envelope,
                    time: Some(record.timestamp.clone()),
                    carrier: Some(head.seq),
                    signed: None,
                    key: None,
                }),
                Err(why) => self.problem(Problem::Envelope { seq: head.seq, why }),
            }
        }
    }

    /// The chain breaks: what stands before the bad event still counts.
    fn break_at(&mut self, fault: Fault) {
        let good = usize::try_from(fault.seq.saturating_sub(1)).unwrap_or(usize::MAX);
        // A duplicate names an event that is good itself.
        if fault.why != Why::Duplicated {
            self.hashes.truncate(good);
        }
        self.problem(Problem::Chain(fault));
    }

    fn conclude(mut self, broken: bool, last: &[u8]) -> Report {
        let end = self.hashes.len() as u64;
        if let Some(seq) = self.resets.waiting() {
            self.epoch(seq, None);
        }
        if !broken {
            self.report.gaps = std::mem::take(&mut self.gaps).end(last);
        }
        self.compare_copies(broken);
        for claim in std::mem::take(&mut self.claims) {
            match claim.is_owners(&self.owner) {
                Ok(()) => self.weigh(claim, broken),
                Err(why) => self.problem(Problem::Checkpoint { seq: 0, why }),
            }
        }
        self.report.events = end;
        self.report.head = Head {
            seq: end,
            hash: self.hashes.last().copied().unwrap_or_default(),
        };
        self.report.resets = self.resets.found(&self.owner);
        self.report.proofs.sort_by_key(|p| std::cmp::Reverse(p.seq));
        self.report.problems.sort_by_key(Problem::seq);
        self.report
    }

    /// Holds a claim against the chain.
    fn weigh(&mut self, claim: Claim, broken: bool) {
        let Head { seq, hash } = claim.witness.head;
        let by = claim.witness.by.clone();
        let found = match seq {
            0 => Some(Hash::ZERO),
            _ => usize::try_from(seq - 1)
                .ok()
                .and_then(|i| self.hashes.get(i))
                .copied(),
        };
        // What was written before the store was lost stands in no chain any more, and what is caught up of it names its heads.
        if found != Some(hash) && self.resets.excuse(&claim, &self.owner) {
            return;
        }
        // What an event says of itself or of later ones was not seen by anybody.
        if claim.carrier.is_some_and(|carrier| seq >= carrier) {
            let (carrier, why) = (
                claim.carrier.unwrap_or(0),
                "it names a head that did not exist yet".to_owned(),
            );
            return self.problem(match claim.source {
                Source::Checkpoint => Problem::Checkpoint { seq: carrier, why },
                _ => Problem::Envelope { seq: carrier, why },
            });
        }
        // Whose word does not count any more does not count against the record either; it is said whose it is.
        let counts = claim.signed.as_ref().map_or(Ok(()), |(checkpoint, key)| {
            self.owner.still_counts(checkpoint, key)
        });
        match (found, counts) {
            (None, _) if broken => {}
            (Some(found), Err(why)) if found == hash => {
                self.problem(Problem::Checkpoint { seq: 0, why });
            }
            (_, Err(why)) => self.problem(Problem::Checkpoint {
                seq: 0,
                why: format!(
                    "{why}; the record does not have the event {seq} that it names, which is a thief's or was lost as the host was replaced"
                ),
            }),
            (Some(found), Ok(())) if found == hash => self.prove(Proof {
                seq,
                by,
                source: claim.source,
                time: claim.time,
            }),
            (Some(_), Ok(())) => self.problem(Problem::Rewritten { seq, by }),
            (None, Ok(())) => self.problem(Problem::Truncated {
                seq: self.hashes.len() as u64 + 1,
                held: seq,
                by,
            }),
        }
    }

    /// Holds what others keep against the chain; signed heads of events that the chain does not have become claims.
    fn compare_copies(&mut self, broken: bool) {
        let copies = self.evidence.copies;
        let resets = self.resets.signed_ones();
        let lost: Vec<Lost> = resets.map(|reset| Lost::of(reset, copies)).collect();
        for copy in copies {
            let compared = copy.compare(&self.hashes, &lost);
            let by = compared.standing.name.clone();
            for (note, lost) in compared.notes {
                match open_checkpoint(note, self.evidence.keys, None) {
                    Ok(Some(claim)) if claim.is_owners(&self.owner).is_ok() => {
                        self.claims.push(claim);
                    }
                    // An epoch of this record loses nothing of another host's. The line that carries it differs otherwise, and is named.
                    Ok(Some(claim)) if lost => {
                        let whose = claim.key.map_or(Ok(()), |key| self.owner.is_of_it(key));
                        if let Err(why) = whose {
                            let why =
                                format!("{why}; {by} has it among what an epoch says was lost");
                            self.problem(Problem::Checkpoint { seq: 0, why });
                        }
                    }
                    Ok(None) => self.report.checkpoints_unknown += 1,
                    Ok(Some(_)) | Err(_) => {}
                }
            }
            if let Some(line) = compared.broken {
                let by = by.clone();
                self.problem(Problem::Unreadable { line, by });
            }
            if let Some(seq) = compared.differs {
                let by = by.clone();
                self.problem(Problem::Disagrees { seq, by });
            }
            if let Some(held) = compared.beyond.filter(|_| !broken) {
                let seq = self.hashes.len() as u64 + 1;
                let by = by.clone();
                self.problem(Problem::Truncated { seq, held, by });
            }
            if compared.standing.agreed_to > 0 {
                self.prove(Proof {
                    seq: compared.standing.agreed_to,
                    by,
                    source: Source::Copy,
                    time: None,
                });
            }
            self.report.copies.push(compared.standing);
        }
    }

    /// Of each witness the newest head is kept.
    fn prove(&mut self, proof: Proof) {
        match self
            .report
            .proofs
            .iter_mut()
            .find(|p| p.by == proof.by && p.source == proof.source)
        {
            Some(older) if older.seq < proof.seq => *older = proof,
            Some(_) => {}
            None => self.report.proofs.push(proof),
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.report.problems.push(problem);
    }
}

#[cfg(test)]
mod tests;
