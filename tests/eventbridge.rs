//! The record on an EventBridge bus, through a rule to a queue: every event, in order by `seq`, whatever the wire does.

mod record_at_aws;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use twotap::audit::sinks::eventbridge::{EventBridgeConfig, EventBridgeSink};
use twotap::audit::sinks::{Opening, Sinks};
use twotap_rig::Reply;
use twotap_rig::proxy::{Fault, Gate, Keep, Rule, When};

use record_at_aws::{Bench, REGION, SOON};

/// A bus with a queue behind it.
struct Bus {
    bench: Bench,
    queue: String,
}

impl Bus {
    fn new() -> Self {
        let bench = Bench::without_bucket();
        let bus = Self {
            queue: String::new(),
            bench,
        };
        let account = &bus.bench.account;
        let made = bus.ask(
            "sqs",
            "AmazonSQS.CreateQueue",
            json!({ "QueueName": "seen" }),
        );
        let queue = made.text("QueueUrl").expect("a queue");
        let arn = format!("arn:aws:sqs:{REGION}:{account}:seen");
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage", "Resource": arn,
        }]});
        bus.ask(
            "sqs",
            "AmazonSQS.SetQueueAttributes",
            json!({ "QueueUrl": queue, "Attributes": { "Policy": policy.to_string() } }),
        );
        bus.ask(
            "events",
            "AWSEvents.CreateEventBus",
            json!({ "Name": "twotap" }),
        );
        let pattern = json!({ "source": ["twotap"] }).to_string();
        bus.ask(
            "events",
            "AWSEvents.PutRule",
            json!({ "Name": "all", "EventBusName": "twotap", "EventPattern": pattern }),
        );
        bus.ask(
            "events",
            "AWSEvents.PutTargets",
            json!({ "Rule": "all", "EventBusName": "twotap", "Targets": [{ "Id": "seen", "Arn": arn }] }),
        );
        Self { queue, ..bus }
    }

    fn ask(&self, service: &str, target: &str, body: Value) -> Reply {
        let reply = self.bench.admin.json(service, target, &body).expect(target);
        reply.expect_ok(target).expect(target)
    }

    fn config(&self, from: &str, to: &str) -> Result<EventBridgeSink, String> {
        let key = self.bench.key.display();
        let endpoint = self.bench.proxy.endpoint();
        let table = format!(
            "bus = 'twotap'\nregion = '{REGION}'\ncredential = '{key}'\nendpoint = '{endpoint}'\n"
        );
        let changed = table.replacen(from, to, 1);
        assert!(from.is_empty() || changed != table);
        let config: EventBridgeConfig = toml::from_str(&changed).map_err(|why| why.to_string())?;
        let at = Opening {
            name: "bus",
            folder: self.bench.dir.path(),
            state: self.bench.dir.path(),
            host: "bg-1",
        };
        config.sink(&at).map_err(|why| why.to_string())
    }

    fn run(&self) -> Sinks {
        self.bench.run(self.config("", "").expect("a sink"))
    }

    /// What came through the rule: each event by its number, as often as it came.
    fn seen(&self) -> BTreeMap<u64, Vec<Value>> {
        let mut seen: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
        loop {
            let ask = json!({ "QueueUrl": self.queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600 });
            let got = self.ask("sqs", "AmazonSQS.ReceiveMessage", ask);
            let got: Value = serde_json::from_str(&got.body).expect("JSON");
            let messages = got["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return seen;
            }
            for message in messages {
                let event = message["Body"].as_str().expect("a body");
                let event: Value = serde_json::from_str(event).expect("JSON");
                let seq = event["detail"]["seq"].as_u64().expect("a number");
                seen.entry(seq).or_default().push(event);
            }
        }
    }

    /// Every event of the store was seen, as it stands there.
    fn check_seen(&self) -> BTreeMap<u64, Vec<Value>> {
        let seen = self.seen();
        let numbers: Vec<_> = seen.keys().copied().collect();
        assert_eq!(numbers, (1..=self.bench.head().seq).collect::<Vec<_>>());
        for (seq, events) in &seen {
            let line = self
                .bench
                .store
                .events(*seq, 1)
                .expect("an event")
                .remove(0)
                .line;
            let line: Value = serde_json::from_slice(&line).expect("JSON");
            for event in events {
                assert_eq!(event["detail"], line);
                assert_eq!(event["detail-type"], line["event_type"]);
                assert_eq!(event["source"], "twotap");
            }
        }
        seen
    }

    /// The numbers of the events of each call that reached the bus.
    fn calls(&self) -> Vec<Vec<u64>> {
        let calls = self.bench.proxy.calls_of("events:PutEvents").into_iter();
        let numbers = |entries: &Value| -> Vec<u64> {
            let entries = entries.as_array().expect("a list").iter();
            let details = entries.map(|e| e["Detail"].as_str().expect("a detail"));
            let details = details.map(|d| serde_json::from_str::<Value>(d).expect("JSON"));
            details
                .map(|d| d["seq"].as_u64().expect("a number"))
                .collect()
        };
        calls
            .map(|call| {
                let entries = call.param("Entries").expect("entries");
                numbers(&serde_json::from_str(entries).expect("JSON"))
            })
            .collect()
    }
}

