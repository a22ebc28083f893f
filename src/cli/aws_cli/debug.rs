//! What AWS answered beside the bytes, where the AWS CLI has no word for it: the headers that `aws --debug` tells of.
//!
//! `aws s3 cp --recursive` fetches thousands of objects in one process, and prints nothing of their versions and locks; with `--debug` both major
//! versions write the headers of each answer in one line, as Python shows a dictionary:
//!
//! ```text
//! 2026-11-23 00:16:40,743 - ThreadPoolExecutor-0_3 - botocore.parsers - DEBUG - Response headers: {'ETag': '"94..."', 'x-amz-version-id': 'd6f8...'}
//! ```
//!
//! Beside that `--debug` may tell of session tokens, and where a profile assumes a role of a whole set of credentials: so nothing that is said is
//! kept or shown, each line is overwritten by the next, and of those that are headers only what is asked for goes on. Source:
//! `botocore/parsers.py`, `ResponseParser.parse`, in version 1 and, as `awscli.botocore`, in version 2.
//!
//! An object's key that has a line break makes lines of its own, which no look at them tells from AWS' own: whoever asks sees to it that there is
//! none where `aws` looks.

use std::ffi::OsStr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    signal::unix::{SignalKind, signal},
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Aws, Failed, Waiting, end, not_run, runtime, stop};

/// The longest line that is looked at, in bytes; AWS' headers are at most 8 KiB together.
const LINE: usize = 64 * 1024;

/// The length of the time with which a line begins.
const TIME: usize = "2026-11-23 00:16:40,743".len();

/// What stands between time and thread, and the headers.
const MARKS: [&str; 2] = [
    " - botocore.parsers - DEBUG - Response headers: ",
    " - awscli.botocore.parsers - DEBUG - Response headers: ",
];

/// The headers of one answer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header, named in lower case; none where it stands there twice.
    pub(in crate::cli) fn value(&self, name: &str) -> Option<&str> {
        let mut of = self
            .0
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        let value = of.next()?;
        of.next().is_none().then_some(value)
    }

    /// A dictionary as Python shows it.
    fn read(shown: &[u8]) -> Option<Self> {
        let shown = std::str::from_utf8(shown).ok()?;
        let mut left = shown.strip_prefix('{')?.strip_suffix('}')?;
        let mut found = Vec::new();
        while !left.is_empty() {
            let (name, rest) = text(left)?;
            let (value, rest) = text(rest.strip_prefix(": ")?)?;
            found.push((name, value));
            left = match rest.strip_prefix(", ") {
                Some(more) if !more.is_empty() => more,
                None if rest.is_empty() => rest,
                _ => return None,
            };
        }
        Some(Self(found))
    }
}

/// What a line of `--debug` shows of headers; none where it is any other line.
fn after_mark(line: &[u8]) -> Option<&[u8]> {
    // Whatever somebody else put into a line stands after its own time, thread and place.
    let (time, rest) = line.split_at_checked(TIME)?;
    let digit = |b: &u8| b.is_ascii_digit() || b"-:, ".contains(b);
    if !time.iter().all(digit) {
        return None;
    }
    let rest = rest.strip_prefix(b" - ")?;
    let thread = rest.windows(3).position(|part| part == b" - ")?;
    let rest = &rest[thread..];
    MARKS
        .iter()
        .find_map(|mark| rest.strip_prefix(mark.as_bytes()))
}

/// A text as Python shows it, and what follows it. Escapes are of no use here: a text that has any but those of quotes is none.
fn text(shown: &str) -> Option<(String, &str)> {
    let quote = shown.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (mut found, mut chars) = (String::new(), shown[1..].char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((found, &shown[at + 2..])),
            '\\' => match chars.next()?.1 {
                c @ ('\\' | '\'' | '"') => found.push(c),
                _ => return None,
            },
            c => found.push(c),
        }
    }
    None
}

impl Aws {
    /// Runs `aws ARGUMENTS --debug` to its end and hands over the headers of each answer as it comes, `None` where there are some that cannot be
    /// read; where that says no, it is ended. It may take as long as it will, so long as it
    /// goes on saying something. What it says of why it failed is not shown: ask the same in another way.
    pub(in crate::cli) fn headers<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        each: impl FnMut(Option<&Headers>) -> bool,
    ) -> Result<(), Failed> {
        self.headers_of(OsStr::new("aws"), arguments, each)
    }

    fn headers_of<S: AsRef<OsStr>>(
        &self,
        program: &OsStr,
        arguments: &[S],
        mut each: impl FnMut(Option<&Headers>) -> bool,
    ) -> Result<(), Failed> {
        let _said = Waiting::begin("aws");
        let mut command = self.command(program, arguments);
        command.arg("--debug").stdout(std::process::Stdio::null());
        let of_line = |line: &[u8], whole: bool| {
            after_mark(line).is_none_or(|shown| {
                let headers = Headers::read(shown).filter(|_| whole);
                each(headers.as_ref())
            })
        };
        runtime()?.block_on(async {
            let untold = |why: std::io::Error| {
                Failed::Otherwise(format!("how aws ended cannot be told: {why}"))
            };
            let mut child = command.spawn().map_err(|why| not_run(&why))?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(untold)?;
            let said = child.stderr.take();
            let status = tokio::select! {
                _ = interrupt.recv() => Err(Failed::BrokenOff),
                () = stop::wait() => Err(Failed::BrokenOff),
                status = async {
                    if let Some(said) = said {
                        lines(said, self.time, of_line).await?;
                    }
                    let ended = tokio::time::timeout(self.time, child.wait()).await;
                    ended.map_err(|_| Failed::TooLong(self.time))?.map_err(untold)
                } => status,
            };
            if status.is_err() {
                end(&mut child).await;
            }
            let status = status?;
            match status.success() {
                true => Ok(()),
                false => Err(Failed::Otherwise(format!("it ended with {status}"))),
            }
        })
    }
}

/// Hands over what is said line by line, until it is told that this is enough; of lines that are too long some of their beginning, and that they are
/// not whole.
async fn lines(
    mut from: impl AsyncRead + Unpin,
    silence: std::time::Duration,
    mut each: impl FnMut(&[u8], bool) -> bool,
) -> Result<(), Failed> {
    let mut chunk = Zeroizing::new([0; 16 * 1024]);
    // It never grows, and leaves no copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LINE));
    let mut too_long = false;
    loop {
        let read = tokio::time::timeout(silence, from.read(&mut *chunk)).await;
        let read = read.map_err(|_| Failed::TooLong(silence))?;
        let read = read.map_err(|why| Failed::Unreadable(format!("what aws says: {why}")))?;
        if read == 0 {
            return Ok(());
        }
        for part in chunk[..read].split_inclusive(|b| *b == b'\n') {
            let text = part.strip_suffix(b"\n");
            let add = text.unwrap_or(part);
            match line.len() + add.len() <= LINE {
                true => line.extend_from_slice(add),
                false => too_long = true,
            }
            if text.is_some() {
                let more = each(&line, !too_long);
                line.as_mut_slice().zeroize();
                line.clear();
                if !more {
                    return Err(Failed::Unreadable(
                        "aws answered more than was asked for".to_owned(),
                    ));
                }
                too_long = false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
