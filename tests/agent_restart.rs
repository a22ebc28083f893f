//! What was missed is taken up: lost messages, an agent that was killed, a host that was rebooted; and the socket that each start finds.

mod agent_support;

#[path = "agent_restart/store.rs"]
mod store;

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixListener,
    },
};

use agent_support::{DANA, Host, paper::Paper, refused, until};
use twotap::{
    audit::{
        chain::Hash,
        checkpoint::Checkpoint,
        note::NoteKey,
        store::Store,
        verify::{Evidence, verify},
    },
    ceremony::Stage,
    protocol::{Code, socket::RequestView},
};

/// Journal numbers that the record has, in the record's order.
fn journal_numbers(host: &Host) -> Vec<u64> {
    host.events()
        .iter()
        .filter_map(|e| e.what.get("journal")?.as_u64())
        .collect()
}

#[test]
fn an_entry_that_was_not_reported_is_fetched() {
    let host = Host::start();
    host.worker.told(|s| s.unreported = Some("mint_intent"));
    let view = host.open();
    until("the rotation is recorded", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    let names = host.events_of(&view.id);
    assert!(names.contains(&"MINT_INTENT".to_owned()), "{names:?}");
    let numbers = journal_numbers(&host);
    let expected: Vec<u64> = (1..=host.worker.journal().len() as u64).collect();
    assert_eq!(numbers, expected, "each entry once, in order");
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
}

#[test]
fn a_connection_lost_in_the_middle_loses_no_entry() {
    let host = Host::start();
    host.worker.told(|s| s.dies_after = Some("key_created"));
    let view = host.open();
    until("the rotation is pending", || {
        host.status(DANA).vaults[0].rotation.starts_with("pending")
    });
    let expected: Vec<u64> = (1..=host.worker.journal().len() as u64).collect();
    assert_eq!(journal_numbers(&host), expected);
    // The session that was minted before is the operator's all the same.
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
}

#[test]
fn a_worker_lost_between_intent_and_session_leads_to_closing() {
    let host = Host::start();
    host.worker.told(|s| {
        s.dies_after = Some("mint_intent");
        s.times.session = 15;
    });
    let view = host.ask();
    host.approve(&view, "alice");
    host.approve(&view, "bob");
    // Nothing is kept that could close it, so the clock ends it.
    host.reach(&view.id, Stage::Closed);
    let names = host.events_of(&view.id);
    assert!(names.contains(&"SESSION_CLOSED".to_owned()), "{names:?}");
    assert!(names.contains(&"SESSION_EXPIRED".to_owned()), "{names:?}");
}

#[test]
fn a_killed_agent_takes_up_session_and_entries() {
    let mut host = Host::start();
    // From the quorum on nothing reaches the agent; then it is killed.
    host.worker.told(|s| s.silent_after = Some("minted"));
    let view = host.open();
    host.kill_agent();
    host.start_agent();
    let again = host.request(&view.id);
    assert_eq!(again.stage, Stage::Open);
    assert_eq!(again.approved_by, ["alice", "bob"]);
    let got = host.credentials(DANA, &view.id).credentials();
    assert_eq!(*got.secret_access_key, format!("secret-0-of-{}", view.id));
    until("the rotation is recorded", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    let expected: Vec<u64> = (1..=host.worker.journal().len() as u64).collect();
    assert_eq!(journal_numbers(&host), expected);
    assert_eq!(host.events_named("AGENT_STARTED").len(), 2);
}

#[test]
fn a_request_that_waited_when_the_agent_was_killed_fails_and_says_why() {
    let mut host = Host::start();
    let view = host.ask();
    host.approve(&view, "alice");
    host.kill_agent();
    host.start_agent();
    let failed = host.reach(&view.id, Stage::Failed);
    assert!(failed.outcome.expect("said").contains("restarted"));
    assert_eq!(host.approve(&view, "bob").problem().code, Code::Approvals);
    host.open();
}

#[test]
fn a_quorum_counted_while_the_agent_died_is_taken_up_from_the_journal() {
    let mut host = Host::start();
    host.worker.told(|s| s.silent_after = Some("quorum"));
    let view = host.ask();
    host.approve(&view, "alice");
    // The worker counts Bob's vote and is not heard again; the agent may or may not have recorded it.
    host.approve(&view, "bob");
    host.kill_agent();
    host.start_agent();
    host.reach(&view.id, Stage::Open);
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
}

#[test]
fn closing_is_resumed_after_a_restart() {
    let mut host = Host::start();
    host.worker.told(|s| s.close_fails = 1000);
    let view = host.open();
    host.close(DANA, &view.id, false).json::<RequestView>();
    until("a try was made", || host.worker.jobs("close") > 0);
    host.kill_agent();
    host.worker.told(|s| s.close_fails = 0);
    host.start_agent();
    host.reach(&view.id, Stage::Closed);
    assert_eq!(host.events_named("SESSION_CLOSED").len(), 1);
    assert_eq!(host.events_named("SESSION_REVOKED").len(), 1);
}

#[test]
fn after_a_reboot_the_clock_ends_the_session() {
    let mut host = Host::start();
    host.worker.told(|s| s.times.session = 4);
    let view = host.open();
    host.kill_agent();
    host.worker.reboot();
    host.start_agent();
    assert_ne!(host.credentials(DANA, &view.id).status, 200);
    let closed = host.reach(&view.id, Stage::Closed);
    assert!(closed.outcome.expect("said").starts_with("expired at"));
    let expired = host.events_named("SESSION_EXPIRED");
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].what["observed"], false);
}

