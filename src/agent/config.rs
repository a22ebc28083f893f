//! `agent.toml`: where things lie. Nothing in it widens anybody's power; that is the roster's.

mod audit;
pub(super) mod sinks;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use self::audit::AuditTable;
pub(super) use self::audit::Care;
use self::sinks::SinkTable;
use super::{accounts::AccountsTable, checks::Program};
use crate::{
    audit::{fingerprint::FingerprintTable, folder::Rotate},
    ceremony::readiness::{DAY, Limits},
    protocol::{Code, Problem, socket::DEFAULT_SOCKET},
    trust::{Digest, text::check_name},
};

/// Where the agent's configuration lies.
pub(super) const DEFAULT_CONFIG: &str = "/etc/twotap/agent.toml";

/// The agent's configuration, checked.
#[derive(Debug)]
pub(super) struct Config {
    /// The socket that clients connect to.
    pub(super) socket: PathBuf,
    /// `state.db`, `checkpoint.key`, `fingerprint.key`; 0700.
    pub(super) state: PathBuf,
    /// This host's name in the roster.
    pub(super) host_name: String,
    /// The vaults that this host serves.
    pub(super) vaults: Vec<String>,
    /// How a worker is had.
    pub(super) worker: WorkerAt,
    /// Folder of the file sink.
    pub(super) audit: PathBuf,
    /// When another file is begun in it.
    pub(super) rotate: Rotate,
    /// How the live record is looked after.
    pub(super) care: Care,
    /// How long sinks that a scenario names may take to acknowledge a request.
    pub(super) acknowledge: Duration,
    /// How often the sealed keys' uses are looked at; zero for never.
    pub(super) watch: Duration,
    /// After how many days new recovery sheets are asked for, where the roster does not ask sooner.
    pub(super) renew_days: u16,
    /// After how long a proof that a vault would open is stale.
    pub(super) readiness: Limits,
    /// The programs of the pre-checks that scenarios name.
    pub(super) checks: BTreeMap<String, Program>,
    /// How long a session stays open beside the one that continues it.
    pub(super) overlap: Duration,
    /// Which accounts are nobody's own.
    pub(super) accounts: AccountsTable,
    /// Where the peppers of fingerprints come from.
    pub(super) fingerprints: FingerprintTable,
    /// Where the record goes beside that folder; taken out when they are opened.
    pub(super) sinks: Vec<SinkTable>,
    /// The folder of the file: what its paths are taken from.
    pub(super) folder: PathBuf,
    /// SHA-256 of the file.
    pub(super) digest: Digest,
}

