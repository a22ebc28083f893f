//! Failpoints: places where the rig may stop a process, to see what a death right there leaves behind.
//!
//! They stand where every effect goes through: a journal entry, a call to AWS, a file, a transaction of state and record, a message
//! from a worker. Without the cargo feature `failpoints`, which no shipped build has, nothing of this is in a program: names are made by
//! closures that are never called, and a `[rig]` table in `worker.toml` or `agent.toml` is refused as unknown.
//!
//! With it, that table names a folder. While the file `reached` is in there, each point that is passed adds the line `NAME#N` (the
//! N-th time since the file was emptied, over all processes). A point that the file `stop` names writes `at` (its name and process id)
//! and stops its process, so that the rig can kill it right there, or somebody else, or let it go on.
//!
//! A point before a write may be told to fail instead, as on a disk that was mounted read-only just then, or is full: from the point on that
//! the first line of the file `refuse` names, every write of that side (the worker's files, or the agent's store) is refused until the file is
//! gone. Its second line is `full` or `read-only`.

#[cfg(not(feature = "failpoints"))]
pub(crate) use none::{Names, add, book, entry, file, folder, patience, point, quicker, write};
#[cfg(feature = "failpoints")]
pub(crate) use there::{
    Names, Rig, add, arm, book, entry, file, folder, patience, point, quicker, write,
};

/// System calls that a worker needs for this beside its own.
#[cfg(feature = "failpoints")]
pub(crate) const SYSTEM_CALLS: &[libc::c_long] = &[libc::SYS_kill];
/// None.
#[cfg(not(feature = "failpoints"))]
pub(crate) const SYSTEM_CALLS: &[libc::c_long] = &[];

#[cfg(not(feature = "failpoints"))]
mod none {
    use std::{io, path::Path, time::Duration};

    /// Nothing.
    #[inline(always)]
    pub(crate) fn point(_: impl FnOnce() -> String) {}

    /// Nothing.
    #[inline(always)]
    pub(crate) fn file(_: &Path, _: impl FnOnce() -> &'static str) {}

    /// Nothing.
    #[inline(always)]
    pub(crate) fn write(_: &Path, _: impl FnOnce() -> &'static str) -> io::Result<()> {
        Ok(())
    }

    /// Nothing.
    #[inline(always)]
    pub(crate) fn entry(_: impl FnOnce() -> String) -> io::Result<()> {
        Ok(())
    }

    /// What is given.
    #[inline(always)]
    pub(crate) const fn quicker(time: Duration) -> Duration {
        time
    }

    /// What is given.
    #[inline(always)]
    pub(crate) const fn patience(seconds: i64) -> i64 {
        seconds
    }

    /// Nothing.
    pub(crate) type Names = ();

    /// Nothing.
    #[inline(always)]
    pub(crate) fn add(_: &mut Names, _: impl FnOnce() -> &'static str) {}

    /// Nothing.
    #[inline(always)]
    pub(crate) fn book(_: &Names, _: &str) -> io::Result<()> {
        Ok(())
    }

    /// None.
    #[inline(always)]
    pub(crate) const fn folder() -> Option<&'static Path> {
        None
    }
}

#[cfg(feature = "failpoints")]
mod there {
    use std::{
        fs::{self, OpenOptions},
        io::{self, Read as _, Write as _},
        path::{Path, PathBuf},
        sync::OnceLock,
        time::Duration,
    };

    use rustix::process::{Signal, getpid, kill_process};
    use serde::Deserialize;

    /// The `[rig]` table.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Rig {
        /// Where the rig says what to do, and finds what was reached.
        folder: PathBuf,
        /// By how much pauses and observing windows are shorter than in earnest.
        #[serde(default = "one")]
        quicker: u32,
    }

    fn one() -> u32 {
        1
    }

    static RIG: OnceLock<Rig> = OnceLock::new();

    /// Takes up the table, once a process.
    pub(crate) fn arm(rig: Option<&Rig>) {
        if let Some(rig) = rig {
            RIG.get_or_init(|| rig.clone());
        }
    }

