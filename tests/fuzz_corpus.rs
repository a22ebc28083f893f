//! The fuzz targets with the stable compiler: the committed corpus is replayed, then changed at random for a bounded time.
//!
//! `fuzz/` is where cargo-fuzz runs the same targets for hours. What it finds goes into `fuzz/corpus/TARGET`, and is tried here for ever.

#[path = "fuzz_corpus/mutate.rs"]
mod mutate;

#[path = "../fuzz/targets/bundle.rs"]
mod bundle;
#[path = "../fuzz/targets/mnemonic.rs"]
mod mnemonic;
#[path = "../fuzz/targets/qr_payload.rs"]
mod qr_payload;

#[test]
fn mnemonic() {
    mutate::corpus("mnemonic", mnemonic::run);
}

#[test]
fn qr_payload() {
    mutate::corpus("qr_payload", qr_payload::run);
}

#[test]
fn bundle() {
    mutate::corpus("bundle", bundle::run);
}
