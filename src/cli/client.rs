//! The wire to the agent: HTTP/1.1 with JSON over its unix socket, every wait bounded.

use std::{
    cell::{Cell, RefCell},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, runtime::Runtime, time::timeout};
use zeroize::Zeroizing;

use crate::{
    protocol::{
        Code, Problem,
        socket::{SheetChecked, SheetNoted},
    },
    trust::{request::is_request_id, text::check_name},
};

use super::{
    relay::Call,
    tunnel::{Destination, Tunnel},
    ui::Waiting,
};

/// The largest answer that is read, in bytes: a page of the record.
pub(super) const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// How long the agent may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a full queue is given to get shorter before it is tried again.
const QUEUE: Duration = Duration::from_millis(20);

/// How long an answer may take.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Patience {
    /// The agent answers by itself.
    Agent,
    /// A worker is started, and may ask AWS something.
    Worker,
    /// The same, after programs have looked at what is asked, and before it is held elsewhere.
    Request,
    /// A worker makes, proves and retires keys, with retries.
    Rotation,
}

impl Patience {
    /// What it is waited for, as it is said where it takes long; `at` is where the agent is.
    fn in_words(self, at: &str) -> String {
        match self {
            Self::Agent => format!("the agent at {at}"),
            Self::Worker => format!("a worker of the agent at {at}, which may ask AWS"),
            Self::Request => format!(
                "the agent at {at}: its checks of the request, and a worker that may ask AWS"
            ),
            Self::Rotation => {
                format!("a worker of the agent at {at}, which makes and proves a new key")
            }
        }
    }

    fn bound(self) -> Duration {
        match self {
            Self::Agent => Duration::from_secs(10),
            Self::Worker => Duration::from_secs(90),
            // A minute for checks, a minute for the offer, half a minute for sinks.
            Self::Request => Duration::from_secs(170),
            // Ten minutes of retries (design, limits) and the calls before and after.
            Self::Rotation => Duration::from_secs(15 * 60),
        }
    }
}

/// The agent: behind a socket of this host, where each call is a connection of its own (it may be restarted between two), or behind an ssh.
pub(super) struct Agent {
    way: Way,
    runtime: Runtime,
}

enum Way {
    Socket(PathBuf),
    Ssh(Box<Far>),
}

/// An agent on another host.
struct Far {
    to: Destination,
    /// Opened by the first call.
    tunnel: RefCell<Option<Tunnel>>,
    /// Whether somebody has logged in before: then ssh asks nobody any more.
    logged_in: Cell<bool>,
}

impl Agent {
    /// The agent at `place`, a path or `ssh://HOST`; nothing is sent yet.
    pub(super) fn at(place: &str) -> Result<Self, Problem> {
        let way = match place.split_once("://") {
            Some(("ssh", to)) => Way::Ssh(Box::new(Far {
                to: Destination::parse(to)?,
                tunnel: RefCell::new(None),
                logged_in: Cell::new(false),
            })),
            Some((scheme, _)) => {
                return Err(Problem::new(
                    Code::Usage,
                    format!(
                        "cannot reach an agent over '{}'",
                        super::ui::plain(scheme)
                    ),
                )
                .hint("name a socket or ssh://HOST, or approve by files: twotap approve --in FILE --out FILE"));
            }
            None => Way::Socket(PathBuf::from(place)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))?;
        Ok(Self { way, runtime })
    }

