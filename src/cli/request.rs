//! `twotap request`: an operator asks for exactly one access, and checks that the host offers exactly that.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use rand_core::{OsRng, RngCore as _};

use crate::{
    protocol::{
        Code, Problem,
        job::Ask,
        socket::{RequestView, Stage},
    },
    trust::{
        Bytes, Digest, Envelope, Timestamp,
        request::{CLOSE_ONLY, CLOSE_ONLY_SECONDS, Purpose, Request, is_request_id},
        roster::Roster,
        text::{check_name, check_text},
    },
};

use super::{
    Door, Ended, again,
    checked::{self, Checked, Papers},
    client::{Agent, Patience, request_path},
    memory::{FirstMeeting, Memory},
    screen, span, status,
    ui::{columns, plain},
};

/// Arguments of `request`.
#[derive(clap::Args)]
#[command(
    after_help = "GOVERNED_BREAK_GLASS=true with BREAK_GLASS_REASON and BREAK_GLASS_TIMESTAMP (a UTC time like \
2026-01-06T10:00:00Z, at most 15 minutes old) stands for --reason where that is absent."
)]
pub(super) struct Args {
    /// The vault, e.g. prod
    #[arg(required_unless_present = "again")]
    vault: Option<String>,
    /// The next time box of an earlier session (your open one, or the one named): asks as it was asked, unless said otherwise here
    #[arg(long, value_name = "REQUEST", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["close_only", "access", "incident"])]
    again: Option<String>,
    /// The access profile, e.g. admin
    #[arg(
        long,
        required_unless_present_any = ["close_only", "again"],
        conflicts_with = "close_only"
    )]
    access: Option<String>,
    /// No session: close what a reboot left open (all of it, or these requests) and replace the sealed key
    #[arg(long, value_name = "REQUEST", num_args = 0.., conflicts_with = "duration")]
    close_only: Option<Vec<String>>,
    /// Reference of the incident, e.g. INC-42
    #[arg(long, required_unless_present = "again")]
    incident: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// How long, e.g. 4h or 90m; the profile's default where absent
    #[arg(long, value_name = "LENGTH")]
    duration: Option<String>,
    /// Who authorised it
    #[arg(long, value_name = "NAME")]
    commander: Option<String>,
    /// Wait until the session is open, or the request has ended
    #[arg(long)]
    wait: bool,
}

