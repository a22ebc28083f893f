//! A host whose record is looked after, and hands that are laid on it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use twotap::audit::event::Record;

use crate::agent_support::{Host, paper::Paper, until};

/// What 'within seconds' means: a look, and the time for the kernel's word.
pub(crate) const SECONDS: Duration = Duration::from_secs(5);

/// A host with these lines in its `[audit]` table; its agent serves.
pub(crate) fn host(audit: &str) -> Host {
    let mut host = prepared(audit);
    host.start_agent();
    signed(&host);
    written(&host);
    host
}

/// The same without an agent.
pub(crate) fn prepared(audit: &str) -> Host {
    let host = Host::prepare(Paper::new());
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text + audit + "\n").expect("written");
    host
}

pub(crate) fn file(host: &Host) -> PathBuf {
    host.path("audit/events.jsonl")
}

/// Waits for the checkpoint with which everything ends that an agent writes at its start and after a finding: nothing comes after it.
pub(crate) fn signed(host: &Host) {
    until("a checkpoint is the newest event", || {
        let newest = host.events().pop();
        newest.is_some_and(|event| event.event_type == "CHECKPOINT")
    });
}

/// Waits until the file has all of the record.
pub(crate) fn written(host: &Host) {
    until("the file has the whole record", || {
        let record = host.get(crate::agent_support::DANA, "/v1/audit/events");
        fs::read(file(host)).is_ok_and(|written| written == record.body)
    });
}

/// Does something to the record, waits for the events of it, and for the file that is written anew.
pub(crate) fn finds(host: &Host, hand: impl FnOnce(&Path)) -> Record {
    let before = host.events_named("AUDIT_TAMPERED").len();
    let began = Instant::now();
    hand(&file(host));
    until("it is found", || {
        host.events_named("AUDIT_TAMPERED").len() > before
    });
    assert!(began.elapsed() < SECONDS, "it took {:?}", began.elapsed());
    signed(host);
    written(host);
    let mut found = host.events_named("AUDIT_TAMPERED");
    assert_eq!(found.len(), before + 1, "it is told once");
    found.pop().expect("one")
}

pub(crate) fn what<'r>(record: &'r Record, field: &str) -> &'r serde_json::Value {
    record.what.get(field).unwrap_or(&serde_json::Value::Null)
}

/// How it was done, and from which event on.
pub(crate) fn said(record: &Record) -> (&str, Option<u64>) {
    (
        what(record, "how").as_str().expect("how"),
        what(record, "from").as_u64(),
    )
}

/// The bytes that were kept as evidence.
pub(crate) fn kept(record: &Record) -> Vec<u8> {
    let folder = what(record, "kept").as_str().expect("it is kept");
    fs::read(Path::new(folder).join("events.jsonl")).expect("the evidence")
}
