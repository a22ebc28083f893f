//! An agent that is started on an old copy of its store.

use std::{fs, os::unix::fs::chown};

use serde_json::json;
use twotap::{
    audit::{
        chain::{Hash, Head},
        event::Record,
        note::NoteKey,
        verify::{self, Evidence, Report, Witness},
    },
    ceremony::Stage,
    protocol::evidence::Acknowledged,
};

use crate::agent_support::{AGENT, DANA, Host, SOFIA, until};

fn body(host: &Host) -> Vec<u8> {
    host.get(DANA, "/v1/audit/events").body
}

fn file(host: &Host) -> Vec<u8> {
    fs::read(host.path("audit/events.jsonl")).unwrap_or_default()
}

fn lines(record: &[u8]) -> Vec<&[u8]> {
    record
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .collect()
}

fn head(record: &[u8]) -> Head {
    let all = lines(record);
    let last = all.last().expect("a line");
    Head {
        seq: all.len() as u64,
        hash: Hash::of(last),
    }
}

/// Ends the agent, and copies its store.
pub(crate) fn backup(host: &mut Host) -> Vec<u8> {
    host.stop_agent();
    fs::read(host.path("state/state.db")).expect("the store")
}

/// Puts a copy of the store in its place.
pub(crate) fn put_back(host: &Host, store: &[u8]) {
    let path = host.path("state/state.db");
    for name in ["state/state.db-wal", "state/state.db-shm"] {
        let _ = fs::remove_file(host.path(name));
    }
    fs::write(&path, store).expect("written");
    chown(&path, Some(AGENT), Some(AGENT)).expect("owner");
}

/// A host with a session that was opened and closed after the backup; the backup, and the whole record.
fn lived_on() -> (Host, Vec<u8>, Vec<u8>, String) {
    let mut host = Host::start();
    until("the file is written", || file(&host) == body(&host));
    let store = backup(&mut host);
    host.start_agent();
    let view = host.open();
    until("the key is replaced", || {
        !host.events_named("CREDENTIAL_ROTATED").is_empty()
    });
    host.close(DANA, &view.id, false);
    host.reach(&view.id, Stage::Closed);
    until("its end is recorded", || {
        host.events_named("CHECKPOINT").len() > 3 && file(&host) == body(&host)
    });
    let record = body(&host);
    host.stop_agent();
    let record = match file(&host) {
        written if written.len() > record.len() => written,
        _ => record,
    };
    (host, store, record, view.id)
}

/// The one epoch, with the checkpoint that follows it.
fn reset(host: &Host) -> Record {
    let events = host.events();
    let mut resets = events.iter().filter(|e| e.event_type == "STORE_RESET");
    let reset = resets.next().expect("an epoch").clone();
    assert!(resets.next().is_none(), "it begins once");
    let next = &events[usize::try_from(reset.seq).expect("small")];
    assert_eq!(next.event_type, "CHECKPOINT");
    assert_eq!(next.what["seq"], reset.seq);
    // It is this host's word, by the id that its key has in the roster: as every other checkpoint's.
    let notes = events.iter().filter_map(|e| e.what.get("note")?.as_str());
    let mut origins: Vec<&str> = notes
        .filter_map(|note| note.lines().find(|l| l.starts_with("origin ")))
        .collect();
    origins.dedup();
    assert_eq!(origins.len(), 1, "{origins:?}");
    reset
}

/// What anybody finds who verifies the record, and holds `held`.
fn verified(host: &Host, held: Head) -> Report {
    let pem = fs::read_to_string(host.path("state/checkpoint.key")).expect("the key");
    let key =
        <ed25519_dalek::SigningKey as ed25519_dalek::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&pem);
    let key = NoteKey::new("host-1", key.expect("a key").verifying_key()).expect("a name");
    let evidence = Evidence {
        keys: &[key],
        held: &[Witness {
            head: held,
            by: "somebody".to_owned(),
            // Before any of this.
            at: Some("2026-01-01T00:00:00Z".to_owned()),
        }],
        ..Evidence::default()
    };
    let record = body(host);
    verify::verify(&*record, &evidence, &mut |_| Ok(None)).expect("read")
}

