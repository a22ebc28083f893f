//! The worker's door as systemd keeps it (`Accept=yes`): a socket that starts one process per connection, as the
//! worker's own account, with the connection as standard input.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::{RigError, people};

/// A listening door. Dropping it closes the socket and kills the processes that it started, and those alone.
pub struct WorkerDoor {
    socket: PathBuf,
    log: PathBuf,
    children: Arc<Mutex<Children>>,
    /// Closing this end tells the listening thread to stop.
    stop: Option<UnixStream>,
    listening: Option<JoinHandle<()>>,
}

/// Processes that have been started and not yet waited for; a number in `alive` is certainly still ours.
#[derive(Default)]
struct Children {
    alive: Vec<Pid>,
    started: usize,
    failures: Vec<String>,
    closed: bool,
}

impl WorkerDoor {
    /// Listens at `socket` (0600, owned by `agent_uid`) and starts `command` as `worker_uid` for each connection.
    /// The command's standard output and error go to `<socket>.log`.
    pub fn start(
        socket: &Path,
        agent_uid: u32,
        worker_uid: u32,
        command: Vec<String>,
    ) -> Result<Self, RigError> {
        people::require_root()?;
        if command.is_empty() {
            return Err(RigError::new("the worker's door has no command to start"));
        }
        let failed = |error: std::io::Error| {
            RigError::new(format!("worker's door {}: {error}", socket.display()))
        };
        let listener = UnixListener::bind(socket).map_err(failed)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        chown(socket, Some(agent_uid), Some(agent_uid)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let log = PathBuf::from(format!("{}.log", socket.display()));
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(failed)?;

        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        let children = Arc::new(Mutex::new(Children::default()));
        let service = Service {
            worker_uid,
            command,
            log: log.clone(),
            children: Arc::clone(&children),
        };
        let listening = std::thread::spawn(move || service.serve(&listener, &stopped));
        Ok(Self {
            socket: socket.to_owned(),
            log,
            children,
            stop: Some(stop),
            listening: Some(listening),
        })
    }

    /// The socket's path, for the agent's configuration.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the started processes have printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processes that run now.
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.children)
            .alive
            .iter()
            .map(|pid| pid.as_raw_nonzero().get().cast_unsigned())
            .collect()
    }

    /// How many processes have been started since the door opened.
    pub fn started(&self) -> usize {
        lock(&self.children).started
    }

    /// Why processes could not be started, oldest first; empty in a healthy run.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.children).failures.clone()
    }

    /// Kills every process that runs now, as a host that loses power would; the door stays open. Returns how many.
    pub fn kill_all(&self) -> usize {
        let children = lock(&self.children);
        for pid in &children.alive {
            // The group is the process's own; its number cannot have been given away while it is listed here.
            let _ = kill_process_group(*pid, Signal::KILL);
        }
        children.alive.len()
    }
}

impl Drop for WorkerDoor {
    fn drop(&mut self) {
        lock(&self.children).closed = true;
        self.stop = None;
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
        self.kill_all();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// What the listening thread owns.
struct Service {
    worker_uid: u32,
    command: Vec<String>,
    log: PathBuf,
    children: Arc<Mutex<Children>>,
}

impl Service {
    fn serve(&self, listener: &UnixListener, stopped: &UnixStream) {
        loop {
            let mut waiting = [
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(stopped, PollFlags::IN | PollFlags::HUP),
            ];
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return self.failed(format!("waiting at the door: {error}")),
            }
            if !waiting[1].revents().is_empty() {
                return;
            }
            match listener.accept() {
                Ok((connection, _)) => {
                    if let Err(error) = self.admit(connection) {
                        self.failed(error.to_string());
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => self.failed(format!("accepting at the door: {error}")),
            }
        }
    }

    /// Starts the command for one connection and a thread that waits for its end.
    fn admit(&self, connection: UnixStream) -> Result<(), RigError> {
        let failed =
            |error: std::io::Error| RigError::new(format!("starting {}: {error}", self.command[0]));
        let log = OpenOptions::new()
            .append(true)
            .open(&self.log)
            .map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = people::as_uid(self.worker_uid, &self.command[0])?;
        command
            .args(&self.command[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::from(OwnedFd::from(connection)))
            .stdout(log)
            .stderr(errors);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut children = lock(&self.children);
        if children.closed {
            return Ok(());
        }
        let mut child = command.spawn().map_err(failed)?;
        let pid = Pid::from_child(&child);
        children.alive.push(pid);
        children.started += 1;
        drop(children);

        let children = Arc::clone(&self.children);
        std::thread::spawn(move || {
            // First seen as ended without being reaped, then struck off, then reaped: so that nobody kills a number
            // which has already been given to another process.
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), ended) {}
            let mut children = lock(&children);
            children.alive.retain(|alive| *alive != pid);
            let _ = child.wait();
        });
        Ok(())
    }

    fn failed(&self, why: String) {
        lock(&self.children).failures.push(why);
    }
}

fn lock(children: &Mutex<Children>) -> std::sync::MutexGuard<'_, Children> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}
