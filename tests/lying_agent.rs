//! An agent that lies, in each thing that it carries: to the worker (spoken to over its own wire), and to the people (an agent's stand-in that
//! changes what it hands on). It can hold things up; it cannot open, widen or redirect anything.

#[path = "cli/agent.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod agent;
#[path = "cli/bench.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod bench;
#[path = "cli/setup.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod setup;
mod support;

#[path = "lying_agent/to_people.rs"]
mod to_people;
#[path = "lying_agent/to_worker.rs"]
mod to_worker;
