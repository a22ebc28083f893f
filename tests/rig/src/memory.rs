//! Looking for secrets in the memory of a running process, from outside.
//!
//! [`Secrets`] knows what to look for: of each secret every fragment of 16 bytes, in each form in which software carries bytes about
//! ([`FORMS`]). A whole copy is found by its fragments. [`scan`] stops a process, reads every mapping that it can write (heap, stacks of
//! all threads, data) and says what stands there. Nothing is sampled: a mapping that cannot be read is an error.
//!
//! What it cannot see are the registers of a thread that stands still: those of finished work are overwritten by the system call in which
//! it waits and by what led there.
//!
//! It needs root: nobody else may read the memory of processes that are not dumpable.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use rustix::process::{Pid, Signal, kill_process};

use crate::{RigError, people};

/// Bytes of the fragments that are looked for.
pub const FRAGMENT: usize = 16;
/// Bytes of the shortest secret that can be told from chance.
pub const SHORTEST: usize = 8;
/// How a secret may be written; `base64 +N` begins N bytes behind a boundary of three.
pub const FORMS: [&str; 8] = [
    "raw",
    "hex",
    "HEX",
    "base64 +0",
    "base64 +1",
    "base64 +2",
    "utf-16 le",
    "utf-16 be",
];

/// By these first bytes needles are found.
const KEY: usize = 8;
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;
/// How long a process may take to stop.
const BOUND: Duration = Duration::from_secs(60);

/// What is looked for.
#[derive(Default)]
pub struct Secrets {
    names: Vec<String>,
    needles: Vec<Needle>,
    /// Needles by their first bytes.
    by_key: HashMap<u64, Vec<u32>>,
    /// One bit for each hash of such a key: nearly every place in memory is passed by on its word.
    filter: Vec<u64>,
    longest: usize,
}

struct Needle {
    bytes: Box<[u8]>,
    secret: u32,
    form: &'static str,
}

/// A secret, or a piece of one, where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its name, as given to [`Secrets::add`].
    pub secret: String,
    /// One of [`FORMS`].
    pub form: &'static str,
    /// The mapping (`[stack]`, `[heap]`, a file) or the file.
    pub place: String,
    /// Where the piece begins: an address, or an offset in a file.
    pub at: u64,
    /// How many bytes of the form stand there in a row.
    pub length: u64,
}

/// What a scan came to.
#[derive(Debug)]
pub struct Scan {
    /// Every piece that was found, joined where fragments overlap.
    pub found: Vec<Found>,
    /// Bytes that were read.
    pub bytes: u64,
    /// Mappings that were read, by name.
    pub mappings: Vec<String>,
}

