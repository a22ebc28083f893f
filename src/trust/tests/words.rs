use std::time::Instant;

use crate::trust::{
    Digest,
    words::{collision_bound, verification_words},
};

#[test]
fn the_words_are_stable() {
    // Computed with Python's hashlib.scrypt and the word list of PyPI's shamir-mnemonic.
    assert_eq!(
        verification_words(&Digest::of(b"twotap")).expect("words"),
        ["skin", "observe", "spark", "breathe", "emphasis", "theory"]
    );
}

#[test]
fn another_document_has_other_words() {
    let words = |bytes: &[u8]| verification_words(&Digest::of(bytes)).expect("words");
    assert_eq!(words(b"a"), words(b"a"));
    assert_ne!(words(b"a"), words(b"b"));
}

#[test]
fn the_offers_of_half_an_hour_are_too_few_for_two_to_share_their_words() {
    // A host lets five offers wait at once (`ceremony::times::MAX_WAITING`, kept by the worker). Each is a process that reads a vault, asks AWS for
    // the time and signs; give it a hundredth of the time that takes anywhere, one millisecond, and let each make way for the next at once.
    let offers = 5 * 1000 * 30 * 60;
    assert!(
        collision_bound(offers) < 1e-4,
        "{}",
        collision_bound(offers)
    );
    // Who looks for a pair has to stretch every one of them; and a single pair is no chance at all.
    assert!(collision_bound(2) < 1e-18);
    let begun = Instant::now();
    verification_words(&Digest::of(b"the price of one try")).expect("words");
    assert!(
        begun.elapsed().as_millis() >= 10,
        "a try costs next to nothing: {:?}",
        begun.elapsed()
    );
}
