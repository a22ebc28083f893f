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

use super::{
    queue::Queue,
    sample::{About, Sample, samples},
};

/// How long a `receive-message` waits, in seconds: SQS's most is 20.
const LONG_POLL: u64 = 5;

/// Arguments of `alerts simulate`.
#[derive(clap::Args)]
#[command(
    after_help = "Needs events:PutEvents; sns:Subscribe and sns:Unsubscribe on the topic; sqs:CreateQueue, ReceiveMessage, \
DeleteMessage and DeleteQueue on twotap-simulate-*; cloudformation:DescribeStacks unless --topic and --bucket are given.\n\n\
Subscribers of the topic get the samples too: each says TEST and twotap.simulation."
)]
pub(super) struct Args {
    /// The stack that was deployed from twotap.cfn.json
    #[arg(long, value_name = "NAME", default_value = "twotap")]
    stack: String,
    /// The alerts' topic, instead of the stack's
    #[arg(long, value_name = "ARN")]
    topic: Option<String>,
    /// The audit bucket, instead of the stack's
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Read a queue that is subscribed to the topic, instead of one that is made for the time of the test
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
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
    let (topic, bucket) = stands(args, &aws)?;
    // The rules stand where their topic does.
    let region = match topic.split(':').nth(3) {
        Some(region) if !region.is_empty() => region.to_owned(),
        _ => aws.region()?,
    };
    let aws = aws.in_region(&region);
    let marker = format!("twotap-simulate-{}", marker());
    let samples = samples(&About {
        marker: &marker,
        account,
        who,
        region: &region,
        bucket: &bucket,
        time: &Timestamp::now().to_string(),
    });
    let queue = match &args.queue_url {
        Some(url) => Queue::given(url),
        None => Queue::make(&aws, &marker, &topic, &door.ui)?,
    };
    let within = Duration::from_secs(args.within.into());
    let begun = Instant::now();
    let arrived = put(&aws, &samples)
        .and_then(|()| wait(&aws, &queue.url, &samples, begun, within, &door.ui));
    queue.remove(&aws, &door.ui);
    said(&samples, &arrived?, within, door)
}

/// Topic and bucket: as given, else as the stack says.
fn stands(args: &Args, aws: &Aws) -> Result<(String, String), Problem> {
    if let (Some(topic), Some(bucket)) = (&args.topic, &args.bucket) {
        return Ok((topic.clone(), bucket.clone()));
    }
    let stack = [
        "cloudformation",
        "describe-stacks",
        "--stack-name",
        &args.stack,
    ];
    let described =
        aws.json(&stack)
            .map_err(|why| match why.is("ValidationError") {
                true => Problem::from(why)
                    .hint("name the stack with --stack, or give --topic and --bucket"),
                false => why.into(),
            })?;
    let output = |key: &str, given: &Option<String>| {
        let outputs = described["Stacks"][0]["Outputs"].as_array();
        let mut outputs = outputs.into_iter().flatten();
        let found = outputs.find(|output| output["OutputKey"] == key);
        let found = found.and_then(|output| output["OutputValue"].as_str());
        given.clone().or(found.map(str::to_owned)).ok_or_else(|| {
            Problem::new(
                Code::Usage,
                format!(
                    "the stack {} has no {key}: it is of an older version",
                    plain(&args.stack)
                ),
            )
            .hint("deploy packaging/aws/twotap.cfn.json again, or give --topic and --bucket")
        })
    };
    Ok((
        output("AlertsTopicArn", &args.topic)?,
        output("AuditBucketName", &args.bucket)?,
    ))
}

/// Puts the events; EventBridge may refuse single ones and still answer.
fn put(aws: &Aws, samples: &[Sample]) -> Result<(), Problem> {
    let entries: Vec<Value> = samples
        .iter()
        .map(|sample| sample.entry("default"))
        .collect();
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
            shown.push_str(&format!("{}: not arrived\n", sample.name));
            lacking.push(format!("{} did not arrive", sample.name));
            alerts.push(json!({"sample": sample.name, "marker": sample.marker, "arrived": false}));
            continue;
        };
        let elements = sample.elements(&one.text);
        let words = elements.map(|(name, there)| match there {
            true => name.to_owned(),
            false => format!("no {name}"),
        });
        shown.push_str(&format!(
            "{}: arrived after {:.1} s with {}\n",
            sample.name,
            one.after.as_secs_f32(),
            words.join(", ")
        ));
        for line in one.text.lines() {
            shown.push_str(&format!("    {}\n", plain(line)));
        }
        for (name, _) in elements.iter().filter(|(_, there)| !there) {
            lacking.push(format!("{} came without {name}", sample.name));
        }
        alerts.push(json!({
            "sample": sample.name,
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

pub(super) fn text<'v>(of: &'v Value, field: &str) -> Result<&'v str, Problem> {
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
