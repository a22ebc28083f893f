//! `twotap recovery create` and `recovery check` as people use them: sheets made, printed, drawn as pictures, read back and typed.
//!
//! No agent, no network, no state: the programs alone.

#[path = "recovery_sheets/bench.rs"]
mod bench;
#[path = "recovery_sheets/checked.rs"]
mod checked;
#[path = "recovery_sheets/made.rs"]
mod made;
#[path = "recovery_sheets/residue.rs"]
mod residue;
#[path = "recovery_sheets/typed.rs"]
mod typed;