#[test]
fn what_the_store_lacks_is_taken_back_from_the_file_and_nothing_is_lost() {
    let (mut host, store, before, id) = lived_on();
    put_back(&host, &store);
    host.start_agent();
    let after = body(&host);
    assert!(after.starts_with(&before), "every line is there again");
    let reset = reset(&host);
    let held = head(&before);
    assert_eq!(reset.seq, held.seq + 1);
    assert_eq!(reset.prev, held.hash);
    assert_eq!(reset.what["epoch"], 2);
    assert_eq!(reset.what["lost_from"], reset.seq);
    assert_eq!(
        reset.what["held"],
        json!({ "seq": held.seq, "hash": held.hash.to_string() })
    );
    assert_eq!(reset.what["taken_back_through"], held.seq);
    // The file goes on where it was.
    until("the file is written", || file(&host) == body(&host));
    // What the journal tells again changes state, and is not told twice.
    until("the journal is taken up", || {
        host.get(DANA, "/v1/status").status == 200
    });
    for name in [
        "BREAK_GLASS_ACCESS",
        "CREDENTIAL_ROTATED",
        "SESSION_REVOKED",
    ] {
        let told = host.events_named(name);
        assert_eq!(told.len(), 1, "{name}");
        assert_eq!(told[0].correlation_id.as_deref(), Some(id.as_str()));
    }
    assert_eq!(host.status(DANA).vaults[0].generation, Some(2));
    let report = verified(&host, held);
    assert!(report.is_good(), "{:?}", report.problems);
    let [epoch] = report.resets.as_slice() else {
        panic!("shown: {:?}", report.resets)
    };
    assert_eq!(
        (epoch.epoch, epoch.lost(), epoch.signed_by.is_some()),
        (2, 0, true)
    );
    // It stands until an officer has seen it, and a restart begins no further epoch.
    let told = |host: &Host| {
        let degraded = host.status(DANA).degraded;
        degraded
            .iter()
            .any(|l| l.contains("epoch 2 begins and nothing of the record is lost"))
    };
    assert!(told(&host));
    host.kill_agent();
    host.start_agent();
    assert!(told(&host));
    let said = json!({ "reason": "put back after the disk was exchanged" });
    let done: Acknowledged = host
        .call(SOFIA, "POST", "/v1/audit/acknowledgement", &said)
        .json();
    assert_eq!(done.events, [reset.seq]);
    assert!(!told(&host));
    assert_eq!(host.events_named("STORE_RESET").len(), 1);
    // And work goes on.
    host.open();
}

#[test]
fn a_store_that_is_gone_is_had_back_whole() {
    let (mut host, _, before, _) = lived_on();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(host.path("state").join(name));
    }
    host.start_agent();
    assert!(body(&host).starts_with(&before));
    let reset = reset(&host);
    assert_eq!(reset.what["taken_back_from"], 1);
    assert_eq!(reset.what["taken_back_through"], reset.seq - 1);
    assert!(verified(&host, head(&before)).is_good());
}

#[test]
fn where_the_file_is_no_continuation_the_epoch_says_what_is_lost() {
    let (mut host, store, before, _) = lived_on();
    put_back(&host, &store);
    // Somebody has had his hand in the file too: a line that the store does not have is another.
    let text = String::from_utf8(before.clone()).expect("text");
    let at = text.rfind("\"actor\":\"bob\"").expect("bob approved");
    let forged = format!("{}\"actor\":\"dana\"{}", &text[..at], &text[at + 13..]);
    fs::write(host.path("audit/events.jsonl"), &forged).expect("written");
    host.start_agent();
    let reset = reset(&host);
    let lost_from = reset.what["lost_from"].as_u64().expect("a number");
    assert_eq!(lost_from, reset.seq, "the store's own lines are not lost");
    assert_eq!(reset.what["held"]["seq"], head(&before).seq);
    assert!(reset.what.get("taken_back_from").is_none());
    // What the file held is kept, and the sink has begun anew.
    let kept = fs::read_to_string(host.path("audit/over/1/events.jsonl")).expect("kept");
    assert_eq!(kept, forged);
    until("the file is written anew", || file(&host) == body(&host));
    assert!(
        host.events_named("AUDIT_TAMPERED").is_empty(),
        "the agent moved it itself"
    );
    // The journal's part is told again: it is the only one who knows.
    until("the journal is taken up", || {
        !host.events_named("BREAK_GLASS_ACCESS").is_empty()
    });
    // Who holds the head that was lost is not told that the record was rewritten, but what happened.
    let report = verified(&host, head(&before));
    assert!(report.is_good(), "{:?}", report.problems);
    assert!(report.resets[0].lost() > 0, "{:?}", report.resets);
    host.kill_agent();
    host.start_agent();
    assert_eq!(host.events_named("STORE_RESET").len(), 1);
}

