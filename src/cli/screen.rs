//! What a person reads before deciding: rendered from the bytes that are signed, and from nothing else.
//!
//! Free text comes first and the dangerous fields last, so that no text can push them off the screen or pretend to be one of them. Text
//! that could move the cursor or reorder what is read was refused when the request was parsed.

pub(super) mod danger;

use crate::{
    protocol::{Code, Problem},
    trust::{
        Digest, Envelope, Timestamp,
        request::{CheckResult, Clock, Purpose, Request},
        roster::Access,
        words::{COUNT, verification_words},
    },
};

use super::{checked::Checked, people, roster::what_changes, span, ui::Ui};

/// How wide a terminal is taken to be, in columns.
const WIDTH: usize = 80;
/// As many columns a value has at least.
const MIN_ROOM: usize = 24;

/// A request that was checked, with what it would change about the roster and who its people are.
pub(super) fn in_full(checked: &Checked, now: Timestamp) -> String {
    let roster = &checked.roster;
    let quorum = roster.quorum_in_words();
    let mut text = request(checked.request(), checked.host(), &quorum, now);
    if let Some(next) = &checked.next {
        text.push_str(&what_changes(roster, next));
    }
    text.push_str(&people::about(checked.request(), roster));
    text
}

/// The request in plain words.
fn request(request: &Request, host: &str, quorum: &str, now: Timestamp) -> String {
    let clock = match request.clock {
        Clock::Aws => "AWS's clock",
        Clock::Host => "the host's own clock, AWS could not be asked",
    };
    let mut rows = vec![
        ("reason", request.reason.clone()),
        ("incident", request.incident.clone()),
        (
            "authorised by",
            match &request.commander_claimed {
                Some(name) => format!("{name}, says {}", request.operator),
                None => "nobody named".to_owned(),
            },
        ),
    ];
    rows.extend(checks(request).into_iter().map(|check| ("check", check)));
    rows.extend([
        (
            "asked",
            format!("{} ({clock})", span::at(request.not_before)),
        ),
        ("approve until", span::when(request.approve_before, now)),
        ("host", host.to_owned()),
        (
            "sealed",
            format!("vault {}, generation {}", request.vault, request.generation),
        ),
        ("record", format!("event {}", request.audit.seq)),
        ("needs", quorum.to_owned()),
    ]);
    match &request.purpose {
        Purpose::Open => opens(request, &mut rows),
        Purpose::Drill => rehearses(request, &mut rows),
        Purpose::CloseOnly { requests } => closes(request, requests, &mut rows),
        Purpose::Roster { version, .. } => takes_up(request, *version, &mut rows),
    }
    format!(
        "\nrequest {} for vault {}\n\n{}",
        request.id,
        request.vault,
        folded(&rows)
    )
}

/// What each check came to, one line each. A failed one can be an advisory one alone: with another the request is none.
pub(super) fn checks(request: &Request) -> Vec<String> {
    let shown = |check: &CheckResult| {
        let came_to = match (check.passed, check.required) {
            (true, _) => "passed",
            (false, true) => "FAILED",
            (false, false) => "FAILED (advisory)",
        };
        let colon = if check.output.is_empty() { "" } else { ": " };
        format!("{} {came_to}{colon}{}", check.name, check.output)
    };
    request.checks.iter().map(shown).collect()
}

/// What is said in bad checks' place beside the dangerous fields, so that no long output hides it.
fn failed(request: &Request) -> Option<String> {
    let names: Vec<&str> = request
        .checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| check.name.as_str())
        .collect();
    let of = request.checks.len();
    (!names.is_empty()).then(|| format!("{} of {of} FAILED: {}", names.len(), names.join(", ")))
}

/// Rows of which no value reaches into the next line's first column on 80 columns, whatever it says: what is broken there by the terminal
/// could look like a field of its own.
fn folded(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let room = WIDTH.saturating_sub(width + 4).max(MIN_ROOM);
    let mut text = String::new();
    for (name, value) in rows {
        let mut name = *name;
        // A digest is compared as one.
        let lines = match name {
            "policy" => vec![value.clone()],
            _ => fold(value, room),
        };
        for line in lines {
            text.push_str(&format!("  {name:<width$}  {line}\n"));
            name = "";
        }
    }
    text
}

