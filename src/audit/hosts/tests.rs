use ed25519_dalek::SigningKey;

use super::*;
use crate::audit::chain::Head;

/// A host by its name, its own key and its key for checkpoints, each a letter.
type Said = (&'static str, char, char);

fn key(of: char) -> VerifyingKey {
    SigningKey::from_bytes(&[of as u8; 32]).verifying_key()
}

fn hosts(versions: &[&[Said]]) -> Hosts {
    let mut hosts = Hosts::default();
    for version in versions {
        let version = version.iter().map(|(name, id, of)| HostKeys {
            name: (*name).to_owned(),
            id: id.to_string(),
            key: key(*of),
        });
        hosts.add("prod", version.collect());
    }
    hosts
}

fn note(origin: &str, of: char) -> (Checkpoint, NoteKey) {
    note_at(0, origin, of)
}

fn note_at(seq: u64, origin: &str, of: char) -> (Checkpoint, NoteKey) {
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        head: Head {
            seq,
            ..Head::default()
        },
        time: "2026-01-06T10:00:00.000Z".to_owned(),
    };
    (
        checkpoint,
        NoteKey::new("a-label", key(of)).expect("a name"),
    )
}

/// What becomes of notes in one record, each by origin and key; a name alone is a line that names the host.
fn read(hosts: &Hosts, steps: &[&str]) -> Vec<bool> {
    let mut owner = Owner::new(Some(hosts));
    let mut taken = Vec::new();
    for step in steps {
        match step.split_once('/') {
            None => owner.named(step),
            Some((origin, of)) => {
                let (checkpoint, key) = note(origin, of.chars().next().expect("a key"));
                taken.push(owner.take(&checkpoint, &key).is_ok());
            }
        }
    }
    taken
}

const TWO: &[Said] = &[("vault-1", 'a', 'A'), ("vault-2", 'b', 'B')];

#[test]
fn a_note_counts_for_the_record_of_the_host_whose_key_signed_it() {
    let hosts = hosts(&[TWO]);
    assert_eq!(read(&hosts, &["vault-1", "a/A", "a/A"]), [true, true]);
    // Another listed host's, whatever it calls itself, or is called in the lines.
    assert_eq!(read(&hosts, &["vault-1", "b/B"]), [false]);
    assert_eq!(read(&hosts, &["vault-1", "a/B"]), [false]);
    assert_eq!(read(&hosts, &["vault-1", "nobody/B"]), [false]);
    assert_eq!(read(&hosts, &["vault-1", "a/A", "b/B"]), [true, false]);
    assert_eq!(read(&hosts, &["vault-1", "vault-2", "b/B"]), [false]);
    let moved = ["vault-1", "a/A", "vault-2", "b/B", "b/A", "a/A"];
    assert_eq!(read(&hosts, &moved), [true, false, false, false]);
    // Its own record is its own.
    assert_eq!(read(&hosts, &["vault-2", "b/B"]), [true]);
    // A record that names no host, or one that no roster lists, is whose the first note is.
    assert_eq!(read(&hosts, &["a/A", "b/B"]), [true, false]);
    assert_eq!(read(&hosts, &["berlin", "b/B", "a/A"]), [true, false]);
    // An origin that nobody has, as older records may have it.
    assert_eq!(read(&hosts, &["vault-1", "host-1/A"]), [true]);
}

#[test]
fn a_host_that_was_replaced_goes_on_with_its_record() {
    let same_name = hosts(&[TWO, &[("vault-1", 'c', 'C'), ("vault-2", 'b', 'B')]]);
    assert_eq!(read(&same_name, &["vault-1", "a/A", "c/C"]), [true, true]);
    assert_eq!(read(&same_name, &["vault-1", "a/A", "b/B"]), [true, false]);
    // What it signs names the host that it is now: one key, one origin.
    assert_eq!(read(&same_name, &["vault-1", "a/C"]), [false]);
    let new_name = hosts(&[TWO, &[("vault-3", 'c', 'C'), ("vault-2", 'b', 'B')]]);
    let steps = ["vault-1", "a/A", "vault-3", "c/C", "b/B"];
    assert_eq!(read(&new_name, &steps), [true, true, false]);
    assert_eq!(read(&new_name, &["vault-1", "a/A", "c/C"]), [true, false]);
    // The other host stays another, though the first is gone, and though it has the first one's name later.
    let gone = hosts(&[TWO, &[("vault-2", 'b', 'B')], &[("vault-1", 'b', 'B')]]);
    assert_eq!(read(&gone, &["vault-1", "a/A", "b/B"]), [true, false]);
    // One that came later, beside the first, is another too.
    let joined = hosts(&[&TWO[..1], TWO]);
    assert_eq!(
        read(&joined, &["vault-1", "a/A", "vault-2", "b/B"]),
        [true, false]
    );
}

