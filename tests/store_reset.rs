//! A store that is older than what others know of it: put back from a backup, or rolled back. It takes back what it can, says what is lost in a
//! signed epoch, and every sink goes on.

mod agent_support;

#[path = "store_reset/agent.rs"]
mod agent;
#[path = "live_record/people.rs"]
mod people;
#[path = "store_reset/seen.rs"]
mod seen;
#[path = "store_reset/sinks.rs"]
mod sinks;
