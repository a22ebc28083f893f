//! `twotap setup aws-profile`: the profile `break-glass` for `aws --profile break-glass` and every SDK, outside `exec` and `shell`.
//!
//! The person's own file is changed, so the change is shown, asked about, and written whole or not at all. What somebody else put under that name
//! stays as it is.

mod profile;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    protocol::{
        Code, Problem,
        socket::{Status, VaultView},
    },
    trust::{file::write_atomic, text::check_name},
};

use super::{
    Door, Ended,
    client::{Agent, vault_path},
    files, roster,
    session::{config, console},
    ui::plain,
};
use profile::{Change, Unfit, Wanted};

/// Arguments of `setup`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Write the profile that gives your open session to the AWS CLI and the SDKs
    AwsProfile(ProfileArgs),
}

#[derive(clap::Args)]
struct ProfileArgs {
    /// The profile's name
    #[arg(long, default_value = "break-glass", value_name = "NAME")]
    name: String,
    /// The file; without it, AWS_CONFIG_FILE or ~/.aws/config
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The profile's Region; without it, the first that the roster names
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Take the profile away again
    #[arg(long, conflicts_with = "region")]
    remove: bool,
    /// Write without asking
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.what {
        What::AwsProfile(args) => aws_profile(&args, door),
    }
}

fn aws_profile(args: &ProfileArgs, door: &Door) -> Ended {
    check_name("profile name", &args.name)?;
    if args.name == "default" {
        return Err(Problem::new(
            Code::Refused,
            "break-glass access is not to be what commands use without being told",
        )
        .hint("name the profile otherwise: --name NAME"));
    }
    let file = Target::open(args.file.as_deref())?;
    let change = match args.remove {
        true => profile::remove(&file.text, &args.name),
        false => {
            no_keys_beside(&args.name)?;
            let agent = door.agent()?;
            let process = process(&agent)?;
            let region = match &args.region {
                Some(text) => Some(region(text)?),
                None => first_region(&agent),
            };
            profile::set(
                &file.text,
                &Wanted {
                    name: &args.name,
                    process: &process,
                    region: region.as_deref(),
                },
            )
        }
    };
    let change = change.map_err(|why| unfit(why, &file, &args.name))?;
    let Some(change) = change else {
        let said = match args.remove {
            true => format!("there is no profile {} in {}", args.name, file.shown()),
            false => format!("{} has the profile {} already", file.shown(), args.name),
        };
        return told(args, door, &file, &[], &said);
    };

    let shown = format!("{}:\n  {}", file.shown(), as_read(&change));
    if !args.yes {
        door.ui.screen(&shown, true)?;
        if !door.ui.confirm("write this?")? {
            return Err(Problem::new(Code::Refused, "nothing was written"));
        }
    } else if !door.ui.json() {
        door.ui.step(&shown);
    }
    file.write(&change.text)?;
    let said = match args.remove {
        true => format!("took the profile {} from {}", args.name, file.shown()),
        false => format!(
            "wrote the profile {0} to {1}\nnext, with an open session: aws --profile {0} sts get-caller-identity",
            args.name,
            file.shown()
        ),
    };
    told(args, door, &file, &change.shown, &said)
}

/// What SDKs are to run: this program, with the agent that it is used with now.
fn process(agent: &Agent) -> Result<String, Problem> {
    let exe = std::env::current_exe()
        .map_err(|why| Problem::new(Code::Internal, format!("cannot find myself: {why}")))?;
    let socket = agent.socket().ok_or_else(|| {
        Problem::new(Code::Refused, "a session is not handed over ssh")
            .hint("run twotap on the agent's host: ssh HOST, then twotap setup aws-profile")
    })?;
    let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    config::process(&exe, &socket)
}

fn told(args: &ProfileArgs, door: &Door, file: &Target, lines: &[String], said: &str) -> Ended {
    let object = serde_json::json!({
        "profile": args.name, "file": file.path, "changed": !lines.is_empty(), "lines": lines,
    });
    door.ui.result(&object, said)?;
    Ok(ExitCode::SUCCESS)
}

fn as_read(change: &Change) -> String {
    let lines: Vec<String> = change.shown.iter().map(|line| plain(line)).collect();
    lines.join("\n  ")
}

