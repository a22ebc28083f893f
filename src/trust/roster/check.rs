//! What makes sense in a roster, one version by itself.

use std::collections::BTreeSet;

use twotap_shares::sheet::DEMO_RECIPIENT;

use super::{Access, By, Person, PlaceKind, Role, Roster};
use crate::trust::{
    Document, PublicKey, TrustError, pattern,
    request::SESSION_SECONDS,
    text::{check_name, check_text},
};

/// More than a generation a second for thirty years.
const MAX_GENERATION: u64 = 1_000_000_000;

impl Document for Roster {
    const PAYLOAD_TYPE: &'static str = "application/vnd.twotap.roster.v1+json";
    const WHAT: &'static str = "roster";

    fn check(&self) -> Result<(), TrustError> {
        ensure(self.v == 1, "its format version is not 1")?;
        ensure(self.version >= 1, "versions count from 1")?;
        ensure(
            self.previous.is_some() == (self.version > 1),
            "every version but the first names the one before",
        )?;
        check_name("vault name", &self.vault)?;
        self.check_people()?;
        self.check_groups()?;
        self.check_tokens()?;
        self.check_hosts()?;
        self.check_access()?;
        self.check_scenarios()?;
        self.check_places()?;
        self.check_acceptances()?;
        self.check_recovery()?;
        self.check_readers()
    }
}

impl Roster {
    fn check_people(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        let mut accounts = BTreeSet::new();
        for person in &self.people {
            check_name("person's name", &person.name)?;
            ensure(names.insert(&person.name), "a person stands in it twice")?;
            person.check_membership()?;
            for account in &person.accounts {
                ensure(
                    account.uid != 0 && account.uid != u32::MAX && account.uid != 65534,
                    "root and nobody are not people",
                )?;
                ensure(
                    accounts.insert((account.host, account.uid)),
                    "an account belongs to two people",
                )?;
                ensure(
                    self.host(account.host).is_some(),
                    "an account is on a host that is not listed",
                )?;
            }
        }
        let custodians = self.custodians().count();
        ensure(self.threshold >= 2, "the threshold is below 2")?;
        ensure(
            usize::from(self.threshold) <= custodians && custodians <= 16,
            "there must be as many custodians as the threshold, and at most 16",
        )
    }

    fn check_groups(&self) -> Result<(), TrustError> {
        if self.groups.is_empty() {
            return Ok(());
        }
        ensure(
            self.groups.len() > 1,
            "a single group says no more than the threshold",
        )?;
        let mut names = BTreeSet::new();
        let mut members = BTreeSet::new();
        let mut needed = 0;
        for group in &self.groups {
            check_name("group's name", &group.name)?;
            ensure(names.insert(&group.name), "a group stands in it twice")?;
            ensure(
                group.threshold >= 1 && usize::from(group.threshold) <= group.members.len(),
                "a group cannot give as many people as it has to",
            )?;
            needed += u32::from(group.threshold);
            for member in &group.members {
                ensure(
                    self.custodians().any(|p| p.name == *member),
                    "a group has a member who is not a custodian",
                )?;
                ensure(
                    members.insert(member),
                    "somebody stands in two groups, or in one twice",
                )?;
            }
        }
        ensure(
            members.len() == self.custodians().count(),
            "a custodian is in no group",
        )?;
        ensure(
            needed == u32::from(self.threshold),
            "what the groups have to give does not add up to the threshold",
        )
    }

    fn check_tokens(&self) -> Result<(), TrustError> {
        let mut serials = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for token in &self.tokens {
            let owner = self.person(&token.person);
            ensure(
                owner.is_some_and(|p| p.roles.contains(&Role::Custodian)),
                "a token belongs to somebody who is not a custodian",
            )?;
            ensure(serials.insert(token.serial), "a token stands in it twice")?;
            for slot in [&token.approve, &token.unseal] {
                ensure(slot.key.p256().is_some(), "a token's key is not P-256")?;
                ensure(keys.insert(slot.key.id()), "a key stands in it twice")?;
            }
        }
        ensure(
            self.custodians()
                .all(|p| self.tokens_of(&p.name).next().is_some()),
            "a custodian has no token",
        )
    }

    fn check_hosts(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        let mut keys = BTreeSet::new();
        ensure(!self.hosts.is_empty(), "it lists no host")?;
        for host in &self.hosts {
            check_name("host name", &host.name)?;
            ensure(names.insert(&host.name), "a host stands in it twice")?;
            for key in [&host.key, &host.checkpoint_key] {
                ensure(
                    matches!(key, PublicKey::Ed25519(_)),
                    "a host's key is not Ed25519",
                )?;
                ensure(keys.insert(key.id()), "a host's key stands in it twice")?;
            }
        }
        Ok(())
    }

