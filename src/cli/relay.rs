//! `twotap relay`: the agent's side of `--agent ssh://HOST`. It runs under the account that ssh logged in, so the agent knows the person by that
//! account as it knows everybody, and it passes calls on over ssh's standard streams. [`super::tunnel`] is the other end.
//!
//! Frames are those of [`crate::protocol::frame`]: a [`Hello`], then for each [`Call`] the answer in one [`Piece`] or several.

use std::{
    io::{self, Read as _},
    process::ExitCode,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    protocol::{Code, Problem, frame::MAX_FRAME},
    trust::Bytes,
};

use super::{
    Door, Ended,
    client::{Agent, Patience},
};

/// Version of this conversation.
pub(super) const VERSION: u8 = 1;
/// How much of an answer goes in one piece, in bytes.
const PIECE: usize = 1024 * 1024;

/// The first frame: says that a relay speaks, and no greeting of the host's shell.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub(super) twotap_relay: u8,
}

/// A call of the agent's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) path: String,
    /// What is handed in; absent where something is asked.
    pub(super) body: Option<Bytes>,
    pub(super) patience: Patience,
}

/// A part of the answer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Piece {
    pub(super) body: Bytes,
    pub(super) last: bool,
    /// Instead of an answer.
    pub(super) problem: Option<Problem>,
}

/// Arguments of `relay`.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) fn run(Args {}: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    if agent.is_remote() {
        return Err(
            Problem::new(Code::Usage, "a relay speaks to an agent of its own host")
                .hint("--agent and TWOTAP_AGENT have to name a socket here"),
        );
    }
    // Whoever waits at the other end says so there.
    let _quiet = door.ui.quiet();
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let broken = |why: io::Error| {
        Problem::new(
            Code::Agent,
            format!("the connection broke off: {}", why.kind()),
        )
    };
    let hello = Hello {
        twotap_relay: VERSION,
    };
    write(&mut output, &hello).map_err(broken)?;
    while let Some(call) = read::<Call>(&mut input).map_err(broken)? {
        for piece in answer(&agent, &call) {
            write(&mut output, &piece).map_err(broken)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(agent: &Agent, call: &Call) -> Vec<Piece> {
    if let Err(problem) = may_travel(&call.path) {
        return vec![failed(problem)];
    }
    match agent.pass_on(call) {
        Ok(body) => {
            let mut pieces: Vec<Piece> = body
                .chunks(PIECE)
                .map(|part| Piece {
                    body: Bytes(part.to_vec()),
                    last: false,
                    problem: None,
                })
                .collect();
            match pieces.last_mut() {
                Some(last) => last.last = true,
                None => pieces.push(Piece {
                    body: Bytes(Vec::new()),
                    last: true,
                    problem: None,
                }),
            }
            pieces
        }
        Err(problem) => vec![failed(problem)],
    }
}

fn failed(problem: Problem) -> Piece {
    Piece {
        body: Bytes(Vec::new()),
        last: true,
        problem: Some(problem),
    }
}

/// Everything but the operator's session: that stays on the host that it was opened on.
pub(super) fn may_travel(path: &str) -> Result<(), Problem> {
    let path = path.split('?').next().unwrap_or(path);
    if !path.ends_with("/credentials") {
        return Ok(());
    }
    Err(stays_here())
}

/// What is said wherever a session is asked for from another host.
pub(super) fn stays_here() -> Problem {
    Problem::new(Code::Refused, "a session is not handed over ssh")
        .hint("run twotap on the agent's host: ssh HOST, then twotap shell or twotap exec")
}

fn write(to: &mut impl io::Write, message: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&json)?;
    to.flush()
}

fn read<T: DeserializeOwned>(from: &mut impl io::Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_does_not_travel_and_everything_else_does() {
        for path in [
            "/v1/requests/r-aaaaaaaaaaaaa/credentials",
            "/v1/requests/r-aaaaaaaaaaaaa/credentials?role=x",
        ] {
            assert!(may_travel(path).is_err(), "{path}");
        }
        for path in [
            "/v1/status",
            "/v1/requests/r-aaaaaaaaaaaaa/approvals",
            "/v1/vaults/prod/drill",
            "/v1/vaults/prod/drills",
        ] {
            assert!(may_travel(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn frames_are_read_whole_or_refused() {
        let mut wire = Vec::new();
        write(&mut wire, &Hello { twotap_relay: 1 }).expect("written");
        let mut from = &wire[..];
        let hello: Hello = read(&mut from).expect("whole").expect("there");
        assert_eq!(hello.twotap_relay, 1);
        assert!(read::<Hello>(&mut from).expect("an end").is_none());
        for broken in [&wire[..3], &wire[..wire.len() - 1], b"Welcome to host-1!\n"] {
            assert!(read::<Hello>(&mut &broken[..]).is_err(), "{broken:?}");
        }
    }
}
