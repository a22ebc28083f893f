//! `twotap recovery create`: a recovery identity that nobody ever holds, on as many sheets as there are holders.
//!
//! A worker without files and network makes it, splits it and tries every share; sheets leave it one at a time, and this program passes
//! each on at once: to a folder in memory, or to the printer's command. What stays is public: the recipient, and the set's record.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use serde::Serialize;
use time::OffsetDateTime;
use twotap_shares::{Group, Scheme};
use zeroize::Zeroizing;

use super::{
    super::{
        Door, Ended, files,
        ui::{Ui, Waiting, plain},
    },
    worker::Worker,
};
use crate::{
    protocol::{
        Code, Problem,
        recovery::{Answer, Ask, Wanted, WantedGroup},
    },
    trust::{recovery::RecoverySet, text::check_name},
};

/// Arguments of `recovery create`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The vault, e.g. prod
    vault: String,
    /// How many sheets
    #[arg(
        long,
        value_name = "N",
        requires = "threshold",
        conflicts_with = "group"
    )]
    shares: Option<u8>,
    /// How many of them are needed
    #[arg(long, value_name = "K", requires = "shares")]
    threshold: Option<u8>,
    /// A group of sheets, e.g. 2of3:executives; may be given several times
    #[arg(long, value_name = "KofN:NAME", value_parser = group)]
    group: Vec<WantedGroup>,
    /// How many groups are needed
    #[arg(long, value_name = "G", default_value_t = 1, requires = "group")]
    any: u8,
    /// Ask for a passphrase that is needed besides the words; it is printed on no sheet
    #[arg(long)]
    passphrase: bool,
    /// The paper in the printer
    #[arg(long, value_enum, default_value_t = Paper::A4)]
    paper: Paper,
    /// Put the sheets into this folder, which has to lie in memory (tmpfs)
    #[arg(
        long,
        value_name = "FOLDER",
        required_unless_present = "print",
        conflicts_with = "print"
    )]
    to: Option<PathBuf>,
    /// The folder may lie on a disk, where deleted sheets can be found again
    #[arg(long, requires = "to")]
    on_disk: bool,
    /// Give each sheet to this command on its standard input, e.g. 'lp -d safe'
    #[arg(long, value_name = "COMMAND")]
    print: Option<String>,
    /// Where to write the set's public record
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Paper {
    A4,
    Letter,
}

/// What a program is told.
#[derive(Serialize)]
struct Result_<'r> {
    recipient: &'r str,
    fingerprint: &'r str,
    record: String,
    sheets: Vec<String>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    check_name("vault name", &args.vault).map_err(|why| Problem::new(Code::Usage, why))?;
    let way = Way::of(args, &door.ui)?;
    files::must_be_new(&args.output)?;
    let groups = groups(args)?;
    let group_threshold = if args.group.is_empty() { 1 } else { args.any };
    makes_sense(&groups, group_threshold)?;
    let today = OffsetDateTime::now_utc().date();
    let wanted = Wanted {
        vault: args.vault.clone(),
        made: (
            u16::try_from(today.year()).unwrap_or(0),
            u8::from(today.month()),
            today.day(),
        ),
        group_threshold,
        groups,
        passphrase: passphrase(args, &door.ui)?,
        letter: args.paper == Paper::Letter,
    };

    let mut worker = Worker::start()?;
    let Answer::Made { set, fingerprint } = worker.ask(&Ask::Make(wanted))? else {
        return Err(out_of_turn());
    };
    let total: usize = set.groups.iter().map(|g| g.shares.len()).sum();
    let mut sheets = Vec::new();
    for n in 1..=total {
        let Answer::Sheet { group, place, pdf } = worker.ask(&Ask::Next)? else {
            return Err(out_of_turn());
        };
        let pdf = Zeroizing::new(pdf.0);
        let name = match &group {
            Some(group) => format!("{}-{group}-{place}.pdf", set.vault),
            None => format!("{}-share-{place}.pdf", set.vault),
        };
        sheets.push(way.hand_on(&name, &pdf)?);
        door.ui
            .step(format!("sheet {n} of {total}: {}", sheets[n - 1]));
    }
    if !matches!(worker.wait()?, Answer::Done) {
        return Err(out_of_turn());
    }
    files::write_public_new(&args.output, &set)?;
    shown(&set, &fingerprint, sheets, args, door)
}