    fn check_access(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        ensure(!self.access.is_empty(), "it lists no access profile")?;
        for arn in [&self.aws.user_arn, &self.aws.steward_role_arn] {
            check_arn(arn)?;
        }
        check_text("external id", &self.aws.external_id, 1224)?;
        for access in &self.access {
            check_name("access profile's name", &access.name)?;
            ensure(
                names.insert(&access.name),
                "an access profile stands in it twice",
            )?;
            ensure(
                access.account.len() == 12 && access.account.bytes().all(|b| b.is_ascii_digit()),
                "an account number has 12 digits",
            )?;
            check_arn(&access.role_arn)?;
            ensure(
                !access.regions.is_empty(),
                "an access profile names no Region",
            )?;
            for region in &access.regions {
                check_name("Region", region)?;
            }
            check_text("probe", &access.probe, 128)?;
            ensure(
                SESSION_SECONDS.contains(&access.max_seconds)
                    && (60..=access.max_seconds).contains(&access.default_seconds),
                "a session lasts 1 minute to 11 hours",
            )?;
            if let Some(pattern) = &access.subject {
                pattern::compile("subject's pattern", pattern)?;
            }
            access.check_also()?;
            access.check_secrets()?;
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        let mut claims = 0;
        for place in &self.places {
            check_name("place's name", &place.name)?;
            ensure(names.insert(&place.name), "a place stands in it twice")?;
            if let PlaceKind::Secret {
                secret_arn,
                role_arn,
                claim,
            } = &place.kind
            {
                check_secret_arn(secret_arn)?;
                check_arn(role_arn)?;
                claims += usize::from(*claim);
            }
        }
        ensure(claims <= 1, "more than one place holds the claim")
    }

    fn check_recovery(&self) -> Result<(), TrustError> {
        ensure(
            self.by.is_none() || self.version > 1,
            "recovery shares cannot stand for the first version",
        )?;
        if let Some(By::Recovery { after: Some(after) }) = self.by {
            ensure(
                (1..=MAX_GENERATION).contains(&after.generation),
                "it counts on from a generation that nobody can have sealed",
            )?;
        }
        let Some(recovery) = &self.recovery else {
            return Ok(());
        };
        let recipient = recovery.recipient.parse::<age::x25519::Recipient>();
        let spelt = recipient.map(|recipient| recipient.to_string());
        ensure(
            spelt.is_ok(),
            "the recovery recipient is not an age X25519 recipient (age1...)",
        )?;
        // However it is spelt: in capitals it is the same.
        ensure(
            spelt.as_deref() != Ok(DEMO_RECIPIENT),
            "the recovery recipient is that of the demo set, whose shares everybody has",
        )?;
        ensure(
            matches!(recovery.signer, PublicKey::Ed25519(_)),
            "the recovery signer is not Ed25519",
        )?;
        let mut hosts = self.hosts.iter().flat_map(|h| [&h.key, &h.checkpoint_key]);
        ensure(
            hosts.all(|key| *key != recovery.signer),
            "the recovery signer is a host's key",
        )
    }

    fn check_acceptances(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        for root in &self.attestation_roots {
            check_name("attestation root's name", &root.name)?;
            ensure(
                names.insert(&root.name),
                "an attestation root stands in it twice",
            )?;
        }
        for advisory in &self.accept_risk {
            check_text("advisory", advisory, 64)?;
        }
        Ok(())
    }
}

impl Person {
    fn check_membership(&self) -> Result<(), TrustError> {
        let mut groups = BTreeSet::new();
        for group in &self.member_of {
            check_text("group that a person belongs to", group, 64)?;
            ensure(
                groups.insert(group),
                "a person belongs to the same group twice",
            )?;
        }
        ensure(groups.len() <= 16, "a person belongs to over 16 groups")
    }
}

impl Access {
    fn check_also(&self) -> Result<(), TrustError> {
        let mut roles = BTreeSet::from([&self.role_arn]);
        for target in &self.also {
            for arn in [&target.role_arn, &target.steward_role_arn] {
                check_arn(arn)?;
                ensure(
                    arn.split(':').nth(4) == Some(target.account.as_str()),
                    "a role is in another account than its target says",
                )?;
            }
            ensure(
                roles.insert(&target.role_arn),
                "an access profile opens a role twice",
            )?;
        }
        ensure(
            self.also.len() < 16,
            "an access profile opens over 16 roles",
        )
    }

    fn check_secrets(&self) -> Result<(), TrustError> {
        let mut arns = BTreeSet::new();
        for secret in &self.secrets {
            check_secret_arn(&secret.arn)?;
            ensure(
                arns.insert(&secret.arn),
                "an access profile names a secret twice",
            )?;
            if let Some(setter) = &secret.setter {
                check_name("setter's name", &setter.name)?;
                check_arn(&setter.role_arn)?;
                ensure(
                    (16..=128).contains(&setter.length) && !setter.classes.is_empty(),
                    "a secret's new value has 16 to 128 characters of at least one class",
                )?;
                if let Some(field) = &setter.field {
                    check_text("secret's field", field, 128)?;
                }
            }
        }
        ensure(
            self.secrets.len() <= 16,
            "an access profile names over 16 secrets",
        )
    }
}

fn check_arn(arn: &str) -> Result<(), TrustError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = arn.is_ascii()
        && arn.len() <= 2048
        && parts.len() == 6
        && parts[0] == "arn"
        && parts[2] == "iam"
        && !parts[5].is_empty()
        && !arn
            .bytes()
            .any(|b| b.is_ascii_whitespace() || b.is_ascii_control());
    ensure(
        good,
        "an IAM ARN is arn:PARTITION:iam::ACCOUNT:user/... or role/...",
    )
}

fn check_secret_arn(arn: &str) -> Result<(), TrustError> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let good = arn.len() <= 2048
        && arn.bytes().all(|b| b.is_ascii_graphic())
        && parts.len() == 7
        && parts[0] == "arn"
        && parts[2] == "secretsmanager"
        && !parts[3].is_empty()
        && parts[5] == "secret"
        && !parts[6].is_empty();
    ensure(
        good,
        "a secret's ARN is arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME",
    )
}

pub(super) fn ensure(holds: bool, why: &str) -> Result<(), TrustError> {
    if holds {
        Ok(())
    } else {
        Err(TrustError::malformed("roster", why))
    }
}
