//! What an operator declares, from the first question to the session: each refusal at the worker as well as at the command line, so that
//! neither a careless program nor a crooked agent gets around a scenario.
//!
//! The worker is met over its own wire, with custodians in software and an AWS that enforces; the command line meets a stand-in for the agent.
//! Needs root, so that people can be different accounts.

#[allow(dead_code, reason = "shared with the command line's own tests")]
#[path = "cli/agent.rs"]
mod agent;
#[allow(dead_code, reason = "shared with the command line's own tests")]
#[path = "cli/bench.rs"]
mod bench;
#[path = "declaring/desk.rs"]
mod desk;
#[path = "declaring/operator.rs"]
mod operator;
#[path = "declaring/paper.rs"]
mod paper;
mod support;
#[path = "declaring/terminal.rs"]
mod terminal;
#[path = "declaring/worker.rs"]
mod worker;
