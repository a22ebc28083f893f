//! The model held to the worker: what the real worker's journal says after flows with faults has to be a way through the model, with no
//! more going wrong than went wrong; and each line rests on those before it.

use std::collections::{HashMap, HashSet};

use twotap::{
    protocol::job::{Entry, FromWorker, Job, Step, ToWorker},
    trust::receipt::{Outcome, Receipt},
};
use twotap_rig::{Fault, Rule, When, world};

use crate::{
    ceremony::{ceremony, patience, sealed_key, side_by_side},
    explore::Model as _,
    rotation::{Faults, Line, Of, Rotation, Rules, Where, World},
    support::{Bench, Worker},
};

/// What may have gone wrong in a flow.
const NOTHING: Faults = Faults {
    crash: false,
    lost_answer: false,
    outage: false,
    late: false,
    lag: false,
    stranger: false,
    full: false,
    rival: true,
    officer: false,
    host_lost: false,
    snapshot: false,
};

/// The journal's lines in the model's words. Notes about what is about to be done, and the end of a key that was sealed before and is
/// owed one, are the model's 'not ours': made inactive, then deleted.
fn lines(journal: &[Entry]) -> Vec<Line> {
    let (mut opened, mut new) = (None, None);
    let mut lines = Vec::new();
    let mut stored = false;
    for entry in journal {
        let of = |id: &String| match Some(id) {
            id if id == new.as_ref() => Of::New,
            id if id == opened.as_ref() => Of::Opened,
            _ => Of::Other,
        };
        let line = |step, of| Line { step, of };
        let other = |key| of(key) == Of::Other;
        match &entry.step {
            Step::RotationIntent {
                old_access_key_id, ..
            } => {
                opened = Some(old_access_key_id.clone());
                new = None;
                stored = true;
                lines.push(line("rotation_intent", Some(Of::Opened)));
            }
            Step::KeyCreated { access_key_id, .. } => {
                new = Some(access_key_id.clone());
                lines.push(line("key_created", Some(Of::New)));
            }
            Step::KeyProven { .. } if !stored => {}
            Step::KeyProven { access_key_id, .. } => {
                lines.push(line("key_proven", Some(of(access_key_id))));
            }
            Step::GenerationWritten { .. } => lines.push(line("generation_written", None)),
            Step::GenerationCommitted { access_key_id, .. } => {
                let key = stored.then(|| of(access_key_id));
                lines.push(line("generation_committed", key));
            }
            Step::KeyRefused { access_key_id, .. } if other(access_key_id) => {}
            Step::KeyRefused { access_key_id, .. } => {
                lines.push(line("key_refused", Some(of(access_key_id))));
            }
            Step::KeyDeactivated { access_key_id, .. } if !other(access_key_id) => {
                lines.push(line("key_deactivated", Some(of(access_key_id))));
            }
            Step::KeyDeleted { access_key_id, .. } if !other(access_key_id) => {
                lines.push(line("key_deleted", Some(of(access_key_id))));
            }
            Step::KeyDeactivated { access_key_id, .. }
            | Step::StrangerDisabled { access_key_id, .. } => {
                lines.push(line("stranger_disabled", Some(of(access_key_id))));
            }
            Step::KeyDeleted { access_key_id, .. }
            | Step::StrangerDeleted { access_key_id, .. } => {
                lines.push(line("stranger_deleted", Some(of(access_key_id))));
            }
            Step::Rotated { receipt, .. }
                if opened.as_ref().is_some_and(|o| ends(receipt) != *o) => {}
            Step::Rotated { .. } => lines.push(line("rotated", None)),
            Step::RotationPending { .. } => lines.push(line("rotation_pending", None)),
            _ => {}
        }
    }
    lines
}

fn receipt(envelope: &twotap::trust::Envelope) -> (String, String) {
    match envelope.unverified::<Receipt>().expect("a receipt").outcome {
        Outcome::Rotated {
            old_access_key_id,
            new_access_key_id,
            ..
        } => (old_access_key_id, new_access_key_id),
        other => panic!("{other:?}"),
    }
}

