//! What a new version changes, in plain words: what people read before they sign it, approve it, or look it up later.

use super::{Access, Group, Host, Person, Role, Roster, Token};

/// One difference between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What changes, in plain words. Parts of it come from the documents: escape it where it is shown.
    pub text: String,
    /// Whether somebody can do more than before, or fewer have to agree.
    pub widens: bool,
}

/// Every difference between `before` and `after`, custodians first. Empty only where the two say the same.
///
/// Version, time and digest of the version before are no differences of their own.
pub fn changes(before: &Roster, after: &Roster) -> Vec<Change> {
    let mut found = Found(Vec::new());
    found.threshold(before, after);
    found.groups(before, after);
    found.people(before, after);
    found.tokens(before, after);
    found.hosts(before, after);
    found.aws(before, after);
    found.access(before, after);
    found.0.extend(super::scenario::changes(before, after));
    found.rest(before, after);
    found.0
}

/// What has to follow once `after` is taken up: the same for every change, because a share lives only as long as its credential.
pub fn follows(after: &Roster) -> String {
    let names: Vec<&str> = after.custodians().map(|p| p.name.as_str()).collect();
    format!(
        "when this is taken up the key is rotated and sealed anew for {} ({} must approve); older shares open nothing alive",
        names.join(", "),
        match after.groups.as_slice() {
            [] => format!("{} of them", after.threshold),
            _ => after.quorum_in_words(),
        }
    )
}

struct Found(Vec<Change>);

impl Found {
    fn more(&mut self, text: String) {
        self.0.push(Change { text, widens: true });
    }

    fn less(&mut self, text: String) {
        self.0.push(Change {
            text,
            widens: false,
        });
    }

    fn threshold(&mut self, before: &Roster, after: &Roster) {
        let (was, is) = (before.threshold, after.threshold);
        if was == is {
            return;
        }
        self.0.push(Change {
            text: format!("{is} custodians must approve, instead of {was}"),
            widens: is < was,
        });
    }

    fn groups(&mut self, before: &Roster, after: &Roster) {
        let same = |list: &[Group], name: &str| list.iter().find(|g| g.name == name).cloned();
        for was in &before.groups {
            if same(&after.groups, &was.name).is_none() {
                self.more(format!("no longer has {was} to approve"));
            }
        }
        for is in &after.groups {
            let members = is.members.join(", ");
            match same(&before.groups, &is.name) {
                None if before.groups.is_empty() => {
                    self.less(format!("{is} ({members}) has to approve"));
                }
                Some(was) if was == *is => {}
                // Somebody stands for a group now, or a group gives less: who could not approve together may now.
                _ => self.more(format!("{is} ({members}) has to approve")),
            }
        }
    }

    fn people(&mut self, before: &Roster, after: &Roster) {
        for was in &before.people {
            match after.person(&was.name) {
                None if is_custodian(was) => self.less(no_longer(&was.name)),
                None => self.less(format!("{} is no longer in it", was.name)),
                Some(is) => self.person(was, is, after),
            }
        }
        for is in &after.people {
            if before.person(&is.name).is_some() {
                continue;
            }
            self.more(format!(
                "{} is new: {}; {}",
                is.name,
                with_groups(is),
                accounts(is, after)
            ));
            if let Some(recipient) = &is.recipient {
                self.more(format!(
                    "recordings are sealed to {}, with recipient {recipient}",
                    is.name
                ));
            }
        }
    }

    fn person(&mut self, was: &Person, is: &Person, after: &Roster) {
        if was.roles != is.roles {
            if is_custodian(was) && !is_custodian(is) {
                self.less(no_longer(&was.name));
            }
            let widens = is.roles.iter().any(|r| !was.roles.contains(r));
            self.0.push(Change {
                text: format!("{} is {}, and was {}", is.name, roles(is), roles(was)),
                widens,
            });
        }
        if was.member_of != is.member_of {
            let widens = is.member_of.iter().any(|g| !was.member_of.contains(g));
            self.0.push(Change {
                text: format!("{} is a member of {}", is.name, groups(is)),
                widens,
            });
        }
        match (&was.recipient, &is.recipient) {
            (was, is) if was == is => {}
            (_, Some(recipient)) => self.more(format!(
                "recordings are sealed to {} as well, with recipient {recipient}",
                is.name
            )),
            (_, None) => self.less(format!("recordings are no longer sealed to {}", is.name)),
        }
        if was.accounts != is.accounts {
            let widens = is.accounts.iter().any(|a| !was.accounts.contains(a));
            self.0.push(Change {
                text: format!("{} has {}", is.name, accounts(is, after)),
                widens,
            });
        }
    }

