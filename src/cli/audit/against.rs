//! Evidence that was kept elsewhere: signed heads, signed requests, and whole copies as other sinks keep them.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use crate::{
    audit::{
        signed::{Checker, Rosters, head},
        verify::{Copy, Witness},
    },
    protocol::{Code, Problem},
    trust::{
        Envelope,
        request::{Approval, Offer},
    },
};

use crate::cli::{files, ui::Waiting};

use super::{pages::split_notes, shaped::not_for_reading};

/// The most files of one copy.
const MOST: usize = 100_000;
/// How deep a copy's folders go.
const DEEP: usize = 16;

/// What was kept elsewhere, read.
#[derive(Default)]
pub(super) struct Against {
    pub(super) notes: Vec<String>,
    pub(super) held: Vec<Witness>,
    pub(super) copies: Vec<Copy>,
}

impl Against {
    /// Reads each: a folder is a copy; a file is a copy if it has events, a signed request or approval, or else signed notes.
    pub(super) fn read(paths: &[PathBuf], rosters: &Rosters) -> Result<Self, Problem> {
        let mut found = Self::default();
        for path in paths {
            if path.is_dir() {
                found.folder(path)?;
            } else {
                found.file(path, rosters)?;
            }
        }
        Ok(found)
    }

    /// A folder as the file sink keeps it, an export, or a checkout: every file in it that has events, and each checkpoint.
    fn folder(&mut self, path: &Path) -> Result<(), Problem> {
        let _said = Waiting::begin(format!("{} to be read", files::shown(path)));
        let mut all = Vec::new();
        walk(path, DEEP, &mut all)?;
        all.sort();
        let mut copy = Copy::new(files::shown(path));
        for file in &all {
            let end = file.extension().and_then(OsStr::to_str).unwrap_or_default();
            match end {
                "note" => self.notes.extend(split_notes(&files::read_text(file)?)),
                // Signed envelopes, rosters, reports: no event stands in them.
                "json" => {}
                _ => read_into(&mut copy, file)?,
            }
        }
        if copy.is_empty() {
            return Err(Problem::new(
                Code::Usage,
                format!("there is no event of a record in {}", files::shown(path)),
            )
            .hint("name the folder of a sink, an export, or a checkout with the evidence"));
        }
        self.copies.push(copy);
        Ok(())
    }

    fn file(&mut self, path: &Path, rosters: &Rosters) -> Result<(), Problem> {
        let mut copy = Copy::new(files::shown(path));
        {
            let _said = Waiting::begin(format!("{} to be read", files::shown(path)));
            read_into(&mut copy, path)?;
        }
        if !copy.is_empty() {
            self.copies.push(copy);
            return Ok(());
        }
        let again = File::open(path).map_err(|why| files::unreadable(path, &why))?;
        not_for_reading(BufReader::new(again), path)?;
        let text = files::read_text(path)?;
        match Envelope::parse(text.as_bytes()) {
            Ok(envelope) => self.held.push(signed_head(path, &envelope, rosters)?),
            Err(_) => self.notes.extend(split_notes(&text)),
        }
        Ok(())
    }
}

fn read_into(copy: &mut Copy, path: &Path) -> Result<(), Problem> {
    let failed = |why: &std::io::Error| files::unreadable(path, why);
    let mut from = BufReader::with_capacity(1 << 20, File::open(path).map_err(|why| failed(&why))?);
    let packed = from.fill_buf().map_err(|why| failed(&why))?;
    if packed.starts_with(&[0x1f, 0x8b]) {
        let error = format!("{} is packed with gzip", files::shown(path));
        return Err(
            Problem::new(Code::Usage, error).hint("unpack it first: gzip --decompress --keep")
        );
    }
    copy.read(from).map_err(|why| failed(&why))
}

/// Every plain file below a folder, without Git's own and without envelopes. Links are not followed.
fn walk(folder: &Path, deep: usize, all: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let failed = |why: &std::io::Error| files::unreadable(folder, why);
    for entry in std::fs::read_dir(folder).map_err(|why| failed(&why))? {
        let entry = entry.map_err(|why| failed(&why))?;
        let kind = entry.file_type().map_err(|why| failed(&why))?;
        let name = entry.file_name();
        if kind.is_dir() && name != ".git" && name != "envelopes" && deep > 0 {
            walk(&entry.path(), deep - 1, all)?;
        } else if kind.is_file() {
            all.push(entry.path());
        }
        if all.len() > MOST {
            return Err(Problem::new(
                Code::Usage,
                format!("{} has over {MOST} files", files::shown(folder)),
            ));
        }
    }
    Ok(())
}

/// The head in a signed offer or approval. An approval that a custodian kept counts by itself: the token has signed its head.
fn signed_head(file: &Path, envelope: &Envelope, rosters: &Rosters) -> Result<Witness, Problem> {
    let bad = |why: String| {
        Problem::new(Code::Tampering, format!("{}: {why}", files::shown(file)))
            .hint("this evidence is not valid itself; take it from where it was kept again")
    };
    // The request's bytes as offered: whether a host offered them is not what this evidence is asked for.
    if let Ok(Approval(request)) = envelope.unverified::<Approval>() {
        let keys = rosters.approve_keys_of(&request.roster_sha256);
        let (_, key) = envelope
            .verify::<Approval>(&keys, "a custodian of the roster")
            .map_err(|why| bad(why.to_string()))?;
        return Ok(Witness {
            head: head(request.audit),
            by: rosters.owner(key),
            at: Some(request.not_before.to_string()),
        });
    }
    envelope
        .unverified::<Offer>()
        .map_err(|why| bad(why.to_string()))?;
    let checked = Checker::new(rosters).check(envelope.to_json().as_bytes());
    match checked.map_err(bad)? {
        Some(witness) => Ok(witness),
        None => Err(bad("it names no head of the record".to_owned())),
    }
}