/// Why the file stays as it is.
fn unfit(why: Unfit, file: &Target, name: &str) -> Problem {
    let what = match why {
        Unfit::Foreign(setting) => format!(
            "{} has a profile {name} that is not twotap's ({})",
            file.shown(),
            plain(&setting)
        ),
        Unfit::Twice => format!("{} has the profile {name} more than once", file.shown()),
    };
    Problem::new(Code::Refused, what).hint(
        "nothing was written; name another profile (--name NAME), or take that one away yourself",
    )
}

/// A Region becomes a line of the file.
fn region(text: &str) -> Result<String, Problem> {
    console::region(text).map_err(|_| {
        Problem::new(
            Code::Usage,
            format!("'{}' is not the name of a Region", plain(text)),
        )
        .hint("give one like --region eu-central-1")
    })
}

/// The first Region that the agent's first vault names. It only saves typing: where there is no answer there is no Region.
fn first_region(agent: &Agent) -> Option<String> {
    let status: Status = agent.ask("/v1/status").ok()?;
    let vault = &status.vaults.first()?.vault;
    let view: VaultView = agent.ask(&vault_path(vault, "").ok()?).ok()?;
    let roster = roster::shown(&view.roster_chain).ok()?;
    region(roster.access.first()?.regions.first()?).ok()
}

/// The file that is changed, as it was read.
struct Target {
    /// Where it is once links are followed, so that a link stays one.
    path: PathBuf,
    text: String,
    /// Its mode; nothing where there is no file yet.
    mode: Option<u32>,
}

impl Target {
    fn open(named: Option<&Path>) -> Result<Self, Problem> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => usual("AWS_CONFIG_FILE", "config")?,
        };
        let path = fs::canonicalize(&path).unwrap_or(path);
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    path,
                    text: String::new(),
                    mode: None,
                });
            }
            Err(why) => return Err(files::unreadable(&path, &why)),
        };
        if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Problem::new(
                Code::Refused,
                format!("{} is not a file of yours", files::shown(&path)),
            )
            .hint("run it as the person whose profile it is, or name another file: --file FILE"));
        }
        Ok(Self {
            text: files::read_text(&path)?,
            path,
            mode: Some(meta.permissions().mode() & 0o777),
        })
    }

    fn shown(&self) -> String {
        files::shown(&self.path)
    }

    /// Writes it whole, if it still is what was shown.
    fn write(&self, text: &str) -> Result<(), Problem> {
        let failed = |why: io::Error| files::unwritable(&self.path, &why);
        let now = match fs::read(&self.path) {
            Ok(now) => now,
            Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(why) => return Err(files::unreadable(&self.path, &why)),
        };
        if now != self.text.as_bytes() {
            return Err(Problem::new(
                Code::Refused,
                format!("{} has just been changed by somebody else", self.shown()),
            )
            .hint("nothing was written; try again"));
        }
        if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        write_atomic(&self.path, text.as_bytes(), 0o600).map_err(failed)?;
        match self.mode {
            // Who could read it before can go on; there is no secret in what was added.
            Some(mode) => {
                fs::set_permissions(&self.path, fs::Permissions::from_mode(mode)).map_err(failed)
            }
            None => Ok(()),
        }
    }
}

/// One of the two files of the AWS CLI: where its variable says, else in `~/.aws`.
fn usual(variable: &str, name: &str) -> Result<PathBuf, Problem> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set(variable)
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".aws").join(name)))
        .ok_or_else(|| {
            Problem::new(Code::Internal, "HOME is not set").hint("name the file: --file FILE")
        })
}

/// Refuses where keys under this name would be taken in the place of the session.
fn no_keys_beside(name: &str) -> Result<(), Problem> {
    let path = usual("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
    // One that cannot be read by its person is not read by the SDKs either.
    let text = fs::read(&path).unwrap_or_default();
    if profile::has_keys(&String::from_utf8_lossy(&text), name) {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "{} has keys under the name {name}: they would be used in the place of the session",
                files::shown(&path)
            ),
        )
        .hint("nothing was written; name another profile (--name NAME), or take those keys away"));
    }
    Ok(())
}