    /// The rig's folder.
    pub(crate) fn folder() -> Option<&'static Path> {
        RIG.get().map(|rig| rig.folder.as_path())
    }

    /// A pause or a window as the rig wants it.
    pub(crate) fn quicker(time: Duration) -> Duration {
        time / RIG.get().map_or(1, |rig| rig.quicker.max(1))
    }

    /// How long to wait for somebody who may only be slow, in seconds.
    pub(crate) fn patience(seconds: i64) -> i64 {
        match RIG.get() {
            Some(rig) => (seconds / i64::from(rig.quicker.max(1)))
                .max(5)
                .min(seconds),
            None => seconds,
        }
    }

    /// Names of which a point's is made up.
    pub(crate) type Names = Vec<&'static str>;

    /// Adds one.
    pub(crate) fn add(names: &mut Names, name: impl FnOnce() -> &'static str) {
        names.push(name());
    }

    /// A transaction of these events is about to be committed, or was.
    pub(crate) fn book(events: &Names, moment: &str) -> io::Result<()> {
        let shown = || match events.len() {
            0 => "-".to_owned(),
            1 => events[0].to_owned(),
            more => format!("{}+{}", events[0], more - 1),
        };
        let name = || format!("book:{}:{moment}", shown());
        match moment {
            "before" => may_fail(Side::Agent, name),
            _ => {
                point(name);
                Ok(())
            }
        }
    }

    /// A file is about to be changed.
    pub(crate) fn write(path: &Path, moment: impl FnOnce() -> &'static str) -> io::Result<()> {
        may_fail(Side::Worker, || {
            format!("file:{}:{}", shown(path), moment())
        })
    }

    /// An entry is about to be written.
    pub(crate) fn entry(name: impl FnOnce() -> String) -> io::Result<()> {
        may_fail(Side::Worker, name)
    }

    /// Whose disk it is.
    #[derive(Clone, Copy)]
    enum Side {
        Worker,
        Agent,
    }

    /// A point of this name is passed, and what comes next is refused if the rig says so.
    fn may_fail(side: Side, name: impl FnOnce() -> String) -> io::Result<()> {
        let name = name();
        let reached = passed(&name);
        let Some(folder) = folder() else {
            return Ok(());
        };
        let Ok(wanted) = fs::read_to_string(folder.join("refuse")) else {
            return Ok(());
        };
        let (point, disk) = wanted.split_once('\n').unwrap_or((&wanted, ""));
        let ours = match side {
            Side::Worker => !point.starts_with("book:"),
            Side::Agent => point.starts_with("book:"),
        };
        let begun = folder.join("refusing");
        if reached.is_some_and(|reached| reached == point) {
            let _ = fs::write(&begun, &wanted);
        }
        match (ours && begun.exists(), disk) {
            (false, _) => Ok(()),
            (true, "full") => Err(io::Error::from(io::ErrorKind::StorageFull)),
            (true, _) => Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)),
        }
    }

    /// A point of this name is passed.
    pub(crate) fn point(name: impl FnOnce() -> String) {
        if folder().is_some() {
            passed(&name());
        }
    }

    /// Notes it, and stops here if that is wanted; its name with its number, while there is a list.
    fn passed(name: &str) -> Option<String> {
        let folder = folder()?;
        let reached = note(folder, name).ok().flatten()?;
        let stop = fs::read_to_string(folder.join("stop")).unwrap_or_default();
        if stop.lines().any(|line| line == reached) {
            // Where the rig is not told, it says in time that the point was not reached.
            let _ = tell(folder, &reached);
            let _ = kill_process(getpid(), Signal::STOP);
            // A signal to the process may reach another thread first; this one goes no further meanwhile.
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(reached)
    }

    /// Something happens to a file.
    pub(crate) fn file(path: &Path, moment: impl FnOnce() -> &'static str) {
        point(|| format!("file:{}:{}", shown(path), moment()));
    }

    /// The last two names of a path, without what is different each time.
    fn shown(path: &Path) -> String {
        let names: Vec<String> = path
            .iter()
            .rev()
            .take(2)
            .map(|name| plain(&name.to_string_lossy()))
            .collect();
        names.into_iter().rev().collect::<Vec<_>>().join("/")
    }

    /// Requests' ids and numbers by one letter each.
    fn plain(name: &str) -> String {
        let mut words = Vec::new();
        for word in name.split('.') {
            let number = word.trim_start_matches("half-");
            if word.len() == 15 && word.starts_with("r-") {
                words.push("R".to_owned());
            } else if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
                words.push(word.replace(number, "N"));
            } else {
                words.push(word.to_owned());
            }
        }
        words.join(".")
    }

    /// Adds the point to the list, if there is one; gives the name with its number.
    fn note(folder: &Path, name: &str) -> io::Result<Option<String>> {
        let mut list = match OpenOptions::new()
            .read(true)
            .append(true)
            .open(folder.join("reached"))
        {
            Ok(list) => list,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        list.lock()?;
        let mut text = String::new();
        list.read_to_string(&mut text)?;
        let same = |line: &&str| line.rsplit_once('#').is_some_and(|(n, _)| n == name);
        let reached = format!("{name}#{}", text.lines().filter(same).count() + 1);
        list.write_all(format!("{reached}\n").as_bytes())?;
        list.unlock()?;
        Ok(Some(reached))
    }

    fn tell(folder: &Path, reached: &str) -> io::Result<()> {
        let pid = getpid().as_raw_nonzero();
        let beside = folder.join(format!("at.{pid}"));
        fs::write(&beside, format!("{reached}\n{pid}\n"))?;
        fs::rename(&beside, folder.join("at"))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_file_is_named_without_what_differs() {
            for (path, name) in [
                ("/s/runtime/r-abcdefghijklm.json", "runtime/R.json"),
                ("/s/generations/17/vault.age", "N/vault.age"),
                ("/s/prod/generations/17", "generations/N"),
                ("/s/generations/.half-17/vault.age", ".half-N/vault.age"),
                ("/s/seen.json", "s/seen.json"),
            ] {
                assert_eq!(shown(Path::new(path)), name);
            }
        }

        #[test]
        fn a_point_is_counted_while_there_is_a_list() {
            let dir = tempfile::tempdir().expect("a folder");
            assert_eq!(note(dir.path(), "a:b").expect("read"), None);
            let list = dir.path().join("reached");
            fs::write(&list, "").expect("written");
            for name in ["a:b#1", "a#1", "a:b#2"] {
                let point = name.rsplit_once('#').expect("a number").0;
                assert_eq!(
                    note(dir.path(), point).expect("read").as_deref(),
                    Some(name)
                );
            }
            assert_eq!(
                fs::read_to_string(&list).expect("there"),
                "a:b#1\na#1\na:b#2\n"
            );
        }
    }
}