#[test]
fn every_event_comes_through_the_rule_once_in_calls_of_ten() {
    let bus = Bus::new();
    bus.bench.record(25);
    let sinks = bus.run();
    bus.bench.wait_held(&sinks, 25);
    assert!(sinks.shutdown(SOON));
    let seen = bus.check_seen();
    assert!(seen.values().all(|events| events.len() == 1));
    let calls: Vec<_> = bus.calls().iter().map(Vec::len).collect();
    assert_eq!(calls, [10, 10, 5]);
    // After a restart it goes on, and sends nothing again.
    bus.bench.record(1);
    let sinks = bus.run();
    bus.bench.wait_held(&sinks, 26);
    assert!(sinks.shutdown(SOON));
    assert_eq!(bus.seen().into_keys().collect::<Vec<_>>(), [26]);
}

#[test]
fn large_events_are_spread_over_calls_that_aws_takes() {
    let bus = Bus::new();
    let large = "x".repeat(120 * 1024);
    record_at_aws::record(&bus.bench.store, 5, &large);
    let sinks = bus.run();
    bus.bench.wait_held(&sinks, 5);
    assert!(sinks.shutdown(SOON));
    assert_eq!(bus.calls(), [vec![1, 2], vec![3, 4], vec![5]]);
    let sizes = bus.bench.proxy.calls_of("events:PutEvents").into_iter();
    for call in sizes {
        assert!(call.param("Entries").expect("entries").len() < 256 * 1024);
    }
}

#[test]
fn of_a_call_that_was_taken_in_part_the_rest_is_sent_again_in_order() {
    let bus = Bus::new();
    bus.bench.record(1);
    let sinks = bus.run();
    bus.bench.wait_held(&sinks, 1);
    assert!(sinks.shutdown(SOON));
    bus.bench.proxy.clear_calls();
    let entry = |code: &str| match code {
        "" => json!({ "EventId": "0c0ffee0-0000-0000-0000-000000000000" }),
        code => json!({ "ErrorCode": code, "ErrorMessage": "said so" }),
    };
    let answer = |codes: &[&str]| {
        let entries: Vec<_> = codes.iter().map(|code| entry(code)).collect();
        let failed = codes.iter().filter(|c| !c.is_empty()).count();
        Fault::Answer(
            200,
            json!({ "FailedEntryCount": failed, "Entries": entries }).to_string(),
        )
    };
    bus.bench.record(4);
    for codes in [
        ["", "ThrottlingException", "", ""].as_slice(),
        &["InvalidArgument", "", ""],
        &["", "", "InternalException"],
    ] {
        bus.bench
            .proxy
            .add(Rule::new("events:PutEvents", When::First(1), answer(codes)));
    }
    let sinks = bus.run();
    bus.bench.wait_held(&sinks, 5);
    assert!(sinks.shutdown(SOON));
    assert_eq!(
        bus.calls(),
        [vec![2, 3, 4, 5], vec![3, 4, 5], vec![3, 4, 5], vec![5]]
    );
    // An event that the bus will never take holds nobody up, and is said.
    bus.bench.record(2);
    bus.bench.proxy.clear_rules();
    bus.bench.proxy.add(Rule::new(
        "events:PutEvents",
        When::First(1),
        answer(&["MalformedDetail", ""]),
    ));
    let sinks = bus.run();
    bus.bench.wait_held(&sinks, 7);
    let said = bus.bench.complaint(&sinks);
    assert!(said.contains("event 6") && said.contains("never"), "{said}");
    assert!(sinks.shutdown(SOON));
}

