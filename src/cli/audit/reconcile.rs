//! `twotap audit reconcile`: what CloudTrail saw, accounted for by the record.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    audit::{
        chain::{Head, Walk},
        event::Record as Event,
        folder::Folder,
        reconcile::{Accounted, Ledger, Principals, Reconciled, Use, read, reconcile},
        signed::Rosters,
        verify::Lines,
    },
    protocol::{Code, Problem},
};

use crate::cli::{
    Door, Ended, files,
    memory::Memory,
    ui::{Waiting, plain},
};

use super::{
    pages::Record,
    verify::{rosters, rosters_of_agent},
};

/// The largest file of an export, in bytes.
const MAX_TRAIL: u64 = 1 << 30;
/// How deep a folder is looked through: AWSLogs/ACCOUNT/CloudTrail/REGION/YEAR/MONTH/DAY, with an organisation's id and some to spare.
const DEPTH: usize = 12;

/// Arguments of `audit reconcile`.
#[derive(clap::Args)]
#[command(
    after_help = "FILE is what CloudTrail writes into its bucket (.json or .json.gz, or a folder of them), what `aws cloudtrail \
lookup-events` prints, or records one a line. IAM's calls are in one Region (us-east-1 in the partition aws), STS's in \
their own: give both.\n\n\
Exit code 0: every use is accounted for. 11: a use is not in the record. 3: a call of the record is not in the trail, which \
may lag by a quarter of an hour.\n\n  \
aws cloudtrail lookup-events --region us-east-1 --lookup-attributes AttributeKey=Username,AttributeValue=break-glass > trail.json"
)]
pub(super) struct Args {
    /// CloudTrail's export: files or folders
    #[arg(required = true, value_name = "FILE")]
    trail: Vec<PathBuf>,
    /// The record: an export of it (a folder, or events.jsonl alone); without it, the agent's
    #[arg(long, value_name = "PATH")]
    export: Option<PathBuf>,
    /// A roster, a chain of them, or the rosters.json of an export, where there is none beside the record
    #[arg(long, value_name = "FILE", requires = "export")]
    roster: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let mut uses = Vec::new();
    for path in &args.trail {
        gather(path, DEPTH, &mut uses)?;
    }
    let ledger = match &args.export {
        Some(path) => offline(path, args, door)?,
        None => {
            let agent = door.agent()?;
            let rosters = rosters_of_agent(&agent, &mut Memory::open()?, door)?;
            // Nobody looks at the envelopes here.
            let mut record = Record::of(&agent, None);
            let lines = BufReader::with_capacity(1 << 20, &mut record);
            let ledger = ledger(lines, &rosters, door);
            match record.failed {
                Some(problem) => return Err(problem),
                None => ledger?,
            }
        }
    };
    let result = reconcile(uses, &ledger);
    let json = serde_json::json!({ "accounted": result.is_whole(), "reconciled": result });
    door.ui.result(&json, &shown(&result))?;
    Ok(
        match (result.unmatched.is_empty(), result.missing.is_empty()) {
            (false, _) => ExitCode::from(Code::Tampering.exit_status()),
            (true, false) => ExitCode::from(Code::Refused.exit_status()),
            (true, true) => ExitCode::SUCCESS,
        },
    )
}

/// Reads a file, or every export in a folder.
fn gather(path: &Path, depth: usize, uses: &mut Vec<Use>) -> Result<(), Problem> {
    let unreadable = |why: std::io::Error| files::unreadable(path, &why);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        let bytes = files::read_at_most(path, MAX_TRAIL)?;
        let found = read(&bytes).map_err(|why| {
            Problem::new(Code::Usage, format!("{}: {why}", files::shown(path)))
                .hint("give what CloudTrail writes, or what aws cloudtrail lookup-events prints")
        })?;
        uses.extend(found);
        return Ok(());
    }
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Problem::new(
            Code::Usage,
            format!("{} is too deep a folder", files::shown(path)),
        ));
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for entry in entries {
        let name = entry.to_string_lossy();
        let export = [".json", ".json.gz", ".jsonl"]
            .iter()
            .any(|end| name.ends_with(end));
        if export || entry.is_dir() {
            gather(&entry, deeper, uses)?;
        }
    }
    Ok(())
}

fn offline(path: &Path, args: &Args, door: &Door) -> Result<Ledger, Problem> {
    let rosters = rosters(Some(path), &args.roster, door)?;
    let bad = |why: &dyn std::fmt::Display| {
        Problem::new(Code::Usage, format!("{}: {why}", files::shown(path)))
    };
    match path.is_dir() {
        true => {
            let folder = Folder::open(path).map_err(|why| bad(&why))?;
            ledger(folder.lines().map_err(|why| bad(&why))?, &rosters, door)
        }
        false => {
            let file = File::open(path).map_err(|why| files::unreadable(path, &why))?;
            ledger(BufReader::with_capacity(1 << 20, file), &rosters, door)
        }
    }
}

