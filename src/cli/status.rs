//! `twotap status`: vaults, requests and what is degraded, at a glance.

use std::process::ExitCode;

use crate::{
    protocol::{
        Code, Problem,
        job::Isolation,
        socket::{
            CopyStatus, Delivered, Progress, RecoveryStatus, RequestView, Setback, Stage, Status,
            TargetState, TargetView, VaultStatus,
        },
    },
    trust::{
        Timestamp,
        request::{Offer, Purpose},
    },
};

use super::{
    Door, Ended, groups, people, readiness, review, secrets, sinks, span, standing,
    ui::{columns, columns_within, plain, wrapped},
    watch,
};

/// Arguments of `status`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Show it live until q or Ctrl-C; without a terminal, again whenever something changes
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    if args.watch && door.ui.json() {
        return Err(
            Problem::new(Code::Usage, "--watch never ends, and --json is one object")
                .hint("ask again and again without --watch"),
        );
    }
    let status: Status = agent.ask("/v1/status")?;
    if args.watch {
        return watch::run(agent, status, door);
    }
    let shown = screen(&status, Timestamp::now(), door.ui.columns());
    door.ui.result(&status, &shown)?;
    Ok(ExitCode::SUCCESS)
}

/// A stage in one word.
pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Requested => "waiting for approvals",
        Stage::Approved => "approved, being opened",
        Stage::Open => "open",
        Stage::Closing => "closing",
        Stage::Closed => "closed",
        Stage::Denied => "denied",
        Stage::Expired => "ran out",
        Stage::Failed => "failed",
    }
}

/// Everything, in rows of at most so many columns, if there is such a bound.
pub(super) fn screen(status: &Status, now: Timestamp, width: Option<usize>) -> String {
    let you = format!(
        "you are {} ({}){}; agent {}; record at event {}",
        plain(&status.you.name),
        plain(&status.you.roles.join(", ")),
        people::of_caller(&status.you),
        plain(&status.version),
        status.head.seq
    );
    let mut text = String::new();
    line(&mut text, &you, width);
    for vault in &status.vaults {
        text.push_str(&format!("\nvault {}\n", plain(&vault.vault)));
        text.push_str(&columns_within(&vault_rows(vault, now), width));
    }
    for request in &status.requests {
        text.push_str(&format!(
            "\nrequest {}: {}\n",
            plain(&request.id),
            stage(request.stage)
        ));
        text.push_str(&columns_within(&request_rows(request, now), width));
    }
    if status.requests.is_empty() {
        text.push_str("\nno request\n");
    }
    if !status.reviews.is_empty() {
        text.push('\n');
        text.push_str(&columns_within(&review::rows(&status.reviews, now), width));
    }
    if !status.sinks.is_empty() {
        let rows: Vec<_> = status.sinks.iter().map(|s| sinks::row(s, now)).collect();
        text.push_str("\nrecord goes to\n");
        text.push_str(&columns_within(&rows, width));
    }
    if !status.degraded.is_empty() {
        text.push('\n');
    }
    for what in &status.degraded {
        line(&mut text, &format!("degraded: {}", plain(what)), width);
    }
    text
}

/// A line of its own, broken where there is a bound.
fn line(text: &mut String, line: &str, width: Option<usize>) {
    let pieces = width.map_or_else(|| vec![line.to_owned()], |width| wrapped(line, width));
    for piece in pieces {
        text.push_str(&piece);
        text.push('\n');
    }
}

fn vault_rows(vault: &VaultStatus, now: Timestamp) -> Vec<(&'static str, String)> {
    let sealed = match (vault.generation, vault.sealed_at) {
        (Some(generation), Some(at)) => format!("generation {generation}, {}", span::at(at)),
        (Some(generation), None) => format!("generation {generation}"),
        (None, _) => "nothing yet: twotap vault seal".to_owned(),
    };
    let mut rows = vec![(
        "custodians",
        format!(
            "{} ({} must approve)",
            plain(&vault.custodians.join(", ")),
            vault.threshold
        ),
    )];
    rows.extend(groups::in_words(&vault.groups).map(|words| ("groups", plain(&words))));
    rows.push(("roster", format!("version {}", vault.roster_version)));
    for token in &vault.tokens {
        rows.extend(standing::told_rows(token));
    }
    rows.extend([
        ("sealed", sealed),
        ("rotation", plain(&vault.rotation)),
        ("watch", plain(&vault.watch)),
    ]);
    if let Some(recovery) = &vault.recovery {
        rows.push(("recovery", recovery_row(recovery)));
    }
    rows.extend(vault.copies.iter().map(|copy| ("copy", copy_row(copy))));
    rows.extend(readiness::rows(vault, now));
    if vault.isolation == Isolation::None {
        rows.push((
            "isolation",
            "none: the worker runs under the agent's account".to_owned(),
        ));
    }
    rows
}

