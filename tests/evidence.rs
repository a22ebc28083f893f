//! Sinks that lag: required ones hold a request before custodians are asked, the others delay nothing and are shown wherever somebody relies on
//! the record, until they have caught up.

mod agent_support;

#[path = "evidence/bench.rs"]
mod bench;
#[path = "evidence/degraded.rs"]
mod degraded;
#[path = "live_record/people.rs"]
mod people;
#[path = "evidence/required.rs"]
mod required;
