//! `--agent ssh://[USER@]HOST[:PORT]`: calls to an agent through `ssh HOST twotap relay`. One ssh for all calls of a verb: whoever has to enter a
//! password or touch a key for it does so once.

use std::{process::Stdio, time::Duration};

use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    runtime::Runtime,
    time::timeout,
};
use zeroize::Zeroizing;

use crate::protocol::{Code, Problem, frame};

use super::{
    client::MAX_ANSWER,
    relay::{Call, Hello, Piece, VERSION, may_travel},
    ui::plain,
};

/// How long somebody may take to log in.
const LOGIN: Duration = Duration::from_secs(120);
/// What a call over the network may take longer.
const NETWORK: Duration = Duration::from_secs(10);

/// Where ssh goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// A running ssh with a relay at its other end.
pub(super) struct Tunnel {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    host: String,
}

impl Destination {
    /// Reads what follows `ssh://`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || {
            Problem::new(
                Code::Usage,
                format!("'ssh://{}' names no host", plain(text)),
            )
            .hint("write --agent ssh://HOST or ssh://USER@HOST:PORT")
        };
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = match rest.rsplit_once(':') {
            // An IPv6 address has colons of its own, and stands in brackets.
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| wrong())?))
            }
            _ => (rest, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // What begins with a dash would be an option to ssh.
        let name = |s: &str| {
            !s.is_empty()
                && !s.starts_with('-')
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b))
        };
        if !name(host) || user.is_some_and(|u| !name(u)) {
            return Err(wrong());
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }

    fn command(&self, silently: bool) -> Command {
        let mut command = Command::new("ssh");
        command.arg("-T");
        if silently {
            command.args(["-o", "BatchMode=yes"]).stderr(Stdio::null());
        }
        if let Some(user) = &self.user {
            command.args(["-l", user]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", &self.host, "twotap", "relay"]);
        command
    }

    /// How it is shown.
    pub(super) fn shown(&self) -> String {
        format!("ssh://{}", self.host)
    }
}

impl Tunnel {
    /// Starts ssh and waits until a relay speaks. Whatever ssh asks it asks at the terminal; `silently`, it asks nothing and says nothing.
    pub(super) fn open(
        to: &Destination,
        silently: bool,
        runtime: &Runtime,
    ) -> Result<Self, Problem> {
        let _inside = runtime.enter();
        let mut child = to
            .command(silently)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| {
                Problem::new(Code::Agent, format!("cannot start ssh: {why}"))
                    .hint("is it installed? approving by files needs none: twotap approve --help")
            })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Problem::new(Code::Internal, "ssh has no streams"));
        };
        let mut tunnel = Self {
            child,
            to: stdin,
            from: stdout,
            host: to.shown(),
        };
        runtime.block_on(tunnel.greeted())?;
        Ok(tunnel)
    }

    async fn greeted(&mut self) -> Result<(), Problem> {
        match timeout(LOGIN, frame::read::<Hello>(&mut self.from)).await {
            Ok(Ok(Some(Hello {
                twotap_relay: VERSION,
            }))) => Ok(()),
            Ok(Ok(Some(_))) => Err(Problem::new(
                Code::Agent,
                format!("the twotap at {} is of another version", self.host),
            )),
            Ok(Ok(None)) => Err(self.ended().await),
            Ok(Err(_)) => Err(Problem::new(
                Code::Agent,
                format!("what answers at {} is no twotap relay", self.host),
            )
            .hint("does the login there print something? it must not, for commands")),
            Err(_) => Err(Problem::new(
                Code::Agent,
                format!("{} does not answer in time", self.host),
            )),
        }
    }

    /// Passes one call on.
    pub(super) fn call(
        &mut self,
        call: &Call,
        bound: Duration,
        runtime: &Runtime,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        may_travel(&call.path)?;
        runtime.block_on(async {
            timeout(bound + NETWORK, self.exchange(call))
                .await
                .map_err(|_| {
                    Problem::new(
                        Code::Agent,
                        format!("{} does not answer in time", self.host),
                    )
                    .hint("what was begun goes on: twotap status")
                })?
        })
    }

    async fn exchange(&mut self, call: &Call) -> Result<Zeroizing<Vec<u8>>, Problem> {
        if frame::write(&mut self.to, call).await.is_err() {
            return Err(self.ended().await);
        }
        let mut body = Zeroizing::new(Vec::new());
        loop {
            let piece: Piece = match frame::read(&mut self.from).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Err(self.ended().await),
                Err(_) => {
                    return Err(Problem::new(
                        Code::Agent,
                        format!("the answer from {} cannot be read", self.host),
                    ));
                }
            };
            if let Some(problem) = piece.problem {
                return Err(problem);
            }
            if body.len() + piece.body.0.len() > MAX_ANSWER {
                return Err(Problem::new(Code::Agent, "the agent's answer is too long"));
            }
            body.extend_from_slice(&piece.body.0);
            if piece.last {
                return Ok(body);
            }
        }
    }

    /// Why ssh is over, as far as it says: what it printed itself was on standard error.
    async fn ended(&mut self) -> Problem {
        let status = timeout(NETWORK, self.child.wait()).await;
        let code = status.ok().and_then(Result::ok).and_then(|s| s.code());
        match code {
            Some(127) => Problem::new(Code::Agent, format!("there is no twotap at {}", self.host))
                .hint("it has to be in the path of a login without a terminal"),
            Some(255) | None => {
                Problem::new(Code::Agent, format!("ssh does not get to {}", self.host)).hint(
                    "see what ssh says; approving by files needs no ssh: twotap approve --help",
                )
            }
            Some(other) => Problem::new(
                Code::Agent,
                format!("the relay at {} ended with status {other}", self.host),
            )
            .hint("see what it says above; is the agent there running?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_host_and_never_an_option() {
        let parsed = |text: &str| {
            Destination::parse(text)
                .map(|d| (d.user, d.host, d.port))
                .map_err(|why| why.code)
        };
        let of = |user: Option<&str>, host: &str, port| {
            Ok((user.map(str::to_owned), host.to_owned(), port))
        };
        assert_eq!(parsed("host-1"), of(None, "host-1", None));
        assert_eq!(
            parsed("alice@host-1:2222"),
            of(Some("alice"), "host-1", Some(2222))
        );
        assert_eq!(
            parsed("[2001:db8::1]:22"),
            of(None, "2001:db8::1", Some(22))
        );
        assert_eq!(parsed("[2001:db8::1]"), of(None, "2001:db8::1", None));
        for bad in [
            "",
            "-oProxyCommand=x",
            "-l@host",
            "alice@-oProxyCommand=x",
            "a b",
            "host:port",
            "host;true",
            "@host",
        ] {
            assert_eq!(parsed(bad), Err(Code::Usage), "{bad}");
        }
    }
}
