//! What the worker's own journal says of the sessions that it has opened: which may still be open, and which revocations stand.
//!
//! The journal outlives a reboot, which takes the sessions themselves; and no agent's word goes into it.

use super::{Worker, home::Vault, room};
use crate::{
    aws::revocation,
    protocol::{
        Code, Problem,
        job::{Entry, SecretStep, Step},
    },
    trust::{Timestamp, request::MOST_SECRETS, roster::Target},
};

/// A request whose sessions were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) request: String,
    pub(super) targets: Vec<Target>,
    /// Name of its revocation policy.
    pub(super) revocation: String,
    /// When access ends.
    pub(super) not_after: Timestamp,
    /// When the last of its credentials has surely ended, and with them the use of its revocation.
    pub(super) ends: Timestamp,
    pub(super) standing: Standing,
    /// The secrets that it named and that were not rotated since it was over.
    pub(super) secrets: Vec<String>,
    /// The roles on which its revocation stands.
    denied: Vec<String>,
    /// The ceremony that took over what is left of it, the newest.
    taken_by: Option<String>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may be open.
    Open,
    /// Nothing was opened.
    Nothing,
    /// It was seen refused, or its time was noted as over.
    Over,
}

/// All requests of a journal, oldest first. `steward` is the role for entries that name none.
pub(super) fn of(entries: &[Entry], steward: &str) -> Vec<Opened> {
    let mut all: Vec<Opened> = Vec::new();
    for entry in entries {
        let Some(id) = entry.request.as_deref() else {
            continue;
        };
        if let Step::Secret {
            secret,
            did: SecretStep::Rotated { .. },
        } = &entry.step
        {
            // Whose session was open at that time may have read the new value.
            let over = |o: &&mut Opened| o.request == id || !o.may_be_open(entry.at);
            for opened in all.iter_mut().filter(over) {
                opened.secrets.retain(|s| s != secret);
            }
            continue;
        }
        if let Step::CloseOnlyIntent { requests } = &entry.step {
            for opened in all.iter_mut().filter(|o| requests.contains(&o.request)) {
                opened.taken_by = Some(id.to_owned());
            }
            continue;
        }
        if let Step::MintIntent { .. } = &entry.step {
            all.extend(begun(id, &entry.step, steward));
            continue;
        }
        let Some(opened) = all.iter_mut().find(|o| o.request == id) else {
            continue;
        };
        match &entry.step {
            Step::MintFailed { unsure: false, .. } => opened.standing = Standing::Nothing,
            Step::Revoked { .. } | Step::Expired { .. } => opened.standing = Standing::Over,
            Step::RevokeApplied { role, .. } => opened.denied.push(match role.as_str() {
                "" => opened.targets[0].role_arn.clone(),
                role => role.to_owned(),
            }),
            _ => {}
        }
    }
    all
}

fn begun(id: &str, step: &Step, steward: &str) -> Option<Opened> {
    let Step::MintIntent {
        role,
        not_after,
        revocation,
        steward_role,
        also,
        secrets,
    } = step
    else {
        return None;
    };
    let first = Target {
        account: role.split(':').nth(4).unwrap_or_default().to_owned(),
        role_arn: role.clone(),
        steward_role_arn: match steward_role.as_str() {
            "" => steward.to_owned(),
            named => named.to_owned(),
        },
    };
    let (_, ends) = revocation::parse_revocation_name(revocation)?;
    Some(Opened {
        request: id.to_owned(),
        targets: std::iter::once(first).chain(also.iter().cloned()).collect(),
        revocation: revocation.clone(),
        not_after: *not_after,
        ends: ends.into(),
        standing: Standing::Open,
        secrets: secrets.clone(),
        denied: Vec::new(),
        taken_by: None,
    })
}

impl Opened {
    /// Whether its revocation stands on every role.
    pub(super) fn is_denied(&self) -> bool {
        self.targets
            .iter()
            .all(|t| self.denied.contains(&t.role_arn))
    }

    /// Whether a session may be open that nothing denies.
    pub(super) fn may_be_open(&self, now: Timestamp) -> bool {
        self.standing == Standing::Open && now < self.ends && !self.is_denied()
    }

