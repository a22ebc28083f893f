//! The small files from which a vault is drawn up.
//!
//! `people.toml`, who may do what, and with which account on the host:
//!
//! ```toml
//! [[person]]
//! name = "dana"
//! roles = ["operator"]          # operator, custodian, commander, officer
//! uids = [61010]                # accounts on the (first) host; none for people who only tap
//! accounts.host-2 = [71010]     # accounts on another host of the roster
//! member_of = ["Support-L2"]    # groups of the organisation: shown, and no power by itself
//! recipient = "age1..."         # of an officer: what `age-keygen` calls the public key; recordings are sealed to it
//! ```
//!
//! `access.toml`, what can be asked for:
//!
//! ```toml
//! [aws]
//! user_arn = "arn:aws:iam::111122223333:user/twotap/break-glass"
//! steward_role_arn = "arn:aws:iam::111122223333:role/twotap/steward"
//! external_id = "prod-7f3a"
//!
//! [[access]]
//! name = "admin"
//! account = "111122223333"
//! role_arn = "arn:aws:iam::111122223333:role/twotap/op-admin"
//! regions = ["eu-central-1"]
//! probe = "ec2:DescribeRegions"
//! default = "4h"
//! max = "11h"
//! recording = "wanted"          # or "required", "off"
//! policy = '''{ "Version": "2012-10-17", "Statement": [] }'''   # or policy_file = "admin.json", beside this file
//! broad = true                  # it allows wholesale; without this such a policy is refused
//! persistence = true            # it can hand out power that outlives the session; likewise
//! subject = "u-[0-9]+"          # what ${subject} in the policy looks like, as a whole; needed where the policy asks for it
//!
//! [[access.also]]               # further roles, opened together with the first under the same policy
//! account = "444455556666"
//! role_arn = "arn:aws:iam::444455556666:role/twotap/op-admin"
//! steward_role_arn = "arn:aws:iam::444455556666:role/twotap/steward"
//! ```
//!
//! Below an `[[access]]` stand its `[[access.secrets]]` (`secrets.rs` beside this file).
//!
//! `host.pub`, what `twotapd keys` prints on the host, as one JSON object:
//! `{"name":"host-1","key":"BASE64","checkpoint_key":"BASE64"}`; keys are Ed25519, DER `SubjectPublicKeyInfo` (RFC 8410).
//!
//! An unknown field is an error: a misspelt one must not fall back to a default.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    protocol::{Code, Problem},
    trust::{
        Envelope, PublicKey, Verified,
        enrollment::Enrollment,
        pattern,
        request::SESSION_SECONDS,
        roster::{
            Access, Account, AwsBinding, Host, Person, Recording, Role, Target, is_recipient,
        },
        strict::Json,
        text::check_name,
    },
};

