//! What is believed of an object, and what becomes one; a bucket is asked by `tests/s3_sink.rs`.

use super::further::follow;
use super::*;
use crate::audit::samples;

const NOW: OffsetDateTime = samples::NOW;

fn of(lines: &[Vec<u8>], from: usize, to: usize) -> (EventsName, Vec<u8>) {
    let end = samples::heads(lines)[to];
    let name = EventsName::of(from as u64, &end);
    (name, samples::file(&lines[from - 1..to]))
}

#[test]
fn an_object_is_gone_on_from_where_it_follows_and_is_what_its_name_says() {
    let lines = samples::lines(6);
    let heads = samples::heads(&lines);
    let held = heads[2];
    for from in [1, 3] {
        let (name, bytes) = of(&lines, from, 4);
        let followed = follow(&held, &name, &bytes).expect("it follows");
        assert_eq!(followed.end, heads[4]);
        // Cut off, and with a line behind what it is called.
        assert!(follow(&held, &name, &bytes[..bytes.len() - 1]).is_none());
        let (_, more) = of(&lines, from, 5);
        assert!(follow(&held, &name, &more).is_none());
    }
    let (name, bytes) = of(&lines, 3, 4);
    let other = Head {
        hash: heads[1].hash,
        ..held
    };
    assert!(follow(&other, &name, &bytes).is_none(), "another history");
    // A number that is left out, although the hashes follow one another.
    let far = String::from_utf8(lines[2].clone()).unwrap();
    let far = far.replacen("\"seq\":3,", "\"seq\":4,", 1).into_bytes();
    let end = held.after(&far);
    let name = EventsName::of(3, &end);
    assert!(follow(&held, &name, &[&far[..], b"\n"].concat()).is_none());
}

#[test]
fn a_batch_that_leaves_an_event_out_becomes_no_object() {
    let lines = samples::lines(4);
    let heads = samples::heads(&lines);
    let delivery = |seq: usize| Delivery {
        seq: seq as u64,
        hash: heads[seq].hash,
        line: lines[seq - 1].clone(),
        envelopes: Vec::new(),
        checkpoint: None,
    };
    let lock = Lock {
        mode: LockMode::Compliance,
        until: NOW,
    };
    let whole = Batch::of(&[delivery(2), delivery(3)], lock);
    let whole = whole.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((whole.first, whole.prev), (2, heads[1].hash));
    assert_eq!(whole.end, heads[3]);
    assert_eq!(whole.bytes, samples::file(&lines[1..3]));
    let Err(why) = Batch::of(&[delivery(1), delivery(3)], lock) else {
        panic!("it was taken");
    };
    assert!(matches!(why, SinkError::Diverged { seq: 2, .. }), "{why}");
}

/// Host and AWS may be of two minds about when it was written, by less than a day.
#[test]
fn an_object_is_locked_that_has_the_mode_and_the_time_that_are_asked_for() {
    let store = Store {
        bucket: Bucket::new("twotap-audit", "eu-central-1").unwrap(),
        prefix: "p/".to_owned(),
        mode: LockMode::Compliance,
        retention: 30 * DAY,
    };
    let hours = |n| NOW + time::Duration::days(30) + time::Duration::hours(n);
    let locked = |mode, until| {
        let lock = Lock { mode, until };
        let object = Object {
            bytes: Vec::new(),
            version: None,
            lock: Some(lock),
            modified: Some(NOW),
        };
        store.is_locked(&object)
    };
    assert!(locked(LockMode::Compliance, hours(0)));
    assert!(locked(LockMode::Compliance, hours(-23)));
    assert!(!locked(LockMode::Compliance, hours(-25)));
    assert!(!locked(LockMode::Governance, hours(0)));
}
