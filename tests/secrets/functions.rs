//! Secrets with a rotation function: that of the rig, which does what the case says.

use std::time::Duration;

use twotap::{
    protocol::{Code, job::Step},
    trust::receipt::Outcome,
};
use twotap_rig::{
    Fault, Rule, When,
    secrets::{Function, Gate},
};

use crate::{
    closing::{by_function, close, closing, journal, names, open, open_for, receipt, steps, why},
    support::Bench,
};

const BOUND: Duration = Duration::from_secs(60);
const QUICK: &str = "[limits]\nfunction_seconds = 15\n";

/// One session with a secret of every kind: each comes to its own end, and none keeps the session from being revoked.
#[test]
fn closing_rotates_what_it_can_and_says_of_the_rest_why_not() {
    let made = [
        ("good", Some(Function::Succeeds)),
        ("tidy", Some(Function::SucceedsAndCleansUp)),
        ("failing", Some(Function::Fails)),
        ("gives-up", Some(Function::GivesUp)),
        ("missing", Some(Function::Missing)),
        ("stuck", Some(Function::Succeeds)),
        ("none", None),
    ];
    let mut arns = Vec::new();
    let bench = Bench::with_secrets(|world, _| {
        for (name, function) in made {
            let arn = match function {
                Some(function) => world.make_rotated_secret(name, "old", function, "new"),
                None => world.make_secret(name, "old"),
            };
            arns.push(arn.expect("a secret"));
        }
        let named = arns.iter().map(|arn| by_function(arn)).collect();
        (named, QUICK.to_owned())
    });
    let [good, tidy, failing, gives_up, missing, stuck, none] = arns.each_ref_of();
    let world = &bench.world;
    let left_there = world
        .put_secret(stuck, "somebody's", "AWSPENDING")
        .expect("a version");
    let before = |arn: &str| {
        let standing = world.secret_standing(arn).expect("a secret");
        standing.with("AWSCURRENT").expect("current").to_owned()
    };
    let (old_good, old_stuck) = (before(good), before(stuck));

    let session = open(&bench);
    let (entries, end) = close(&bench, &session.request);

    // The session is over whatever became of the secrets, and what is left is worth another try after somebody has looked.
    let revoked = entries
        .iter()
        .position(|e| matches!(e.step, Step::Revoked { .. }));
    let first = entries
        .iter()
        .position(|e| matches!(e.step, Step::Secret { .. }));
    assert!(revoked.expect("revoked") < first.expect("secrets"));
    let problem = end.expect_err("secrets are left");
    assert_eq!(problem.code, Code::Refused, "{problem}");
    for name in ["failing", "gives-up", "missing", "stuck", "none"] {
        assert!(problem.error.contains(&format!("prod/{name}")), "{problem}");
    }

    // AWSCURRENT has moved to the version that stood in the journal before AWS heard of it.
    for (arn, pending_stays) in [(good, true), (tidy, false)] {
        let intent = steps(&entries, arn)[0].version().expect("a version");
        let standing = world.secret_standing(arn).expect("a secret");
        assert_eq!(standing.with("AWSCURRENT"), Some(intent));
        assert_eq!(standing.with("AWSPENDING"), pending_stays.then_some(intent));
        assert_eq!(
            world.secret_value(arn, "AWSCURRENT").expect("a value"),
            "new"
        );
        assert_eq!(
            names(&entries, arn),
            ["secret_intent", "secret_requested", "secret_rotated"]
        );
    }
    let Outcome::SecretRotated {
        version,
        previous,
        setter,
        ..
    } = receipt(&bench, &entries, good).outcome
    else {
        unreachable!("checked");
    };
    assert_eq!(
        Some(version.as_str()),
        world
            .secret_standing(good)
            .expect("a secret")
            .with("AWSCURRENT")
    );
    assert_eq!((previous, setter), (Some(old_good), None));

    // Over somebody's unfinished rotation none is begun, and AWS is not asked to.
    assert_eq!(names(&entries, stuck), ["secret_failed"]);
    let rotations = world.proxy().calls_of("secretsmanager:RotateSecret");
    assert!(rotations.iter().all(|c| c.param("SecretId") != Some(stuck)));
    for (arn, says) in [
        (
            failing,
            ":function:rotate-failing has not finished within 15 s",
        ),
        (gives_up, ":function:rotate-gives-up has given up"),
        (missing, "cannot invoke the specified Lambda function"),
        (stuck, left_there.as_str()),
        (
            none,
            "it has no rotation function, and the roster names no setter for it",
        ),
    ] {
        let (why, again) = why(&entries, arn);
        assert!(why.contains(says) && again, "{why}");
        assert_eq!(
            world.secret_value(arn, "AWSCURRENT").expect("a value"),
            "old"
        );
    }
    // An earlier attempt's AWSPENDING is reported, not overwritten, and nothing was asked of AWS.
    let standing = world.secret_standing(stuck).expect("a secret");
    assert_eq!(standing.with("AWSPENDING"), Some(left_there.as_str()));
    assert_eq!(standing.with("AWSCURRENT"), Some(old_stuck.as_str()));
    let rotated = world.proxy().calls_of("secretsmanager:RotateSecret");
    let asked = |arn: &str| {
        rotated
            .iter()
            .filter(|c| c.param("SecretId") == Some(arn))
            .count()
    };
    assert_eq!(
        [good, failing, stuck, none].map(|arn| asked(arn)),
        [1, 1, 0, 0]
    );
    assert!(
        rotated
            .iter()
            .all(|c| c.param("RotateImmediately") == Some("true"))
    );

    // Asked again: what failed for the same reason is not told again, and what was rotated stays rotated.
    let (again, end) = close(&bench, &session.request);
    assert!(end.is_err());
    assert_eq!(names(&again, good), names(&entries, good));
    assert_eq!(names(&again, stuck), names(&entries, stuck));
    assert_eq!(names(&again, failing), names(&entries, failing));

    // Somebody repairs each; the next try finishes, and nothing is kept any more.
    world
        .take_label(stuck, &left_there, "AWSPENDING")
        .expect("taken off");
    let version = steps(&entries, failing)[0].version().expect("a version");
    world
        .take_label(failing, version, "AWSPENDING")
        .expect("taken off");
    for arn in [failing, gives_up, missing, stuck, none] {
        world.set_function(arn, Function::Succeeds, "new");
    }
    assert!(
        bench
            .path("runtime")
            .join(format!("{}.secrets.json", session.request))
            .exists()
    );
    world.proxy().clear_calls();
    let (last, end) = close(&bench, &session.request);
    let problem = end.expect_err("one has no function still");
    assert!(
        problem
            .error
            .starts_with("named secrets are not rotated yet: prod/none"),
        "{problem}"
    );
    for arn in [failing, gives_up, missing, stuck] {
        assert_eq!(names(&last, arn).last(), Some(&"secret_rotated"), "{arn}");
        assert_eq!(
            world.secret_value(arn, "AWSCURRENT").expect("a value"),
            "new"
        );
    }
    assert_eq!(world.proxy().broken(), [""; 0]);
}

