//! Secrets whose rotation a reboot took from the host: a ceremony that only closes rotates them, with sessions of its own.

use std::collections::BTreeSet;

use twotap::{
    protocol::job::{Ask, FromWorker, OfferMade, Step, ToWorker},
    trust::request::{CLOSE_ONLY, Offer, Purpose, Request},
};
use twotap_rig::{secrets::Function, world};

use crate::{
    closing::{by_function, by_setter, close, closing, open, receipt, setter_toml, steps},
    database::{Database, Mood},
    support::{Bench, Worker, ask},
};

const VALUE: &str = r#"{"username":"app","password":"the old one"}"#;

/// A host with a secret of either kind.
struct Host {
    bench: Bench,
    service: Database,
    app: String,
    db: String,
}

impl Host {
    fn new() -> Self {
        let service = Database::new("the old one");
        let (mut app, mut db) = (String::new(), String::new());
        let bench = Bench::with_secrets(|world, folder| {
            let made = world.make_rotated_secret("app", "old", Function::Succeeds, "new");
            app = made.expect("a secret");
            db = world.make_secret("db", VALUE).expect("a secret");
            let program = service.setter(folder, "db");
            let named = vec![by_function(&app), by_setter(world, &db, "db", true)];
            (
                named,
                format!(
                    "[limits]\nfunction_seconds = 15\n{}",
                    setter_toml("db", &program, 60)
                ),
            )
        });
        Self {
            bench,
            service,
            app,
            db,
        }
    }

    fn reboot(&self) {
        for file in std::fs::read_dir(self.bench.path("runtime")).expect("a folder") {
            std::fs::remove_file(file.expect("an entry").path()).expect("removed");
        }
    }

    /// Asks to close and no more.
    fn asked(&self, named: &[&str]) -> Result<(Worker, OfferMade, Request), String> {
        let ask = Ask {
            access: CLOSE_ONLY.to_owned(),
            close_only: Some(named.iter().map(|id| (*id).to_owned()).collect()),
            ..ask()
        };
        match self.bench.try_ask("dana", ask) {
            (worker, Some(FromWorker::Offer(made))) => {
                let Offer(request) = made.offer.unverified().expect("an offer");
                Ok((worker, made, request))
            }
            (_, Some(FromWorker::Failed(problem))) => Err(problem.error),
            (_, other) => panic!("no offer: {other:?}"),
        }
    }

    /// The whole of it: asked, two approvals, the rotations; the request.
    fn close_only(&self, named: &[&str]) -> Request {
        let (mut worker, made, request) = self.asked(named).expect("an offer");
        for custodian in &self.bench.custodians[..2] {
            worker.send(&ToWorker::Approval(custodian.approve(&made)));
        }
        let (session, end) = worker.rest();
        assert!(session.is_none(), "a session was delivered");
        end.expect("done");
        request
    }

    /// Nothing is owed any more, and nothing is kept.
    fn assert_nothing_is_left(&self) {
        let (_, _, request) = self.asked(&[]).expect("an offer");
        assert_eq!(closes(&request), [""; 0]);
        assert_eq!(request.secrets, [""; 0]);
        let left = std::fs::read_dir(self.bench.path("runtime")).expect("there");
        assert_eq!(left.count(), 0);
        assert_eq!(self.bench.world.proxy().broken(), [""; 0]);
    }

    /// The setter's secret holds what its service takes, and AWSPENDING is gone.
    fn assert_db_is_new(&self) {
        let world = &self.bench.world;
        let standing = world.secret_standing(&self.db).expect("a secret");
        assert_eq!(standing.with("AWSPENDING"), None);
        let value = world.secret_value(&self.db, "AWSCURRENT").expect("a value");
        let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        assert_eq!(value["password"], self.service.password().as_str());
        assert_ne!(self.service.password(), "the old one");
    }
}

fn closes(request: &Request) -> &[String] {
    match &request.purpose {
        Purpose::CloseOnly { requests } => requests,
        other => panic!("it does not close: {other:?}"),
    }
}

#[test]
fn what_a_reboot_left_owed_is_rotated_by_two_taps_and_sessions_for_it_alone() {
    let host = Host::new();
    let (bench, world) = (&host.bench, &host.bench.world);
    let session = open(bench);
    host.reboot();
    world.proxy().clear_calls();
    let request = host.close_only(&[]);
    // Custodians have it in what they sign: which session is denied, and which secrets are rotated.
    assert_eq!(closes(&request), [session.request.as_str()]);
    assert_eq!(request.secrets, [host.app.as_str(), &host.db]);
    // A steward, and the session for the one secret that has no function; nobody else's.
    let taken = world.proxy().calls_of("sts:AssumeRole");
    let role = |name: &str| {
        taken
            .iter()
            .filter(|c| c.param("RoleArn") == Some(&world.role_arn(name)))
            .count()
    };
    assert_eq!(
        (role(world::STEWARD_ROLE), role(world::SETTER_ROLE)),
        (1, 1)
    );
    let others: BTreeSet<_> = taken
        .iter()
        .filter_map(|c| c.param("RoleSessionName"))
        .collect();
    let own = format!("secret-{}", request.id);
    assert!(others.contains(own.as_str()), "{others:?}");
    let policy = taken
        .iter()
        .find(|c| c.param("RoleSessionName") == Some(&own));
    let policy = policy.and_then(|c| c.param("Policy")).expect("a policy");
    assert!(
        policy.contains(&host.db) && !policy.contains(&host.app),
        "{policy}"
    );
    // The values are as they were: they are replaced once the sessions are denied, as in any closing.
    assert_eq!(
        world
            .secret_value(&host.app, "AWSCURRENT")
            .expect("a value"),
        "old"
    );

    let (entries, end) = close(bench, &request.id);
    end.expect("rotated");
    assert_eq!(
        world
            .secret_value(&host.app, "AWSCURRENT")
            .expect("a value"),
        "new"
    );
    host.assert_db_is_new();
    for secret in [&host.app, &host.db] {
        assert_eq!(
            receipt(bench, &entries, secret).request.as_deref(),
            Some(request.id.as_str())
        );
        let first = entries
            .iter()
            .position(|e| matches!(&e.step, Step::Secret { secret: s, .. } if s == secret));
        let denied = entries
            .iter()
            .position(|e| matches!(e.step, Step::CloseOnlyDone { .. }));
        assert!(denied.expect("denied") < first.expect("rotated"));
    }
    host.assert_nothing_is_left();
}

