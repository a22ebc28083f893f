//! What a record proves, with files and public keys alone.
//!
//! The chain shows that lines fit together; it does not show that somebody did not write all of them anew, or cut off the end.
//! Heads that others hold do: signed checkpoints, heads inside envelopes that custodians' tokens signed, heads that a client
//! remembers. [`verify`] compares each with the chain and says up to which event the record is proven, by whom. What comes after is only the
//! host's word.

mod report;

use std::cell::Cell;
use std::io::{self, BufRead, Read};

pub use self::report::{Problem, Proof, Report, Source};

use super::chain::{self, Examined, Fault, Hash, Head, Malformed, Walk, Why};
use super::checkpoint::{Checkpoint, CheckpointError};
use super::event::{EnvelopeRef, MAX_LINE, Record};
use super::folder::{Folder, FolderError};
use super::note::{NoteError, NoteKey};
use super::sinks::note_of;

/// Lines examined together; enough that threads are worth starting.
const BLOCK: usize = 8192;

/// A head that somebody outside the record vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where the record stood.
    pub head: Head,
    /// Who says so: a person, a key's name, 'this client'.
    pub by: String,
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
    /// Signed checkpoints held elsewhere.
    pub checkpoints: &'a [String],
    /// Heads held elsewhere, e.g. what a client has seen.
    pub held: &'a [Witness],
    /// Finds an envelope's bytes by digest.
    pub envelopes: Option<FindEnvelope<'a>>,
}

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
        evidence,
    };
    run.report.problems = given.problems;
    run.report.checkpoints_unknown = given.unknown;

    let mut walk = Walk::after(Head::default());
    let mut source = Lines { from: lines };
    let mut broken = false;
    'blocks: loop {
        let block = source.block(BLOCK)?;
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
            let later = std::iter::from_fn(|| match source.block(1) {
                Ok(lines) => lines.first().map(Line::examine),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            });
            let known = |seq| {
                run.claims
                    .iter()
                    .find(|c| c.witness.head.seq == seq)
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
    }
    Ok(run.conclude(broken))
}

/// Verifies a folder with what lies in it, its checkpoint and its envelopes, besides what the caller brings.
pub fn verify_folder(
    folder: &Folder,
    evidence: &Evidence<'_>,
    check: EnvelopeCheck<'_>,
) -> Result<Report, FolderError> {
    let mut checkpoints = evidence.checkpoints.to_vec();
    checkpoints.extend(folder.checkpoint()?);
    let failed = Cell::new(None);
    let find = |sha256: &Hash| match folder.envelope(sha256) {
        Ok(Some(found)) => Some(found),
        Ok(None) => evidence.envelopes.and_then(|elsewhere| elsewhere(sha256)),
        Err(error) => {
            failed.set(Some(error));
            None
        }
    };
    let evidence = Evidence {
        checkpoints: &checkpoints,
        envelopes: Some(&find),
        ..*evidence
    };
    let report = verify(folder.lines()?, &evidence, check)?;
    // An envelope that cannot be read is not one that is missing.
    failed.into_inner().map_or(Ok(report), Err)
}

/// A head that somebody claims, still to be compared with the chain.
struct Claim {
    witness: Witness,
    source: Source,
    time: Option<String>,
    /// The event that carries the claim; `None` if it was brought from outside.
    carrier: Option<u64>,
}

/// What the caller brought, opened.
struct Given {
    claims: Vec<Claim>,
    problems: Vec<Problem>,
    unknown: u64,
}

impl Given {
    fn open(evidence: &Evidence<'_>) -> Self {
        let held = |w: &Witness| Claim {
            witness: w.clone(),
            source: Source::Held,
            time: None,
            carrier: None,
        };
        let mut given = Self {
            claims: evidence.held.iter().map(held).collect(),
            problems: Vec::new(),
            unknown: 0,
        };
        for note in evidence.checkpoints {
            match open_checkpoint(note, evidence.keys, None) {
                Ok(Some(claim)) => given.claims.push(claim),
                Ok(None) => given.unknown += 1,
                Err(error) => given.problems.push(Problem::Checkpoint {
                    seq: 0,
                    why: error.to_string(),
                }),
            }
        }
        given
    }
}

