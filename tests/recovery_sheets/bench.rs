//! A folder in memory, and the programs run in it.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use twotap::trust::recovery::RecoverySet;
use twotap_rig::Terminal;
use twotap_shares::{Mnemonic, picture};

pub(crate) struct Bench {
    folder: TempDir,
}

/// How a program ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// What `--json` printed: one object and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|why| panic!("{why}: {} {}", self.out, self.err))
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{} {}", self.out, self.err);
        self
    }

    /// It failed with this code and said this.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{} {}", self.out, self.err);
        assert!(self.err.contains(said), "'{said}' is not in: {}", self.err);
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        let mut folder = tempfile::Builder::new();
        Self {
            folder: folder
                .prefix("sheets-")
                .tempdir_in("/dev/shm")
                .expect("a folder in memory"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The names of the files in a folder below, in order.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        names
    }

    /// `twotap` with these arguments, without a terminal, with nothing in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command
            .args(["--wait", env!("CARGO_BIN_EXE_twotap")])
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        command
    }

    /// The same at a terminal of its own.
    pub(crate) fn at_terminal(&self, args: &[&str]) -> Terminal {
        let alone = self.command(args);
        let mut typed = Command::new(env!("CARGO_BIN_EXE_twotap"));
        typed
            .args(args)
            .envs(alone.get_envs().filter_map(|(n, v)| Some((n, v?))))
            .current_dir(self.folder.path());
        Terminal::owned(&typed).expect("a terminal")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.given(args, "")
    }

    /// The same with something on standard input.
    pub(crate) fn given(&self, args: &[&str], input: &str) -> Run {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        // Who refuses its arguments does not read.
        let _ = child
            .stdin
            .take()
            .expect("piped")
            .write_all(input.as_bytes());
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().expect("ended");
        Run {
            code: status.code(),
            out: String::from_utf8(stdout).expect("text"),
            err: String::from_utf8(stderr).expect("text"),
        }
    }

    /// Makes a set of vault `prod` into the folder `to`; its record is `NAME.recovery.json`.
    pub(crate) fn create(&self, name: &str, args: &[&str]) -> Run {
        let _ = fs::create_dir(self.path(name));
        let (to, record) = (self.text(name), self.text(&format!("{name}.recovery.json")));
        let mut all = vec!["recovery", "create", "prod", "--to", &to, "-o", &record];
        all.extend(args);
        self.run(&all)
    }

    pub(crate) fn record(&self, name: &str) -> RecoverySet {
        let file = File::open(self.path(&format!("{name}.recovery.json"))).expect("a record");
        let set: RecoverySet = serde_json::from_reader(file).expect("of a set");
        set.check().expect("that makes sense");
        set
    }

    /// A sheet drawn as a picture, as a scanner would; answers the picture's file.
    pub(crate) fn scan(&self, sheet: &str) -> String {
        let to = self.path(sheet).with_extension("");
        let drawn = Command::new("pdftoppm")
            .args(["-r", "120", "-singlefile", "-png"])
            .arg(self.path(sheet))
            .arg(&to)
            .status();
        assert!(
            drawn
                .expect("pdftoppm, of the Debian package poppler-utils")
                .success()
        );
        to.with_extension("png").display().to_string()
    }

    /// The words on a sheet.
    pub(crate) fn words(&self, sheet: &str) -> Mnemonic {
        let scan = self.scan(sheet);
        let file = fs::read(Path::new(&scan)).expect("drawn");
        picture::read(&file).unwrap_or_else(|why| panic!("{sheet}: {why}"))
    }
}
