//! Session policies as STS takes them. What they are made of stands in [`crate::trust::power`]: custodians render them too.

pub use crate::trust::power::render::{PolicyError, PolicyVars, deny_all_policy, session_policy};
