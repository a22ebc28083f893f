//! `twotap audit verify`: what the record proves, and up to where it is only the host's word.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    audit::{
        chain::Hash,
        folder::Folder,
        verify::{Evidence, Report, Source, Witness, verify},
    },
    protocol::{Code, Problem},
    trust::{
        Envelope,
        request::{Approval, Offer},
        roster::Roster,
    },
};

use crate::cli::{
    Door, Ended, files,
    memory::{FirstMeeting, Memory},
    ui::{Waiting, plain},
};

use super::{
    envelopes::{Checker, Rosters, head},
    export::ROSTERS,
    pages::{Chains, Kept, Record, chains, checkpoints, split_notes},
};

/// Arguments of `audit verify`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// An export (a folder, or events.jsonl alone); without it, the agent's record
    #[arg(long, value_name = "PATH")]
    export: Option<PathBuf>,
    /// Evidence that was kept elsewhere: signed checkpoints, or the signed offer or approval of a request
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// A roster, or a chain of them, where the export has none
    #[arg(long, value_name = "FILE", requires = "export")]
    roster: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let report = match &args.export {
        Some(path) => offline(path, args, door)?,
        None => online(args, door)?,
    };
    for other in report.problems.iter().skip(1) {
        door.ui.warn(plain(&other.to_string()));
    }
    if let Some(first) = report.first_problem() {
        return Err(Problem::new(Code::Tampering, first.to_string())
            .hint("keep every copy of the record as it is, and tell the security officer"));
    }
    door.ui.result(&json(&report), &shown(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn online(args: &Args, door: &Door) -> Result<Report, Problem> {
    let agent = door.agent()?;
    let chains = chains(&agent)?;
    let rosters = Rosters::verify(&chains)?;
    let mut memory = Memory::open()?;
    // The agent's own record may only have grown since this person saw a signed head of it.
    let mut held = Vec::new();
    for (vault, chain) in &chains {
        if memory.knows(vault) {
            memory.roster(vault, chain, &FirstMeeting::SaySo, &door.ui)?;
        }
        held.extend(memory.head(vault).map(|seen| Witness {
            head: head(seen),
            by: format!("the head that you have seen of vault {vault}"),
        }));
    }
    say_which_rosters(&rosters, &memory, door);
    let notes = checkpoints(&agent)?;
    let kept = Kept::default();
    let find = |sha256: &Hash| kept.borrow().get(sha256).cloned();
    let mut record = Record::of(&agent, &kept);
    let lines = BufReader::with_capacity(1 << 20, &mut record);
    let report = examine(lines, &rosters, notes, held, &find, args);
    match record.failed {
        Some(problem) => Err(problem),
        None => report,
    }
}

fn offline(path: &Path, args: &Args, door: &Door) -> Result<Report, Problem> {
    let mut chains = Chains::new();
    let mut notes = Vec::new();
    let folder = path
        .is_dir()
        .then(|| Folder::open(path))
        .transpose()
        .map_err(|why| Problem::new(Code::Usage, format!("{}: {why}", files::shown(path))))?;
    if let Some(folder) = &folder {
        let beside = path.join(ROSTERS);
        if beside.exists() {
            chains = files::read_json(&beside, "a list of rosters")?;
        }
        let note = folder
            .checkpoint()
            .map_err(|why| Problem::new(Code::Usage, format!("{}: {why}", files::shown(path))))?;
        notes.extend(note);
    }
    for file in &args.roster {
        add_roster(&mut chains, file)?;
    }
    let rosters = Rosters::verify(&chains)?;
    say_which_rosters(&rosters, &Memory::open()?, door);
    let find = |sha256: &Hash| folder.as_ref()?.envelope(sha256).ok().flatten();
    match &folder {
        Some(folder) => {
            let lines = folder.lines().map_err(|why| {
                Problem::new(Code::Usage, format!("{}: {why}", files::shown(path)))
            })?;
            examine(lines, &rosters, notes, Vec::new(), &find, args)
        }
        None => {
            let file = File::open(path).map_err(|why| files::unreadable(path, &why))?;
            let lines = BufReader::with_capacity(1 << 20, file);
            examine(lines, &rosters, notes, Vec::new(), &find, args)
        }
    }
}

fn examine(
    lines: impl BufRead,
    rosters: &Rosters,
    mut notes: Vec<String>,
    mut held: Vec<Witness>,
    find: &dyn Fn(&Hash) -> Option<Vec<u8>>,
    args: &Args,
) -> Result<Report, Problem> {
    for file in &args.against {
        match against(file, rosters)? {
            Held::Notes(more) => notes.extend(more),
            Held::Head(witness) => held.push(witness),
        }
    }
    let keys = rosters.checkpoint_keys();
    let evidence = Evidence {
        keys: &keys,
        checkpoints: &notes,
        held: &held,
        envelopes: Some(find),
    };
    let mut checker = Checker::new(rosters);
    let _said = Waiting::begin("the record to be read and checked, event by event");
    verify(lines, &evidence, &mut |view| checker.check_event(view))
        .map_err(|why| Problem::new(Code::Internal, format!("the record cannot be read: {why}")))
}

enum Held {
    Notes(Vec<String>),
    Head(Witness),
}

/// Evidence that was kept elsewhere. An approval that a custodian kept counts by itself: the token has signed its head.
fn against(file: &Path, rosters: &Rosters) -> Result<Held, Problem> {
    let text = files::read_text(file)?;
    let Ok(envelope) = Envelope::parse(text.as_bytes()) else {
        return Ok(Held::Notes(split_notes(&text)));
    };
    let bad = |why: String| {
        Problem::new(Code::Tampering, format!("{}: {why}", files::shown(file)))
            .hint("this evidence is not valid itself; take it from where it was kept again")
    };
    let mut checker = Checker::new(rosters);
    // The request's bytes as offered: whether a host offered them is not what this evidence is asked for.
    if let Ok(Approval(request)) = envelope.unverified::<Approval>() {
        let keys = rosters.approve_keys_of(&request.roster_sha256);
        let (_, key) = envelope
            .verify::<Approval>(&keys, "a custodian of the roster")
            .map_err(|why| bad(why.to_string()))?;
        return Ok(Held::Head(Witness {
            head: head(request.audit),
            by: rosters.owner(key),
        }));
    }
    envelope
        .unverified::<Offer>()
        .map_err(|why| bad(why.to_string()))?;
    match checker.check(text.as_bytes()).map_err(bad)? {
        Some(witness) => Ok(Held::Head(witness)),
        None => Err(bad("it names no head of the record".to_owned())),
    }
}

pub(super) fn add_roster(chains: &mut Chains, file: &Path) -> Result<(), Problem> {
    let bytes = files::read(file)?;
    let chain: Vec<Envelope> = if bytes.trim_ascii_start().starts_with(b"[") {
        files::read_json(file, "a chain of rosters")?
    } else {
        vec![files::read_envelope(file)?]
    };
    if let Some(first) = chain.first() {
        let vault = first.unverified::<Roster>()?.vault;
        chains.insert(vault, chain);
    }
    Ok(())
}

/// Everything hangs on the rosters: says whether this person has met them before.
fn say_which_rosters(rosters: &Rosters, memory: &Memory, door: &Door) {
    let mut any = false;
    for newest in rosters.newest() {
        any = true;
        let known = memory.digest(&newest.vault);
        if known.is_none_or(|known| !rosters.contains(&known)) {
            door.ui.note(format!(
                "the roster of vault {} (version {}, digest {}) is not one that you have met: compare it with a custodian",
                newest.vault,
                newest.version,
                newest.digest()
            ));
        }
    }
    if !any {
        door.ui.warn("no roster was given: no signature can be checked, only that the lines follow one another");
    }
}

fn json(report: &Report) -> serde_json::Value {
    let proofs: Vec<_> = report
        .proofs
        .iter()
        .map(|p| {
            serde_json::json!({
                "seq": p.seq, "by": p.by, "source": source(p.source), "time": p.time,
            })
        })
        .collect();
    serde_json::json!({
        "verified": true,
        "events": report.events,
        "head": { "seq": report.head.seq, "hash": report.head.hash.to_string() },
        "proven_to": report.proven_to(),
        "proven_by_others_to": report.proven_by_others_to(),
        "proofs": proofs,
        "envelopes_checked": report.envelopes_checked,
        "envelopes_missing": report.envelopes_missing,
        "checkpoints_unknown": report.checkpoints_unknown,
    })
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Checkpoint => "checkpoint",
        Source::Envelope => "signature",
        Source::Held => "kept elsewhere",
    }
}

fn shown(report: &Report) -> String {
    let mut text = format!(
        "{} events follow one another; the head is {}\n",
        report.events, report.head.hash
    );
    for proof in &report.proofs {
        let time = proof
            .time
            .as_deref()
            .map_or(String::new(), |t| format!(", {}", plain(t)));
        text.push_str(&format!(
            "  up to event {}: {} ({}{time})\n",
            proof.seq,
            plain(&proof.by),
            source(proof.source)
        ));
    }
    text.push_str(&match report.proven_to() {
        0 => "no event is proven by anybody: all of it is only the host's word\n".to_owned(),
        to if to < report.events => format!(
            "events {} to {} are only the host's word\n",
            to + 1,
            report.events
        ),
        _ => "every event is proven\n".to_owned(),
    });
    if report.envelopes_missing > 0 {
        text.push_str(&format!(
            "{} signed envelopes were not there to be checked; {} were\n",
            report.envelopes_missing, report.envelopes_checked
        ));
    }
    if report.checkpoints_unknown > 0 {
        text.push_str(&format!(
            "{} checkpoints are by keys that no roster lists: they prove nothing\n",
            report.checkpoints_unknown
        ));
    }
    text
}
