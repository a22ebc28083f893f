//! `twotap explain`: why AWS refused a call, and the request that would allow it.
//!
//! The error is taken apart by [`refusal`]; which profile would have allowed the call is told from the signed roster alone, so it is what could
//! be asked for and not what the role in AWS may besides.

use std::{
    io::{IsTerminal as _, Read as _},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::json;

use crate::{
    protocol::{Code, Problem, socket::RequestView},
    trust::{
        Timestamp,
        power::{
            allows::{Grant, would_allow},
            refusal::{self, Because, MAX_TEXT, Refused, Said},
        },
        request::{Offer, Request},
        roster::{Access, Roster},
    },
};

use super::{
    Door, Ended, access,
    client::request_path,
    files, open, roster, span,
    ui::{columns, plain},
};

/// The most requests that are offered.
const MOST: usize = 3;

/// Arguments of `explain`.
#[derive(clap::Args)]
#[command(
    after_help = "  twotap explain 'An error occurred (AccessDenied) when calling ...'\n  \
aws s3 cp s3://... . 2>&1 | twotap explain"
)]
pub(super) struct Args {
    /// What was printed; without it and without --from, standard input
    text: Vec<String>,
    /// Read what was printed from a file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    from: Option<PathBuf>,
    /// The session that was refused; without it, your only open one, if there is one
    #[arg(long, value_name = "REQUEST")]
    session: Option<String>,
    /// The vault whose profiles are looked through; the session's, else the agent's only one, or asked for
    #[arg(long)]
    vault: Option<String>,
    /// Look through the profiles of this roster file instead of asking the agent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vault", "session"])]
    roster: Option<PathBuf>,
}

/// Against what a refusal is read: the roster, and the session's own request where it is known.
struct Context {
    roster: Roster,
    request: Option<Request>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let text = text(&args, door)?;
    let Some(said) = refusal::read(&text) else {
        return Err(
            Problem::new(Code::Usage, "nothing in that text is a refusal by aws")
                .hint("give what the failing command printed, with the line that begins 'An error occurred'"),
        );
    };
    let context = match context(&args, door) {
        Ok(context) => Some(context),
        // What AWS said can be told without an agent; what could be asked for cannot.
        Err(why) if args.roster.is_none() && args.session.is_none() && args.vault.is_none() => {
            let why = plain(&why.to_string());
            door.ui
                .note(format!("what could be asked for is not known: {why}"));
            None
        }
        Err(why) => return Err(why),
    };
    let advice = Advice::of(&said, context.as_ref(), Timestamp::now());
    let object = json!({
        "refused": advice.json,
        "why": advice.why,
        "requests": advice.requests,
    });
    door.ui.result(&object, &advice.text())?;
    Ok(ExitCode::SUCCESS)
}

/// What a failed command's last words mean, for whoever ran it with a session: lines to show, none where AWS refused nothing.
///
/// For `exec` and `shell`: `tail` is the end of the command's standard error. Never fails and asks the agent at most once.
pub(super) fn of_tail(tail: &str, session: &str, door: &Door) -> Vec<String> {
    let Some(said) = refusal::read(tail) else {
        return Vec::new();
    };
    let context = of_session(session, door).ok();
    let advice = Advice::of(&said, context.as_ref(), Timestamp::now());
    advice.text().lines().map(str::to_owned).collect()
}

fn text(args: &Args, door: &Door) -> Result<String, Problem> {
    if !args.text.is_empty() {
        return Ok(args.text.join(" "));
    }
    match &args.from {
        Some(file) if file.as_os_str() != "-" => {
            Ok(String::from_utf8_lossy(&files::read(file)?).into_owned())
        }
        _ => {
            if std::io::stdin().is_terminal() {
                door.ui.note(
                    "waiting for the error: paste it, then Ctrl-D at the beginning of a line",
                );
            }
            // Its end is what counts, and a log may be long.
            let mut kept = Vec::new();
            let mut chunk = [0; 8192];
            let mut input = std::io::stdin().lock();
            loop {
                let read = input.read(&mut chunk).map_err(|why| {
                    Problem::new(Code::Usage, format!("cannot read standard input: {why}"))
                })?;
                if read == 0 {
                    break;
                }
                kept.extend_from_slice(&chunk[..read]);
                if kept.len() > 2 * MAX_TEXT {
                    kept.drain(..kept.len() - MAX_TEXT);
                }
            }
            Ok(String::from_utf8_lossy(&kept).into_owned())
        }
    }
}

