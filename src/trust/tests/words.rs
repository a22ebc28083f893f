use crate::trust::{Digest, words::verification_words};

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
