//! The record page by page from the agent, as one stream of lines.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    io::{self, Read},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use crate::{
    audit::{chain::Hash, note::MAX_NOTE, signed::Chains, verify::READ_AHEAD},
    protocol::{
        Code, Problem,
        socket::{AuditEnvelope, Status, VaultView},
    },
};

use crate::cli::{
    client::{Agent, vault_path},
    ui::Ui,
};

/// How many events are asked for at once.
const PAGE: u64 = 1000;

/// The events from a number on, whole lines, as the agent keeps them.
pub(super) fn page(agent: &Agent, from: u64) -> Result<Zeroizing<Vec<u8>>, Problem> {
    agent.ask_bytes(&format!("/v1/audit/events?from={from}&limit={PAGE}"))
}

/// How many events a page has.
pub(super) fn count(page: &[u8]) -> u64 {
    page.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .count() as u64
}

/// The signed checkpoints, newest last.
pub(super) fn checkpoints(agent: &Agent) -> Result<Vec<String>, Problem> {
    let text = agent.ask_bytes("/v1/audit/checkpoints")?;
    Ok(split_notes(&String::from_utf8_lossy(&text)))
}

/// The roster chain of each vault of the agent.
pub(super) fn chains(agent: &Agent) -> Result<Chains, Problem> {
    let status: Status = agent.ask("/v1/status")?;
    let mut chains = Chains::new();
    for vault in status.vaults {
        let view: VaultView = agent.ask(&vault_path(&vault.vault, "")?)?;
        chains.insert(vault.vault, view.roster_chain);
    }
    Ok(chains)
}

/// Says now and then how far something is that takes long.
pub(super) struct Progress(Instant);

impl Progress {
    /// How often it is said.
    const PAUSE: Duration = Duration::from_secs(3);

    /// What begins now.
    pub(super) fn begin() -> Self {
        Self::at(Instant::now())
    }

    fn at(now: Instant) -> Self {
        Self(now + Self::PAUSE)
    }

    /// Says it, where it is time to.
    pub(super) fn say(&mut self, ui: &Ui, how_far: impl FnOnce() -> String) {
        if self.is_due(Instant::now()) {
            ui.note(how_far());
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.0;
        if due {
            *self = Self::at(now);
        }
        due
    }
}

/// How many events' envelopes are asked for at once; an agent gives no more.
const ENVELOPES_PAGE: u64 = 100;

/// The signed envelopes that `count` events from a number on name.
pub(super) fn envelopes(
    agent: &Agent,
    from: u64,
    count: u64,
) -> Result<Vec<AuditEnvelope>, Problem> {
    let mut all = Vec::new();
    let end = from.saturating_add(count);
    let mut next = from;
    while next < end {
        let limit = ENVELOPES_PAGE.min(end - next);
        let lines = agent.ask_bytes(&format!("/v1/audit/envelopes?from={next}&limit={limit}"))?;
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            all.push(serde_json::from_slice(line).map_err(|_| {
                Problem::new(
                    Code::Agent,
                    "an envelope that the agent sent cannot be read",
                )
                .hint("is it of another version? see twotap status and twotap --version")
            })?);
        }
        next += limit;
    }
    Ok(all)
}

/// Calls `take` with the lines of each page up to event `end` and the first one's number; answers how many there were. What takes long is said.
pub(super) fn each_page(
    agent: &Agent,
    end: u64,
    ui: &Ui,
    take: impl FnMut(u64, &[&[u8]]) -> Result<(), Problem>,
) -> Result<u64, Problem> {
    let from = Pages {
        ask: |next| page(agent, next),
        now: Instant::now,
        say: |line| ui.note(line),
    };
    from.each(end, take)
}

/// Where pages come from, the clock, and where it is said how far it is.
struct Pages<A, N, S> {
    ask: A,
    now: N,
    say: S,
}

impl<A, N, S> Pages<A, N, S>
where
    A: FnMut(u64) -> Result<Zeroizing<Vec<u8>>, Problem>,
    N: FnMut() -> Instant,
    S: FnMut(String),
{
    fn each(
        mut self,
        end: u64,
        mut take: impl FnMut(u64, &[&[u8]]) -> Result<(), Problem>,
    ) -> Result<u64, Problem> {
        let mut next = 1;
        let mut progress = Progress::at((self.now)());
        while next <= end {
            let page = (self.ask)(next)?;
            let most = usize::try_from(end - next + 1).unwrap_or(usize::MAX);
            let lines: Vec<&[u8]> = page
                .split(|b| *b == b'\n')
                .filter(|line| !line.is_empty())
                .take(most)
                .collect();
            if lines.is_empty() {
                return Err(Problem::new(
                    Code::Tampering,
                    format!("the record ends before event {next}, its head says {end}"),
                )
                .hint("see twotap audit verify"));
            }
            take(next, &lines)?;
            next += lines.len() as u64;
            let now = (self.now)();
            if next <= end && progress.is_due(now) {
                (self.say)(format!("{} of {end} events so far", next - 1));
            }
        }
        Ok(end)
    }
}

/// The signed envelopes of the pages that are being read, by the digest of their bytes. Verifying reads lines ahead of what it looks at, and no
/// further than [`READ_AHEAD`]: those of earlier pages are let go of, or a long record would stand in memory whole.
#[derive(Default)]
pub(super) struct Kept(RefCell<VecDeque<KeptPage>>);

struct KeptPage {
    /// Its last event.
    end: u64,
    envelopes: HashMap<Hash, Vec<u8>>,
}

impl Kept {
    /// The bytes with this digest.
    pub(super) fn find(&self, sha256: &Hash) -> Option<Vec<u8>> {
        let pages = self.0.borrow();
        pages
            .iter()
            .rev()
            .find_map(|page| page.envelopes.get(sha256).cloned())
    }

