//! Two hosts and one vault: the label at the place decides, and nobody touches a key without it.

use std::time::Duration;

use twotap::protocol::{
    Code, Problem,
    job::{Entry, FromWorker, PlaceStep, Step},
};
use twotap_rig::{
    Credentials, Fault, Rule, When,
    proxy::Gate,
    world::{self, BUNDLE_ROLE},
};

use crate::{
    pair::{Pair, Plan, generation, readers, secret},
    support::{Worker, names},
};

const AGAIN: &str = "ask again: twotap request prod --access admin --incident INC-42 --reason 'the database is down and nobody can sign in'";

/// Reads until the worker has told of this step.
fn until(worker: &mut Worker, step: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        match worker.next() {
            Some(FromWorker::Entry(entry)) => {
                let last = names(std::slice::from_ref(&entry));
                entries.push(entry);
                if last == [step] {
                    return entries;
                }
            }
            Some(FromWorker::Session(_)) => {}
            other => panic!("no {step}: {other:?}"),
        }
    }
}

fn moved_on(problem: &Problem) {
    assert_eq!(problem.code, Code::Refused, "{problem}");
    assert!(
        problem.error.starts_with("the vault moved on"),
        "{}",
        problem.error
    );
    assert_eq!(problem.hint.as_deref(), Some(AGAIN));
}

/// How often sessions were minted for closing: once for each opening.
fn openings(pair: &Pair) -> usize {
    let steward = pair.world.role_arn(world::STEWARD_ROLE);
    let calls = pair.world.proxy().calls_of("sts:AssumeRole").into_iter();
    calls
        .filter(|c| c.param("RoleArn") == Some(&steward) && c.error.is_none())
        .count()
}

#[test]
fn of_two_hosts_that_open_at_once_one_goes_on() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let (mut first, made_first) = pair.ask(0);
    let (mut second, made_second) = pair.ask(1);
    assert_eq!((generation(&made_first), generation(&made_second)), (2, 2));

    // The first has seen the label where it was, and is about to move it, when the second does.
    let gate = Gate::new();
    let proxy = pair.world.proxy();
    proxy.add(Rule::new(
        "secretsmanager:UpdateSecretVersionStage",
        When::Nth(1),
        Fault::HoldRequest(gate.clone()),
    ));
    proxy.clear_calls();
    pair.approve(&mut first, &made_first);
    gate.wait_arrived(1, Duration::from_secs(60)).expect("held");
    pair.approve(&mut second, &made_second);
    until(&mut second, "claim_taken");
    gate.open();

    let (session, end) = first.finish();
    assert!(session.is_none());
    moved_on(&end.expect_err("too late"));
    let (session, end) = second.finish();
    assert!(session.is_some());
    end.expect("a whole ceremony");
    assert_eq!(openings(&pair), 1);
    assert_eq!(proxy.calls_of("iam:CreateAccessKey").len(), 1);
    assert_eq!(pair.active_keys().len(), 1);

    // Asked again, it opens what the other sealed.
    let (opened, session, end) = pair.open(0);
    assert_eq!(opened, 3);
    assert!(session.is_some());
    end.expect("a whole ceremony");
    assert_eq!(proxy.broken(), [""; 0]);
}

#[test]
fn a_host_whose_key_was_replaced_elsewhere_says_so() {
    let pair = Pair::of(&Plan {
        places: &|world| vec![secret(world, true)],
        tables: &|host, shared| match host {
            0 => String::new(),
            _ => readers(host, shared),
        },
        padding: 0,
    });
    pair.seal(0).expect("sealed");
    let (mut stale, made) = pair.ask(0);
    pair.open(1).2.expect("a whole ceremony");

    pair.approve(&mut stale, &made);
    let (session, end) = stale.finish();
    assert!(session.is_none());
    moved_on(&end.expect_err("too late"));
    assert_eq!(pair.active_keys().len(), 1);
}

