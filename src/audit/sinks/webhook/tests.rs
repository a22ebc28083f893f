use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::*;
use crate::audit::{event::Record, samples};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("secret", SECRET),
        ("url", "https://hooks.example/services/T0/B0/key\n"),
        ("empty", "\n"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let open = dir.path().join("open");
    fs::write(&open, SECRET).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    dir
}

fn open(dir: &Path, table: &str) -> Result<Box<dyn Sink>, SinkConfigError> {
    let config: WebhookConfig = toml::from_str(table).expect("a table");
    config.open(&Opening {
        name: "oncall",
        folder: dir,
        state: dir,
        host: "bg-1",
    })
}

#[test]
fn good_settings_open() {
    let dir = folder();
    for table in [
        "url = 'https://a.example/x'\nsecret_file = 'secret'",
        "url = 'http://127.0.0.1:1/x'\nsecret_file = 'secret'\nlines = true\ntimeout_seconds = 14",
        "url_file = 'url'\nstyle = 'slack'",
    ] {
        let sink = open(dir.path(), table).unwrap_or_else(|why| panic!("{table}: {why}"));
        assert_eq!((sink.name(), sink.most().events), ("oncall", 1));
    }
}

#[test]
fn bad_settings_are_refused_by_the_key_and_say_no_secret() {
    let dir = folder();
    for (table, key) in [
        ("secret_file = 'secret'", "url: "),
        ("url = 'https://a.example'\nurl_file = 'url'", "url: "),
        ("url = 'http://a.example'\nsecret_file = 'secret'", "url: "),
        ("url_file = 'empty'\nsecret_file = 'secret'", "url_file: "),
        ("url_file = 'gone'\nsecret_file = 'secret'", "url_file: "),
        ("url = 'https://a.example'", "secret_file: "),
        (
            "url = 'https://a.example'\nsecret_file = 'open'",
            "secret_file: ",
        ),
        (
            "url = 'https://a.example'\nsecret_file = 'url'",
            "secret_file: ",
        ),
        (
            "url = 'https://a.example'\nsecret_file = 'secret'\ntimeout_seconds = 15",
            "timeout_seconds: ",
        ),
        (
            "url = 'https://a.example'\nsecret_file = 'secret'\ntimeout_seconds = 0",
            "timeout_seconds: ",
        ),
        (
            "url = 'https://a.example'\nsecret_file = 'secret'\nca_file = 'secret'",
            "ca_file: ",
        ),
        (
            "url = 'http://127.0.0.1:1'\nsecret_file = 'secret'\nca_file = 'url'",
            "ca_file: ",
        ),
        (
            "url = 'https://a.example'\nstyle = 'slack'\nlines = true",
            "lines: ",
        ),
    ] {
        let Err(why) = open(dir.path(), table) else {
            panic!("{table} was taken");
        };
        let said = format!("{why} {:?}", why.hint());
        assert!(why.to_string().starts_with(key), "{table}: {said}");
        assert!(!said.contains("MfKQ") && !said.contains("/T0/"), "{said}");
    }
    for unknown in [
        "url = 'x'\ncolour = 1",
        "style = 'smoke'",
        "secret = 'whsec_x'",
    ] {
        assert!(
            toml::from_str::<WebhookConfig>(unknown).is_err(),
            "{unknown}"
        );
    }
}

fn delivery(n: u64) -> Delivery {
    let line = samples::lines(n).pop().unwrap();
    let head = *samples::heads(&samples::lines(n)).last().unwrap();
    Delivery {
        seq: head.seq,
        hash: head.hash,
        line,
        envelopes: samples::event(n).envelopes().to_vec(),
        checkpoint: None,
    }
}

fn body(message: &Message) -> serde_json::Value {
    serde_json::from_slice(&message.body).unwrap()
}

#[test]
fn a_body_says_who_where_what_and_ties_it_to_the_record() {
    for n in 1..=60 {
        let delivery = delivery(n);
        let record = Record::parse(&delivery.line).unwrap();
        let told = crate::audit::alert::alert(&record);
        for lines in [false, true] {
            let message = Message::of(&delivery, Style::Generic, lines)
                .unwrap()
                .unwrap();
            let body = body(&message);
            let data = &body["data"];
            assert_eq!(data["seq"], n);
            assert_eq!(data["hash"], delivery.hash.to_string());
            let line = data.get("line").and_then(|l| l.as_str());
            assert_eq!(line.map(str::as_bytes), lines.then_some(&delivery.line[..]));
            match &told {
                Some(alert) => {
                    assert_eq!(body["type"], "twotap.alert");
                    for key in ["who", "where", "what", "next", "severity", "title"] {
                        assert!(data[key].as_str().is_some_and(|s| !s.is_empty()), "{key}");
                    }
                    assert_eq!(data["text"], alert.to_string());
                }
                None => {
                    assert_eq!(body["type"], "twotap.event");
                    assert!(
                        lines || !data.to_string().contains("alle"),
                        "the reason stays"
                    );
                }
            }
            assert!(!String::from_utf8_lossy(&message.body).contains("{\"envelope\""));
        }
        let slack = Message::of(&delivery, Style::Slack, false).unwrap();
        assert_eq!(slack.is_some(), told.is_some());
    }
}

#[test]
fn slack_gets_text_in_which_nothing_is_markup() {
    let event = crate::audit::event::Event::new(
        crate::audit::event::EventType::BreakGlassDenied,
        crate::audit::event::Actor::person("bob").unwrap(),
    )
    .justification("<!channel> <https://evil.example|the ticket> & *bold*");
    let line = event.line_after(&Head::default(), samples::NOW).unwrap();
    let hash = Head::default().after(&line).hash;
    let delivery = Delivery {
        seq: 1,
        hash,
        line,
        envelopes: Vec::new(),
        checkpoint: None,
    };
    let message = Message::of(&delivery, Style::Slack, false)
        .unwrap()
        .unwrap();
    let body = body(&message);
    let text = body["text"].as_str().unwrap();
    assert!(!text.contains('<') && !text.contains('>'), "{text}");
    assert!(text.contains("&lt;!channel&gt; &lt;https://evil.example|the ticket&gt; &amp; *bold*"));
    assert_eq!(body["mrkdwn"], false);
    assert_eq!(body.as_object().unwrap().len(), 2);
}

#[test]
fn a_notice_has_none_of_the_events_words() {
    for n in 1..=60 {
        for style in [Style::Generic, Style::Slack] {
            let delivery = delivery(n);
            let notice = Message::notice(&delivery, style, 413).unwrap();
            let text = String::from_utf8(notice.body.clone()).unwrap();
            for word in ["alle", "alice", "INC-42", "bg-1", "r-abcdefghijklm"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
            assert!(text.contains("413"));
            let sent = Message::of(&delivery, Style::Generic, false)
                .unwrap()
                .unwrap();
            assert_eq!(notice.id, format!("{}_notice", sent.id));
        }
    }
}
