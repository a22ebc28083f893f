//! `twotap doctor`: looks at this machine as it is, line by line; changes nothing.

use std::process::ExitCode;

use serde::Serialize;

use crate::{
    ceremony::accounts,
    protocol::{
        Problem,
        socket::{Stage, Status, VaultView},
    },
    token::{Bounds, Contents, Firmware, Reader, readers},
    trust::{
        Timestamp,
        firmware::{Model, advisories},
        request::Offer,
        roster::{Recording, Roster},
        seen::Seen,
        standing::Told,
    },
};

use super::{
    Door, Ended,
    client::{Agent, vault_path},
    files, memory, people, roster, sinks, span, token,
    ui::{Waiting, plain},
};

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub(super) struct Args {}

/// How far the clocks may be apart before it is said, in seconds.
const CLOCK_WARN: i64 = 60;
/// From here on requests and declarations fail because of it, in seconds.
const CLOCK_FAIL: i64 = 15 * 60;

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the examination.
#[derive(Serialize)]
struct Finding {
    verdict: Verdict,
    what: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn new(verdict: Verdict, what: &'static str, text: impl Into<String>) -> Self {
        Self {
            verdict,
            what,
            text: plain(&text.into()),
            hint: None,
        }
    }

    fn of(verdict: Verdict, what: &'static str, problem: Problem) -> Self {
        let finding = Self::new(verdict, what, problem.error);
        match problem.hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(plain(&hint.into()));
        self
    }
}

pub(super) fn run(_: Args, door: &Door) -> Ended {
    let mut findings = tokens();
    findings.extend(match door.agent() {
        Ok(agent) => agent_and_clock(&agent),
        Err(problem) => vec![Finding::of(Verdict::Fail, "agent", problem)],
    });
    findings.push(own_account());
    findings.push(own_state());

    let failed = findings.iter().any(|f| f.verdict == Verdict::Fail);
    let object = serde_json::json!({ "ok": !failed, "findings": findings });
    let text: String = findings.iter().map(line).collect();
    door.ui.result(&object, &text)?;
    Ok(ExitCode::from(u8::from(failed)))
}

fn line(finding: &Finding) -> String {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok:  ",
        Verdict::Warn => "warn:",
        Verdict::Fail => "fail:",
    };
    let mut line = format!("{verdict} {}: {}\n", finding.what, finding.text);
    if let Some(hint) = &finding.hint {
        line.push_str(&format!("      hint: {hint}\n"));
    }
    line
}

/// Only custodians need a token, so none is worth a warning and no more.
fn tokens() -> Vec<Finding> {
    let said = Waiting::begin("pcscd and the tokens");
    let found = readers(Bounds::default());
    drop(said);
    match found {
        Err(why) => {
            let mut finding = Finding::of(Verdict::Warn, "tokens", token::problem(why));
            finding.hint = finding.hint.map(|hint| format!("custodians: {hint}"));
            vec![finding]
        }
        Ok(readers) if readers.is_empty() => vec![
            Finding::new(
                Verdict::Warn,
                "tokens",
                "pcscd answers, and there is no reader",
            )
            .hint("custodians: plug in your yubikey"),
        ],
        Ok(readers) => readers
            .into_iter()
            .flat_map(|found| {
                let known = match found.contents {
                    Contents::Token { firmware, .. } => known(firmware),
                    _ => Vec::new(),
                };
                std::iter::once(reader(found)).chain(known)
            })
            .collect(),
    }
}

fn reader(reader: Reader) -> Finding {
    let name = reader.name;
    match reader.contents {
        Contents::Token { serial, firmware } => Finding::new(
            Verdict::Ok,
            "token",
            format!("{serial}, firmware {firmware}, in {name}"),
        ),
        Contents::TooOld(firmware) => Finding::new(
            Verdict::Warn,
            "token",
            format!("firmware {firmware} in {name} is too old"),
        )
        .hint("use a yubikey with firmware 5 or newer"),
        Contents::Empty => Finding::new(Verdict::Ok, "reader", format!("{name} is empty")),
        Contents::Other => Finding::new(
            Verdict::Ok,
            "reader",
            format!("{name} holds a card that is no yubikey"),
        ),
        Contents::Held { by } => Finding::new(
            Verdict::Warn,
            "reader",
            format!(
                "{name} is held by {}",
                by.as_deref().unwrap_or("another program")
            ),
        )
        .hint("close that program, e.g. for gnupg: gpgconf --kill scdaemon"),
        Contents::Failed(why) => {
            let problem = token::problem(why);
            Finding::of(
                Verdict::Warn,
                "reader",
                Problem {
                    error: format!("{name}: {}", problem.error),
                    ..problem
                },
            )
        }
    }
}

