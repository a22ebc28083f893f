//! What stands in the bucket afterwards.

use aws_sdk_s3::types::ObjectLockRetentionMode;
use time::OffsetDateTime;

use twotap::audit::chain::Hash;
use twotap::audit::event::{Actor, Event, EventType};
use twotap::audit::sinks::{Options, S3Config};

use crate::record_at_aws::{Bench, PREFIX, SOON};

#[test]
fn the_record_stands_in_the_bucket_byte_for_byte_locked_and_in_order() {
    let bench = Bench::new();
    bench.record(3);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 3);
    // Events that come while nobody takes them up go out together.
    assert!(sinks.shutdown(SOON));
    bench.record(2);
    let sinks = bench.run(bench.sink());
    bench.wait_held(&sinks, 5);
    assert!(sinks.shutdown(SOON));
    assert_eq!(bench.held(), bench.lines());

    let keys = bench.keys();
    assert_eq!(keys.len(), 2, "{keys:?}");
    let hash = &bench.head().hash.to_string()[..16];
    assert_eq!(
        keys[1],
        format!("{PREFIX}events/{:020}-{:020}-{hash}.jsonl", 4, 5)
    );
    for key in &keys {
        let kept = bench
            .s3
            .get_object_retention()
            .bucket(&bench.bucket)
            .key(key);
        let kept = bench.wait(kept.send()).expect("a lock");
        let kept = kept.retention().expect("a lock");
        assert_eq!(kept.mode(), Some(&ObjectLockRetentionMode::Governance));
        let until = kept.retain_until_date().expect("a date").secs();
        let week = OffsetDateTime::now_utc().unix_timestamp() + 7 * 24 * 3600;
        assert!((week - until).abs() < 300, "{until} {week}");
        // Nobody who lacks the right can undo it: not even the root without saying so.
        let versions = bench.s3.list_object_versions().bucket(&bench.bucket);
        let versions = bench.wait(versions.prefix(key).send()).expect("versions");
        let id = versions.versions()[0].version_id().expect("an id");
        let gone = bench.s3.delete_object().bucket(&bench.bucket).key(key);
        bench
            .wait(gone.version_id(id).send())
            .expect_err("it is locked");
    }
}

#[test]
fn envelopes_go_along_where_the_configuration_says_so_and_once_each() {
    let bench = Bench::new();
    bench.record(14);
    let options = Options {
        envelopes: true,
        ..Options::default()
    };
    let sinks = bench.run_on(&bench.store, Box::new(bench.sink()), options);
    bench.wait_held(&sinks, 14);
    assert!(sinks.shutdown(SOON));
    for n in [7, 14] {
        let envelope = format!("{{\"envelope\":{n}}}");
        let key = format!("{PREFIX}envelopes/{}.json", Hash::of(envelope.as_bytes()));
        assert_eq!(bench.object(&key), envelope.as_bytes());
    }
    assert_eq!(bench.keys().len(), 3, "{:?}", bench.keys());
    assert_eq!(bench.held(), bench.lines());
}

#[test]
fn a_longer_retention_lengthens_what_is_needed_again_and_needs_no_special_right() {
    let bench = Bench::new();
    let key = format!("{PREFIX}envelopes/{}.json", Hash::of(b"{\"envelope\":7}"));
    let until = |days: u32| {
        let more = format!("mode = 'COMPLIANCE'\nretention_days = {days}");
        let config: S3Config = toml::from_str(&bench.table(&more)).expect("a table");
        let sink = bench.open(config, None).expect("a sink");
        let store = bench.fresh_store(&days.to_string());
        crate::record_at_aws::record(&store, 7, &format!("kept for {days} days"));
        let options = Options {
            envelopes: true,
            ..Options::default()
        };
        let sinks = bench.run_on(&store, Box::new(sink), options);
        assert!(
            sinks.wait_acknowledged("worm", 7, SOON),
            "{:?}",
            sinks.status()
        );
        assert!(sinks.shutdown(SOON));
        let kept = bench
            .s3
            .get_object_retention()
            .bucket(&bench.bucket)
            .key(&key);
        let kept = bench.wait(kept.send()).expect("a lock");
        let kept = kept.retention().expect("a lock");
        assert_eq!(kept.mode(), Some(&ObjectLockRetentionMode::Compliance));
        kept.retain_until_date().expect("a date").secs()
    };
    let (short, long) = (until(7), until(30));
    assert!(
        (long - short - 23 * 24 * 3600).abs() < 300,
        "{short} {long}"
    );
}

#[test]
fn what_somebody_puts_over_an_envelope_does_not_stop_what_names_it_again() {
    let bench = Bench::new();
    let envelope = b"{\"envelope\":7}";
    let key = format!("{PREFIX}envelopes/{}.json", Hash::of(envelope));
    let options = || Options {
        envelopes: true,
        ..Options::default()
    };
    bench.record(7);
    let sinks = bench.run_on(&bench.store, Box::new(bench.sink()), options());
    bench.wait_held(&sinks, 7);
    // Nobody can change it, but whoever may write can put something over it.
    bench.put(&key, b"{\"envelope\":8}");
    assert!(sinks.shutdown(SOON));
    let again = Event::new(EventType::BreakGlassApproved, Actor::agent());
    let again = again.envelope("approve", envelope);
    bench
        .store
        .commit(|tx| tx.append(&again, OffsetDateTime::now_utc()))
        .expect("recorded");
    let sinks = bench.run_on(&bench.store, Box::new(bench.sink()), options());
    bench.wait_held(&sinks, 8);
    assert!(sinks.shutdown(SOON));
    assert_eq!(bench.object(&key), b"{\"envelope\":8}");
}
