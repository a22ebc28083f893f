//! `twotap aws check`: what stands in the account beside what twotap needs, read by the AWS CLI of whoever asks. Changes nothing.
//!
//! What is needed is the shipped template (`packaging/aws/twotap.cfn.json`) with the parameters of the deployed stack; without a stack, what
//! its parameters would say is taken as it stands. It looks at each thing itself, not at CloudFormation's word: a stack that is
//! `CREATE_COMPLETE` says nothing of what was changed since.

use std::{collections::BTreeMap, process::ExitCode, sync::Mutex, thread};

use serde::Serialize;

use crate::{
    cli::{
        Door, Ended,
        aws_cli::{self, Aws},
        ui::Waiting,
    },
    protocol::{Code, Problem},
    trust::partition,
};

use super::{
    alarms,
    difference::{Difference, aws},
    identities,
    look::{Found, Look, Seen},
    needed::{KEY_ALIAS, Needed},
    store,
};

/// Arguments of `aws check`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The stack of packaging/aws/twotap.cfn.json, in the Region that is asked
    #[arg(long, value_name = "NAME", default_value = "twotap")]
    stack: String,
    /// Another Region that hands its events on, beside the one of IAM (us-east-1 in the partition aws)
    #[arg(long = "also", value_name = "REGION")]
    also: Vec<String>,
    #[command(flatten)]
    aws: aws_cli::Options,
}

/// What the check came to.
#[derive(Serialize)]
struct Outcome {
    account: String,
    region: String,
    /// The stack's name, where it stands.
    stack: Option<String>,
    looked_at: usize,
    differences: Vec<Difference>,
    /// What AWS refused to show.
    unseen: Vec<String>,
    /// Parameters whose value is not known: what depends on them was taken as it stands.
    not_compared: Vec<String>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let outcome = {
        let _said = Waiting::begin("aws");
        looked(args)?
    };
    door.ui.result(&outcome, &told(&outcome))?;
    match outcome.differences.is_empty() && outcome.unseen.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::from(Code::Refused.exit_status())),
    }
}

