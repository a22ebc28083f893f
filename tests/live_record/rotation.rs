//! Files that are begun anew while somebody looks.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use time::OffsetDateTime;
use twotap::audit::{
    event::{Actor, Event, EventType},
    folder::{FolderWriter, Rotate},
    live::{LiveRecord, Written},
    store::Store,
};

#[test]
fn a_file_that_is_begun_anew_under_a_look_is_no_tampering() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&dir.path().join("state.db")).expect("opened");
    let folder = dir.path().join("audit");
    let rotate = Rotate {
        bytes: 2000,
        age: Duration::MAX,
    };
    let mut writer = FolderWriter::open(&folder).expect("opened").rotated(rotate);
    let written = Written::default();
    let mut live = LiveRecord::new(&folder, &store, &written);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..400 {
                let event = Event::new(EventType::BreakGlassAction, Actor::agent())
                    .correlation(format!("r-{n}"));
                let grown = store.commit(|tx| tx.append(&event, OffsetDateTime::UNIX_EPOCH));
                let head = grown.expect("grown");
                let entry = store.events(head.seq, 1).expect("read").pop();
                let line = entry.expect("one").line;
                writer.append(&[line]).expect("written");
                written.reached(head.seq);
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut looks = 0;
        while !done.load(Ordering::SeqCst) {
            assert_eq!(live.look(looks % 2 == 0).expect("looked"), None);
            looks += 1;
        }
        assert!(looks > 10, "{looks}");
    });
    assert_eq!(live.look(true).expect("looked"), None);
}
