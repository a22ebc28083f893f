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
        event::{MAX_LINE, Record as Event},
        folder::Folder,
        reconcile::{Accounted, Ledger, Principals, Reconciled, Use, read, reconcile},
        signed::{Chains, Rosters},
    },
    protocol::{Code, Problem},
    trust::roster::Roster,
};

use crate::cli::{
    Door, Ended, files,
    ui::{Waiting, plain},
};

use super::{
    export::ROSTERS,
    pages::{Kept, Record, chains},
};

/// The largest file of an export, in bytes.
const MAX_TRAIL: u64 = 1 << 30;
/// How deep a folder is looked through: AWSLogs/ACCOUNT/CloudTrail/REGION/YEAR/MONTH/DAY, with an organisation's id and some to spare.
const DEPTH: usize = 12;

/// Arguments of `audit reconcile`.
#[derive(clap::Args)]
#[command(
    after_help = "FILE is what CloudTrail writes into its bucket (.json or .json.gz, or a folder of them), what `aws cloudtrail \
lookup-events` prints, or records one a line. IAM's calls are in us-east-1, STS's in their Region: give both.\n\n\
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
    /// A roster, or a chain of them, where the export has none
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
            let chains = chains(&agent)?;
            Rosters::verify(&chains)?;
            let kept = Kept::default();
            let mut record = Record::of(&agent, &kept);
            let lines = BufReader::with_capacity(1 << 20, &mut record);
            let ledger = ledger(lines, &chains, door);
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
    let mut chains = Chains::new();
    if path.is_dir() {
        let beside = path.join(ROSTERS);
        if beside.exists() {
            chains = files::read_json(&beside, "a list of rosters")?;
        }
    }
    for file in &args.roster {
        super::verify::add_roster(&mut chains, file)?;
    }
    Rosters::verify(&chains)?;
    let bad = |why: &dyn std::fmt::Display| {
        Problem::new(Code::Usage, format!("{}: {why}", files::shown(path)))
    };
    match path.is_dir() {
        true => {
            let folder = Folder::open(path).map_err(|why| bad(&why))?;
            ledger(folder.lines().map_err(|why| bad(&why))?, &chains, door)
        }
        false => {
            let file = File::open(path).map_err(|why| files::unreadable(path, &why))?;
            ledger(BufReader::with_capacity(1 << 20, file), &chains, door)
        }
    }
}

/// The record's part in it. That its lines follow one another is checked on the way; who vouches for them is what `audit verify` says.
fn ledger(mut lines: impl BufRead, chains: &Chains, door: &Door) -> Result<Ledger, Problem> {
    let principals = principals(chains)?;
    if principals.users.is_empty() {
        return Err(
            Problem::new(Code::Usage, "no roster says who the break-glass user is")
                .hint("name the vault's roster with --roster"),
        );
    }
    let _said = Waiting::begin("the record to be read");
    let mut ledger = Ledger::new(principals);
    let mut head = crate::audit::chain::Head::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line that never ends must not fill the memory.
        let mut bounded = std::io::Read::take(&mut lines, MAX_LINE as u64 + 1);
        let read = bounded.read_until(b'\n', &mut line).map_err(|why| {
            Problem::new(Code::Internal, format!("the record cannot be read: {why}"))
        })?;
        if read == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let broken = || {
            Problem::new(
                Code::Tampering,
                format!("the record breaks off after event {}", head.seq),
            )
            .hint("see where and why: twotap audit verify")
        };
        let event = Event::parse(text).map_err(|_| broken())?;
        if event.seq != head.seq + 1 || event.prev != head.hash {
            return Err(broken());
        }
        head = head.after(text);
        ledger.add(&event);
    }
    door.ui
        .step(format!("{} events of the record were read", head.seq));
    Ok(ledger)
}

/// Users and roles of every version of every roster.
fn principals(chains: &Chains) -> Result<Principals, Problem> {
    let mut all = Principals::default();
    for envelope in chains.values().flatten() {
        let roster = envelope.unverified::<Roster>()?;
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
    Ok(all)
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
