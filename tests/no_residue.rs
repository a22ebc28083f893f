//! Promise 3: no residue. What a process does not need any more does not stand in its memory, and never in a file or an argument.
//!
//! Everything runs with its logging at the highest level. The scan reads all memory that a process can write, its stacks included, for
//! every 16-byte fragment of every secret in eight forms (`tests/rig/src/memory.rs`); it needs root, and fails without it.

#[path = "no_residue/ceremony.rs"]
mod ceremony;
#[path = "no_residue/controls.rs"]
mod controls;
#[path = "no_residue/known.rs"]
mod known;
#[path = "no_residue/ledger.rs"]
mod ledger;
#[path = "no_residue/terminal.rs"]
mod terminal;
#[path = "no_residue/walls.rs"]
mod walls;