    /// A page up to event `end` is about to be read, and all before it were.
    fn turn(&self, end: u64, envelopes: Vec<AuditEnvelope>) {
        let mut pages = self.0.borrow_mut();
        let read = pages.back().map_or(0, |page| page.end);
        while pages
            .front()
            .is_some_and(|page| page.end + READ_AHEAD as u64 <= read)
        {
            pages.pop_front();
        }
        let by_digest = envelopes
            .into_iter()
            .map(|e| (Hash::of(&e.body.0), e.body.0));
        let envelopes = by_digest.collect();
        pages.push_back(KeptPage { end, envelopes });
    }
}

/// Splits a text of several signed notes. A note is its text, an empty line, and lines that begin with a dash (C2SP signed-note); it ends where
/// such a line is followed by anything else.
pub(super) fn split_notes(text: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = String::new();
    let mut signed = false;
    for line in text.lines() {
        let signature = line.starts_with("\u{2014} ");
        if signed && !signature {
            notes.push(std::mem::take(&mut note));
            signed = false;
        }
        if note.is_empty() && line.is_empty() {
            continue;
        }
        if note.len() <= MAX_NOTE {
            note.push_str(line);
            note.push('\n');
        }
        signed = signature;
    }
    if !note.trim().is_empty() {
        notes.push(note);
    }
    notes
}

/// The whole record as a reader, asked for as it is read; where somebody wants them, the envelopes of each page are kept beside it.
pub(super) struct Record<'a> {
    agent: &'a Agent,
    kept: Option<&'a Kept>,
    next: u64,
    page: Zeroizing<Vec<u8>>,
    at: usize,
    /// Kept, since a reader's error has no room for it.
    pub failed: Option<Problem>,
}

impl<'a> Record<'a> {
    pub(super) fn of(agent: &'a Agent, kept: Option<&'a Kept>) -> Self {
        Self {
            agent,
            kept,
            next: 1,
            page: Zeroizing::new(Vec::new()),
            at: 0,
            failed: None,
        }
    }
}

impl Record<'_> {
    /// Takes the next page.
    fn turn(&mut self) -> Result<(), Problem> {
        self.page = page(self.agent, self.next)?;
        self.at = 0;
        let found = count(&self.page);
        if let Some(kept) = self.kept.filter(|_| found > 0) {
            let envelopes = envelopes(self.agent, self.next, found)?;
            kept.turn(self.next + found - 1, envelopes);
        }
        self.next += found;
        Ok(())
    }
}

impl Read for Record<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.page.len() {
            self.turn().map_err(|problem| {
                let why = io::Error::other(problem.error.clone());
                self.failed = Some(problem);
                why
            })?;
        }
        let length = buffer.len().min(self.page.len() - self.at);
        buffer[..length].copy_from_slice(&self.page[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Bytes, Digest};

    #[test]
    fn notes_are_split_where_their_signatures_end() {
        let one = "head\n1\n\n\u{2014} host-1 abc\n\u{2014} host-2 def\n";
        let two = "head\n2\n\n\u{2014} host-1 ghi\n";
        assert_eq!(split_notes(&format!("{one}\n{two}")), [one, two]);
        assert_eq!(split_notes(&format!("\n{one}{two}\n\n")), [one, two]);
        assert_eq!(split_notes("not a note\n"), ["not a note\n"]);
        assert!(split_notes("\n\n").is_empty());
    }

    #[test]
    fn a_page_counts_its_lines() {
        assert_eq!(count(b""), 0);
        assert_eq!(count(b"{}\n{}\n"), 2);
        assert_eq!(count(b"{}\n{}"), 2);
    }

    #[test]
    fn each_page_is_taken_before_the_next_is_asked_for_and_what_takes_long_is_said() {
        let told = RefCell::new(Vec::new());
        let (mut now, began) = (Duration::ZERO, Instant::now());
        let pages = Pages {
            ask: |next: u64| {
                told.borrow_mut().push(format!("asked for {next}"));
                Ok(Zeroizing::new(b"{}\n{}\n".to_vec()))
            },
            // Each look at the clock is a second and a half after the one before.
            now: || {
                now += Duration::from_millis(1_500);
                began + now
            },
            say: |line: String| told.borrow_mut().push(line),
        };
        let copied = pages.each(9, |from, lines| {
            told.borrow_mut()
                .push(format!("{} from {from}", lines.len()));
            Ok(())
        });
        assert_eq!(copied.ok(), Some(9));
        assert_eq!(
            told.into_inner(),
            [
                "asked for 1",
                "2 from 1",
                "asked for 3",
                "2 from 3",
                "4 of 9 events so far",
                "asked for 5",
                "2 from 5",
                "asked for 7",
                "2 from 7",
                "8 of 9 events so far",
                "asked for 9",
                "1 from 9",
            ]
        );
    }

    #[test]
    fn envelopes_are_let_go_of_once_their_lines_are_past() {
        let kept = Kept::default();
        let body = |page: u64| format!("envelope {page}").into_bytes();
        let held = |page: u64| kept.find(&Hash::of(&body(page))) == Some(body(page));
        for page in 1..=20 {
            let envelope = AuditEnvelope {
                seq: page * PAGE,
                kind: "approve".to_owned(),
                sha256: Digest([0; 32]),
                body: Bytes(body(page)),
            };
            kept.turn(page * PAGE, vec![envelope]);
            // Its own lines are still to be looked at, and so are those of as many events as are read ahead.
            let needed = (PAGE * (page - 1)).saturating_sub(READ_AHEAD as u64) / PAGE + 1;
            assert!((needed..=page).all(held), "{page}");
            assert!(!(1..needed).any(held), "{page}");
        }
    }
}
