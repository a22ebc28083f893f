//! The record: what happened, in an order that nobody can change unseen.
//!
//! | file | job |
//! | --- | --- |
//! | [`event`] | the catalogue of events and the one line that each becomes |
//! | [`schema`] | the catalogue as a JSON Schema and as a table |
//! | [`chain`] | the hash chain over those lines, and which line is bad when it breaks |
//! | [`store`] | state and events in one SQLite transaction |
//! | [`fingerprint`] | keyed fingerprints in the place of tokens and subjects |
//! | [`note`], [`checkpoint`] | signed statements 'the record stood at seq N with hash H' |
//! | [`hosts`] | whose record a checkpoint counts for |
//! | [`folder`] | the files in which a record travels: lines, checkpoint, envelopes |
//! | [`shapes`] | the shapes in which an event leaves for other systems |
//! | [`export`], [`sinks`] | from the store to a folder, once or for ever |
//! | [`epoch`] | what a store that was put back from a backup says was lost, and what it takes back |
//! | [`live`] | whether somebody laid a hand on the files and the store of this host |
//! | [`alert`] | what people are told of: who, where, what, what next |
//! | [`reconcile`] | CloudTrail against the record: every use accounted for |
//! | [`verify`] | what a folder proves, with public keys alone |
//! | [`signed`] | the same with rosters: who signed each envelope, and whether it belongs to its line |
//! | `files` | files that are private, secret, or written in one move |
//!
//! Of the ground floor it uses two neighbours: [`signed`] reads rosters and envelopes by `trust`, and the sinks in AWS and a pepper in
//! Secrets Manager go through `aws`. Neither of them knows this module.

pub mod alert;
pub mod chain;
pub mod checkpoint;
pub mod epoch;
pub mod event;
pub mod export;
mod files;
pub mod fingerprint;
pub mod folder;
pub mod hosts;
pub mod live;
pub mod note;
pub mod reconcile;
pub mod schema;
pub mod shapes;
pub mod signed;
pub mod sinks;
pub mod store;
pub mod verify;

#[cfg(test)]
mod samples;