fn shown(
    set: &RecoverySet,
    fingerprint: &str,
    sheets: Vec<String>,
    args: &Args,
    door: &Door,
) -> Ended {
    let record = files::shown(&args.output);
    let text = format!(
        "recipient  {}\nset        {fingerprint}\nrecord     {record} (public)",
        set.recipient
    );
    let result = Result_ {
        recipient: &set.recipient,
        fingerprint,
        record,
        sheets,
    };
    door.ui.result(&result, &text)?;
    if args.to.is_some() {
        door.ui.warn("print the sheets, give each holder one, then remove the files: who has enough of them has the vault");
    }
    door.ui.note(format!(
        "let each holder try the own sheet: twotap recovery check --set {}",
        files::shown(&args.output)
    ));
    door.ui.note(format!(
        "the custodians take it up: twotap roster propose {} --recovery {} -o FILE",
        plain(&set.vault),
        files::shown(&args.output)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Where sheets go.
enum Way<'a> {
    Folder(&'a Path),
    Printer(&'a str),
}

impl<'a> Way<'a> {
    fn of(args: &'a Args, ui: &Ui) -> Result<Self, Problem> {
        match (&args.to, &args.print) {
            (Some(folder), _) => {
                in_memory(folder, args.on_disk, ui)?;
                Ok(Self::Folder(folder))
            }
            (None, Some(command)) => Ok(Self::Printer(command)),
            (None, None) => Err(Problem::new(Code::Usage, "say where the sheets go")
                .hint("--to FOLDER or --print COMMAND")),
        }
    }

    /// Passes one sheet on; answers where it went.
    fn hand_on(&self, name: &str, pdf: &[u8]) -> Result<String, Problem> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .and_then(|mut file| file.write_all(pdf).and_then(|()| file.sync_all()))
                    .map_err(|why| files::unwritable(&path, &why))?;
                Ok(files::shown(&path))
            }
            Self::Printer(command) => {
                print(command, pdf)?;
                Ok(format!("printed ({name})"))
            }
        }
    }
}

/// The shell runs it, so that options and pipes work as people write them.
fn print(command: &str, pdf: &[u8]) -> Result<(), Problem> {
    let failed = |why: &str| {
        Problem::new(Code::Usage, format!("the printer's command {why}")).hint(
            "sheets that were printed belong to a set that is void: shred them and begin again",
        )
    };
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|why| failed(&format!("does not start: {why}")))?;
    let _said = Waiting::begin("the printer's command");
    let given = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(pdf),
        None => Ok(()),
    };
    let ended = child.wait().map_err(|why| failed(&why.to_string()))?;
    match given {
        Ok(()) if ended.success() => Ok(()),
        Ok(()) => Err(failed(&format!("failed ({ended})"))),
        Err(why) => Err(failed(&format!("did not read the sheet: {why}"))),
    }
}

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of Linux's `statfs(2)`.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

fn in_memory(folder: &Path, on_disk: bool, ui: &Ui) -> Result<(), Problem> {
    let metadata = fs::metadata(folder).map_err(|why| files::unreadable(folder, &why))?;
    if !metadata.is_dir() {
        return Err(Problem::new(
            Code::Usage,
            format!("{} is not a folder", files::shown(folder)),
        ));
    }
    let kind = rustix::fs::statfs(folder)
        .map_err(|why| files::unreadable(folder, &why.into()))?
        .f_type as u64;
    if IN_MEMORY.contains(&kind) {
        return Ok(());
    }
    if on_disk {
        ui.warn("the sheets are written to a disk: what is deleted there can be found again");
        return Ok(());
    }
    Err(Problem::new(
        Code::Refused,
        format!(
            "{} lies on a disk, where deleted sheets can be found again",
            files::shown(folder)
        ),
    )
    .hint(
        "take a folder under /dev/shm or /run/user, print with --print, or insist with --on-disk",
    ))
}