use super::{files, secrets, span, ui::plain};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleFile {
    person: Vec<PersonEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonEntry {
    name: String,
    roles: Vec<Role>,
    #[serde(default)]
    uids: Vec<u32>,
    #[serde(default)]
    accounts: BTreeMap<String, Vec<u32>>,
    recipient: Option<String>,
    #[serde(default)]
    member_of: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessFile {
    aws: AwsEntry,
    access: Vec<AccessEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AwsEntry {
    user_arn: String,
    steward_role_arn: String,
    external_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessEntry {
    name: String,
    account: String,
    role_arn: String,
    regions: Vec<String>,
    probe: String,
    #[serde(default = "four_hours")]
    default: String,
    #[serde(default = "eleven_hours")]
    max: String,
    policy: Option<String>,
    policy_file: Option<String>,
    #[serde(default)]
    broad: bool,
    #[serde(default)]
    persistence: bool,
    subject: Option<String>,
    #[serde(default)]
    secrets: Vec<secrets::Entry>,
    #[serde(default)]
    also: Vec<AlsoEntry>,
    #[serde(default)]
    recording: Recording,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlsoEntry {
    account: String,
    role_arn: String,
    steward_role_arn: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostFile {
    name: String,
    key: PublicKey,
    checkpoint_key: PublicKey,
}

fn four_hours() -> String {
    "4h".to_owned()
}

fn eleven_hours() -> String {
    "11h".to_owned()
}

/// Reads `host.pub`.
pub(super) fn host(path: &Path) -> Result<Host, Problem> {
    let file: HostFile = files::read_json(path, "what twotapd keys prints")?;
    let wrong = |field: &str, why: &str| Err(wrong(path, &[field], why));
    if check_name("host name", &file.name).is_err() {
        return wrong("name", "is not a short name");
    }
    for (field, key) in [("key", &file.key), ("checkpoint_key", &file.checkpoint_key)] {
        if !matches!(key, PublicKey::Ed25519(_)) {
            return wrong(field, "is not an Ed25519 key");
        }
    }
    Ok(Host {
        name: file.name,
        key: file.key,
        checkpoint_key: file.checkpoint_key,
    })
}

/// Reads `people.toml`; `uids` are accounts on the first of `hosts`, `accounts` name theirs.
pub(super) fn people(path: &Path, hosts: &[Host]) -> Result<Vec<Person>, Problem> {
    parse_people(path, &files::read_text(path)?, hosts)
}

fn parse_people(path: &Path, text: &str, hosts: &[Host]) -> Result<Vec<Person>, Problem> {
    let file: PeopleFile = from_toml(path, text)?;
    let mut people: Vec<Person> = Vec::new();
    for entry in file.person {
        let wrong = |field: &str, why: &str| {
            Err(wrong(
                path,
                &[&format!("person '{}'", plain(&entry.name)), field],
                why,
            ))
        };
        if check_name("person's name", &entry.name).is_err() {
            return wrong("name", "is not a short name: a-z, 0-9, '-', '_', '.'");
        }
        if people.iter().any(|p| p.name == entry.name) {
            return wrong("name", "stands there twice");
        }
        if entry.roles.is_empty() {
            return wrong("roles", "is empty");
        }
        if let Some(recipient) = &entry.recipient {
            if !is_recipient(recipient) {
                return wrong("recipient", "is not an age recipient (age1...)");
            }
            if !entry.roles.contains(&Role::Officer) {
                return wrong("recipient", "is for officers, who read recordings");
            }
        }
        let mut accounts = Vec::new();
        let own = hosts.first().map(|h| (h, &entry.uids));
        for (name, uids) in &entry.accounts {
            let Some(host) = hosts.iter().find(|h| h.name == *name) else {
                return wrong("accounts", "names a host that the roster does not list");
            };
            accounts.extend(uids.iter().map(|uid| (host.key.id(), *uid)));
        }
        accounts.extend(own.iter().flat_map(|(host, uids)| {
            let host = host.key.id();
            uids.iter().map(move |uid| (host, *uid))
        }));
        for (host, uid) in &accounts {
            if matches!(*uid, 0 | 65534 | u32::MAX) {
                return wrong("uids", "names root or nobody, who are not people");
            }
            let account = Account {
                host: *host,
                uid: *uid,
            };
            if let Some(other) = people.iter().find(|p| p.accounts.contains(&account)) {
                return wrong(
                    "uids",
                    &format!("has {uid}, which is {}'s already", other.name),
                );
            }
        }
        people.push(Person {
            name: entry.name,
            roles: entry.roles,
            accounts: accounts
                .into_iter()
                .map(|(host, uid)| Account { host, uid })
                .collect(),
            recipient: entry.recipient,
            member_of: entry.member_of,
        });
    }
    Ok(people)
}

/// Reads `access.toml`.
pub(super) fn access(path: &Path) -> Result<(AwsBinding, Vec<Access>), Problem> {
    parse_access(path, &files::read_text(path)?)
}

fn parse_access(path: &Path, text: &str) -> Result<(AwsBinding, Vec<Access>), Problem> {
    let file: AccessFile = from_toml(path, text)?;
    for (field, arn, kind) in [
        ("user_arn", &file.aws.user_arn, "user/"),
        ("steward_role_arn", &file.aws.steward_role_arn, "role/"),
    ] {
        if !is_arn(arn, kind) {
            return Err(wrong(path, &["aws", field], &not_an_arn(kind)));
        }
    }
    if file.aws.external_id.trim().is_empty() {
        return Err(wrong(path, &["aws", "external_id"], "is empty"));
    }
    let profiles = file
        .access
        .into_iter()
        .map(|entry| profile(path, entry, &file.aws.steward_role_arn))
        .collect::<Result<Vec<_>, _>>()?;
    let aws = AwsBinding {
        user_arn: file.aws.user_arn,
        steward_role_arn: file.aws.steward_role_arn,
        external_id: file.aws.external_id,
    };
    Ok((aws, profiles))
}

/// How long sessions last by default and at the most, in seconds.
pub(super) fn lengths(
    default: &str,
    max: &str,
    bad: &dyn Fn(&str, &str) -> Problem,
) -> Result<(u32, u32), Problem> {
    let length = |field: &str, text: &str| span::parse(text).map_err(|why| bad(field, &why.error));
    let (default, max) = (length("default", default)?, length("max", max)?);
    if !SESSION_SECONDS.contains(&max) {
        return Err(bad("max", "is not between 1m and 11h"));
    }
    if !(60..=max).contains(&default) {
        return Err(bad("default", "is not between 1m and 'max'"));
    }
    Ok((default, max))
}

fn profile(path: &Path, entry: AccessEntry, steward: &str) -> Result<Access, Problem> {
    let place = format!("access '{}'", plain(&entry.name));
    let bad = |field: &str, why: &str| wrong(path, &[&place, field], why);
    if check_name("access profile's name", &entry.name).is_err() {
        return Err(bad("name", "is not a short name: a-z, 0-9, '-', '_', '.'"));
    }
    in_account(&entry.account, &[("role_arn", &entry.role_arn)])
        .map_err(|(field, why)| bad(field, &why))?;
    if steward.split(':').nth(4) != Some(entry.account.as_str()) {
        return Err(bad(
            "account",
            "is not the account of [aws] steward_role_arn, which closes it; put it under [[access.also]] with its own steward",
        ));
    }
    let mut roles = vec![entry.role_arn.clone()];
    for also in &entry.also {
        let both = [
            ("also, role_arn", &also.role_arn),
            ("also, steward_role_arn", &also.steward_role_arn),
        ];
        in_account(&also.account, &both).map_err(|(field, why)| bad(field, &why))?;
        if roles.contains(&also.role_arn) {
            return Err(bad("also, role_arn", "stands there twice"));
        }
        roles.push(also.role_arn.clone());
    }
    if entry.regions.is_empty() {
        return Err(bad("regions", "is empty"));
    }
    if entry
        .regions
        .iter()
        .any(|r| check_name("Region", r).is_err())
    {
        return Err(bad(
            "regions",
            "has one that is not a Region's name, e.g. eu-central-1",
        ));
    }
    let action = entry.probe.split_once(':');
    if action.is_none_or(|(service, action)| {
        let plain =
            |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !plain(service) || !plain(action)
    }) {
        return Err(bad("probe", "is not an action like ec2:DescribeRegions"));
    }
    let (default_seconds, max_seconds) = lengths(&entry.default, &entry.max, &bad)?;
    let policy = match (&entry.policy, &entry.policy_file) {
        (Some(text), None) => json_policy(text).map_err(|why| bad("policy", &why))?,
        (None, Some(name)) => {
            let beside = path.parent().unwrap_or(Path::new("")).join(name);
            json_policy(&files::read_text(&beside)?).map_err(|why| bad("policy_file", &why))?
        }
        _ => {
            return Err(bad(
                "policy",
                "or 'policy_file' must be there, and one of them alone",
            ));
        }
    };
    if let Some(pattern) = &entry.subject {
        pattern::compile("subject", pattern)
            .map_err(|why| bad("subject", &format!("is no pattern: {why}")))?;
    }
    let named = secrets::named(entry.secrets).map_err(|why| bad("secrets:", &why))?;
    Ok(Access {
        name: entry.name,
        account: entry.account,
        role_arn: entry.role_arn,
        policy,
        regions: entry.regions,
        probe: entry.probe,
        default_seconds,
        max_seconds,
        also: entry.also.into_iter().map(target).collect(),
        secrets: named,
        broad: entry.broad,
        persistence: entry.persistence,
        subject: entry.subject,
        recording: entry.recording,
    })
}

/// Roles that have to be in this account; the first field that is wrong, and why.
fn in_account<'f>(account: &str, roles: &[(&'f str, &String)]) -> Result<(), (&'f str, String)> {
    let number = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    for (field, arn) in roles {
        if !number {
            return Err((
                "account",
                "is not an account number of 12 digits".to_owned(),
            ));
        }
        if !is_arn(arn, "role/") {
            return Err((field, not_an_arn("role/")));
        }
        if arn.split(':').nth(4) != Some(account) {
            return Err((
                field,
                "is in another account than 'account' says".to_owned(),
            ));
        }
    }
    Ok(())
}

fn target(also: AlsoEntry) -> Target {
    Target {
        account: also.account,
        role_arn: also.role_arn,
        steward_role_arn: also.steward_role_arn,
    }
}

fn json_policy(text: &str) -> Result<Json, String> {
    let policy: Json =
        serde_json::from_str(text).map_err(|why| format!("is not a JSON policy: {why}"))?;
    if policy.0.get("Statement").is_some() {
        Ok(policy)
    } else {
        Err("has no Statement".to_owned())
    }
}

/// Reads a custodian's enrollment and checks that the token itself has signed it.
pub(super) fn enrollment(path: &Path) -> Result<(Enrollment, Envelope), Problem> {
    let envelope = files::read_envelope(path)?;
    let verified: Verified<Enrollment> = Enrollment::verify(&envelope).map_err(|why| {
        let problem = Problem::from(why);
        Problem {
            error: format!("{}: {}", files::shown(path), problem.error),
            ..problem
        }
    })?;
    Ok((verified.into_document(), envelope))
}

pub(super) fn is_arn(text: &str, kind: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    text.bytes().all(|b| b.is_ascii_graphic())
        && matches!(parts[..], ["arn", partition, "iam", "", account, resource]
            if !partition.is_empty()
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && resource.len() > kind.len()
                && resource.starts_with(kind))
}

fn not_an_arn(kind: &str) -> String {
    format!("is not an ARN like arn:aws:iam::111122223333:{kind}NAME")
}

/// Reads TOML; what is wrong is said with its line.
pub(super) fn from_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Problem> {
    toml::from_str(text).map_err(|why| {
        let line = why.span().map(|span| {
            text.as_bytes()[..span.start.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1
        });
        let place = line.map_or(String::new(), |line| format!(", line {line}"));
        let message = plain(&why.message().replace('\n', " "));
        Problem::new(
            Code::Usage,
            format!("{}{place}: {message}", files::shown(path)),
        )
        .hint("the format stands in twotap vault create --help")
    })
}

/// A field that is not what it must be, named from the outside inwards.
pub(super) fn wrong(path: &Path, place: &[&str], why: &str) -> Problem {
    Problem::new(
        Code::Usage,
        format!("{}: {} {why}", files::shown(path), place.join(", ")),
    )
    .hint("correct the file; its format stands in twotap vault create --help")
}

#[cfg(test)]
mod tests;
