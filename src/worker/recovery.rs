//! A recovery set, made or used where nobody can look: a process of its own, without files, without network, started by the person's program.

mod sign;

use std::os::{fd::AsFd as _, unix::net::UnixStream as StdStream};

use rand_core::OsRng;
use tokio::net::UnixStream;
use twotap_shares::{
    Group, Scheme,
    sheet::{self, Paper, Set},
};

use super::{hardening, problems::Explain as _};
use crate::{
    protocol::{
        Code, Problem, frame,
        recovery::{Answer, Ask, Wanted},
    },
    trust::{Bytes, stack},
    vault::recovery::{self, Made},
};

/// Serves one set on standard input, which has to be a connection of the same account.
pub(super) fn serve() -> Result<(), Problem> {
    let stream = standard_input()?;
    hardening::alone()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))?;
    runtime.block_on(async {
        let mut stream = UnixStream::from_std(stream).map_err(broken)?;
        if let Err(problem) = hand_out(&mut stream).await {
            frame::write(&mut stream, &Answer::Failed(problem))
                .await
                .map_err(broken)?;
        }
        Ok(())
    })
}

async fn hand_out(stream: &mut UnixStream) -> Result<(), Problem> {
    let wanted = match frame::read(stream).await.map_err(broken)? {
        Some(Ask::Make(wanted)) => wanted,
        Some(Ask::Sign(to_sign)) => {
            let next = stack::wiped(|| sign::sign(to_sign))?;
            let answer = Answer::Signed { next };
            return frame::write(stream, &answer).await.map_err(broken);
        }
        _ => {
            return Err(Problem::new(
                Code::Usage,
                "the first word has to be what is wanted",
            ));
        }
    };
    let (set, made) = stack::wiped(|| make(&wanted))?;
    let answer = Answer::Made {
        set: Box::new(made.set.clone()),
        fingerprint: set.fingerprint(),
    };
    frame::write(stream, &answer).await.map_err(broken)?;
    let paper = if wanted.letter {
        Paper::Letter
    } else {
        Paper::A4
    };
    for (group, shares) in made.set.groups.iter().zip(&made.shares) {
        for (place, share) in (1..).zip(shares) {
            match frame::read(stream).await.map_err(broken)? {
                Some(Ask::Next) => {}
                // Broken off: nothing more leaves.
                _ => return Ok(()),
            }
            let pdf = stack::wiped(|| sheet::draw(&set, share, paper))
                .map_err(|why| Problem::new(Code::Internal, why))?;
            let answer = Answer::Sheet {
                group: group.name.clone(),
                place,
                pdf: Bytes(pdf.to_vec()),
            };
            frame::write(stream, &answer).await.map_err(broken)?;
        }
    }
    frame::write(stream, &Answer::Done).await.map_err(broken)
}

/// The set, with what its sheets have in common.
fn make(wanted: &Wanted) -> Result<(Set, Made), Problem> {
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold: wanted.group_threshold,
        groups: wanted
            .groups
            .iter()
            .map(|g| Group {
                threshold: g.threshold,
                count: g.count,
            })
            .collect(),
    };
    let names: Vec<String> = wanted
        .groups
        .iter()
        .filter_map(|g| g.name.clone())
        .collect();
    let (year, month, day) = wanted.made;
    let made = recovery::make(
        &recovery::Wanted {
            vault: &wanted.vault,
            made: &format!("{year:04}-{month:02}-{day:02}"),
            scheme: &scheme,
            names: &names,
            passphrase: wanted.passphrase.as_bytes(),
        },
        &mut OsRng,
    )
    .explain()?;
    let set = Set {
        vault: wanted.vault.clone(),
        recipient: made.set.recipient.clone(),
        signer: made.set.signer.id().to_string(),
        made: wanted.made,
        scheme,
        names,
        passphrase: made.set.passphrase,
        demo: false,
    };
    Ok((set, made))
}

pub(super) fn standard_input() -> Result<StdStream, Problem> {
    let not_ours = || {
        Problem::new(Code::Usage, "standard input is not a connection of twotap")
            .hint("this is started by twotap recovery, not by hand")
    };
    let fd = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|_| not_ours())?;
    let stream = StdStream::from(fd);
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|_| not_ours())?;
    if peer.uid != rustix::process::getuid() {
        return Err(not_ours());
    }
    stream.set_nonblocking(true).map_err(broken)?;
    Ok(stream)
}

pub(super) fn broken(why: std::io::Error) -> Problem {
    Problem::new(
        Code::Internal,
        format!("the connection to twotap broke off: {why}"),
    )
}