/// The record's part in it. That its lines follow one another is checked on the way; who vouches for them is what `audit verify` says.
fn ledger(lines: impl BufRead, rosters: &Rosters, door: &Door) -> Result<Ledger, Problem> {
    let principals = principals(rosters);
    if principals.users.is_empty() {
        return Err(
            Problem::new(Code::Usage, "no roster says who the break-glass user is")
                .hint("name the vault's roster with --roster"),
        );
    }
    let _said = Waiting::begin("the record to be read");
    let mut ledger = Ledger::new(principals);
    let unreadable =
        |why| Problem::new(Code::Internal, format!("the record cannot be read: {why}"));
    let broken = |why: String| {
        Problem::new(Code::Tampering, format!("the record breaks off: {why}"))
            .hint("see what it proves still: twotap audit verify")
    };
    let mut walk = Walk::after(Head::default());
    let mut source = Lines::of(lines);
    while let Some(line) = source.line().map_err(unreadable)? {
        let seen = line.examine();
        if !walk.step(&seen) {
            let later = std::iter::from_fn(|| source.line().ok().flatten());
            let fault = walk.diagnose(&seen, later.map(|line| line.examine()), |_| None);
            return Err(broken(fault.to_string()));
        }
        let event = Event::parse(&line.bytes).map_err(|why| broken(why.to_string()))?;
        ledger.add(&event);
    }
    let events = walk.head().seq;
    door.ui
        .step(format!("{events} events of the record were read"));
    Ok(ledger)
}

/// Users and roles of every version of every roster.
fn principals(rosters: &Rosters) -> Principals {
    let mut all = Principals::default();
    for roster in rosters.all() {
        all.users.insert(roster.aws.user_arn.clone());
        all.helpers.insert(roster.aws.steward_role_arn.clone());
        for access in &roster.access {
            all.roles.insert(access.role_arn.clone());
            for target in &access.also {
                all.roles.insert(target.role_arn.clone());
                all.helpers.insert(target.steward_role_arn.clone());
            }
            for secret in &access.secrets {
                let Some(setter) = &secret.setter else {
                    continue;
                };
                all.helpers.insert(setter.role_arn.clone());
                let sets = all.setters.entry(setter.role_arn.clone());
                sets.or_default().insert(secret.arn.clone());
            }
        }
    }
    all.roles.extend(all.helpers.iter().cloned());
    all
}

fn shown(result: &Reconciled) -> String {
    let mut text = String::new();
    for work in &result.works {
        text.push_str(&work_shown(work));
    }
    for one in &result.unmatched {
        text.push_str(&format!(
            "UNMATCHED  {}  {}{}\n  who    {}\n  where  {}\n  key    {}\n  why    {}\n  event  {}\n",
            plain(&one.time),
            plain(&one.call),
            if one.refused { " (refused)" } else { "" },
            plain(&one.who),
            plain(&one.ip),
            plain(one.key.as_deref().unwrap_or("none")),
            plain(&one.why),
            plain(&one.event_id),
        ));
    }
    for one in &result.missing {
        text.push_str(&format!(
            "MISSING    {}  event {} {} ({}) of {}: AWS's request {} is not in the trail\n",
            plain(&one.time),
            one.seq,
            plain(&one.event_type),
            plain(&one.call),
            plain(&one.id),
            plain(&one.request_id),
        ));
    }
    let covers = match &result.covers {
        Some((first, last)) => format!("from {} to {}", plain(first), plain(last)),
        None => "nothing".to_owned(),
    };
    text.push_str(&format!(
        "the trail covers {covers}: {} uses, {} unmatched, {} missing; {} other calls\n",
        result.uses,
        result.unmatched.len(),
        result.missing.len(),
        result.others,
    ));
    if result.uncovered > 0 {
        text.push_str(&format!(
            "{} calls of the record lie outside that time, and are not accounted for\n",
            result.uncovered
        ));
    }
    text
}

fn work_shown(work: &Accounted) -> String {
    let mut text = plain(&work.id);
    for (name, value) in [("operator", &work.operator), ("incident", &work.incident)] {
        if let Some(value) = value {
            text.push_str(&format!("  {name} {}", plain(value)));
        }
    }
    text.push('\n');
    if !work.worker.is_empty() {
        text.push_str(&format!("  matched  worker: {}\n", counted(&work.worker)));
    }
    for session in &work.sessions {
        let role = session.role.rsplit('/').next().unwrap_or_default();
        let refused = match session.refused {
            0 => String::new(),
            n => format!(" ({n} refused)"),
        };
        let calls = match session.calls.is_empty() {
            true => "no call".to_owned(),
            false => counted(&session.calls),
        };
        text.push_str(&format!(
            "  matched  session {} {}: {calls}{refused}\n",
            plain(role),
            plain(&session.key)
        ));
    }
    text
}

/// `sts:AssumeRole 3, iam:ListAccessKeys`.
fn counted(calls: &BTreeMap<String, u64>) -> String {
    let calls = calls.iter().map(|(call, times)| match times {
        1 => plain(call),
        n => format!("{} {n}", plain(call)),
    });
    calls.collect::<Vec<_>>().join(", ")
}
