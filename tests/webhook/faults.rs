//! A receiver that fails in every way and comes back.

use std::{net::TcpListener, time::Instant};

use crate::{
    Bench,
    outside_support::{BOUND, Does, Receiver},
    table,
};

/// Every event from the first to `last`, once each and in order.
fn is_whole(receiver: &Receiver, last: u64) {
    let mut taken = receiver.taken();
    // One that came back just then has got a notice as well.
    taken.retain(|got| got.body["type"] != "twotap.set_aside");
    let seqs: Vec<u64> = taken.iter().map(super::outside_support::Got::seq).collect();
    assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
    assert!(taken.iter().all(|got| got.signed));
}

#[test]
fn each_event_arrives_signed_and_in_order_without_secret_or_envelope() {
    let receiver = Receiver::start(Does::Takes);
    let bench = Bench::patient(&receiver);
    let last = (1..=40).fold(0, |_, n| bench.happens(&format!("reason {n}")));
    bench.holds("hook", last);
    is_whole(&receiver, last);
    for got in receiver.all() {
        let text = String::from_utf8_lossy(&got.raw).into_owned();
        assert!(
            !text.contains("whsec_") && !text.contains("ENVELOPE-MARKER"),
            "{text}"
        );
        assert!(text.contains("reason"), "{text}");
    }
    assert_eq!(receiver.all().len(), 40, "none came twice");
}

#[test]
fn whatever_the_receiver_does_nothing_is_lost_or_reordered_and_nobody_waits() {
    const EVENTS: u64 = 50;
    let unavailable = Does::Answers(503, String::new());
    for does in [
        Does::Answers(500, String::new()),
        unavailable,
        Does::HangsAfter,
        Does::HangsBefore,
        Does::LosesAnswer,
        Does::Babbles,
        Does::Trickles,
        Does::Answers(401, String::new()),
    ] {
        let receiver = Receiver::start(does.clone());
        let bench = Bench::to(&receiver);
        let begun = Instant::now();
        let last = (1..=EVENTS).fold(0, |_, n| bench.happens(&format!("reason {n}")));
        // The record and the other sink go on as if nothing were: so many tries that hang, a second each, would be longer.
        bench.holds("file", last);
        assert!(begun.elapsed() < BOUND, "{does:?}: {:?}", begun.elapsed());
        if does != Does::LosesAnswer {
            let status = bench.until("it shows as failing", |s| s.error.is_some());
            assert_eq!(status.acknowledged, 0, "{does:?}");
            assert_eq!(status.lag, EVENTS, "{does:?}");
            let said = status.error.expect("an error").to_string();
            assert!(
                !said.contains("of-the-team"),
                "the path may be a secret: {said}"
            );
        } else {
            // Taken, and not known to be: it comes again under the same id.
            receiver.wait("a repetition", |got| {
                got.len() > 1 && got[0].id == got[1].id
            });
        }
        receiver.does(Does::Takes);
        bench.holds("hook", last);
        is_whole(&receiver, last);
        let all = receiver.all();
        for got in &all {
            let first = all.iter().find(|g| g.id == got.id).expect("itself");
            assert_eq!(first.body, got.body, "one id is one message");
        }
        bench.until("it works", |s| s.error.is_none() && s.complaint.is_none());
    }
}

#[test]
fn a_receiver_that_is_dead_for_a_while_gets_everything_when_it_is_back() {
    // A port on which nobody listens, until somebody does; at an address that no other test uses.
    let listener = TcpListener::bind("127.77.3.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let mut bench = Bench::new(&table(&format!("http://{address}/x")));
    let last = (1..=300).fold(0, |_, n| bench.happens(&format!("reason {n}")));
    bench.holds("file", last);
    bench.until("it shows as failing", |s| s.error.is_some() && s.lag == 300);

    // The agent ends and starts meanwhile.
    let ended = bench.sinks.take().expect("started").shutdown(BOUND);
    assert!(ended, "a dead receiver does not hold up the end");
    bench.start(&table(&format!("http://{address}/x")));
    let listener = TcpListener::bind(address).expect("the port is free");
    let receiver = Receiver::on(listener, Does::Takes);
    bench.holds("hook", last);
    is_whole(&receiver, last);
}

#[test]
fn one_that_drops_its_connection_between_two_messages_is_asked_anew() {
    let receiver = Receiver::start(Does::Answers(200, "connection: close\r\n".to_owned()));
    let bench = Bench::to(&receiver);
    for n in 1..=10 {
        let seq = bench.happens(&format!("reason {n}"));
        bench.holds("hook", seq);
    }
    is_whole(&receiver, 10);
    assert!(bench.status().failing_for.is_none());
}