/// Changes what the store refuses, as somebody who has its file can.
fn refusals(host: &Host, sql: &str) {
    let db = rusqlite::Connection::open(host.path("state/state.db")).expect("the store");
    db.execute_batch(sql).expect("changed");
}

#[test]
fn an_agent_that_is_stopped_while_it_begins_an_epoch_begins_it_at_the_next_start() {
    let (mut host, store, before, _) = lived_on();
    put_back(&host, &store);
    let live = host.path("audit/events.jsonl");
    let text = String::from_utf8(before).expect("text");
    let at = text.rfind("\"actor\":\"bob\"").expect("bob approved");
    let forged = format!("{}\"actor\":\"dana\"{}", &text[..at], &text[at + 13..]);
    fs::write(&live, &forged).expect("written");
    // The epoch does not come onto the record: nothing has been moved.
    refusals(
        &host,
        "CREATE TRIGGER one BEFORE INSERT ON events WHEN instr(NEW.line, 'STORE_RESET') BEGIN SELECT RAISE(ABORT, 'full'); END;
         CREATE TRIGGER two BEFORE DELETE ON records WHEN OLD.id = 'files to set aside' BEGIN SELECT RAISE(ABORT, 'full'); END;",
    );
    let refused = host.command().output().expect("it runs");
    assert!(!refused.status.success());
    assert_eq!(fs::read_to_string(&live).expect("in its place"), forged);
    // It does, and the agent gets no further; as it stands before the file is moved.
    refusals(&host, "DROP TRIGGER one;");
    let refused = host.command().output().expect("it runs");
    assert!(!refused.status.success());
    let kept = host.path("audit/over/2/events.jsonl");
    fs::rename(&kept, &live).expect("moved back");
    refusals(&host, "DROP TRIGGER two;");
    host.start_agent();
    let by = reset(&host).what["by"].clone();
    assert!(by.as_str().is_some_and(|by| by.contains("over/2")), "{by}");
    assert_eq!(fs::read_to_string(&kept).expect("kept"), forged);
    until("the file is written anew", || file(&host) == body(&host));
    assert!(host.events_named("AUDIT_TAMPERED").is_empty());
    assert!(verified(&host, head(text.as_bytes())).is_good());
}

#[test]
fn where_the_file_is_gone_too_the_manifest_knows() {
    let (mut host, store, _, _) = lived_on();
    let last = host.worker.journal().len();
    assert!(last > 0);
    put_back(&host, &store);
    fs::remove_file(host.path("audit/events.jsonl")).expect("removed");
    host.start_agent();
    until("an epoch begins", || {
        !host.events_named("STORE_RESET").is_empty()
    });
    let reset = reset(&host);
    let by = reset.what["by"].as_str().expect("who");
    assert!(
        by.contains("the manifest of generation 2 of vault prod"),
        "{by}"
    );
    let held = &reset.what["held"];
    assert!(held["seq"].as_u64() >= reset.what["lost_from"].as_u64());
    let held = Head {
        seq: held["seq"].as_u64().expect("a number"),
        hash: held["hash"]
            .as_str()
            .expect("text")
            .parse()
            .expect("a hash"),
    };
    let report = verified(&host, held);
    assert!(report.is_good(), "{:?}", report.problems);
    host.kill_agent();
    host.start_agent();
    assert_eq!(host.events_named("STORE_RESET").len(), 1);
}

#[test]
fn an_agent_that_lost_nothing_begins_no_epoch() {
    let (mut host, _, before, _) = lived_on();
    host.start_agent();
    assert!(body(&host).starts_with(&before));
    assert!(host.events_named("STORE_RESET").is_empty());
}

