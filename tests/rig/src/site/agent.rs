//! The agent host of a site: configurations, and the agent's process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Options, Site, VAULT};
use crate::{RigError, Stage, World};

/// How long the agent may take to be there, or to go.
const BOUND: Duration = Duration::from_secs(60);

/// A running `twotapd`; ended when dropped.
pub(super) struct AgentProcess {
    child: Child,
}

/// Writes `agent.toml` and `worker.toml`; returns the path of the latter.
pub(super) fn write_configs(
    stage: &Stage,
    world: &World,
    options: &Options,
) -> Result<PathBuf, RigError> {
    let regions: Vec<String> = options.regions.iter().map(|r| format!("{r:?}")).collect();
    let worker = format!(
        "state = {state:?}\nruntime = {runtime:?}\nagent_uid = {agent}\n\n[aws]\nsts_regions = [{regions}]\nendpoint = {endpoint:?}\n",
        state = stage.home("worker").join("state"),
        runtime = stage.home("worker").join("runtime"),
        agent = crate::people::AGENT,
        regions = regions.join(", "),
        endpoint = world.endpoint(),
    );
    let setter = stage.path().join("bin").join(super::SETTER);
    let set = |named: &super::Named| matches!(named, super::Named::Postgresql { .. });
    let worker = match options.secrets.iter().any(set) {
        true => worker + &format!("\n[setters.{}]\nprogram = {setter:?}\n", super::SETTER),
        false => worker,
    };
    let agent = format!(
        "socket = {socket:?}\nstate = {state:?}\nhost_name = \"host-1\"\nvaults = [{VAULT:?}]\n\n[worker]\nsocket = {worker:?}\n\n[audit]\nfile = {audit:?}\n",
        socket = stage.run().join("agent.sock"),
        state = stage.home("agent").join("state"),
        worker = stage.path().join("worker.sock"),
        audit = stage.home("agent").join("audit"),
    );
    let [worker, agent] = [worker, agent].map(|text| text + &options.configured);
    let agent = agent + &options.agent;
    for name in ["state", "runtime"] {
        make_private(&stage.home("worker").join(name), crate::people::WORKER)?;
    }
    stage.write("agent", "agent.toml", agent.as_bytes(), 0o600)?;
    stage.write("worker", "worker.toml", worker.as_bytes(), 0o600)
}

fn make_private(path: &Path, uid: u32) -> Result<(), RigError> {
    use std::os::unix::fs::{DirBuilderExt as _, chown};
    let failed = |why: std::io::Error| RigError::new(format!("{}: {why}", path.display()));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    chown(path, Some(uid), Some(uid)).map_err(failed)
}

impl Site {
    /// Starts the agent and waits until it answers.
    pub fn start_agent(&mut self) -> Result<(), RigError> {
        let failed = |why: std::io::Error| RigError::new(format!("twotapd: {why}"));
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.stage.path().join("twotapd.log"))
            .map_err(failed)?;
        let said_before = self.agent_log().len();
        let child = self
            .stage
            .command("agent", self.program("twotapd"))?
            .arg("--config")
            .arg(self.stage.home("agent").join("agent.toml"))
            .envs(self.options.environment.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut agent = AgentProcess { child };
        let begun = Instant::now();
        // It listens before it looks at its state and its sinks, which may still keep it from serving.
        while !self.serves_since(said_before) {
            if begun.elapsed() > BOUND || agent.has_ended() {
                return Err(RigError::new(format!(
                    "twotapd does not answer:\n{}",
                    self.agent_log()
                )));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.agent = Some(agent);
        Ok(())
    }

    /// Ends the agent as systemd would.
    pub fn stop_agent(&mut self) {
        self.agent = None;
    }

    /// Kills the agent where it stands.
    pub fn kill_agent(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.child.kill();
            let _ = agent.child.wait();
        }
        self.agent = None;
    }

    /// What the agent has printed.
    pub fn agent_log(&self) -> String {
        fs::read_to_string(self.stage.path().join("twotapd.log")).unwrap_or_default()
    }

    /// Whether it has said that it serves, in what was added to its log.
    fn serves_since(&self, before: usize) -> bool {
        let log = self.agent_log();
        log.get(before..)
            .is_some_and(|said| said.contains("serving on "))
    }

    /// The agent's process id.
    pub fn agent_pid(&self) -> Option<u32> {
        self.agent.as_ref().map(|a| a.child.id())
    }
}

impl AgentProcess {
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && !self.has_ended()
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while !self.has_ended() {
            if begun.elapsed() > BOUND {
                let _ = self.child.kill();
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}
