//! The AWS emulator: one `ministack` process that checks signatures, key status, roles, sessions and policies.
//!
//! One process serves many accounts: a request belongs to the account of the key that signed it, and a key id of
//! twelve digits is that account's root, whose signature the emulator does not check. The rig alone uses root
//! keys, directly; [`crate::Proxy`] refuses them.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tempfile::TempDir;

use crate::client::{Client, Credentials};
use crate::{RigError, http, tools};

/// The Region that the rig signs for where a case does not say another.
pub const REGION: &str = "eu-central-1";

/// How long the emulator may take to start; a busy machine needs a few seconds.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Starts the emulator and ends it as soon as standard input does, that is with whoever started it, however
/// that one ended.
const LAUNCHER: &str = "\
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
runpy.run_module('ministack', run_name='__main__')
";

/// A condition key that the emulator lacks: it evaluates it once it knows it.
const LEADING_KEYS: &str = include_str!("leading_keys.py");

/// Which events AWS's own services may put, and which rules are sent them.
const TRAIL_SOURCE: &str = include_str!("trail_source.py");

/// A running emulator; it ends when this is dropped, or when the process that holds it ends.
pub struct Aws {
    address: SocketAddr,
    child: Child,
    next_account: AtomicU32,
    /// Its log and whatever it writes.
    folder: TempDir,
}

impl Aws {
    /// Starts an emulator of its own on a free loopback port and waits until it answers.
    pub fn start() -> Result<Self, RigError> {
        // The port is free when it is chosen and may be taken when it is used; then another is tried.
        let mut last = None;
        for _ in 0..5 {
            match Self::start_on(free_port()?) {
                Ok(aws) => return Ok(aws),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("five tries leave an error"))
    }

    /// The emulator that all cases of one test binary share, started by the first that asks. Cases keep apart by
    /// account: see [`Aws::new_account`].
    pub fn shared() -> Result<&'static Self, RigError> {
        static SHARED: OnceLock<Result<Aws, RigError>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref().map_err(|error| {
            let copy = RigError::new(format!("the shared emulator did not start: {error}"));
            error
                .hint()
                .map(str::to_owned)
                .into_iter()
                .fold(copy, RigError::with_hint)
        })
    }

    /// An account number that no other case of this emulator has.
    pub fn new_account(&self) -> String {
        let number = self.next_account.fetch_add(1, Ordering::Relaxed);
        format!("{:012}", 210_000_000_000 + u64::from(number))
    }

    /// Where the emulator listens. The code under test gets a proxy's address instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of `account`, past every policy: for making a world and for looking at it.
    pub fn admin(&self, account: &str) -> Client {
        admin(self.address, account)
    }

    /// What the emulator has printed so far, for a failing test to show.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn start_on(port: u16) -> Result<Self, RigError> {
        let python = tools::python()?;
        let failed = |what: &str, error: std::io::Error| {
            RigError::new(format!("the emulator's {what}: {error}"))
        };
        // One that serves all of a program's tests ends with the program, and its folder stays: where the next run takes it away.
        let folders = tools::build_folder()?.with_file_name("emulators");
        std::fs::create_dir_all(&folders).map_err(|error| failed("folder", error))?;
        let folder = tempfile::Builder::new()
            .prefix("twotap-aws-")
            .tempdir_in(folders)
            .map_err(|error| failed("folder", error))?;
        let log = File::create(folder.path().join("log")).map_err(|error| failed("log", error))?;
        let errors = log.try_clone().map_err(|error| failed("log", error))?;
        let child = Command::new(python)
            .args(["-c", &format!("{LEADING_KEYS}\n{TRAIL_SOURCE}\n{LAUNCHER}")])
            // Nothing of the caller's environment: neither AWS variables nor settings of the emulator's own.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("AUTH", "true")
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // Otherwise it listens on 8883 of all addresses as well.
            .env("IOT_MTLS_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| failed("start", error))?;
        let mut aws = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            child,
            next_account: AtomicU32::new(1),
            folder,
        };
        http::wait(wait_ready(&mut aws))??;
        Ok(aws)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The root of `account` at the emulator that listens on `address`.
pub(crate) fn admin(address: SocketAddr, account: &str) -> Client {
    let root = Credentials {
        access_key_id: account.to_owned(),
        secret_access_key: "not-checked".to_owned(),
        session_token: None,
    };
    Client::new(address, REGION, root)
}

async fn wait_ready(aws: &mut Aws) -> Result<(), RigError> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Ok(Some(status)) = aws.child.try_wait() {
            return Err(RigError::new(format!(
                "the emulator ended at its start ({status}): {}",
                aws.log()
            )));
        }
        let request = Request::get("/_ministack/ready")
            .header("host", aws.address.to_string())
            .body(Full::new(Bytes::new()))
            .map_err(|error| RigError::new(format!("the request cannot be built: {error}")))?;
        if let Ok(reply) = http::exchange(aws.address, request).await
            && reply.status().is_success()
            // Whoever else starts an emulator may have got the port first, and answers; our own will find it taken, and end.
            && listens(aws.child.id(), aws.address.port())
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(RigError::new(format!(
                "the emulator was not ready within {} s: {}",
                READY_WITHIN.as_secs(),
                aws.log()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether it is this process that listens at a port of loopback.
fn listens(pid: u32, port: u16) -> bool {
    let Ok(sockets) = std::fs::read_to_string("/proc/net/tcp") else {
        return false;
    };
    // proc_net_tcp(5): the address in hexadecimal, the state (0A: it listens), and tenth the inode.
    let loopback = u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets());
    let here = format!("{loopback:08X}:{port:04X}");
    let inode = sockets.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let found = fields.get(1) == Some(&&*here) && fields.get(3) == Some(&"0A");
        fields.get(9).filter(|_| found).copied()
    });
    let Some(inode) = inode else {
        return false;
    };
    let socket = format!("socket:[{inode}]");
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
    files.into_iter().flatten().flatten().any(|file| {
        std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str())
    })
}

/// A loopback port that was free a moment ago.
fn free_port() -> Result<u16, RigError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| RigError::new(format!("no free loopback port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_port_it_is_can_be_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(std::process::id(), port));
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let others = listens(other.id(), port);
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(!others);
    }
}