fn context(args: &Args, door: &Door) -> Result<Context, Problem> {
    if let Some(file) = &args.roster {
        return Ok(Context {
            roster: roster::read_newest(file)?,
            request: None,
        });
    }
    let session = match (&args.session, &args.vault) {
        (Some(session), _) => Some(session.clone()),
        (None, Some(_)) => None,
        (None, None) => open::session(&door.agent()?, None).ok(),
    };
    match session {
        Some(session) => of_session(&session, door),
        None => Ok(Context {
            roster: access::roster(args.vault.as_deref(), door)?,
            request: None,
        }),
    }
}

fn of_session(session: &str, door: &Door) -> Result<Context, Problem> {
    let view: RequestView = door.agent()?.ask(&request_path(session, "")?)?;
    let Offer(request) = view.offer.unverified()?;
    Ok(Context {
        roster: roster::shown(&view.roster_chain)?,
        request: Some(request),
    })
}

/// What is said about a refusal.
struct Advice {
    rows: Vec<(&'static str, String)>,
    why: String,
    requests: Vec<String>,
    /// Below the rows, where no request would help.
    instead: Option<String>,
    json: serde_json::Value,
}

impl Advice {
    fn of(said: &Said, context: Option<&Context>, now: Timestamp) -> Self {
        match said {
            Said::Refused(refused) => Self::refused(refused, context, now),
            Said::Expired => Self::ended(
                "the session's time is over; it is not renewed",
                "ask for the next one: twotap request --again",
            ),
            Said::Unknown => Self::ended(
                "aws does not know these credentials, or takes them no more: the session was closed, or the command used another profile",
                "see twotap status; with a session, commands use it by: twotap shell, or twotap exec -- COMMAND",
            ),
            Said::Clock => Self::ended(
                "this machine's clock is too far from aws's, or the credentials are not the session's",
                "set the clock; twotap doctor says how far it is off",
            ),
        }
    }

    fn ended(why: &str, instead: &str) -> Self {
        Self {
            rows: Vec::new(),
            why: why.to_owned(),
            requests: Vec::new(),
            instead: Some(instead.to_owned()),
            json: serde_json::Value::Null,
        }
    }

    fn refused(refused: &Refused, context: Option<&Context>, now: Timestamp) -> Self {
        let what = match (&refused.action, &refused.operation) {
            (Some(action), _) => action.clone(),
            (None, Some(operation)) => format!("operation {operation}"),
            (None, None) => "a call that is not named".to_owned(),
        };
        let on = refused.resource.as_ref();
        let on = on.map_or(String::new(), |r| format!(" on {r}"));
        let mut rows = vec![("refused", format!("{what}{on}"))];
        rows.extend(refused.principal.iter().map(|who| ("to", who.clone())));
        let why = because(refused, context.and_then(|c| c.request.as_ref()), now);
        rows.push(("because", why.clone()));
        let found = context.map_or_else(Vec::new, |context| helpful(refused, context));
        let instead = found.is_empty().then(|| nothing(refused, context));
        for (access, grant) in &found {
            rows.push(("allowed by", terms(access, grant)));
        }
        let requests = match context {
            Some(context) => found
                .iter()
                .map(|(access, grant)| line(access, grant, context))
                .collect(),
            None => Vec::new(),
        };
        Self {
            rows,
            why,
            requests,
            instead,
            json: json!({
                "action": refused.action,
                "operation": refused.operation,
                "resource": refused.resource,
                "principal": refused.principal,
            }),
        }
    }

