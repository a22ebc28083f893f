//! What comes after a session: its review falls due and is missed or signed, reports are made and filed, and a quarter's accesses are listed.

mod agent_support;

#[path = "after_session/report.rs"]
mod report;
#[path = "after_session/review.rs"]
mod review;

use agent_support::{DANA, Host};
use twotap::{
    ceremony::Stage,
    protocol::{
        review::{ReviewIn, ReviewView},
        socket::RequestView,
    },
};

/// Findings that leave nothing open.
const FINDINGS: &str = r#"
deviations = ["the commander was not named on the call"]
lessons = ["the runbook names the second database now"]

[authorised]
yes = true
because = "ivan, on the call of 10:02"

[accounted]
yes = true
because = "14 calls in CloudTrail, each of them in the notes"

[avoidable]
yes = false
because = "sign-in was down as well"
"#;

fn hand_in(findings: &str) -> ReviewIn {
    ReviewIn {
        findings: findings.to_owned(),
    }
}

fn review_path(view: &RequestView) -> String {
    format!("/v1/requests/{}/review", view.id)
}

/// A session that dana had, and closed.
fn closed(host: &Host) -> RequestView {
    let view = host.open();
    agent_support::until("the key is replaced", || {
        host.events_of(&view.id)
            .contains(&"CREDENTIAL_ROTATED".to_owned())
    });
    host.credentials(DANA, &view.id).credentials();
    host.close(DANA, &view.id, false).json::<RequestView>();
    host.reach(&view.id, Stage::Closed)
}

fn due(view: &RequestView) -> &ReviewView {
    view.review.as_ref().expect("a review is due")
}