/// A value in lines of at most `room` columns, broken at spaces. A long word of ASCII is left whole: an ARN or a digest is copied as one, and
/// without a space it looks like no field. Other letters may be two columns wide, or a space of their own.
fn fold(value: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut has = 0;
    let columns =
        |word: &str| -> usize { word.chars().map(|c| 1 + usize::from(!c.is_ascii())).sum() };
    for word in value.split(' ').flat_map(|word| pieces(word, room / 2)) {
        let long = columns(word);
        let fits = has + 1 + long <= room;
        if has > 0 && !fits {
            lines.push(String::new());
            has = 0;
        }
        if let Some(line) = lines.last_mut() {
            if has > 0 {
                line.push(' ');
                has += 1;
            }
            line.push_str(word);
            has += long;
        }
    }
    lines
}

/// A word that may stand whole, or pieces of it.
fn pieces(word: &str, letters: usize) -> Vec<&str> {
    if word.is_ascii() {
        return vec![word];
    }
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((at, _)) = rest.char_indices().nth(letters) {
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// A session: what may be done with it, where, and for how long.
fn opens(request: &Request, rows: &mut Vec<(&'static str, String)>) {
    let length = request.not_before.until(request.not_after);
    rows.push(("Regions", request.regions.join(", ")));
    rows.push(("policy", format!("sha256 {}", request.policy_sha256)));
    for secret in &request.secrets {
        rows.push(("closing rotates", secret.clone()));
    }
    if !request.confirmed.is_empty() {
        let names: Vec<&str> = request.confirmed.iter().map(|b| b.name()).collect();
        let confirmed = format!("{}, says {}", names.join(", "), request.operator);
        rows.push(("it is not", confirmed));
    }
    rows.extend(request.follows.clone().map(|id| ("continues", id)));
    rows.extend(failed(request).map(|failed| ("checks", failed)));
    rows.push(("operator", request.operator.clone()));
    rows.extend(request.scenario.clone().map(|name| ("scenario", name)));
    rows.extend(request.subject.clone().map(|subject| ("subject", subject)));
    rows.push(("access", request.access.clone()));
    rows.push(("account", request.account.clone()));
    rows.push(("role", request.role.clone()));
    for (n, target) in request.also.iter().enumerate() {
        let which = format!(
            "{} of {}: {}",
            n + 2,
            request.also.len() + 1,
            target.account
        );
        rows.push(("also account", which));
        rows.push(("also role", target.role_arn.clone()));
    }
    rows.push((
        "access ends",
        format!(
            "{}, {} after it was asked",
            span::at(request.not_after),
            span::show(length)
        ),
    ));
}

/// A drill: where a session is tried, and that nobody gets it.
fn rehearses(request: &Request, rows: &mut Vec<(&'static str, String)>) {
    rows.push(("asked by", request.operator.clone()));
    rows.push(("access", request.access.clone()));
    rows.push(("tried in", request.role.clone()));
    for target in &request.also {
        rows.push(("and in", target.role_arn.clone()));
    }
    rows.push((
        "opens",
        "NO SESSION: what is minted is refused everything and dropped".to_owned(),
    ));
    rows.push((
        "rotates",
        "the sealed key, for real: it is replaced as after any ceremony".to_owned(),
    ));
    rows.push(("THIS IS A DRILL", "nothing is on fire".to_owned()));
}

/// No session: what is closed, and by whom in AWS.
fn closes(request: &Request, requests: &[String], rows: &mut Vec<(&'static str, String)>) {
    rows.push(("asked by", request.operator.clone()));
    rows.push(("closed by", request.role.clone()));
    for target in &request.also {
        rows.push(("and by", target.role_arn.clone()));
    }
    for secret in &request.secrets {
        rows.push(("rotates", secret.clone()));
    }
    let what = match requests.is_empty() {
        true => "no earlier session; the sealed key alone is replaced".to_owned(),
        false => requests.join(", "),
    };
    rows.push(("closes", what));
    rows.push((
        "opens",
        "NO SESSION: nobody gets any access by this".to_owned(),
    ));
}

/// What it changes follows below, computed from the two versions.
fn takes_up(request: &Request, version: u64, rows: &mut Vec<(&'static str, String)>) {
    rows.push(("asked by", request.operator.clone()));
    rows.push((
        "opens",
        "NO SESSION: nobody gets any access by this".to_owned(),
    ));
    rows.push((
        "takes up",
        format!("roster version {version}; the key is sealed anew under it"),
    ));
}

/// What the access profile allows, for `--review`.
pub(super) fn policy(access: &Access) -> String {
    let text = serde_json::to_string_pretty(&access.policy.0).unwrap_or_default();
    format!(
        "\nsession policy of access {}, before the times and the request's id are filled in:\n{}\n",
        access.name,
        super::ui::plain(&text).replace("\\u{a}", "\n")
    )
}

/// The bytes that are signed, and their digest, for `--review`: whoever likes compares them with another tool.
pub(super) fn bytes(envelope: &Envelope) -> String {
    format!(
        "\nwhat is signed, {} bytes of type {}:\n{}\n\n  sha256  {}\n",
        envelope.payload.len(),
        super::ui::plain(&envelope.payload_type),
        super::ui::plain(&String::from_utf8_lossy(&envelope.payload)),
        envelope.digest()
    )
}

/// What is unusual about a request, one line each; nothing where nothing is.
pub(super) fn unusual(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("\nunusual about it\n{lines}")
}

/// The verification words on a line of their own.
pub(super) fn words_line(words: &[&str; COUNT]) -> String {
    format!("\n  words  {}\n", words.join(" "))
}

/// The words of a document.
pub(super) fn words(digest: &Digest) -> Result<[&'static str; COUNT], Problem> {
    Ok(verification_words(digest)?)
}

/// Has the words compared: by the person at the terminal, or with the six words that a script was told by the other side.
///
/// A bare 'yes' would let a script confirm what it never compared; who has no terminal must bring the words themselves.
pub(super) fn compare(
    ui: &Ui,
    ours: &[&str; COUNT],
    told: Option<&str>,
    question: &str,
) -> Result<(), Problem> {
    match told {
        Some(told) if same(ours, told) => Ok(()),
        Some(_) => Err(Problem::new(
            Code::Tampering,
            "the words that were given are not the words of this document",
        )
        .hint("do not go on: one of you looks at another document; tell the security officer")),
        None if ui.confirm(question)? => Ok(()),
        None => Err(Problem::new(
            Code::Refused,
            "the words were not confirmed; nothing was signed",
        )
        .hint("if they differ, one of you looks at another document: tell the security officer")),
    }
}

fn same(ours: &[&str; COUNT], told: &str) -> bool {
    told.split(|c: char| c.is_ascii_whitespace() || c == ',' || c == '-')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .eq(ours.iter().map(|word| (*word).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::sample_request;

    #[test]
    fn the_screen_is_this_and_ends_with_what_is_dangerous() {
        let request_ = sample_request();
        let now = request_.not_before.plus(120);
        let screen = request(&request_, "host-1", "2 custodians", now);
        let expected = "
request r-abcdefghijklm for vault prod

  reason         database is down: läuft nicht
  incident       INC-42
  authorised by  ivan, says dana
  asked          2026-01-06 10:00:00 UTC (AWS's clock)
  approve until  2026-01-06 10:30:00 UTC (in 28 min)
  host           host-1
  sealed         vault prod, generation 7
  record         event 41
  needs          2 custodians
  Regions        eu-central-1, eu-west-1
  policy         sha256 0101010101010101010101010101010101010101010101010101010101010101
  operator       dana
  access         admin
  account        111122223333
  role           arn:aws:iam::111122223333:role/twotap/op-admin
  access ends    2026-01-06 14:00:00 UTC, 4 h after it was asked
";
        assert_eq!(screen, expected);
        assert_eq!(screen.chars().find(|c| c.is_control() && *c != '\n'), None);
    }

    #[test]
    fn every_account_is_on_the_screen_and_no_session_is_said_plainly() {
        let mut request_ = sample_request();
        request_.also = vec![crate::trust::roster::Target {
            account: "444455556666".to_owned(),
            role_arn: "arn:aws:iam::444455556666:role/twotap/op-db".to_owned(),
            steward_role_arn: "arn:aws:iam::444455556666:role/twotap/steward".to_owned(),
        }];
        let screen = request(&request_, "host-1", "2 custodians", request_.not_before);
        let (before, after) = screen.split_once("  role ").expect("a role");
        assert!(before.contains("account        111122223333"), "{screen}");
        assert!(
            after.contains("also account   2 of 2: 444455556666"),
            "{screen}"
        );
        assert!(
            after.contains("role/twotap/op-db\n  access ends"),
            "{screen}"
        );

        request_.purpose = Purpose::CloseOnly {
            requests: vec!["r-aaaaaaaaaaaaa".to_owned()],
        };
        let screen = request(&request_, "host-1", "2 custodians", request_.not_before);
        let last: Vec<&str> = screen.trim_end().lines().rev().take(2).collect();
        assert_eq!(
            last,
            [
                "  opens          NO SESSION: nobody gets any access by this",
                "  closes         r-aaaaaaaaaaaaa"
            ],
            "{screen}"
        );
        assert!(!screen.contains("access ends"), "{screen}");
    }

    #[test]
    fn what_was_declared_is_shown_and_a_failed_check_twice() {
        let mut request_ = sample_request();
        request_.scenario = Some("outage".to_owned());
        request_.subject = Some("u-4711".to_owned());
        request_.confirmed = crate::trust::request::BannedUse::ALL.to_vec();
        request_.follows = Some("r-aaaaaaaaaaaaa".to_owned());
        let check = |name: &str, passed: bool, output: &str| CheckResult {
            name: name.to_owned(),
            required: passed,
            passed,
            output: output.to_owned(),
        };
        request_.checks = vec![
            check(
                "merged",
                true,
                "pull request 7 is merged; approved by carol",
            ),
            check("down", false, "the control plane answers"),
        ];
        let screen = request(&request_, "host-1", "2 custodians", request_.not_before);
        for line in [
            "  check          merged passed: pull request 7 is merged; approved by carol",
            "  check          down FAILED (advisory): the control plane answers",
            "  it is not      routine-change, expediency, avoiding-review, says dana",
            "  continues      r-aaaaaaaaaaaaa",
            "  checks         1 of 2 FAILED: down\n  operator       dana\n  scenario       outage\n  subject        u-4711\n  access         admin",
        ] {
            assert!(screen.contains(&format!("{line}\n")), "{line}: {screen}");
        }
    }

    #[test]
    fn no_text_reaches_where_fields_begin() {
        let mut request_ = sample_request();
        let fake = "access ends    2026-01-06 10:05:00 UTC";
        for filler in ["x ", "\u{a0}", "\u{3000}\u{3000}"] {
            for length in 20..90 {
                request_.reason = format!("{} {fake}", filler.repeat(length));
                let screen = request(&request_, "host-1", "2 custodians", request_.not_before);
                let wide = |line: &&str| {
                    let columns: usize = line.chars().map(|c| 1 + usize::from(!c.is_ascii())).sum();
                    columns > 80 && !line.contains("sha256")
                };
                assert_eq!(screen.lines().find(wide), None);
                let fields = screen.lines().filter(|l| l.starts_with("  access ends"));
                assert_eq!(fields.count(), 1, "{screen}");
            }
        }
    }

    #[test]
    fn words_are_compared_not_waved_through() {
        let ours = ["one", "two", "three", "four", "five", "six"];
        let ui = Ui::new(false);
        assert!(compare(&ui, &ours, Some("one two three four five six"), "").is_ok());
        assert!(compare(&ui, &ours, Some(" One, two-three four  five six\n"), "").is_ok());
        for told in [
            "yes",
            "",
            "one two three four five",
            "one two three four six five",
        ] {
            let problem = compare(&ui, &ours, Some(told), "").expect_err(told);
            assert_eq!(problem.code, Code::Tampering);
        }
    }
}