/// The key whose end a receipt certifies.
fn ends(envelope: &twotap::trust::Envelope) -> String {
    receipt(envelope).0
}

/// How far the model follows: the number of lines that are a way through it.
fn followed(model: &Rotation, start: World, lines: &[Line]) -> usize {
    type States = HashSet<(World, Vec<Line>)>;
    // Everything that can happen without a line.
    let silently = |states: States| {
        let mut all = states.clone();
        let mut todo: Vec<_> = states.into_iter().collect();
        while let Some((world, owed)) = todo.pop() {
            if !owed.is_empty() {
                continue;
            }
            let mut then = Vec::new();
            model.next(&world, &mut then);
            for (event, world) in then {
                let silent = (model.canonical(&world), Vec::new());
                if event.lines().is_empty() && all.insert(silent.clone()) {
                    todo.push(silent);
                }
            }
        }
        all
    };
    let mut states = silently(States::from([(start, Vec::new())]));
    for (n, line) in lines.iter().enumerate() {
        let mut next = States::new();
        for (world, owed) in &states {
            if let Some((first, rest)) = owed.split_first() {
                if first == line {
                    next.insert((*world, rest.to_vec()));
                }
                continue;
            }
            let mut then = Vec::new();
            model.next(world, &mut then);
            for (event, world) in then {
                if let Some((first, rest)) = event.lines().split_first()
                    && first == line
                {
                    next.insert((model.canonical(&world), rest.to_vec()));
                }
            }
        }
        if next.is_empty() {
            return n;
        }
        states = silently(next);
    }
    lines.len()
}

/// The journal of a flow that began with an officer's first key, in which this much went wrong.
fn is_a_path(what: &str, bench: &Bench, faults: Faults, most: u8) {
    let rules = Rules::shipped(1, Where::Nowhere, most, faults);
    let journal = journal(bench);
    let lines = lines(&journal);
    let way = followed(&Rotation(rules), World::first_key(&rules), &lines);
    let shown: Vec<_> = lines.iter().map(|l| (l.step, l.of)).collect();
    assert_eq!(
        way,
        lines.len(),
        "{what}: the model cannot follow {:?}, line {way} of {shown:?}",
        lines.get(way)
    );
    rests_on_what_was_done(what, &journal);
    println!("{what}: {} lines followed", lines.len());
}

/// A receipt for a key: it was seen refused, and the one that replaced it was proven and counts; and nothing is done to a key that is
/// sealed.
fn rests_on_what_was_done(what: &str, journal: &[Entry]) {
    let mut seen: HashMap<(&str, String), usize> = HashMap::new();
    let mut sealed = String::new();
    for (n, entry) in journal.iter().enumerate() {
        let stood = |step, key: &String| seen.contains_key(&(step, key.clone()));
        match &entry.step {
            Step::Rotated { receipt: it, .. } => {
                let (old, new) = receipt(it);
                assert!(stood("refused", &old), "{what}: {old} was not seen refused");
                assert!(stood("committed", &new), "{what}: {new} counts for nothing");
            }
            Step::GenerationCommitted { access_key_id, .. } => {
                let by_hand = !stood("created", access_key_id);
                assert!(
                    by_hand || stood("proven", access_key_id),
                    "{what}: not proven"
                );
                sealed.clone_from(access_key_id);
                seen.insert(("committed", access_key_id.clone()), n);
            }
            Step::KeyCreated { access_key_id, .. } => {
                seen.insert(("created", access_key_id.clone()), n);
            }
            Step::KeyProven { access_key_id, .. } => {
                seen.insert(("proven", access_key_id.clone()), n);
            }
            Step::KeyRefused { access_key_id, .. } => {
                seen.insert(("refused", access_key_id.clone()), n);
            }
            Step::StrangerDisabled { access_key_id, .. }
            | Step::StrangerDeleted { access_key_id, .. }
            | Step::KeyDeactivated { access_key_id, .. }
            | Step::KeyDeleted { access_key_id, .. } => {
                assert_ne!(*access_key_id, sealed, "{what}: that key is sealed");
            }
            _ => {}
        }
    }
}