fn recovery_row(recovery: &RecoveryStatus) -> String {
    match recovery.spent_since {
        Some(since) => format!(
            "sheets of {}, SPENT at {}: make new ones",
            recovery.made,
            span::at(since)
        ),
        None => format!(
            "sheets of {}, to be renewed by {}",
            recovery.made, recovery.renew_by
        ),
    }
}

fn copy_row(copy: &CopyStatus) -> String {
    let holds = match copy.generation {
        Some(generation) => format!("generation {generation}"),
        None => "none yet".to_owned(),
    };
    let required = if copy.required { ", required" } else { "" };
    let lags = match (copy.lags_since, &copy.why) {
        (Some(since), Some(why)) => format!("; lags since {}: {}", span::at(since), plain(why)),
        _ => String::new(),
    };
    format!("{}: {holds}{required}{lags}", plain(&copy.place))
}

fn request_rows(view: &RequestView, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    // For display alone: whoever acts upon a request checks it first.
    if let Ok(Offer(request)) = view.offer.unverified::<Offer>() {
        rows.push(("reason", request.reason.clone()));
        rows.push(("incident", request.incident.clone()));
        rows.push((
            "who",
            match request.purpose.is_open() {
                true => format!("{}, access {}", request.operator, request.access),
                false => format!("{}, opens no session", request.operator),
            },
        ));
        if let Purpose::CloseOnly { requests } = &request.purpose
            && !requests.is_empty()
        {
            rows.push(("closes", requests.join(", ")));
        }
        match view.stage {
            Stage::Requested => rows.push(("until", span::when(request.approve_before, now))),
            Stage::Approved | Stage::Open | Stage::Closing => {
                rows.push(("ends", span::when(request.not_after, now)));
            }
            Stage::Closed | Stage::Denied | Stage::Expired | Stage::Failed => {}
        }
    }
    let approved = if view.approved_by.is_empty() {
        String::new()
    } else {
        format!(": {}", plain(&view.approved_by.join(", ")))
    };
    rows.push(("approvals", format!("{}{approved}", view.tally())));
    rows.extend(people::rows(view));
    for (who, why) in &view.denied_by {
        rows.push(("denied", format!("{}: {}", plain(who), plain(why))));
    }
    if let Some(given) = &view.delivered {
        rows.push(("delivered", delivered(given, view, now)));
    }
    rows.extend(secrets::status_rows(view));
    if view.targets.len() > 1 || matches!(view.stage, Stage::Closing | Stage::Closed) {
        rows.extend(target_rows(view, now));
    }
    let lapses = view.evidence.iter();
    rows.extend(lapses.map(|lapse| ("evidence", plain(&lapse.in_words()))));
    if let Some(setback) = &view.setback {
        rows.push(("held up", held_up(setback, now)));
    }
    if let Some(until) = view.identity_until.filter(|at| *at > now)
        && matches!(view.stage, Stage::Closing | Stage::Closed)
    {
        rows.push((
            "identity",
            format!(
                "systems that know identity alone (EKS) let it in until {} ({})",
                span::at(until),
                span::from_now(until, now)
            ),
        ));
    }
    if matches!(view.stage, Stage::Closing) {
        for step in closing_steps(view) {
            rows.push((
                "step",
                format!("{}  {}", span::at(step.at), plain(&step.text)),
            ));
        }
    }
    if let Some(last) = view.progress.last() {
        rows.push((
            "last step",
            format!("{} ({})", plain(&last.text), span::from_now(last.at, now)),
        ));
    }
    if let Some(outcome) = &view.outcome {
        rows.push(("outcome", plain(outcome)));
    }
    rows
}