/// How often `--wait` asks.
const EVERY: Duration = Duration::from_millis(250);
/// How long opening may take after the last approval, in seconds.
const OPENING: u64 = 600;
/// How old a declaration in the environment may be, in seconds (design, limits).
const DECLARATION_MAX_AGE: i64 = 15 * 60;
/// How far ahead its clock may be, in seconds.
const DECLARATION_MAX_AHEAD: i64 = 60;

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let wait = args.wait;
    let earlier = match &args.again {
        Some(named) => Some(again::earlier(door, named, args.vault.as_deref())?),
        None => None,
    };
    let before = |of: fn(&Request) -> &String| earlier.as_ref().map(|e| of(e).clone());
    let reason = match args.reason.or(before(|e| &e.reason)) {
        Some(reason) => reason,
        None => declared(|name| std::env::var(name).ok(), Timestamp::now())?,
    };
    let access = args.access.or(before(|e| &e.access));
    let commander = earlier.as_ref().and_then(|e| e.commander_claimed.clone());
    let mut ask = ask(
        args.vault.or(before(|e| &e.vault)).unwrap_or_default(),
        access.unwrap_or_else(|| CLOSE_ONLY.to_owned()),
        args.incident
            .or(before(|e| &e.incident))
            .unwrap_or_default(),
        reason,
        args.duration,
        args.commander.or(commander),
    )?;
    ask.close_only = close_only(args.close_only)?;
    if let Some(earlier) = &earlier {
        again::goes_on(&mut ask, earlier);
    }
    let asked = begin(&ask, door)?;
    let (agent, view, checked) = (&asked.agent, &asked.view, &asked.checked);

    let request = checked.request();
    let words = screen::words(&checked.offer.digest())?;
    let asked = shown(request, &words, view);
    if wait {
        let view = wait_for(agent, request, &words, door)?;
        let mut object = json(request, &words, &checked.offer.digest(), &view);
        object["waited"] = true.into();
        let text = match request.purpose.is_open() {
            true => opened(request, &view),
            false => view.outcome.as_deref().map_or(String::new(), plain),
        };
        door.ui.result(&object, &text)?;
    } else {
        let object = json(request, &words, &checked.offer.digest(), view);
        door.ui.result(&object, &asked)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A request that was made, and an offer that is what was asked.
pub(super) struct Asked {
    pub agent: Agent,
    pub view: RequestView,
    pub checked: Checked,
}

/// Says the words for the call, and waits for the end of the ceremony.
pub(super) fn wait_for(
    agent: &Agent,
    request: &Request,
    words: &[&str; 6],
    door: &Door,
) -> Result<RequestView, Problem> {
    door.ui.note(format!(
        "request {}; read these words to the custodians: {}",
        request.id,
        words.join(" ")
    ));
    wait_until_open(agent, request, door)
}

/// Asks, and checks that the host offers exactly that.
pub(super) fn begin(ask: &Ask, door: &Door) -> Result<Asked, Problem> {
    let agent = door.agent()?;
    let mut memory = Memory::open()?;

    let view: RequestView = agent.hand_in("/v1/requests", ask, Patience::Request)?;
    let papers = Papers {
        offer: &view.offer,
        manifest: &view.manifest,
        roster_chain: &view.roster_chain,
        next_roster: view.next_roster.as_ref(),
    };
    let checked = checked::check(&papers, &mut memory, &FirstMeeting::SaySo, &door.ui)?;
    let uid = rustix::process::getuid().as_raw();
    offers_what_was_asked(checked.request(), ask, &view, &checked.roster, uid)?;
    Ok(Asked {
        agent,
        view,
        checked,
    })
}

/// The requests that are named to be closed; each once, and each an id.
fn close_only(named: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(named) = named else { return Ok(None) };
    let mut ids: Vec<String> = Vec::new();
    for id in named {
        if !is_request_id(&id) {
            return Err(
                Problem::new(Code::Usage, format!("{} is not a request's id", plain(&id)))
                    .hint("an id is like r-abcdefghijklm: see twotap status"),
            );
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(Some(ids))
}

/// What was opened, and of several roles what was not.
fn opened(request: &Request, view: &RequestView) -> String {
    let mut text = format!("open until {}", span::at(request.not_after));
    if view.targets.len() > 1 {
        text.push('\n');
        text.push_str(&status::targets(view, Timestamp::now()));
    }
    text.push_str(&format!("\nnext: twotap exec {} -- COMMAND", request.id));
    text
}

/// The declaration in the environment, where it is whole and fresh.
fn declared(variable: impl Fn(&str) -> Option<String>, now: Timestamp) -> Result<String, Problem> {
    let refused = |what: &str, hint: &str| Err(Problem::new(Code::Usage, what).hint(hint));
    if variable("GOVERNED_BREAK_GLASS").as_deref() != Some("true") {
        return refused("no reason was given", "say why with --reason");
    }
    let Some(reason) = variable("BREAK_GLASS_REASON") else {
        return refused(
            "GOVERNED_BREAK_GLASS is set, but BREAK_GLASS_REASON is not",
            "set it, or say why with --reason",
        );
    };
    let Some(at) = variable("BREAK_GLASS_TIMESTAMP") else {
        return refused(
            "GOVERNED_BREAK_GLASS is set, but BREAK_GLASS_TIMESTAMP is not",
            "set it to the time of the declaration, or say why with --reason",
        );
    };
    let Some(at) = Timestamp::parse(&at) else {
        return refused(
            "BREAK_GLASS_TIMESTAMP is not a time",
            "write it in UTC, like 2026-01-06T10:00:00Z",
        );
    };
    let age = at.until(now);
    if (-DECLARATION_MAX_AHEAD..=DECLARATION_MAX_AGE).contains(&age) {
        return Ok(reason);
    }
    Err(Problem::new(
        Code::Refused,
        format!(
            "the declaration in BREAK_GLASS_TIMESTAMP is of {} ({})",
            span::at(at),
            span::from_now(at, now)
        ),
    )
    .hint("a declaration counts for 15 minutes: declare anew, or say why with --reason"))
}

/// What is asked for; what is wrong with it is said here and not by the worker.
pub(super) fn ask(
    vault: String,
    access: String,
    incident: String,
    reason: String,
    duration: Option<String>,
    commander: Option<String>,
) -> Result<Ask, Problem> {
    use crate::trust::request::{MAX_INCIDENT, MAX_REASON};
    check_name("vault name", &vault)?;
    check_name("access profile's name", &access)?;
    check_text("incident", &incident, MAX_INCIDENT)?;
    check_text("reason", &reason, MAX_REASON)?;
    if let Some(commander) = &commander {
        check_name("commander's name", commander)?;
    }
    let duration_seconds = duration.as_deref().map(span::parse).transpose()?;
    if duration_seconds.is_some_and(|s| !(60..=11 * 3600).contains(&s)) {
        return Err(
            Problem::new(Code::Usage, "a session lasts 1 minute to 11 hours")
                .hint("give --duration something in between, e.g. 4h"),
        );
    }
    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    Ok(Ask {
        vault,
        access,
        incident,
        reason,
        duration_seconds,
        commander,
        nonce: Bytes(nonce),
        close_only: None,
        drill: false,
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
    })
}

/// Every field of the offer is what was asked, or follows from the roster.
fn offers_what_was_asked(
    request: &Request,
    ask: &Ask,
    view: &RequestView,
    roster: &Roster,
    uid: u32,
) -> Result<(), Problem> {
    let default = roster.access(&ask.access).map(|a| a.default_seconds);
    let seconds = match &ask.close_only {
        None if ask.drill => Some(CLOSE_ONLY_SECONDS),
        None => ask.duration_seconds.or(default).map(i64::from),
        Some(_) => Some(CLOSE_ONLY_SECONDS),
    };
    let me = roster.person_at(request.host, uid).map(|p| p.name.as_str());
    let same = [
        ("id", request.id == view.id),
        ("vault", request.vault == ask.vault),
        ("access", request.access == ask.access),
        ("incident", request.incident == ask.incident),
        ("reason", request.reason == ask.reason),
        ("commander", request.commander_claimed == ask.commander),
        ("nonce", request.operator_nonce == ask.nonce),
        ("earlier session", request.follows == ask.follows),
        ("purpose", ask.is_answered_by(&request.purpose)),
        ("operator", me == Some(request.operator.as_str())),
        (
            "duration",
            Some(request.not_before.until(request.not_after)) == seconds,
        ),
        (
            "policy",
            request.policy_sha256 == Digest::of(view.policy.as_bytes()),
        ),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((field, _)) => Err(Problem::new(
            Code::Tampering,
            format!("the host offers another {field} than was asked for"),
        )
        .hint("do not read any words to the custodians; tell the security officer")),
    }
}

fn shown(request: &Request, words: &[&str; 6], view: &RequestView) -> String {
    let now = Timestamp::now();
    let mut rows = match &request.purpose {
        Purpose::Open => {
            let mut rows = vec![("access", format!("{} as {}", request.access, request.role))];
            let also = request.also.iter();
            rows.extend(also.map(|t| ("and as", t.role_arn.clone())));
            rows
        }
        Purpose::Drill => vec![
            (
                "drill",
                format!("of {} as {}", request.access, request.role),
            ),
            (
                "opens",
                "nothing; the sealed key is replaced for real".to_owned(),
            ),
        ],
        Purpose::CloseOnly { requests } if requests.is_empty() => {
            vec![("closes", "nothing; the sealed key is replaced".to_owned())]
        }
        Purpose::CloseOnly { requests } => {
            let mut rows = vec![("closes", requests.join(", "))];
            rows.extend(request.secrets.iter().map(|s| ("rotates", s.clone())));
            rows
        }
        Purpose::Roster { version, .. } => vec![("takes up", format!("roster version {version}"))],
    };
    rows.extend(request.follows.iter().map(|id| ("continues", id.clone())));
    rows.push((
        "needs",
        format!("{}, {} so far", quorum(view), view.approved_by.len()),
    ));
    rows.push((
        "until",
        format!(
            "{} ({})",
            span::at(request.approve_before),
            span::from_now(request.approve_before, now)
        ),
    ));
    let next = if request.purpose.is_open() {
        rows.push((
            "access ends",
            format!(
                "{} ({} in all)",
                span::at(request.not_after),
                span::show(request.not_before.until(request.not_after))
            ),
        ));
        format!(", then twotap exec {} -- COMMAND", request.id)
    } else {
        String::new()
    };
    format!(
        "request {}\n{}{}\nread the words to the custodians on a call; they must see the same\nnext: twotap status --watch{next}",
        request.id,
        columns(&rows),
        screen::words_line(words),
    )
}

/// What the request needs, by the roster that was checked with it.
fn quorum(view: &RequestView) -> String {
    match view.roster_chain.last().map(Envelope::unverified::<Roster>) {
        Some(Ok(roster)) => roster.quorum_in_words(),
        _ => format!("{} custodians", view.threshold),
    }
}

fn json(
    request: &Request,
    words: &[&str; 6],
    digest: &Digest,
    view: &RequestView,
) -> serde_json::Value {
    serde_json::json!({
        "request": request.id,
        "vault": request.vault,
        "generation": request.generation,
        "stage": view.stage,
        "words": words,
        "request_sha256": digest,
        "threshold": view.threshold,
        "approved_by": view.approved_by,
        "approve_before": request.approve_before,
        "not_after": request.not_after,
        "account": request.account,
        "role": request.role,
        "also": request.also,
        "purpose": request.purpose,
        "follows": request.follows,
        "targets": view.targets,
        "outcome": view.outcome,
    })
}

/// Asks again and again, no longer than the request can live.
fn wait_until_open(agent: &Agent, request: &Request, door: &Door) -> Result<RequestView, Problem> {
    let life = request.not_before.until(request.approve_before);
    let deadline = Instant::now() + Duration::from_secs(u64::try_from(life).unwrap_or(0) + OPENING);
    let path = request_path(&request.id, "")?;
    let mut approved = 0;
    let waiting = door.ui.waiting("the custodians");
    loop {
        let view: RequestView = agent.ask(&path)?;
        waiting.now_for(match view.stage {
            Stage::Requested => format!("approvals: {}", view.tally()),
            _ => "the session to be opened".to_owned(),
        });
        for name in view.approved_by.iter().skip(approved) {
            door.ui.step(format!("approved by {}", plain(name)));
        }
        approved = view.approved_by.len();
        let why = || {
            view.outcome
                .as_deref()
                .map_or(String::new(), |o| format!(": {}", plain(o)))
        };
        let ended = |code| {
            let stage = status::stage(view.stage);
            Problem::new(code, format!("the request {stage}{}", why()))
        };
        match view.stage {
            Stage::Open | Stage::Closing | Stage::Closed => return Ok(view),
            Stage::Denied => {
                return Err(Problem::new(
                    Code::Approvals,
                    format!("the request was denied{}", why()),
                )
                .hint("talk to the custodians, then ask anew"));
            }
            Stage::Expired => {
                return Err(ended(Code::Approvals).hint("ask anew, and call the custodians first"));
            }
            Stage::Failed => return Err(ended(Code::Refused).hint("see twotap audit tail")),
            Stage::Requested | Stage::Approved if Instant::now() > deadline => {
                return Err(Problem::new(
                    Code::Approvals,
                    "the request's time is over and the agent says nothing of it",
                )
                .hint("see twotap status"));
            }
            Stage::Requested | Stage::Approved => std::thread::sleep(EVERY),
        }
    }
}

#[cfg(test)]
mod tests;