/// What is known of a firmware by itself; the token in the reader says nothing of its model here.
fn known(firmware: Firmware) -> Vec<Finding> {
    let found = advisories(firmware, Model::UNKNOWN).unwrap_or_default();
    let found = found.into_iter();
    found
        .map(|advisory| {
            Finding::new(Verdict::Warn, "advisory", advisory.to_string())
                .hint("use a token with newer firmware: that of a token cannot be changed")
        })
        .collect()
}

/// A token of a roster.
fn enrolled(token: &Told) -> Vec<Finding> {
    let shown = format!(
        "{} of {}, firmware {}: {}",
        token.serial, token.person, token.firmware, token.proof
    );
    let verdict = match token.by_maker {
        true => Verdict::Ok,
        false => Verdict::Warn,
    };
    let mut findings = vec![Finding::new(verdict, "enrolled", shown)];
    findings.extend(token.advisories.iter().map(|advisory| {
        let about = format!("token {} of {}: {advisory}", token.serial, token.person);
        Finding::new(Verdict::Warn, "advisory", about)
            .hint("have the custodian enrol a token with newer firmware")
    }));
    findings
}

/// Whether anybody could read a recording. By the agent's own word: nothing is sealed by it here.
fn readers_of(agent: &Agent, vault: &str) -> Option<Finding> {
    let view = vault_path(vault, "").and_then(|path| agent.ask::<VaultView>(&path));
    match view.and_then(|view| roster::shown(&view.roster_chain)) {
        Ok(roster) => unreadable(&roster),
        Err(problem) => Some(Finding::of(Verdict::Warn, "recording", problem)),
    }
}

fn unreadable(roster: &Roster) -> Option<Finding> {
    let wanted = roster.access.iter().any(|a| a.recording != Recording::Off);
    if !wanted || roster.readers().next().is_some() {
        return None;
    }
    let vault = &roster.vault;
    let text = format!("no officer of {vault} has a recipient: nothing can be recorded");
    let hint = format!(
        "age-keygen -o officer.key; its public key is recipient in people.toml: twotap roster propose {vault} --people people.toml"
    );
    Some(Finding::new(Verdict::Warn, "recording", text).hint(hint))
}

fn agent_and_clock(agent: &Agent) -> Vec<Finding> {
    let before = Timestamp::now();
    let status: Status = match agent.ask("/v1/status") {
        Ok(status) => status,
        Err(problem) => return vec![Finding::of(Verdict::Fail, "agent", problem)],
    };
    let mut findings = vec![
        Finding::new(
            Verdict::Ok,
            "agent",
            format!("version {} at {}", status.version, agent.shown()),
        ),
        if status.you.roles.is_empty() {
            Finding::new(
                Verdict::Warn,
                "you",
                format!("{} has no role", status.you.name),
            )
            .hint("people and accounts stand in the roster: ask the custodians")
        } else {
            Finding::new(
                Verdict::Ok,
                "you",
                format!(
                    "{}: {}{}",
                    status.you.name,
                    status.you.roles.join(", "),
                    people::of_caller(&status.you)
                ),
            )
        },
    ];
    if status.vaults.is_empty() {
        findings.push(
            Finding::new(Verdict::Warn, "vaults", "the agent has none")
                .hint("draw one up: twotap vault create"),
        );
    }
    for vault in &status.vaults {
        findings.push(match vault.generation {
            Some(generation) => Finding::new(
                Verdict::Ok,
                "vault",
                format!("{}, generation {generation}", vault.vault),
            ),
            None => Finding::new(
                Verdict::Warn,
                "vault",
                format!("nothing is sealed in {}", vault.vault),
            )
            .hint(format!("twotap vault seal {} --from -", vault.vault)),
        });
    }
    for vault in &status.vaults {
        findings.extend(vault.tokens.iter().flat_map(enrolled));
        findings.extend(readers_of(agent, &vault.vault));
    }
    findings.extend(status.sinks.iter().map(|sink| {
        let behind = sink.lag > 0 || sink.failing_seconds.is_some() || sink.complaint.is_some();
        let verdict = if behind { Verdict::Warn } else { Verdict::Ok };
        Finding::new(verdict, "record", sinks::row(sink, before).1)
    }));
    for degraded in &status.degraded {
        findings.push(Finding::new(Verdict::Warn, "degraded", degraded.as_str()));
    }
    findings.push(clock(&status, before));
    findings
}

/// Compares the clock with the newest time that AWS's clock has put into an open request, as far as there is one: both must lie around now.
fn clock(status: &Status, now: Timestamp) -> Finding {
    let newest = status
        .requests
        .iter()
        .filter(|r| matches!(r.stage, Stage::Requested))
        .filter_map(|r| r.offer.unverified::<Offer>().ok())
        .map(|Offer(request)| request.not_before)
        .max();
    judge_clock(newest, now)
}

