//! People whose own machine has seen what the record has lost since.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use time::OffsetDateTime;
use twotap::{
    ceremony::Stage,
    trust::{
        PublicKey,
        roster::{Account, Person, Role, Roster},
    },
};

use crate::{
    agent::{backup, put_back},
    agent_support::{AGENT, Host, IVAN, paper::Paper, until},
    people::{said, twotap},
};

/// A host whose checkpoint key stands in the roster, as the one at `listed` does.
fn host(listed: &SigningKey, own: &SigningKey) -> Host {
    let key = PublicKey::Ed25519(listed.verifying_key());
    let mut host = Host::prepare(Paper::of(&["alice", "bob"], |roster: &mut Roster, _| {
        for host in &mut roster.hosts {
            host.checkpoint_key = key.clone();
        }
        let ivan = Person {
            name: "ivan".into(),
            roles: vec![Role::Commander],
            accounts: vec![Account {
                host: roster.hosts[0].key.id(),
                uid: IVAN,
            }],
            recipient: None,
            member_of: Vec::new(),
        };
        roster.people.push(ivan);
    }));
    let path = host.path("state/checkpoint.key");
    let pem = own.to_pkcs8_pem(LineEnding::LF).expect("pem");
    fs::write(&path, pem.as_bytes()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
    chown(&path, Some(AGENT), Some(AGENT)).expect("owner");
    host.start_agent();
    host
}

/// Ivan's machine has seen a long record, of which the store loses the most.
fn lost(host: &mut Host) {
    let store = backup(host);
    host.start_agent();
    for _ in 0..12 {
        let view = host.ask();
        // Of two who must approve one has said no.
        assert_eq!(host.deny(&view, "alice").status, 200);
        host.reach(&view.id, Stage::Denied);
    }
    let newest = host.ask();
    said(&twotap(host, IVAN, &["confirm", &newest.id, "--yes"]));
    host.stop_agent();
    put_back(host, &store);
    // Nor does the file on the host go on where it ends.
    let path = host.path("audit/events.jsonl");
    let text = fs::read_to_string(&path).expect("the file");
    let at = text.rfind("\"actor\":\"alice\"").expect("alice said no");
    let forged = format!("{}\"actor\":\"malic\"{}", &text[..at], &text[at + 15..]);
    fs::write(&path, forged).expect("written");
    host.start_agent();
    until("an epoch begins", || {
        !host.events_named("STORE_RESET").is_empty()
    });
}

#[test]
fn who_has_seen_what_was_lost_is_told_and_goes_on() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let mut host = host(&key, &key);
    lost(&mut host);
    let view = host.ask();
    let shown = said(&twotap(&host, IVAN, &["confirm", &view.id, "--yes"]));
    assert!(
        shown.contains("warning: the record on this host was put back to an earlier state"),
        "{shown}"
    );
    assert!(
        shown.contains("among them what you have seen, are lost"),
        "{shown}"
    );
}

/// An epoch that somebody knows of does not explain that what they have seen since is gone.
#[test]
fn an_epoch_explains_one_loss_and_no_later_one() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let mut host = host(&key, &key);
    lost(&mut host);
    // The whole host as it stands now, file and all: nothing on it tells later that there was more.
    let store = backup(&mut host);
    let file = host.path("audit/events.jsonl");
    let text = fs::read(&file).expect("the file");
    host.start_agent();
    let view = host.ask();
    said(&twotap(&host, IVAN, &["confirm", &view.id, "--yes"]));
    assert_eq!(host.deny(&view, "alice").status, 200);
    host.reach(&view.id, Stage::Denied);
    let newer = host.ask();
    said(&twotap(&host, IVAN, &["confirm", &newer.id, "--yes"]));
    let asked = OffsetDateTime::now_utc().unix_timestamp();
    host.stop_agent();
    put_back(&host, &store);
    // Of two requests of one second either may be the older one.
    until("a second later", || {
        OffsetDateTime::now_utc().unix_timestamp() > asked
    });
    fs::write(&file, text).expect("written");
    host.start_agent();
    let view = host.ask();
    let refused = twotap(&host, IVAN, &["confirm", &view.id, "--yes"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(11), "{why}");
}

#[test]
fn without_a_listed_signature_it_is_tampering() {
    let [listed, own] = [[9; 32], [10; 32]].map(|bytes| SigningKey::from_bytes(&bytes));
    let mut host = host(&listed, &own);
    lost(&mut host);
    let view = host.ask();
    let refused = twotap(&host, IVAN, &["confirm", &view.id, "--yes"]);
    assert_eq!(refused.status.code(), Some(11));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        why.contains("shows an epoch of its record that is none"),
        "{why}"
    );
}
