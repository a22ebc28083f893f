//! The webhook at a receiver that is dead, slow, half-open, loses answers, says 5xx, 4xx, 429 or redirects, and comes back: nothing is lost,
//! nothing changes its order, and nobody else waits.

mod outside_support;

#[path = "webhook/answers.rs"]
mod answers;
#[path = "webhook/faults.rs"]
mod faults;
#[path = "webhook/tls.rs"]
mod tls;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use outside_support::{BOUND, Receiver, SECRET};
use time::OffsetDateTime;
use twotap::audit::{
    event::{Actor, Event, EventType},
    sinks::{Backoff, FileSink, Opening, Options, Sink, SinkStatus, Sinks, webhook::WebhookConfig},
    store::Store,
};

/// A store with the folder on this host as the first sink, and a webhook as the second.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    sinks: Option<Sinks>,
    /// What is asked of the webhook.
    options: Options,
}

impl Bench {
    fn new(table: &str) -> Self {
        Self::asking(table, Options::default())
    }

    fn asking(table: &str, options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).expect("written");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
        let store = Store::open(&folder.path().join("state.db")).expect("a store");
        let mut bench = Self {
            folder,
            store,
            sinks: None,
            options,
        };
        bench.start(table);
        bench
    }

    /// For a receiver, with a time limit of a second.
    fn to(receiver: &Receiver) -> Self {
        Self::new(&table(&receiver.url()))
    }

    /// For a receiver that answers, where it is counted what comes: on a busy machine nothing comes twice for its time limit.
    fn patient(receiver: &Receiver) -> Self {
        let table = table(&receiver.url());
        Self::new(&table.replace("timeout_seconds = 1", "timeout_seconds = 14"))
    }

    fn start(&mut self, table: &str) {
        let file = Box::new(FileSink::new(&self.folder.path().join("audit")));
        let hook = hook(self.folder.path(), table).expect("good settings");
        let backoff = Backoff {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(100),
        };
        let sinks: Vec<(Box<dyn Sink>, Options)> =
            vec![(file, Options::default()), (hook, self.options.clone())];
        self.sinks = Some(Sinks::start(&self.store, sinks, backoff).expect("started"));
    }

    fn sinks(&self) -> &Sinks {
        self.sinks.as_ref().expect("started")
    }

    /// An event with these words; its place.
    fn happens(&self, reason: &str) -> u64 {
        let event = Event::new(
            EventType::BreakGlassRequested,
            Actor::person("dana").expect("a name"),
        )
        .correlation("r-abcdefghijklm")
        .justification(reason)
        .detail("vault", "prod")
        .envelope("offer", r#"{"payload":"ENVELOPE-MARKER"}"#);
        self.store
            .commit(|tx| tx.append(&event, OffsetDateTime::now_utc()))
            .expect("on record")
            .seq
    }

    fn status(&self) -> SinkStatus {
        let all = self.sinks().status().expect("a status");
        all.into_iter()
            .find(|s| s.name == "hook")
            .expect("it is there")
    }

    /// Waits until the webhook's status is as it should be.
    fn until(&self, what: &str, ready: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        self.store.wait(Some(BOUND), |_| ready(&self.status()));
        let status = self.status();
        assert!(ready(&status), "not in time: {what}: {status:?}");
        status
    }

    fn holds(&self, name: &str, seq: u64) {
        assert!(
            self.sinks().wait_acknowledged(name, seq, BOUND),
            "{name} does not hold {seq}: {:?}",
            self.status()
        );
    }
}

fn table(url: &str) -> String {
    format!("url = '{url}'\nsecret_file = 'secret'\ntimeout_seconds = 1")
}

fn hook(folder: &Path, table: &str) -> Result<Box<dyn Sink>, String> {
    let config: WebhookConfig = toml::from_str(table).map_err(|why| why.to_string())?;
    let at = Opening {
        name: "hook",
        folder,
        state: folder,
        host: "bg-1",
    };
    config.open(&at).map_err(|why| why.to_string())
}