    /// Whether a secret that its session could read was not rotated since.
    fn owes_secrets(&self) -> bool {
        self.standing != Standing::Nothing && !self.secrets.is_empty()
    }

    /// Whether anything is left of it to be done.
    fn is_owed(&self, now: Timestamp) -> bool {
        self.may_be_open(now) || self.owes_secrets()
    }
}

/// The requests of this vault's journal.
pub(super) fn read(worker: &Worker, vault: &Vault) -> Result<Vec<Opened>, Problem> {
    let entries = worker.home.journal(&vault.name)?.since(0)?;
    Ok(of(&entries, &vault.roster.aws.steward_role_arn))
}

/// Whether each of these roles has room for one more revocation: what stands and what open sessions may need counts alike.
pub(super) fn has_room(all: &[Opened], roles: &[Target], now: Timestamp) -> Result<(), Problem> {
    for role in roles.iter().map(|t| &t.role_arn) {
        let uses = |o: &&Opened| {
            let on_it = o.targets.iter().any(|t| t.role_arn == *role);
            on_it && now < o.ends && o.standing != Standing::Nothing
        };
        room::one_more(role, all.iter().filter(uses).map(|o| o.ends).collect())?;
    }
    Ok(())
}

/// The requests that a ceremony without a session is to close, or whose secrets it rotates: those asked for, or all that are owed. One of
/// which something is still kept on this host is none of them: finishing it takes no taps.
pub(super) fn owed(
    mut all: Vec<Opened>,
    asked: &[String],
    kept: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Result<Vec<Opened>, Problem> {
    for opened in &mut all {
        // An earlier ceremony's sessions are at these: two rotations of one secret would be in each other's way.
        if opened.taken_by.as_deref().is_some_and(&kept) {
            opened.secrets.clear();
        }
    }
    for id in asked {
        let refused = |why: &str| Problem::new(Code::Refused, format!("{id}: {why}"));
        let Some(opened) = all.iter().find(|o| o.request == *id) else {
            return Err(refused("the journal of this host has no session of it"));
        };
        if kept(id) {
            return Err(
                refused("its session is kept here and needs no taps to be closed")
                    .hint(format!("close it: twotap close {id}")),
            );
        }
        if !opened.is_owed(now) {
            let why = match opened.standing {
                Standing::Nothing => "it never came to a session",
                Standing::Over => "it is over",
                Standing::Open if now >= opened.ends => "its time has run out",
                Standing::Open => "it is denied by its tag already",
            };
            return Err(refused(why).hint("see twotap status"));
        }
    }
    let wanted = |o: &Opened| asked.is_empty() || asked.contains(&o.request);
    let mut owed: Vec<Opened> = all
        .into_iter()
        .filter(|o| wanted(o) && o.is_owed(now) && !kept(&o.request))
        .collect();
    // One ceremony closes as many as a request may name; what is left is owed to the next.
    owed.truncate(MOST_AT_ONCE);
    Ok(owed)
}

/// The secrets that these requests owe, each once, as many as a request may name.
pub(super) fn secrets_owed(owed: &[Opened]) -> Vec<String> {
    let mut secrets: Vec<String> = Vec::new();
    for secret in owed.iter().flat_map(|o| &o.secrets) {
        if !secrets.contains(secret) && secrets.len() < MOST_SECRETS {
            secrets.push(secret.clone());
        }
    }
    secrets
}

/// The most requests that one ceremony closes.
const MOST_AT_ONCE: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const ROLE: &str = "arn:aws:iam::111122223333:role/twotap/op-admin";
    const OTHER: &str = "arn:aws:iam::444455556666:role/twotap/op-admin";

    fn id(n: usize) -> String {
        let letter = |n: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[n % 26]);
        format!("r-{}{}aaaaaaaaaaa", letter(n / 26), letter(n))
    }

    fn entry(id: &str, step: Step) -> Entry {
        Entry {
            n: 1,
            at: NOW,
            request: Some(id.to_owned()),
            step,
            aws: None,
        }
    }

    fn intent(id: &str, seconds: i64, also: bool) -> Entry {
        let end = NOW.plus(seconds);
        let also = also.then(|| Target {
            account: "444455556666".to_owned(),
            role_arn: OTHER.to_owned(),
            steward_role_arn: "arn:aws:iam::444455556666:role/twotap/steward".to_owned(),
        });
        let step = Step::MintIntent {
            role: ROLE.to_owned(),
            not_after: end,
            revocation: revocation::revocation_name(id, end.into()).expect("a name"),
            steward_role: String::new(),
            also: also.into_iter().collect(),
            secrets: Vec::new(),
        };
        entry(id, step)
    }

    fn applied(id: &str, role: &str) -> Entry {
        let step = Step::RevokeApplied {
            policy: String::new(),
            role: role.to_owned(),
        };
        entry(id, step)
    }

    fn ids(found: Result<Vec<Opened>, Problem>) -> Vec<String> {
        let found = found.expect("nothing was asked that cannot be");
        found.into_iter().map(|o| o.request).collect()
    }

    #[test]
    fn what_may_be_open_and_is_not_denied_everywhere_is_owed() {
        let failed = |unsure| Step::MintFailed {
            why: String::new(),
            unsure,
        };
        let entries = [
            intent(&id(0), 600, false),
            intent(&id(1), -1, false),
            intent(&id(2), 600, false),
            entry(&id(2), failed(false)),
            intent(&id(3), 600, false),
            entry(&id(3), failed(true)),
            intent(&id(4), 600, true),
            applied(&id(4), ROLE),
            intent(&id(5), 600, true),
            applied(&id(5), ROLE),
            applied(&id(5), OTHER),
            intent(&id(6), 600, false),
            applied(&id(6), ""),
            intent(&id(7), 600, false),
            entry(&id(7), Step::Expired { at: NOW }),
            intent(&id(8), 600, false),
        ];
        let all = of(&entries, "arn:aws:iam::111122223333:role/twotap/steward");
        let kept = |request: &str| request == id(8);
        let owed = |asked: &[String]| super::owed(all.clone(), asked, kept, NOW);
        assert_eq!(ids(owed(&[])), [id(0), id(3), id(4)]);
        assert_eq!(ids(owed(&[id(3)])), [id(3)]);
        for (n, why) in [
            (1, "its time has run out"),
            (2, "it never came to a session"),
            (5, "it is denied by its tag already"),
            (6, "it is denied by its tag already"),
            (7, "it is over"),
            (8, "needs no taps"),
            (9, "no session of it"),
        ] {
            let problem = owed(&[id(3), id(n)]).expect_err(why);
            assert!(problem.error.contains(why), "{problem}");
        }
    }

    #[test]
    fn the_fortieth_revocation_of_a_role_is_the_last_and_the_refusal_says_when_one_frees_up() {
        let entries = |n: usize| (0..n).map(|i| intent(&id(i), 600 + 10 * i as i64, false));
        let role = [Target {
            account: String::new(),
            role_arn: ROLE.to_owned(),
            steward_role_arn: String::new(),
        }];
        let room = |entries: Vec<Entry>, now| has_room(&of(&entries, "s"), &role, now);
        assert!(room(entries(39).collect(), NOW).is_ok());
        let full = room(entries(40).collect(), NOW).expect_err("full");
        assert!(full.error.contains("40 revocations"), "{full}");
        let hint = full.hint.expect("when");
        assert!(hint.contains(&NOW.plus(600).to_string()), "{hint}");
        // With more than that, as many must end that there is room for one.
        let hint = room(entries(42).collect(), NOW).expect_err("full").hint;
        let third = NOW.plus(620).to_string();
        assert!(
            hint.as_ref().is_some_and(|h| h.contains(&third)),
            "{hint:?}"
        );
        // At that moment there is.
        assert!(room(entries(40).collect(), NOW.plus(600)).is_ok());
        // What is revoked still holds its place; what was never opened holds none.
        let failed = Step::MintFailed {
            why: String::new(),
            unsure: false,
        };
        let mut with = entries(40).collect::<Vec<_>>();
        with.push(applied(&id(3), ROLE));
        assert!(room(with.clone(), NOW).is_err());
        with.push(entry(&id(3), failed));
        assert!(room(with, NOW).is_ok());
    }
}