#[test]
fn a_snapshot_that_is_resumed_later_does_not_touch_the_good_key() {
    let pair = Pair::of(&Plan {
        places: &|world| vec![secret(world, true)],
        tables: &|host, shared| {
            let limits = "[limits]\nrotation_seconds = 2\n";
            match host {
                0 => limits.to_owned(),
                _ => format!("{limits}{}", readers(host, shared)),
            }
        },
        padding: 0,
    });
    pair.seal(0).expect("sealed");
    pair.snapshot(0);
    let old = pair.active_keys();

    // The other host commits generation 3 and cannot make the old key inactive: both keys work.
    let proxy = pair.world.proxy();
    proxy.add(Rule::new(
        "iam:UpdateAccessKey",
        When::Always,
        Fault::Unreachable,
    ));
    let (_, session, end) = pair.open(1);
    assert!(session.is_some());
    assert_eq!(end.expect_err("pending").code, Code::AwsUnreachable);
    proxy.clear_rules();
    let both = pair.active_keys();
    assert_eq!(both.len(), 2);

    // The first one wakes up with the key of generation 2, which works: to it the good key is a stranger's.
    pair.resume(0);
    proxy.clear_calls();
    let (opened, session, end) = pair.open(0);
    assert_eq!(opened, 2);
    assert!(session.is_none());
    moved_on(&end.expect_err("stale"));
    assert_eq!(pair.key_calls(), 0);
    assert_eq!(pair.active_keys(), both);

    // It has followed, and the next two approvals end it: the stray key goes, after the while in which its user is heard.
    assert_eq!(pair.current(0), Some(3));
    let (opened, session, end) = pair.open(0);
    assert_eq!(opened, 3);
    assert!(session.is_some());
    end.expect("a whole ceremony");
    let left = pair.active_keys();
    assert_eq!(left.len(), 1);
    assert!(!old.contains(&left[0]));
}

#[test]
fn a_claim_that_a_dead_host_left_is_taken_over_after_fifteen_minutes() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let (mut dead, made) = pair.ask(0);
    pair.approve(&mut dead, &made);
    until(&mut dead, "claim_taken");
    drop(dead);

    pair.world.proxy().clear_calls();
    let (_, session, end) = pair.open(1);
    assert!(session.is_none());
    let problem = end.expect_err("too early");
    moved_on(&problem);
    assert!(
        problem
            .error
            .contains("host host-1 has been opening it for r-"),
        "{problem}"
    );
    assert_eq!(openings(&pair), 0);

    claim_ages(&pair);
    let (opened, session, end) = pair.open(1);
    assert_eq!(opened, 2);
    assert!(session.is_some());
    let entries = end.expect("a whole ceremony");
    assert!(
        matches!(
            &entries[0].step,
            Step::Place(PlaceStep::ClaimTaken {
                from: Some(_),
                generation: 2,
                ..
            })
        ),
        "{entries:?}"
    );
    assert_eq!(pair.active_keys().len(), 1);
}

#[test]
fn a_host_that_died_with_the_claim_goes_on_at_once() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let (mut dead, made) = pair.ask(0);
    pair.approve(&mut dead, &made);
    until(&mut dead, "claim_taken");
    drop(dead);
    let (_, session, end) = pair.open(0);
    assert!(session.is_some());
    end.expect("a whole ceremony");
}

#[test]
fn one_worker_of_a_host_at_a_time_has_its_turn() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let (mut first, made_first) = pair.ask(0);
    let (mut second, made_second) = pair.ask(0);
    pair.approve(&mut first, &made_first);
    until(&mut first, "claim_taken");
    pair.approve(&mut second, &made_second);
    let (session, end) = second.finish();
    assert!(session.is_none());
    moved_on(&end.expect_err("the other is at it"));
    let (session, end) = first.finish();
    assert!(session.is_some());
    end.expect("a whole ceremony");
}

#[test]
fn who_wakes_up_after_the_claim_was_taken_over_cannot_commit() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let sealed = pair.active_keys();
    let gate = Gate::new();
    let proxy = pair.world.proxy();
    // The first move is the claim, the second the commit.
    proxy.add(Rule::new(
        "secretsmanager:UpdateSecretVersionStage",
        When::Nth(2),
        Fault::HoldRequest(gate.clone()),
    ));
    let (mut sleeper, made) = pair.ask(0);
    pair.approve(&mut sleeper, &made);
    let (session, end) = std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || sleeper.finish());
        gate.wait_arrived(1, Duration::from_secs(60)).expect("held");

        claim_ages(&pair);
        let (mut next, made) = pair.ask(1);
        pair.approve(&mut next, &made);
        let taken = until(&mut next, "claim_taken");
        assert!(matches!(
            taken.last().map(|e| &e.step),
            Some(Step::Place(PlaceStep::ClaimTaken { from: Some(_), .. }))
        ));
        drop(next);
        gate.open();
        sleeper.join().expect("it ends")
    });
    assert!(session.is_some());
    moved_on(&end.expect_err("fenced off"));
    assert_eq!(pair.current(0), Some(2));
    // What is sealed works, and is what the label stands on.
    assert!(pair.active_keys().contains(&sealed[0]));
    let bundle = label(&pair);
    assert!(bundle.contains("\"claim\":{\"host\":"), "{bundle}");
}

