//! Sinks against real receivers: rsyslog over TLS, TCP and local sockets, and receivers that are dead, slow, half-open, forgetful, or back
//! after days. Nothing is lost, nothing comes out of order, and nobody waits for them.

mod agent_support;
mod outside_support;
mod record_at_aws;

#[path = "sinks/agent.rs"]
mod agent;
#[path = "sinks/bench.rs"]
mod bench;
#[path = "sinks/drains.rs"]
mod drains;
#[path = "sinks/faults.rs"]
mod faults;
#[path = "sinks/hello.rs"]
mod hello;
#[path = "live_record/people.rs"]
mod people;
#[path = "sinks/rsyslog.rs"]
mod rsyslog;
#[path = "sinks/strict.rs"]
mod strict;
#[path = "sinks/syslog.rs"]
mod syslog;
