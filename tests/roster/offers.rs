//! How many offers a worker's host lets wait, whatever its agent asks for.

use twotap::{
    ceremony::times::MAX_WAITING,
    protocol::{Code, job::FromWorker},
};

use crate::support::{self, Bench};

#[test]
fn no_agent_has_more_offers_signed_than_may_wait() {
    let bench = Bench::sealed();
    let mut waiting: Vec<_> = (0..MAX_WAITING)
        .map(|_| match bench.try_ask("dana", support::ask()) {
            (worker, Some(FromWorker::Offer(_))) => worker,
            (_, other) => panic!("no offer: {other:?}"),
        })
        .collect();
    let (_, answer) = bench.try_ask("dana", support::ask());
    match answer {
        Some(FromWorker::Failed(problem)) => assert_eq!(problem.code, Code::Refused),
        other => panic!("one more was signed: {other:?}"),
    }
    // One that goes makes room for one.
    assert!(waiting.pop().expect("one").hang_up().success());
    let (worker, answer) = bench.try_ask("dana", support::ask());
    assert!(matches!(answer, Some(FromWorker::Offer(_))), "{answer:?}");
    drop(worker);
}