    fn tokens(&mut self, before: &Roster, after: &Roster) {
        let same = |list: &[Token], serial: u32| list.iter().find(|t| t.serial == serial).cloned();
        for was in &before.tokens {
            match same(&after.tokens, was.serial) {
                None => self.less(format!(
                    "token {} of {} can no longer approve; what it could open is rotated away",
                    was.serial, was.person
                )),
                Some(is) if is.person != was.person => self.more(format!(
                    "token {} passes from {} to {}",
                    was.serial, was.person, is.person
                )),
                Some(is) if is.approve != was.approve || is.unseal != was.unseal => self.more(
                    format!("token {} of {} has new keys", was.serial, was.person),
                ),
                Some(is) if is != *was => self.more(format!(
                    "what token {} of {} says of itself has changed",
                    was.serial, was.person
                )),
                Some(_) => {}
            }
        }
        for is in &after.tokens {
            if same(&before.tokens, is.serial).is_none() {
                self.more(format!(
                    "token {} (firmware {}) can approve for {}",
                    is.serial, is.firmware, is.person
                ));
            }
        }
    }

    fn hosts(&mut self, before: &Roster, after: &Roster) {
        let held = |list: &[Host], host: &Host| list.iter().any(|h| h.key == host.key);
        for was in &before.hosts {
            if !held(&after.hosts, was) {
                self.less(format!(
                    "host {} can no longer open the vault: its key {} is struck out",
                    was.name,
                    was.key.id()
                ));
            }
        }
        for is in &after.hosts {
            match before.hosts.iter().find(|h| h.key == is.key) {
                None => self.more(format!(
                    "host {} can open the vault, with key {}",
                    is.name,
                    is.key.id()
                )),
                Some(was) if was != is => self.more(format!(
                    "host {} is called {} and signs its record with key {}",
                    was.name,
                    is.name,
                    is.checkpoint_key.id()
                )),
                Some(_) => {}
            }
        }
    }

    fn aws(&mut self, before: &Roster, after: &Roster) {
        let (was, is) = (&before.aws, &after.aws);
        for (what, was, is) in [
            ("break-glass user", &was.user_arn, &is.user_arn),
            ("steward role", &was.steward_role_arn, &is.steward_role_arn),
            ("external id", &was.external_id, &is.external_id),
        ] {
            if was != is {
                self.more(format!("the {what} is {is}, and was {was}"));
            }
        }
    }

    fn access(&mut self, before: &Roster, after: &Roster) {
        for was in &before.access {
            if after.access(&was.name).is_none() {
                self.less(format!("access {} can no longer be asked for", was.name));
            }
        }
        for is in &after.access {
            match before.access(&is.name) {
                None => self.more(format!(
                    "access {} can be asked for: {} for at most {} minutes",
                    is.name,
                    is.role_arn,
                    is.max_seconds / 60
                )),
                Some(was) if was != is => {
                    let what = differing(was, is).join(", ");
                    self.more(format!("access {} means something else: {what}", is.name));
                }
                Some(_) => {}
            }
        }
    }

    fn rest(&mut self, before: &Roster, after: &Roster) {
        self.recovery(before, after);
        for was in &before.places {
            if !after.places.iter().any(|p| p.name == was.name) {
                self.less(format!("no copies go to place {} any more", was.name));
            }
        }
        for is in &after.places {
            if !before.places.contains(is) {
                let required = if is.required { ", required" } else { "" };
                self.more(format!("sealed copies go to place {}{required}", is.name));
            }
        }
        for is in &after.attestation_roots {
            if !before.attestation_roots.contains(is) {
                self.more(format!(
                    "tokens count that root {} attests, which is not the maker's",
                    is.name
                ));
            }
        }
        for was in &before.attestation_roots {
            if !after.attestation_roots.iter().any(|r| r.name == was.name) {
                self.less(format!("root {} attests nothing any more", was.name));
            }
        }
        self.acceptances(before, after);
    }

