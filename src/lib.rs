//! twotap, a break-glass vault agent.
#![forbid(unsafe_code)]

pub mod agent;
pub mod audit;
pub mod aws;
pub mod ceremony;
pub mod cli;
mod fail;
pub mod protocol;
pub mod token;
pub mod trust;
pub mod vault;
pub mod worker;

/// All three programs wipe what they free: libraries (the AWS SDK's signing, JSON, age's streams) leave copies of secrets in freed memory
/// that no type of ours can reach.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);
