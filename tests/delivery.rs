//! How an operator uses an open session: as variables, at the console, by commands, by a profile; and a crowd that asks for it at once.
//!
//! The agent is real, and so is `twotap`; the worker is a scripted one, because nothing here asks AWS. Real clients: `tests/clients.rs`.

mod agent_support;

#[path = "delivery/bench.rs"]
mod bench;
#[path = "delivery/commands.rs"]
mod commands;
#[path = "delivery/console.rs"]
mod console;
#[path = "delivery/crowd.rs"]
mod crowd;
#[path = "delivery/profile.rs"]
mod profile;
#[path = "delivery/variables.rs"]
mod variables;
