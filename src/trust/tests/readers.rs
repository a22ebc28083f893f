//! To whom recordings are sealed, and who must not be among them.

use super::people::{self, SoftToken};
use crate::trust::{
    Envelope,
    roster::{self, Recording, Role, Roster},
};

/// Public: from the age specification's test kit, and one of ours.
const SOFIA: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
const IVAN: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

fn with_reader() -> Roster {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let mut roster = people::roster(2, &[&alice, &bob]);
    named(&mut roster, "sofia").recipient = Some(SOFIA.to_owned());
    roster
}

fn named<'r>(roster: &'r mut Roster, name: &str) -> &'r mut roster::Person {
    let person = roster.people.iter_mut().find(|p| p.name == name);
    person.expect("a person with that name")
}

#[test]
fn an_officer_with_a_recipient_reads_recordings() {
    let mut roster = with_reader();
    assert!(Envelope::new(&roster).is_ok());
    let readers: Vec<_> = roster
        .readers()
        .map(|(p, r)| (p.name.as_str(), r))
        .collect();
    assert_eq!(readers, [("sofia", SOFIA)]);
    roster.access[0].recording = Recording::Required;
    assert!(Envelope::new(&roster).is_ok());
    named(&mut roster, "sofia").recipient = None;
    assert!(Envelope::new(&roster).is_err(), "nobody could read it");
}

#[test]
fn nobody_else_does() {
    type Change = (&'static str, fn(&mut Roster));
    let changes: [Change; 6] = [
        ("an operator", |r| {
            named(r, "dana").recipient = Some(IVAN.to_owned())
        }),
        ("not a recipient", |r| {
            named(r, "sofia").recipient = Some("age1nothing".to_owned())
        }),
        ("spelt in capitals", |r| {
            named(r, "sofia").recipient = Some(SOFIA.to_uppercase())
        }),
        ("the demo set's", |r| {
            named(r, "sofia").recipient = Some(twotap_shares::sheet::DEMO_RECIPIENT.to_owned())
        }),
        ("one for two", |r| {
            let ivan = named(r, "alice");
            ivan.roles.push(Role::Officer);
            ivan.recipient = Some(SOFIA.to_owned());
        }),
        ("the one that opens the vault", |r| {
            let (mut recovery, _) = people::recovery("paper");
            recovery.recipient = SOFIA.to_owned();
            r.recovery = Some(recovery);
        }),
    ];
    for (what, change) in changes {
        let mut roster = with_reader();
        change(&mut roster);
        assert!(Envelope::new(&roster).is_err(), "{what}");
    }
}

#[test]
fn what_was_signed_before_stays_as_it_was() {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let json = serde_json::to_string(&people::roster(2, &[&alice, &bob])).expect("json");
    assert!(
        !json.contains("recipient") && !json.contains("recording"),
        "{json}"
    );
    let of = |r: &Roster| serde_json::to_string(&r.access[0]).expect("json");
    let mut roster = with_reader();
    for (recording, said) in [
        (Recording::Required, "\"recording\":\"required\""),
        (Recording::Off, "\"recording\":\"off\""),
    ] {
        roster.access[0].recording = recording;
        assert!(of(&roster).contains(said), "{}", of(&roster));
    }
}

#[test]
fn a_reader_is_named_where_a_change_is_signed() {
    let before = {
        let mut roster = with_reader();
        named(&mut roster, "sofia").recipient = None;
        roster
    };
    let said = |from: &Roster, to: &Roster| -> Vec<(String, bool)> {
        let changes = roster::changes(from, to).into_iter();
        changes.map(|c| (c.text, c.widens)).collect()
    };
    let with = with_reader();
    let [(text, true)] = &said(&before, &with)[..] else {
        panic!("{:?}", said(&before, &with));
    };
    assert!(text.contains("sofia") && text.contains(SOFIA), "{text}");
    let [(text, false)] = &said(&with, &before)[..] else {
        panic!("{:?}", said(&with, &before));
    };
    assert_eq!(text, "recordings are no longer sealed to sofia");
}
