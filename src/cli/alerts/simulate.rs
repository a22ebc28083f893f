//! `twotap alerts simulate`: sample events by `put-events`, and the wait for their alerts.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use rand_core::{OsRng, RngCore as _};
use serde_json::{Value, json};

use crate::{
    cli::{
        Door, Ended,
        aws_cli::{self, Aws},
        span,
        ui::{Ui, plain},
    },
    protocol::{Code, Problem},
    trust::Timestamp,
};

use super::sample::{About, Sample, samples};

/// How long a `receive-message` waits, in seconds: SQS's most is 20.
const LONG_POLL: u64 = 5;

/// Arguments of `alerts simulate`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The audit bucket that the rules watch
    #[arg(long, value_name = "BUCKET")]
    bucket: String,
    /// The queue that is subscribed to the alerts' topic
    #[arg(long, value_name = "URL")]
    queue_url: String,
    /// The event bus
    #[arg(long, value_name = "NAME", default_value = "default")]
    bus: String,
    /// How long to wait for the alerts
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span::parse)]
    within: u32,
    #[command(flatten)]
    aws: aws_cli::Options,
}

/// An alert that has come.
struct Arrived {
    after: Duration,
    text: String,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let aws = Aws::of(&args.aws);
    let caller = aws.json(&["sts", "get-caller-identity"])?;
    let (account, who) = (text(&caller, "Account")?, text(&caller, "Arn")?);
    let region = aws.region()?;
    let now = Timestamp::now();
    let marker = format!("twotap-simulate-{}", marker());
    let samples = samples(&About {
        marker: &marker,
        account,
        who,
        region: &region,
        bucket: &args.bucket,
        time: &now.to_string(),
    });
    let begun = Instant::now();
    put(&aws, &samples, &args.bus)?;
    let within = Duration::from_secs(args.within.into());
    let arrived = wait(&aws, &args.queue_url, &samples, begun, within, &door.ui)?;
    said(&samples, &arrived, within, door)
}

/// Puts the events; EventBridge may refuse single ones and still answer.
fn put(aws: &Aws, samples: &[Sample], bus: &str) -> Result<(), Problem> {
    let entries: Vec<Value> = samples.iter().map(|sample| sample.entry(bus)).collect();
    let entries = json!(entries).to_string();
    let put = aws.json(&["events", "put-events", "--entries", &entries])?;
    let failed = put["Entries"].as_array().into_iter().flatten();
    let mut failed = failed.filter_map(|entry| entry["ErrorMessage"].as_str());
    match (put["FailedEntryCount"].as_u64(), failed.next()) {
        (Some(0), None) => Ok(()),
        (_, why) => Err(Problem::new(
            Code::AwsRefused,
            format!(
                "the event bus did not take the samples: {}",
                plain(why.unwrap_or("it does not say why"))
            ),
        )),
    }
}

/// Reads the queue until every sample's alert has come, or the time is over. Messages that are none of ours stay in it.
fn wait(
    aws: &Aws,
    queue: &str,
    samples: &[Sample],
    begun: Instant,
    within: Duration,
    ui: &Ui,
) -> Result<BTreeMap<String, Arrived>, Problem> {
    let _said = ui.waiting("the alerts to arrive");
    let poll = LONG_POLL.to_string();
    let mut arrived = BTreeMap::new();
    // A queue's address names its Region, where it is AWS's own.
    let aws = match queue.split('.').collect::<Vec<_>>()[..] {
        [_, region, "amazonaws", ..] => aws.in_region(region),
        _ => aws.in_region(&aws.region()?),
    };
    while arrived.len() < samples.len() && begun.elapsed() < within {
        let received = aws.json(&[
            "sqs",
            "receive-message",
            "--queue-url",
            queue,
            "--max-number-of-messages",
            "10",
            "--wait-time-seconds",
            &poll,
        ]);
        let received = match received {
            Err(why) if why.is("AWS.SimpleQueueService.NonExistentQueue") => {
                return Err(
                    Problem::from(why).hint("give the address that aws sqs list-queues prints")
                );
            }
            received => received?,
        };
        for message in received["Messages"].as_array().into_iter().flatten() {
            let body = alert(message["Body"].as_str().unwrap_or_default());
            let ours = samples.iter().find(|s| body.contains(&s.marker));
            let Some(sample) = ours else { continue };
            let after = begun.elapsed();
            arrived
                .entry(sample.marker.clone())
                .or_insert(Arrived { after, text: body });
            let receipt = text(message, "ReceiptHandle")?;
            aws.json(&[
                "sqs",
                "delete-message",
                "--queue-url",
                queue,
                "--receipt-handle",
                receipt,
            ])?;
        }
    }
    Ok(arrived)
}

/// A message of the topic as a mail would have it: the queue may hold it bare, or in SNS's envelope.
fn alert(body: &str) -> String {
    let envelope: Option<Value> = serde_json::from_str(body).ok();
    let inner = envelope.as_ref().and_then(|e| e["Message"].as_str());
    inner.unwrap_or(body).to_owned()
}

/// Says what came; what did not, or not in plain text, is a failure.
fn said(
    samples: &[Sample],
    arrived: &BTreeMap<String, Arrived>,
    within: Duration,
    door: &Door,
) -> Ended {
    let mut shown = String::new();
    let mut alerts = Vec::new();
    let mut lacking = Vec::new();
    for sample in samples {
        let Some(one) = arrived.get(&sample.marker) else {
            shown.push_str(&format!("{}: not arrived\n", sample.form));
            lacking.push(format!("{} did not arrive", sample.form));
            alerts.push(json!({"form": sample.form, "marker": sample.marker, "arrived": false}));
            continue;
        };
        let elements = sample.elements(&one.text);
        let words = elements.map(|(name, there)| match there {
            true => name.to_owned(),
            false => format!("no {name}"),
        });
        shown.push_str(&format!(
            "{}: arrived after {:.1} s with {}\n",
            sample.form,
            one.after.as_secs_f32(),
            words.join(", ")
        ));
        for line in one.text.lines() {
            shown.push_str(&format!("    {}\n", plain(line)));
        }
        for (name, _) in elements.iter().filter(|(_, there)| !there) {
            lacking.push(format!("{} came without {name}", sample.form));
        }
        alerts.push(json!({
            "form": sample.form,
            "marker": sample.marker,
            "arrived": true,
            "seconds": one.after.as_secs_f32(),
            "elements": elements.iter().map(|(n, there)| ((*n).to_owned(), json!(there))).collect::<serde_json::Map<_, _>>(),
            "text": one.text,
        }));
    }
    if !lacking.is_empty() {
        door.ui.step(shown.trim_end());
        let waited = span::show(i64::try_from(within.as_secs()).unwrap_or(i64::MAX));
        return Err(Problem::new(
            Code::AwsUnreachable,
            format!("alerts are not as they should be within {waited}: {}", lacking.join(", ")),
        )
        .hint("look at the rules' dead-letter queue, the topic's policy and its key: twotap aws check"));
    }
    door.ui.result(&json!({ "alerts": alerts }), &shown)?;
    Ok(ExitCode::SUCCESS)
}

fn text<'v>(of: &'v Value, field: &str) -> Result<&'v str, Problem> {
    of[field]
        .as_str()
        .ok_or_else(|| Problem::new(Code::Internal, format!("aws answered without {field}")))
}

/// Eight random characters, so that two simulations at once do not take each other's alerts.
fn marker() -> String {
    let mut bytes = [0; 5];
    OsRng.fill_bytes(&mut bytes);
    data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase()
}
