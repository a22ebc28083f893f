//! Pre-checks: the shipped examples, what a scenario's checks and sinks decide at agent and worker, and the next time box.

#[path = "checks/github.rs"]
mod github;
#[path = "checks/iam_group.rs"]
mod iam_group;
#[path = "checks/pull_request.rs"]
mod pull_request;
#[path = "checks/run.rs"]
mod run;
