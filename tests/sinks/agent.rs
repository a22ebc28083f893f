//! Sinks of a running agent: what `agent.toml` says of them, and what people see of them.

use std::{fs, net::TcpListener, time::Instant};

use twotap::{audit::folder::files, protocol::live::SinkView};

use crate::{
    agent_support::{DANA, Host, paper::Paper, refused},
    bench::{BOUND, distinct, lines_of, until},
    people,
    rsyslog::{Input, Rsyslog},
};

/// A host whose agent has these sinks, and does not run yet.
fn host(sinks: &str) -> Host {
    let host = Host::prepare(Paper::new());
    configure(&host, sinks);
    host
}

pub(crate) fn configure(host: &Host, more: &str) {
    let path = host.path("agent.toml");
    let mut text = fs::read_to_string(&path).expect("its configuration");
    text.push_str(more);
    fs::write(path, text).expect("written");
}

fn sink(host: &Host, name: &str) -> SinkView {
    let sinks = host.status(DANA).sinks;
    sinks
        .into_iter()
        .find(|s| s.name == name)
        .expect("the sink")
}

/// A port at which nobody listens, at an address that no other test uses.
fn nobody() -> String {
    let listener = TcpListener::bind("127.77.4.4:0").expect("a port");
    listener.local_addr().expect("its address").to_string()
}

#[test]
fn settings_with_which_a_sink_cannot_work_stop_the_start_and_are_named() {
    for (sinks, words) in [
        ("[sinks.siem]\nunix = 'x'", "sinks.siem: it has no 'kind'"),
        (
            "[sinks.siem]\nkind = 'syslog'",
            "sinks.siem.kind: it has one of",
        ),
        (
            "[sinks.siem]\nkind = 'syslog'\ntls = 'siem.example:6514'\nca_file = 'none.pem'",
            "sinks.siem.ca_file: ",
        ),
        (
            "[sinks.siem]\nkind = 'syslog'\nunix = 'x'\nrequired = true\nonly = ['CHECKPOINT']",
            "sinks.siem.only: a required sink has to be sent BREAK_GLASS_REQUESTED",
        ),
        ("[sinks.file]\nkind = 'syslog'\nunix = 'x'", "sinks.file: "),
    ] {
        let host = host(sinks);
        let output = refused(&mut host.command());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{sinks}: {said}");
        assert!(said.contains(words), "{sinks}: {said}");
        assert!(
            !host.path("state/state.db").exists(),
            "{sinks}: half a start"
        );
        assert!(files(&host.path("audit")).expect("its folder").is_empty());
    }
}

#[test]
fn a_ceremony_goes_on_with_every_sink_dead_and_status_says_which() {
    let hole = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut host = host(&format!(
        "[sinks.dead]\nkind = 'syslog'\ntcp = '{}'\n\
         [sinks.hole]\nkind = 'syslog'\ntcp = '{}'\n\
         [sinks.gone]\nkind = 'syslog'\nunix = 'no/such/socket'\n",
        nobody(),
        hole.local_addr().expect("its address"),
    ));
    host.start_agent();
    let begun = Instant::now();
    let view = host.open();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    until("the dead are seen", || {
        let fails = |name| sink(&host, name).failing_seconds.is_some();
        fails("dead") && fails("gone")
    });
    let names: Vec<_> = host
        .status(DANA)
        .sinks
        .into_iter()
        .map(|s| s.name)
        .collect();
    assert_eq!(names, ["file", "dead", "gone", "hole"]);
    let head = host.status(DANA).head.seq;
    until("the file holds all of it", || {
        sink(&host, "file").acknowledged >= head
    });
    for name in ["dead", "hole", "gone"] {
        let sink = sink(&host, name);
        assert_eq!(sink.acknowledged, 0, "{name}");
        assert!(sink.lag >= head && sink.oldest.is_some(), "{sink:?}");
    }
    assert!(
        sink(&host, "dead")
            .why
            .is_some_and(|why| why.contains("refused"))
    );
    let degraded = host.status(DANA).degraded.join("\n");
    assert!(
        degraded.contains("sink dead") && degraded.contains("sink gone"),
        "{degraded}"
    );
    // In the words of the programs.
    let status = people::said(&people::twotap(&host, DANA, &["status"]));
    let doctor = people::twotap(&host, DANA, &["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    for said in [status, doctor] {
        let row = |name: &str, words: [&str; 2]| {
            let of = |l: &&str| l.contains(name) && words.iter().all(|w| l.contains(w));
            assert!(said.lines().any(|l| of(&l)), "{name}: {said}");
        };
        row("dead: ", ["lacks", "refused"]);
        row("gone: ", ["lacks", "failing for"]);
        row("file: ", ["", ""]);
    }
    assert_eq!(host.credentials(DANA, &view.id).status, 200);
}

#[test]
fn an_agent_killed_in_between_leaves_no_gap_at_the_receiver() {
    let mut host = Host::prepare(Paper::new());
    let mut receiver = Rsyslog::start(host.folder.path(), Input::Tcp);
    let keys = receiver.keys();
    configure(
        &host,
        &format!("rotate_days = 1\n[sinks.siem]\nkind = 'syslog'\nfacility = 'audit'\n{keys}"),
    );
    for round in 0..4 {
        host.start_agent();
        let view = host.ask();
        if round == 2 {
            receiver.kill();
        }
        host.approve(&view, "alice");
        host.kill_agent();
        if round == 2 {
            receiver.run();
        }
    }
    host.start_agent();
    let head = host.status(DANA).head.seq;
    until("the receiver holds all of it", || {
        sink(&host, "siem").acknowledged >= head
    });
    host.stop_agent();
    let stored = lines_of(&host.path("audit/events.jsonl"));
    until("rsyslog has written it", || {
        receiver.messages().last() == stored.last()
    });
    assert_eq!(distinct(&receiver.messages()), stored);
    assert!(
        receiver
            .heads()
            .iter()
            .all(|h| h.contains(" host-1 twotap "))
    );
}