#[test]
fn lines_of_which_no_checkpoint_of_this_host_knows_begin_no_epoch() {
    let mut host = Host::start();
    until("the file is written", || file(&host) == body(&host));
    host.stop_agent();
    // A chain like any other: everybody can reckon it.
    let record = file(&host);
    let text = String::from_utf8(record.clone()).expect("text");
    let first = text.lines().next().expect("a line");
    let zero = Hash::from_bytes([0; 32]).to_string();
    let Head { seq, hash } = head(&record);
    let forged = first
        .replacen("\"seq\":1,", &format!("\"seq\":{},", seq + 1), 1)
        .replacen(&zero, &hash.to_string(), 1);
    fs::write(host.path("audit/events.jsonl"), text + &forged + "\n").expect("written");
    host.start_agent();
    until("it is found", || {
        !host.events_named("AUDIT_TAMPERED").is_empty()
    });
    until("the file is written anew", || file(&host) == body(&host));
    assert!(host.events_named("STORE_RESET").is_empty());
    assert!(
        !body(&host)
            .windows(forged.len())
            .any(|w| w == forged.as_bytes())
    );
    let found = host.events_named("AUDIT_TAMPERED").pop().expect("one");
    assert_eq!(found.what["from"], seq + 1);
}

/// A host whose record also goes into a repository.
fn with_repository() -> Host {
    let mut host = Host::prepare(crate::agent_support::paper::Paper::new());
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text + "[sinks.repo]\nkind = 'git'\n").expect("written");
    host.start_agent();
    host
}

/// What git says, as the agent's account.
fn git(host: &Host, args: &[&str]) -> String {
    let done = std::process::Command::new("setpriv")
        .args(["--reuid", "61001", "--regid", "61001", "--clear-groups"])
        .args(["git", "-c", "user.name=x", "-c", "user.email=x@example.org"])
        .arg("--git-dir")
        .arg(host.path("state/git/repo"))
        .args(args)
        .current_dir(host.path("state"))
        .env("HOME", host.path("state"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

const BRANCH: &str = "refs/heads/record/host-1";

#[test]
fn a_sink_is_believed_where_it_holds_this_hosts_own_checkpoint() {
    let mut host = with_repository();
    let store = backup(&mut host);
    host.start_agent();
    let view = host.ask();
    assert_eq!(host.deny(&view, "alice").status, 200);
    host.reach(&view.id, Stage::Denied);
    // Up to the checkpoint that comes last: without it nobody vouches for what is lost.
    until("the repository holds it all", || {
        let record = body(&host);
        let Head { seq, hash } = head(&record);
        let newest = host.events().pop().expect("an event");
        newest.event_type == "CHECKPOINT"
            && git(&host, &["log", "-1", "--format=%B", BRANCH])
                .contains(&format!("Twotap-Head: {seq} {hash}"))
    });
    host.stop_agent();
    put_back(&host, &store);
    fs::remove_file(host.path("audit/events.jsonl")).expect("removed");
    host.start_agent();
    until("an epoch begins", || {
        !host.events_named("STORE_RESET").is_empty()
    });
    assert_eq!(reset(&host).what["by"], "sink repo");
}

#[test]
fn a_sinks_word_alone_begins_no_epoch_and_blocks_nothing() {
    let mut host = with_repository();
    host.stop_agent();
    let path = host.path("agent.toml");
    let text = fs::read_to_string(&path).expect("there");
    let refuse = text.replace(
        "file = 'audit'",
        "file = 'audit'\nrefuse_when_tampered = true",
    );
    fs::write(&path, refuse).expect("written");
    let said = format!("more\n\nTwotap-Head: 999 {}", "ab".repeat(32));
    let tree = format!("{BRANCH}^{{tree}}");
    let forged = git(&host, &["commit-tree", &tree, "-p", BRANCH, "-m", &said]);
    git(&host, &["update-ref", BRANCH, &forged]);
    for _ in 0..2 {
        host.start_agent();
        until("it is said", || {
            !host.events_named("AUDIT_TAMPERED").is_empty()
        });
        let degraded = || host.status(DANA).degraded;
        until("the sink fails", || {
            degraded().iter().any(|l| l.contains("repo"))
        });
        host.stop_agent();
    }
    host.start_agent();
    let told = host.events_named("AUDIT_TAMPERED");
    assert_eq!(told.len(), 1, "it is told once");
    let why = told[0].what["why"].as_str().expect("why");
    assert_eq!(
        why,
        "sink repo shows a history up to event 999 that this host never signed"
    );
    assert!(host.events_named("STORE_RESET").is_empty());
    host.ask();
}
