//! Tokens that are like no YubiKey of today, and what people are told of the ones that they have: from enrolment to the approval.
//!
//! Needs root and the packages that `twotap_token::Pcscd` names.

#[allow(dead_code, reason = "each test program uses its part")]
#[path = "cli/agent.rs"]
mod agent;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "cli/bench.rs"]
mod bench;
#[path = "independence/custody.rs"]
mod custody;
#[path = "independence/makes.rs"]
mod makes;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "cli/setup.rs"]
mod setup;
