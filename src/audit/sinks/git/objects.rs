//! Many files by one call of git each way: an open request, and each that ends, has files of its own, and a batch has events of hundreds.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::repo::{Change, GitError, Repo, With, said};

/// So many files are asked for at once.
const ASKED_AT_ONCE: usize = 256;
/// So many bytes are kept at once, or one file that is larger.
pub(super) const AT_ONCE: usize = 4 << 20;

/// From so many objects on they stay in one pack, and are on disk by one order to the disk instead of one each.
const PACKED: &str = "fastimport.unpackLimit=16";

/// A commit that adds files, or puts them over others.
pub(super) struct Adds {
    /// Paths and bytes.
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) message: String,
    /// RFC 3339.
    pub(super) at: String,
}

impl Adds {
    /// Bytes.
    pub(super) fn size(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Repo {
    /// Commits one after the other on `branch`, a whole ref.
    pub(super) fn commit_all(&self, branch: &str, all: &[Adds]) -> Result<(), GitError> {
        if self.signing_key.is_some() {
            return all.iter().try_for_each(|one| self.commit_one(branch, one));
        }
        let mut left = all;
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = left.iter().take_while(|one| {
                bytes += one.size();
                bytes <= AT_ONCE
            });
            let (some, rest) = left.split_at(fits.count().max(1));
            self.import_commits(branch, some)?;
            left = rest;
        }
        Ok(())
    }

    /// One that is signed, which takes a call of its own for each step.
    fn commit_one(&self, branch: &str, one: &Adds) -> Result<(), GitError> {
        let bytes: Vec<&[u8]> = one.files.iter().map(|(_, b)| b.as_slice()).collect();
        let blobs = self.blobs(&bytes)?.into_iter().map(Some);
        let paths = one.files.iter().map(|(path, _)| path.clone());
        let changes: Vec<Change> = paths.zip(blobs).collect();
        self.commit(branch, None, &changes, &one.message, &one.at)?;
        Ok(())
    }

    fn import_commits(&self, branch: &str, all: &[Adds]) -> Result<(), GitError> {
        let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], "");
        let who = format!("{} <{}>", plain(&self.identity.0), plain(&self.identity.1));
        let mut from = self.tip(branch)?;
        let mut input = Vec::new();
        for one in all {
            let at = OffsetDateTime::parse(&one.at, &Rfc3339);
            let at = at.map_or(0, OffsetDateTime::unix_timestamp);
            let length = one.message.len();
            input.extend(
                format!("commit {branch}\ncommitter {who} {at} +0000\ndata {length}\n")
                    .into_bytes(),
            );
            input.extend_from_slice(one.message.as_bytes());
            // Those after the first go on from it by themselves.
            if let Some(from) = from.take() {
                input.extend(format!("\nfrom {from}").into_bytes());
            }
            for (path, bytes) in &one.files {
                let length = bytes.len();
                input.extend(format!("\nM 100644 inline {path}\ndata {length}\n").into_bytes());
                input.extend_from_slice(bytes);
            }
            input.extend_from_slice(b"\n\n");
        }
        input.extend_from_slice(b"done\n");
        let with = With {
            input: &input,
            settings: vec![PACKED.to_owned()],
            ..With::default()
        };
        self.run(&["fast-import", "--quiet", "--done"], with)?;
        Ok(())
    }

    /// A file's bytes; nothing where it is not in the commit.
    pub(super) fn read(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let mut found = self.read_all(commit, &[path])?;
        Ok(found.pop().flatten())
    }

    /// The bytes of files, in the order of their paths; nothing for each that is not in the commit.
    pub(super) fn read_all(
        &self,
        commit: &str,
        paths: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        let mut found = Vec::with_capacity(paths.len());
        // None of ours has a line break: it would be two questions.
        let plain = |path: &&&str| !path.contains('\n');
        let asked_for: Vec<&str> = paths.iter().filter(plain).copied().collect();
        for some in asked_for.chunks(ASKED_AT_ONCE) {
            found.extend(self.asked(commit, some)?);
        }
        let mut found = found.into_iter();
        let in_turn = paths.iter().map(|path| match plain(&path) {
            true => found.next().flatten(),
            false => None,
        });
        Ok(in_turn.collect())
    }

    /// The files of paths without line breaks; half of them at a time where they are long.
    fn asked(&self, commit: &str, paths: &[&str]) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        let asked: String = paths.iter().map(|p| format!("{commit}:{p}\n")).collect();
        let with = With {
            input: asked.as_bytes(),
            most: (paths.len() > 1).then_some(4 * AT_ONCE as u64),
            ..With::default()
        };
        let output = match self.output(&["cat-file", "--batch"], with) {
            Err(GitError::Long) if paths.len() > 1 => {
                let (some, rest) = paths.split_at(paths.len() / 2);
                let mut found = self.asked(commit, some)?;
                found.extend(self.asked(commit, rest)?);
                return Ok(found);
            }
            output => output?,
        };
        if !output.status.success() {
            return Err(GitError::Said(said(&output)));
        }
        let mut found = Vec::with_capacity(paths.len());
        let mut left = output.stdout.as_slice();
        for path in paths {
            let (file, rest) =
                answer(left).ok_or_else(|| GitError::Said(format!("it has no file at {path}")))?;
            found.push(file);
            left = rest;
        }
        Ok(found)
    }

    /// Keeps the bytes of files; their names, in the same order.
    pub(super) fn blobs(&self, files: &[&[u8]]) -> Result<Vec<String>, GitError> {
        let mut names = Vec::with_capacity(files.len());
        let mut left = files;
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = left.iter().take_while(|file| {
                bytes += file.len();
                bytes <= AT_ONCE
            });
            let (some, rest) = left.split_at(fits.count().max(1));
            match some {
                [one] => names.push(self.blob(one)?),
                some => names.extend(self.import(some)?),
            }
            left = rest;
        }
        Ok(names)
    }

    fn import(&self, files: &[&[u8]]) -> Result<Vec<String>, GitError> {
        let mut input = Vec::new();
        for (mark, file) in (1..).zip(files) {
            input.extend(format!("blob\nmark :{mark}\ndata {}\n", file.len()).into_bytes());
            input.extend_from_slice(file);
            input.extend(format!("\nget-mark :{mark}\n").into_bytes());
        }
        input.extend_from_slice(b"done\n");
        let with = With {
            input: &input,
            settings: vec![PACKED.to_owned()],
            ..With::default()
        };
        let said = self.run(&["fast-import", "--quiet", "--done"], with)?;
        let names: Vec<String> = said.lines().map(str::to_owned).collect();
        match names.len() == files.len() {
            true => Ok(names),
            false => Err(GitError::Said(
                "it did not name all that it keeps".to_owned(),
            )),
        }
    }
}

