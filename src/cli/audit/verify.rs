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
        signed::{Brought, Chains, Checked, Rosters, head, verify_signed},
        verify::{Copy, FindEnvelope, Witness},
    },
    protocol::{Code, Problem},
    trust::{Envelope, roster::Roster},
};

use crate::cli::{
    Door, Ended,
    client::Agent,
    files,
    memory::{FirstMeeting, Memory},
    ui::{Waiting, plain},
};

use super::{
    against::Against,
    export::ROSTERS,
    pages::{Kept, Record, chains, checkpoints},
    s3,
    shaped::not_for_reading,
    shown::{json, shown, warnings},
};

/// Arguments of `audit verify`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// An export (a folder, or events.jsonl alone); without it, the agent's record
    #[arg(long, value_name = "PATH", group = "elsewhere")]
    export: Option<PathBuf>,
    #[command(flatten)]
    bucket: s3::BucketArgs,
    /// Evidence that was kept elsewhere: signed checkpoints; the signed offer or approval of a request; another sink's folder or file, a
    /// syslog file, a checkout
    #[arg(long, value_name = "PATH")]
    against: Vec<PathBuf>,
    /// A roster, a chain of them, or the rosters.json of an export, where there is none beside the record
    #[arg(long, value_name = "FILE", requires = "elsewhere")]
    pub(super) roster: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let mut bucket = None;
    let (checked, rosters) = match (&args.export, args.bucket.place()) {
        (Some(path), _) => offline(path, args, door)?,
        (None, Some(place)) => {
            let (checked, rosters, seen) = args.bucket.verify(place, args, door)?;
            bucket = Some(seen);
            (checked, rosters)
        }
        (None, None) => online(args, door)?,
    };
    let report = &checked.report;
    for warning in warnings(&checked) {
        door.ui.warn(warning);
    }
    let hidden = bucket.as_mut().and_then(|bucket| bucket.hidden.take());
    // What was done to the bucket explains what is wrong with the lines.
    let findings = bucket.iter().flat_map(|b| &b.findings);
    let mut problems = findings
        .map(ToString::to_string)
        .chain(report.problems.iter().map(ToString::to_string));
    let first = problems.next();
    for other in problems {
        door.ui.warn(plain(&other));
    }
    if let Some(first) = first {
        if let Some(hidden) = hidden {
            door.ui.warn(hidden.error);
        }
        return Err(Problem::new(Code::Tampering, first)
            .hint("keep every copy of the record as it is, and tell the security officer"));
    }
    if let Some(hidden) = hidden {
        return Err(hidden);
    }
    let (mut object, mut text) = (json(&checked, &rosters), shown(&checked, &rosters));
    if let Some(bucket) = &bucket {
        object["bucket"] = bucket.json();
        text.push_str(&bucket.shown());
    }
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn online(args: &Args, door: &Door) -> Result<(Checked, Rosters), Problem> {
    let agent = door.agent()?;
    let mut memory = Memory::open()?;
    let rosters = rosters_of_agent(&agent, &mut memory, door)?;
    // The agent's own record may only have grown since this person saw a signed head of it.
    let seen = rosters.newest().filter_map(|roster| {
        let (seen, at) = memory.head(&roster.vault)?;
        Some(Witness {
            head: head(seen),
            by: format!("the head that you have seen of vault {}", roster.vault),
            at: Some(at.to_string()),
        })
    });
    let held = seen.collect();
    // Before the record: what others hold of it may only be less.
    let against = Against::read(&args.against, &rosters)?;
    let notes = checkpoints(&agent)?;
    let kept = Kept::default();
    let find = |sha256: &Hash| kept.find(sha256);
    let mut record = Record::of(&agent, Some(&kept));
    let lines = BufReader::with_capacity(1 << 20, &mut record);
    let report = examine(lines, &rosters, notes, held, &find, against);
    match record.failed {
        Some(problem) => Err(problem),
        None => Ok((report?, rosters)),
    }
}

fn offline(path: &Path, args: &Args, door: &Door) -> Result<(Checked, Rosters), Problem> {
    let mut notes = Vec::new();
    let folder = path
        .is_dir()
        .then(|| Folder::open(path))
        .transpose()
        .map_err(|why| Problem::new(Code::Usage, format!("{}: {why}", files::shown(path))))?;
    if let Some(folder) = &folder {
        let note = folder
            .checkpoint()
            .map_err(|why| Problem::new(Code::Usage, format!("{}: {why}", files::shown(path))))?;
        notes.extend(note);
    }
    let rosters = rosters(Some(path), &args.roster, door)?;
    let against = Against::read(&args.against, &rosters)?;
    let find = |sha256: &Hash| folder.as_ref()?.envelope(sha256).ok().flatten();
    let checked = match &folder {
        Some(folder) => {
            let lines = folder.lines().map_err(|why| {
                Problem::new(Code::Usage, format!("{}: {why}", files::shown(path)))
            })?;
            examine(lines, &rosters, notes, Vec::new(), &find, against)
        }
        None => {
            let file = File::open(path).map_err(|why| files::unreadable(path, &why))?;
            let lines = not_for_reading(BufReader::with_capacity(1 << 20, file), path)?;
            examine(lines, &rosters, notes, Vec::new(), &find, against)
        }
    }?;
    Ok((checked, rosters))
}

