//! Which vault is meant, where none is named.

use crate::{
    protocol::{Code, Problem, socket::Status},
    trust::text::check_name,
};

use super::{Door, client::Agent, ui::plain};

/// The vault that is named; else the only one, or the one that is chosen at the terminal. `by` is how it is named on the command line.
pub(super) fn the_vault(
    named: Option<&str>,
    by: &str,
    agent: &Agent,
    door: &Door,
) -> Result<String, Problem> {
    if let Some(named) = named {
        check_name("vault name", named)?;
        return Ok(named.to_owned());
    }
    let status: Status = agent.ask("/v1/status")?;
    let names: Vec<&str> = status.vaults.iter().map(|v| v.vault.as_str()).collect();
    match &names[..] {
        [only] => Ok((*only).to_owned()),
        [] => {
            Err(Problem::new(Code::Usage, "this host has no vault of yours")
                .hint("see twotap status"))
        }
        several if door.ui.has_terminal() => {
            let question = format!("vault ({}):", plain(&several.join(", ")));
            let chosen = door.ui.choose(&question, several)?;
            chosen.map(|at| several[at].to_owned()).ok_or_else(|| {
                Problem::new(Code::Usage, "there was no good answer to: vault")
                    .hint(one_of(several, by))
            })
        }
        several => Err(Problem::new(Code::Usage, "no vault is named").hint(one_of(several, by))),
    }
}

fn one_of(names: &[&str], by: &str) -> String {
    format!("name one with {by}: {}", plain(&names.join(", ")))
}