#[test]
fn hosts_that_never_stood_for_one_another_are_not_one() {
    // Each in the place of the one before: one that follows goes on, one that is further off is nobody's word.
    let first: &[Said] = &[("vault-1", 'a', 'A')];
    let third: &[Said] = &[("vault-3", 'c', 'C')];
    let chain = hosts(&[first, &[("vault-2", 'b', 'B')], third]);
    assert_eq!(read(&chain, &["a/A", "b/B", "c/C"]), [true; 3]);
    assert_eq!(read(&chain, &["a/A", "c/C"]), [true, false]);
    // Of another vault's roster.
    let mut both = hosts(&[first]);
    let other = hosts(&[third]);
    both.versions
        .extend(other.versions.into_iter().map(|version| Version {
            vault: "staging".to_owned(),
            ..version
        }));
    assert_eq!(read(&both, &["a/A", "c/C"]), [true, false]);
}

/// Struck out as soon as it is lost, and replaced when there is another machine.
#[test]
fn a_host_that_is_replaced_later_goes_on_with_its_record() {
    let lost: &[Said] = &TWO[1..];
    let later: &[Said] = &[("vault-2", 'b', 'B'), ("vault-3", 'c', 'C')];
    let chain = hosts(&[TWO, lost, lost, later]);
    assert_eq!(
        read(&chain, &["vault-1", "a/A", "vault-3", "c/C"]),
        [true; 2]
    );
    assert_eq!(read(&chain, &["vault-1", "a/A", "b/B"]), [true, false]);
    assert_eq!(read(&chain, &["vault-2", "b/B", "c/C"]), [true, false]);
    // One place is given once: who comes after that has a record of its own.
    let more: &[Said] = &[later[0], later[1], ("vault-4", 'd', 'D')];
    let joined = hosts(&[TWO, lost, later, more]);
    assert_eq!(read(&joined, &["a/A", "c/C"]), [true, true]);
    assert_eq!(read(&joined, &["a/A", "d/D"]), [true, false]);
    // Nobody's place: it was there before one left.
    let beside = hosts(&[TWO, &[TWO[0], TWO[1], later[1]], later]);
    assert_eq!(read(&beside, &["a/A", "c/C"]), [true, false]);
    // Two that are lost, and two that come: one step, or one after the other, the last that left first.
    let three: &[Said] = &[TWO[0], TWO[1], ("vault-9", 'i', 'I')];
    let both = hosts(&[
        three,
        &[TWO[1], three[2]],
        &three[2..],
        &[three[2], later[1]],
    ]);
    assert_eq!(read(&both, &["b/B", "c/C"]), [true, true], "the second");
    assert_eq!(read(&both, &["a/A", "c/C"]), [true, false]);
    // Under a key that it had before it was struck out, and in its own vault alone.
    let changed = hosts(&[&[TWO[0]], &[("vault-1", 'a', 'X')], &[], &later[1..]]);
    assert_eq!(read(&changed, &["a/A", "c/C"]), [true, true]);
}

#[test]
fn one_key_that_was_changed_is_still_that_host() {
    let checkpoints = hosts(&[&TWO[..1], &[("vault-1", 'a', 'C'), TWO[1]]]);
    assert_eq!(read(&checkpoints, &["vault-1", "a/A", "a/C"]), [true, true]);
    let replaced = hosts(&[&TWO[..1], &[("vault-1", 'c', 'C'), TWO[1]]]);
    assert_eq!(read(&replaced, &["a/A", "c/C"]), [true, true]);
    assert_eq!(read(&replaced, &["a/A", "b/B"]), [true, false]);
    // Never listed side by side, and two hosts all the same.
    assert_eq!(read(&checkpoints, &["a/A", "b/B"]), [true, false]);
    let renamed = hosts(&[&TWO[..1], &[("vault-9", 'a', 'C'), TWO[1]]]);
    assert_eq!(read(&renamed, &["a/A", "a/C"]), [true, true]);
    assert_eq!(read(&renamed, &["a/A", "b/B"]), [true, false]);
    let own = hosts(&[TWO, &[("vault-1", 'c', 'A'), TWO[1]]]);
    assert_eq!(read(&own, &["vault-1", "a/A", "c/A"]), [true, true]);
}