    /// Whether it is on another host.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.way, Way::Ssh(_))
    }

    /// Its socket, where it is on this host.
    pub(super) fn socket(&self) -> Option<&Path> {
        match &self.way {
            Way::Socket(path) => Some(path),
            Way::Ssh(_) => None,
        }
    }

    /// Where it is, as it is shown.
    pub(super) fn shown(&self) -> String {
        match &self.way {
            Way::Socket(path) => path.display().to_string(),
            Way::Ssh(far) => far.to.shown(),
        }
    }

    /// Ends what is left of a connection that broke, so that the next call begins a new one; over ssh, one that nobody is asked at.
    pub(super) fn hang_up(&self) {
        if let Way::Ssh(far) = &self.way {
            far.tunnel.take();
            far.logged_in.set(true);
        }
    }

    /// Asks.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        decode(&self.send(path, None, Patience::Agent)?)
    }

    /// Asks for bytes that are kept as they come; they are wiped when dropped.
    pub(super) fn ask_bytes(&self, path: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
        self.send(path, None, Patience::Agent)
    }

    /// Hands something in.
    pub(super) fn hand_in<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Patience,
    ) -> Result<T, Problem> {
        let body = serde_json::to_vec(body)
            .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
        decode(&self.send(path, Some(body), patience)?)
    }

    /// Puts on record that a printed recovery share of `vault` was read and is sound.
    pub(super) fn sheet_checked(
        &self,
        vault: &str,
        sheet: &SheetChecked,
    ) -> Result<SheetNoted, Problem> {
        self.hand_in(&vault_path(vault, "/sheets")?, sheet, Patience::Agent)
    }

    /// Passes on what came over an ssh.
    pub(super) fn pass_on(&self, call: &Call) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let body = call.body.as_ref().map(|body| body.0.clone());
        self.send(&call.path, body, call.patience)
    }

    fn send(
        &self,
        path: &str,
        body: Option<Vec<u8>>,
        patience: Patience,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        match &self.way {
            Way::Socket(socket) => {
                let _said = Waiting::begin(patience.in_words(&self.shown()));
                self.send_to(socket, path, body, patience)
            }
            Way::Ssh(far) => {
                let mut tunnel = far.tunnel.borrow_mut();
                let tunnel = match &mut *tunnel {
                    Some(open) => open,
                    none => {
                        let _said = Waiting::begin(format!("ssh to log in at {}", self.shown()));
                        none.insert(Tunnel::open(&far.to, far.logged_in.get(), &self.runtime)?)
                    }
                };
                let _said = Waiting::begin(patience.in_words(&self.shown()));
                let call = Call {
                    path: path.to_owned(),
                    body: body.map(crate::trust::Bytes),
                    patience,
                };
                tunnel.call(&call, patience.bound(), &self.runtime)
            }
        }
    }

    fn send_to(
        &self,
        socket: &Path,
        path: &str,
        body: Option<Vec<u8>>,
        patience: Patience,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let method = match body {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let body = body.unwrap_or_default();
        self.runtime.block_on(async {
            let stream = timeout(CONNECT, connect(socket))
                .await
                .map_err(|_| self.silent())?
                .map_err(|why| self.unreachable(&why))?;
            timeout(patience.bound(), self.exchange(stream, method, path, body))
                .await
                .map_err(|_| self.silent())?
        })
    }

    async fn exchange(
        &self,
        stream: UnixStream,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let broke = |why: hyper::Error| {
            Problem::new(
                Code::Agent,
                format!("the agent broke off the conversation: {why}"),
            )
            .hint("see its log; then try again: twotap status")
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broke)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "twotap")
            .header("content-type", "application/json")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|why| Problem::new(Code::Internal, format!("cannot ask for {path}: {why}")))?;
        let answer = sender.send_request(request).await.map_err(broke)?;
        let status = answer.status();
        let mut body = Zeroizing::new(Vec::new());
        let mut frames = Limited::new(answer.into_body(), MAX_ANSWER);
        while let Some(frame) = frames.frame().await {
            let frame = frame.map_err(|why| {
                Problem::new(Code::Agent, format!("the agent's answer broke off: {why}"))
            })?;
            if let Some(data) = frame.data_ref() {
                body.extend_from_slice(data);
            }
        }
        connection.abort();
        if status.is_success() {
            Ok(body)
        } else {
            Err(refusal(status, &body))
        }
    }

    fn unreachable(&self, why: &io::Error) -> Problem {
        let at = self.shown();
        let problem = match why.kind() {
            io::ErrorKind::NotFound => {
                Problem::new(Code::Agent, format!("there is no agent at {at}"))
                    .hint("start twotapd, or name its socket with --agent or TWOTAP_AGENT")
            }
            io::ErrorKind::ConnectionRefused => {
                Problem::new(Code::Agent, format!("no agent answers at {at}"))
                    .hint("the socket is left over from one that ended: start twotapd again")
            }
            io::ErrorKind::PermissionDenied => Problem::new(
                Code::Agent,
                format!("no permission to speak to the agent at {at}"),
            )
            .hint("the socket is open to everyone by default: look at its folder's mode"),
            _ => Problem::new(
                Code::Agent,
                format!("cannot reach the agent at {at}: {why}"),
            ),
        };
        Problem {
            error: super::ui::plain(&problem.error),
            ..problem
        }
    }

    fn silent(&self) -> Problem {
        Problem::new(
            Code::Agent,
            format!("the agent at {} does not answer in time", self.shown()),
        )
        .hint("see its log; what was begun goes on: twotap status")
    }
}

/// Connects. A unix socket whose queue is full refuses at once instead of letting wait, as when a thousand programs ask in one moment: then it is
/// tried again until the caller's time is up.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(QUEUE).await;
            }
            done => return done,
        }
    }
}

/// The path of a request, or of something below it (`/bundle`).
pub(super) fn request_path(id: &str, below: &str) -> Result<String, Problem> {
    if !is_request_id(id) {
        return Err(Problem::new(
            Code::Usage,
            format!("'{}' is not the id of a request", super::ui::plain(id)),
        )
        .hint("an id is 'r-' and 13 letters and digits; see twotap status"));
    }
    Ok(format!("/v1/requests/{id}{below}"))
}

/// The path of a vault, or of something below it (`/seal`).
pub(super) fn vault_path(vault: &str, below: &str) -> Result<String, Problem> {
    check_name("vault name", vault)?;
    Ok(format!("/v1/vaults/{vault}{below}"))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|why| {
        // The position, and never the text: it may be a session.
        Problem::new(
            Code::Agent,
            format!(
                "the agent's answer cannot be read (line {}, column {})",
                why.line(),
                why.column()
            ),
        )
        .hint("is it of another version? see twotap status and twotap --version")
    })
}

/// What the agent says is wrong; if it does not say so in our form, at least its status.
fn refusal(status: StatusCode, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        Problem::new(
            Code::Agent,
            format!("the agent answered {} without a reason", status.as_u16()),
        )
        .hint("see its log")
    })
}
