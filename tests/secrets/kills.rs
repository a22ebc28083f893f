//! Workers that are killed while they give a secret a new value, and those that come after them.

use std::time::Duration;

use serde_json::Value;
use twotap_rig::{Fault, Rule, When, secrets::Gate};

use crate::{
    closing::{by_setter, close, closing, journal, names, open, receipt, setter_toml, steps},
    database::{Database, Mood},
    support::Bench,
};

const BOUND: Duration = Duration::from_secs(90);
const VALUE: &str = r#"{"username":"app","password":"the old one"}"#;

/// A closed-to-be session with one secret.
struct Case {
    bench: Bench,
    service: Database,
    arn: String,
    request: String,
}

impl Case {
    fn new() -> Self {
        let service = Database::new("the old one");
        let mut arn = String::new();
        let bench = Bench::with_secrets(|world, folder| {
            arn = world.make_secret("db", VALUE).expect("a secret");
            let program = service.setter(folder, "db");
            (
                vec![by_setter(world, &arn, "db", true)],
                setter_toml("db", &program, 60),
            )
        });
        let request = open(&bench).request;
        Self {
            bench,
            service,
            arn,
            request,
        }
    }

    /// Kills a closing worker once `here` has returned.
    fn kill(&self, here: impl FnOnce()) {
        let worker = closing(&self.bench, &self.request);
        here();
        drop(worker);
    }

    /// Kills it while it waits for the answer to this call, which AWS has acted upon, or has not.
    fn kill_at(&self, action: &str, nth: u32, acted: bool) {
        let gate = Gate::new();
        let fault = match acted {
            true => Fault::HoldReply(gate.clone()),
            false => Fault::HoldRequest(gate.clone()),
        };
        let action = format!("secretsmanager:{action}");
        self.bench
            .world
            .proxy()
            .add(Rule::new(&action, When::Nth(nth), fault));
        self.kill(|| gate.wait_arrived(1, BOUND).expect("the call"));
        self.bench.world.proxy().clear_rules();
        if !acted {
            // What never got through: the call stays at a gate that nobody opens.
            std::mem::forget(gate);
        }
    }

    /// The next worker finishes; the value that counts is the one that works, and nothing is left.
    fn finishes(&self) {
        let (entries, end) = close(&self.bench, &self.request);
        end.expect("closed");
        let world = &self.bench.world;
        let standing = world.secret_standing(&self.arn).expect("a secret");
        assert_eq!(standing.with("AWSPENDING"), None);
        let value = world
            .secret_value(&self.arn, "AWSCURRENT")
            .expect("a value");
        let value: Value = serde_json::from_str(&value).expect("JSON");
        assert_eq!(value["password"], self.service.password().as_str());
        assert_ne!(self.service.password(), "the old one");
        assert_eq!(names(&entries, &self.arn).last(), Some(&"secret_rotated"));
        receipt(&self.bench, &entries, &self.arn);
        let left = std::fs::read_dir(self.bench.path("runtime"))
            .expect("there")
            .count();
        assert_eq!(left, 0);
        assert_eq!(world.proxy().broken(), [""; 0]);
    }

    fn intents(&self) -> usize {
        let entries = journal(&self.bench);
        let steps = steps(&entries, &self.arn);
        steps
            .iter()
            .filter(|did| did.name() == "secret_intent")
            .count()
    }

    fn puts(&self) -> usize {
        self.bench
            .world
            .proxy()
            .calls_of("secretsmanager:PutSecretValue")
            .len()
    }
}

#[test]
fn killed_between_set_and_move_the_pending_value_is_found_live() {
    let case = Case::new();
    case.service.mood(Mood::SetsAndHangs);
    case.kill(|| case.service.wait_calls(1));
    // Its program ended with it.
    case.service.wait_gone(1);
    case.finishes();
    assert_eq!(
        case.service.actions(),
        ["set", "test"],
        "it was tested, and not set again"
    );
    assert_eq!((case.puts(), case.intents()), (1, 1));
}

#[test]
fn killed_before_set_the_staged_value_is_read_back() {
    let case = Case::new();
    case.service.mood(Mood::Hangs);
    case.kill(|| case.service.wait_calls(1));
    case.service.wait_gone(1);
    case.finishes();
    assert_eq!(case.service.actions(), ["set", "test", "set", "test"]);
    let calls = case.service.calls();
    assert!(
        calls.iter().all(|call| call["new"] == calls[0]["new"]),
        "generated once"
    );
    assert_eq!((case.puts(), case.intents()), (1, 1));
}

#[test]
fn killed_while_the_value_is_written_it_is_read_back_or_written_under_the_same_version() {
    let case = Case::new();
    case.kill_at("PutSecretValue", 1, false);
    case.kill_at("PutSecretValue", 1, true);
    case.finishes();
    // The first call is still on its way; had it come, AWS would have taken the two for one version.
    assert_eq!((case.puts(), case.intents()), (2, 1));
    let tokens = case
        .bench
        .world
        .proxy()
        .calls_of("secretsmanager:PutSecretValue");
    assert_eq!(
        tokens[0].param("ClientRequestToken"),
        tokens[1].param("ClientRequestToken")
    );
}

#[test]
fn killed_while_labels_move_the_next_worker_sees_where_they_stand() {
    let case = Case::new();
    for (nth, acted) in [(1, false), (1, true), (1, true)] {
        case.kill_at("UpdateSecretVersionStage", nth, acted);
    }
    case.finishes();
    assert_eq!(
        case.service
            .actions()
            .iter()
            .filter(|a| *a == "set")
            .count(),
        1
    );
    assert_eq!((case.puts(), case.intents()), (1, 1));
}