#[test]
fn beside_a_record_each_host_that_has_written_it_counts() {
    let hosts = hosts(&[TWO, &[("vault-3", 'c', 'C'), ("vault-2", 'b', 'B')]]);
    let mut owner = Owner::new(Some(&hosts));
    for (name, origin, of) in [("vault-1", "a", 'A'), ("vault-3", "c", 'C')] {
        owner.named(name);
        let (checkpoint, key) = note(origin, of);
        assert_eq!(owner.take(&checkpoint, &key), Ok(()));
    }
    let accepts = |origin: &str, of: char| {
        let (checkpoint, key) = note(origin, of);
        owner.accepts(&checkpoint, &key)
    };
    assert_eq!(accepts("a", 'A'), Ok(()));
    assert_eq!(accepts("c", 'C'), Ok(()));
    let why = accepts("b", 'B').expect_err("another host's");
    assert_eq!(
        why,
        "host vault-2 has signed it, and the record is not by this host but by vault-3"
    );
    let why = accepts("b", 'A').expect_err("for another");
    assert_eq!(
        why,
        "it speaks for host vault-2, and host vault-1 has signed it"
    );
    // A key of nobody's in the rosters is whose the caller says.
    assert_eq!(accepts("x", 'X'), Ok(()));
    // By the host's key id, as an offer names it: also what it signed with the key that it had before.
    let after = self::hosts(&[TWO, &[("vault-1", 'a', 'C'), TWO[1]]]);
    let owner = Owner::with_id(&after, "a").expect("listed");
    assert!(Owner::with_id(&after, "x").is_none());
    for (of, own) in [('A', true), ('C', true), ('B', false)] {
        let (checkpoint, key) = note("unlisted", of);
        assert_eq!(owner.accepts(&checkpoint, &key).is_ok(), own, "{of}");
    }
}

#[test]
fn another_hosts_key_is_told_by_the_name_in_the_first_line() {
    let replaced = hosts(&[TWO, &[("vault-3", 'c', 'C'), ("vault-2", 'b', 'B')]]);
    for (name, of, other) in [
        ("vault-1", 'A', false),
        ("vault-1", 'B', true),
        ("vault-1", 'C', false),
        ("vault-2", 'B', false),
        ("vault-2", 'C', true),
        ("berlin", 'B', false),
    ] {
        assert_eq!(replaced.is_beside(name, key(of)), other, "{name} {of}");
    }
    // One that has the first one's name later: whose record it is the name does not tell.
    let renamed = hosts(&[TWO, &[("vault-1", 'b', 'B')]]);
    assert!(!renamed.is_beside("vault-1", key('B')));
}

#[test]
fn without_rosters_every_key_that_counts_counts() {
    let mut owner = Owner::default();
    owner.named("vault-1");
    for of in ['A', 'B'] {
        let (checkpoint, key) = note("a", of);
        assert_eq!(owner.take(&checkpoint, &key), Ok(()));
    }
}

#[test]
fn a_key_that_was_struck_out_counts_until_its_successor_has_signed() {
    const A: Said = ("vault-1", 'a', 'A');
    const C: Said = ("vault-1", 'c', 'C');
    /// What becomes of notes by A, then C, then A once more, each later in the record; and of one by A that is older.
    fn read(hosts: &Hosts) -> [bool; 4] {
        let mut owner = Owner::new(Some(hosts));
        let steps = [(5, 'A'), (7, 'C'), (9, 'A'), (6, 'A')];
        steps.map(|(seq, of)| {
            let origin = of.to_ascii_lowercase().to_string();
            let (checkpoint, key) = note_at(seq, &origin, of);
            let taken = owner.take(&checkpoint, &key).is_ok();
            assert_eq!(owner.accepts(&checkpoint, &key), Ok(()), "it is its host's");
            assert_eq!(owner.still_counts(&checkpoint, &key).is_ok(), taken);
            taken
        })
    }
    let good = [true; 4];
    let struck_out = [true, true, false, true];
    assert_eq!(read(&hosts(&[&[A], &[C]])), struck_out);
    // Another name, and another key of the same host.
    assert_eq!(read(&hosts(&[&[A], &[("vault-9", 'c', 'C')]])), struck_out);
    // Not replaced at once.
    assert_eq!(
        read(&hosts(&[&[A, TWO[1]], &TWO[1..], &[TWO[1], C]])),
        struck_out
    );
    // It came back.
    assert_eq!(read(&hosts(&[&[A], &[C], &[A]])), good);
    // Another vault's roster still lists it.
    let mut both = hosts(&[&[A], &[C]]);
    both.add("staging", both.versions[0].hosts.clone());
    assert_eq!(read(&both), good);
    // Nobody has come yet.
    let gone = hosts(&[&[A, TWO[1]], &TWO[1..]]);
    let mut owner = Owner::new(Some(&gone));
    for seq in [5, 9] {
        let (checkpoint, key) = note_at(seq, "a", 'A');
        assert_eq!(owner.take(&checkpoint, &key), Ok(()));
    }
}