/// How a worker is had.
#[derive(Clone, Debug)]
pub(super) enum WorkerAt {
    /// systemd starts a fresh one for each connection to this socket.
    Socket(PathBuf),
    /// The agent starts the sibling binary with this configuration.
    Spawn {
        /// `worker.toml`.
        config: PathBuf,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "default_socket")]
    socket: PathBuf,
    #[serde(default = "default_state")]
    state: PathBuf,
    host_name: String,
    vaults: Vec<String>,
    #[serde(default)]
    worker: WorkerTable,
    #[serde(default)]
    audit: AuditTable,
    #[serde(default)]
    sinks: BTreeMap<String, toml::Table>,
    #[serde(default)]
    watch: WatchTable,
    #[serde(default)]
    recovery: RecoveryTable,
    #[serde(default)]
    readiness: ReadinessTable,
    #[serde(default)]
    checks: BTreeMap<String, Program>,
    #[serde(default)]
    again: AgainTable,
    #[serde(default)]
    accounts: AccountsTable,
    #[serde(default)]
    fingerprints: FingerprintTable,
    /// Failpoints.
    #[cfg(feature = "failpoints")]
    rig: Option<crate::fail::Rig>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerTable {
    socket: Option<PathBuf>,
    #[serde(default)]
    spawn: bool,
    config: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchTable {
    gap_seconds: u32,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveryTable {
    renew_days: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgainTable {
    overlap_seconds: u32,
}

/// The longest time that a session stays open beside the one that continues it, in seconds: every SDK asks again by then for credentials
/// that end so soon, and who is told that the time is nearly over is told 15 minutes before.
const MOST_OVERLAP: u32 = 15 * 60;

impl AgainTable {
    fn overlap(&self) -> Result<Duration, String> {
        match self.overlap_seconds {
            seconds if seconds <= MOST_OVERLAP => Ok(Duration::from_secs(seconds.into())),
            _ => Err(format!(
                "again.overlap_seconds: it is at most {MOST_OVERLAP}"
            )),
        }
    }
}

impl Default for AgainTable {
    fn default() -> Self {
        Self {
            overlap_seconds: MOST_OVERLAP,
        }
    }
}

/// Days after which a proof is stale. They can be lowered here, and no more.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadinessTable {
    drill_days: Option<u16>,
    full_drill_days: Option<u16>,
    sheet_days: Option<u16>,
}

impl ReadinessTable {
    fn limits(&self) -> Result<Limits, String> {
        let most = Limits::default();
        let lowered = |key: &str, days: Option<u16>, most: i64| match days {
            None => Ok(most),
            Some(days) if (1..=most / DAY).contains(&days.into()) => Ok(i64::from(days) * DAY),
            Some(_) => Err(format!("readiness.{key}: it is from 1 to {}", most / DAY)),
        };
        Ok(Limits {
            drill: lowered("drill_days", self.drill_days, most.drill)?,
            full_drill: lowered("full_drill_days", self.full_drill_days, most.full_drill)?,
            sheet: lowered("sheet_days", self.sheet_days, most.sheet)?,
        })
    }
}

impl Default for WatchTable {
    fn default() -> Self {
        Self {
            gap_seconds: 15 * 60,
        }
    }
}

impl Config {
    /// Reads and checks the file. Relative paths in it are taken from its folder.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let text = fs::read_to_string(path).map_err(|why| {
            Problem::new(Code::Usage, format!("{}: {why}", path.display()))
                .hint("name the file with --config; the README has an example")
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|why| {
            Problem::new(Code::Usage, format!("{}: {why}", path.display()))
                .hint("packaging/agent.toml has every key of this file")
        })
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|why| located(text, &why))?;
        check_name("host_name", &file.host_name).map_err(|why| format!("host_name: {why}"))?;
        if file.vaults.is_empty() {
            return Err("vaults: it names no vault".to_owned());
        }
        for (i, vault) in file.vaults.iter().enumerate() {
            check_name("vault name", vault).map_err(|why| format!("vaults: {why}"))?;
            if file.vaults[..i].contains(vault) {
                return Err(format!("vaults: {vault} stands in it twice"));
            }
        }
        #[cfg(feature = "failpoints")]
        crate::fail::arm(file.rig.as_ref());
        let at = |path: PathBuf| folder.join(path);
        let worker = match file.worker {
            WorkerTable {
                socket: None,
                spawn: true,
                config: Some(config),
            } => WorkerAt::Spawn { config: at(config) },
            WorkerTable { spawn: true, .. } => {
                return Err(
                    "worker: spawn = true goes with 'config' and without 'socket'".to_owned(),
                );
            }
            WorkerTable {
                config: Some(_), ..
            } => return Err("worker.config: it goes with spawn = true alone".to_owned()),
            WorkerTable { socket, .. } => WorkerAt::Socket(at(
                socket.unwrap_or_else(|| "/run/twotap-worker.sock".into())
            )),
        };
        Ok(Self {
            socket: at(file.socket),
            state: at(file.state),
            host_name: file.host_name,
            vaults: file.vaults,
            worker,
            acknowledge: file.audit.acknowledge()?,
            care: file.audit.care()?,
            rotate: file.audit.rotate(),
            audit: at(file.audit.file),
            watch: Duration::from_secs(file.watch.gap_seconds.into()),
            renew_days: file.recovery.renew_days.unwrap_or(u16::MAX),
            readiness: file.readiness.limits()?,
            checks: checks(file.checks, folder)?,
            overlap: file.again.overlap()?,
            accounts: AccountsTable {
                passwd: at(file.accounts.passwd),
                ..file.accounts
            },
            sinks: SinkTable::all(file.sinks)?,
            folder: folder.to_owned(),
            fingerprints: file.fingerprints,
            digest: Digest::of(text.as_bytes()),
        })
    }
}

fn checks(
    tables: BTreeMap<String, Program>,
    folder: &Path,
) -> Result<BTreeMap<String, Program>, String> {
    let one = |(name, table): (String, Program)| {
        check_name("name of a check", &name).map_err(|why| format!("checks: {why}"))?;
        let table = table.checked(folder);
        let table = table.map_err(|why| format!("checks.{name}.{why}"))?;
        Ok((name, table))
    };
    tables.into_iter().map(one).collect()
}

