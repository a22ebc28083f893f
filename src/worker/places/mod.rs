//! Places: where the sealed bundle is kept besides this host, and who may replace it.
//!
//! ```text
//! ask:      look ─▶ a newer generation at a place is checked and taken over
//! quorum:   turn ─▶ the claim, where a place holds one: of two hosts one goes on
//! rotation: required copies of what is sealed ─▶ ... ─▶ commit: the label moves, `current` follows ─▶ required copies ─▶ old key dies
//! ```
//!
//! A place never blocks an opening: what cannot be reached is shown, and keeps the rotation waiting only where the roster says
//! so (`required`, or the claim).

mod adopt;
mod claim;
mod copies;
mod folder;
mod secret;

use std::{fs::File, path::PathBuf};

pub(super) use adopt::look;
pub(super) use copies::{to_every_folder, to_required, to_the_others};

use super::{Worker, home::Vault};
use crate::{
    aws::Credentials,
    ceremony::rotation::Terms,
    protocol::{
        Problem,
        job::{Ask, PlaceStep, Step},
    },
    trust::roster::{Place, PlaceKind},
    vault::{Bundle, Generation, VaultError},
};

/// What `worker.toml` says of a place, `[places.NAME]`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceConfig {
    /// The folder of a `folder` place.
    pub(super) path: Option<PathBuf>,
    /// A key that may only read a `secret` place, as `aws iam create-access-key` prints it; mode 0600, the worker's own. With it
    /// this host finds newer generations when a request is made.
    pub(super) identity: Option<PathBuf>,
}

/// One host's turn at replacing what is sealed: from the quorum to the end of the rotation.
pub(super) struct Turn {
    request: Option<String>,
    /// What the operator types to ask again.
    again: String,
    claim: claim::State,
    /// Sessions of places' roles, by place.
    sessions: Vec<(String, Credentials)>,
    /// AWS did not know the opened key when it was last asked.
    unknown_key: bool,
    /// Held where a place holds the claim: one worker of a host at a time has a turn, so a claim of this host's that is found is a dead one's.
    _alone: Option<File>,
}

impl Turn {
    async fn tell(
        &mut self,
        worker: &mut Worker,
        vault: &str,
        step: PlaceStep,
    ) -> Result<(), Problem> {
        let journal = worker.home.journal(vault)?;
        let entry = journal.append(self.request.as_deref(), Step::Place(step), None)?;
        worker.link.report(entry).await;
        Ok(())
    }
}

/// The line by which an operator asks for the same once more, for a shell.
pub(super) fn again(ask: &Ask) -> String {
    if ask.drill {
        return format!(
            "twotap drill {} --full --access {} --incident {} --reason {}",
            quoted(&ask.vault),
            quoted(&ask.access),
            quoted(&ask.incident),
            quoted(&ask.reason)
        );
    }
    let what = match &ask.close_only {
        None => format!("--access {}", quoted(&ask.access)),
        Some(_) => "--close-only".to_owned(),
    };
    let mut line = format!(
        "twotap request {} {what} --incident {} --reason {}",
        quoted(&ask.vault),
        quoted(&ask.incident),
        quoted(&ask.reason)
    );
    if let Some(seconds) = ask.duration_seconds {
        let span = match seconds {
            s if s % 3600 == 0 => format!("{}h", s / 3600),
            s if s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        };
        line.push_str(&format!(" --duration {span}"));
    }
    for (option, value) in [
        ("--commander", &ask.commander),
        ("--scenario", &ask.scenario),
        ("--subject", &ask.subject),
    ] {
        if let Some(value) = value {
            line.push_str(&format!(" {option} {}", quoted(value)));
        }
    }
    if !ask.confirmed.is_empty() {
        let names: Vec<&str> = ask.confirmed.iter().map(|b| b.name()).collect();
        line.push_str(&format!(" --not-for {}", names.join(",")));
    }
    line
}

fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.,:/@%+=".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The place that holds the claim: its name, the secret's ARN and the role's.
fn claim_place(vault: &Vault) -> Option<(&str, &str, &str)> {
    vault.roster.places.iter().find_map(|p| match &p.kind {
        PlaceKind::Secret {
            secret_arn,
            role_arn,
            claim: true,
        } => Some((p.name.as_str(), secret_arn.as_str(), role_arn.as_str())),
        _ => None,
    })
}

/// What the roster's places ask of a rotation.
pub(super) fn terms(vault: &Vault) -> Terms {
    let required = |p: &Place| p.required && !holds_the_claim(p);
    Terms {
        still_sealed: true,
        claim: claim_place(vault).is_some(),
        copies: vault.roster.places.iter().any(required),
    }
}

/// Whether a generation will fit the secrets that the roster names.
pub(super) fn fits(vault: &Vault, generation: &Generation) -> Result<(), VaultError> {
    let secret = |p: &Place| matches!(p.kind, PlaceKind::Secret { .. });
    if vault.roster.places.iter().any(secret) {
        Bundle::new(generation, vault.chain.clone()).fits_a_secret()
    } else {
        Ok(())
    }
}

/// By what a place is read.
enum LookAt {
    Folder,
    /// The file of a key that may only read.
    Secret(PathBuf),
}

fn holds_the_claim(place: &Place) -> bool {
    matches!(place.kind, PlaceKind::Secret { claim: true, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Bytes;

    #[test]
    fn the_line_to_ask_again_is_what_a_shell_reads_back() {
        let mut ask = Ask {
            vault: "prod".into(),
            access: "admin".into(),
            incident: "INC-42".into(),
            reason: "it's down; `rm` $HOME".into(),
            duration_seconds: None,
            commander: None,
            nonce: Bytes(Vec::new()),
            close_only: None,
            drill: false,
            scenario: None,
            subject: None,
            confirmed: Vec::new(),
            follows: None,
        };
        assert_eq!(
            again(&ask),
            r"twotap request prod --access admin --incident INC-42 --reason 'it'\''s down; `rm` $HOME'"
        );
        ask.reason = "down".into();
        ask.duration_seconds = Some(5400);
        ask.commander = Some("ivan".into());
        assert!(again(&ask).ends_with("--reason down --duration 90m --commander ivan"));
        ask.duration_seconds = Some(4 * 3600);
        assert!(again(&ask).contains("--duration 4h"));
        ask.scenario = Some("outage".into());
        ask.subject = Some("u-1".into());
        ask.confirmed = crate::trust::request::BannedUse::ALL.to_vec();
        assert!(again(&ask).ends_with(
            "--scenario outage --subject u-1 --not-for routine-change,expediency,avoiding-review"
        ));
        (ask.scenario, ask.subject) = (None, None);
        ask.confirmed.clear();
        ask.duration_seconds = None;
        ask.commander = None;
        ask.close_only = Some(Vec::new());
        assert_eq!(
            again(&ask),
            "twotap request prod --close-only --incident INC-42 --reason down"
        );
        ask.close_only = None;
        ask.drill = true;
        assert_eq!(
            again(&ask),
            "twotap drill prod --full --access admin --incident INC-42 --reason down"
        );
    }
}