#[test]
fn who_lost_the_claim_touches_no_key_that_the_next_host_has_made() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let gate = Gate::new();
    // It has asked which keys there are, and comes to hear it late.
    let held = Fault::HoldRequest(gate.clone());
    let proxy = pair.world.proxy();
    proxy.add(Rule::new("iam:ListAccessKeys", When::Nth(1), held));
    let (mut sleeper, made) = pair.ask(0);
    pair.approve(&mut sleeper, &made);
    let (keys, end) = std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || sleeper.finish().1);
        gate.wait_arrived(1, Duration::from_secs(60)).expect("held");
        claim_ages(&pair);
        let (mut next, made) = pair.ask(1);
        pair.approve(&mut next, &made);
        until(&mut next, "key_created");
        drop(next);
        let keys = pair.active_keys();
        gate.open();
        (keys, sleeper.join().expect("it ends"))
    });
    moved_on(&end.expect_err("fenced off"));
    assert_eq!(keys.len(), 2);
    assert_eq!(pair.active_keys(), keys, "the next host's key is as it was");
}

#[test]
fn without_the_claim_a_session_is_opened_and_no_key_is_touched() {
    let pair = Pair::of(&Plan {
        places: &|world| vec![secret(world, true)],
        tables: &|_, _| "[limits]\nrotation_seconds = 2\n".to_owned(),
        padding: 0,
    });
    pair.seal(0).expect("sealed");
    let proxy = pair.world.proxy();
    proxy.clear_calls();
    proxy.add(Rule::new(
        "secretsmanager:*",
        When::Always,
        Fault::Unreachable,
    ));
    let (_, session, end) = pair.open(0);
    assert!(session.is_some(), "an emergency waits for no place");
    let problem = end.expect_err("pending");
    assert!(problem.error.starts_with("place safe:"), "{problem}");
    assert_eq!(pair.key_calls(), 0);
    let entries = names(&pair.journal(0));
    assert_eq!(entries.last().map(String::as_str), Some("rotation_pending"));

    proxy.clear_rules();
    let (opened, _, end) = pair.open(0);
    assert_eq!(opened, 2);
    end.expect("a whole ceremony");
    assert_eq!(pair.active_keys().len(), 1);
}

/// The claim that stands now is sixteen minutes old the next two times that it is read: at the request, and before it is taken over.
fn claim_ages(pair: &Pair) {
    let mut version = label_version(pair);
    let made = version["CreatedDate"].as_f64().expect("a date");
    version["CreatedDate"] = (made - 16.0 * 60.0).into();
    let rule = Rule::new(
        "secretsmanager:GetSecretValue",
        When::First(2),
        Fault::Answer(200, version.to_string()),
    );
    pair.world
        .proxy()
        .add(rule.with("VersionStage", "twotap-generation"));
}

/// What the label stands on, past the proxy.
fn label(pair: &Pair) -> String {
    let text = label_version(pair)["SecretString"]
        .as_str()
        .map(str::to_owned);
    text.expect("text")
}

fn label_version(pair: &Pair) -> serde_json::Value {
    let asked = serde_json::json!({
        "SecretId": pair.world.bundle_secret_arn(),
        "VersionStage": "twotap-generation",
    });
    let reply = pair
        .world
        .admin()
        .json("secretsmanager", "secretsmanager.GetSecretValue", &asked)
        .and_then(|r| r.expect_ok("the label"))
        .expect("a version");
    serde_json::from_str(&reply.body).expect("json")
}

