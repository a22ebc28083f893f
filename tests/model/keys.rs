//! The sealed key: explored, and broken.

use twotap::ceremony::rotation::{self, Act, Fate, Terms};

use crate::{
    breaks,
    explore::IN_THE_END,
    holds,
    rotation::{ANY, Claim, Faults, Rotation, Rules, Where},
};

const NEVER_ZERO: &str = "at every moment a working credential is sealed and within reach";
const RECEIPT: &str = "a receipt says 'rotated' only of a key that was seen refused";

/// Whatever a single host can meet.
const ALONE: Faults = Faults {
    crash: true,
    lost_answer: true,
    outage: true,
    lag: true,
    stranger: true,
    full: true,
    rival: true,
    officer: false,
    host_lost: false,
    snapshot: false,
};

fn alone(most: u8) -> Rules {
    Rules::shipped(1, Where::Nowhere, most, ALONE)
}

#[test]
fn one_host_never_loses_the_key_and_in_the_end_exactly_one_is_active() {
    holds("one host", "any number of faults", &Rotation(alone(ANY)));
}

#[test]
fn an_officers_key_never_replaces_one_that_works_by_one_that_does_not() {
    let faults = Faults {
        officer: true,
        lag: false,
        outage: false,
        ..ALONE
    };
    let rules = Rules::shipped(1, Where::Nowhere, 4, faults);
    holds("one host and an officer", "any 4 faults", &Rotation(rules));
}

#[test]
fn tmp_copies() {
    let faults = Faults {
        host_lost: true,
        ..ALONE
    };
    let rules = Rules::shipped(1, Where::Copies { required: true }, ANY, faults);
    holds("copies", "any number of faults", &Rotation(rules));
}
#[test]
fn tmp_shared() {
    let faults = Faults {
        host_lost: true,
        ..ALONE
    };
    let rules = Rules::shipped(2, Where::Shared(Claim::UntilDone), ANY, faults);
    holds("shared", "any number of faults", &Rotation(rules));
}
#[test]
fn tmp_shared_snap() {
    let faults = Faults {
        host_lost: true,
        snapshot: true,
        ..ALONE
    };
    let rules = Rules::shipped(2, Where::Shared(Claim::UntilDone), 4, faults);
    holds("shared snapshot", "any 4 faults", &Rotation(rules));
}
