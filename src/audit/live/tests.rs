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

/// The sink may be writing a line just now: its beginning is none that was changed, and anything else is.
#[test]
fn a_line_that_is_being_written_is_told_from_one_that_was_put_there() {
    for (written, found) in [(20, None), (0, Some(11))] {
        let (bench, mut live) = Bench::new();
        let next = bench
            .store
            .commit(|tx| tx.append(&samples::event(3), samples::NOW));
        next.unwrap();
        let line = bench.store.events(11, 1).unwrap().remove(0).line;
        let mut file = fs::File::options().append(true).open(bench.file()).unwrap();
        file.write_all(&line[..written]).unwrap();
        if written == 0 {
            file.write_all(&line[1..20]).unwrap();
        }
        let finding = live.look(false).unwrap();
        assert_eq!(finding.and_then(|f| f.from), found, "{written}");
    }
}

/// Whoever changes the store can change the hash beside the line as well.
#[test]
fn of_file_and_store_that_one_is_blamed_that_the_record_has_not_grown_on() {
    let (bench, mut live) = Bench::new();
    let other = rusqlite::Connection::open(bench.store.path()).unwrap();
    let line = bench.store.events(4, 1).unwrap().remove(0).line;
    let forged = [&line[..], b" "].concat();
    other
        .execute_batch("DROP TRIGGER events_are_not_changed")
        .unwrap();
    let hash = crate::audit::chain::Hash::of(&forged);
    let done = other.execute(
        "UPDATE events SET line = ?1, hash = ?2 WHERE seq = 4",
        rusqlite::params![forged, hash.as_bytes()],
    );
    assert_eq!(done.unwrap(), 1);
    assert_eq!(live.look(true).unwrap(), None);
    assert!(live.reread_store().unwrap().is_some());
}

/// Neither a link nor a pipe is read, and nobody waits for its other end.
#[test]
fn a_link_or_a_pipe_in_its_place_is_another_file() {
    for pipe in [false, true] {
        let (bench, mut live) = Bench::new();
        let away = bench.dir.path().join("away");
        fs::rename(bench.file(), &away).unwrap();
        if pipe {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let made = rustix::fs::mknodat(
                rustix::fs::CWD,
                bench.file(),
                rustix::fs::FileType::Fifo,
                mode,
                0,
            );
            made.unwrap();
        } else {
            std::os::unix::fs::symlink(&away, bench.file()).unwrap();
            assert!(live.left_at(bench.store.head().unwrap()).is_err());
        }
        let (done, looked) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(live.look(false).unwrap()));
        let finding = looked.recv_timeout(std::time::Duration::from_secs(60));
        let finding = finding.expect("it comes back").expect("a finding");
        assert_eq!((finding.how, finding.from), (How::Replaced, Some(1)));
    }
}

#[test]
fn another_owner_may_use_it_too() {
    let (bench, _) = Bench::new();
    let before = Stat::of(&fs::metadata(bench.file()).unwrap());
    let uid = before.uid + 1;
    assert!(Stat { uid, ..before }.widened_since(&before));
    assert!(!before.widened_since(&before));
    let mode = before.mode | 0o040;
    assert!(Stat { mode, ..before }.widened_since(&before));
}

/// It grew while it was looked at, and was cut off since to more than it had then.
#[test]
fn a_file_that_is_longer_than_it_was_and_shorter_than_what_was_compared_was_cut() {
    let (bench, mut live) = Bench::new();
    let text = fs::read_to_string(bench.file()).unwrap();
    let through = |n: usize| text.lines().take(n).map(|l| l.len() as u64 + 1).sum();
    live.known[0].stat.size = through(8);
    bench.written.unknown();
    let file = fs::File::options().write(true).open(bench.file()).unwrap();
    file.set_len(through(9)).unwrap();
    let finding = live.look(false).unwrap().expect("a finding");
    assert_eq!((finding.how, finding.from), (How::Cut, Some(10)));
}

/// Between what was set aside and what the sink writes anew there is nothing to find.
#[test]
fn a_file_that_is_begun_anew_after_a_finding_was_not_cut() {
    let (bench, mut live) = Bench::new();
    fs::remove_file(bench.file()).unwrap();
    let finding = live.look(false).unwrap().expect("a finding");
    live.set_aside(&finding).unwrap();
    drop(FolderWriter::open(&bench.folder()).unwrap());
    assert_eq!(live.look(false).unwrap(), None);
}

#[test]
fn files_before_the_one_that_was_touched_stay() {
    let (bench, mut live) = Bench::new();
    let first = bench.folder().join("events-000000000001.jsonl");
    let text = fs::read_to_string(bench.file()).unwrap();
    let six: usize = text.lines().take(6).map(|l| l.len() + 1).sum();
    fs::write(&first, &text[..six]).unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(bench.file(), &text[six..]).unwrap();
    live.known.clear();
    assert_eq!(live.look(true).unwrap(), None);
    fs::remove_file(bench.file()).unwrap();
    let finding = live.look(false).unwrap().expect("a finding");
    assert_eq!((finding.how, finding.from), (How::Removed, Some(7)));
    assert_eq!(live.set_aside(&finding).unwrap(), None);
    assert_eq!(fs::read_to_string(&first).unwrap(), text[..six]);
    bench.write();
    assert_eq!(live.look(true).unwrap(), None);
}

#[test]
fn a_folder_for_evidence_that_has_none_is_none() {
    let (bench, _) = Bench::new();
    let kept = bench.folder().join(KEPT);
    for name in ["1", "2", "x"] {
        fs::create_dir_all(kept.join(name)).unwrap();
    }
    fs::write(kept.join("2/events.jsonl"), "").unwrap();
    assert_eq!(kept_folders(&bench.folder()), [kept.join("2")]);
}
