//! A share lives only as long as its credential: what is owed once as many shares as open the vault were released, and who pays it.

use twotap::{ceremony::Stage, protocol::socket::RequestView};

use crate::agent_support::{DANA, Host, until, worker::Garble};

/// The vault's rotation as the status shows it.
fn rotation(host: &Host) -> String {
    host.status(DANA).vaults[0].rotation.clone()
}

/// A ceremony is owed for this request: the status says so, and one alarm is on record.
fn is_owed(host: &Host, view: &RequestView) {
    until("it is owed", || {
        rotation(host).contains("a ceremony is owed")
    });
    let rotation = rotation(host);
    assert!(rotation.contains(&view.id), "{rotation}");
    assert!(rotation.contains("--close-only"), "{rotation}");
    let degraded = host.status(DANA).degraded;
    assert!(
        degraded
            .iter()
            .any(|line| line.contains("a ceremony is owed")),
        "{degraded:?}"
    );
    let alarms = host.events_named("CREDENTIAL_ROTATION_PENDING");
    assert_eq!(alarms.len(), 1);
    assert_eq!(alarms[0].correlation_id.as_deref(), Some(&*view.id));
}

/// The next ceremony, whatever it is for, pays it.
fn the_next_pays(host: &Host) {
    host.open();
    until("it is paid", || rotation(host) == "done");
    let degraded = host.status(DANA).degraded;
    assert!(
        !degraded.iter().any(|line| line.contains("rotation")),
        "{degraded:?}"
    );
}

#[test]
fn a_worker_that_dies_with_the_last_approval_in_its_hands_leaves_a_ceremony_owed() {
    let host = Host::start();
    let view = host.ask();
    assert_eq!(host.approve(&view, "alice").status, 200);
    host.worker
        .told(|s| s.garbled = Some(("vote", Garble::Bytes(Vec::new()))));
    assert_ne!(host.approve(&view, "bob").status, 200);
    let failed = host.reach(&view.id, Stage::Failed);
    assert_eq!(failed.approved_by, ["alice"]);
    is_owed(&host, &view);
    the_next_pays(&host);
}

#[test]
fn one_share_fewer_owes_nothing() {
    let host = Host::start();
    let view = host.ask();
    host.worker
        .told(|s| s.garbled = Some(("vote", Garble::Bytes(Vec::new()))));
    assert_ne!(host.approve(&view, "alice").status, 200);
    host.reach(&view.id, Stage::Failed);
    until("the worker has spoken its last word", || {
        host.worker.jobs("vault") > 1
    });
    assert_eq!(rotation(&host), "done");
    assert!(host.events_named("CREDENTIAL_ROTATION_PENDING").is_empty());
}

#[test]
fn a_last_approval_that_the_worker_refuses_owes_nothing() {
    let host = Host::start();
    let view = host.ask();
    assert_eq!(host.approve(&view, "alice").status, 200);
    // A second time by the same person is none.
    assert_ne!(host.approve(&view, "alice").status, 200);
    assert_eq!(host.deny(&view, "bob").status, 200);
    host.reach(&view.id, Stage::Denied);
    until("the worker has spoken its last word", || {
        host.worker.jobs("vault") > 1
    });
    assert_eq!(rotation(&host), "done");
    assert!(host.events_named("CREDENTIAL_ROTATION_PENDING").is_empty());
}

#[test]
fn an_agent_that_is_killed_with_the_last_approval_on_its_way_knows_it_when_it_is_back() {
    let mut host = Host::start();
    let view = host.ask();
    assert_eq!(host.approve(&view, "alice").status, 200);
    // The worker has it, and says nothing for as long as somebody listens.
    host.worker
        .told(|s| s.garbled = Some(("vote", Garble::Hangs(Vec::new()))));
    std::thread::scope(|scope| {
        let socket = host.socket();
        let approval = twotap::protocol::job::Approval {
            approval: host.worker.paper().approval(&view.offer, "bob"),
            sealed_share: twotap::trust::Bytes(b"sealed".to_vec()),
        };
        let body = serde_json::to_vec(&approval).expect("json");
        let path = format!("/v1/requests/{}/approvals", view.id);
        let sent = scope.spawn(move || {
            crate::agent_support::try_call(
                &socket,
                crate::agent_support::BOB,
                "POST",
                &path,
                &[],
                &body,
            )
        });
        // The scripted worker takes its orders as it takes the vote.
        until("the worker has it", || host.worker.told_all_of_it());
        host.kill_agent();
        assert!(
            sent.join()
                .expect("no panic")
                .is_none_or(|r| r.status != 200)
        );
    });
    host.start_agent();
    host.reach(&view.id, Stage::Failed);
    is_owed(&host, &view);
    the_next_pays(&host);
}