fn journal(bench: &Bench) -> Vec<Entry> {
    let mut worker = bench.worker();
    worker.send(&Job::Journal {
        vault: "prod".to_owned(),
        since: 0,
    });
    worker.rest().1.expect("a journal")
}

/// Two taps, with a fault on one call.
fn with(rule: Rule) -> Bench {
    let bench = Bench::sealed();
    bench.world.proxy().add(rule);
    let _ = ceremony(&bench);
    bench.world.proxy().clear_rules();
    bench
}

fn nothing_goes_wrong() {
    let bench = Bench::sealed();
    ceremony(&bench).result.expect("rotated");
    ceremony(&bench).result.expect("rotated");
    is_a_path("nothing goes wrong", &bench, NOTHING, 2);
}

fn an_answer_is_lost(call: &str) {
    let bench = with(Rule::new(call, When::Nth(1), Fault::LoseReply));
    let faults = Faults {
        lost_answer: true,
        ..NOTHING
    };
    is_a_path(call, &bench, faults, 2);
}

fn aws_is_slow_to_agree(call: &str) {
    let bench = with(Rule::new(call, When::Nth(1), Fault::throttled()));
    let faults = Faults {
        late: true,
        ..NOTHING
    };
    is_a_path(call, &bench, faults, 2);
}

fn a_stranger_left_a_key() {
    let bench = Bench::sealed();
    let admin = bench.world.admin();
    let user = ("UserName", world::USER);
    let made = admin.query("iam", "CreateAccessKey", &[user]);
    let made = made.expect("an answer").expect_ok("a key").expect("made");
    let id = made.credentials().expect("a key").access_key_id;
    let inactive = [user, ("AccessKeyId", id.as_str()), ("Status", "Inactive")];
    let done = admin.query("iam", "UpdateAccessKey", &inactive);
    done.expect("an answer")
        .expect_ok("inactive")
        .expect("done");
    ceremony(&bench).result.expect("rotated");
    let faults = Faults {
        stranger: true,
        ..NOTHING
    };
    is_a_path("a stranger's key", &bench, faults, 2);
}

fn killed_before_the_old_key_is_deleted() {
    let bench = Bench::sealed();
    let down = Rule::new("iam:DeleteAccessKey", When::Always, Fault::Unreachable);
    bench.world.proxy().add(down);
    let (mut worker, made) = bench.ask();
    for custodian in &bench.custodians[..2] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    while !matches!(worker.next(), Some(FromWorker::Entry(e)) if matches!(e.step, Step::KeyRefused { .. }))
    {
    }
    drop(worker);
    bench.world.proxy().clear_rules();
    ceremony(&bench).result.expect("rotated");
    let faults = Faults {
        crash: true,
        ..NOTHING
    };
    is_a_path("killed before the deletion", &bench, faults, 2);
}

fn the_new_key_does_not_come_to_work() {
    let bench = Bench::sealed();
    patience(&bench, 3);
    let old = sealed_key(&bench);
    let refused = Rule::new("sts:AssumeRole", When::Always, Fault::denied());
    bench.world.proxy().add(refused.not_signed_by(&old));
    ceremony(&bench).result.expect_err("pending");
    bench.world.proxy().clear_rules();
    ceremony(&bench).result.expect("rotated");
    let faults = Faults {
        outage: true,
        ..NOTHING
    };
    is_a_path("the new key does not work", &bench, faults, 3);
}

fn two_requests_are_approved_at_once() {
    let bench = Bench::sealed();
    let mut waiting = [bench.ask(), bench.ask()];
    for (worker, made) in &mut waiting {
        for custodian in &bench.custodians[..2] {
            worker.send(&ToWorker::Approval(custodian.approve(made)));
        }
    }
    let rest = |(worker, _): (Worker, _)| worker.rest();
    side_by_side(waiting.into(), |it| drop(rest(it)));
    is_a_path("two at once", &bench, NOTHING, 2);
}