    fn recovery(&mut self, before: &Roster, after: &Roster) {
        if after.by.is_some() {
            self.more(
                "recovery shares stand for this version, in the place of its custodians".to_owned(),
            );
        }
        match (&before.recovery, &after.recovery) {
            (None, Some(is)) => self.more(format!(
                "recovery shares open it as well, and can sign a roster: those made on {} for {}, with {} on each sheet",
                is.made,
                is.recipient,
                is.fingerprint()
            )),
            (Some(_), None) => self.less("recovery shares no longer open it".to_owned()),
            (Some(was), Some(is)) if was.recipient != is.recipient => self.more(format!(
                "other recovery shares open it, and can sign a roster: those made on {} for {}, with {} on each sheet; those made on {} open nothing alive",
                is.made,
                is.recipient,
                is.fingerprint(),
                was.made
            )),
            (Some(was), Some(is)) if (&was.signer, was.made) != (&is.signer, is.made) => {
                self.more(format!(
                    "recovery shares sign with another key, are said to be made on {}, and open the same: {} has to stand on each sheet",
                    is.made,
                    is.fingerprint()
                ));
            }
            _ => {}
        }
        if let (Some(was), Some(is)) = (&before.recovery, &after.recovery)
            && was.renew_days() != is.renew_days()
        {
            self.0.push(Change {
                text: format!(
                    "new recovery sheets are asked for after {} days, instead of {}",
                    is.renew_days(),
                    was.renew_days()
                ),
                widens: is.renew_days() > was.renew_days(),
            });
        }
    }

    fn acceptances(&mut self, before: &Roster, after: &Roster) {
        for is in &after.accept_risk {
            if !before.accept_risk.contains(is) {
                self.more(format!("advisory {is} is accepted"));
            }
        }
        for was in &before.accept_risk {
            if !after.accept_risk.contains(was) {
                self.less(format!("advisory {was} is no longer accepted"));
            }
        }
        for is in &after.accept_unattested {
            if !before.accept_unattested.contains(is) {
                self.more(format!("token {is} counts without an attestation"));
            }
        }
        for was in &before.accept_unattested {
            if !after.accept_unattested.contains(was) {
                self.less(format!("token {was} needs an attestation again"));
            }
        }
    }
}

fn no_longer(name: &str) -> String {
    format!("{name} can no longer approve; the key is rotated when this is taken up")
}

fn is_custodian(person: &Person) -> bool {
    person.roles.contains(&Role::Custodian)
}

fn groups(person: &Person) -> String {
    match person.member_of.as_slice() {
        [] => "no group".to_owned(),
        groups => groups.join(" and "),
    }
}

fn with_groups(person: &Person) -> String {
    match person.member_of.as_slice() {
        [] => roles(person),
        _ => format!("{}, a member of {}", roles(person), groups(person)),
    }
}

fn roles(person: &Person) -> String {
    let names: Vec<&str> = person.roles.iter().map(|r| r.name()).collect();
    if names.is_empty() {
        "without a role".to_owned()
    } else {
        names.join(" and ")
    }
}

fn accounts(person: &Person, roster: &Roster) -> String {
    let accounts: Vec<String> = person
        .accounts
        .iter()
        .map(|a| {
            let host = roster.host(a.host).map_or("?", |h| h.name.as_str());
            format!("uid {} on {host}", a.uid)
        })
        .collect();
    if accounts.is_empty() {
        "no account".to_owned()
    } else {
        accounts.join(", ")
    }
}

/// Which fields of a profile differ.
fn differing(was: &Access, is: &Access) -> Vec<&'static str> {
    [
        ("its account", was.account != is.account),
        ("its role", was.role_arn != is.role_arn),
        ("what it allows", was.policy != is.policy),
        ("its Regions", was.regions != is.regions),
        ("its probe", was.probe != is.probe),
        (
            "its usual length",
            was.default_seconds != is.default_seconds,
        ),
        ("its longest length", was.max_seconds != is.max_seconds),
        ("its further roles", was.also != is.also),
        ("its secrets", was.secrets != is.secrets),
        ("whether it is broad", was.broad != is.broad),
        (
            "whether it hands out power that outlives the session",
            was.persistence != is.persistence,
        ),
        ("its subjects", was.subject != is.subject),
        ("whether it is recorded", was.recording != is.recording),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}
