//! Named secrets: what closing rotates, how, and what it says where it cannot.

mod support;

#[path = "secrets/closing.rs"]
mod closing;
#[path = "secrets/database.rs"]
mod database;
#[path = "secrets/functions.rs"]
mod functions;
#[path = "secrets/kills.rs"]
mod kills;
#[path = "secrets/owed.rs"]
mod owed;
#[path = "secrets/postgresql.rs"]
mod postgresql;
#[path = "secrets/setters.rs"]
mod setters;
#[path = "secrets/site.rs"]
mod site;
