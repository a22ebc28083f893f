use std::fs;
use std::io::Write as _;

use super::*;
use crate::audit::folder::FolderWriter;
use crate::audit::samples;

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    written: Written,
}

impl Bench {
    /// A store of ten events, and a folder that has them.
    fn new() -> (Self, LiveRecord) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        let bench = Self {
            dir,
            store,
            written: Written::default(),
        };
        bench.grow(10);
        let mut live = LiveRecord::new(&bench.folder(), &bench.store, &bench.written);
        assert_eq!(live.look(true).unwrap(), None);
        (bench, live)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn file(&self) -> PathBuf {
        folder::live(&self.folder())
    }

    fn grow(&self, events: u64) {
        let grown = self.store.commit(|tx| {
            for n in 0..events {
                tx.append(&samples::event(n), samples::NOW)?;
            }
            Ok(())
        });
        grown.unwrap();
        self.write();
    }

    /// What the sink does.
    fn write(&self) {
        let mut writer = FolderWriter::open(&self.folder()).unwrap();
        let entries = self.store.events(writer.tail().seq + 1, 1000).unwrap();
        let lines: Vec<_> = entries.into_iter().map(|e| e.line).collect();
        self.written.reached(writer.tail().seq);
        writer.append(&lines).unwrap();
        self.written.reached(writer.tail().seq);
    }

    /// Finds it, sets it aside, lets the sink go on, and finds nothing any more.
    fn finds(&self, live: &mut LiveRecord, deep: bool) -> (Finding, Option<PathBuf>) {
        let finding = live.look(deep).unwrap().expect("a finding");
        let kept = live.set_aside(&finding).unwrap();
        self.write();
        assert_eq!(live.look(false).unwrap(), None);
        assert_eq!(live.look(true).unwrap(), None);
        let whole: Vec<u8> = self
            .store
            .events(1, 1000)
            .unwrap()
            .into_iter()
            .flat_map(|e| [e.line, b"\n".to_vec()].concat())
            .collect();
        assert_eq!(fs::read(self.file()).unwrap(), whole);
        (finding, kept)
    }
}

/// Lines that are written and cut off again before anybody looks: no look has seen them, and the sink knows that they were there.
#[test]
fn what_is_cut_off_before_it_was_looked_at_is_found() {
    let (bench, mut live) = Bench::new();
    let before = fs::metadata(bench.file()).unwrap().len();
    bench.grow(3);
    let file = fs::File::options().write(true).open(bench.file()).unwrap();
    file.set_len(before).unwrap();
    let (finding, kept) = bench.finds(&mut live, false);
    assert_eq!((finding.how, finding.from), (How::Cut, Some(11)));
    assert!(finding.why.ends_with("ends at event 10 and held 13 before"));
    assert!(kept.is_some());
    // All of it, before the first look of all.
    let mut first = LiveRecord::new(&bench.folder(), &bench.store, &bench.written);
    let file = fs::File::options().write(true).open(bench.file()).unwrap();
    file.set_len(0).unwrap();
    let (finding, _) = bench.finds(&mut first, false);
    assert_eq!((finding.how, finding.from), (How::Cut, Some(1)));
}

#[test]
fn what_the_sink_appends_is_no_finding() {
    let (bench, mut live) = Bench::new();
    bench.grow(3);
    assert_eq!(live.look(false).unwrap(), None);
    assert_eq!(live.look(true).unwrap(), None);
    assert_eq!(live.left_at(bench.store.head().unwrap()).unwrap(), None);
}

#[test]
fn a_file_that_is_removed_or_replaced_is_found_and_written_anew() {
    let (bench, mut live) = Bench::new();
    fs::remove_file(bench.file()).unwrap();
    let (finding, kept) = bench.finds(&mut live, false);
    assert_eq!(
        (finding.how, finding.from, kept),
        (How::Removed, Some(1), None)
    );

    // Also where the sink was there first.
    fs::remove_file(bench.file()).unwrap();
    bench.write();
    let (finding, kept) = bench.finds(&mut live, false);
    assert_eq!((finding.how, finding.from), (How::Replaced, Some(1)));
    assert!(kept.unwrap().join("events.jsonl").exists());

    let copy = bench.folder().join("copy");
    fs::copy(bench.file(), &copy).unwrap();
    fs::rename(&copy, bench.file()).unwrap();
    let (finding, _) = bench.finds(&mut live, false);
    assert_eq!(finding.how, How::Replaced);
}

#[test]
fn a_file_that_is_cut_is_found_with_the_first_event_that_is_missing() {
    let (bench, mut live) = Bench::new();
    let text = fs::read_to_string(bench.file()).unwrap();
    let four: usize = text.lines().take(4).map(|l| l.len() + 1).sum();
    let file = fs::File::options().write(true).open(bench.file()).unwrap();
    file.set_len(four as u64 + 20).unwrap();
    let (finding, kept) = bench.finds(&mut live, false);
    assert_eq!((finding.how, finding.from), (How::Cut, Some(5)));
    let kept = fs::read(kept.unwrap().join("events.jsonl")).unwrap();
    assert_eq!(kept.len(), four + 20);
}

#[test]
fn a_line_that_is_changed_in_place_is_found_by_its_number() {
    let (bench, mut live) = Bench::new();
    let text = fs::read_to_string(bench.file()).unwrap();
    let at: usize = text.lines().take(6).map(|l| l.len() + 1).sum();
    let mut bytes = text.clone().into_bytes();
    bytes[at + 130] ^= 1;
    // In place: neither inode nor length tell.
    let mut file = fs::File::options().write(true).open(bench.file()).unwrap();
    file.write_all(&bytes).unwrap();
    let (finding, kept) = bench.finds(&mut live, false);
    assert_eq!((finding.how, finding.from), (How::Changed, Some(7)));
    assert_eq!(fs::read(kept.unwrap().join("events.jsonl")).unwrap(), bytes);
}

