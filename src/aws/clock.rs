//! The clock that signs requests: the host's, put right by AWS's own `Date` where they are far apart.
//!
//! A host whose clock is wrong would otherwise be locked out at the one moment that counts: AWS refuses
//! signatures that are more than 5 minutes off.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// A skew below this is left alone: `Date` has whole seconds and the answer took time to come.
const TOLERATED_SECONDS: i64 = 60;

/// `Date` as servers write it today, e.g. `Sun, 22 Nov 2026 06:04:06 GMT` (RFC 9110 section 5.6.7).
const HTTP_DATE: &[FormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// AWS's time out of a `Date` header.
pub(crate) fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    time::PrimitiveDateTime::parse(text, HTTP_DATE)
        .ok()
        .map(time::PrimitiveDateTime::assume_utc)
}

/// AWS's clock minus ours, as last seen, in seconds. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Takes note of AWS's time, seen just now.
    pub(crate) fn note(&self, aws: OffsetDateTime) {
        let skew = aws.unix_timestamp() - unix_seconds(SystemTime::now());
        self.0.store(skew, Ordering::Relaxed);
    }

    /// The correction in use, in seconds; 0 when the clocks agree well enough.
    pub(crate) fn correction(&self) -> i64 {
        let skew = self.0.load(Ordering::Relaxed);
        if skew.abs() < TOLERATED_SECONDS {
            0
        } else {
            skew
        }
    }

    /// Whether a signature made under the correction `then` was so far off that trying again can help.
    pub(crate) fn moved_since(&self, then: i64) -> bool {
        (self.correction() - then).abs() >= TOLERATED_SECONDS
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let correction = self.correction();
        let amount = Duration::from_secs(correction.unsigned_abs());
        let now = SystemTime::now();
        let corrected = if correction < 0 {
            now.checked_sub(amount)
        } else {
            now.checked_add(amount)
        };
        corrected.unwrap_or(now)
    }
}

fn unix_seconds(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn reads_the_date_header() {
        assert_eq!(
            parse_http_date("Sun, 22 Nov 2026 06:04:06 GMT"),
            Some(datetime!(2026-11-22 06:04:06 UTC))
        );
        for bad in [
            "",
            "yesterday",
            "Sun, 22 Nov 2026 06:04:06 CET",
            "Sun, 31 Feb 2026 06:04:06 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_small_skew_is_left_alone_and_a_large_one_is_put_right() {
        let clock = Clock::default();
        clock.note(OffsetDateTime::now_utc() + time::Duration::seconds(20));
        assert_eq!(clock.correction(), 0);
        for hours in [-9, 9] {
            let aws = OffsetDateTime::now_utc() + time::Duration::hours(hours);
            clock.note(aws);
            assert!(clock.moved_since(0));
            let off = (OffsetDateTime::from(clock.now()) - aws)
                .whole_seconds()
                .abs();
            assert!(off <= 2, "{off}");
        }
    }
}
