//! A real rsyslog takes the record over each of its doors, byte for byte, and what goes wrong with it loses nothing.

use rustix::process::Signal;
use twotap::audit::sinks::{Options, syslog::Patience};

use crate::{
    bench::{BOUND, Bench, distinct, status, until},
    rsyslog::{Input, Rsyslog},
    strict::Strict,
};

#[test]
fn the_record_arrives_byte_for_byte_over_each_door() {
    for input in [
        Input::Tls("gtls"),
        Input::Tls("ossl"),
        Input::Tcp,
        Input::Unix,
    ] {
        let bench = Bench::new();
        bench.append(1..=300);
        // The longest line that there may be, nearly.
        bench.append_long(301..=301, 120_000);
        let receiver = Rsyslog::start(bench.dir.path(), input);
        let sinks = bench.start(vec![bench.syslog("siem", &receiver.keys())]);
        bench.held(&sinks, "siem");
        bench.append(302..=310);
        bench.held(&sinks, "siem");
        until("rsyslog has written it", || {
            receiver.messages().len() >= 310
        });
        assert_eq!(receiver.messages(), bench.lines(), "{input:?}");
        // It understood the header, too.
        let heads = receiver.heads();
        let head = "86 host-1 twotap BREAK_GLASS_ACTION \
                    [meta sequenceId=\"310\"][origin software=\"twotap\"]";
        assert_eq!(heads.last().map(String::as_str), Some(head), "{input:?}");
        assert_eq!(status(&sinks, "siem").lag, 0);
        assert!(sinks.shutdown(BOUND));
    }
}

#[test]
fn only_the_receiver_that_is_meant_gets_anything() {
    let bench = Bench::new();
    bench.append(1..=3);
    for driver in ["gtls", "ossl"] {
        let bench_dir = bench.dir.path().join(driver);
        std::fs::create_dir(&bench_dir).expect("a folder");
        let receiver = Rsyslog::start(&bench_dir, Input::Tls(driver));
        let good = receiver.keys();
        let with = |from: &str, to: &str| {
            let keys = good.replace(from, to);
            assert_ne!(keys, good);
            keys
        };
        for (name, keys, words) in [
            ("authority", with("/ca.pem", "/other-ca.pem"), "certificate"),
            (
                "name",
                with("siem.example", "other.example"),
                "not valid for name",
            ),
        ] {
            let name = format!("{driver}-{name}");
            let sinks = bench.start(vec![bench.syslog(&name, &keys)]);
            bench.fails(&sinks, &name, words);
            assert_eq!(status(&sinks, &name).acknowledged, 0, "{name}");
            sinks.shutdown(std::time::Duration::ZERO);
        }
        assert_eq!(receiver.messages(), Vec::<Vec<u8>>::new());
        let sinks = bench.start(vec![bench.syslog(driver, &good)]);
        bench.held(&sinks, driver);
        until("rsyslog has written it", || receiver.messages().len() >= 3);
        assert_eq!(distinct(&receiver.messages()), bench.lines());
    }
}

/// The receiver refuses only after our side of the handshake is done: its refusal, or its hanging up, is seen all the same.
#[test]
fn a_receiver_that_does_not_want_us_holds_nothing() {
    let bench = Bench::new();
    bench.append(1..=3);
    let receiver = Rsyslog::prepare(bench.dir.path(), Input::Tls("gtls"));
    let dir = bench.dir.path().join("rsyslog");
    let strict = Strict::start(&dir, "host-1.example");
    let keys = receiver.keys_at(&strict.address());
    // A refusal comes when the receiver gets to it: until then nothing may be said, however long that is.
    let patience = Patience {
        look: BOUND,
        ..Patience::default()
    };
    for name in ["stranger", "unnamed"] {
        let keys = keys.replace("/client.", &format!("/{name}."));
        let sinks = bench.start(vec![bench.patient(name, &keys, patience)]);
        bench.fails(&sinks, name, "");
        assert_eq!(status(&sinks, name).acknowledged, 0, "{name}");
        sinks.shutdown(std::time::Duration::ZERO);
    }
    assert_eq!(strict.got(), b"");
    // And it does take the one that it wants.
    let sinks = bench.start(vec![bench.syslog("client", &keys)]);
    until("openssl has all of it", || {
        let got = strict.got();
        bench.lines().iter().all(|line| {
            got.windows(line.len())
                .any(|piece| piece == line.as_slice())
        })
    });
    sinks.shutdown(std::time::Duration::ZERO);
}

#[test]
fn a_receiver_killed_again_and_again_has_all_of_it_in_the_end() {
    for (input, more) in [
        (Input::Tls("gtls"), ""),
        (Input::Tcp, "confirm = 'kernel'"),
        (Input::Unix, ""),
    ] {
        let bench = Bench::new();
        let mut receiver = Rsyslog::start(bench.dir.path(), input);
        let keys = format!("{}{more}", receiver.keys());
        let sinks = bench.start(vec![bench.syslog("siem", &keys)]);
        for round in 0..5 {
            // It dies somewhere in between; some of these come while nobody listens.
            for n in round * 40 + 1..=round * 40 + 40 {
                bench.append(n..=n);
                if n % 40 == 10 + round {
                    receiver.kill();
                }
            }
            receiver.run();
        }
        bench.append(201..=201);
        bench.held(&sinks, "siem");
        until("rsyslog has written it", || {
            let last = bench.lines().pop();
            receiver.messages().last() == last.as_ref()
        });
        // What came twice came as it was, and nothing before its turn.
        assert_eq!(distinct(&receiver.messages()), bench.lines(), "{input:?}");
    }
}

#[test]
fn a_receiver_that_is_stopped_holds_nothing_and_nobody_else() {
    let bench = Bench::new();
    let receiver = Rsyslog::start(bench.dir.path(), Input::Tcp);
    let sinks = bench.start(vec![
        bench.syslog("siem", &receiver.keys()),
        (
            Box::new(twotap::audit::sinks::FileSink::new(
                &bench.dir.path().join("record"),
            )),
            Options::default(),
        ),
    ]);
    bench.append(1..=5);
    bench.held(&sinks, "siem");
    // Its system still takes connections and bytes; its process reads none of them.
    receiver.signal(Signal::STOP);
    bench.append(6..=50);
    bench.held(&sinks, "file");
    assert_eq!(status(&sinks, "siem").acknowledged, 5);
    receiver.signal(Signal::CONT);
    bench.held(&sinks, "siem");
    until("rsyslog has written it", || {
        distinct(&receiver.messages()).len() == 50
    });
    assert_eq!(distinct(&receiver.messages()), bench.lines());
}
