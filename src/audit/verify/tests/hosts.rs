//! Whose record it is, by the names in its lines.

use std::collections::HashSet;

use ed25519_dalek::SigningKey;

use super::*;
use crate::audit::event::{Actor, Event, Place};
use crate::audit::hosts::HostKeys;
use crate::audit::note;

const NAMES: [&str; 2] = ["vault-1", "vault-2"];

fn secret(host: &str) -> SigningKey {
    SigningKey::from_bytes(Hash::of(host.as_bytes()).as_bytes())
}

fn key(host: &str) -> NoteKey {
    NoteKey::new(host, secret(host).verifying_key()).unwrap()
}

fn listed() -> Hosts {
    let mut hosts = Hosts::default();
    let host = |name: &str| HostKeys {
        name: name.to_owned(),
        id: format!("id-of-{name}"),
        key: secret(name).verifying_key(),
    };
    hosts.add("prod", NAMES.map(host).to_vec());
    hosts
}

fn signed(host: &str, head: Head) -> String {
    let text = format!(
        "{}\norigin id-of-{host}\nseq {}\nhash {}\ntime 2026-01-06T10:00:00.123Z\n",
        crate::audit::checkpoint::HEADER,
        head.seq,
        head.hash
    );
    note::sign(&text, &key(host), &secret(host)).unwrap()
}

/// A record whose lines are of one host and whose checkpoint is by another.
fn record(writes: &str, signs: &str) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut head = Head::default();
    let mut add = |event: &Event| {
        let line = event.line_after(&head, NOW).unwrap();
        head = head.after(&line);
        lines.push(line);
        head
    };
    let place = Place {
        host: Some(writes.to_owned()),
        ..Place::default()
    };
    let at = add(&Event::new(EventType::AgentStarted, Actor::agent()).place(place));
    let note = signed(signs, at);
    add(&Event::new(EventType::Checkpoint, Actor::agent()).detail("note", note));
    add(&event(3));
    lines
}

fn looked_at(lines: &[Vec<u8>], checkpoints: &[String]) -> Report {
    let (keys, hosts) = (NAMES.map(key), listed());
    let evidence = Evidence {
        keys: &keys,
        hosts: Some(&hosts),
        checkpoints,
        ..Evidence::default()
    };
    verify(&file(lines)[..], &evidence, &mut no_envelopes).unwrap()
}

#[test]
fn the_first_checkpoint_already_has_to_be_by_the_host_that_writes() {
    for (writes, signs, proven) in [
        ("vault-1", "vault-1", 1),
        ("vault-2", "vault-2", 1),
        ("vault-1", "vault-2", 0),
        ("vault-2", "vault-1", 0),
        // No roster lists a host of this name: it is whose the checkpoint is.
        ("berlin", "vault-2", 1),
    ] {
        let report = looked_at(&record(writes, signs), &[]);
        assert_eq!(report.proven_to(), proven, "{writes} {signs}");
        let wrong = report.problems.iter().map(Problem::seq);
        let expected: &[u64] = if proven == 0 { &[2] } else { &[] };
        assert_eq!(Vec::from_iter(wrong), expected, "{writes} {signs}");
    }
}

#[test]
fn one_that_was_brought_counts_for_its_own_hosts_record_alone() {
    let lines = record("vault-1", "vault-1");
    let end = heads(&lines)[3];
    assert_eq!(looked_at(&lines, &[signed("vault-1", end)]).proven_to(), 3);
    let report = looked_at(&lines, &[signed("vault-2", end)]);
    assert_eq!(report.proven_to(), 1);
    assert_eq!(
        report.problems[0].to_string(),
        "a checkpoint that was given is bad: host vault-2 has signed it, and the record is not by this host but by vault-1"
    );
    // Nor does it say which of two lines was changed.
    let mut changed = lines.clone();
    changed[1] = record("vault-1", "vault-2")[1].clone();
    let report = looked_at(&changed, &[signed("vault-2", heads(&changed)[2])]);
    assert_eq!(
        report.problems.iter().map(Problem::seq).max(),
        Some(2),
        "{report:?}"
    );
}

#[test]
fn of_two_histories_the_one_is_told_that_the_records_own_host_has_signed() {
    let (own, other) = (record("vault-1", "vault-1"), record("vault-1", "vault-2"));
    let both = || {
        let mut copy = Copy::new("a bucket");
        copy.read(&file(&own)[..]).unwrap();
        copy.read(&file(&other)[..]).unwrap();
        copy
    };
    let hosts = listed();
    for (name, lines) in [("vault-1", &own), ("vault-2", &other)] {
        let told = both().take_newest(
            &NAMES.map(key),
            |by| hosts.is_beside(name, *by.key()),
            |_, _| false,
        );
        assert!(told.contains(&heads(lines)[3]), "{name}");
        assert!(told.len() == 3, "{name}");
    }
}

/// A record that says first of all that another's history is lost, signed by this host.
fn lost_by(host: &str, held: Head) -> Vec<Vec<u8>> {
    let place = Place {
        host: Some(host.to_owned()),
        ..Place::default()
    };
    let reset = Event::new(EventType::StoreReset, Actor::agent())
        .place(place)
        .detail("epoch", 2)
        .detail("lost_from", 1)
        .detail("held", serde_json::json!(held))
        .detail("by", "the file sink")
        .detail("why", "the store was put back");
    let first = reset.line_after(&Head::default(), NOW).unwrap();
    let head = Head::default().after(&first);
    let note = Event::new(EventType::Checkpoint, Actor::agent()).detail("note", signed(host, head));
    let second = note.line_after(&head, NOW).unwrap();
    vec![first, second]
}

#[test]
fn no_epoch_loses_another_hosts_history() {
    let own = record("vault-1", "vault-1");
    let mut copy = Copy::new("a bucket");
    copy.read(&file(&own)[..]).unwrap();
    let copies = [copy];
    for (host, good) in [("vault-1", true), ("vault-2", false)] {
        let lines = lost_by(host, heads(&own)[3]);
        let (keys, hosts) = (NAMES.map(key), listed());
        let evidence = Evidence {
            keys: &keys,
            hosts: Some(&hosts),
            copies: &copies,
            ..Evidence::default()
        };
        let report = verify(&file(&lines)[..], &evidence, &mut no_envelopes).unwrap();
        assert_eq!(report.copies[0].lost, 3, "{host}");
        assert_eq!(report.is_good(), good, "{host}: {:?}", report.problems);
        let why = report.problems.first().map(Problem::to_string);
        let said = "a checkpoint that was given is bad: host vault-1 has signed it, and the record is not by this host but by vault-2; a bucket has it among what an epoch says was lost";
        assert_eq!(why.as_deref(), (!good).then_some(said));
    }
}

#[test]
fn of_two_histories_a_struck_out_keys_is_not_told_where_its_successor_has_signed() {
    let (old, new) = (record("vault-1", "vault-1"), record("vault-2", "vault-2"));
    for (successor, told) in [("vault-1", &old), ("vault-2", &new)] {
        let mut both = Copy::new("a bucket");
        both.read(&file(&old)[..]).unwrap();
        both.read(&file(&new)[..]).unwrap();
        let followed = |key: &NoteKey, by: &NoteKey| key != by && by.name() == successor;
        let found = both.take_newest(&NAMES.map(key), |_| false, followed);
        let all: HashSet<Head> = heads(told)[1..].iter().copied().collect();
        assert_eq!(found, all, "{successor}");
    }
}
