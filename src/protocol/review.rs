//! What comes after a session: its deadlines, an officer's review, what was filed, and every access of a quarter.

use serde::{Deserialize, Serialize};

use super::people::Commander;
use crate::{
    ceremony::Stage,
    trust::{Day, Digest, Timestamp, TrustError, request::Purpose, text::check_text},
};

/// How long after the end of a session all that it touched has to be rotated, in seconds.
pub const ROTATION_SECONDS: i64 = 3600;
/// How long after it the formal report is to be handed in, in seconds.
pub const REPORT_SECONDS: i64 = 24 * 3600;
/// How long after it the change board is to have it, in seconds.
pub const BOARD_SECONDS: i64 = 7 * 24 * 3600;
/// The largest findings, in bytes.
pub const MAX_FINDINGS: usize = 32 * 1024;
/// The longest single answer in them, in bytes.
const MAX_ANSWER: usize = 4096;
/// The most deviations or lessons.
const MOST: usize = 64;

/// What is to follow a session that is over, and what has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewView {
    /// When the session was over.
    pub closed: Timestamp,
    /// By when an officer is to have reviewed it.
    pub due: Timestamp,
    /// Since when the record says that nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<Timestamp>,
    /// The review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<ReviewSigned>,
    /// What was filed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filed: Vec<Filed>,
}

impl ReviewView {
    /// The newest of what was filed with somebody.
    pub fn filed_with(&self, with: With) -> Option<&Filed> {
        self.filed.iter().rev().find(|filed| filed.with == with)
    }
}

/// A review, in short; its findings stand in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewSigned {
    /// The officer.
    pub by: String,
    /// The account from which it came.
    pub who: String,
    /// When.
    pub at: Timestamp,
    /// SHA-256 of the findings' file, byte for byte.
    pub findings_sha256: Digest,
    /// Whether the access was authorised.
    pub authorised: bool,
    /// Whether every action is accounted for.
    pub accounted: bool,
    /// Whether it could have been resolved without.
    pub avoidable: bool,
    /// How many deviations from the procedure were found.
    pub deviations: usize,
}

/// A session that is over and not reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewOpen {
    /// The request.
    pub request: String,
    /// Its vault.
    pub vault: String,
    /// Its incident.
    pub incident: String,
    /// Who acted.
    pub operator: String,
    /// When the session was over.
    pub closed: Timestamp,
    /// By when it is to be reviewed.
    pub due: Timestamp,
    /// Whether that is past.
    pub overdue: bool,
}

/// An officer hands in a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewIn {
    /// The findings' file, byte for byte.
    pub findings: String,
}

/// What a review found. Written as TOML; the file's bytes are what is put on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// Was the access authorised, and by whom is that confirmed?
    pub authorised: Answer,
    /// Is every action accounted for, and by which logs or recordings?
    pub accounted: Answer,
    /// Could it have been resolved without break-glass access?
    pub avoidable: Answer,
    /// Where the procedure was not followed; empty where it was.
    pub deviations: Vec<String>,
    /// What is to be done differently, the runbook included.
    pub lessons: Vec<String>,
}

/// A yes or no, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The answer.
    pub yes: bool,
    /// What it rests on.
    pub because: String,
}

impl Findings {
    /// Reads a findings' file.
    ///
    /// # Errors
    /// Says which answer is missing, empty, too long, or has characters that hide something.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_FINDINGS {
            return Err(format!(
                "they have {} bytes, at most {MAX_FINDINGS} are taken",
                text.len()
            ));
        }
        let findings: Self = toml::from_str(text).map_err(|why| why.message().to_owned())?;
        findings.check().map_err(|why| why.to_string())?;
        Ok(findings)
    }

    fn check(&self) -> Result<(), TrustError> {
        for (what, answer) in [
            ("authorised", &self.authorised),
            ("accounted", &self.accounted),
            ("avoidable", &self.avoidable),
        ] {
            check_lines(what, &answer.because)?;
        }
        for (what, list) in [("deviations", &self.deviations), ("lessons", &self.lessons)] {
            if list.len() > MOST {
                return Err(TrustError::malformed(what, "there are more than 64"));
            }
            for text in list {
                check_lines(what, text)?;
            }
        }
        Ok(())
    }
}

/// Free text of one or more lines, each of which is plain.
fn check_lines(what: &'static str, text: &str) -> Result<(), TrustError> {
    if text.trim().is_empty() {
        return Err(TrustError::malformed(what, "it says nothing"));
    }
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        check_text(what, line, MAX_ANSWER)?;
    }
    Ok(())
}

/// Says that the report was handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filing {
    /// With whom.
    pub with: With,
    /// Under which reference: a ticket, a document, the minutes.
    pub reference: String,
    /// SHA-256 of the report as it was handed in.
    pub sha256: Digest,
}

/// With whom a report is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum With {
    /// Whoever keeps reports of incidents.
    Report,
    /// The change board.
    Board,
}

impl With {
    /// How long after the end of the session it is due, in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Report => REPORT_SECONDS,
            Self::Board => BOARD_SECONDS,
        }
    }

    /// The word in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Board => "board",
        }
    }
}

