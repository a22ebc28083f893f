//! `twotap drill --full`: a whole ceremony that opens nothing for anybody, and replaces the key for real.

use std::process::ExitCode;

use crate::{
    protocol::{
        Code, Problem,
        readiness::FullDrill,
        socket::{Status, VaultStatus, VaultView},
    },
    trust::Timestamp,
};

use super::{
    super::{
        Door, Ended,
        client::{Agent, vault_path},
        readiness, request, roster, screen,
        ui::plain,
    },
    Args,
};

/// What stands as the incident where none is named.
const INCIDENT: &str = "DRILL";
/// The same for the reason.
const REASON: &str = "a full drill: nothing is on fire";

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let access = match &args.access {
        Some(access) => access.clone(),
        None => first_profile(&door.agent()?, &args.vault)?,
    };
    let or = |given: &Option<String>, else_: &str| given.clone().unwrap_or(else_.to_owned());
    let mut ask = request::ask(
        args.vault.clone(),
        access,
        or(&args.incident, INCIDENT),
        or(&args.reason, REASON),
    )?;
    ask.drill = true;
    let asked = request::begin(&ask, door)?;
    let request = asked.checked.request();
    let words = screen::words(&asked.checked.offer.digest())?;
    if args.no_wait {
        let object = serde_json::json!({
            "request": request.id,
            "words": words,
            "stage": asked.view.stage,
        });
        let text = format!(
            "request {}, a drill{}\nread the words to the custodians on a call; they must see the same\nnext: twotap status --watch",
            request.id,
            screen::words_line(&words)
        );
        door.ui.result(&object, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view = request::wait_for(&asked.agent, request, &words, door)?;
    let trend = vault(&asked.agent, &args.vault)?.readiness.full_drills;
    let this = trend.iter().find(|drill| drill.request == request.id);
    let object = serde_json::json!({
        "request": request.id,
        "stage": view.stage,
        "outcome": view.outcome,
        "passed": this.is_some(),
        "time_to_quorum_ms": this.map(|drill| drill.quorum_ms),
        "time_to_access_ms": this.map(|drill| drill.access_ms),
    });
    let outcome = view.outcome.as_deref().map_or(String::new(), plain);
    let text = format!("{outcome}\n{}", lines(&trend));
    door.ui.result(&object, text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// What was shown so far: each custodian's last proof, and the full drills with how long they took.
pub(super) fn history(args: &Args, door: &Door) -> Ended {
    let vault = vault(&door.agent()?, &args.vault)?;
    let rows = readiness::rows(&vault, Timestamp::now());
    let mut text = super::columns(&rows);
    text.push_str(&lines(&vault.readiness.full_drills));
    door.ui.result(&vault.readiness, text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// One line each, oldest first.
fn lines(trend: &[FullDrill]) -> String {
    let mut text = String::new();
    for drill in trend {
        text.push_str(&readiness::drill_line(drill));
        text.push('\n');
    }
    text
}

fn vault(agent: &Agent, name: &str) -> Result<VaultStatus, Problem> {
    let status: Status = agent.ask("/v1/status")?;
    let found = status.vaults.into_iter().find(|v| v.vault == name);
    found.ok_or_else(|| {
        Problem::new(
            Code::Usage,
            format!("this host has no vault {}", plain(name)),
        )
        .hint("see twotap status")
    })
}

/// The roster's first access profile, by the agent's word: the offer says it again, and is checked.
fn first_profile(agent: &Agent, vault: &str) -> Result<String, Problem> {
    let view: VaultView = agent.ask(&vault_path(vault, "")?)?;
    let roster = roster::shown(&view.roster_chain)?;
    let first = roster.access.into_iter().next().map(|a| a.name);
    first.ok_or_else(|| {
        Problem::new(Code::Refused, "the roster names no access profile")
            .hint("name one: --access NAME")
    })
}
