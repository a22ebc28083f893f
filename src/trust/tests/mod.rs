//! What must be believed and what must not, one file a subject.

pub(crate) mod people;
pub(crate) mod python;

mod drills;
mod dsse;
mod groups;
mod histories;
mod paper;
mod readers;
mod requests;
mod rosters;
mod seen;
mod terms;
mod types;
mod words;
