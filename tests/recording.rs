//! What an operator's terminal shows is kept before it is seen, sealed for the officers, whatever happens to the program that shows it.
//!
//! The real `twotapd` and the real `twotap`, people at accounts and terminals of their own; the worker stands at the wire.

#[path = "agent_support/mod.rs"]
mod agent_support;
#[path = "recording/bench.rs"]
mod bench;
#[path = "recording/broken.rs"]
mod broken;
#[path = "recording/notes.rs"]
mod notes;
#[path = "recording/shell.rs"]
mod shell;
#[path = "recording/wire.rs"]
mod wire;
