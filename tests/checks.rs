//! What happens before custodians are asked: the programs that look at a request, the shipped ones among them, and the sinks that have to
//! hold it.

mod agent_support;

#[path = "checks/asked.rs"]
mod asked;
#[path = "checks/github.rs"]
mod github;
#[path = "checks/held.rs"]
mod held;
#[path = "checks/iam_group.rs"]
mod iam_group;
#[path = "checks/pull_request.rs"]
mod pull_request;
#[path = "checks/run.rs"]
mod run;
