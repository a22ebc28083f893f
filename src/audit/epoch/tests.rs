use std::fs;

use super::*;
use crate::audit::event::Record;
use crate::audit::folder::FolderWriter;
use crate::audit::samples;

struct Bench {
    dir: tempfile::TempDir,
    key: CheckpointKey,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = CheckpointKey::open_or_create(&dir.path().join("key"), "host-1").unwrap();
        Self { dir, key }
    }

    fn store(&self, name: &str) -> Store {
        Store::open(&self.dir.path().join(name)).unwrap()
    }

    fn audit(&self) -> std::path::PathBuf {
        self.dir.path().join("audit")
    }

    fn grow(&self, store: &Store, events: u64, checkpoint: bool) {
        let grown = store.commit(|tx| {
            for n in 0..events {
                tx.append(&samples::event(n), samples::NOW)?;
            }
            if checkpoint {
                tx.checkpoint(&self.key, "host-1", samples::NOW)?;
            }
            Ok(())
        });
        grown.unwrap();
    }

    /// What the file sink does.
    fn write(&self, store: &Store) {
        let mut writer = FolderWriter::open(&self.audit()).unwrap();
        for entry in store.events(writer.tail().seq + 1, 1000).unwrap() {
            let record = Record::parse(&entry.line).unwrap();
            for named in &record.envelopes {
                let envelope = store.envelope(&named.sha256).unwrap().unwrap();
                writer.put_envelope(&envelope).unwrap();
            }
            writer.append(&[entry.line]).unwrap();
        }
    }

    fn beyond(&self, store: &Store) -> Beyond {
        beyond(store, &self.audit(), self.key.public()).unwrap()
    }

    /// A copy of the store after five events, and the store after eleven, whose file is written.
    fn rolled_back(&self) -> (Store, Store) {
        let (old, new) = (self.store("old.db"), self.store("new.db"));
        for store in [&old, &new] {
            self.grow(store, 5, false);
        }
        self.grow(&new, 5, true);
        self.write(&new);
        (old, new)
    }
}

fn lines(store: &Store) -> Vec<Vec<u8>> {
    let all = store.events(1, 1000).unwrap();
    all.into_iter().map(|e| e.line).collect()
}

#[test]
fn what_the_file_has_beyond_the_store_is_taken_back_byte_for_byte() {
    let bench = Bench::new();
    let (old, new) = bench.rolled_back();
    assert_eq!(bench.beyond(&new), Beyond::Nothing);
    assert_eq!(bench.beyond(&old), Beyond::Follows(new.head().unwrap()));
    let mut seen = Vec::new();
    old.commit(|tx| put_back(tx, &bench.audit(), |r| seen.push(r.seq)))
        .unwrap();
    assert_eq!(seen, (6..=11).collect::<Vec<_>>());
    assert_eq!(lines(&old), lines(&new));
    assert_eq!(old.verify().unwrap(), new.head().unwrap());
    // With the envelopes that the lines name.
    for entry in old.events(1, 1000).unwrap() {
        for named in &Record::parse(&entry.line).unwrap().envelopes {
            assert!(old.envelope(&named.sha256).unwrap().is_some());
        }
    }
    assert_eq!(bench.beyond(&old), Beyond::Nothing);
}

#[test]
fn a_store_that_is_gone_is_had_back_whole() {
    let bench = Bench::new();
    let (_, new) = bench.rolled_back();
    let empty = bench.store("empty.db");
    assert_eq!(bench.beyond(&empty), Beyond::Follows(new.head().unwrap()));
    empty
        .commit(|tx| put_back(tx, &bench.audit(), |_| {}))
        .unwrap();
    assert_eq!(lines(&empty), lines(&new));
}

#[test]
fn what_does_not_follow_is_not_taken_back() {
    let bench = Bench::new();
    let (old, new) = bench.rolled_back();
    let held = new.head().unwrap();
    let file = folder_file(&bench);
    let text = fs::read_to_string(&file).unwrap();
    let spoilt = |seq: usize| {
        let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
        all[seq - 1] = all[seq - 1].replacen("2026", "2027", 1);
        all.join("\n") + "\n"
    };
    // Among those that the store has, and among those that it has not.
    for (seq, from) in [(3, 6), (8, 6)] {
        fs::write(&file, spoilt(seq)).unwrap();
        let Beyond::Other {
            from: found, why, ..
        } = bench.beyond(&old)
        else {
            panic!("taken");
        };
        assert_eq!((found, why.as_str()), (from, "its lines are not one chain"));
    }
    // A chain of its own, from an event on that the store has.
    let other = bench.store("other.db");
    bench.grow(&other, 4, false);
    bench.grow(&other, 6, false);
    fs::remove_file(&file).unwrap();
    bench.write(&other);
    // No checkpoint of this agent knows of it: it is no history that the store has lost.
    assert_eq!(bench.beyond(&old), Beyond::Nothing);
    bench.grow(&other, 0, true);
    bench.write(&other);
    let Beyond::Other { from, held: at, .. } = bench.beyond(&old) else {
        panic!("taken");
    };
    assert_eq!((from, at), (5, other.head().unwrap()));
    // Somebody else's checkpoint.
    fs::write(&file, &text).unwrap();
    let stranger = tempfile::tempdir().unwrap();
    let key = CheckpointKey::open_or_create(&stranger.path().join("k"), "host-1").unwrap();
    let found = beyond(&old, &bench.audit(), key.public()).unwrap();
    assert_eq!(found, Beyond::Nothing);
    // What is put behind the own lines says nothing of where the record stood.
    let far = "{\"v\":1,\"seq\":999999,\"prev\":\"".to_owned() + &"0".repeat(64) + "\"}\n";
    fs::write(&file, text.clone() + &far).unwrap();
    let Beyond::Other { held: at, .. } = bench.beyond(&old) else {
        panic!("taken");
    };
    assert_eq!(at, held);
}