fn judge_clock(newest: Option<Timestamp>, now: Timestamp) -> Finding {
    let shown = span::at(now);
    match newest.map(|newest| now.until(newest)) {
        // A request of the future: this clock is behind.
        Some(behind) if behind > CLOCK_FAIL => Finding::new(
            Verdict::Fail,
            "clock",
            format!("{shown} is {} behind", span::show(behind)),
        )
        .hint("set the clock: timedatectl set-ntp true"),
        Some(behind) if behind > CLOCK_WARN => Finding::new(
            Verdict::Warn,
            "clock",
            format!("{shown} is {} behind", span::show(behind)),
        )
        .hint("set the clock: timedatectl set-ntp true"),
        // Before this program existed: a machine without a clock.
        _ if now.0 < 1_767_225_600 => {
            Finding::new(Verdict::Fail, "clock", format!("{shown} cannot be right"))
                .hint("set the clock: timedatectl set-ntp true")
        }
        _ => Finding::new(Verdict::Ok, "clock", shown),
    }
}

/// Whether this machine's user database lets one person answer for this account. The agent's host decides by its own.
fn own_account() -> Finding {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    judge_account(uid, &String::from_utf8_lossy(&passwd))
}

fn judge_account(uid: u32, passwd: &str) -> Finding {
    let shown = match accounts::name(passwd, uid) {
        Some(name) => format!("uid {uid} ({name})"),
        None => format!("uid {uid}"),
    };
    match accounts::shared(passwd, &[]).get(&uid) {
        None => Finding::new(Verdict::Ok, "account", shown),
        Some(why) => Finding::new(
            Verdict::Warn,
            "account",
            format!("{shown} is not one person's: {why}"),
        )
        .hint("run twotap under an account of your own: the agent refuses shared ones"),
    }
}

fn own_state() -> Finding {
    let folder = match memory::folder() {
        Ok(folder) => folder,
        Err(problem) => return Finding::of(Verdict::Fail, "own state", problem),
    };
    let file = folder.join("seen.json");
    if let Err(problem) = memory::check_private(&folder) {
        return Finding::of(Verdict::Fail, "own state", problem);
    }
    match Seen::open(&file) {
        Err(why) => Finding::of(Verdict::Fail, "own state", why.into()),
        Ok(_) if file.exists() => Finding::new(
            Verdict::Ok,
            "own state",
            format!("{} is yours alone", files::shown(&file)),
        ),
        Ok(_) => Finding::new(
            Verdict::Ok,
            "own state",
            "empty: this machine has met no vault yet",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::trust::{
        roster::Role,
        tests::people::{self, SoftToken},
    };

    #[test]
    fn a_clock_that_lags_is_found_by_a_request_from_the_future() {
        let now = Timestamp::parse("2026-02-01T10:00:00Z").expect("a time");
        for (ahead, verdict) in [(0, Verdict::Ok), (61, Verdict::Warn), (901, Verdict::Fail)] {
            assert!(
                judge_clock(Some(now.plus(ahead)), now).verdict == verdict,
                "{ahead}"
            );
        }
        assert!(judge_clock(None, now).verdict == Verdict::Ok);
        assert!(judge_clock(None, Timestamp(0)).verdict == Verdict::Fail);
    }

    #[test]
    fn an_account_of_many_is_found_before_the_agent_refuses_it() {
        let passwd = "ubuntu:x:1000:1000::/:/bin/sh\ndana:x:1001:1001::/:/bin/sh\n";
        let judged = |uid| judge_account(uid, passwd);
        assert!(judged(1001).verdict == Verdict::Ok);
        assert_eq!(judged(1001).text, "uid 1001 (dana)");
        assert_eq!(judged(1002).text, "uid 1002");
        assert!(judged(1000).verdict == Verdict::Warn);
        assert_eq!(
            judged(1000).text,
            "uid 1000 (ubuntu) is not one person's: 'ubuntu' is shared by custom"
        );
    }

    #[test]
    fn a_roster_under_which_nothing_can_be_recorded_is_found() {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let mut roster = people::roster(2, &[&alice, &bob]);
        let found = unreadable(&roster).expect("nobody has a recipient");
        assert!(found.verdict == Verdict::Warn, "{}", found.text);
        for access in &mut roster.access {
            access.recording = Recording::Off;
        }
        assert!(unreadable(&roster).is_none(), "nothing is to be recorded");
        roster.access[0].recording = Recording::Wanted;
        let officers = roster.people.iter_mut();
        for officer in officers.filter(|p| p.roles.contains(&Role::Officer)) {
            officer.recipient = Some("age1".to_owned());
        }
        assert!(unreadable(&roster).is_none(), "officers read it");
    }

    #[test]
    fn a_finding_is_one_line_and_its_hint() {
        let finding = Finding::new(Verdict::Warn, "token", "old\u{1b}").hint("buy one");
        assert_eq!(
            line(&finding),
            "warn: token: old\\u{1b}\n      hint: buy one\n"
        );
    }
}