#[test]
fn a_version_that_a_lost_worker_left_pending_is_the_one_that_is_finished() {
    let host = Host::new();
    let session = open(&host.bench);
    host.service.mood(Mood::SetsAndHangs);
    let worker = closing(&host.bench, &session.request);
    host.service.wait_calls(1);
    drop(worker);
    host.service.wait_gone(1);
    // The session is over, and what is left needs no taps as long as its session is kept.
    let refused = host.asked(&[&session.request]).map(drop).expect_err("kept");
    assert!(refused.contains("needs no taps"), "{refused}");
    host.reboot();
    let request = host.close_only(&[&session.request]);
    assert_eq!(closes(&request), [session.request.as_str()]);
    assert_eq!(request.secrets, [host.db.as_str()], "the other was rotated");
    // What is under way is nobody else's to begin.
    let (_, _, meanwhile) = host.asked(&[]).expect("an offer");
    assert_eq!(meanwhile.secrets, [""; 0]);

    let (entries, end) = close(&host.bench, &request.id);
    end.expect("rotated");
    host.assert_db_is_new();
    let versions: BTreeSet<_> = steps(&entries, &host.db)
        .iter()
        .filter_map(|did| did.version())
        .collect();
    assert_eq!(
        versions.len(),
        1,
        "one version from the first worker to the last: {versions:?}"
    );
    let puts = host
        .bench
        .world
        .proxy()
        .calls_of("secretsmanager:PutSecretValue");
    assert_eq!(puts.len(), 1, "its value was read back");
    host.assert_nothing_is_left();
}

#[test]
fn a_function_that_was_left_pending_is_taken_for_our_own_and_not_started_over_it() {
    let host = Host::new();
    let (bench, world) = (&host.bench, &host.bench.world);
    let session = open(bench);
    world.set_function(&host.app, Function::Fails, "new");
    let worker = closing(bench, &session.request);
    bench.wait_for_journal(r#""did":"requested""#);
    drop(worker);
    host.reboot();
    let request = host.close_only(&[]);
    let (entries, end) = close(bench, &request.id);
    assert!(
        end.expect_err("it does not finish")
            .error
            .contains("has not finished")
    );
    let versions: BTreeSet<_> = steps(&entries, &host.app)
        .iter()
        .filter_map(|did| did.version().map(str::to_owned))
        .collect();
    assert_eq!(
        versions.len(),
        1,
        "one version of both requests: {versions:?}"
    );
    let calls = world.proxy().calls_of("secretsmanager:RotateSecret");
    assert_eq!(
        calls.len(),
        1,
        "a rotation that is under way is not begun again"
    );
    // Somebody repairs the function and takes the label off: the next try begins anew, and no taps are needed for it.
    let version = versions.first().expect("one");
    world
        .take_label(&host.app, version, "AWSPENDING")
        .expect("taken off");
    world.set_function(&host.app, Function::Succeeds, "new");
    close(bench, &request.id).1.expect("rotated");
    assert_eq!(
        world
            .secret_value(&host.app, "AWSCURRENT")
            .expect("a value"),
        "new"
    );
    host.assert_nothing_is_left();
}

#[test]
fn a_rotation_after_a_later_session_pays_for_the_earlier_one() {
    let host = Host::new();
    let (bench, world) = (&host.bench, &host.bench.world);
    world.set_function(&host.app, Function::Missing, "new");
    let first = open(bench);
    close(bench, &first.request).1.expect_err("one is left");
    host.reboot();
    let (_, _, owed) = host.asked(&[]).expect("an offer");
    assert_eq!(owed.secrets, [host.app.as_str()]);

    world.set_function(&host.app, Function::Succeeds, "newer");
    let second = open(bench);
    // What is open may read whatever is set now: nothing is paid before it is over.
    close(bench, &second.request).1.expect("all of it");
    assert_eq!(
        world
            .secret_value(&host.app, "AWSCURRENT")
            .expect("a value"),
        "newer"
    );
    host.assert_nothing_is_left();
    let why = host
        .asked(&[&first.request])
        .map(drop)
        .expect_err("nothing is owed");
    assert!(why.contains("it is over"), "{why}");
}