/// The clock that is put back with the host may be behind what was lost: the epoch begins no earlier. What says that it is far younger than any
/// checkpoint does not move it.
#[test]
fn when_what_was_lost_was_written_is_known_from_its_lines_and_no_later_than_its_checkpoints_bear_out()
 {
    let bench = Bench::new();
    let (_, new) = bench.rolled_back();
    let (held, key) = (new.head().unwrap(), bench.key.public());
    let audit = bench.audit();
    assert_eq!(lost_at(&audit, &held, key).unwrap(), Some(samples::NOW));
    let elsewhere = Head { seq: 999, ..held };
    assert_eq!(
        lost_at(&audit, &elsewhere, key).unwrap(),
        Some(samples::NOW)
    );
    let stranger = tempfile::tempdir().unwrap();
    let other = CheckpointKey::open_or_create(&stranger.path().join("k"), "host-1").unwrap();
    assert_eq!(lost_at(&audit, &held, other.public()).unwrap(), None);
    let hours = |n| Some(samples::NOW + ::time::Duration::hours(n));
    for (said, signed, believed) in [
        (hours(2), hours(0), hours(2)),
        (hours(-2), hours(0), hours(-2)),
        (hours(999), hours(0), hours(24)),
        (None, hours(0), hours(0)),
        (hours(2), None, None),
    ] {
        assert_eq!(until(said, signed), believed, "{said:?} {signed:?}");
    }
}

fn folder_file(bench: &Bench) -> std::path::PathBuf {
    crate::audit::folder::live(&bench.audit())
}

#[test]
fn an_epoch_says_what_was_lost_and_its_checkpoint_comes_right_after_it() {
    let bench = Bench::new();
    let (old, new) = bench.rolled_back();
    let held = new.head().unwrap();
    let reset = Reset {
        lost_from: Some(6),
        held,
        by: "sink worm".into(),
        why: "it holds more".into(),
        taken_back: None,
    };
    let place = Place::default();
    let sign = (&bench.key, "host-1");
    let (epoch, note) = old
        .commit(|tx| begin(tx, &reset, &place, sign, samples::NOW))
        .unwrap();
    assert_eq!((epoch.epoch, epoch.seq, epoch.lost_from), (2, 6, 6));
    assert_eq!(all(&old).unwrap(), std::slice::from_ref(&epoch));
    let entries = old.events(6, 10).unwrap();
    assert_eq!(entries.len(), 2);
    let (checkpoint, _) =
        super::super::checkpoint::Checkpoint::open(&note, &[bench.key.public().clone()]).unwrap();
    assert_eq!(checkpoint.head.hash, entries[0].hash);
    // Who has the line and the note knows it, and who has one of them changed does not.
    let (keys, own) = ([bench.key.public().clone()], Owner::default());
    let line = &entries[0].line;
    let known = proven(line, &note, &keys, &own).unwrap();
    assert_eq!(
        (&known.epoch, known.why.as_str()),
        (&epoch, "it holds more")
    );
    assert_eq!((known.began.seq, known.began.hash), (6, entries[0].hash));
    // What was seen since it was signed is of the history that is told now.
    let at = known.epoch.at;
    assert_eq!(at, samples::NOW);
    let since = at + ::time::Duration::milliseconds(1);
    let lost = Head {
        seq: held.seq - 1,
        ..held
    };
    for (at, is) in [(Some(at), true), (Some(since), false), (None, false)] {
        assert_eq!(known.epoch.covers(&lost, at), is, "{at:?}");
        assert_eq!(is_known(&old, &lost, at).unwrap(), is, "{at:?}");
        // The very head that it names is lost, whenever somebody tells of it.
        assert!(is_known(&old, &held, at).unwrap());
    }
    assert!(is_known(&old, &old.head().unwrap(), None).unwrap());
    let text = String::from_utf8(line.clone()).unwrap();
    let forged = text.replace("\"lost_from\":6", "\"lost_from\":1");
    assert_ne!(text, forged);
    assert!(proven(forged.as_bytes(), &note, &keys, &own).is_err());
    assert!(proven(line, &note, &[], &own).is_err());
    let other = tempfile::tempdir().unwrap();
    let stranger = CheckpointKey::open_or_create(&other.path().join("k"), "host-1").unwrap();
    assert!(proven(line, &note, &[stranger.public().clone()], &own).is_err());
    // It excuses what was lost, and nothing else.
    let at = Some(at);
    assert!(epoch.covers(&held, at));
    let another = Head {
        seq: held.seq,
        ..Head::default()
    };
    let later = Head {
        seq: held.seq + 1,
        ..held
    };
    let before = Head { seq: 5, ..held };
    assert!(![another, later, before].iter().any(|h| epoch.covers(h, at)));
    let (third, _) = old
        .commit(|tx| {
            begin(
                tx,
                &Reset {
                    lost_from: None,
                    ..reset
                },
                &place,
                sign,
                samples::NOW,
            )
        })
        .unwrap();
    assert_eq!((third.epoch, third.lost_from), (3, third.seq));
}
