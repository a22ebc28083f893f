//! What must be refused, test by test: votes, forged and old documents, changed bytes, hostile text, a full disk, a cut record.
//!
//! Most of it meets the worker over its own wire, with custodians in software; what people see meets `twotap` itself, with real
//! tokens behind the real pcscd. Needs root, and the packages that `twotap_token::Pcscd` names.

#[allow(dead_code, reason = "shared with the command line's own tests")]
#[path = "cli/agent.rs"]
mod agent;
#[allow(dead_code, reason = "shared with the command line's own tests")]
#[path = "cli/bench.rs"]
mod bench;
#[path = "refusals/bytes.rs"]
mod bytes;
#[path = "refusals/custodian.rs"]
mod custodian;
#[path = "refusals/disk.rs"]
mod disk;
#[path = "refusals/operator.rs"]
mod operator;
#[path = "refusals/papers.rs"]
mod papers;
#[path = "refusals/record.rs"]
mod record;
#[allow(dead_code, reason = "shared with the command line's own tests")]
#[path = "cli/setup.rs"]
mod setup;
#[path = "refusals/site.rs"]
mod site;
mod support;
#[path = "refusals/text.rs"]
mod text;
#[path = "refusals/votes.rs"]
mod votes;