#[test]
fn the_record_verifies_from_its_files_after_everything() {
    let mut host = Host::start();
    let view = host.open();
    host.close(DANA, &view.id, false);
    host.reach(&view.id, Stage::Closed);
    until("a checkpoint over all of it", || {
        let events = host.events();
        let is = |name: &str| events.iter().any(|e| e.event_type == name);
        is("CREDENTIAL_ROTATED")
            && is("SESSION_REVOKED")
            && events.last().is_some_and(|e| e.event_type == "CHECKPOINT")
    });
    host.stop_agent();

    let keys = host.command().arg("keys").output().expect("it runs");
    assert!(
        keys.status.success(),
        "{}",
        String::from_utf8_lossy(&keys.stderr)
    );
    let keys: serde_json::Value = serde_json::from_slice(&keys.stdout).expect("json");
    assert_eq!(keys["name"], "host-1");
    assert_eq!(
        keys["key"],
        serde_json::json!(twotap::trust::Signer::public(&host.worker.paper().host))
    );
    let spki = keys["checkpoint_key"].as_str().expect("base64");
    let twotap::trust::PublicKey::Ed25519(key) =
        serde_json::from_value(serde_json::json!(spki)).expect("a key")
    else {
        panic!("not Ed25519");
    };
    let key = NoteKey::new("host-1", key).expect("a name");

    // From the sink's files and the public key alone.
    let lines = fs::read(host.path("audit/events.jsonl")).expect("the sink's file");
    let note = fs::read_to_string(host.path("audit/checkpoint.note")).expect("a checkpoint");
    let (keys, notes) = ([key], [note]);
    let (checkpoint, _) = Checkpoint::open(&notes[0], &keys).expect("signed");
    let host_id = twotap::trust::Signer::public(&host.worker.paper().host).id();
    assert_eq!(checkpoint.origin, host_id.to_string());
    let envelopes = |hash: &Hash| fs::read(host.path(&format!("audit/envelopes/{hash}.json"))).ok();
    let evidence = Evidence {
        keys: &keys,
        checkpoints: &notes,
        envelopes: Some(&envelopes),
        ..Evidence::default()
    };
    let report = verify(&lines[..], &evidence, &mut |_| Ok(None)).expect("read");
    assert!(report.is_good(), "{:?}", report.problems);
    assert_eq!(
        (report.envelopes_missing, report.checkpoints_unknown),
        (0, 0)
    );
    assert!(
        report.envelopes_checked >= 6,
        "offer, two approvals, manifest, two receipts"
    );
    assert_eq!(report.proven_to(), checkpoint.head.seq);
    assert_eq!(
        checkpoint.head.seq + 1,
        report.head.seq,
        "the checkpoint is the last event"
    );
    let store = Store::open(&host.path("state/state.db")).expect("a whole store");
    assert_eq!(
        store.verify().expect("a whole chain"),
        report.head,
        "the sink holds all"
    );
}

#[test]
fn what_a_dead_agent_left_is_removed_and_what_lives_is_not() {
    let mut host = Host::start();
    let second = host.command().output().expect("it runs");
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        said.contains("serves on") && said.contains("already"),
        "{said}"
    );
    assert_eq!(
        host.get(DANA, "/v1/status").status,
        200,
        "the first serves on"
    );

    let mode = fs::metadata(host.socket())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o666);
    // Killed, it leaves its socket behind; the next one takes its place.
    host.kill_agent();
    assert!(
        fs::metadata(host.socket())
            .expect("left")
            .file_type()
            .is_socket()
    );
    host.start_agent();
    assert_eq!(host.get(DANA, "/v1/status").status, 200);

    host.stop_agent();
    assert!(!host.socket().exists(), "an orderly end leaves nothing");
    fs::write(host.socket(), "precious").expect("written");
    let third = host.command().output().expect("it runs");
    assert_eq!(third.status.code(), Some(2));
    assert_eq!(fs::read_to_string(host.socket()).expect("kept"), "precious");
}

#[test]
fn a_socket_that_is_somebody_elses_by_now_is_left_alone() {
    let mut host = Host::start();
    fs::remove_file(host.socket()).expect("removed");
    let _other = UnixListener::bind(host.socket()).expect("bound");
    host.stop_agent();
    assert!(host.socket().exists());
}