/// What was handed out of a session, and to whom last.
pub(super) fn delivered(given: &Delivered, view: &RequestView, now: Timestamp) -> String {
    let times = match given.times {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    format!(
        "credentials {times}, last to {} {}",
        people::account_in(view, &given.who),
        span::from_now(given.last_at, now)
    )
}

/// Each account and role with how far it is, as rows of their own.
pub(super) fn targets(view: &RequestView, now: Timestamp) -> String {
    columns(&target_rows(view, now))
}

/// What a closing waits for now.
pub(super) fn waiting(view: &RequestView, now: Timestamp) -> String {
    let mut rows = target_rows(view, now);
    if let Some(setback) = &view.setback {
        rows.push(("held up", held_up(setback, now)));
    }
    columns(&rows)
}

/// Each account and role with how far it is, and what holds it up.
pub(super) fn target_rows(view: &RequestView, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for target in &view.targets {
        let name = target.role.rsplit('/').next().unwrap_or(&target.role);
        let what = format!("{} {}", target.account, name);
        rows.push((
            "account",
            format!("{}: {}", plain(&what), state(target, view)),
        ));
        if let Some(setback) = &target.setback {
            rows.push(("  held up", held_up(setback, now)));
        }
    }
    rows
}

/// A role's state in words; `revoked` is none of them: what was seen is.
fn state(target: &TargetView, view: &RequestView) -> String {
    let since = span::at(target.since);
    let seen = || {
        let regions: Vec<&str> = target.refused.iter().map(|r| r.region.as_str()).collect();
        plain(&regions.join(", "))
    };
    match &target.state {
        TargetState::Opening => format!("being opened since {since}"),
        TargetState::Open => format!("open since {since}"),
        TargetState::NotOpened { why } => format!("not opened: {}", plain(why)),
        TargetState::Requested => format!("revocation requested at {since}"),
        TargetState::Applied if target.refused.is_empty() => {
            format!("revocation applied at {since}; refusal being observed")
        }
        TargetState::Applied => {
            format!(
                "revocation applied at {since}; refused in {} so far",
                seen()
            )
        }
        TargetState::Refused => format!("refused at {{{}}} since {since}", seen()),
        TargetState::NotObserved => {
            let ends = view.offer.unverified::<Offer>().map(|Offer(r)| r.not_after);
            let ends = ends.map_or(String::new(), |at| format!(", ends at {}", span::at(at)));
            format!("denied by tag since {since}, not observed{ends}")
        }
        TargetState::Expired => format!("expired at {since}"),
    }
}

/// What holds something up, and when it is tried next.
pub(super) fn held_up(setback: &Setback, now: Timestamp) -> String {
    let next = match setback.next_attempt {
        Some(at) if at > now => format!("; next attempt {}", span::from_now(at, now)),
        Some(_) => "; it is tried again and again".to_owned(),
        None => String::new(),
    };
    let tries = match setback.tries {
        0 => String::new(),
        1 => " (tried once)".to_owned(),
        n => format!(" (tried {n} times)"),
    };
    format!("{}{tries}{next}", plain(&setback.why))
}

/// The steps since the closing began, without the last.
pub(super) fn closing_steps(view: &RequestView) -> &[Progress] {
    let begun = view
        .progress
        .iter()
        .position(|p| matches!(p.step.as_str(), "closing" | "revoke_intent"));
    // The last one has a line of its own.
    begun.map_or(&[], |at| &view.progress[at..view.progress.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_says_what_it_holds_and_why_it_lags() {
        let mut copy = CopyStatus {
            place: "nas".to_owned(),
            required: true,
            generation: Some(4),
            lags_since: None,
            why: None,
        };
        assert_eq!(copy_row(&copy), "nas: generation 4, required");
        copy.lags_since = Some(Timestamp(0));
        copy.why = Some("it is not mounted".to_owned());
        copy.generation = None;
        copy.required = false;
        assert_eq!(
            copy_row(&copy),
            format!(
                "nas: none yet; lags since {}: it is not mounted",
                span::at(Timestamp(0))
            )
        );
    }
}
