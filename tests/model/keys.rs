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
    late: true,
    lag: true,
    stranger: true,
    full: true,
    rival: true,
    officer: false,
    host_lost: false,
    snapshot: false,
};

/// The same, and hosts are lost with their disks.
const AND_FIRE: Faults = Faults {
    host_lost: true,
    ..ALONE
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
        late: false,
        ..ALONE
    };
    let rules = Rules::shipped(1, Where::Nowhere, ANY, faults);
    holds(
        "one host and an officer",
        "any number of faults",
        &Rotation(rules),
    );
}

#[test]
fn with_a_required_copy_the_key_survives_the_host() {
    let rules = Rules::shipped(1, Where::Copies { required: true }, ANY, AND_FIRE);
    holds(
        "one host and a copy",
        "any number of faults",
        &Rotation(rules),
    );
}

#[test]
fn of_two_hosts_one_goes_on_and_neither_loses_the_key() {
    let faults = Faults {
        late: false,
        ..AND_FIRE
    };
    let rules = Rules::shipped(2, Where::Shared(Claim::UntilDone), ANY, faults);
    holds("two hosts", "any number of faults", &Rotation(rules));
}

#[test]
fn a_host_that_is_set_back_does_not_delete_the_key_of_the_newest_generation() {
    let faults = Faults {
        snapshot: true,
        ..AND_FIRE
    };
    let rules = Rules::shipped(2, Where::Shared(Claim::UntilDone), 4, faults);
    holds(
        "two hosts, snapshots, late calls",
        "any 4 faults",
        &Rotation(rules),
    );
}

/// Each mutant: what is changed, in which rules, and what comes of it.
#[test]
fn every_mutant_of_a_rotation_is_found() {
    let copies = Rules::shipped(1, Where::Copies { required: true }, 3, AND_FIRE);
    let shared = |claim| Rules::shipped(2, Where::Shared(claim), 4, AND_FIRE);
    let officer = Faults {
        officer: true,
        late: false,
        ..ALONE
    };
    let by_officer = Rules::shipped(1, Where::Nowhere, 4, officer);
    let mutants = [
        (
            "the old key is made inactive before the new generation counts",
            Rules {
                next: |terms, done| match done {
                    Act::ProveNew => Some(Act::Deactivate),
                    Act::Deactivate => Some(Act::Commit),
                    Act::Commit => Some(Act::ProveDead),
                    _ => rotation::next(terms, done),
                },
                ..alone(3)
            },
            NEVER_ZERO,
        ),
        (
            "a generation counts before its key was made",
            Rules {
                next: |terms, done| match done {
                    Act::Reconcile => Some(Act::Seal),
                    Act::Seal => Some(Act::Commit),
                    Act::Commit => Some(Act::Create),
                    Act::Create => Some(Act::Deactivate),
                    _ => rotation::next(terms, done),
                },
                ..alone(3)
            },
            NEVER_ZERO,
        ),
        (
            "the old key is deleted, and not asked whether it is dead",
            Rules {
                next: |terms, done| match done {
                    Act::Deactivate => Some(Act::Delete),
                    _ => rotation::next(terms, done),
                },
                ..alone(3)
            },
            RECEIPT,
        ),
        (
            "a receipt as soon as the generation counts",
            Rules {
                next: |terms, done| match done {
                    Act::Commit => Some(Act::Receipt),
                    _ => rotation::next(terms, done),
                },
                ..alone(3)
            },
            RECEIPT,
        ),
        (
            "a vault that moved on is rotated all the same, and its newest key deleted",
            Rules {
                next: |terms, done| {
                    let still_sealed = true;
                    rotation::next(
                        Terms {
                            still_sealed,
                            ..terms
                        },
                        done,
                    )
                },
                fate: |key, active, opened, _| rotation::fate(key, active, opened, None),
                ..alone(3)
            },
            NEVER_ZERO,
        ),
        (
            "keys that nobody knows are left alone",
            Rules {
                fate: |_, _, _, _| Fate::Leave,
                ..alone(3)
            },
            IN_THE_END,
        ),
        (
            "keys that nobody knows are made inactive and kept",
            Rules {
                fate: |key, active, opened, newest| match active {
                    true => rotation::fate(key, active, opened, newest),
                    false => Fate::Leave,
                },
                ..alone(3)
            },
            IN_THE_END,
        ),
        (
            "a new key is taken back although its generation may count",
            Rules {
                after_failure: |failed| match failed {
                    Act::Commit => Some(Act::TakeBack),
                    _ => rotation::after_failure(failed),
                },
                ..alone(3)
            },
            NEVER_ZERO,
        ),
        (
            "two workers change one vault",
            Rules {
                locks: false,
                ..alone(3)
            },
            NEVER_ZERO,
        ),
        (
            "a generation is remembered before it counts",
            Rules {
                counts_then_remembers: false,
                ..alone(3)
            },
            NEVER_ZERO,
        ),
        (
            "an officer's key is checked and numbered before the lock is taken",
            Rules {
                seals_under_lock: false,
                ..by_officer
            },
            NEVER_ZERO,
        ),
        (
            "copies are made when the old key is gone",
            Rules {
                next: |terms, done| match done {
                    Act::Commit => Some(Act::Deactivate),
                    Act::Delete => Some(Act::Copy),
                    Act::Copy => Some(Act::Receipt),
                    _ => rotation::next(terms, done),
                },
                ..copies
            },
            NEVER_ZERO,
        ),
        (
            "the keys are cleared before the copies are caught up",
            Rules {
                next: |terms, done| match done {
                    Act::Intent if terms.still_sealed => Some(Act::Reconcile),
                    _ => rotation::next(terms, done),
                },
                ..copies
            },
            NEVER_ZERO,
        ),
        (
            "a replaced key ends itself before the copies are caught up",
            Rules {
                next: |terms, done| match done {
                    Act::Intent if !terms.still_sealed => Some(Act::ProveDead),
                    _ => rotation::next(terms, done),
                },
                most: 4,
                ..copies
            },
            NEVER_ZERO,
        ),
        (
            "copies that policy does not require",
            Rules {
                place: Where::Copies { required: false },
                ..copies
            },
            NEVER_ZERO,
        ),
        (
            "a host that finds its own claim goes on under it",
            Rules {
                claims_anew: false,
                ..shared(Claim::UntilDone)
            },
            NEVER_ZERO,
        ),
        ("no claim", shared(Claim::Nobody), NEVER_ZERO),
        (
            "a claim that anybody takes over at any time",
            shared(Claim::Stolen),
            NEVER_ZERO,
        ),
        (
            "a claim that nobody takes over ever",
            shared(Claim::ForEver),
            IN_THE_END,
        ),
    ];
    for (name, rules, promise) in mutants {
        breaks(name, &Rotation(rules), promise);
    }
}

/// What is not promised, found as surely as a mutant: a call that was sent before a key was sealed, and arrives after it.
#[test]
fn a_call_that_is_held_up_until_an_officer_has_sealed_that_key_is_the_limit() {
    let faults = Faults {
        officer: true,
        ..ALONE
    };
    let rules = Rules::shipped(1, Where::Nowhere, 4, faults);
    breaks("none: a limit", &Rotation(rules), NEVER_ZERO);
}
