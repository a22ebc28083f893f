//! The operator's session, handed to commands.
//!
//! * [`Opened`] is the session that is meant, as everything here is given it;
//! * [`config`] writes the private AWS configuration and says what a command's environment must not hold;
//! * [`run`] runs a command under supervision, [`signals`] go on to it, and its exit code becomes ours;
//! * [`expiry`] speaks up when the end comes near;
//! * [`recorded`] runs a command that is recorded, on a terminal of our own making ([`pty`]);
//! * [`prompt`] puts the time left into a shell's prompt;
//! * the rest is a verb each: [`exec`], [`shell`], [`env`]; [`console`] signs in to the console, over the wire that [`signin`] owns.
//!
//! A command gets no secret in its environment: its SDK calls `twotap credentials` by `credential_process` whenever it wants the session, and
//! so notices when the session has ended.

pub(super) mod config;
pub(super) mod console;
pub(super) mod env;
pub(super) mod exec;
pub(super) mod expiry;
mod prompt;
pub(super) mod pty;
mod recorded;
pub(super) mod run;
pub(super) mod shell;
mod signals;
mod signin;

use std::path::PathBuf;

use crate::{
    protocol::{
        Code, Problem,
        socket::{RequestView, Stage, TargetState},
    },
    trust::request::{Offer, Request},
};

use super::{
    Door,
    client::request_path,
    open, people, relay, status,
    ui::{Ui, plain},
};

/// An open session, as the agent shows it.
pub(super) struct Opened {
    /// The request's id.
    pub(super) id: String,
    /// The request, as it was signed; for display and defaults alone, its signature is not looked at.
    pub(super) request: Request,
    /// What the agent shows of it.
    pub(super) view: RequestView,
    /// Whether it was not named, so that commands go on with the session that continues it.
    pub(super) onward: bool,
    /// The agent's socket, as an absolute path.
    pub(super) socket: PathBuf,
}

impl Opened {
    /// The session that was named, else the caller's only open one.
    pub(super) fn find(door: &Door, named: Option<String>) -> Result<Self, Problem> {
        let agent = door.agent()?;
        let onward = named.is_none();
        let id = open::session(&agent, named)?;
        let view: RequestView = agent.ask(&request_path(&id, "")?)?;
        if view.stage != Stage::Open {
            return Err(Problem::new(
                Code::Refused,
                format!("session {id} is not open: {}", status::stage(view.stage)),
            )
            .hint("see twotap status"));
        }
        let Offer(request) = view.offer.unverified::<Offer>()?;
        people::own(&request, &view)?;
        let socket = agent.socket().ok_or_else(relay::stays_here)?;
        let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
        Ok(Self {
            id,
            request,
            view,
            onward,
            socket,
        })
    }

    /// The session as `twotap credentials` is asked for it.
    pub(super) fn named(&self) -> String {
        match self.onward {
            true => format!("--onward {}", self.id),
            false => self.id.clone(),
        }
    }

    /// The Region that commands use where they name none.
    pub(super) fn region(&self) -> &str {
        self.request
            .regions
            .first()
            .map_or("us-east-1", String::as_str)
    }

    /// The roles that are open, if there are several; with one there is nothing to choose from.
    pub(super) fn roles(&self) -> Vec<Role> {
        roles(&self.view)
    }

    /// Says which profiles there are, and which roles could not be opened.
    pub(super) fn tell(&self, ui: &Ui) {
        let roles = self.roles();
        if let [_, _, ..] = roles.as_slice() {
            let names: Vec<String> = roles.iter().map(Role::profile).collect();
            ui.note(format!("profiles: {}", names.join(", ")));
        }
        for target in &self.view.targets {
            if let TargetState::NotOpened { why } = &target.state {
                ui.warn(plain(&format!("{} was not opened: {why}", target.role)));
            }
        }
    }
}

/// A role that the session is open in.
pub(super) struct Role {
    pub(super) account: String,
    pub(super) name: String,
}

impl Role {
    /// The name of its profile.
    pub(super) fn profile(&self) -> String {
        format!("twotap-{}-{}", self.account, self.name)
    }
}

fn roles(view: &RequestView) -> Vec<Role> {
    let written = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+=,.@-_".contains(&b))
    };
    if view.targets.len() < 2 {
        return Vec::new();
    }
    view.targets
        .iter()
        .filter(|t| t.state == TargetState::Open)
        .map(|t| Role {
            account: t.account.clone(),
            name: t.role.rsplit('/').next().unwrap_or_default().to_owned(),
        })
        .filter(|r| written(&r.account) && written(&r.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    #[test]
    fn each_of_several_roles_has_a_profile_and_none_takes_the_place_of_the_first() {
        let mut view = crate::cli::tests::view(&crate::cli::tests::sample_request(), String::new());
        let target = |account: &str, state| crate::protocol::socket::TargetView {
            account: account.to_owned(),
            role: format!("arn:aws:iam::{account}:role/twotap/op-admin"),
            state,
            since: crate::trust::Timestamp(0),
            refused: Vec::new(),
            setback: None,
        };
        let why = "refused".to_owned();
        view.targets = vec![target("111122223333", TargetState::NotOpened { why })];
        assert!(roles(&view).is_empty());
        view.targets.push(target("444455556666", TargetState::Open));
        view.targets.push(target("777788889999", TargetState::Open));
        let text = config::text(
            Path::new("/t"),
            Path::new("/a"),
            "r-abcdefghijklm",
            "eu-central-1",
            &roles(&view),
        )
        .expect("plain paths");
        let names: Vec<&str> = text.lines().filter(|l| l.starts_with('[')).collect();
        assert_eq!(
            names,
            [
                "[default]",
                "[profile break-glass]",
                "[profile twotap-444455556666-op-admin]",
                "[profile twotap-777788889999-op-admin]"
            ]
        );
        let first = text.lines().nth(1).expect("a line");
        assert!(first.ends_with("credentials r-abcdefghijklm"), "{first}");
        assert!(
            text.contains("credentials r-abcdefghijklm --account 444455556666 --role op-admin\n")
        );
    }
}
