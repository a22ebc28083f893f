//! What each answer means.

use std::time::Duration;

use twotap::audit::sinks::Options;

use crate::{
    Bench,
    outside_support::{Does, Receiver},
    table,
};

#[test]
fn a_receiver_that_names_a_time_is_not_asked_before() {
    let receiver = Receiver::start(Does::Answers(429, "retry-after: 2\r\n".to_owned()));
    let bench = Bench::patient(&receiver);
    let seq = bench.happens("the database is down");
    receiver.wait("the first try", |got| !got.is_empty());
    receiver.does(Does::Takes);
    bench.holds("hook", seq);
    let all = receiver.all();
    assert_eq!(all.len(), 2);
    let pause = all[1].instant - all[0].instant;
    assert!(pause >= Duration::from_secs(2), "{pause:?}");
    assert_eq!(all[0].id, all[1].id);
}

#[test]
fn an_answer_that_never_ends_has_said_what_counts_with_its_status() {
    let receiver = Receiver::start(Does::TricklesBody);
    let bench = Bench::patient(&receiver);
    bench.happens("one");
    let last = bench.happens("two");
    bench.holds("hook", last);
    assert_eq!(receiver.all().len(), 2, "neither came twice");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(Does::Takes);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}\r\n", elsewhere.url());
        let receiver = Receiver::start(Does::Answers(status, location));
        let bench = Bench::to(&receiver);
        bench.happens("the database is down");
        let failing = bench.until("it shows", |s| s.error.is_some());
        let said = failing.error.expect("an error").to_string();
        assert!(said.contains("redirects are not followed"), "{said}");
        receiver.wait("it is tried again", |got| got.len() > 1);
    }
    assert_eq!(elsewhere.all().len(), 0);
}

#[test]
fn words_that_a_receiver_will_never_take_are_replaced_by_a_notice_and_said() {
    for status in [400, 403, 413, 422] {
        let receiver = Receiver::start(Does::RefusesText(status, "DROP TABLE"));
        let bench = Bench::patient(&receiver);
        bench.happens("the database is down");
        bench.happens("DROP TABLE users was run by mistake");
        let last = bench.happens("it is still down");
        bench.holds("hook", last);
        let taken = receiver.taken();
        let kinds: Vec<&str> = taken
            .iter()
            .map(|g| g.body["type"].as_str().expect("a type"))
            .collect();
        assert_eq!(kinds, ["twotap.alert", "twotap.set_aside", "twotap.alert"]);
        let seqs: Vec<u64> = taken.iter().map(super::outside_support::Got::seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
        assert!(taken.iter().all(|got| got.signed));
        let notice = &taken[1].body["data"];
        assert_eq!(
            (&notice["status"], &notice["severity"]),
            (&status.into(), &"P1".into())
        );
        // Tried a few times first, each under the event's own id.
        let refused: Vec<_> = receiver.all().into_iter().filter(|g| !g.taken).collect();
        assert_eq!(refused.len(), 4, "and once more after the notice");
        assert!(
            refused
                .iter()
                .all(|g| g.id == refused[0].id && g.id != taken[1].id)
        );
        let said = bench.status().complaint.expect("a complaint");
        assert!(
            said.contains("event 2") && said.contains(&status.to_string()),
            "{said}"
        );
    }
}

#[test]
fn a_required_one_holds_an_event_only_where_the_event_itself_was_taken() {
    let receiver = Receiver::start(Does::RefusesText(422, "DROP TABLE"));
    let required = Options {
        required: true,
        ..Options::default()
    };
    let bench = Bench::asking(&table(&receiver.url()), required);
    let seq = bench.happens("DROP TABLE users was run by mistake");
    let failing = bench.until("it says so", |s| {
        s.error
            .as_ref()
            .is_some_and(|e| e.to_string().contains("nothing is passed over"))
    });
    assert_eq!((failing.acknowledged, failing.complaint), (0, None));
    let lacking = bench.sinks().lacking(seq);
    assert_eq!(lacking.len(), 1, "{lacking:?}");
    receiver.does(Does::Takes);
    bench.holds("hook", seq);
    let taken = receiver.taken();
    let kinds: Vec<_> = taken.iter().map(|g| g.body["type"].as_str()).collect();
    assert_eq!(kinds, [Some("twotap.set_aside"), Some("twotap.alert")]);
}

#[test]
fn a_receiver_that_takes_nothing_is_no_reason_to_pass_anything_over() {
    for status in [400, 401, 404, 410] {
        let receiver = Receiver::start(Does::Answers(status, String::new()));
        let bench = Bench::to(&receiver);
        bench.happens("one");
        let last = bench.happens("two");
        let failing = bench.until("it says so", |s| {
            s.error
                .as_ref()
                .is_some_and(|e| e.to_string().contains("takes nothing from us"))
        });
        assert_eq!((failing.acknowledged, failing.complaint), (0, None));
        receiver.does(Does::Takes);
        bench.holds("hook", last);
        let taken = receiver.taken();
        assert!(
            taken.iter().all(|g| g.body["type"] == "twotap.alert"),
            "the words themselves came"
        );
        assert_eq!(taken.len(), 2);
    }
}

#[test]
fn slacks_shape_is_text_alone() {
    let receiver = Receiver::start(Does::Answers(200, String::new()));
    let table = format!(
        "url = '{}'\nstyle = 'slack'\nsecret_file = 'secret'",
        receiver.url()
    );
    let bench = Bench::new(&table);
    let seq = bench.happens("<!channel> the database is down");
    bench.holds("hook", seq);
    let got = receiver.all().remove(0);
    assert!(got.signed);
    let text = got.body["text"].as_str().expect("text");
    for part in [
        "[P1]",
        "WHO:   dana",
        "WHERE:",
        "WHAT:",
        "NEXT:",
        "&lt;!channel&gt;",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