#[test]
fn every_version_has_its_label_and_the_label_moves_only_from_where_it_was() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    pair.world.proxy().clear_calls();
    pair.open(1).2.expect("a whole ceremony");
    let proxy = pair.world.proxy();

    let puts = proxy.calls_of("secretsmanager:PutSecretValue");
    assert_eq!(puts.len(), 2, "a claim and a generation");
    for put in &puts {
        // Without it AWSCURRENT would move.
        assert_eq!(put.param("VersionStages"), Some("[\"twotap-written\"]"));
        let token = put.param("ClientRequestToken").expect("a token");
        assert!((32..=64).contains(&token.len()), "{token}");
    }
    let moves = proxy.calls_of("secretsmanager:UpdateSecretVersionStage");
    assert_eq!(moves.len(), 2);
    for (i, moved) in moves.iter().enumerate() {
        assert_eq!(moved.param("VersionStage"), Some("twotap-generation"));
        assert_eq!(
            moved.param("MoveToVersionId"),
            puts[i].param("ClientRequestToken")
        );
    }
    assert_eq!(
        moves[1].param("RemoveFromVersionId"),
        moves[0].param("MoveToVersionId")
    );
    // The claim before any call of IAM's; the commit before the old key is touched.
    let first_iam = &proxy.calls_of("iam:*")[0];
    let update = &proxy.calls_of("iam:UpdateAccessKey")[0];
    assert!(moves[0].seq < first_iam.seq && moves[1].seq < update.seq);

    let asked = serde_json::json!({"SecretId": pair.world.bundle_secret_arn()});
    let reply = pair
        .world
        .admin()
        .json("secretsmanager", "secretsmanager.DescribeSecret", &asked)
        .expect("an answer");
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect("json");
    let stages = body["VersionIdsToStages"].as_object().expect("versions");
    for put in puts {
        let own = &stages[put.param("ClientRequestToken").expect("a token")];
        assert!(!own.to_string().contains("AWS"), "{own}");
    }
    // Ciphertext and signed papers: neither the key nor what a share opens.
    let text = label(&pair);
    assert!(!text.contains(&pair.world.first_key().secret_access_key));
    twotap::vault::Bundle::parse(text.as_bytes())
        .and_then(|b| b.verify().map(|_| ()))
        .expect("a good bundle");
}

#[test]
fn role_and_reader_may_do_what_their_policies_say_and_nothing_else() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let world = &pair.world;
    let other = world
        .admin()
        .json(
            "secretsmanager",
            "secretsmanager.CreateSecret",
            &serde_json::json!({"Name": "prod/database", "SecretString": "x"}),
        )
        .and_then(|r| r.expect_ok("another secret"))
        .expect("made");
    let other: serde_json::Value = serde_json::from_str(&other.body).expect("json");
    let other = other["ARN"].as_str().expect("an ARN").to_owned();
    let own = world.bundle_secret_arn().to_owned();

    let json: serde_json::Value =
        serde_json::from_str(&world.bundle_reader_json().expect("a key")).expect("json");
    let text = |name: &str| json["AccessKey"][name].as_str().expect("text").to_owned();
    let reader = Credentials {
        access_key_id: text("AccessKeyId"),
        secret_access_key: text("SecretAccessKey"),
        session_token: None,
    };
    // A session of the role, as a ceremony has it: the last one that the proxy saw being made.
    pair.world.proxy().clear_calls();
    pair.open(0).2.expect("a whole ceremony");
    let role = world.role_arn(BUNDLE_ROLE);
    let session = world
        .proxy()
        .calls_of("sts:AssumeRole")
        .into_iter()
        .find(|c| c.param("RoleArn") == Some(&role))
        .and_then(|c| c.credentials())
        .expect("a session");

    let put = |secret: &str| serde_json::json!({"SecretId": secret, "SecretString": "y", "VersionStages": ["z"], "ClientRequestToken": "1".repeat(32)});
    let get = |secret: &str| serde_json::json!({"SecretId": secret});
    for (who, action, body, may) in [
        (&reader, "GetSecretValue", get(&own), true),
        (&reader, "PutSecretValue", put(&own), false),
        (&reader, "GetSecretValue", get(&other), false),
        (&session, "GetSecretValue", get(&own), true),
        (&session, "PutSecretValue", put(&own), true),
        (&session, "DeleteSecret", get(&own), false),
        (&session, "GetSecretValue", get(&other), false),
        (&session, "PutSecretValue", put(&other), false),
    ] {
        let reply = world
            .direct(who.clone())
            .json("secretsmanager", &format!("secretsmanager.{action}"), &body)
            .expect("an answer");
        assert_eq!(reply.is_ok(), may, "{action} {body}: {}", reply.body);
    }
}
