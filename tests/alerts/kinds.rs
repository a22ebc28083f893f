//! Every kind in the catalogue, as it would come: those that people are told of come within a second, the others not at all.

use std::{fs, os::unix::fs::PermissionsExt as _};

use time::OffsetDateTime;
use twotap::audit::{
    alert::alert,
    event::{Actor, Event, EventType, Record},
    sinks::{Backoff, Begins, Only, Opening, Options, Sinks, webhook::WebhookConfig},
    store::Store,
};

use crate::{
    is_it,
    outside_support::{BOUND, Does, Receiver, SECRET},
};

#[test]
fn every_kind_of_event_is_told_within_a_second_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, SECRET).expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
    let receiver = Receiver::start(Does::Takes);
    let table = format!("url = '{}'\nsecret_file = 'secret'", receiver.url());
    let config: WebhookConfig = toml::from_str(&table).expect("a table");
    let at = Opening {
        name: "oncall",
        folder: folder.path(),
        state: folder.path(),
        host: "bg-1",
    };
    let sink = config.open(&at).expect("good settings");
    let options = Options {
        only: Only::Alerts,
        from: Some(Begins::First),
        ..Options::default()
    };
    let store = Store::open(&folder.path().join("state.db")).expect("a store");
    let sinks = Sinks::start(&store, vec![(sink, options)], Backoff::default()).expect("started");

    let mut told = 0;
    for kind in EventType::ALL {
        let event = Event::new(*kind, Actor::person("dana").expect("a name"))
            .correlation("r-abcdefghijklm")
            .detail("vault", "prod")
            .detail("why", "because")
            .envelope("offer", r#"{"payloadType":"SECRET-OF-NOBODY"}"#);
        let head = store
            .commit(|tx| tx.append(&event, OffsetDateTime::now_utc()))
            .expect("on record");
        let entry = store.events(head.seq, 1).expect("read").remove(0);
        let record = Record::parse(&entry.line).expect("an event");
        assert!(
            sinks.wait_acknowledged("oncall", head.seq, BOUND),
            "{}",
            kind.name()
        );
        let got = receiver.all();
        let message = got.iter().find(|g| g.seq() == head.seq);
        match (alert(&record), message) {
            (None, None) => {}
            (Some(alert), Some(message)) => {
                is_it(message, &record, &alert.to_string());
                told += 1;
            }
            (expected, _) => panic!("{}: {expected:?}", kind.name()),
        }
    }
    assert!(told >= 35, "{told}");
    assert_eq!(receiver.all().len(), told);
}
