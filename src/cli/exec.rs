//! `twotap exec`: runs a command with the session, through a private AWS configuration.
//!
//! The command gets no secret in its environment: its SDK calls `twotap credentials` by `credential_process` whenever it wants the session, and
//! so notices when the session has ended. The configuration lies in a folder of this user alone and is removed at the end.

use std::{
    ffi::OsString,
    io,
    os::unix::{fs::DirBuilderExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use rand_core::{OsRng, RngCore as _};
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    protocol::{
        Code, Problem,
        socket::{RequestView, Stage, TargetState},
    },
    trust::{file::write_new, request::Offer},
};

use super::{Door, Ended, client::request_path, files, hygiene::Before, open, status};

/// Arguments of `exec`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit code: the command's own; 128 + N if signal N ended it; 125 if twotap itself failed, 126 if the command \
cannot be run, 127 if there is no such command."
)]
pub(super) struct Args {
    /// Id of the request; without it, your only open session
    session: Option<String>,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The exit code of failures that are not the command's.
pub(super) const OWN_FAILURE: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What would win over the private configuration, or leak another session into the command.
const REMOVED: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];

pub(super) fn run(args: Args, door: &Door, before: &Before) -> Ended {
    let agent = door.agent()?;
    let session = open::session(&agent, args.session)?;
    let view: RequestView = agent.ask(&request_path(&session, "")?)?;
    if view.stage != Stage::Open {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "session {session} is not open: {}",
                status::stage(view.stage)
            ),
        )
        .hint("see twotap status"));
    }
    let Offer(request) = view.offer.unverified::<Offer>()?;
    let region = request.regions.first().map_or("us-east-1", String::as_str);
    let exe = std::env::current_exe()
        .map_err(|why| Problem::new(Code::Internal, format!("cannot find myself: {why}")))?;
    let socket = agent.socket().ok_or_else(|| {
        Problem::new(Code::Refused, "a session is not handed over ssh")
            .hint("run twotap on the agent's host: ssh HOST, then twotap exec")
    })?;
    let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    let roles = roles(&view);
    let config = config(&exe, &socket, &session, region, &roles)?;
    drop(agent);
    if let [_, _, ..] = roles.as_slice() {
        let names: Vec<String> = roles.iter().map(Role::profile).collect();
        door.ui.note(format!("profiles: {}", names.join(", ")));
    }
    for target in &view.targets {
        if let TargetState::NotOpened { why } = &target.state {
            let what = format!("{} was not opened: {why}", target.role);
            door.ui.warn(super::ui::plain(&what));
        }
    }

    let folder = Private::new()?;
    let file = folder.0.join("config");
    write_new(&file, config.as_bytes(), 0o600).map_err(|why| files::unwritable(&file, &why))?;
    let mut command = std::process::Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env("AWS_CONFIG_FILE", &file)
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_PROFILE", "break-glass")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for name in REMOVED {
        command.env_remove(name);
    }
    let status = supervise(command, before);
    drop(folder);
    match status {
        Ok(status) => Ok(ExitCode::from(code_of(status))),
        Err(why) => {
            let shown = super::ui::plain(&args.command[0].to_string_lossy());
            let problem = Problem::new(Code::Usage, format!("cannot run {shown}: {why}"));
            door.ui.fail(&problem);
            Ok(ExitCode::from(match why.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => CANNOT_RUN,
            }))
        }
    }
}

/// A role that the session is open in.
struct Role {
    account: String,
    name: String,
}

impl Role {
    /// The name of its profile.
    fn profile(&self) -> String {
        format!("twotap-{}-{}", self.account, self.name)
    }
}

/// The roles that are open, if there are several; with one there is nothing to choose from.
fn roles(view: &RequestView) -> Vec<Role> {
    let written = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+=,.@-_".contains(&b))
    };
    if view.targets.len() < 2 {
        return Vec::new();
    }
    view.targets
        .iter()
        .filter(|t| t.state == TargetState::Open)
        .map(|t| Role {
            account: t.account.clone(),
            name: t.role.rsplit('/').next().unwrap_or_default().to_owned(),
        })
        .filter(|r| written(&r.account) && written(&r.name))
        .collect()
}

/// The AWS configuration: the first role under the names that commands use by themselves, and each of several under its own. Where the first
/// could not be opened those names give nothing: another account never stands in for it. <https://docs.aws.amazon.com/cli/latest/topic/config-vars.html>.
fn config(
    exe: &Path,
    socket: &Path,
    session: &str,
    region: &str,
    roles: &[Role],
) -> Result<String, Problem> {
    let quoted = |path: &Path| {
        let text = path.to_str().filter(|text| {
            !text
                .chars()
                .any(|c| c.is_control() || matches!(c, '"' | '\\' | '$' | '`'))
        });
        text.map(|text| format!("\"{text}\"")).ok_or_else(|| {
            Problem::new(
                Code::Usage,
                format!(
                    "{} cannot be written into an aws configuration",
                    files::shown(path)
                ),
            )
            .hint("use paths without quotes, backslashes, dollar signs and backticks")
        })
    };
    let process = format!(
        "{} --agent {} credentials {session}",
        quoted(exe)?,
        quoted(socket)?
    );
    let section = |name: &str, which: &str| {
        format!("[{name}]\ncredential_process = {process}{which}\nregion = {region}\n")
    };
    let mut sections = vec![section("default", ""), section("profile break-glass", "")];
    for role in roles {
        let which = format!(" --account {} --role {}", role.account, role.name);
        let name = format!("profile {}", role.profile());
        sections.push(section(&name, &which));
    }
    Ok(sections.join("\n"))
}