#[test]
fn what_the_worker_writes_is_a_way_through_the_model() {
    let flows: Vec<Box<dyn Fn() + Send>> = vec![
        Box::new(nothing_goes_wrong),
        Box::new(|| an_answer_is_lost("iam:UpdateAccessKey")),
        Box::new(|| an_answer_is_lost("iam:DeleteAccessKey")),
        Box::new(|| an_answer_is_lost("sts:AssumeRole")),
        Box::new(|| aws_is_slow_to_agree("iam:CreateAccessKey")),
        Box::new(|| aws_is_slow_to_agree("iam:ListAccessKeys")),
        Box::new(a_stranger_left_a_key),
        Box::new(killed_before_the_old_key_is_deleted),
        Box::new(the_new_key_does_not_come_to_work),
        Box::new(two_requests_are_approved_at_once),
    ];
    side_by_side(flows, |flow| flow());
}

/// What is sealed stays whole when the vault moves on under an officer who takes a while.
#[test]
fn a_key_that_is_brought_late_is_sealed_on_top_of_what_counts_by_then() {
    let bench = Bench::sealed();
    let mut officer = bench.worker();
    officer.send(&Job::Seal {
        vault: "prod".to_owned(),
        audit: twotap::trust::Head::EMPTY,
        nonce: crate::support::nonce(),
    });
    let offer = match officer.next() {
        Some(FromWorker::SealOffer { offer }) => offer,
        other => panic!("no offer: {other:?}"),
    };
    for _ in 0..2 {
        ceremony(&bench).result.expect("rotated");
    }
    let user = [("UserName", world::USER)];
    let made = bench.world.admin().query("iam", "CreateAccessKey", &user);
    let made = made.expect("an answer").expect_ok("a key").expect("made");
    let key = made.credentials().expect("a key");
    let json = serde_json::json!({"AccessKey": {
        "UserName": world::USER,
        "AccessKeyId": key.access_key_id,
        "Status": "Active",
        "SecretAccessKey": key.secret_access_key,
        "CreateDate": "2026-01-01T00:00:00Z",
    }});
    let to = offer
        .unverified::<twotap::trust::request::SealOffer>()
        .expect("an offer")
        .worker_key;
    let sealed = twotap::vault::seal_to(&to, json.to_string().as_bytes()).expect("a recipient");
    officer.send(&ToWorker::Credential {
        sealed: twotap::trust::Bytes(sealed),
    });
    loop {
        match officer.next() {
            Some(FromWorker::Entry(e)) if matches!(e.step, Step::GenerationCommitted { .. }) => {
                break;
            }
            Some(FromWorker::Entry(_)) => {}
            other => panic!("not sealed: {other:?}"),
        }
    }
    // Killed before it is rotated: what was sealed has to be what two taps open.
    drop(officer);
    assert_eq!(sealed_key(&bench), key.access_key_id);
}

/// The check can fail: a journal in another order is no way through the model.
#[test]
fn another_order_is_no_way_through_the_model() {
    let rules = Rules::shipped(1, Where::Nowhere, 2, NOTHING);
    let line = |step, of| Line { step, of };
    let good = [
        line("generation_written", None),
        line("generation_committed", None),
        line("rotation_intent", Some(Of::Opened)),
        line("key_created", Some(Of::New)),
        line("generation_written", None),
        line("key_proven", Some(Of::New)),
        line("generation_committed", Some(Of::New)),
        line("key_deactivated", Some(Of::Opened)),
        line("key_refused", Some(Of::Opened)),
        line("key_deleted", Some(Of::Opened)),
        line("rotated", None),
    ];
    let way = |lines: &[Line]| followed(&Rotation(rules), World::first_key(&rules), lines);
    assert_eq!(way(&good), good.len());
    for at in 3..good.len() - 1 {
        let mut swapped = good;
        swapped.swap(at, at + 1);
        assert_eq!(
            way(&swapped),
            at,
            "{:?} before {:?}",
            swapped[at],
            swapped[at + 1]
        );
        let mut left_out = good.to_vec();
        left_out.remove(at);
        assert_eq!(way(&left_out), at, "without {:?}", good[at]);
    }
}
