//! Believing a refusal, pure: so many clear refusals in a row, and nothing else adds up to 'revoked'.

use crate::trust::Timestamp;

/// How many refusals in a row make one Region believed.
pub const REFUSALS: u32 = 10;

/// What one probe of a session has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// AWS refused it for want of permission.
    Refused,
    /// It worked.
    Allowed,
    /// It shows nothing: expired, throttled, badly signed, broken.
    Unclear,
}

/// Refusals in a row in one Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The first of them.
    pub since: Timestamp,
    /// How many.
    pub count: u32,
}

impl Run {
    /// The run after one more answer. Anything but a clear refusal ends it: a probe that lies must never add up.
    pub fn after(run: Option<Self>, answer: Answer, at: Timestamp) -> Option<Self> {
        match (answer, run) {
            (Answer::Refused, Some(run)) => Some(Self {
                count: run.count.saturating_add(1),
                ..run
            }),
            (Answer::Refused, None) => Some(Self {
                since: at,
                count: 1,
            }),
            (Answer::Allowed | Answer::Unclear, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_in_a_row_count() {
        let mut run = None;
        let mut saw = |answer, at| {
            run = Run::after(run, answer, Timestamp(at));
            run.map(|r| (r.since.0, r.count))
        };
        assert_eq!(saw(Answer::Refused, 1), Some((1, 1)));
        assert_eq!(saw(Answer::Refused, 2), Some((1, 2)));
        assert_eq!(saw(Answer::Allowed, 3), None);
        assert_eq!(saw(Answer::Refused, 4), Some((4, 1)));
        assert_eq!(saw(Answer::Unclear, 5), None);
        assert_eq!(saw(Answer::Refused, 6), Some((6, 1)));
    }
}
