//! Reading what was named on the command line, and writing results, both bounded and whole.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    protocol::{Code, Problem},
    trust::{
        Envelope,
        file::{write_atomic, write_new},
    },
};

use super::{
    hygiene,
    ui::{Waiting, plain},
};

/// The largest text file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    read_at_most(path, MAX_FILE)
}

/// Reads a whole file of at most so many bytes.
pub(super) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    // A pipe is waited for, and so is a network's file.
    let _said = Waiting::begin(format!("{} to be read", shown(path)));
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|why| unreadable(path, &why))?;
    if bytes.len() as u64 > most {
        return Err(Problem::new(
            Code::Usage,
            format!("{} is larger than {} MiB", shown(path), most >> 20),
        ));
    }
    Ok(bytes)
}

/// Reads a text file.
pub(super) fn read_text(path: &Path) -> Result<String, Problem> {
    String::from_utf8(read(path)?)
        .map_err(|_| Problem::new(Code::Usage, format!("{} is not text", shown(path))))
}

/// Reads a JSON file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, Problem> {
    serde_json::from_slice(&read(path)?)
        .map_err(|why| Problem::new(Code::Usage, format!("{} is not {what}: {why}", shown(path))))
}

/// Reads a signed document.
pub(super) fn read_envelope(path: &Path) -> Result<Envelope, Problem> {
    Envelope::parse(&read(path)?).map_err(|why| {
        let problem = Problem::from(why);
        Problem {
            error: format!("{}: {}", shown(path), problem.error),
            ..problem
        }
    })
}

/// Writes a public document, replacing what was there, whole or not at all.
pub(super) fn write_public(path: &Path, document: &impl Serialize) -> Result<(), Problem> {
    let json = to_lines(document)?;
    write_atomic(path, &json, 0o600)
        .and_then(|()| open_up(path))
        .map_err(|why| unwritable(path, &why))
}

/// Writes a public document to a file that must not exist yet.
pub(super) fn write_public_new(path: &Path, document: &impl Serialize) -> Result<(), Problem> {
    write_bytes_new(path, &to_lines(document)?)
}

/// Writes public bytes to a file that must not exist yet.
pub(super) fn write_bytes_new(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    if path.exists() {
        return Err(exists(path));
    }
    write_new(path, bytes, 0o600)
        .and_then(|()| open_up(path))
        .map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => {
                // Ours: it did not exist a moment ago.
                let _ = std::fs::remove_file(path);
                unwritable(path, &why)
            }
        })
}

/// Refuses, before any work is done, an output that cannot be written new.
pub(super) fn must_be_new(path: &Path) -> Result<(), Problem> {
    if path.exists() {
        return Err(exists(path));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        Ok(())
    } else {
        Err(Problem::new(
            Code::Usage,
            format!("there is no folder {}", shown(folder)),
        ))
    }
}

/// A path as it is shown.
pub(super) fn shown(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// A file that cannot be read.
pub(super) fn unreadable(path: &Path, why: &io::Error) -> Problem {
    Problem::new(Code::Usage, format!("cannot read {}: {why}", shown(path)))
}

/// A file that cannot be written.
pub(super) fn unwritable(path: &Path, why: &io::Error) -> Problem {
    Problem::new(
        Code::Internal,
        format!("cannot write {}: {why}", shown(path)),
    )
    .hint("nothing was left half-written; check the folder and free space")
}

fn exists(path: &Path) -> Problem {
    Problem::new(Code::Usage, format!("{} exists already", shown(path)))
        .hint("name another file, or move that one away")
}

fn to_lines(document: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut json = serde_json::to_vec(document)
        .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
    json.push(b'\n');
    Ok(json)
}

/// Public documents go to others: they get the mode that the shell would have given them.
fn open_up(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(hygiene::public_mode()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_never_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.json");
        write_public_new(&path, &1).expect("new");
        let problem = write_public_new(&path, &2).expect_err("there already");
        assert_eq!(problem.code, Code::Usage);
        assert_eq!(std::fs::read(&path).expect("there"), b"1\n");
        write_public(&path, &2).expect("replaced");
        assert_eq!(std::fs::read(&path).expect("there"), b"2\n");
        assert_eq!(std::fs::read_dir(dir.path()).expect("folder").count(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let problem = read(Path::new("/nonexistent/x.json")).expect_err("missing");
        assert!(problem.error.contains("/nonexistent/x.json"), "{problem}");
        assert!(must_be_new(Path::new("/nonexistent/x.json")).is_err());
    }
}
