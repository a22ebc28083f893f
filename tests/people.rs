//! People: who may be what in one request, whose word counts, and which accounts are somebody's.

mod agent_support;
mod support;

#[path = "people/accounts.rs"]
mod accounts;
#[path = "people/commander.rs"]
mod commander;
#[path = "people/duties.rs"]
mod duties;
#[path = "people/site.rs"]
mod site;