/// The agent's rosters, verified, and held against those that this person has met.
pub(super) fn rosters_of_agent(
    agent: &Agent,
    memory: &mut Memory,
    door: &Door,
) -> Result<Rosters, Problem> {
    let chains = chains(agent)?;
    let rosters = Rosters::verify(&chains)?;
    for (vault, chain) in &chains {
        if memory.knows(vault) {
            memory.roster(vault, chain, &FirstMeeting::SaySo, &door.ui)?;
        }
    }
    say_which_rosters(&rosters, memory, door);
    Ok(rosters)
}

/// The rosters in an export's folder and those that were brought, verified; says whether this person has met them.
pub(super) fn rosters(
    export: Option<&Path>,
    brought: &[PathBuf],
    door: &Door,
) -> Result<Rosters, Problem> {
    let mut chains = Chains::new();
    let mut given = Chains::new();
    let beside = export.map(|folder| folder.join(ROSTERS));
    if let Some(beside) = beside.filter(|beside| beside.exists()) {
        chains = files::read_json(&beside, "a list of rosters")?;
    }
    for file in brought {
        add_roster(&mut given, file)?;
    }
    // What is brought counts more than what stands beside the record.
    chains.extend(given);
    let rosters = Rosters::verify(&chains)?;
    say_which_rosters(&rosters, &Memory::open()?, door);
    Ok(rosters)
}

/// A record whose lines come from elsewhere, with what stands beside them and the evidence that was brought.
pub(super) fn examine_with(
    lines: impl BufRead,
    rosters: &Rosters,
    find: FindEnvelope<'_>,
    beside: Option<Copy>,
    args: &Args,
) -> Result<Checked, Problem> {
    let mut against = Against::read(&args.against, rosters)?;
    against.copies.extend(beside);
    examine(lines, rosters, Vec::new(), Vec::new(), find, against)
}

fn examine(
    lines: impl BufRead,
    rosters: &Rosters,
    mut notes: Vec<String>,
    mut held: Vec<Witness>,
    find: &dyn Fn(&Hash) -> Option<Vec<u8>>,
    against: Against,
) -> Result<Checked, Problem> {
    notes.extend(against.notes);
    held.extend(against.held);
    let brought = Brought {
        checkpoints: &notes,
        held: &held,
        copies: &against.copies,
        envelopes: Some(find),
    };
    let _said = Waiting::begin("the record to be read and checked, event by event");
    verify_signed(lines, rosters, &brought)
        .map_err(|why| Problem::new(Code::Internal, format!("the record cannot be read: {why}")))
}

/// A roster, a chain of them, or what an export keeps: the chain of each vault by its name.
fn add_roster(chains: &mut Chains, file: &Path) -> Result<(), Problem> {
    let none = || {
        let error = format!("there is no roster in {}", files::shown(file));
        Problem::new(Code::Usage, error)
    };
    let bytes = files::read(file)?;
    let chain: Vec<Envelope> = if bytes.trim_ascii_start().starts_with(b"[") {
        files::read_json(file, "a chain of rosters")?
    } else if let Ok(exported) = serde_json::from_slice::<Chains>(&bytes) {
        if exported.is_empty() {
            return Err(none());
        }
        return exported
            .into_iter()
            .try_for_each(|(vault, chain)| add_chain(chains, vault, chain, file));
    } else {
        vec![files::read_envelope(file)?]
    };
    let first = chain.first().ok_or_else(none)?;
    let vault = first.unverified::<Roster>()?.vault;
    add_chain(chains, vault, chain, file)
}

/// Of two chains that were brought for one vault the later one is taken, where both begin with the same version: else one of them would be taken
/// for the other, and everything hangs on which.
fn add_chain(
    chains: &mut Chains,
    vault: String,
    chain: Vec<Envelope>,
    file: &Path,
) -> Result<(), Problem> {
    let first = |of: &[Envelope]| of.first().map(Envelope::digest);
    let another = |before: &Vec<Envelope>| first(before) != first(&chain);
    if chains.get(&vault).is_some_and(another) {
        let error = format!(
            "{} has another roster of vault {} than was given before",
            files::shown(file),
            plain(&vault)
        );
        return Err(Problem::new(Code::Usage, error)
            .hint("give the one that you believe: a custodian knows the first version's digest"));
    }
    chains.insert(vault, chain);
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
        door.ui.warn("no roster was given: no signature can be checked, only that the lines follow one another (--roster FILE: an export's rosters.json)");
    }
}
