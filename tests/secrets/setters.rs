//! Secrets without a rotation function: staged, set, tested, made current.

use serde_json::Value;
use twotap::{protocol::Code, trust::receipt::Outcome};

use crate::{
    closing::{by_setter, close, names, open, receipt, setter_toml, why},
    database::{Database, Mood},
    support::{Bench, folder_holds},
};

const VALUE: &str =
    r#"{"username":"app","password":"the old one","host":"db.example","port":5432}"#;

/// One session with several services: each secret comes to its own end.
#[test]
fn closing_sets_new_values_and_withdraws_what_was_refused() {
    let [good, whole, refusing, quoting, slow, foreign] = [
        "the old one",
        "the whole old one",
        "the old one",
        "the old one",
        "the old one",
        "the old one",
    ]
    .map(Database::new);
    let mut arns = Vec::new();
    let bench = Bench::with_secrets(|world, folder| {
        let mut named = Vec::new();
        let mut toml = String::new();
        for (name, service) in [
            ("good", &good),
            ("whole", &whole),
            ("refusing", &refusing),
            ("quoting", &quoting),
            ("slow", &slow),
            ("foreign", &foreign),
        ] {
            let value = if name == "whole" {
                "the whole old one"
            } else {
                VALUE
            };
            let arn = world.make_secret(name, value).expect("a secret");
            let program = service.setter(folder, name);
            toml += &setter_toml(name, &program, if name == "slow" { 1 } else { 20 });
            named.push(by_setter(world, &arn, name, name != "whole"));
            arns.push(arn);
        }
        let unnamed = world.make_secret("unnamed", VALUE).expect("a secret");
        named.push(by_setter(world, &unnamed, "no-such-setter", true));
        arns.push(unnamed);
        (named, toml)
    });
    let [
        good_arn,
        whole_arn,
        refusing_arn,
        quoting_arn,
        slow_arn,
        foreign_arn,
        unnamed_arn,
    ]: [&str; 7] = std::array::from_fn(|i| arns[i].as_str());
    let world = &bench.world;
    refusing.mood(Mood::Refuses);
    quoting.mood(Mood::Quotes);
    good.mood(Mood::LeavesOneBehind);
    slow.mood(Mood::SetsAndHangs);
    let program = bench.path("foreign");
    std::os::unix::fs::chown(&program, Some(61010), None).expect("given away");

    let session = open(&bench);
    let (entries, end) = close(&bench, &session.request);
    let problem = end.expect_err("some are left");
    assert_eq!(
        problem.code,
        Code::AwsUnreachable,
        "the slow one may go soon: {problem}"
    );

    let current = |arn: &str| world.secret_value(arn, "AWSCURRENT").expect("a value");
    let fields = |arn: &str| serde_json::from_str::<Value>(&current(arn)).expect("JSON");
    for (arn, service) in [(good_arn, &good), (whole_arn, &whole)] {
        assert_eq!(
            names(&entries, arn),
            [
                "secret_intent",
                "secret_staged",
                "secret_set",
                "secret_tested",
                "secret_rotated"
            ]
        );
        let standing = world.secret_standing(arn).expect("a secret");
        assert_eq!(standing.with("AWSPENDING"), None, "it never stays behind");
        let Outcome::SecretRotated {
            version,
            previous,
            setter,
            ..
        } = receipt(&bench, &entries, arn).outcome
        else {
            unreachable!("checked");
        };
        assert_eq!(standing.with("AWSCURRENT"), Some(version.as_str()));
        assert_eq!(standing.with("AWSPREVIOUS").map(str::to_owned), previous);
        assert!(setter.is_some());
        assert_eq!(service.actions(), ["set", "test"]);
    }
    // What counts is what the service takes; what the roster does not name stays.
    let new = fields(good_arn);
    assert_eq!(new["password"], good.password().as_str());
    assert_eq!(good.password().len(), 32);
    assert_eq!(
        (&new["username"], &new["port"]),
        (&"app".into(), &5432.into())
    );
    assert_eq!(current(whole_arn), whole.password());
    // What a program starts and leaves ends with it.
    assert!(!good.has_left_one_behind());

    // Nothing was changed: the label is off, and the cause is told without the value.
    for (arn, service, says) in [
        (
            refusing_arn,
            &refusing,
            "its setter refused: closed for today",
        ),
        (quoting_arn, &quoting, "its words are withheld"),
    ] {
        let (why, again) = why(&entries, arn);
        assert!(why.contains(says) && again, "{why}");
        assert_eq!(
            names(&entries, arn),
            [
                "secret_intent",
                "secret_staged",
                "secret_withdrawn",
                "secret_failed"
            ]
        );
        assert_eq!(
            world
                .secret_standing(arn)
                .expect("a secret")
                .with("AWSPENDING"),
            None
        );
        assert_eq!(service.password(), "the old one");
    }
    // It may be set: the label stays, for it is the only name of a value that may be in use; the program was ended.
    let (why_slow, _) = why(&entries, slow_arn);
    assert!(
        why_slow.contains("its setter did not finish: it took longer than 1 s"),
        "{why_slow}"
    );
    slow.wait_gone(1);
    let pending = world.secret_value(slow_arn, "AWSPENDING").expect("a value");
    let pending: Value = serde_json::from_str(&pending).expect("JSON");
    assert_eq!(pending["password"], slow.password().as_str());
    // Whoever could change the program would get the secret.
    let (why_foreign, _) = why(&entries, foreign_arn);
    assert!(
        why_foreign.contains("it does not belong to root"),
        "{why_foreign}"
    );
    assert_eq!(foreign.actions(), [""; 0]);
    let (why_unnamed, _) = why(&entries, unnamed_arn);
    assert!(
        why_unnamed.contains("worker.toml names no setter 'no-such-setter'"),
        "{why_unnamed}"
    );

    // What AWS was told: never a value that moves AWSCURRENT by itself, never a label that moves without saying from where.
    let puts = world.proxy().calls_of("secretsmanager:PutSecretValue");
    assert!(puts.len() >= 6);
    assert!(
        puts.iter()
            .all(|c| c.param("VersionStages") == Some(r#"["AWSPENDING"]"#))
    );
    let moves = world
        .proxy()
        .calls_of("secretsmanager:UpdateSecretVersionStage");
    assert!(
        moves
            .iter()
            .all(|c| c.param("RemoveFromVersionId").is_some()),
        "{moves:?}"
    );
    // No value stands in journal, pins, generations, or in what is kept to go on with.
    for service in [&good, &whole, &slow] {
        for folder in ["state", "runtime"] {
            assert!(
                !folder_holds(&bench.path(folder), &service.password()),
                "{folder}"
            );
        }
    }

    // The next try: what was set is found set, what was refused gets another value, what root has again is run.
    std::os::unix::fs::chown(&program, Some(0), None).expect("taken back");
    let withdrawn = puts
        .iter()
        .find(|c| c.param("SecretId") == Some(refusing_arn));
    let withdrawn = withdrawn
        .and_then(|c| c.param("SecretString"))
        .expect("a value")
        .to_owned();
    let (entries, end) = close(&bench, &session.request);
    assert!(
        end.expect_err("one has no setter")
            .error
            .contains("prod/unnamed")
    );
    for (arn, service) in [
        (refusing_arn, &refusing),
        (quoting_arn, &quoting),
        (slow_arn, &slow),
        (foreign_arn, &foreign),
    ] {
        assert_eq!(
            names(&entries, arn).last(),
            Some(&"secret_rotated"),
            "{arn}"
        );
        assert_eq!(fields(arn)["password"], service.password().as_str());
        assert_ne!(service.password(), "the old one");
        assert_eq!(
            world
                .secret_standing(arn)
                .expect("a secret")
                .with("AWSPENDING"),
            None
        );
    }
    assert_ne!(current(refusing_arn), withdrawn);
    assert_eq!(
        slow.actions(),
        ["set", "test"],
        "set once, and found to work"
    );
    assert_eq!(world.proxy().broken(), [""; 0]);
}

/// What a program is given and what it runs in; and what the session for a secret may do.
#[test]
fn a_setter_has_one_secret_and_nothing_else() {
    let service = Database::new("the old one");
    let mut arns = Vec::new();
    let bench = Bench::with_secrets(|world, folder| {
        for name in ["db", "other"] {
            arns.push(world.make_secret(name, VALUE).expect("a secret"));
        }
        let program = service.setter(folder, "db");
        let named = vec![by_setter(world, &arns[0], "db", true)];
        (named, setter_toml("db", &program, 20))
    });
    let session = open(&bench);
    let (_, end) = close(&bench, &session.request);
    end.expect("closed");

    let calls = service.calls();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        let mut keys: Vec<&String> = call.as_object().expect("an object").keys().collect();
        keys.sort();
        assert_eq!(keys, ["action", "new", "secret", "seen"]);
        assert_eq!(call["secret"]["password"], "the old one");
        assert_eq!(call["new"]["password"], service.password().as_str());
        let seen = &call["seen"];
        assert_eq!(seen["argv"], serde_json::json!([bench.path("db")]));
        assert_eq!(seen["env"], serde_json::json!(["LC_ALL", "PATH"]));
        assert_eq!(seen["cwd"], "/");
        assert_eq!((&seen["core"], &seen["cpu"]), (&0.into(), &60.into()));
        assert_eq!(
            (&seen["terminal"], &seen["leads"]),
            (&false.into(), &true.into())
        );
        assert_eq!(seen["privileges"], "1");
        for may in ["writes", "reads_state", "reads_runtime"] {
            assert_eq!(seen[may], false, "{may}");
        }
    }

    let assumed = bench.world.proxy().calls_of("sts:AssumeRole");
    let own = assumed
        .iter()
        .find(|c| c.param("RoleArn").is_some_and(|r| r.ends_with("/setter")));
    let own = own.expect("a session for the secret");
    assert_eq!(own.tags(), [("twotap", session.request.as_str())]);
    let policy: Value = serde_json::from_str(own.param("Policy").expect("a policy")).expect("JSON");
    assert_eq!(policy["Statement"][0]["Resource"], arns[0].as_str());
    let client = bench
        .world
        .through_proxy(own.credentials().expect("a session"));
    let read = |arn: &str| {
        let body = serde_json::json!({"SecretId": arn});
        let read = client.json("secretsmanager", "secretsmanager.GetSecretValue", &body);
        read.expect("an answer").error
    };
    assert_eq!(read(&arns[0]), None);
    assert_eq!(read(&arns[1]).as_deref(), Some("AccessDeniedException"));
}

/// A secret whose own session was not to be had in the ceremony: access does not hang on it, and it is owed from the first try on.
#[test]
fn a_secret_without_its_session_is_owed_and_holds_nothing_up() {
    let service = Database::new("the old one");
    let mut arn = String::new();
    let bench = Bench::with_secrets(|world, folder| {
        arn = world.make_secret("db", VALUE).expect("a secret");
        let mut named = by_setter(world, &arn, "db", true);
        if let Some(setter) = &mut named.setter {
            setter.role_arn = world.role_arn("no-such-role");
        }
        (
            vec![named],
            setter_toml("db", &service.setter(folder, "db"), 20),
        )
    });
    let session = open(&bench);
    let (entries, end) = close(&bench, &session.request);
    end.expect("closed, as far as this host can");
    let (why, again) = why(&entries, &arn);
    assert!(
        why.starts_with("its session could not be had in the ceremony"),
        "{why}"
    );
    assert!(!again);
    assert_eq!(service.actions(), [""; 0]);
    assert_eq!(
        std::fs::read_dir(bench.path("runtime"))
            .expect("there")
            .count(),
        0
    );
}