/// The parser's message with its line and the key on it.
fn located(text: &str, why: &toml::de::Error) -> String {
    let message = why.message().lines().next().unwrap_or_default();
    let Some(span) = why.span() else {
        return message.to_owned();
    };
    let before = text.get(..span.start).unwrap_or_default();
    let number = before.matches('\n').count();
    let key = text
        .lines()
        .nth(number)
        .and_then(|line| line.split_once('='))
        .map(|(key, _)| format!("{}: ", key.trim()))
        .unwrap_or_default();
    format!("line {}: {key}{message}", number + 1)
}

fn default_socket() -> PathBuf {
    DEFAULT_SOCKET.into()
}

fn default_state() -> PathBuf {
    "/var/lib/twotap".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/twotap"))
    }

    #[test]
    fn the_shipped_file_says_what_the_defaults_are() {
        let shipped = parse(include_str!("../../packaging/agent.toml")).expect("good");
        let least = parse("host_name = 'host-1'\nvaults = ['prod']").expect("good");
        assert_eq!(
            (shipped.socket, shipped.state, shipped.audit),
            (least.socket, least.state, least.audit)
        );
    }

    #[test]
    fn the_shortest_file_has_the_defaults() {
        let config = parse("host_name = 'berlin-1'\nvaults = ['prod']").expect("good");
        assert_eq!(config.socket, Path::new("/run/twotap/agent.sock"));
        assert_eq!(config.state, Path::new("/var/lib/twotap"));
        assert_eq!(config.audit, Path::new("/var/log/twotap"));
        assert!(
            matches!(config.worker, WorkerAt::Socket(p) if p == Path::new("/run/twotap-worker.sock"))
        );
    }

    #[test]
    fn checks_are_configured_as_their_readme_says() {
        let readme = include_str!("../../packaging/checks/README.md");
        let shown = readme.split("```toml\n").nth(1).expect("a block");
        let shown = shown.split("```").next().expect("its end");
        let config = parse(&format!("host_name = 'h'\nvaults = ['a']\n{shown}")).expect("good");
        assert_eq!(config.checks.keys().collect::<Vec<_>>(), ["pull-request"]);
        assert_eq!(config.overlap, Duration::from_secs(900));
        assert_eq!(config.acknowledge, Duration::from_secs(30));
    }

    #[test]
    fn proofs_may_be_asked_for_more_often_and_not_less() {
        let config = parse("host_name = 'h'\nvaults = ['a']\n[readiness]\ndrill_days = 30");
        let limits = config.expect("good").readiness;
        assert_eq!(limits.drill, 30 * DAY);
        assert_eq!(limits.sheet, Limits::default().sheet);
    }

    #[test]
    fn a_worker_is_spawned_with_a_file_beside_this_one() {
        let config = parse(
            "host_name = 'h'\nvaults = ['prod']\n[worker]\nspawn = true\nconfig = 'worker.toml'",
        )
        .expect("good");
        assert!(
            matches!(config.worker, WorkerAt::Spawn { config } if config == Path::new("/etc/twotap/worker.toml"))
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        for (text, key) in [
            ("vaults = ['prod']", "host_name"),
            ("host_name = 'h'\nvaults = 'prod'", "line 2: vaults"),
            ("host_name = 'h'\nvaults = []", "vaults"),
            ("host_name = 'h'\nvaults = ['a', 'a']", "vaults: a"),
            ("host_name = 'h'\nvaults = ['../x']", "vaults"),
            ("host_name = 'H H'\nvaults = ['a']", "host_name"),
            ("host_name = 'h'\nvaults = ['a']\nport = 1", "line 3: port"),
            (
                "host_name = 'h'\nvaults = ['a']\n[worker]\nspawn = true",
                "worker",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[worker]\nconfig = 'x'",
                "worker.config",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[audit]\nfiles = 'x'",
                "files",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[readiness]\ndrill_days = 91",
                "readiness.drill_days",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[readiness]\nsheet_days = 0",
                "readiness.sheet_days",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[audit]\nacknowledge_seconds = 31",
                "audit.acknowledge_seconds",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[again]\noverlap_seconds = 901",
                "again.overlap_seconds",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[checks.pr]\nprogram = '/x'\nseconds = 61",
                "checks.pr.seconds",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[checks.pr]\nseconds = 6",
                "program",
            ),
            (
                "host_name = 'h'\nvaults = ['a']\n[checks.'A B']\nprogram = '/x'",
                "checks",
            ),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(key), "{text:?}: {why}");
        }
    }
}
