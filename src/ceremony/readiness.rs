//! How sure one may be that a vault would open when it has to: what was shown, how long ago, and what the roster can lose.
//!
//! Nothing of this refuses anything. A proof is stale once it is older than its limit; what was never shown counts from when it could have
//! been.

use crate::trust::{
    Timestamp,
    roster::{Roster, Token},
};

/// A day, in seconds.
pub const DAY: i64 = 24 * 3600;

/// After how long a proof is stale, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A custodian's drill or approval.
    pub drill: i64,
    /// A whole ceremony as a drill.
    pub full_drill: i64,
    /// A look at a printed recovery share.
    pub sheet: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drill: 90 * DAY,
            full_drill: 180 * DAY,
            sheet: 365 * DAY,
        }
    }
}

/// When something was shown last, and since when it could have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Since when it could have been.
    pub since: Timestamp,
    /// When it was.
    pub last: Option<Timestamp>,
}

impl Shown {
    /// Whether it is older than `limit` seconds. A clock that was set back makes nothing stale.
    pub fn is_stale(self, limit: i64, now: Timestamp) -> bool {
        self.last.unwrap_or(self.since).until(now) > limit
    }
}

/// A custodian's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custodian {
    /// Whose.
    pub name: String,
    /// When it was shown to open.
    pub opens: Shown,
    /// When a drill failed last, if none has passed since.
    pub failed: Option<Timestamp>,
}

/// All that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Each custodian.
    pub custodians: Vec<Custodian>,
    /// The last whole ceremony as a drill.
    pub full_drill: Shown,
    /// The last look at a sheet of the set that the roster names; `None` where it names none.
    pub sheets: Option<Shown>,
}

/// A reason to be less sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its name, the same as long as it lasts, e.g. `custodian alice`.
    pub name: String,
    /// In plain words.
    pub why: String,
}

/// Every reason, each once.
pub fn causes(facts: &Facts, limits: &Limits, now: Timestamp) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut stale = |name: String, (was, never): (&str, &str), shown: Shown, limit: i64| {
        if !shown.is_stale(limit, now) {
            return;
        }
        let days = |since: Timestamp| since.until(now) / DAY;
        let said = match shown.last {
            Some(last) => format!("{was} {} days ago", days(last)),
            None => format!("{never} in {} days", days(shown.since)),
        };
        let why = format!("{said}; {} are allowed", limit / DAY);
        causes.push(Cause { name, why });
    };
    for custodian in &facts.custodians {
        let name = &custodian.name;
        let was = format!("{name}'s share was last shown to open");
        let never = format!("{name}'s share was not shown to open");
        let cause = format!("custodian {name}");
        stale(cause, (&was, &never), custodian.opens, limits.drill);
    }
    let said = ("the last full drill passed", "no full drill has passed");
    stale(
        "full drill".to_owned(),
        said,
        facts.full_drill,
        limits.full_drill,
    );
    if let Some(sheets) = facts.sheets {
        let said = (
            "a recovery sheet was last read",
            "no recovery sheet was read",
        );
        stale("recovery sheets".to_owned(), said, sheets, limits.sheet);
    }
    for custodian in &facts.custodians {
        if custodian.failed.is_some() {
            causes.push(Cause {
                name: format!("drill of {}", custodian.name),
                why: format!("{}'s last drill failed", custodian.name),
            });
        }
    }
    causes
}

/// How many people who hold a token there are beyond the threshold.
pub fn spare(roster: &Roster) -> usize {
    holders(roster, |_| true).saturating_sub(usize::from(roster.threshold))
}

/// Whether a quorum is left whichever one token is lost.
pub fn survives_loss_of_one(roster: &Roster) -> bool {
    let left = |lost: &Token| holders(roster, |token| token.serial != lost.serial);
    let needed = usize::from(roster.threshold);
    !roster.tokens.is_empty() && roster.tokens.iter().all(|lost| left(lost) >= needed)
}

/// Custodians with a token of those that count.
fn holders(roster: &Roster, counts: impl Fn(&Token) -> bool) -> usize {
    let holds = |name: &str| roster.tokens_of(name).any(&counts);
    roster.custodians().filter(|p| holds(&p.name)).count()
}

#[cfg(test)]
mod tests;
