//! `twotap status`: vaults, requests and what is degraded, at a glance.

use std::{process::ExitCode, time::Duration};

use crate::{
    protocol::{
        Code, Problem,
        job::Isolation,
        socket::{CopyStatus, RequestView, Stage, Status, VaultStatus},
    },
    trust::{Timestamp, request::Offer},
};

use super::{
    Door, Ended, span,
    ui::{columns, plain},
};

/// Arguments of `status`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Show it again whenever something changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// How often `--watch` asks.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let agent = door.agent()?;
    if args.watch && door.ui.json() {
        return Err(
            Problem::new(Code::Usage, "--watch never ends, and --json is one object")
                .hint("ask again and again without --watch"),
        );
    }
    let status: Status = agent.ask("/v1/status")?;
    let mut shown = screen(&status, Timestamp::now());
    door.ui.result(&status, &shown)?;
    if !args.watch {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        std::thread::sleep(EVERY);
        let now = screen(&agent.ask("/v1/status")?, Timestamp::now());
        if now != shown {
            door.ui.out(&format!("\n{}", now.trim_end()))?;
            shown = now;
        }
    }
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

fn screen(status: &Status, now: Timestamp) -> String {
    let mut text = format!(
        "you are {} ({}); agent {}; record at event {}\n",
        plain(&status.you.name),
        plain(&status.you.roles.join(", ")),
        plain(&status.version),
        status.head.seq
    );
    for vault in &status.vaults {
        text.push_str(&format!("\nvault {}\n", plain(&vault.vault)));
        text.push_str(&columns(&vault_rows(vault)));
    }
    for request in &status.requests {
        text.push_str(&format!(
            "\nrequest {}: {}\n",
            plain(&request.id),
            stage(request.stage)
        ));
        text.push_str(&columns(&request_rows(request, now)));
    }
    if status.requests.is_empty() {
        text.push_str("\nno request\n");
    }
    for line in &status.degraded {
        text.push_str(&format!("\ndegraded: {}", plain(line)));
    }
    text
}

fn vault_rows(vault: &VaultStatus) -> Vec<(&'static str, String)> {
    let sealed = match (vault.generation, vault.sealed_at) {
        (Some(generation), Some(at)) => format!("generation {generation}, {}", span::at(at)),
        (Some(generation), None) => format!("generation {generation}"),
        (None, _) => "nothing yet: twotap vault seal".to_owned(),
    };
    let mut rows = vec![
        (
            "custodians",
            format!(
                "{} ({} must approve)",
                plain(&vault.custodians.join(", ")),
                vault.threshold
            ),
        ),
        ("roster", format!("version {}", vault.roster_version)),
        ("sealed", sealed),
        ("rotation", plain(&vault.rotation)),
    ];
    rows.extend(vault.copies.iter().map(|copy| ("copy", copy_row(copy))));
    if vault.isolation == Isolation::None {
        rows.push((
            "isolation",
            "none: the worker runs under the agent's account".to_owned(),
        ));
    }
    rows
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
            format!("{}, access {}", request.operator, request.access),
        ));
        let until = |at| format!("{} ({})", span::at(at), span::from_now(at, now));
        match view.stage {
            Stage::Requested => rows.push(("until", until(request.approve_before))),
            Stage::Approved | Stage::Open | Stage::Closing => {
                rows.push(("ends", until(request.not_after)));
            }
            Stage::Closed | Stage::Denied | Stage::Expired | Stage::Failed => {}
        }
    }
    let approved = if view.approved_by.is_empty() {
        String::new()
    } else {
        format!(": {}", plain(&view.approved_by.join(", ")))
    };
    rows.push((
        "approvals",
        format!("{} of {}{approved}", view.approved_by.len(), view.threshold),
    ));
    for (who, why) in &view.denied_by {
        rows.push(("denied", format!("{}: {}", plain(who), plain(why))));
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
