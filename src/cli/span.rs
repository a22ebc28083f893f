//! Times and lengths of time as people write and read them.

use crate::{
    protocol::{Code, Problem},
    trust::Timestamp,
};

/// Reads `4h`, `90m`, `1h30m` or `900s`; units once each, from large to small. Answers seconds.
pub(super) fn parse(text: &str) -> Result<u32, Problem> {
    let wrong = || {
        Problem::new(
            Code::Usage,
            format!("'{}' is not a length of time", super::ui::plain(text)),
        )
        .hint("write it like 4h, 90m or 1h30m")
    };
    let mut total: u32 = 0;
    let mut smallest = u32::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 6 {
            return Err(wrong());
        }
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes().get(digits) {
            Some(b'h') => 3600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return Err(wrong()),
        };
        if unit >= smallest {
            return Err(wrong());
        }
        smallest = unit;
        total = number
            .checked_mul(unit)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(wrong)?;
        rest = &rest[digits + 1..];
    }
    if total == 0 { Err(wrong()) } else { Ok(total) }
}

/// `4 h`, `1 h 30 min`, `28 min`, `40 s`: two units at most, rounded down.
pub(super) fn show(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m, s) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) if m < 5 => format!("{m} min {s} s"),
        (0, m, _) => format!("{m} min"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// `2026-01-06 10:00:00 UTC`.
pub(super) fn at(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('T') {
        Some((day, clock)) => format!("{day} {} UTC", clock.trim_end_matches('Z')),
        None => text,
    }
}

/// How far `time` is from `now`: `in 28 min` or `2 min ago`.
pub(super) fn from_now(time: Timestamp, now: Timestamp) -> String {
    match now.until(time) {
        0 => "now".to_owned(),
        ahead @ 1.. => format!("in {}", show(ahead)),
        behind => format!("{} ago", show(-behind)),
    }
}

/// Both: `2026-01-06 10:00:00 UTC (in 28 min)`.
pub(super) fn when(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", at(time), from_now(time, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_strictly() {
        for (text, seconds) in [
            ("4h", 14_400),
            ("90m", 5400),
            ("1h30m", 5400),
            ("900s", 900),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for bad in [
            "", "4", "h", "4d", "4h4h", "30m1h", "-4h", "4 h", "0h", "9999999h", "4h ", "1.5h",
        ] {
            let problem = parse(bad).expect_err(bad);
            assert_eq!(problem.code, Code::Usage, "{bad}");
            assert!(problem.hint.is_some());
        }
    }

    #[test]
    fn lengths_are_shown_in_two_units_at_most() {
        for (seconds, text) in [
            (14_400, "4 h"),
            (5400, "1 h 30 min"),
            (1700, "28 min"),
            (125, "2 min 5 s"),
            (40, "40 s"),
            (-3, "0 s"),
        ] {
            assert_eq!(show(seconds), text);
        }
    }

    #[test]
    fn times_are_shown_in_utc_and_from_now() {
        let time = Timestamp::parse("2026-01-06T10:00:00Z").expect("a time");
        assert_eq!(at(time), "2026-01-06 10:00:00 UTC");
        assert_eq!(from_now(time, time.plus(-1700)), "in 28 min");
        assert_eq!(from_now(time, time.plus(120)), "2 min ago");
    }
}
