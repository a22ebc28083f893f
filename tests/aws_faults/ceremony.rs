//! A ceremony over the worker's own wire, and what has to hold after it whatever AWS did.

use std::io::Write as _;

use twotap::{
    protocol::job::{Entry, FromWorker, Job, Session, Step, ToWorker},
    trust::{manifest::Manifest, receipt::Receipt},
};
use twotap_rig::{Credentials, World, world};

use crate::support::{Bench, names};

/// What came of a ceremony.
pub(crate) struct Ended {
    pub(crate) request: String,
    pub(crate) session: Option<Session>,
    /// The worker's last word.
    pub(crate) result: Result<Vec<Entry>, String>,
}

/// Asks, approves twice, and waits for the worker's last word.
pub(crate) fn ceremony(bench: &Bench) -> Ended {
    let (mut worker, made) = bench.ask();
    let request = made
        .offer
        .unverified::<twotap::trust::request::Offer>()
        .expect("an offer")
        .0
        .id;
    for custodian in [&bench.custodians[0], &bench.custodians[2]] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let (session, result) = worker.rest();
    Ended {
        request,
        session,
        result,
    }
}

/// Closes a session; the worker's last word.
pub(crate) fn close(bench: &Bench, request: &str) -> Result<Vec<Entry>, String> {
    let mut worker = bench.worker();
    worker.send(&Job::Close {
        vault: "prod".to_owned(),
        request: request.to_owned(),
    });
    worker.rest().1
}

/// The names of the steps that the journal holds of a request.
pub(crate) fn journal(bench: &Bench, request: &str) -> Vec<Entry> {
    let mut worker = bench.worker();
    worker.send(&Job::Journal {
        vault: "prod".to_owned(),
        since: 0,
    });
    let mut entries = worker.rest().1.expect("a journal");
    entries.retain(|e| e.request.as_deref() == Some(request));
    entries
}

/// Why a rotation or a closing of this request is pending, as the journal says.
pub(crate) fn pending(bench: &Bench, request: &str) -> Option<String> {
    journal(bench, request)
        .into_iter()
        .find_map(|e| match e.step {
            Step::RotationPending { why } | Step::ClosePending { why, .. } => Some(why),
            _ => None,
        })
}

/// The receipts among these entries.
pub(crate) fn receipts(entries: &[Entry]) -> Vec<Receipt> {
    let receipts = entries.iter().filter_map(|e| match &e.step {
        Step::Rotated { receipt } => Some(receipt),
        _ => None,
    });
    receipts
        .map(|r| r.unverified().expect("a receipt"))
        .collect()
}

/// The id of the key that the newest signed manifest names.
pub(crate) fn sealed_key(bench: &Bench) -> String {
    let mut worker = bench.worker();
    worker.send(&Job::Vault {
        vault: "prod".to_owned(),
    });
    match worker.next() {
        Some(FromWorker::Vault(facts)) => {
            facts
                .manifest
                .expect("sealed")
                .unverified::<Manifest>()
                .expect("a manifest")
                .access_key_id
        }
        other => panic!("no vault: {other:?}"),
    }
}

/// A session as the rig signs with it.
pub(crate) fn credentials(session: &Session) -> Credentials {
    let first = &session.targets[0];
    Credentials {
        access_key_id: first.access_key_id.clone(),
        secret_access_key: first.secret_access_key.to_string(),
        session_token: Some(first.session_token.to_string()),
    }
}

/// Whether a delivered session does the work that it was asked for.
pub(crate) fn works(bench: &Bench, session: &Session) -> bool {
    let probe = bench.world.session_probe(&credentials(session));
    probe.expect("an answer").is_ok()
}

/// A key of the account by its id, wherever it was seen being made.
pub(crate) fn key_of(world: &World, id: &str) -> Credentials {
    let mut keys = world.proxy().keys_made();
    keys.push(world.first_key().clone());
    keys.into_iter()
        .find(|k| k.access_key_id == id)
        .unwrap_or_else(|| panic!("nobody saw {id} being made"))
}

/// After a ceremony that went through: the session works, exactly one key exists, it is the sealed one, and the one before is dead.
pub(crate) fn assert_whole(bench: &Bench, before: &str, ended: &Ended, what: &str) {
    // What a worker does of an earlier one's stands in that one's name.
    let entries = match &ended.result {
        Ok(entries) => entries
            .iter()
            .filter(|e| e.request.as_deref() == Some(ended.request.as_str()))
            .cloned()
            .collect::<Vec<_>>(),
        Err(why) => panic!("{what}: {why}"),
    };
    let entries = names(&entries);
    let session = ended.session.as_ref();
    let session = session.unwrap_or_else(|| panic!("{what}: no session"));
    assert!(
        works(bench, session),
        "{what}: the session is refused its work"
    );
    for once in ["mint_intent", "minted", "rotation_intent", "rotated"] {
        let times = entries.iter().filter(|name| *name == once).count();
        assert_eq!(times, 1, "{what}: {once} in {entries:?}");
    }
    assert_one_key(bench, before, what);
}

/// Exactly one key exists, it is the sealed one and works, and `before` is refused.
pub(crate) fn assert_one_key(bench: &Bench, before: &str, what: &str) {
    let keys = bench.world.list_keys(world::USER).expect("a list");
    assert_eq!(keys.len(), 1, "{what}: {keys:?}");
    let sealed = sealed_key(bench);
    assert!(
        keys[0].active && keys[0].id == sealed,
        "{what}: {sealed} is sealed, {keys:?}"
    );
    assert_ne!(sealed, before, "{what}: the key was not replaced");
    let alive = |id: &str| {
        let key = key_of(&bench.world, id);
        bench.world.key_works(&key).expect("an answer")
    };
    assert!(alive(&sealed), "{what}: the sealed key does not work");
    assert!(!alive(before), "{what}: the old key still works");
    assert_eq!(bench.world.proxy().broken(), [""; 0], "{what}");
}

/// Lowers the worker's patience: how long it goes on trying.
pub(crate) fn patience(bench: &Bench, seconds: u32) {
    append(
        bench,
        &format!("\n[limits]\nrotation_seconds = {seconds}\n"),
    );
}

pub(crate) fn append(bench: &Bench, text: &str) {
    let mut file = std::fs::File::options()
        .append(true)
        .open(bench.path("worker.toml"))
        .expect("a configuration");
    file.write_all(text.as_bytes()).expect("written");
}

/// Runs all cases side by side; a case that fails fails the test, after all have run.
pub(crate) fn side_by_side<C: Send>(cases: Vec<C>, run: impl Fn(C) + Sync) {
    std::thread::scope(|scope| {
        let run = &run;
        let all: Vec<_> = cases
            .into_iter()
            .map(|case| scope.spawn(move || run(case)))
            .collect();
        let failed = all.into_iter().filter_map(|t| t.join().err()).count();
        assert_eq!(failed, 0, "cases failed: see above");
    });
}
