//! How much power a session gets: its policy for one request, what that allows, and whether it was said plainly enough.
//!
//! * [`render`]: the template of an access profile with a request's values filled in; pure and the same to the byte, so that the worker
//!   renders it twice and whoever approves can render it as well;
//! * [`document`]: a policy read into statements, as strictly as AWS reads it;
//! * [`analysis`]: whether it allows wholesale, and whether it hands out power that outlives the session;
//! * [`judge`]: whether a profile may stand in a roster;
//! * [`refusal`]: what AWS says when it refuses; [`allows`]: which profile would have allowed it.
//!
//! # When a profile is judged
//!
//! A profile that allows wholesale has to say `broad = true`, one that hands out lasting power `persistence = true`; its policy has to be
//! one that AWS will take, of a size that leaves room for real values. That is asked whenever somebody is about to *vouch* for a profile: who
//! draws the roster up, each custodian who signs it, the host that takes the next version up; and of a later version only about profiles
//! that are new or changed. It is **not** asked when a signed roster is verified, a host is pinned to it or a vault is opened: a roster
//! that was signed before there was such a rule stays valid, byte for byte, and locks nobody out of an emergency. Then whoever approves
//! sees what the policy amounts to in red, declared or not, and that it was not declared.

pub mod allows;
pub mod analysis;
pub mod document;
mod glob;
pub mod judge;
pub mod refusal;
pub mod render;

pub use analysis::{Power, power};
pub use judge::{Refusal, Why, judge_access, judge_all, judge_change, power_of};
pub use render::for_request;