/// An owner whose record these have signed, each up to its event, all of which count.
fn signed_by<'h>(hosts: &'h Hosts, turns: &[(u64, char)]) -> Owner<'h> {
    let mut owner = Owner::new(Some(hosts));
    for (seq, of) in turns {
        let (checkpoint, key) = note_at(*seq, &of.to_ascii_lowercase().to_string(), *of);
        assert_eq!(owner.take(&checkpoint, &key), Ok(()), "{of} at {seq}");
    }
    owner
}

/// One roster's versions, each with one host, by letters.
fn one_after_another(keys: &str) -> Hosts {
    let version = |of: char| [("vault-1", of.to_ascii_lowercase(), of)];
    let versions: Vec<[Said; 1]> = keys.chars().map(version).collect();
    hosts(&versions.iter().map(|v| &v[..]).collect::<Vec<_>>())
}

#[test]
fn who_signs_walks_through_the_rosters_versions_and_never_back() {
    for (versions, turns, late) in [
        // C was struck out as A came back, and signs nothing any more once A has.
        ("ACA", &[(5, 'A'), (7, 'C'), (9, 'A')][..], "C"),
        ("ACAC", &[(5, 'A'), (7, 'C'), (9, 'A'), (11, 'C')], "A"),
        ("ACAD", &[(5, 'A'), (7, 'C'), (9, 'A'), (11, 'D')], "AC"),
        // It never signed in its second time.
        ("ACACD", &[(5, 'A'), (7, 'C'), (11, 'D')], "AC"),
    ] {
        let hosts = one_after_another(versions);
        let owner = signed_by(&hosts, turns);
        for of in "ACD".chars().filter(|of| versions.contains(*of)) {
            let counts = |seq| {
                let (checkpoint, key) = note_at(seq, "nobody", of);
                owner.still_counts(&checkpoint, &key).is_ok()
            };
            assert_eq!(counts(13), !late.contains(of), "{versions} {of}");
            assert!(counts(7), "{versions} {of}");
        }
    }
    let hosts = one_after_another("ACA");
    assert!(hosts.is_followed(key('C'), key('A')) && !hosts.is_followed(key('A'), key('C')));
}

#[test]
fn an_epoch_loses_nothing_that_a_successor_of_its_signer_has_signed() {
    for (versions, turns, signer, of, may) in [
        ("AC", &[(5, 'A')][..], 'A', 'C', false),
        ("AC", &[(5, 'A')], 'A', 'A', true),
        ("AC", &[(5, 'A'), (12, 'C')], 'C', 'A', true),
        // The successor itself has signed the record since.
        ("AC", &[(5, 'A'), (12, 'C')], 'A', 'C', true),
        // Somebody else did, who was struck out as well.
        ("ACD", &[(5, 'A'), (12, 'C')], 'A', 'D', false),
        ("ACD", &[(5, 'A'), (12, 'C')], 'A', 'C', true),
        // It came back, and put its own store back.
        ("ACA", &[(5, 'A')], 'A', 'C', true),
        ("ACA", &[(5, 'A')], 'C', 'A', false),
    ] {
        let hosts = one_after_another(versions);
        let owner = signed_by(&hosts, turns);
        let found = owner.may_lose((key(signer), 8), key(of));
        assert_eq!(found, may, "{versions} {turns:?} {signer} {of}");
        // It is said of one of which only such keys know that are listed no more.
        let newest = versions.chars().last().map(key);
        let later = turns.iter().filter(|(n, _)| *n > 8).map(|(_, of)| *of);
        let alone = std::iter::once(signer)
            .chain(later)
            .all(|of| Some(key(of)) != newest);
        assert_eq!(
            owner.is_struck_out((key(signer), 8)),
            alone,
            "{versions} {turns:?}"
        );
    }
    assert!(Owner::default().may_lose((key('A'), 8), key('C')));
}