/// One answer of `git cat-file --batch`, `NAME blob LENGTH` and the bytes or `ASKED missing`, and what follows it.
fn answer(printed: &[u8]) -> Option<(Option<Vec<u8>>, &[u8])> {
    let end = printed.iter().position(|b| *b == b'\n')?;
    let (head, rest) = (
        std::str::from_utf8(&printed[..end]).ok()?,
        &printed[end + 1..],
    );
    if head.ends_with(" missing") {
        return Some((None, rest));
    }
    let mut words = head.split(' ').skip(1);
    if words.next() != Some("blob") {
        return None;
    }
    let length: usize = words.next()?.parse().ok()?;
    let file = rest.get(..length)?;
    Some((Some(file.to_vec()), rest[length..].strip_prefix(b"\n")?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_files_come_back_as_they_went_whatever_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut repo = Repo::new(dir.path().join("r"), "bg-1", None).unwrap();
        repo.within(Duration::from_secs(60));
        repo.prepare().unwrap();
        let mut files: Vec<Vec<u8>> = (0..200)
            .map(|n| format!("file {n}\nget-mark :1\ndone\n").into_bytes())
            .collect();
        files.extend([Vec::new(), vec![0, 255, b'\n'], vec![b'x'; AT_ONCE + 1]]);
        // More than is read by one call.
        files.extend((0..5).map(|n| vec![b'0' + n; AT_ONCE]));
        // The same bytes twice.
        files.push(files[7].clone());
        let refs: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let names = repo.blobs(&refs).unwrap();
        assert_eq!(names.len(), files.len());
        assert_eq!(names[7], names[208]);
        for (name, file) in names.iter().zip(&refs).step_by(40) {
            assert_eq!(*name, repo.blob(file).unwrap());
        }
        let changes: Vec<_> = (0..)
            .zip(&names)
            .map(|(n, name)| (format!("d/{n}.x"), Some(name.clone())))
            .collect();
        let commit = repo
            .commit(
                "refs/heads/a",
                None,
                &changes,
                "m\n",
                "2026-01-06T10:00:00Z",
            )
            .unwrap();
        let mut paths: Vec<&str> = changes.iter().map(|(path, _)| path.as_str()).collect();
        paths.insert(100, "d/none");
        paths.insert(50, "d/1.x\nd/2.x");
        let mut found = repo.read_all(&commit, &paths).unwrap();
        assert_eq!((found.remove(50), found.remove(100)), (None, None));
        let found: Vec<Vec<u8>> = found.into_iter().flatten().collect();
        assert_eq!(found, files);
        assert!(repo.read(&commit, "d").is_err(), "a folder is no file");
        assert_eq!(repo.read(&commit, "e/x").unwrap(), None);
        assert_eq!(repo.blobs(&[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn commits_follow_one_another_and_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut repo = Repo::new(dir.path().join("r"), "bg-1", None).unwrap();
        repo.within(Duration::from_secs(60));
        repo.prepare().unwrap();
        let branch = "refs/heads/evidence/bg-1";
        let adds = |n: usize, size: usize| Adds {
            files: vec![
                (format!("i/{n}/events.jsonl"), vec![b'a'; size]),
                ("same".to_owned(), n.to_string().into_bytes()),
            ],
            message: format!("subject {n}\n\nfrom nowhere\ndone\n"),
            at: format!("2026-01-06T10:00:{n:02}Z"),
        };
        let first: Vec<Adds> = (0..3).map(|n| adds(n, n)).collect();
        // Each is more than what goes at once.
        let second: Vec<Adds> = (3..5).map(|n| adds(n, AT_ONCE)).collect();
        for some in [&first, &second] {
            repo.commit_all(branch, some).unwrap();
        }
        let tip = repo.tip(branch).unwrap().unwrap();
        let format = "--format=%s %an %ae %ct";
        let said = repo.run(&["log", format, branch], With::default()).unwrap();
        let expected: Vec<String> = (0..5)
            .rev()
            .map(|n| {
                format!(
                    "subject {n} twotap on bg-1 twotap@bg-1 {}",
                    1_767_693_600 + n
                )
            })
            .collect();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
        for n in 0..5 {
            let file = repo.read(&tip, &format!("i/{n}/events.jsonl")).unwrap();
            let size = if n < 3 { n } else { AT_ONCE };
            assert_eq!(file, Some(vec![b'a'; size]));
        }
        assert_eq!(repo.read(&tip, "same").unwrap(), Some(b"4".to_vec()));
        assert!(repo.message(&tip).unwrap().contains("from nowhere\ndone"));
    }
}