fn groups(args: &Args) -> Result<Vec<WantedGroup>, Problem> {
    if args.group.len() == 1 {
        return Err(Problem::new(Code::Usage, "one group is no group")
            .hint("use --shares and --threshold, or name a second --group"));
    }
    match (args.shares, args.threshold) {
        (Some(count), Some(threshold)) => Ok(vec![WantedGroup {
            name: None,
            threshold,
            count,
        }]),
        _ if args.group.is_empty() => Err(Problem::new(Code::Usage, "say how many sheets")
            .hint("e.g. --shares 5 --threshold 3, or --group 2of3:executives --group 3of5:board")),
        _ => Ok(args.group.clone()),
    }
}

/// `2of3:executives`.
/// Says of a set that cannot be so before a passphrase is asked for and a worker started.
fn makes_sense(groups: &[WantedGroup], group_threshold: u8) -> Result<(), Problem> {
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold,
        groups: groups
            .iter()
            .map(|g| Group {
                threshold: g.threshold,
                count: g.count,
            })
            .collect(),
    };
    scheme
        .check()
        .map_err(|why| Problem::new(Code::Usage, why))?;
    // Two groups of one name would be two sheets of one name.
    for (n, group) in groups.iter().enumerate() {
        if groups[..n].iter().any(|other| other.name == group.name) {
            return Err(Problem::new(Code::Usage, "two groups have the same name"));
        }
    }
    // 1 of 1 splits nothing: whoever has the sheet has the vault.
    if group_threshold == 1 && groups.iter().any(|group| group.threshold == 1) {
        return Err(
            Problem::new(Code::Usage, "one sheet alone would open the vault")
                .hint("take a threshold of two or more"),
        );
    }
    Ok(())
}

fn group(text: &str) -> Result<WantedGroup, String> {
    let parsed = text.split_once(':').and_then(|(size, name)| {
        let (threshold, count) = size.split_once("of")?;
        check_name("group's name", name).ok()?;
        Some(WantedGroup {
            name: Some(name.to_owned()),
            threshold: threshold.parse().ok()?,
            count: count.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| "a group is written like 2of3:executives".to_owned())
}

/// Asked twice: what was mistyped once would be lost for ever.
fn passphrase(args: &Args, ui: &Ui) -> Result<Zeroizing<String>, Problem> {
    if !args.passphrase {
        return Ok(Zeroizing::new(String::new()));
    }
    let read = |question: &str| -> Result<Zeroizing<String>, Problem> {
        let (bytes, length) = ui.secret(question)?;
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(std::str::from_utf8(&bytes[..length]).map_err(|_| not_ascii())?);
        Ok(text)
    };
    let one = read("passphrase of the recovery set")?;
    if one.is_empty() {
        return Err(
            Problem::new(Code::Usage, "an empty passphrase is none").hint("leave --passphrase out")
        );
    }
    if !one.bytes().all(|b| (32..127).contains(&b)) {
        return Err(not_ascii());
    }
    let two = read("the same once more")?;
    if *one == *two {
        Ok(one)
    } else {
        Err(Problem::new(
            Code::Usage,
            "the two passphrases differ; nothing was made",
        ))
    }
}

fn not_ascii() -> Problem {
    Problem::new(Code::Usage, "a passphrase has printable ASCII alone")
        .hint("SLIP-39 allows nothing else, so that any tool can read it")
}

fn out_of_turn() -> Problem {
    Problem::new(
        Code::Internal,
        "the worker that makes the set spoke out of turn",
    )
}