/// A function that takes its time is waited for; whoever is killed meanwhile is followed by one that asks for nothing twice.
#[test]
fn a_slow_function_outlives_the_worker_that_started_it() {
    let gate = Gate::new();
    let mut arn = String::new();
    let bench = Bench::with_secrets(|world, _| {
        arn = world
            .make_rotated_secret("slow", "old", Function::Waits(gate.clone()), "new")
            .expect("a secret");
        (vec![by_function(&arn)], String::new())
    });
    let session = open(&bench);
    let worker = closing(&bench, &session.request);
    gate.wait_arrived(1, BOUND).expect("the function is called");
    bench.wait_for_journal("\"did\":\"requested\"");
    drop(worker); // killed

    let started = journal(&bench);
    assert_eq!(names(&started, &arn), ["secret_intent", "secret_requested"]);
    let worker = closing(&bench, &session.request);
    gate.open();
    let (_, end) = worker.finish();
    end.expect("closed");
    let entries = journal(&bench);
    assert_eq!(
        names(&entries, &arn),
        ["secret_intent", "secret_requested", "secret_rotated"]
    );
    let calls = bench.world.proxy().calls_of("secretsmanager:RotateSecret");
    assert_eq!(calls.len(), 1);
    assert_eq!(receipt(&bench, &entries, &arn).steps.len(), 2);
    assert_eq!(
        std::fs::read_dir(bench.path("runtime"))
            .expect("there")
            .count(),
        0
    );
}

