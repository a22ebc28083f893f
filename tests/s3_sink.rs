//! The record in S3 with Object Lock: written once, locked, read back, and caught up with whatever the wire does.

mod record_at_aws;

#[path = "s3_sink/faults.rs"]
mod faults;
#[path = "s3_sink/histories.rs"]
mod histories;
#[path = "s3_sink/many.rs"]
mod many;
#[path = "agent_support/paper.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part"
)]
mod paper;
#[path = "s3_sink/start.rs"]
mod start;
#[path = "s3_sink/verify.rs"]
mod verify;
#[path = "s3_sink/writing.rs"]
mod writing;
