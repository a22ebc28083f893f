//! Who may stand in a roster: attestations as a maker issues them, and a forgery of each kind.
//!
//! The chains are made here under a root of the test's own, which the roster names; a genuine YubiKey's chain is verified beside the code.

#[path = "attestation/forgeries.rs"]
mod forgeries;
#[path = "attestation/maker.rs"]
mod maker;
#[path = "attestation/possession.rs"]
mod possession;
#[path = "attestation/rules.rs"]
mod rules;