    fn text(&self) -> String {
        let rows = self.rows.iter().map(|(name, text)| (*name, plain(text)));
        let rows: Vec<(&str, String)> = rows.collect();
        let mut text = match rows.is_empty() {
            true => format!("{}\n", self.why),
            false => columns(&rows),
        };
        for request in &self.requests {
            text.push_str(&format!("ask for it: {}\n", plain(request)));
        }
        if let Some(instead) = &self.instead {
            text.push_str(&format!("{}\n", plain(instead)));
        }
        text
    }
}

/// By whose word, in plain words.
fn because(refused: &Refused, request: Option<&Request>, now: Timestamp) -> String {
    let over = request.filter(|r| r.not_after <= now);
    let role_change = matches!(
        refused.action.as_deref(),
        Some("sts:AssumeRole" | "sts:AssumeRoot")
    );
    match refused.because {
        Because::SessionDenies if over.is_some() => format!(
            "the session's time was over at {}",
            over.map_or(String::new(), |r| span::at(r.not_after))
        ),
        Because::SessionDenies if role_change => {
            "a session takes no other role: each role that is needed is asked for".to_owned()
        }
        Because::SessionDenies => "the session's own policy denies it".to_owned(),
        Because::SessionSilent => match request {
            Some(request) => format!(
                "what was asked for, access {}{}, does not include it",
                request.access,
                request
                    .subject
                    .as_ref()
                    .map_or(String::new(), |s| format!(" for {s}"))
            ),
            None => "the session's own policy does not allow it".to_owned(),
        },
        Because::RoleSilent => "the role's own policies do not allow it".to_owned(),
        Because::RoleDenies => {
            "the role denies it: as it does once a session is closed, and in what it is kept from"
                .to_owned()
        }
        Because::Boundary => "the role's permissions boundary keeps it out".to_owned(),
        Because::Organisation => "the organisation's policies keep it out".to_owned(),
        Because::Resource => "the resource's own policy does not let it in".to_owned(),
        Because::Unsaid => "aws does not say by whose word".to_owned(),
    }
}

/// The profiles under which the call would be allowed, the narrowest first.
fn helpful<'c>(refused: &Refused, context: &'c Context) -> Vec<(&'c Access, Grant)> {
    let Some(action) = &refused.action else {
        return Vec::new();
    };
    let own = context.request.as_ref();
    let of_role = matches!(refused.because, Because::RoleSilent | Because::RoleDenies);
    if matches!(
        refused.because,
        Because::Boundary | Because::Organisation | Because::Resource
    ) {
        return Vec::new();
    }
    let mut found: Vec<(&Access, Grant)> = context
        .roster
        .access
        .iter()
        // The role itself was the obstacle: under the same role it would be again.
        .filter(|a| !(of_role && own.is_some_and(|r| r.role == a.role_arn)))
        .filter_map(|a| Some((a, would_allow(a, action, refused.resource.as_deref())?)))
        // What the session has is no help, unless it is for somebody else or on terms that did not hold.
        .filter(|(a, grant)| {
            let same = own.is_some_and(|r| {
                r.access == a.name && (grant.subject.is_none() || grant.subject == r.subject)
            });
            !same || !grant.conditions.is_empty()
        })
        .collect();
    found.sort_by_key(|(_, grant)| {
        let wide = grant.power.broad.len() + grant.power.lasting.len();
        (wide, grant.size, grant.conditions.len())
    });
    found.truncate(MOST);
    found
}

/// What is said where no request would help.
fn nothing(refused: &Refused, context: Option<&Context>) -> String {
    match (refused.because, &refused.action, context) {
        (Because::Boundary | Because::Organisation | Because::Resource, ..) => {
            "no request changes that: it is changed in aws, by whoever owns it".to_owned()
        }
        (_, None, _) => {
            "which action it was is not in the text: give more of it, e.g. of the command with --debug"
                .to_owned()
        }
        (.., None) => "ask the agent, or name a roster with --roster, for what would allow it".to_owned(),
        (.., Some(context)) => format!(
            "no other access profile of vault {} allows it: its custodians would have to sign one (twotap roster propose --access)",
            context.roster.vault
        ),
    }
}

fn terms(access: &Access, grant: &Grant) -> String {
    let mut text = format!("access {}", access.name);
    if let Some(subject) = &grant.subject {
        text.push_str(&format!(" for {subject}"));
    }
    let only: Vec<String> = grant.conditions.iter().map(access::condition).collect();
    if !only.is_empty() {
        text.push_str(&format!(", only where {}", only.join(" and ")));
    }
    if !grant.power.is_plain() {
        text.push_str("; much more comes with it");
    }
    text
}

/// The command that asks for it.
fn line(access: &Access, grant: &Grant, context: &Context) -> String {
    let roster = &context.roster;
    let mut line = format!("twotap request {} --access {}", roster.vault, access.name);
    if !roster.scenarios.is_empty() {
        let fits = |s: &&crate::trust::roster::Scenario| s.access.contains(&access.name);
        let name = roster.scenarios.iter().find(fits).map(|s| s.name.as_str());
        line.push_str(&format!(" --scenario {}", name.unwrap_or("NAME")));
    }
    if access.subject.is_some() || grant.subject.is_some() {
        let subject = grant.subject.as_deref().unwrap_or("SUBJECT");
        line.push_str(&format!(" --subject {subject}"));
    }
    let incident = context.request.as_ref().map_or("ID", |r| &r.incident);
    line.push_str(&format!(" --incident {} --reason TEXT", quoted(incident)));
    line
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let bare = word
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+=".contains(&b));
    match bare && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
