//! How long things may take.

use crate::trust::Timestamp;

/// How long custodians have to approve, in seconds.
pub const APPROVE_SECONDS: i64 = 30 * 60;
/// How many requests may wait for approvals at once.
pub const MAX_WAITING: usize = 5;
/// How old a declaration by environment may be, in seconds.
pub const DECLARATION_SECONDS: i64 = 15 * 60;
/// The shortest session that STS gives, in seconds; a shorter time box is kept by the session policy's date.
pub const STS_LEAST_SECONDS: i64 = 900;
/// The steward's session, in seconds: longer than any operator's, so that it can always close.
pub const STEWARD_SECONDS: i64 = 12 * 3600;

/// `DurationSeconds` for a session that must end at `not_after`: STS knows no less than 15 minutes and no more than 12 hours.
///
/// The box itself is kept by a date in the session policy; this only keeps the credentials from outliving it longer than needed.
pub fn sts_seconds(now: Timestamp, not_after: Timestamp) -> i64 {
    now.until(not_after)
        .clamp(STS_LEAST_SECONDS, STEWARD_SECONDS)
}

/// When approvals for a request made at `now` are no longer taken: half an hour, or the end of the box if that comes first.
pub fn approve_before(now: Timestamp, not_after: Timestamp) -> Timestamp {
    now.plus(APPROVE_SECONDS).min(not_after)
}