/// A report that was filed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filed {
    /// With whom.
    pub with: With,
    /// Under which reference.
    pub reference: String,
    /// SHA-256 of the report as it was handed in.
    pub sha256: Digest,
    /// By whom.
    pub by: String,
    /// The account from which it came.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// One request in an access review: whatever became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessRow {
    /// Its id.
    pub request: String,
    /// Its vault.
    pub vault: String,
    /// Its incident.
    pub incident: String,
    /// Why it was asked for.
    pub reason: String,
    /// Who asked, and acted.
    pub operator: String,
    /// Who authorised it, and whether that is more than the operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commander: Option<Commander>,
    /// The scenario that it named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Whom or what it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The request whose session it continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// What for: a session, a drill, a roster, to close.
    #[serde(default, skip_serializing_if = "Purpose::is_open")]
    pub purpose: Purpose,
    /// The access profile.
    pub access: String,
    /// The roles, as ARNs.
    pub roles: Vec<String>,
    /// Who approved.
    pub approved_by: Vec<String>,
    /// Who said no.
    pub denied_by: Vec<String>,
    /// Where it stands.
    pub stage: Stage,
    /// How it ended, in plain words.
    pub outcome: Option<String>,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When the first session was open; absent where none ever was.
    pub opened: Option<Timestamp>,
    /// When it was over.
    pub closed: Option<Timestamp>,
    /// What followed; absent where no session was, or while it is not over.
    pub review: Option<ReviewView>,
}

impl AccessRow {
    /// How long access was open, in seconds; to `now` where it still is.
    pub fn seconds(&self, now: Timestamp) -> Option<i64> {
        let opened = self.opened?;
        Some(opened.until(self.closed.unwrap_or(now)).max(0))
    }
}

/// A quarter of a year, UTC: `2026Q4` and no other form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarter {
    year: u16,
    number: u8,
}

impl Quarter {
    /// Reads `YYYYQN` strictly.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, number) = text.split_once('Q')?;
        let digits = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        let number = match number {
            "1" => 1,
            "2" => 2,
            "3" => 3,
            "4" => 4,
            _ => return None,
        };
        let year = year.parse().ok().filter(|year| digits && *year >= 1970)?;
        Some(Self { year, number })
    }

    /// Its first day.
    pub fn first(self) -> Option<Day> {
        Day::parse(&format!("{:04}-{:02}-01", self.year, self.number * 3 - 2))
    }

    /// The first day of the next.
    pub fn end(self) -> Option<Day> {
        let next = match self.number {
            4 => Self {
                year: self.year.checked_add(1)?,
                number: 1,
            },
            n => Self {
                year: self.year,
                number: n + 1,
            },
        };
        next.first()
    }
}

impl std::fmt::Display for Quarter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}Q{}", self.year, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINDINGS: &str = r#"
deviations = []
lessons = ["write the failover down\nand try it quarterly"]

[authorised]
yes = true
because = "ivan confirmed it on the call"

[accounted]
yes = true
because = "CloudTrail, 14 calls"

[avoidable]
yes = false
because = "sign-in was down"
"#;

    #[test]
    fn findings_answer_all_five_questions_and_hide_nothing() {
        let findings = Findings::parse(FINDINGS).expect("complete");
        assert!(findings.authorised.yes && !findings.avoidable.yes);
        assert_eq!(findings.lessons.len(), 1);
        for (from, to) in [
            ("deviations = []", ""),
            ("lessons", "lesson"),
            ("because = \"sign-in was down\"", ""),
            ("\"sign-in was down\"", "\"  \""),
            ("sign-in", "sign\\u202ein"),
            ("yes = false", "yes = \"no\""),
            ("[authorised]", "[authorized]"),
        ] {
            let changed = FINDINGS.replacen(from, to, 1);
            assert_ne!(changed, FINDINGS);
            assert!(Findings::parse(&changed).is_err(), "{from} -> {to}");
        }
        let long = FINDINGS.replace("sign-in", &"x".repeat(MAX_ANSWER + 1));
        assert!(Findings::parse(&long).is_err());
        let many = format!("{FINDINGS}\n#{}", "x".repeat(MAX_FINDINGS));
        assert!(
            Findings::parse(&many)
                .expect_err("refused")
                .contains("at most")
        );
    }

    #[test]
    fn a_quarter_has_one_spelling_and_its_days_follow_one_another() {
        let quarter = Quarter::parse("2026Q4").expect("valid");
        assert_eq!(quarter.to_string(), "2026Q4");
        assert_eq!(quarter.first(), Day::parse("2026-10-01"));
        assert_eq!(quarter.end(), Day::parse("2027-01-01"));
        let second = Quarter::parse("2026Q2").expect("valid");
        assert_eq!(second.first(), Day::parse("2026-04-01"));
        assert_eq!(
            second.end(),
            Quarter::parse("2026Q3").and_then(Quarter::first)
        );
        for bad in [
            "2026Q0", "2026Q5", "2026q4", "26Q4", "2026-Q4", "+026Q1", "2026Q04", "1969Q4", "",
        ] {
            assert_eq!(Quarter::parse(bad), None, "{bad}");
        }
    }
}