#[test]
fn each_fault_of_the_wire_loses_nothing() {
    let bus = Bus::new();
    let sinks = bus.run();
    let slow = Fault::Refuse(400, "ThrottlingException".into(), "Rate exceeded".into());
    let faults = [
        Fault::LoseReply,
        Fault::Unreachable,
        Fault::Refused(Duration::from_millis(300)),
        Fault::Delay(Duration::from_millis(300)),
        Fault::Repeat(Keep::First),
        Fault::Repeat(Keep::Second),
        Fault::CutBody,
        slow,
        Fault::failed(),
        Fault::failed_after(),
        Fault::Overtaken,
        Fault::denied(),
        Fault::Answer(200, "{}".into()),
        Fault::Answer(200, "<html>".into()),
    ];
    let mut recorded = 0;
    for fault in faults {
        for calls in [1, 4] {
            let rule = Rule::new("events:PutEvents", When::First(calls), fault.clone());
            bus.bench.proxy.add(rule);
            bus.bench.record(2);
            recorded += 2;
            bus.bench.wait_held(&sinks, recorded);
            bus.bench.proxy.clear_rules();
        }
    }
    assert!(sinks.shutdown(SOON));
    // The first time that each was tried comes in order: nothing overtakes what was not taken yet.
    let mut newest = 0;
    for call in bus.calls() {
        assert!(call[0] <= newest + 1, "{call:?} after {newest}");
        newest = newest.max(*call.last().expect("one"));
    }
    bus.check_seen();
}

#[test]
fn a_bus_that_takes_the_call_and_says_nothing_is_given_up_in_time() {
    let bus = Bus::new();
    let gate = Gate::new();
    let held = Rule::new(
        "events:PutEvents",
        When::Always,
        Fault::HoldReply(gate.clone()),
    );
    bus.bench.proxy.add(held);
    bus.bench.record(2);
    let sink = bus.config("", "").expect("a sink");
    let sinks = bus.bench.run(sink.bounded_by(Duration::from_secs(1)));
    gate.wait_arrived(1, SOON).expect("a call");
    let why = bus.bench.failure(&sinks).to_string();
    assert!(why.contains("did not answer within 1 s"), "{why}");
    assert_eq!(sinks.status().expect("a status")[0].acknowledged, 0);
    bus.bench.proxy.clear_rules();
    bus.bench.wait_held(&sinks, 2);
    assert!(sinks.shutdown(SOON));
    gate.open();
    bus.check_seen();
}

#[test]
fn settings_that_cannot_work_are_refused_with_their_key() {
    let bus = Bus::new();
    for (from, to, words) in [
        ("'twotap'", "''", "bus"),
        ("'twotap'", "'two tap'", "bus"),
        ("'twotap'", "'arn:aws:sns:eu-central-1:1:twotap'", "bus"),
        ("bus =", "source = 'aws.s3'\nbus =", "source"),
        ("http://127", "http://192", "plain http"),
        ("audit-writer.json", "none.json", "credential"),
        ("bus =", "mode = 'GOVERNANCE'\nbus =", "mode"),
    ] {
        let why = bus.config(from, to).map(|_| ()).expect_err(to);
        assert!(why.contains(words), "{to}: {why}");
    }
    let arn = format!(
        "'arn:aws:events:{REGION}:{}:event-bus/twotap'",
        bus.bench.account
    );
    assert!(bus.config("'twotap'", &arn).is_ok());
}

#[test]
fn a_bus_that_the_key_may_not_use_is_said_and_taken_up_once_it_may() {
    let bus = Bus::new();
    let shipped = bus.bench.shipped();
    let text = shipped
        .to_string()
        .replace("event-bus/twotap", "event-bus/other");
    bus.bench.allow(&serde_json::from_str(&text).expect("JSON"));
    bus.bench.record(1);
    let sinks = bus.run();
    let why = bus.bench.failure(&sinks).to_string();
    assert!(why.contains("events:PutEvents"), "{why}");
    bus.bench.allow(&shipped);
    bus.bench.wait_held(&sinks, 1);
    assert!(sinks.shutdown(SOON));
    bus.check_seen();
}