fn looked(args: &Args) -> Result<Outcome, Problem> {
    let aws = Aws::of(&args.aws);
    let region = aws.region()?;
    let found = Mutex::new(Found::default());
    let home = Look::new(&aws, &region, &found);

    let caller = aws.json(&["sts", "get-caller-identity"])?;
    let arn = caller["Arn"].as_str().unwrap_or_default();
    let mut parts = arn.split(':');
    let (partition, account) = (parts.nth(1), parts.nth(2));
    let (Some(partition), Some(account)) = (partition, account) else {
        return Err(Problem::new(
            Code::AwsRefused,
            format!("aws says that you are {arn:?}, which is no ARN"),
        ));
    };
    let mut known: BTreeMap<String, String> = [
        ("AWS::Partition", partition),
        ("AWS::AccountId", account),
        ("AWS::Region", &region),
        ("HomeRegion", &region),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let stack = parameters(&home, &args.stack, &mut known)?;
    if let Ok(Seen::There(answer)) = home.ask(&["kms", "describe-key", "--key-id", KEY_ALIAS])
        && let Some(id) = answer["KeyMetadata"]["KeyId"].as_str()
    {
        known.insert("AuditKey".to_owned(), id.to_owned());
        known.insert("AuditKeyId".to_owned(), id.to_owned());
    }
    let needed = Needed::main(known.clone())?;

    let parts: [&(dyn Fn() -> Result<(), Problem> + Sync); 5] = [
        &|| identities::look(&home, &needed),
        &|| store::key(&home, &needed).and_then(|()| store::trail(&home, &needed)),
        &|| store::buckets(&home, &needed),
        &|| alarms::rules(&home, &needed, None),
        &|| alarms::look(&home, &needed),
    ];
    thread::scope(|scope| {
        let looking: Vec<_> = parts.into_iter().map(|part| scope.spawn(part)).collect();
        let ended = looking.into_iter().map(|part| {
            part.join().unwrap_or_else(|_| {
                Err(Problem::new(
                    Code::Internal,
                    "a part of the check broke off",
                ))
            })
        });
        // Each is waited for, whatever the others came to.
        ended
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Result<(), Problem>>()
    })?;
    let mut elsewhere: Vec<&str> = args.also.iter().map(String::as_str).collect();
    let iam = partition::named(partition).map(|known| known.iam_region);
    elsewhere.extend(iam);
    elsewhere.sort_unstable();
    elsewhere.dedup();
    for other in elsewhere.into_iter().filter(|other| *other != region) {
        forwarded(&aws, other, &region, &known, &found)?;
    }

    let mut found = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    found.differences.sort_by(|a, b| a.thing.cmp(&b.thing));
    for difference in &mut found.differences {
        complete(&mut difference.mend, &args.stack, &region, &needed);
    }
    if iam.is_none() {
        found.unseen.push(format!(
            "the Region of IAM's events: the partition {partition} is not known"
        ));
    }
    found.unseen.sort();
    found.unseen.dedup();
    Ok(Outcome {
        account: account.to_owned(),
        region,
        stack,
        looked_at: found.looked,
        differences: found.differences,
        unseen: found.unseen,
        not_compared: needed.unknown(),
    })
}

/// A command that would need a value that nobody knows gives way to the one that asks for it.
pub(super) fn complete(mend: &mut Vec<String>, stack: &str, region: &str, needed: &Needed) {
    if mend.iter().any(|command| command.contains("${AuditKey")) {
        // Its key is among the differences; once it stands, this one's command is known.
        *mend = vec!["twotap aws check".to_owned()];
    } else if mend.iter().any(|command| command.contains("${")) {
        // What has to be named: the others keep their values, or have them from the template. What is not known nobody guesses here.
        let named = needed.required();
        let mut deploy = vec![
            "cloudformation",
            "deploy",
            "--region",
            region,
            "--stack-name",
            stack,
            "--template-file",
            "packaging/aws/twotap.cfn.json",
            "--capabilities",
            "CAPABILITY_NAMED_IAM",
            "--parameter-overrides",
        ];
        deploy.extend(named.iter().map(String::as_str));
        *mend = vec![aws(&deploy)];
    }
}

/// The stack's parameters, where it stands.
fn parameters(
    look: &Look<'_>,
    stack: &str,
    known: &mut BTreeMap<String, String>,
) -> Result<Option<String>, Problem> {
    let Seen::There(answer) =
        look.ask(&["cloudformation", "describe-stacks", "--stack-name", stack])?
    else {
        return Ok(None);
    };
    for parameter in answer["Stacks"][0]["Parameters"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = |field: &str| parameter[field].as_str().unwrap_or_default().to_owned();
        known.insert(text("ParameterKey"), text("ParameterValue"));
    }
    Ok(Some(stack.to_owned()))
}

/// The rules of another Region, which hand on what is seen there.
fn forwarded(
    aws_cli: &Aws,
    region: &str,
    home: &str,
    known: &BTreeMap<String, String>,
    found: &Mutex<Found>,
) -> Result<(), Problem> {
    let look = Look::new(aws_cli, region, found);
    let mut known = known.clone();
    known.insert("AWS::Region".to_owned(), region.to_owned());
    let needed = Needed::forward(known)?;
    let parameters = format!("HomeRegion={home}");
    let deploy = aws(&[
        "cloudformation",
        "deploy",
        "--region",
        region,
        "--stack-name",
        "twotap-forward",
        "--template-file",
        "packaging/aws/twotap-forward.cfn.json",
        "--capabilities",
        "CAPABILITY_NAMED_IAM",
        "--parameter-overrides",
        &parameters,
    ]);
    alarms::rules(&look, &needed, Some(deploy))
}

fn told(outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    for difference in &outcome.differences {
        line(format!("{}: {}", difference.thing, difference.what));
        line(format!("  risk  {}", difference.risk));
        for command in &difference.mend {
            line(format!("  mend  {command}"));
        }
    }
    for unseen in &outcome.unseen {
        line(format!("not looked at: {unseen}"));
    }
    if !outcome.not_compared.is_empty() {
        let which = if outcome.stack.is_some() {
            "of the stack"
        } else {
            "there is no such stack, so"
        };
        line(format!(
            "not compared, {which} nothing says them: {}",
            outcome.not_compared.join(", ")
        ));
    }
    let count = match outcome.differences.len() {
        0 => "no difference".to_owned(),
        1 => "1 difference".to_owned(),
        many => format!("{many} differences"),
    };
    line(format!(
        "account {} in {}: {} things looked at, {count}",
        outcome.account, outcome.region, outcome.looked_at
    ));
    text
}
