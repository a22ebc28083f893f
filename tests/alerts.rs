//! Alerts at a running agent: of every kind of event that people are told of a message with who, where, what and what next is at the
//! receiver within a second, by the record's clock and the receiver's.

mod agent_support;
mod outside_support;

#[path = "alerts/ceremony.rs"]
mod ceremony;
#[path = "alerts/evidence.rs"]
mod evidence;
#[path = "alerts/keys.rs"]
mod keys;
#[path = "alerts/kinds.rs"]
mod kinds;
#[path = "alerts/people.rs"]
mod people;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
};

use agent_support::{AGENT, DANA, Host, paper::Paper, until};
use outside_support::{Does, Got, Receiver, SECRET};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use twotap::audit::{alert::alert, event::Record};

/// How late an alert may be.
const LATE: Duration = Duration::SECOND;

/// An agent that sends its alerts to a receiver.
struct Alerted {
    host: Host,
    receiver: Receiver,
}

impl Alerted {
    /// A host without an agent.
    fn prepare(paper: Paper) -> Self {
        Self::prepare_with(paper, "")
    }

    /// The same with more in `agent.toml`.
    fn prepare_with(paper: Paper, more: &str) -> Self {
        let host = Host::prepare(paper);
        let receiver = Receiver::start(Does::Takes);
        let secret = host.path("secret");
        fs::write(&secret, SECRET).expect("written");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
        chown(&secret, Some(AGENT), Some(AGENT)).expect("owner");
        let path = host.path("agent.toml");
        let before = fs::read_to_string(&path).expect("a configuration");
        let sink = format!(
            "[sinks.oncall]\nkind = 'webhook'\nonly = 'alerts'\nurl = '{}'\nsecret_file = 'secret'\ntimeout_seconds = 1\n",
            receiver.url()
        );
        fs::write(path, format!("{before}{more}{sink}")).expect("written");
        Self { host, receiver }
    }

    fn start() -> Self {
        let mut this = Self::prepare(Paper::new());
        this.host.start_agent();
        this
    }

    /// Waits until an event of this kind is on record.
    fn recorded(&self, kind: &str) {
        until(kind, || !self.host.events_named(kind).is_empty());
    }

    /// All that people are told of has come, in order, in time, and says what its event says; and of these kinds there was one.
    fn told_of(&self, kinds: &[&str]) {
        for kind in kinds {
            self.recorded(kind);
        }
        let expected: Vec<(Record, String)> = self
            .host
            .events()
            .into_iter()
            .filter_map(|record| alert(&record).map(|a| (record, a.to_string())))
            .collect();
        let last = expected.last().expect("something").0.seq;
        self.receiver
            .wait("the last alert", |got| got.iter().any(|g| g.seq() >= last));
        let got = self.receiver.taken();
        for (record, text) in &expected {
            let Some(message) = got.iter().find(|g| g.seq() == record.seq) else {
                panic!(
                    "of event {} {} nobody was told",
                    record.seq, record.event_type
                );
            };
            is_it(message, record, text);
        }
        let seqs: Vec<u64> = got.iter().map(Got::seq).collect();
        assert!(seqs.is_sorted(), "in order: {seqs:?}");
        let named: BTreeSet<&str> = expected
            .iter()
            .map(|(r, _)| r.event_type.as_str())
            .collect();
        for kind in kinds {
            assert!(named.contains(kind), "{kind} is no alert: {named:?}");
        }
    }
}

fn is_it(message: &Got, record: &Record, text: &str) {
    assert!(message.signed);
    let data = &message.body["data"];
    assert_eq!(data["text"], text);
    assert_eq!(data["event_type"], record.event_type);
    for part in ["severity", "title", "who", "where", "what", "next"] {
        assert!(
            data[part].as_str().is_some_and(|p| !p.is_empty()),
            "{part}: {data}"
        );
    }
    let happened = OffsetDateTime::parse(&record.timestamp, &Rfc3339).expect("a time");
    let late = message.at - happened;
    assert!(late < LATE, "{} was {late} late", record.event_type);
    let raw = String::from_utf8_lossy(&message.raw);
    for secret in ["whsec_", "SECRET-OF", "payloadType"] {
        assert!(!raw.contains(secret), "{secret}: {raw}");
    }
}

/// What `status` says is not as it should be.
fn degraded(alerted: &Alerted) -> Vec<String> {
    alerted.host.status(DANA).degraded
}