#[test]
fn a_vault_that_is_installed_later_is_found_without_a_restart() {
    let mut host = Host::prepare(Paper::new());
    host.worker.told(|s| s.installed = false);
    host.start_agent();
    let nobody = host.get(DANA, "/v1/status").problem();
    assert_eq!(nobody.code, Code::Refused);
    assert!(
        nobody.error.contains("no vault is installed"),
        "{}",
        nobody.error
    );
    host.worker.told(|s| s.installed = true);
    until("the vault is found", || {
        host.get(DANA, "/v1/status").status == 200
    });
    let status = host.status(DANA);
    assert_eq!(status.you.name, "dana");
    assert_eq!(status.degraded, [""; 0]);
    assert_eq!(host.events_named("ROSTER_SIGNED").len(), 1);
    assert_eq!(host.events_named("CUSTODIAN_ENROLLED").len(), 2);
    // Known rosters are not recorded anew.
    host.kill_agent();
    host.start_agent();
    assert_eq!(host.events_named("ROSTER_SIGNED").len(), 1);
}

#[test]
fn the_agent_does_not_run_as_root_and_names_what_is_wrong_with_its_file() {
    let host = Host::prepare(Paper::new());
    let mut as_root = std::process::Command::new(env!("CARGO_BIN_EXE_twotapd"));
    let as_root = refused(as_root.arg("--config").arg(host.path("agent.toml")));
    assert_eq!(as_root.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&as_root.stderr).contains("does not run as root"));
    assert_eq!(fs::read_dir(host.path("state")).expect("folder").count(), 0);

    fs::write(
        host.path("agent.toml"),
        "host_name = 'h'\nvaults = ['prod']\nsokcet = 'x'\n",
    )
    .expect("written");
    let wrong = refused(&mut host.command());
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        said.contains("agent.toml") && said.contains("line 3") && said.contains("sokcet"),
        "{said}"
    );
}

#[test]
fn what_keeps_it_from_starting_is_said_whatever_sinks_stand_before_it() {
    // Each of these has threads or a clock of its own to take down; the end must be about what is wrong, not about that.
    const SINKS: &str =
        "\n[sinks.a]\nkind = 'git'\n[sinks.b]\nkind = 'syslog'\ntcp = '127.0.0.1:9'\n";
    let host = Host::prepare(Paper::new());
    let path = host.path("agent.toml");
    let before = std::fs::read_to_string(&path).expect("its configuration");
    for (wrong, said, hint) in [
        (
            "[sinks.d]\nkind = 'syslog'\ntcp = 'nowhere'\n",
            "sinks.d.",
            "sinks",
        ),
        (
            "[fingerprints]\nrequired = true\n",
            "pepper_required_but_not_set",
            "[fingerprints]",
        ),
    ] {
        std::fs::write(&path, format!("{before}{SINKS}{wrong}")).expect("written");
        let output = refused(&mut host.command());
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{log}");
        let mut lines = log.lines().map(str::to_lowercase);
        let (error, advice) = (lines.next(), lines.next());
        let says = |line: Option<String>, begin: &str, words: &str| {
            line.is_some_and(|line| line.starts_with(begin) && line.contains(words))
        };
        assert!(says(error, "error: ", said), "{log}");
        assert!(says(advice, "hint: ", hint), "{log}");
        assert_eq!(lines.next(), None, "{log}");
    }
}

#[test]
fn a_worker_that_comes_up_later_is_met_and_its_journal_taken_up() {
    let mut host = Host::start();
    host.worker.told(|s| s.silent_after = Some("minted"));
    let view = host.open();
    host.kill_agent();
    let (here, away) = (host.path("worker.sock"), host.path("away"));
    fs::rename(&here, &away).expect("moved");
    host.start_agent();
    let said = host.get(DANA, "/v1/status").problem();
    assert!(said.error.contains("no vault"), "{}", said.error);

    fs::rename(&away, &here).expect("moved back");
    until("the worker is met", || {
        host.get(DANA, "/v1/status").status == 200
    });
    until("the rotation is recorded", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
    until("nothing is degraded", || {
        host.status(DANA).degraded.is_empty()
    });
    let last = host.events_named("CHECKPOINT").pop().expect("one");
    let started = host.events_named("AGENT_STARTED").pop().expect("one");
    assert!(
        last.seq > started.seq,
        "the second start has its checkpoint"
    );
}

#[test]
fn a_worker_folder_from_before_a_rotation_is_told_and_not_opened() {
    let mut host = Host::start();
    let earlier = host.worker.snapshot();
    let view = host.open();
    until("the rotation is recorded", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    host.worker.put_back(earlier);
    let refused = host.try_ask(DANA).problem();
    assert_eq!(refused.code, Code::Tampering, "{}", refused.error);
    assert!(
        refused.error.contains("the worker shows generation 1")
            && refused.error.contains("generation 2 counts"),
        "{}",
        refused.error
    );
    assert!(refused.hint.expect("a hint").contains("from a copy"));
    // A fresh start sees it as well, and serves nobody on such a vault's word.
    host.kill_agent();
    host.start_agent();
    assert_ne!(host.get(DANA, "/v1/status").status, 200);
    until("the log says why", || {
        host.log().contains("the worker shows generation 1")
    });
}
