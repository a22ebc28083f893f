//! The record page by page from the agent, as one stream of lines.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use zeroize::Zeroizing;

use crate::{
    audit::{chain::Hash, note::MAX_NOTE},
    protocol::{
        Problem,
        socket::{Status, VaultView},
    },
    trust::Envelope,
};

use crate::cli::client::{Agent, vault_path};

/// How many events are asked for at once.
const PAGE: u64 = 2000;

/// Roster chains by vault.
pub(super) type Chains = BTreeMap<String, Vec<Envelope>>;

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

/// A signed envelope of the record, by the digest that its event names.
pub(super) fn envelope(agent: &Agent, sha256: &Hash) -> Result<Vec<u8>, Problem> {
    let bytes = agent.ask_bytes(&format!("/v1/audit/envelopes/{sha256}"))?;
    Ok(bytes.to_vec())
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

/// The whole record as a reader, asked for as it is read.
pub(super) struct Record<'a> {
    agent: &'a Agent,
    next: u64,
    page: Zeroizing<Vec<u8>>,
    at: usize,
    /// Kept, since a reader's error has no room for it.
    pub failed: Option<Problem>,
}

impl<'a> Record<'a> {
    pub(super) fn of(agent: &'a Agent) -> Self {
        Self {
            agent,
            next: 1,
            page: Zeroizing::new(Vec::new()),
            at: 0,
            failed: None,
        }
    }
}

impl Read for Record<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.page.len() {
            self.page = page(self.agent, self.next).map_err(|problem| {
                let why = io::Error::other(problem.error.clone());
                self.failed = Some(problem);
                why
            })?;
            self.at = 0;
            self.next += count(&self.page);
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
}