impl Secrets {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            filter: vec![0; 1 << 14],
            ..Self::default()
        }
    }

    /// Adds a secret: each fragment of [`FRAGMENT`] bytes, or, if it is shorter, the whole; in every form. A secret that is known already
    /// keeps its first name.
    ///
    /// # Errors
    /// One of fewer than [`SHORTEST`] bytes.
    pub fn add(&mut self, name: &str, secret: &[u8]) -> Result<(), RigError> {
        if secret.len() < SHORTEST {
            return Err(RigError::new(format!(
                "{name} has {} bytes: in memory that would be found by chance",
                secret.len()
            )));
        }
        let number = u32::try_from(self.names.len()).map_err(|_| RigError::new("too many"))?;
        self.names.push(name.to_owned());
        for fragment in secret.windows(FRAGMENT.min(secret.len())) {
            for form in FORMS {
                for bytes in written(form, fragment) {
                    self.add_needle(bytes, number, form);
                }
            }
        }
        Ok(())
    }

    /// The names of all that is looked for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Looks through bytes; `place` and `base` name them in what is found.
    pub fn look(&self, bytes: &[u8], place: &str, base: u64) -> Vec<Found> {
        let mut found = Vec::new();
        for page in (0..bytes.len()).step_by(PAGE) {
            let end = (page + PAGE).min(bytes.len());
            // Most of what a process has mapped was never touched. A needle is not nothing but zeros, so only one that begins in the
            // zeros before its first byte could be passed by, and its next fragment is not.
            if bytes[page..end] == ZEROS[..end - page] {
                continue;
            }
            self.look_from(bytes, page, end, &mut |needle, at| {
                found.push(Found {
                    secret: self.names[needle.secret as usize].clone(),
                    form: needle.form,
                    place: place.to_owned(),
                    at: base + at as u64,
                    length: needle.bytes.len() as u64,
                });
            });
        }
        found
    }

    /// Calls `hit` for every needle that begins in `from..to`.
    fn look_from(&self, bytes: &[u8], from: usize, to: usize, hit: &mut dyn FnMut(&Needle, usize)) {
        let to = to.min(bytes.len().saturating_sub(KEY - 1));
        for at in from..to {
            let key = key(&bytes[at..]);
            let bit = hash(key);
            if self.filter[bit >> 6] & (1 << (bit & 63)) == 0 {
                continue;
            }
            for number in self.by_key.get(&key).into_iter().flatten() {
                let needle = &self.needles[*number as usize];
                if bytes[at..].starts_with(&needle.bytes) {
                    hit(needle, at);
                }
            }
        }
    }

    fn add_needle(&mut self, bytes: Vec<u8>, secret: u32, form: &'static str) {
        let key = key(&bytes);
        let same = self.by_key.entry(key).or_default();
        if same
            .iter()
            .any(|n| *self.needles[*n as usize].bytes == bytes)
        {
            return;
        }
        // Far fewer than 2^32: each secret has some hundreds.
        same.push(self.needles.len() as u32);
        self.longest = self.longest.max(bytes.len());
        let bit = hash(key);
        self.filter[bit >> 6] |= 1 << (bit & 63);
        self.needles.push(Needle {
            bytes: bytes.into_boxed_slice(),
            secret,
            form,
        });
    }
}

/// Reads everything that the process can write, while it stands still.
///
/// # Errors
/// Not root; a process that has ended or cannot be stopped; a mapping that cannot be read.
pub fn scan(pid: u32, secrets: &Secrets) -> Result<Scan, RigError> {
    need_root()?;
    let stopped = Stopped::new(pid)?;
    let scan = scan_stopped(pid, secrets);
    drop(stopped);
    scan
}

/// The same for files: every regular file below `folder` whose path `skip` does not name. Files that vanish meanwhile are passed by.
pub fn scan_files(
    folder: &std::path::Path,
    secrets: &Secrets,
    skip: &dyn Fn(&std::path::Path) -> bool,
) -> Result<Scan, RigError> {
    need_root()?;
    let mut scan = Scan::empty();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|why| failed(&folder.display(), &why))? {
            let path = entry.map_err(|why| failed(&folder.display(), &why))?.path();
            let Ok(kind) = fs::symlink_metadata(&path).map(|m| m.file_type()) else {
                continue;
            };
            if skip(&path) {
                continue;
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                match fs::read(&path) {
                    Ok(bytes) => scan.add(secrets, &bytes, &path.display().to_string(), 0),
                    Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                    Err(why) => return Err(failed(&path.display(), &why)),
                }
            }
        }
    }
    Ok(scan.joined())
}

/// Arguments and environment of every process on the host, whoever it belongs to.
pub fn scan_arguments(secrets: &Secrets) -> Result<Scan, RigError> {
    need_root()?;
    let mut scan = Scan::empty();
    for pid in pids()? {
        for file in ["cmdline", "environ", "comm"] {
            // A process may end at any time; one without an address space has neither.
            if let Ok(bytes) = fs::read(format!("/proc/{pid}/{file}")) {
                scan.add(secrets, &bytes, &format!("{file} of {pid}"), 0);
            }
        }
    }
    Ok(scan.joined())
}