/// The answer to RotateSecret is lost: the labels say that it came through, and it is not sent again.
#[test]
fn a_lost_answer_starts_no_second_rotation() {
    let mut arns = Vec::new();
    let bench = Bench::with_secrets(|world, _| {
        for name in ["lost", "never-sent"] {
            let arn = world.make_rotated_secret(name, "old", Function::Succeeds, "new");
            arns.push(arn.expect("a secret"));
        }
        (
            arns.iter().map(|arn| by_function(arn)).collect(),
            String::new(),
        )
    });
    let rotate = "secretsmanager:RotateSecret";
    let rules = [Fault::LoseReply, Fault::Unreachable];
    for (arn, fault) in arns.iter().zip(rules) {
        let rule = Rule::new(rotate, When::Nth(1), fault).with("SecretId", arn);
        bench.world.proxy().add(rule);
    }
    let session = open(&bench);
    let (entries, end) = close(&bench, &session.request);
    let problem = end.expect_err("one call never came to AWS");
    assert_eq!(problem.code, Code::AwsUnreachable, "{problem}");
    assert_eq!(names(&entries, &arns[0]).last(), Some(&"secret_rotated"));
    let intent = steps(&entries, &arns[1])[0]
        .version()
        .expect("a version")
        .to_owned();

    let (entries, end) = close(&bench, &session.request);
    end.expect("closed");
    // The same version once more: had the first call come through late, it would be the same rotation.
    assert_eq!(
        names(&entries, &arns[1]),
        [
            "secret_intent",
            "secret_failed",
            "secret_requested",
            "secret_rotated"
        ]
    );
    let standing = bench.world.secret_standing(&arns[1]).expect("a secret");
    assert_eq!(standing.with("AWSCURRENT"), Some(intent.as_str()));
    let calls = bench.world.proxy().calls_of(rotate);
    assert_eq!(calls.len(), 3);
    assert_eq!(bench.world.proxy().idle_rules(), [""; 0]);
}

/// IAM is down until the time box has ended: the session has expired, and its secrets are rotated all the same.
#[test]
fn a_session_that_expired_has_its_secrets_rotated() {
    let mut arn = String::new();
    let bench = Bench::with_secrets(|world, _| {
        arn = world
            .make_rotated_secret("db", "old", Function::Succeeds, "new")
            .expect("a secret");
        (vec![by_function(&arn)], String::new())
    });
    let down = Rule::new("iam:PutRolePolicy", When::Always, Fault::failed());
    bench.world.proxy().add(down);
    let session = open_for(&bench, Some(60));
    let (entries, end) = close(&bench, &session.request);
    end.expect("over");
    let expired = entries
        .iter()
        .position(|e| matches!(e.step, Step::Expired { .. }));
    let first = entries
        .iter()
        .position(|e| matches!(e.step, Step::Secret { .. }));
    assert!(expired.expect("expired") < first.expect("its secret"));
    assert_eq!(names(&entries, &arn).last(), Some(&"secret_rotated"));
    let value = bench.world.secret_value(&arn, "AWSCURRENT");
    assert_eq!(value.expect("a value"), "new");
}

/// The steward may start rotations, and read no value.
#[test]
fn the_steward_reads_no_secret() {
    let mut arn = String::new();
    let bench = Bench::with_secrets(|world, _| {
        arn = world
            .make_rotated_secret("db", "old", Function::Succeeds, "new")
            .expect("a secret");
        (vec![by_function(&arn)], String::new())
    });
    let session = open(&bench);
    let calls = bench.world.proxy().calls_of("sts:AssumeRole");
    let steward = calls
        .iter()
        .find(|c| c.param("RoleArn").is_some_and(|r| r.ends_with("/steward")));
    let steward = steward.and_then(|c| c.credentials()).expect("a steward");
    let say = |action: &str| {
        let body = serde_json::json!({"SecretId": arn});
        let client = bench.world.through_proxy(steward.clone());
        let target = format!("secretsmanager.{action}");
        client
            .json("secretsmanager", &target, &body)
            .expect("an answer")
    };
    assert!(say("DescribeSecret").is_ok());
    assert_eq!(
        say("GetSecretValue").error.as_deref(),
        Some("AccessDeniedException")
    );
    drop(session);
}

/// Seven names for seven secrets.
trait EachRefOf {
    fn each_ref_of(&self) -> [&String; 7];
}

impl EachRefOf for Vec<String> {
    fn each_ref_of(&self) -> [&String; 7] {
        std::array::from_fn(|i| &self[i])
    }
}
