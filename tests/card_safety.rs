//! What can go wrong between a custodian and the token, at the command line: each has its exit code, says what to do, hands nothing to the
//! agent, costs no PIN try that was not asked for, and leaves the way open for the next try.
//!
//! What the token itself saw is counted on the card. Needs root and the packages that `twotap_token::Pcscd` names.

#[allow(dead_code, reason = "each test program uses its part")]
#[path = "cli/agent.rs"]
mod agent;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "cli/bench.rs"]
mod bench;
#[path = "card_safety/cases.rs"]
mod cases;
#[path = "card_safety/readers.rs"]
mod readers;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "cli/setup.rs"]
mod setup;
