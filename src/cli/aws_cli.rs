//! AWS for people at a desk: the stock AWS CLI, with that person's own profile.
//!
//! What somebody may do in the account is AWS's business, and how they sign in (SSO, MFA, a vault of their own) is their own: so these verbs
//! run `aws`, as it is found in PATH, and never see a credential. No shell is between: each argument goes as it is. The person's environment is
//! handed on, the terminal too, where `aws` may ask for an MFA code; `aws` is kept from paging and from asking anything else. Each call has a
//! time limit, and what it answers is bounded.
//!
//! ```text
//! let aws = Aws::of(&args.aws);
//! let who = aws.json(&["sts", "get-caller-identity"])?;       // -> serde_json::Value, Null where aws prints nothing
//! match aws.json(&["iam", "get-role", "--role-name", name]) {
//!     Err(why) if why.is("NoSuchEntity") => ...               // AWS's own error code
//!     other => other?,                                        // else a Problem with its hint
//! }
//! ```

pub(super) mod debug;

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{self, ErrorKind},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{
    protocol::{Code, Problem},
    trust::power::refusal::{self, Said},
};

use super::{stop, ui::Waiting};

/// How long one call may take, sign-in included.
const TIME: Duration = Duration::from_secs(120);
/// The most that is read of what `aws` answers, in bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// The most that is read of what it says beside that, in bytes.
const SAID: u64 = 64 * 1024;
/// How long its pipes are waited for once it has ended: something of its own may hold them open.
const LEFT_OPEN: Duration = Duration::from_millis(500);
/// How long it may take to end when it is asked to.
const ENDING: Duration = Duration::from_secs(3);

/// Options of each verb that asks AWS.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Options {
    /// The AWS CLI's profile to ask with; else what the AWS CLI itself would take
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The Region; else the profile's
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// The AWS CLI of whoever runs the verb.
pub(super) struct Aws {
    options: Options,
    time: Duration,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// There is no `aws` in PATH, or it cannot be run: in the system's words.
    NotInstalled(String),
    /// It has no credentials, or AWS does not take them; what it said.
    NotSignedIn(String),
    /// AWS refused this action.
    Refused {
        /// `service:Action`, or the operation where AWS does not say.
        action: String,
        /// What it said.
        said: String,
    },
    /// AWS, or the endpoint that is configured, cannot be reached.
    Unreachable(String),
    /// Nothing came in time.
    TooLong(Duration),
    /// AWS answered with an error.
    Answered {
        /// AWS's code, e.g. `NoSuchEntity`.
        code: String,
        /// The operation, e.g. `GetRole`.
        operation: String,
        /// AWS's message.
        message: String,
    },
    /// `aws` failed otherwise: it does not know the option, has no such profile or no Region.
    Otherwise(String),
    /// What it printed is not what was asked for.
    Unreadable(String),
    /// The person has pressed Ctrl-C, or a signal came that [`stop`] listens for. It ends the call, not the verb, which may have something to put away.
    BrokenOff,
}

impl Aws {
    /// The AWS CLI with these options.
    pub(super) fn of(options: &Options) -> Self {
        Self {
            options: options.clone(),
            time: TIME,
        }
    }

    /// The same in another Region: for what stands in one Region alone, as IAM's events do.
    pub(super) fn in_region(&self, region: &str) -> Self {
        let mut options = self.options.clone();
        options.region = Some(region.to_owned());
        Self {
            options,
            time: self.time,
        }
    }

    /// The Region that it asks in: as named, else as the environment or the profile says.
    pub(super) fn region(&self) -> Result<String, Failed> {
        let named = self.options.region.clone();
        let from_environment = || {
            let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter();
            let mut values = variables.filter_map(|name| std::env::var(name).ok());
            values.find(|value| !value.is_empty())
        };
        if let Some(region) = named.or_else(from_environment) {
            return Ok(region);
        }
        let said = self.run(&["configure", "get", "region"]);
        let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
        match said.trim() {
            "" => Err(Failed::Otherwise("no Region is named".to_owned())),
            region => Ok(region.to_owned()),
        }
    }

