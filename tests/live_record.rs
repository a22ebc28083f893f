//! The live record on the agent's host: whoever lays a hand on it is found within seconds, what happened stands in the record, and nothing is
//! lost by it.

mod agent_support;

#[path = "live_record/bench.rs"]
mod bench;
#[path = "live_record/hands.rs"]
mod hands;
#[path = "live_record/people.rs"]
mod people;
#[path = "live_record/policy.rs"]
mod policy;
#[path = "live_record/rotation.rs"]
mod rotation;
