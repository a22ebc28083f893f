//! Where shares are read from: pictures, an open file descriptor, or the keyboard.

use std::path::{Path, PathBuf};

use twotap_shares::{
    Error, Mnemonic,
    picture::{self, PictureError},
};
use zeroize::Zeroizing;

use super::{
    super::{files, pin, ui::Ui},
    keys::{self, Given},
    quorum::Quorum,
};
use crate::{
    protocol::{Code, Problem},
    trust::recovery::RecoverySet,
};

/// The public record of a set, as `recovery create` writes it.
pub(super) fn set(path: &Path) -> Result<RecoverySet, Problem> {
    let set: RecoverySet = files::read_json(path, "what recovery create writes")?;
    set.check()?;
    Ok(set)
}

/// Where shares are read from; from the keyboard, if nothing is said.
#[derive(clap::Args)]
pub(super) struct Sources {
    /// Read the QR code from this picture (PNG or JPEG) of a sheet; may be given several times
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// For scripts: read the words from this open file descriptor (0 is standard input), one sheet a line
    #[arg(long, value_name = "N")]
    words_fd: Option<u16>,
}

/// Reads the one share that is asked about.
///
/// # Errors
/// What is wrong with it; given up at the keyboard; several pictures.
pub(super) fn one(from: &Sources, title: &str) -> Result<Mnemonic, Problem> {
    match (&from.image[..], from.words_fd) {
        ([], None) => {
            let mut read = None;
            keys::type_shares(title, |share| {
                read = Some(share);
                Given::Enough
            })?;
            read.ok_or_else(|| Problem::new(Code::Internal, "no share was typed"))
        }
        ([], Some(fd)) => line(fd)?.ok_or_else(|| Problem::new(Code::Usage, "there are no words")),
        ([image], None) => shown(image),
        _ => Err(
            Problem::new(Code::Usage, "sheets are checked one at a time").hint("name one picture"),
        ),
    }
}

/// Reads shares in any order until a quorum of them is there: the pictures first, then a descriptor's lines or, at the terminal, what is
/// typed. Answers the quorum; [`Quorum::combine`] puts it together. `set` is the set's public record where there is one.
///
/// # Errors
/// A picture or line that is no share of the set, or one share twice: those are named. At the keyboard the same is said on the screen, and
/// another sheet can be taken. Too few, where there is nothing more to read.
pub(super) fn quorum<'s>(
    from: &Sources,
    set: Option<&'s RecoverySet>,
    title: &str,
    ui: &Ui,
) -> Result<Quorum<'s>, Problem> {
    let mut quorum = Quorum::new(set);
    for path in &from.image {
        let said = quorum
            .take(shown(path)?)
            .map_err(|problem| of_file(path, problem))?;
        ui.step(format!(
            "{}: {said} ({})",
            files::shown(path),
            quorum.progress()
        ));
    }
    if let Some(fd) = from.words_fd {
        let mut at = 0;
        while !quorum.is_complete() {
            at += 1;
            let named = |problem: Problem| Problem {
                error: format!("line {at}: {}", problem.error),
                ..problem
            };
            match line(fd).map_err(named)? {
                Some(share) => quorum.take(share).map_err(named)?,
                None => break,
            };
        }
    } else if !quorum.is_complete() && (from.image.is_empty() || ui.has_terminal()) {
        let said = quorum.progress();
        keys::type_more(title, &said, |share| match quorum.take(share) {
            Ok(_) if quorum.is_complete() => Given::Enough,
            Ok(said) => Given::Taken(format!("{said} ({})", quorum.progress())),
            Err(problem) => Given::Refused(match problem.hint {
                Some(hint) => format!("{}; {hint}", problem.error),
                None => problem.error,
            }),
        })?;
    }
    if quorum.is_complete() {
        return Ok(quorum);
    }
    Err(match quorum.progress() {
        none if none.is_empty() => Problem::new(Code::Usage, "there are no sheets"),
        here => Problem::new(Code::Approvals, format!("there are too few sheets: {here}"))
            .hint("add a --image for each sheet that is missing"),
    })
}

/// The share in a picture.
fn shown(path: &Path) -> Result<Mnemonic, Problem> {
    let file = Zeroizing::new(files::read_at_most(path, picture::MOST_BYTES as u64)?);
    quietly(|| picture::read(&file)).map_err(|why| {
        let code = match &why {
            PictureError::Share(_) | PictureError::NotAShare => Code::Refused,
            _ => Code::Usage,
        };
        of_file(path, Problem::new(code, &why).hint(why.hint()))
    })
}

/// A decoder that gives up says so itself, in its own words; the person gets ours.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = work();
    std::panic::set_hook(before);
    done
}

fn of_file(path: &Path, problem: Problem) -> Problem {
    Problem {
        error: format!("{}: {}", files::shown(path), problem.error),
        ..problem
    }
}

/// One line of words; nothing at the end.
fn line(fd: u16) -> Result<Option<Mnemonic>, Problem> {
    loop {
        // The longest share has 59 words of at most eight letters.
        let (line, length) = pin::read_line::<600>(fd)?;
        if length == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&line[..length])
            .map_err(|_| Problem::new(Code::Usage, "the words are not text"))?;
        if !text.trim().is_empty() {
            return Mnemonic::parse(text).map(Some).map_err(|why| problem(&why));
        }
    }
}

/// What is wrong with a share, for people.
fn problem(why: &Error) -> Problem {
    let problem = Problem::new(Code::Refused, why);
    match why {
        Error::Checksum {
            suspect: Some(word),
        } => problem.hint(format!("compare word {word} with the sheet")),
        Error::Checksum { suspect: None } => {
            problem.hint("more than one word differs from the sheet: compare them all")
        }
        _ => problem.hint("compare the words with the sheet"),
    }
}
