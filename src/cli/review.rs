//! `twotap review`: an officer who was nothing else in a request says what its review found; also the lines of `status` about reviews.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    protocol::{
        Code, Problem,
        review::{Findings, ReviewIn, ReviewOpen},
        socket::RequestView,
    },
    trust::Timestamp,
};

use super::{
    Door, Ended,
    client::{Patience, request_path},
    files, span,
    ui::plain,
};

/// Arguments of `review`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Id of the request
    request: String,
    /// What was found, as TOML: an empty form comes with --form
    #[arg(long, value_name = "FILE", required_unless_present = "form")]
    findings: Option<PathBuf>,
    /// Print an empty form
    #[arg(long, conflicts_with = "findings")]
    form: bool,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let path = request_path(&args.request, "/review")?;
    let Some(file) = args.findings else {
        let form = form(&args.request);
        door.ui
            .result(&serde_json::json!({ "form": form }), &form)?;
        return Ok(ExitCode::SUCCESS);
    };
    let text = files::read_text(&file)?;
    let findings = Findings::parse(&text).map_err(|why| {
        Problem::new(
            Code::Usage,
            format!("{}: {}", files::shown(&file), plain(why.trim())),
        )
        .hint(format!(
            "an empty form: twotap review {} --form",
            args.request
        ))
    })?;
    let agent = door.agent()?;
    let handed = ReviewIn { findings: text };
    let view: RequestView = agent.hand_in(&path, &handed, Patience::Agent)?;
    let signed = view.review.and_then(|r| Some((r.due, r.signed?)));
    let (due, signed) = signed.ok_or_else(|| {
        Problem::new(
            Code::Agent,
            "the agent took the review and does not show it",
        )
        .hint("see twotap status")
    })?;
    if let Some(alarm) = alarm(&findings) {
        door.ui.warn(alarm);
    }
    let late = if signed.at > due {
        format!(", {} late", span::show(due.until(signed.at)))
    } else {
        String::new()
    };
    let text = format!(
        "{}: reviewed by {} at {}{late}\nfindings {}",
        plain(&view.id),
        plain(&signed.by),
        span::at(signed.at),
        signed.findings_sha256
    );
    let object = serde_json::json!({ "request": view.id, "due": due, "review": signed });
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// What must not end with a filed paper.
fn alarm(findings: &Findings) -> Option<&'static str> {
    match (findings.authorised.yes, findings.accounted.yes) {
        (false, _) => Some(
            "by these findings the access was not authorised: treat it as a security incident now",
        ),
        (_, false) => {
            Some("by these findings there are actions that nobody accounts for: follow them up now")
        }
        _ => None,
    }
}

fn form(request: &str) -> String {
    format!(
        r#"# Review of {request}. Each answer says what it rests on; several lines stand between three quotes.
# The facts: twotap report {request}

# Where the procedure was not followed, one text each; empty where it was.
deviations = []
# What is to be done differently, the runbook included.
lessons = []

# Was the access authorised, and who confirms it?
[authorised]
yes = false
because = ""

# Is every action accounted for, and by which logs and recordings?
[accounted]
yes = false
because = ""

# Could it have been resolved without break-glass access?
[avoidable]
yes = false
because = ""
"#
    )
}

/// The rows of `status` about sessions that are over and not reviewed, the most urgent first.
pub(super) fn rows(open: &[ReviewOpen], now: Timestamp) -> Vec<(&'static str, String)> {
    open.iter()
        .map(|review| ("review", row(review, now)))
        .collect()
}

fn row(review: &ReviewOpen, now: Timestamp) -> String {
    let due = if review.due > now {
        format!("due {}", span::from_now(review.due, now))
    } else {
        format!("OVERDUE since {}", span::show(review.due.until(now)))
    };
    format!(
        "{} {} ({}): {due}",
        plain(&review.request),
        plain(&review.incident),
        plain(&review.operator)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_form_is_a_form_and_not_yet_a_review() {
        let form = form("r-aaaaaaaaaaaaa");
        let why = Findings::parse(&form).expect_err("nothing is said");
        assert!(why.contains("authorised"), "{why}");
        let filled = form.replace("because = \"\"", "because = \"seen\"");
        let findings = Findings::parse(&filled).expect("filled in");
        assert!(alarm(&findings).is_some());
    }

    #[test]
    fn a_row_says_until_when_or_since_when() {
        let due = Timestamp::parse("2026-01-08T10:00:00Z").expect("a time");
        let open = ReviewOpen {
            request: "r-aaaaaaaaaaaaa".to_owned(),
            vault: "prod".to_owned(),
            incident: "INC-42".to_owned(),
            operator: "dana".to_owned(),
            closed: due.plus(-48 * 3600),
            due,
            overdue: false,
        };
        assert_eq!(
            row(&open, due.plus(-3600)),
            "r-aaaaaaaaaaaaa INC-42 (dana): due in 1 h"
        );
        assert_eq!(
            row(&open, due.plus(90 * 60)),
            "r-aaaaaaaaaaaaa INC-42 (dana): OVERDUE since 1 h 30 min"
        );
    }
}