    /// Runs `aws ARGUMENTS --output json` and reads its answer; [`Value::Null`] where it prints nothing.
    pub(super) fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value, Failed> {
        let said = self.run(arguments)?;
        if said.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&said)
            .map_err(|why| Failed::Unreadable(format!("what aws printed is not JSON: {why}")))
    }

    /// Runs it and gives what it prints: for `aws s3 cp s3://... -` and its like.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<u8>, Failed> {
        self.run_program(OsStr::new("aws"), arguments)
    }

    fn run_program<S: AsRef<OsStr>>(
        &self,
        program: &OsStr,
        arguments: &[S],
    ) -> Result<Vec<u8>, Failed> {
        let _said = Waiting::begin("aws");
        let command = self.command(program, arguments);
        runtime()?.block_on(ended(command, self.time))
    }

    /// The command, with nothing on its input, and pipes for what it answers and says.
    fn command<S: AsRef<OsStr>>(&self, program: &OsStr, arguments: &[S]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).args(["--output", "json"]);
        for (option, value) in [
            ("--profile", &self.options.profile),
            ("--region", &self.options.region),
        ] {
            if let Some(value) = value {
                command.arg(option).arg(value);
            }
        }
        if let Some(endpoint) = endpoint(arguments) {
            command.arg("--endpoint-url").arg(endpoint);
        }
        // Version 1 of the AWS CLI does not know this variable; version 2 takes it first.
        if let Some(region) = std::env::var_os("AWS_REGION").filter(|region| !region.is_empty()) {
            command.env("AWS_DEFAULT_REGION", region);
        }
        command
            .env("AWS_PAGER", "")
            .env("AWS_CLI_AUTO_PROMPT", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failed::Otherwise(format!("cannot run aws: {why}")))
}

/// The endpoint that the environment names, where it does. The AWS CLI heeds the same variables, but version 1 forgets them for some services
/// (SQS, RDS): given as an option they hold for all. Source: AWS SDKs and Tools Reference Guide, 'Service-specific endpoints'.
fn endpoint<S: AsRef<OsStr>>(arguments: &[S]) -> Option<OsString> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if named("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return None;
    }
    let service = arguments.first()?.as_ref().to_str()?;
    let service = match service {
        "s3api" => "S3".to_owned(),
        other => other.to_uppercase().replace('-', "_"),
    };
    named(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| named("AWS_ENDPOINT_URL"))
}

