//! What the end-to-end tests share: a pcscd with one token, and other people's programs.
#![allow(dead_code, unreachable_pub)] // each test file uses its own part of it

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;
use twotap_token::{Control, Pcscd, TokenOptions, TokenProcess};

/// The factory management key, in hex.
pub const FACTORY_KEY: &str = "010203040506070801020304050607080102030405060708";

/// The reader that the first token sits in.
pub const READER: &str = "Yubico YubiKey OTP+FIDO+CCID 00 00";

/// The variable that names the folder with other people's programs.
const TOOLS: &str = "TWOTAP_TOOLS";

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_twotap-token");

/// The seconds that any client may take; the slowest needs four.
const BOUND: &str = "60";

/// One token in its own pcscd, with a folder that goes with it.
pub struct Rig {
    // In this order: the token is pulled out before pcscd ends, and the folder goes last.
    pub token: TokenProcess,
    pub pcscd: Pcscd,
    dir: TempDir,
}

impl Rig {
    /// Token 1001 of this profile, which waits a second for a touch.
    pub fn new(profile: &str) -> Self {
        Self::with(|_, options| options.profile = profile.into())
    }

    /// The same with whatever `change` makes of the options; it is given the rig's folder.
    pub fn with(change: impl FnOnce(&Path, &mut TokenOptions)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        // Other uids have to walk through it to pcscd's socket.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let pcscd = Pcscd::start(&dir.path().join("pcscd"), 2).expect("a pcscd");
        let mut options = TokenOptions::new(PROGRAM, dir.path(), 1001);
        options.touch_timeout_ms = Some(1000);
        change(dir.path(), &mut options);
        let token = pcscd.insert(&options).expect("a token");
        Self { token, pcscd, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn control(&self) -> Control {
        self.token.control().expect("the control socket")
    }

    /// A client of this pcscd, in the rig's folder, with a home of its own and a bound.
    pub fn client(&self, program: impl AsRef<Path>) -> Command {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).expect("a folder");
        // ykman kills other people's scdaemon when a reader is busy. Not here.
        let pkill = bin.join("pkill");
        if !pkill.exists() {
            twotap_rig::tools::install_text("#!/bin/sh\nexit 1\n", &pkill).expect("a script");
        }
        // age looks for its plugin in the path.
        let mut path = vec![bin];
        path.extend(env::var_os(TOOLS).map(|t| PathBuf::from(t).join("bin")));
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let path = env::join_paths(path).expect("no colon in a folder's name");
        let mut command = Command::new("timeout");
        command
            .arg(BOUND)
            .arg(program.as_ref())
            .current_dir(self.dir.path())
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("PCSCLITE_CSOCK_NAME", self.pcscd.socket())
            .stdin(Stdio::null());
        command
    }

    /// ykman on the token's reader; its standard output.
    pub fn ykman(&self, args: &[&str]) -> String {
        let mut command = self.client(tools().join("venv/bin/ykman"));
        command.args(["--reader", READER]).args(args);
        succeed(command)
    }

    /// yubico-piv-tool on the token's reader; its standard output.
    pub fn piv_tool(&self, args: &[&str]) -> String {
        let mut command = self.client("yubico-piv-tool");
        command.args(["--reader", READER]).args(args);
        succeed(command)
    }

    /// Python with `cryptography`, which checks what a token says.
    pub fn python(&self, script: &str, args: &[&str]) -> String {
        let mut command = self.client(tools().join("venv/bin/python"));
        command.args(["-c", script]).args(args);
        succeed(command)
    }
}

/// The folder with other people's programs.
///
/// # Panics
/// If it is not there: a test that cannot run has not passed.
pub fn tools() -> PathBuf {
    const HINT: &str = "run `cargo xtask test`, which installs ykman and age-plugin-yubikey and \
                        sets TWOTAP_TOOLS to their folder";
    let dir = env::var_os(TOOLS).map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| panic!("TWOTAP_TOOLS is not set: {HINT}"));
    for program in [
        "venv/bin/ykman",
        "venv/bin/python",
        "bin/age-plugin-yubikey",
    ] {
        let path = dir.join(program);
        assert!(path.exists(), "{} is not there: {HINT}", path.display());
    }
    dir
}

/// Runs a client that has to succeed; its standard output.
pub fn succeed(command: Command) -> String {
    let (ok, out, err) = run(command);
    assert!(ok, "the client failed:\n{out}\n{err}");
    out
}

/// Runs a client that has to fail; its standard error.
pub fn fail(command: Command) -> String {
    let (ok, out, err) = run(command);
    assert!(!ok, "the client should have failed:\n{out}\n{err}");
    err
}

fn run(mut command: Command) -> (bool, String, String) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
