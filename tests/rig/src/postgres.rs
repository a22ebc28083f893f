//! A real PostgreSQL server from Debian, for one case: its own folder in memory, its own port on loopback, an account without rights.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{RigError, people};

/// Debian's account for the server; the server wants its account to have a name.
const ACCOUNT: &str = "postgres";
/// The superuser of every server here.
const ADMIN: (&str, &str) = ("admin", "admin-password-of-the-rig");
/// How long the server may take to start.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Starts the server and ends it as soon as standard input does, that is with whoever started it, however that one ended.
const LAUNCHER: &str = "\
import os, signal, subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def end():
    sys.stdin.buffer.read()
    server.send_signal(signal.SIGQUIT)
threading.Thread(target=end, daemon=True).start()
os._exit(server.wait() != 0)
";

/// A running server that logs every statement; it ends with this value.
pub struct Postgres {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// Starts a server that asks for passwords by SCRAM, on a unix socket and on loopback.
    pub fn start() -> Result<Self, RigError> {
        // The port is free when it is chosen and may be taken when it is used; then another is tried.
        let mut last = None;
        for _ in 0..5 {
            match Self::start_once() {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| RigError::new("postgresql was not tried")))
    }

    fn start_once() -> Result<Self, RigError> {
        let programs = programs()?;
        let account = account()?;
        let failed = |error: std::io::Error| RigError::new(format!("postgresql: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("twotap-postgres-")
            .tempdir_in("/dev/shm")
            .map_err(failed)?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("password"), ADMIN.1).map_err(failed)?;
        for path in [folder.path(), &path("password")] {
            chown(path, Some(account), None).map_err(failed)?;
        }
        let made = people::as_uid(account, programs.join("initdb"))?
            .args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--username", ADMIN.0])
            .arg("--pwfile")
            .arg(path("password"))
            .arg(path("data"))
            .current_dir("/")
            .output()
            .map_err(failed)?;
        succeeded("initdb", &made)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(failed)?
            .port();
        let log = fs::File::create(path("log")).map_err(failed)?;
        let child = people::as_uid(account, "/usr/bin/python3")?
            .args(["-c", LAUNCHER])
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(path("data"))
            .args([
                "-c",
                &format!("unix_socket_directories={}", folder.path().display()),
            ])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                &format!("port={port}"),
            ])
            .args(["-c", "log_statement=all", "-c", "fsync=off"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut server = Self {
            child,
            folder,
            port,
        };
        server.wait_ready()?;
        Ok(server)
    }

    /// The folder of its unix socket, as libpq takes it for a host.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Its port, on loopback and in the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged: every statement, as it came.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs statements as the superuser.
    pub fn admin(&self, statements: &str) -> Result<(), RigError> {
        let done = self.psql(ADMIN.0, ADMIN.1, statements)?;
        succeeded(statements, &done)
    }

    /// Lets everybody in with whatever password, from now on.
    pub fn trust_everybody(&self) -> Result<(), RigError> {
        let rules = self.folder.path().join("data/pg_hba.conf");
        fs::write(rules, "host all all 127.0.0.1/32 trust\n")
            .map_err(|error| RigError::new(format!("pg_hba.conf: {error}")))?;
        self.admin("SELECT pg_reload_conf()")?;
        let deadline = Instant::now() + READY_WITHIN;
        while !self.logs_in(ADMIN.0, "not the password")? {
            if Instant::now() > deadline {
                return Err(RigError::new("postgresql does not take up pg_hba.conf"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Makes a role that may log in. The password is one of this case's own making.
    pub fn make_role(&self, name: &str, password: &str) -> Result<(), RigError> {
        self.admin(&format!(
            "CREATE ROLE \"{}\" LOGIN PASSWORD '{}'",
            name.replace('"', "\"\""),
            password.replace('\'', "''")
        ))
    }

    /// Whether a role gets in with a password, over TCP.
    pub fn logs_in(&self, role: &str, password: &str) -> Result<bool, RigError> {
        Ok(self.psql(role, password, "SELECT 1")?.status.success())
    }

    fn answers_at_its_socket(&self) -> Result<bool, RigError> {
        let asked = self.psql_at(self.socket(), ADMIN.0, ADMIN.1, "SELECT 1")?;
        Ok(asked.status.success())
    }

    fn psql(&self, role: &str, password: &str, statements: &str) -> Result<Output, RigError> {
        self.psql_at(Path::new("127.0.0.1"), role, password, statements)
    }

    /// `host` is an address, or the folder of the socket.
    fn psql_at(
        &self,
        host: &Path,
        role: &str,
        password: &str,
        statements: &str,
    ) -> Result<Output, RigError> {
        Command::new("psql")
            .args([
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
            ])
            .arg(format!("--command={statements}"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PGHOST", host)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", role)
            .env("PGDATABASE", "postgres")
            .env("PGPASSWORD", password)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| RigError::new(format!("psql: {error}")))
    }

    fn wait_ready(&mut self) -> Result<(), RigError> {
        let deadline = Instant::now() + READY_WITHIN;
        // At its own socket: at the port another server may answer, and ours has ended or will. It is bound before the socket is there.
        while !self.answers_at_its_socket()? {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                return Err(RigError::new(format!(
                    "postgresql does not start: {}",
                    self.log()
                )));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its own children end with the server on the signal that it gets then.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The folder of the newest server that Debian has installed.
fn programs() -> Result<PathBuf, RigError> {
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    folders
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").exists())
        .max_by_key(|path| version(path))
        .map(|path| path.join("bin"))
        .ok_or_else(|| {
            RigError::new("there is no postgresql server")
                .with_hint("install it: cargo xtask setup does, or apt-get install postgresql")
        })
}

/// The uid of the server's account, as Debian's package has made it.
fn account() -> Result<u32, RigError> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    accounts
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let uid = (fields.next()? == ACCOUNT).then(|| fields.nth(1))??;
            uid.parse().ok()
        })
        .ok_or_else(|| {
            RigError::new(format!("there is no account {ACCOUNT}"))
                .with_hint("install it: cargo xtask setup does, or apt-get install postgresql")
        })
}

fn succeeded(what: &str, output: &Output) -> Result<(), RigError> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(RigError::new(format!("{what}: {said}")))
}
