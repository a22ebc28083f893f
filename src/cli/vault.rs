//! `twotap vault`: draws up a vault's first roster; `vault seal` stands in [`super::seal`].

use std::{path::PathBuf, process::ExitCode};

use crate::{
    protocol::{Code, Problem},
    trust::{
        Envelope, Timestamp, power,
        roster::{Access, AwsBinding, Host, Person, Role, Roster, Token},
    },
};

use super::{
    Door, Ended, export, files, groups, inputs, places, policy, roster::describe, screen, seal,
    standing,
};

/// Arguments of `vault`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Draw up the first roster of a vault; needs no agent
    Create(Box<CreateArgs>),
    /// Seal a credential: what aws iam create-access-key prints
    Seal(seal::Args),
    /// Write the sealed bundle to a file for a safe, or say what such a file holds
    Export(export::Args),
}

const FORMATS: &str = r#"people.toml:
  [[person]]
  name = "dana"
  roles = ["operator"]        # operator, custodian, commander, officer
  uids = [61010]              # accounts on the host
  member_of = ["Support-L2"]  # groups of the organisation: shown, and no power by itself
  recipient = "age1..."       # of an officer: recordings are sealed to it

access.toml:
  [aws]
  user_arn = "arn:aws:iam::111122223333:user/twotap/break-glass"
  steward_role_arn = "arn:aws:iam::111122223333:role/twotap/steward"
  external_id = "prod-7f3a"

  [[access]]
  name = "admin"
  account = "111122223333"
  role_arn = "arn:aws:iam::111122223333:role/twotap/op-admin"
  regions = ["eu-central-1"]
  probe = "ec2:DescribeRegions"
  default = "4h"              # may be left out
  max = "11h"                 # may be left out
  policy_file = "admin.json"  # or policy = '''{ ... }'''
  broad = true                # it allows wholesale; without this such a policy is refused
  persistence = true          # it can hand out power that outlives the session; likewise
  subject = "u-[0-9]+"        # what ${subject} in the policy looks like, as a whole
  recording = "wanted"        # or "required", "off"; may be left out: wanted

  [[access.also]]             # further roles, opened with the first; may be left out
  account = "444455556666"
  role_arn = "arn:aws:iam::444455556666:role/twotap/op-admin"
  steward_role_arn = "arn:aws:iam::444455556666:role/twotap/steward"

  [[access.secrets]]          # rotated when such a session is closed; as many as wanted
  arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/app-1a2b3c"

  [[access.secrets]]
  arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-4d5e6f"
  [access.secrets.setter]     # only where it has no rotation function
  name = "postgresql"         # [setters.postgresql] in the host's worker.toml
  role_arn = "arn:aws:iam::111122223333:role/twotap/setter"
  field = "password"          # of its JSON; without it, the whole value is replaced
  length = 32                 # may be left out
  classes = ["lower", "upper", "digits", "symbols"]   # may be left out

places.toml:
  [[place]]
  name = "safe"
  kind = "secret"             # or "folder", whose path stands in worker.toml
  secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:twotap/prod-bundle-AbCdEf"
  role_arn = "arn:aws:iam::111122223333:role/twotap/bundle"
  required = true             # the old key dies only once this place holds the new one
  claim = true                # of several hosts one at a time replaces the key

policy.toml:
  may_coincide = [["operator", "commander"]]   # different people by default; may be left out

  [[scenario]]                # every request for a session names one, where there are any
  name = "security-patch"
  access = ["admin"]
  default = "2h"              # may be left out: 4h
  max = "4h"                  # may be left out: 11h, and the profile's own
  review_hours = 24           # may be left out: 48
  needs = ["commander", "ticket", "subject"]   # may be left out
  ticket = "SEC-[0-9]+"       # a pattern that the whole incident id must match
  min_reason = 20             # characters; may be left out: 10
  sinks = ["siem"]            # of agent.toml: they hold the request before custodians are asked

  [[scenario.checks]]         # run before custodians are asked: [checks.merged] in agent.toml
  name = "merged"
  required = true             # false: custodians see that it did not pass

host.pub: what twotapd keys prints on the host:
  {"name":"host-1","key":"BASE64","checkpoint_key":"BASE64"}"#;

#[derive(clap::Args)]
#[command(after_help = FORMATS)]
struct CreateArgs {
    /// Name of the vault, e.g. prod
    vault: String,
    /// How many custodians must approve, at least 2
    #[arg(long, value_name = "K")]
    threshold: u8,
    /// A group of custodians, of whom K have to be among those who approve, e.g. security:1:alice,bob; once for each group
    #[arg(long, value_name = "NAME:K:PEOPLE")]
    group: Vec<String>,
    /// A custodian's enrollment; once for each
    #[arg(long, value_name = "FILE", required = true)]
    custodian: Vec<PathBuf>,
    /// What can be asked for
    #[arg(long, value_name = "FILE")]
    access: PathBuf,
    /// Who may do what
    #[arg(long, value_name = "FILE")]
    people: PathBuf,
    /// The host's public keys
    #[arg(long, value_name = "FILE")]
    host: PathBuf,
    /// For what it may be opened, and on which terms; requests name no scenario where this is left out
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where copies of the sealed bundle are kept
    #[arg(long, value_name = "FILE")]
    places: Option<PathBuf>,
    #[command(flatten)]
    accept: AcceptArgs,
    /// Where to write the roster; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What the roster accepts beyond what needs no word; all of it stands in every listing.
#[derive(clap::Args)]
pub(super) struct AcceptArgs {
    /// Let tokens count whose own certificate this one (PEM or DER) has signed, instead of the maker's
    #[arg(long, value_name = "NAME=FILE")]
    pub(super) attestation_root: Vec<String>,
    /// Let tokens count although this advisory is about them, e.g. YSA-2024-03; it stands in the record of each of their approvals
    #[arg(long, value_name = "ADVISORY")]
    pub(super) accept_risk: Vec<String>,
    /// Let this one token count without any attestation
    #[arg(long, value_name = "SERIAL")]
    pub(super) accept_unattested: Vec<u32>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Create(args) => create(&args, door),
        Verb::Seal(args) => seal::run(&args, door),
        Verb::Export(args) => export::run(&args, door),
    }
}

