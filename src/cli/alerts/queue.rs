//! A queue that is subscribed to the alerts' topic for the time of a simulation, where a person's mail would be.

use serde_json::{Value, json};

use crate::{
    cli::{
        aws_cli::{Aws, Failed},
        ui::Ui,
    },
    protocol::{Code, Problem},
};

/// How long SQS keeps what nobody reads, in seconds: a queue that is left behind is empty soon.
const KEPT: &str = "300";

/// A queue, and what there is to put away afterwards.
pub(super) struct Queue {
    pub(super) url: String,
    subscription: Option<String>,
    ours: bool,
}

impl Queue {
    /// One that is subscribed already.
    pub(super) fn given(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            subscription: None,
            ours: false,
        }
    }

    /// Makes one of this name that only this topic may write to, and subscribes it.
    pub(super) fn make(aws: &Aws, name: &str, topic: &str, ui: &Ui) -> Result<Self, Problem> {
        let [_, partition, "sns", region, account, _] = topic.split(':').collect::<Vec<_>>()[..]
        else {
            return Err(
                Problem::new(Code::Usage, "--topic is not the ARN of a topic")
                    .hint("it looks like arn:aws:sns:eu-central-1:111122223333:twotap-alerts"),
            );
        };
        let arn = format!("arn:{partition}:sqs:{region}:{account}:{name}");
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }],
        });
        let attributes =
            json!({"Policy": policy.to_string(), "MessageRetentionPeriod": KEPT}).to_string();
        let made = aws.json(&[
            "sqs",
            "create-queue",
            "--queue-name",
            name,
            "--attributes",
            &attributes,
        ])?;
        let url = super::simulate::text(&made, "QueueUrl")?.to_owned();
        let mut queue = Self {
            url,
            subscription: None,
            ours: true,
        };
        let subscribed = aws.json(&[
            "sns",
            "subscribe",
            "--topic-arn",
            topic,
            "--protocol",
            "sqs",
            "--notification-endpoint",
            &arn,
            "--attributes",
            r#"{"RawMessageDelivery":"true"}"#,
            "--return-subscription-arn",
        ]);
        match subscribed {
            Ok(answer) => {
                queue.subscription = answer["SubscriptionArn"].as_str().map(str::to_owned);
                Ok(queue)
            }
            Err(why) => {
                queue.remove(aws, ui);
                Err(why.into())
            }
        }
    }

    /// Puts away what [`make`](Self::make) has made; what cannot be is said, with the line that does it.
    pub(super) fn remove(self, aws: &Aws, ui: &Ui) {
        let gone = |done: Result<Value, Failed>, by_hand: String| {
            if let Err(why) = done {
                ui.warn(format!("{why}; put it away by: {by_hand}"));
            }
        };
        if let Some(arn) = &self.subscription {
            // Whoever takes a subscription off the topic may want to blind it: the rules tell of that, whoever does it.
            ui.note(
                "taking the test's queue off the topic raises one more alert (BLINDING, Unsubscribe) in your name; --queue-url avoids that",
            );
            gone(
                aws.json(&["sns", "unsubscribe", "--subscription-arn", arn]),
                format!("aws sns unsubscribe --subscription-arn {arn}"),
            );
        }
        if self.ours {
            gone(
                aws.json(&["sqs", "delete-queue", "--queue-url", &self.url]),
                format!("aws sqs delete-queue --queue-url {}", self.url),
            );
        }
    }
}
