//! `twotap access show`: what a session of an access profile could do, in plain words.

mod words;

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use crate::{
    protocol::{Code, Problem, socket::VaultView},
    trust::{
        pattern,
        power::{self, document},
        request::check_subject,
        roster::{Access, Roster},
    },
};

use super::{
    Door, Ended,
    choice::the_vault,
    client::vault_path,
    inputs,
    roster::{believed, read_newest, shown},
    screen::danger,
    span,
    ui::{columns, plain},
};

/// Arguments of `access`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Say in plain words what a session of an access profile could do
    Show(ShowArgs),
}

#[derive(clap::Args)]
struct ShowArgs {
    /// Name of the profile
    name: String,
    /// Fill in this subject
    #[arg(long)]
    subject: Option<String>,
    /// The vault; where absent the agent's only one, or asked for
    #[arg(long)]
    vault: Option<String>,
    /// Read the profile from an access.toml or a roster file instead of asking the agent
    #[arg(long, value_name = "FILE", conflicts_with = "vault")]
    from: Option<PathBuf>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let Verb::Show(args) = args.verb;
    show(&args, door)
}

fn show(args: &ShowArgs, door: &Door) -> Ended {
    let profiles = match &args.from {
        Some(file) if file.extension().is_some_and(|e| e == "toml") => inputs::access(file)?.1,
        Some(file) => read_newest(file)?.access,
        None => roster(args.vault.as_deref(), door)?.access,
    };
    let Some(access) = profiles.iter().find(|a| a.name == args.name) else {
        let names: Vec<&str> = profiles.iter().map(|a| a.name.as_str()).collect();
        return Err(Problem::new(
            Code::Usage,
            format!("there is no access profile '{}'", plain(&args.name)),
        )
        .hint(format!("there are: {}", names.join(", "))));
    };
    if let Some(subject) = &args.subject {
        check_subject(subject)?;
        let like = access.subject.as_deref();
        if like.is_none_or(|like| !pattern::matches(like, subject)) {
            let why = match like {
                Some(like) => format!(
                    "no subject of access '{}' is called that; they look like {like}",
                    access.name
                ),
                None => format!("access '{}' is about no subject", access.name),
            };
            return Err(Problem::new(Code::Usage, plain(&why)));
        }
    }
    let statements = document::read(&access.policy.0)
        .map_err(|why| Problem::new(Code::Usage, &why).hint_if(why.hint()))?;
    let found = power::power(&statements);
    let said = words::of(&statements, args.subject.as_deref());
    let object = json!({
        "access": access.name,
        "account": access.account,
        "role": access.role_arn,
        "subject": access.subject,
        "allows": said.allows,
        "denies": said.denies,
        "broad": { "declared": access.broad, "found": found.broad },
        "persistence": { "declared": access.persistence, "found": found.lasting },
    });
    let text = format!(
        "access {}\n{}\nwith it somebody can\n{}{}\nand in any case\n{}{}",
        access.name,
        columns(&head(access, args.subject.as_deref())),
        listed(&said.allows),
        match said.denies.is_empty() {
            true => String::new(),
            false => format!("\nbut never\n{}", listed(&said.denies)),
        },
        listed(&always(access)),
        danger::block(&danger::of_access(access), false),
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn head(access: &Access, subject: Option<&str>) -> Vec<(&'static str, String)> {
    let mut rows = vec![("role", access.role_arn.clone())];
    rows.extend(access.also.iter().map(|t| ("and", t.role_arn.clone())));
    rows.push((
        "length",
        format!(
            "{}, at most {}",
            span::show(access.default_seconds.into()),
            span::show(access.max_seconds.into())
        ),
    ));
    let shown = match (subject, &access.subject) {
        (Some(subject), _) => Some(subject.to_owned()),
        (None, Some(pattern)) => Some(format!("has to be named; looks like {pattern}")),
        (None, None) => None,
    };
    rows.extend(shown.map(|text| ("subject", text)));
    rows.into_iter()
        .map(|(name, value)| (name, plain(&value)))
        .collect()
}

/// What every session has, whatever its profile says.
fn always(access: &Access) -> Vec<String> {
    vec![
        "no more than the role itself may: its own policies and its permissions boundary count as well".to_owned(),
        "nothing after the end of the request, and no other role can be taken".to_owned(),
        format!(
            "{} works until then: that it is refused shows that the session has ended",
            plain(&access.probe)
        ),
    ]
}

fn listed(lines: &[String]) -> String {
    match lines {
        [] => "  nothing\n".to_owned(),
        lines => lines.iter().map(|line| format!("  {line}\n")).collect(),
    }
}

/// A condition in plain words; variables stay as they are written.
pub(super) fn condition(condition: &document::Condition) -> String {
    words::condition(condition, str::to_owned)
}

/// The roster of a vault, as this person has seen it; where none is named of the agent's only vault, or of the one that is chosen.
pub(super) fn roster(vault: Option<&str>, door: &Door) -> Result<Roster, Problem> {
    let agent = door.agent()?;
    let vault = the_vault(vault, "--vault", &agent, door)?;
    let view: VaultView = agent.ask(&vault_path(&vault, "")?)?;
    believed(&vault, &view.roster_chain, door)?;
    shown(&view.roster_chain)
}