/// Runs the command to its end, or until its time is over.
async fn ended(mut command: Command, time: Duration) -> Result<Vec<u8>, Failed> {
    let mut child = command.spawn().map_err(|why| not_run(&why))?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let pipes = (child.stdout.take(), child.stderr.take());
    let status = {
        let reading =
            async { tokio::join!(read(pipes.0, MOST, &mut out), read(pipes.1, SAID, &mut err)) };
        tokio::pin!(reading);
        let over = tokio::time::sleep(time);
        tokio::pin!(over);
        let untold =
            |why: io::Error| Failed::Otherwise(format!("how aws ended cannot be told: {why}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(untold)?;
        let mut read_all = false;
        let status = loop {
            let early = tokio::select! {
                _ = interrupt.recv() => Failed::BrokenOff,
                () = stop::wait() => Failed::BrokenOff,
                () = &mut over => Failed::TooLong(time),
                _ = &mut reading, if !read_all => {
                    read_all = true;
                    continue;
                }
                status = child.wait() => break status.map_err(untold)?,
            };
            end(&mut child).await;
            return Err(early);
        };
        if !read_all {
            let _ = tokio::time::timeout(LEFT_OPEN, reading).await;
        }
        status
    };
    if !status.success() {
        return Err(failure(&String::from_utf8_lossy(&err)));
    }
    if out.len() as u64 > MOST {
        let most = MOST >> 20;
        return Err(Failed::Unreadable(format!(
            "aws printed more than {most} MiB"
        )));
    }
    Ok(out)
}

/// Ends what was begun and is not wanted any more, and waits until it is gone: what it was doing is done no more when its caller puts things away. Asked
/// first, for `aws` may be a program that runs another and hands that word on; killed where it takes its time.
async fn end(child: &mut Child) {
    // It has a number as long as nobody has waited for it to the end.
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(ENDING, child.wait()).await.is_err() {
        let _ = child.start_kill();
        // The kernel may hold it for as long as a disk does not answer.
        let _ = tokio::time::timeout(ENDING, child.wait()).await;
    }
}

fn not_run(why: &io::Error) -> Failed {
    Failed::NotInstalled(match why.kind() {
        ErrorKind::NotFound => "there is none in PATH".to_owned(),
        _ => why.to_string(),
    })
}

/// Reads at most one byte more than `most`, and lets the writer go on.
async fn read(from: Option<impl AsyncRead + Unpin>, most: u64, bytes: &mut Vec<u8>) {
    if let Some(from) = from {
        let mut from = from.take(most + 1);
        let _ = from.read_to_end(bytes).await;
        let mut rest = from.into_inner();
        let mut scratch = [0; 4096];
        while rest.read(&mut scratch).await.is_ok_and(|n| n > 0) {}
    }
}

/// What `aws` says where it has no credentials to sign with, or is told that they are over (both major versions, and botocore's wording).
const NOT_SIGNED_IN: [&str; 9] = [
    "Unable to locate credentials",
    "Partial credentials found",
    "Error loading SSO Token",
    "Token has expired and refresh failed",
    "The SSO session associated with this profile has expired",
    "Error when retrieving credentials from",
    "Error when retrieving token from",
    "Session token not found or invalid",
    "Your session has expired",
];
/// What it says where nobody answers.
const UNREACHABLE: [&str; 8] = [
    "Could not connect to the endpoint URL",
    "Connect timeout on endpoint URL",
    "Read timeout on endpoint URL",
    "Connection was closed before we received a valid response",
    "Connection reset by peer",
    "Failed to connect to proxy URL",
    "SSL validation failed for",
    "Failed to connect to",
];

/// What a failed `aws` has said, told apart.
fn failure(said: &str) -> Failed {
    let line = line(said);
    if NOT_SIGNED_IN.iter().any(|known| said.contains(known)) {
        return Failed::NotSignedIn(line);
    }
    if UNREACHABLE.iter().any(|known| said.contains(known)) {
        return Failed::Unreachable(line);
    }
    match refusal::read(said) {
        Some(Said::Expired | Said::Unknown | Said::Clock) => return Failed::NotSignedIn(line),
        Some(Said::Refused(refused)) => {
            let action = refused.action.or(refused.operation);
            return Failed::Refused {
                action: action.unwrap_or_else(|| "the call".to_owned()),
                said: line,
            };
        }
        None => {}
    }
    match answered(said) {
        Some((code, operation, message)) => Failed::Answered {
            code: code.to_owned(),
            operation: operation.to_owned(),
            message: message.to_owned(),
        },
        None => Failed::Otherwise(line),
    }
}

/// `An error occurred (CODE) when calling the OPERATION operation...: MESSAGE`, as botocore writes it.
fn answered(said: &str) -> Option<(&str, &str, &str)> {
    let at = said.split("An error occurred (").nth(1)?;
    let (code, rest) = at.split_once(") when calling the ")?;
    let (operation, rest) = rest.split_once(" operation")?;
    let end = match rest.starts_with(" (") {
        true => "): ",
        false => ": ",
    };
    let message = rest.split_once(end).map_or(rest, |(_, message)| message);
    Some((code, operation, message.lines().next()?.trim()))
}

/// The last line that says something, without the program's name.
fn line(said: &str) -> String {
    let mut lines = said.lines().map(str::trim);
    let last = lines.rfind(|line| !line.is_empty());
    let last = last.unwrap_or("it said nothing");
    let last = last.strip_prefix("aws: ").unwrap_or(last);
    last.strip_prefix("[ERROR]: ").unwrap_or(last).to_owned()
}

impl Failed {
    /// Whether AWS answered with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Answered { code: answered, .. } if answered == code)
    }

    /// What to do.
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotInstalled(_) => {
                "install the AWS CLI, version 1 or 2: see https://aws.amazon.com/cli".to_owned()
            }
            Self::NotSignedIn(_) => {
                "sign in (e.g. aws sso login), or name another profile with --profile; `aws sts get-caller-identity` tells whether it works"
                    .to_owned()
            }
            Self::Refused { action, .. } => {
                format!("use a profile that may {action}: --profile NAME")
            }
            Self::Unreachable(_) => {
                "look at this machine's network and at AWS_ENDPOINT_URL, and try again".to_owned()
            }
            Self::TooLong(_) => "try the same by hand: aws sts get-caller-identity".to_owned(),
            Self::Otherwise(_) => "see what is configured: aws configure list; another profile or Region: --profile, --region".to_owned(),
            Self::Answered { .. } | Self::Unreadable(_) | Self::BrokenOff => return None,
        })
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled(why) => write!(f, "the AWS CLI (aws) cannot be run: {why}"),
            Self::NotSignedIn(said) => write!(f, "aws is not signed in: {said}"),
            Self::Refused { action, said } => write!(f, "aws refused {action}: {said}"),
            Self::Unreachable(said) => write!(f, "aws cannot be reached: {said}"),
            Self::TooLong(time) => write!(f, "aws took longer than {} s", time.as_secs()),
            Self::Answered {
                code,
                operation,
                message,
            } => write!(f, "aws answered {operation} with {code}: {message}"),
            Self::Otherwise(said) => write!(f, "aws failed: {said}"),
            Self::Unreadable(why) => f.write_str(why),
            Self::BrokenOff => f.write_str("broken off"),
        }
    }
}

impl From<Failed> for Problem {
    fn from(why: Failed) -> Self {
        let code = match &why {
            Failed::NotInstalled(_) | Failed::Otherwise(_) => Code::Usage,
            Failed::NotSignedIn(_) | Failed::Refused { .. } | Failed::Answered { .. } => {
                Code::AwsRefused
            }
            Failed::Unreachable(_) | Failed::TooLong(_) => Code::AwsUnreachable,
            Failed::Unreadable(_) => Code::Internal,
            Failed::BrokenOff => Code::Refused,
        };
        Self::new(code, &why).hint_if(why.hint())
    }
}

#[cfg(test)]
mod tests;
