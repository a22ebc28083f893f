//! The program `twotap` as people use it: real tokens behind the real pcscd, a stand-in for the agent at the wire.
//!
//! Needs root, so that people can be different accounts, and the packages that `twotap_token::Pcscd` names.

#[path = "cli/agent.rs"]
mod agent;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/ceremony.rs"]
mod ceremony;
#[path = "cli/papers.rs"]
mod papers;
#[path = "cli/power.rs"]
mod power;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/screens.rs"]
mod screens;
#[path = "cli/setup.rs"]
mod setup;
#[path = "screens/snapshot.rs"]
mod snapshot;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "screens/tmux.rs"]
mod tmux;
