//! A host with sinks whose receivers the test holds.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use twotap::audit::{chain::Hash, event::Record};

use crate::agent_support::{Host, paper::Paper, until};

/// A host with these sinks, each with more keys, and these lines in its `[audit]` table; without an agent.
pub(crate) fn prepared(audit: &str, sinks: &[(&str, &str)]) -> Host {
    let host = Host::prepare(Paper::new());
    let path = host.path("agent.toml");
    let mut text = fs::read_to_string(&path).expect("there") + audit + "\n";
    for (name, keys) in sinks {
        text.push_str(&format!(
            "[sinks.{name}]\nkind = 'syslog'\nunix = 'run/{name}.sock'\n{keys}\n"
        ));
    }
    fs::write(&path, text).expect("written");
    host
}

/// A receiver of a sink, while this lives.
pub(crate) struct Receiver {
    lines: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    path: std::path::PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start(host: &Host, name: &str) -> Self {
        let path = host.path(&format!("run/{name}.sock"));
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("bound");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("mode");
        let look = Some(Duration::from_millis(50));
        socket.set_read_timeout(look).expect("a bound");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (to, end) = (Arc::clone(&lines), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while !end.load(Ordering::SeqCst) {
                let Ok(n) = socket.recv(&mut buffer) else {
                    continue;
                };
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                // The message is the line; what stands before it is the protocol's.
                let line = text.find("{\"v\":1").map(|at| text[at..].to_owned());
                to.lock().expect("whole").push(line.expect("an event"));
            }
        });
        Self {
            lines,
            stop,
            path,
            thread: Some(thread),
        }
    }

    /// What came, by number, each once.
    pub(crate) fn record(&self) -> Vec<Record> {
        let lines = self.lines.lock().expect("whole").clone();
        let mut all: Vec<(Record, Hash)> = lines
            .iter()
            .map(|l| {
                (
                    Record::parse(l.as_bytes()).expect("a line"),
                    Hash::of(l.as_bytes()),
                )
            })
            .collect();
        all.sort_by_key(|(record, _)| record.seq);
        all.dedup_by_key(|(_, hash)| *hash);
        all.into_iter().map(|(record, _)| record).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Waits until a receiver has the whole record: every line of it, in one chain.
pub(crate) fn whole(host: &Host, receiver: &Receiver) {
    until("the receiver has the whole record", || {
        let (have, are) = (receiver.record(), host.events());
        have.len() >= are.len() && have[..are.len()] == are[..]
    });
}

/// How many events of a kind there are.
pub(crate) fn count(host: &Host, name: &str) -> usize {
    host.events_named(name).len()
}