/// The most memory that a running process has ever used, in bytes (`VmHWM` of proc_pid_status(5), which is near and not exact).
///
/// # Errors
/// It has ended.
pub fn peak(pid: u32) -> Result<usize, RigError> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|why| failed(&path, &why))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    let kib = kib.and_then(|kib| kib.parse::<usize>().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| RigError::new(format!("process {pid} has ended")))
}

/// The processes that run now.
pub fn pids() -> Result<Vec<u32>, RigError> {
    let entries = fs::read_dir("/proc").map_err(|why| failed(&"/proc", &why))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// The running processes whose program lies below `folder`, with that program's name.
pub fn processes_of(folder: &std::path::Path) -> Result<Vec<(u32, String)>, RigError> {
    Ok(pids()?
        .into_iter()
        .filter_map(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let name = program.strip_prefix(folder).ok()?;
            Some((pid, name.display().to_string()))
        })
        .collect())
}

/// A process that stands still until this is dropped. One that stood still before goes on doing so.
pub struct Stopped {
    pid: Pid,
    ours: bool,
}

impl Stopped {
    /// Stops the process, and waits until each of its threads stands still.
    ///
    /// # Errors
    /// It has ended, or does not stop.
    pub fn new(pid: u32) -> Result<Self, RigError> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or_else(|| RigError::new(format!("{pid} is no process")))?;
        let stopped = Self {
            pid: number,
            ours: !stands_still(pid)?,
        };
        if stopped.ours {
            kill_process(number, Signal::STOP).map_err(|why| failed(&pid, &why))?;
        }
        let begun = Instant::now();
        while !stands_still(pid)? {
            if begun.elapsed() > BOUND {
                return Err(RigError::new(format!("process {pid} does not stop")));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.ours {
            let _ = kill_process(self.pid, Signal::CONT);
        }
    }
}

/// Each thread's state: `R`, `S`, `D`, `T`, ... (proc_pid_stat(5)).
pub fn states(pid: u32) -> Result<Vec<char>, RigError> {
    let tasks = format!("/proc/{pid}/task");
    let mut states = Vec::new();
    for task in fs::read_dir(&tasks).map_err(|why| failed(&tasks, &why))? {
        let task = task.map_err(|why| failed(&tasks, &why))?.path();
        // A thread may end while the list is read.
        let Ok(stat) = fs::read_to_string(task.join("stat")) else {
            continue;
        };
        // The name in brackets may hold anything; the state comes behind the last bracket.
        states.extend(
            stat.rsplit(')')
                .next()
                .and_then(|rest| rest.trim_start().chars().next()),
        );
    }
    Ok(states)
}

fn stands_still(pid: u32) -> Result<bool, RigError> {
    let states = states(pid)?;
    if states.iter().all(|state| matches!(state, 'Z' | 'X')) {
        return Err(RigError::new(format!("process {pid} has ended")));
    }
    Ok(states
        .iter()
        .all(|state| matches!(state, 'T' | 't' | 'Z' | 'X')))
}

fn scan_stopped(pid: u32, secrets: &Secrets) -> Result<Scan, RigError> {
    let path = format!("/proc/{pid}/mem");
    let memory = File::open(&path).map_err(|why| failed(&path, &why))?;
    let maps = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&maps).map_err(|why| failed(&maps, &why))?;
    let mut scan = Scan::empty();
    let mut buffer = vec![0; CHUNK + secrets.longest];
    for line in maps.lines() {
        let Some(mapping) = Mapping::parse(line) else {
            return Err(RigError::new(format!("not a mapping: {line}")));
        };
        if !mapping.permissions.starts_with("rw") {
            continue;
        }
        let mut at = mapping.from;
        while at < mapping.to {
            // Chunks overlap, so that nothing is cut in two.
            let left = usize::try_from(mapping.to - at).unwrap_or(usize::MAX);
            let length = left.min(buffer.len());
            memory
                .read_exact_at(&mut buffer[..length], at)
                .map_err(|why| failed(&format!("{path}, {line}"), &why))?;
            scan.add(secrets, &buffer[..length], mapping.name, at);
            at += left.min(CHUNK) as u64;
        }
        scan.mappings.push(mapping.name.to_owned());
    }
    Ok(scan.joined())
}

