//! A session that is opened and closed, and what came of its secrets.

use std::path::Path;

use twotap::{
    protocol::{
        Problem,
        job::{self, Entry, FromWorker, Job, SecretStep, Step, Vote},
    },
    trust::{
        PublicKey,
        receipt::{Outcome, Receipt},
        roster::{CharacterClass, NamedSecret, Setter},
    },
};
use twotap_rig::{World, world};

use crate::support::{Bench, Worker, ask};

/// Opens a session with two approvals, and waits until the sealed key is replaced.
pub(crate) fn open(bench: &Bench) -> job::Session {
    open_for(bench, None)
}

/// The same, for so many seconds.
pub(crate) fn open_for(bench: &Bench, duration_seconds: Option<u32>) -> job::Session {
    let ask = job::Ask {
        duration_seconds,
        ..ask()
    };
    let (mut worker, made) = match bench.try_ask("dana", ask) {
        (worker, Some(FromWorker::Offer(made))) => (worker, made),
        (_, other) => panic!("no offer: {other:?}"),
    };
    for i in [0, 2] {
        let vote = worker.vote(bench.custodians[i].approve(&made));
        assert!(matches!(vote, Vote::Counted { .. }), "{vote:?}");
    }
    let (session, end) = worker.rest();
    end.expect("the ceremony ends well");
    session.expect("a session")
}

/// Starts a worker that closes.
pub(crate) fn closing(bench: &Bench, request: &str) -> Worker {
    let mut worker = bench.worker();
    worker.send(&Job::Close {
        vault: "prod".to_owned(),
        request: request.to_owned(),
    });
    worker
}

/// Closes, as far as it goes: the journal afterwards, and how the worker ended.
pub(crate) fn close(bench: &Bench, request: &str) -> (Vec<Entry>, Result<(), Problem>) {
    let (_, end) = closing(bench, request).finish();
    (journal(bench), end.map(drop))
}

/// The whole journal, as an agent takes it up.
pub(crate) fn journal(bench: &Bench) -> Vec<Entry> {
    let mut worker = bench.worker();
    worker.send(&Job::Journal {
        vault: "prod".to_owned(),
        since: 0,
    });
    worker.rest().1.expect("the journal")
}

/// What was done to one secret, in order.
pub(crate) fn steps<'e>(entries: &'e [Entry], secret: &str) -> Vec<&'e SecretStep> {
    let of = |entry: &'e Entry| match &entry.step {
        Step::Secret { secret: s, did } if s == secret => Some(did),
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

/// The names of these steps.
pub(crate) fn names(entries: &[Entry], secret: &str) -> Vec<&'static str> {
    steps(entries, secret)
        .iter()
        .map(|did| did.name())
        .collect()
}

/// Why it failed last.
pub(crate) fn why(entries: &[Entry], secret: &str) -> (String, bool) {
    match steps(entries, secret).last() {
        Some(SecretStep::Failed { why, again }) => (why.clone(), *again),
        other => panic!("not failed: {other:?}"),
    }
}

/// The receipt of a rotated secret, under the host's signature.
pub(crate) fn receipt(bench: &Bench, entries: &[Entry], secret: &str) -> Receipt {
    let Some(SecretStep::Rotated { receipt, .. }) = steps(entries, secret).last().copied() else {
        panic!("not rotated: {:?}", names(entries, secret));
    };
    let host: PublicKey = bench.host_key();
    let (verified, _) = receipt
        .verify::<Receipt>(&[host], "the host")
        .expect("signed by the host");
    let receipt = verified.into_document();
    let Outcome::SecretRotated { secret: of, .. } = &receipt.outcome else {
        panic!("another receipt: {receipt:?}");
    };
    assert_eq!(of, secret);
    receipt
}

/// A secret that has a rotation function.
pub(crate) fn by_function(arn: &str) -> NamedSecret {
    NamedSecret {
        arn: arn.to_owned(),
        setter: None,
    }
}

/// A secret that `setter` gives a new value: that of the field `password`, or the whole one.
pub(crate) fn by_setter(world: &World, arn: &str, setter: &str, field: bool) -> NamedSecret {
    NamedSecret {
        arn: arn.to_owned(),
        setter: Some(Setter {
            name: setter.to_owned(),
            role_arn: world.role_arn(world::SETTER_ROLE),
            field: field.then(|| "password".to_owned()),
            length: 32,
            classes: vec![
                CharacterClass::Lower,
                CharacterClass::Upper,
                CharacterClass::Digits,
                CharacterClass::Symbols,
            ],
        }),
    }
}

/// A setter's lines in `worker.toml`.
pub(crate) fn setter_toml(name: &str, program: &Path, seconds: u32) -> String {
    format!("\n[setters.{name}]\nprogram = {program:?}\nseconds = {seconds}\n")
}
