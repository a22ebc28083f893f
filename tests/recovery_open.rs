//! `vault export` and `recovery open`: a bundle leaves an agent, and opens without one, by paper and by tokens, with our tools and with
//! everybody else's.

#[path = "support/mod.rs"]
mod support;

#[path = "recovery_open/bench.rs"]
mod bench;
#[path = "recovery_open/golden.rs"]
mod golden;
#[path = "recovery_open/paper.rs"]
mod paper;
#[path = "recovery_open/refusals.rs"]
mod refusals;
#[path = "recovery_open/residue.rs"]
mod residue;
#[path = "recovery_open/stock.rs"]
mod stock;
#[path = "recovery_open/tokens.rs"]
mod tokens;
