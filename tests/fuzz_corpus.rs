//! The fuzz targets with the stable compiler: the committed corpus is replayed, then changed at random for a bounded time.
//!
//! `fuzz/` is where cargo-fuzz runs the same targets for hours. What it finds goes into `fuzz/corpus/TARGET`, and is tried here for ever.

#![allow(
    unreachable_pub,
    reason = "cargo-fuzz takes the targets from a crate of their own"
)]

#[path = "fuzz_corpus/make.rs"]
mod make;
#[path = "fuzz_corpus/mutate.rs"]
mod mutate;

#[path = "../fuzz/targets/approval.rs"]
mod approval;
#[path = "../fuzz/targets/attestation.rs"]
mod attestation;
#[path = "../fuzz/targets/bundle.rs"]
mod bundle;
#[path = "../fuzz/targets/enrollment.rs"]
mod enrollment;
#[path = "../fuzz/targets/envelope.rs"]
mod envelope;
#[path = "../fuzz/targets/mnemonic.rs"]
mod mnemonic;
#[path = "../fuzz/targets/qr_payload.rs"]
mod qr_payload;
#[path = "../fuzz/targets/roster.rs"]
mod roster;

#[test]
fn mnemonic() {
    mutate::corpus("mnemonic", mnemonic::run);
}

#[test]
fn qr_payload() {
    mutate::corpus("qr_payload", qr_payload::run);
}

#[test]
fn approval() {
    mutate::corpus("approval", approval::run);
}

#[test]
fn attestation() {
    mutate::corpus("attestation", attestation::run);
}

#[test]
fn enrollment() {
    mutate::corpus("enrollment", enrollment::run);
}

#[test]
fn envelope() {
    mutate::corpus("envelope", envelope::run);
}

#[test]
fn roster() {
    mutate::corpus("roster", roster::run);
}

#[test]
fn bundle() {
    mutate::corpus("bundle", bundle::run);
}
