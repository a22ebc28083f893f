//! `twotap close`: ends the session, and stays until it was seen refused.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    protocol::{
        Code, Problem,
        socket::{Close, RequestView, Stage, TargetState},
    },
    trust::Timestamp,
};

use super::{
    Door, Ended,
    client::{Patience, request_path},
    open, secrets, span, status,
    ui::plain,
};

/// Arguments of `close`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Id of the request; without it, your only session
    session: Option<String>,
    /// As an officer: close somebody else's session
    #[arg(long)]
    force: bool,
    /// Do not stay until it is closed
    #[arg(long)]
    no_wait: bool,
}

/// How often it asks how far closing is.
const EVERY: Duration = Duration::from_millis(500);
/// After so long without news it says what is being waited for; and then now and again.
const SILENCE: Duration = Duration::from_millis(900);
const REMINDER: Duration = Duration::from_secs(10);
/// Closing is due within an hour (design, deadlines); the agent goes on after that, and alarms.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    let session = open::closable(&agent, args.session)?;
    let path = request_path(&session, "")?;
    let close = Close { force: args.force };
    // What came before is no news to whoever closes.
    let mut shown = agent.ask::<RequestView>(&path)?.progress.len();
    let mut view: RequestView =
        agent.hand_in(&request_path(&session, "/close")?, &close, Patience::Worker)?;
    if args.no_wait {
        return ended(&view, door);
    }

    let deadline = Instant::now() + LONGEST;
    let mut heard = Instant::now();
    let mut patience = SILENCE;
    loop {
        for step in view.progress.iter().skip(shown) {
            door.ui
                .step(format!("{}  {}", span::at(step.at), plain(&step.text)));
            (heard, patience) = (Instant::now(), SILENCE);
        }
        shown = view.progress.len();
        if let Some(end) = beyond_reach(&view) {
            return end.and_then(|()| ended(&view, door));
        }
        // Nothing is waited for in silence: what it is, and how far.
        if heard.elapsed() >= patience {
            door.ui.step(format!("closing {}:", plain(&view.id)));
            door.ui
                .step(status::waiting(&view, Timestamp::now()).trim_end());
            (heard, patience) = (Instant::now(), REMINDER);
        }
        match view.stage {
            Stage::Approved | Stage::Open | Stage::Closing if Instant::now() > deadline => {
                return Err(Problem::new(Code::Agent, "the session is still not closed")
                    .hint("the agent goes on trying: see twotap status"));
            }
            Stage::Approved | Stage::Open | Stage::Closing => std::thread::sleep(EVERY),
            Stage::Failed => {
                return Err(Problem::new(
                    Code::Refused,
                    format!("closing failed: {}", outcome(&view)),
                )
                .hint("see twotap audit tail"));
            }
            // Over; its secrets are each waited for once, whatever comes of them.
            Stage::Closed if secrets::are_due(&view) && Instant::now() < deadline => {
                std::thread::sleep(EVERY);
            }
            Stage::Closed | Stage::Requested | Stage::Denied | Stage::Expired => {
                return ended(&view, door);
            }
        }
        view = agent.ask(&path)?;
    }
}

/// A closing that nothing but time can bring further, so that waiting for it shows nothing: denied by its tag with nothing left to observe it,
/// which is all that can be done; or not even that, because the host kept nothing that could.
fn beyond_reach(view: &RequestView) -> Option<Result<(), Problem>> {
    if view.stage != Stage::Closing {
        return None;
    }
    if is_denied_by_tag(view) {
        return Some(Ok(()));
    }
    let setback = view.setback.as_ref()?;
    (setback.tries == 0 && setback.next_attempt.is_none())
        .then(|| Err(Problem::new(Code::Refused, plain(&setback.why)).hint("see twotap status")))
}

fn is_denied_by_tag(view: &RequestView) -> bool {
    let is = |state: &TargetState| matches!(state, TargetState::NotObserved);
    let unopened = |state: &TargetState| matches!(state, TargetState::NotOpened { .. });
    view.targets.iter().any(|t| is(&t.state))
        && view
            .targets
            .iter()
            .all(|t| is(&t.state) || unopened(&t.state))
}

fn outcome(view: &RequestView) -> String {
    match &view.outcome {
        Some(outcome) => plain(outcome),
        None if is_denied_by_tag(view) => {
            let all = status::waiting(view, Timestamp::now());
            format!("denied by its tag\n{}", all.trim_end())
        }
        None => status::stage(view.stage).to_owned(),
    }
}

fn ended(view: &RequestView, door: &Door) -> Ended {
    let object = serde_json::json!({
        "request": view.id,
        "stage": view.stage,
        "outcome": view.outcome,
        "progress": view.progress,
        "targets": view.targets,
        "identity_until": view.identity_until,
        "setback": view.setback,
        "secrets": view.secrets,
    });
    let mut text = format!("{}: {}", plain(&view.id), outcome(view));
    if let Some(until) = view.identity_until.filter(|at| *at > Timestamp::now()) {
        text.push_str(&format!(
            "\nsystems that know identity alone (EKS) let it in until {}",
            span::at(until)
        ));
    }
    for (what, row) in secrets::status_rows(view) {
        text.push_str(&format!("\n{what} {row}"));
    }
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