/// The claim of a signed checkpoint; `None` if no known key signed it.
fn open_checkpoint(
    note: &str,
    keys: &[NoteKey],
    carrier: Option<u64>,
) -> Result<Option<Claim>, CheckpointError> {
    match Checkpoint::open(note, keys) {
        Ok((checkpoint, key)) => Ok(Some(Claim {
            witness: Witness {
                head: checkpoint.head,
                by: key.name().to_owned(),
            },
            source: Source::Checkpoint,
            time: Some(checkpoint.time),
            carrier,
        })),
        Err(CheckpointError::Note(NoteError::UnknownKey)) => Ok(None),
        Err(error) => Err(error),
    }
}

struct Run<'e> {
    /// The hash of each event, by number less one: witnesses may name any.
    hashes: Vec<Hash>,
    report: Report,
    claims: Vec<Claim>,
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
        if let Some(note) = note_of(&line.bytes) {
            match open_checkpoint(&note, self.evidence.keys, Some(head.seq)) {
                Ok(Some(claim)) => self.claims.push(claim),
                Ok(None) => self.report.checkpoints_unknown += 1,
                Err(error) => self.problem(Problem::Checkpoint {
                    seq: head.seq,
                    why: error.to_string(),
                }),
            }
        }
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

    fn conclude(mut self, broken: bool) -> Report {
        let end = self.hashes.len() as u64;
        for claim in std::mem::take(&mut self.claims) {
            let Head { seq, hash } = claim.witness.head;
            let by = claim.witness.by;
            // What an event says of itself or of later ones was not seen by anybody.
            if claim.carrier.is_some_and(|carrier| seq >= carrier) {
                let (carrier, why) = (
                    claim.carrier.unwrap_or(0),
                    "it names a head that did not exist yet".to_owned(),
                );
                self.problem(match claim.source {
                    Source::Checkpoint => Problem::Checkpoint { seq: carrier, why },
                    _ => Problem::Envelope { seq: carrier, why },
                });
                continue;
            }
            let found = match seq {
                0 => Some(Hash::ZERO),
                _ => usize::try_from(seq - 1)
                    .ok()
                    .and_then(|i| self.hashes.get(i))
                    .copied(),
            };
            match found {
                Some(found) if found == hash => self.prove(Proof {
                    seq,
                    by,
                    source: claim.source,
                    time: claim.time,
                }),
                Some(_) => self.problem(Problem::Rewritten { seq, by }),
                None if broken => {}
                None => self.problem(Problem::Truncated {
                    seq: end + 1,
                    held: seq,
                    by,
                }),
            }
        }
        self.report.events = end;
        self.report.head = Head {
            seq: end,
            hash: self.hashes.last().copied().unwrap_or_default(),
        };
        self.report.proofs.sort_by_key(|p| std::cmp::Reverse(p.seq));
        self.report.problems.sort_by_key(Problem::seq);
        self.report
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

/// A line without its newline, and whether it had one.
struct Line {
    bytes: Vec<u8>,
    torn: bool,
}

impl Line {
    fn examine(&self) -> Examined {
        let mut examined = chain::examine(&self.bytes);
        if self.torn && examined.links.is_ok() {
            examined.links = Err(Malformed::Torn);
        }
        examined
    }
}

struct Lines<R> {
    from: R,
}

impl<R: BufRead> Lines<R> {
    /// Up to `count` lines; none at the end. A line that is too long is cut one byte after the limit, which makes it malformed.
    fn block(&mut self, count: usize) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let mut bytes = Vec::new();
            let most = MAX_LINE as u64 + 1;
            if self
                .from
                .by_ref()
                .take(most)
                .read_until(b'\n', &mut bytes)?
                == 0
            {
                break;
            }
            let whole = bytes.last() == Some(&b'\n');
            if whole {
                bytes.pop();
            }
            lines.push(Line {
                bytes,
                torn: !whole,
            });
        }
        Ok(lines)
    }
}

/// Examines lines on as many threads as there are cores, up to four: each line stands by itself.
fn examine_all(lines: &[Line]) -> Vec<Examined> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    if lines.len() < 512 || threads == 1 {
        return lines.iter().map(Line::examine).collect();
    }
    let mut examined = Vec::with_capacity(lines.len());
    std::thread::scope(|scope| {
        let parts: Vec<_> = lines
            .chunks(lines.len().div_ceil(threads))
            .map(|part| {
                (
                    part,
                    scope.spawn(move || part.iter().map(Line::examine).collect::<Vec<_>>()),
                )
            })
            .collect();
        for (part, thread) in parts {
            // Examining cannot panic; if a thread is lost all the same, its part is done here.
            examined.extend(
                thread
                    .join()
                    .unwrap_or_else(|_| part.iter().map(Line::examine).collect()),
            );
        }
    });
    examined
}

#[cfg(test)]
mod tests;