/// A line of `/proc/PID/maps`.
struct Mapping<'l> {
    from: u64,
    to: u64,
    permissions: &'l str,
    name: &'l str,
}

impl<'l> Mapping<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let name = fields.nth(3).unwrap_or("[anonymous]");
        Some(Self {
            from: u64::from_str_radix(from, 16).ok()?,
            to: u64::from_str_radix(to, 16).ok()?,
            permissions,
            name,
        })
    }
}

impl Scan {
    fn empty() -> Self {
        Self {
            found: Vec::new(),
            bytes: 0,
            mappings: Vec::new(),
        }
    }

    fn add(&mut self, secrets: &Secrets, bytes: &[u8], place: &str, base: u64) {
        self.bytes += bytes.len() as u64;
        self.found.extend(secrets.look(bytes, place, base));
    }

    /// Overlapping fragments of one secret in one form become one piece.
    fn joined(mut self) -> Self {
        self.found.sort();
        self.found.dedup();
        let mut joined: Vec<Found> = Vec::new();
        for next in std::mem::take(&mut self.found) {
            match joined.last_mut() {
                Some(last)
                    if (&last.secret, last.form, &last.place)
                        == (&next.secret, next.form, &next.place)
                        && next.at <= last.at + last.length =>
                {
                    last.length = last.length.max(next.at + next.length - last.at);
                }
                _ => joined.push(next),
            }
        }
        self.found = joined;
        self
    }

    /// The names of the secrets of which something was found.
    pub fn names(&self) -> BTreeSet<&str> {
        self.found.iter().map(|f| f.secret.as_str()).collect()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {} bytes) in {} at {:#x}",
            self.secret, self.form, self.length, self.place, self.at
        )
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.found {
            writeln!(f, "{found}")?;
        }
        write!(f, "{} bytes read", self.bytes)
    }
}

static ZEROS: [u8; PAGE] = [0; PAGE];

/// How a fragment looks in a form: those characters alone that it decides by itself.
fn written(form: &str, fragment: &[u8]) -> Vec<Vec<u8>> {
    let base64 = |before: usize| {
        let mut padded = vec![0; before];
        padded.extend_from_slice(fragment);
        // Six bits a character; the first and the last may be shared with neighbours.
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        let mut both = Vec::new();
        for encoding in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            let text = encoding.encode(&padded).into_bytes();
            both.push(text[first..last].to_vec());
        }
        both.dedup();
        both
    };
    match form {
        "raw" => vec![fragment.to_vec()],
        "hex" => vec![HEXLOWER.encode(fragment).into_bytes()],
        "HEX" => vec![HEXUPPER.encode(fragment).into_bytes()],
        "base64 +0" => base64(0),
        "base64 +1" => base64(1),
        "base64 +2" => base64(2),
        "utf-16 le" => vec![fragment.iter().flat_map(|b| [*b, 0]).collect()],
        _ => vec![fragment.iter().flat_map(|b| [0, *b]).collect()],
    }
}

fn key(bytes: &[u8]) -> u64 {
    let mut first = [0; KEY];
    first.copy_from_slice(&bytes[..KEY]);
    u64::from_le_bytes(first)
}

/// 20 bits of a multiplicative hash (Knuth).
fn hash(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44) as usize
}

fn need_root() -> Result<(), RigError> {
    if people::is_root() {
        return Ok(());
    }
    Err(
        RigError::new("only root may read the memory of processes that are not dumpable")
            .with_hint("run as root: sudo --preserve-env=PATH,HOME cargo xtask test"),
    )
}

fn failed(what: &dyn fmt::Display, why: &dyn fmt::Display) -> RigError {
    RigError::new(format!("{what}: {why}"))
}

#[cfg(test)]
mod tests;
