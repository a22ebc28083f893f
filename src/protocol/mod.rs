//! The two wires, types only.
//!
//! * [`socket`]: clients and the agent, HTTP/1.1 and JSON over a unix socket;
//! * [`job`]: the agent and a worker, length-prefixed JSON over a socketpair ([`frame`]);
//! * [`live`]: deliveries and sinks, as a live view shows them;
//! * [`people`]: who did what in a request, and the commander's word;
//! * [`recovery`]: a person's program and a worker of its own that makes recovery sheets;
//! * [`readiness`]: drills, checked sheets, and what is known of both;
//! * [`recording`]: what an operator's terminal showed, sealed for the officers, and notes;
//! * [`review`]: what comes after a session: deadlines, findings, what was filed;
//! * [`evidence`]: what becomes of the record itself;
//! * [`secrets`]: what is done to a named secret, the same on both;
//! * [`problem`]: how either says that something went wrong, with the one table of exit codes.

pub mod evidence;
mod facts;
pub mod frame;
mod handed_in;
pub mod job;
pub mod live;
pub mod opening;
pub mod people;
pub mod problem;
pub mod readiness;
pub mod recording;
pub mod recovery;
pub mod review;
pub mod secrets;
pub mod socket;

pub use problem::{Code, Problem};
