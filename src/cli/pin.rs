//! The PIN: asked at the terminal, or read from a file descriptor; never from the command line or the environment.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use zeroize::Zeroizing;

use crate::{
    protocol::{Code, Problem},
    token::{Pin, PinError, Token, TokenError},
};

use super::{
    token::{self, TokenArgs},
    ui::{MAX_ANSWER, Ui, Waiting},
};

/// What was typed, and how many bytes of it count.
pub(super) type Typed = (Zeroizing<[u8; MAX_ANSWER]>, usize);

/// Asks for the token's PIN, saying how many tries are left. With one left it goes on only if that was asked for.
pub(super) fn ask(ui: &Ui, token: &mut Token, args: &TokenArgs) -> Result<Pin, Problem> {
    let tries = token.pin_tries().map_err(token::problem)?;
    may_try(tries, args.last_try)?;
    let serial = token.serial();
    let typed = match args.pin_fd {
        Some(fd) => read(fd)?,
        None => {
            let left = if tries == 1 { "try" } else { "tries" };
            ui.secret(&format!("pin of token {serial} ({tries} {left} left)"))?
        }
    };
    Pin::parse(&typed.0[..typed.1]).map_err(problem)
}

fn may_try(tries: u8, last_try: bool) -> Result<(), Problem> {
    match tries {
        0 => Err(token::problem(TokenError::PinBlocked)),
        1 if !last_try => Err(Problem::new(
            Code::Pin,
            "one try is left: another wrong pin would block the token",
        )
        .hint("if you are sure of the pin, say so with --last-try")),
        _ => Ok(()),
    }
}

/// A PIN from an open descriptor.
pub(super) fn read(fd: u16) -> Result<Typed, Problem> {
    read_line(fd)
}

/// Reads one line (or up to the end) of at most `MOST` bytes from an open descriptor, byte by byte: what follows the line is left for others.
pub(super) fn read_line<const MOST: usize>(
    fd: u16,
) -> Result<(Zeroizing<[u8; MOST]>, usize), Problem> {
    let wrong = |why: &str| {
        Problem::new(
            Code::Usage,
            format!("cannot read file descriptor {fd}: {why}"),
        )
        .hint("open it for reading in the shell, e.g. --pin-fd 3 3< <(cat)")
    };
    let _said = Waiting::begin(match fd {
        0 => "a line on standard input".to_owned(),
        _ => format!("a line on file descriptor {fd}"),
    });
    if fd == 0 {
        return line(std::io::stdin().as_fd()).map_err(|why| wrong(&why));
    }
    let own = borrow(fd).map_err(|why| wrong(&why.to_string()))?;
    line(own.as_fd()).map_err(|why| wrong(&why))
}

/// A descriptor by its number, as one of our own; there is no safe way to name it but through a pidfd of ourselves.
fn borrow(fd: u16) -> rustix::io::Result<OwnedFd> {
    let me: Pid = getpid();
    let me = pidfd_open(me, PidfdFlags::empty())?;
    pidfd_getfd(&me, i32::from(fd), PidfdGetfdFlags::empty())
}

fn line<const MOST: usize>(fd: impl AsFd) -> Result<(Zeroizing<[u8; MOST]>, usize), String> {
    let mut line = Zeroizing::new([0; MOST]);
    let mut length = 0;
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        match rustix::io::read(&fd, &mut byte[..]) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if length == MOST => return Err("the line is too long".to_owned()),
            Ok(_) => {
                line[length] = byte[0];
                length += 1;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.to_string()),
        }
    }
    if length > 0 && line[length - 1] == b'\r' {
        length -= 1;
    }
    Ok((line, length))
}

/// What was typed is no PIN.
pub(super) fn problem(why: PinError) -> Problem {
    let hint = why.hint();
    let problem = Problem::new(Code::Pin, why);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, os::fd::AsRawFd as _};

    #[test]
    fn a_line_is_read_from_a_descriptor_by_number_and_no_more() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"123456\r\n654321").expect("written");
        drop(writer);
        let fd = u16::try_from(reader.as_raw_fd()).expect("small");
        for expected in [&b"123456"[..], b"654321"] {
            let (typed, length) = read(fd).expect("readable");
            assert_eq!(&typed[..length], expected);
        }
        let closed = read(60_000).map(drop).expect_err("not open");
        assert_eq!(closed.code, Code::Usage);
    }

    #[test]
    fn the_last_try_is_taken_only_on_purpose() {
        assert!(may_try(3, false).is_ok());
        assert_eq!(may_try(1, false).expect_err("one left").code, Code::Pin);
        assert!(may_try(1, true).is_ok());
        assert_eq!(may_try(0, true).expect_err("blocked").code, Code::Pin);
    }
}
