//! twotap, a break-glass vault agent.
#![forbid(unsafe_code)]

pub mod agent;
pub mod audit;
pub mod aws;
pub mod ceremony;
pub mod cli;
pub mod protocol;
pub mod token;
pub mod trust;
pub mod vault;
pub mod worker;