/// A folder of this user alone, in memory where there is such a place; gone when dropped.
struct Private(PathBuf);

impl Private {
    fn new() -> Result<Self, Problem> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute() && path.is_dir());
        let places = runtime
            .into_iter()
            .chain([PathBuf::from("/dev/shm"), std::env::temp_dir()]);
        let name = format!("twotap-{}-{:016x}", std::process::id(), OsRng.next_u64());
        let mut last = None;
        for place in places {
            let folder = place.join(&name);
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self(folder)),
                Err(why) => last = Some(files::unwritable(&folder, &why)),
            }
        }
        Err(last.unwrap_or_else(|| Problem::new(Code::Internal, "no place for a private folder")))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts the command and waits for it. Signals to us go on to it, so that the folder is always removed; those that the terminal sends to
/// both are not sent twice.
fn supervise(
    command: std::process::Command,
    before: &Before,
) -> io::Result<std::process::ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = [
            (signal(SignalKind::interrupt())?, Signal::INT),
            (signal(SignalKind::quit())?, Signal::QUIT),
            (signal(SignalKind::terminate())?, Signal::TERM),
            (signal(SignalKind::hangup())?, Signal::HUP),
            (signal(SignalKind::user_defined1())?, Signal::USR1),
            (signal(SignalKind::user_defined2())?, Signal::USR2),
        ];
        let mut command = tokio::process::Command::from(command);
        let mut child = before.restored(|| command.spawn())?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let [int, quit, term, hup, usr1, usr2] = &mut signals;
        loop {
            let (which, from_keys) = tokio::select! {
                status = child.wait() => return status,
                _ = int.0.recv() => (int.1, true),
                _ = quit.0.recv() => (quit.1, true),
                _ = term.0.recv() => (term.1, false),
                _ = hup.0.recv() => (hup.1, false),
                _ = usr1.0.recv() => (usr1.1, false),
                _ = usr2.0.recv() => (usr2.1, false),
            };
            if let Some(pid) = pid
                && !(from_keys && in_foreground())
            {
                let _ = kill_process(pid, which);
            }
        }
    })
}

/// Whether a Ctrl-C at the terminal reaches our process group, and so the command too.
fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|tty| rustix::termios::tcgetpgrp(&tty).ok())
        == Some(getpgrp())
}

fn code_of(status: std::process::ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(OWN_FAILURE),
        (None, Some(signal)) => u8::try_from(128 + signal).unwrap_or(OWN_FAILURE),
        (None, None) => OWN_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_session_and_holds_no_secret() {
        let text = config(
            Path::new("/opt/two tap/twotap"),
            Path::new("/run/a.sock"),
            "r-abcdefghijklm",
            "eu-central-1",
            &[],
        )
        .expect("plain paths");
        let process = "credential_process = \"/opt/two tap/twotap\" --agent \"/run/a.sock\" credentials r-abcdefghijklm\nregion = eu-central-1\n";
        assert_eq!(
            text,
            format!("[default]\n{process}\n[profile break-glass]\n{process}")
        );
        for bad in ["/a\"b", "/a\nb", "/a$(b)", "/a`b"] {
            assert!(
                config(Path::new(bad), Path::new("/s"), "r", "x", &[]).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn each_of_several_roles_has_a_profile_and_none_takes_the_place_of_the_first() {
        let mut view = crate::cli::tests::view(&crate::cli::tests::sample_request(), String::new());
        let target = |account: &str, state| crate::protocol::socket::TargetView {
            account: account.to_owned(),
            role: format!("arn:aws:iam::{account}:role/twotap/op-admin"),
            state,
            since: crate::trust::Timestamp(0),
            refused: Vec::new(),
            setback: None,
        };
        let why = "refused".to_owned();
        view.targets = vec![target("111122223333", TargetState::NotOpened { why })];
        assert!(roles(&view).is_empty());
        view.targets.push(target("444455556666", TargetState::Open));
        view.targets.push(target("777788889999", TargetState::Open));
        let text = config(
            Path::new("/t"),
            Path::new("/a"),
            "r-abcdefghijklm",
            "eu-central-1",
            &roles(&view),
        )
        .expect("plain paths");
        let names: Vec<&str> = text.lines().filter(|l| l.starts_with('[')).collect();
        assert_eq!(
            names,
            [
                "[default]",
                "[profile break-glass]",
                "[profile twotap-444455556666-op-admin]",
                "[profile twotap-777788889999-op-admin]"
            ]
        );
        let first = text.lines().nth(1).expect("a line");
        assert!(first.ends_with("credentials r-abcdefghijklm"), "{first}");
        assert!(
            text.contains("credentials r-abcdefghijklm --account 444455556666 --role op-admin\n")
        );
    }

    #[test]
    fn the_private_folder_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Private::new().expect("a folder");
        let path = folder.0.clone();
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
