//! The bucket holds what the store does not have.

use twotap::audit::sinks::{Options, SinkError};

use crate::record_at_aws::{Bench, PREFIX, SOON, record};
use crate::verify::{delete, version};

#[test]
fn a_store_that_was_put_back_is_told_by_what_the_bucket_holds() {
    let bench = Bench::new();
    bench.record(3);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 3);
    bench.record(2);
    bench.wait_held(&sinks, 5);
    assert!(sinks.shutdown(SOON));
    let before = bench.keys();
    // The same record, restored from when it had three events; and one that is another from the first event on.
    for (name, why) in [("restored", "für alle"), ("another", "for nobody")] {
        let store = bench.fresh_store(name);
        record(&store, 3, why);
        let sinks = bench.run_on(&store, Box::new(bench.sink()), Options::default());
        let failed = || {
            let error = sinks.status().expect("a status")[0].error.clone();
            error.is_some_and(|error| matches!(error, SinkError::Diverged { .. }))
        };
        assert!(
            store.wait(Some(SOON), |_| failed()),
            "{name}: {:?}",
            sinks.status()
        );
        drop(sinks);
        assert_eq!(bench.keys(), before, "{name}");
    }
}

#[test]
fn a_cursor_that_was_lost_costs_nothing() {
    let bench = Bench::new();
    bench.record(5);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 5);
    assert!(sinks.shutdown(SOON));
    let before = bench.keys();
    let store = bench.fresh_store("same");
    record(&store, 5, "für alle");
    let sinks = bench.run_on(&store, Box::new(bench.sink()), Options::default());
    assert!(sinks.wait_acknowledged("worm", 5, SOON));
    assert_eq!(bench.keys(), before);
    record(&store, 1, "für alle");
    assert!(sinks.wait_acknowledged("worm", 6, SOON));
    assert_eq!(bench.keys().len(), before.len() + 1);
    assert!(sinks.shutdown(SOON));
}

#[test]
fn what_somebody_else_put_in_the_way_is_said_and_does_not_stop_the_record() {
    let bench = Bench::new();
    let strange = format!("{PREFIX}events/{:020}-{:020}-0123456789abcdef.jsonl", 1, 9);
    bench.put(&strange, b"{\"v\":1}\n");
    bench.record(2);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 2);
    let said = bench.complaint(&sinks);
    assert!(
        said.contains("another history") && said.contains(&strange),
        "{said}"
    );
    assert!(sinks.shutdown(SOON));
    assert_eq!(bench.keys().len(), 2);
}

/// What follows a gap is no other history: it is sent again, and what then stands there twice is passed over.
#[test]
fn objects_behind_a_gap_are_written_again_and_no_other_history() {
    let bench = Bench::new();
    for n in [2, 4, 6] {
        bench.record(2);
        let sinks = bench.run(bench.sink());
        bench.wait_held(&sinks, n);
        assert!(sinks.shutdown(SOON));
    }
    let middle = bench.keys().remove(1);
    delete(&bench, &middle, Some(version(&bench, &middle)));
    let again = |name: &str| {
        let store = bench.fresh_store(name);
        record(&store, 6, "für alle");
        let sinks = bench.run_on(&store, Box::new(bench.sink()), Options::default());
        assert!(sinks.wait_acknowledged("worm", 6, SOON), "{name}");
        let status = sinks.status().expect("a status").remove(0);
        assert_eq!((status.complaint, status.flaws), (None, vec![]), "{name}");
        assert!(sinks.shutdown(SOON));
        bench.keys()
    };
    let keys = again("gap");
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert_eq!(again("twice"), keys);
    // Nor is one that somebody deleted and that is kept: its marker is not read.
    delete(&bench, &keys[1], None);
    again("marked");
}