#[test]
fn what_is_added_behind_the_sinks_back_is_found() {
    for added in ["{\"v\":1}\n", "{\"v\":1,\"se", "\n"] {
        let (bench, mut live) = Bench::new();
        let mut file = fs::File::options().append(true).open(bench.file()).unwrap();
        file.write_all(added.as_bytes()).unwrap();
        let (finding, _) = bench.finds(&mut live, false);
        assert_eq!(
            (finding.how, finding.from),
            (How::Changed, Some(11)),
            "{added:?}"
        );
    }
}

#[test]
fn a_change_under_what_is_appended_is_found_by_comparing_all() {
    let (bench, mut live) = Bench::new();
    let mut bytes = fs::read(bench.file()).unwrap();
    bytes[130] ^= 1;
    fs::File::options()
        .write(true)
        .open(bench.file())
        .unwrap()
        .write_all(&bytes)
        .unwrap();
    bench.grow(1);
    let (finding, _) = bench.finds(&mut live, true);
    assert_eq!((finding.how, finding.from), (How::Changed, Some(1)));
}

#[test]
fn rights_that_were_widened_are_found_and_taken_back() {
    let (bench, mut live) = Bench::new();
    fs::set_permissions(bench.file(), fs::Permissions::from_mode(0o666)).unwrap();
    let (finding, kept) = bench.finds(&mut live, false);
    assert_eq!((finding.how, finding.from, kept), (How::Rights, None, None));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.file()), 0o600);

    let before = mode(&bench.folder());
    fs::set_permissions(bench.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    let (finding, _) = bench.finds(&mut live, false);
    assert_eq!(finding.how, How::Rights);
    assert_eq!(mode(&bench.folder()), before);
    // Fewer rights harm nobody but the sink, which says so itself.
    fs::set_permissions(bench.file(), fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(live.look(false).unwrap(), None);
}

#[test]
fn a_folder_that_is_moved_or_exchanged_is_found() {
    let (bench, mut live) = Bench::new();
    let away = bench.dir.path().join("away");
    fs::rename(bench.folder(), &away).unwrap();
    let (finding, _) = bench.finds(&mut live, false);
    assert_eq!((finding.how, finding.from), (How::FolderMoved, Some(1)));
    fs::rename(bench.folder(), bench.dir.path().join("second")).unwrap();
    fs::rename(&away, bench.folder()).unwrap();
    let (finding, _) = bench.finds(&mut live, false);
    assert_eq!(finding.how, How::FolderMoved);
}

#[test]
fn a_folder_that_is_moved_before_anybody_looked_is_found_once() {
    let (bench, _) = Bench::new();
    let mut live = LiveRecord::new(&bench.folder(), &bench.store, &bench.written);
    fs::rename(bench.folder(), bench.dir.path().join("away")).unwrap();
    let finding = live.look(false).unwrap().expect("a finding");
    assert_eq!((finding.how, finding.from), (How::FolderMoved, Some(1)));
    assert_eq!(live.set_aside(&finding).unwrap(), None);
    assert_eq!(live.look(false).unwrap(), None);
}

#[test]
fn what_happened_while_nobody_looked_is_found_by_where_the_sink_had_come() {
    let (bench, live) = Bench::new();
    let head = bench.store.head().unwrap();
    let text = fs::read_to_string(bench.file()).unwrap();
    let four: usize = text.lines().take(4).map(|l| l.len() + 1).sum();
    fs::write(bench.file(), &text[..four]).unwrap();
    let finding = live.left_at(head).unwrap().unwrap();
    assert_eq!((finding.how, finding.from), (How::Cut, Some(5)));
    fs::write(bench.file(), "rubbish\n").unwrap();
    let finding = live.left_at(head).unwrap().unwrap();
    assert_eq!((finding.how, finding.from), (How::Changed, Some(1)));
    fs::remove_file(bench.file()).unwrap();
    let finding = live.left_at(head).unwrap().unwrap();
    assert_eq!((finding.how, finding.from), (How::Removed, Some(1)));
    assert_eq!(live.left_at(Head::default()).unwrap(), None);
}

#[test]
fn a_store_that_was_changed_is_found_and_not_the_file_blamed() {
    let (bench, mut live) = Bench::new();
    assert_eq!(live.reread_store().unwrap(), None);
    let other = rusqlite::Connection::open(bench.store.path()).unwrap();
    other
        .execute_batch(
            "DROP TRIGGER events_are_not_changed;
             UPDATE events SET line = CAST(CAST(line AS TEXT) || ' ' AS BLOB) WHERE seq = 4;",
        )
        .unwrap();
    let finding = live.reread_store().unwrap().expect("a finding");
    assert_eq!((finding.how, finding.from), (How::StoreChanged, Some(4)));
    assert_eq!(live.look(true).unwrap(), None);
}

#[test]
fn a_store_whose_file_was_exchanged_is_found() {
    let (bench, live) = Bench::new();
    let path = bench.store.path();
    let copy = bench.dir.path().join("copy.db");
    fs::copy(path, &copy).unwrap();
    fs::rename(&copy, path).unwrap();
    let finding = live.reread_store().unwrap().expect("a finding");
    assert_eq!((finding.how, finding.from), (How::StoreChanged, None));
}
