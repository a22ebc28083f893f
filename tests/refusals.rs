//! What must be refused, test by test: votes, forged and old documents, changed bytes, hostile text, a full disk, a cut record.
//!
//! Most of it meets the worker over its own wire, with custodians in software; what people see meets `twotap` itself, with real
//! tokens behind the real pcscd. Needs root, and the packages that `twotap_token::Pcscd` names.

#[path = "refusals/bytes.rs"]
mod bytes;
#[path = "refusals/disk.rs"]
mod disk;
#[path = "refusals/papers.rs"]
mod papers;
mod support;
#[path = "refusals/text.rs"]
mod text;
#[path = "refusals/votes.rs"]
mod votes;