fn create(args: &CreateArgs, door: &Door) -> Ended {
    files::must_be_new(&args.output)?;
    let host = inputs::host(&args.host)?;
    let people = inputs::people(&args.people, std::slice::from_ref(&host))?;
    let (aws, access) = inputs::access(&args.access)?;
    let tokens = tokens(&args.custodian, &people)?;
    let roster = draw_up(args, host, people, tokens, (aws, access))?;
    standing::must_stand(&roster)?;
    power::judge_all(&roster)?;
    let envelope = Envelope::new(&roster)?;
    places::must_fit(std::slice::from_ref(&envelope))?;
    let words = screen::words(&envelope.digest())?;
    files::write_public_new(&args.output, &envelope)?;

    let object = serde_json::json!({
        "file": args.output,
        "vault": roster.vault,
        "version": roster.version,
        "threshold": roster.threshold,
        "groups": roster.groups,
        "custodians": roster.custodians().map(|p| &p.name).collect::<Vec<_>>(),
        "tokens": standing::tokens_json(&roster),
        "sha256": envelope.digest(),
        "words": words,
    });
    let text = format!(
        "{}{}\nwrote {}; next, each custodian: twotap roster sign {}",
        describe(&roster),
        screen::words_line(&words),
        files::shown(&args.output),
        files::shown(&args.output)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The tokens of the enrollments; each belongs to somebody who is listed as a custodian.
fn tokens(paths: &[PathBuf], people: &[Person]) -> Result<Vec<Token>, Problem> {
    let mut tokens: Vec<Token> = Vec::new();
    for path in paths {
        let (enrollment, _) = inputs::enrollment(path)?;
        let name = &enrollment.name;
        let wrong = |why: String| {
            Problem::new(Code::Usage, format!("{}: {why}", files::shown(path)))
                .hint("people.toml and the enrollments must agree; see twotap vault create --help")
        };
        let person = people.iter().find(|p| p.name == *name);
        if person.is_none_or(|p| !p.roles.contains(&Role::Custodian)) {
            return Err(wrong(format!("{name} is not listed as a custodian")));
        }
        if tokens.iter().any(|t| t.serial == enrollment.serial) {
            return Err(wrong(format!(
                "token {} was given before",
                enrollment.serial
            )));
        }
        tokens.push(Token {
            person: enrollment.name,
            serial: enrollment.serial,
            firmware: enrollment.firmware,
            approve: enrollment.approve,
            unseal: enrollment.unseal,
            attestation: enrollment.attestation,
        });
    }
    Ok(tokens)
}

fn draw_up(
    args: &CreateArgs,
    host: Host,
    people: Vec<Person>,
    tokens: Vec<Token>,
    (aws, access): (AwsBinding, Vec<Access>),
) -> Result<Roster, Problem> {
    let usage = |what: String, hint: &str| Err(Problem::new(Code::Usage, what).hint(hint));
    let custodians: Vec<&Person> = people
        .iter()
        .filter(|p| p.roles.contains(&Role::Custodian))
        .collect();
    if args.threshold < 2 {
        return usage(
            format!("--threshold {} is below 2", args.threshold),
            "one tap alone never opens a vault",
        );
    }
    if usize::from(args.threshold) > custodians.len() {
        return usage(
            format!(
                "--threshold {} is more than the {} custodians",
                args.threshold,
                custodians.len()
            ),
            "list more custodians, or lower the threshold",
        );
    }
    if let Some(without) = custodians
        .iter()
        .find(|p| tokens.iter().all(|t| t.person != p.name))
    {
        return usage(
            format!("there is no enrollment for custodian {}", without.name),
            "give it with --custodian FILE, or take the role away in people.toml",
        );
    }
    let policy = match &args.policy {
        Some(path) => policy::read(path, &access)?,
        None => policy::Policy::default(),
    };
    let accept = &args.accept;
    let roster = Roster {
        v: 1,
        vault: args.vault.clone(),
        version: 1,
        previous: None,
        by: None,
        created_at: Timestamp::now(),
        threshold: args.threshold,
        groups: groups::read(&args.group)?,
        scenarios: policy.scenarios,
        may_coincide: policy.may_coincide,
        people,
        tokens,
        hosts: vec![host],
        aws,
        access,
        recovery: None,
        places: args
            .places
            .as_deref()
            .map_or_else(|| Ok(Vec::new()), places::read)?,
        attestation_roots: accept
            .attestation_root
            .iter()
            .map(|argument| standing::root(argument))
            .collect::<Result<_, _>>()?,
        accept_risk: standing::risks(&accept.accept_risk)?,
        accept_unattested: accept.accept_unattested.clone(),
    };
    groups::sensible(&roster)?;
    Ok(roster)
}
