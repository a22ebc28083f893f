use super::*;
use crate::audit::samples::{event, file, heads, lines};

fn events(dir: &Path) -> Vec<u8> {
    fs::read(dir.join(EVENTS)).unwrap()
}

#[test]
fn goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let lines = lines(6);
    let mut writer = FolderWriter::open(dir.path()).unwrap();
    writer.append(&lines[..2]).unwrap();
    drop(writer);
    let mut writer = FolderWriter::open(dir.path()).unwrap();
    assert_eq!(writer.tail(), heads(&lines)[2]);
    writer.append(&lines[2..]).unwrap();
    assert_eq!(events(dir.path()), file(&lines));
    assert_eq!(
        Folder::open(dir.path())
            .unwrap()
            .lines()
            .unwrap()
            .bytes()
            .count(),
        file(&lines).len()
    );
}

/// Wherever a crash cut the file, going on makes it whole, without a gap or a repetition.
#[test]
fn a_file_cut_at_any_byte_is_completed() {
    let lines = lines(3);
    let whole = file(&lines);
    let dir = tempfile::tempdir().unwrap();
    for cut in 0..=whole.len() {
        fs::write(dir.path().join(EVENTS), &whole[..cut]).unwrap();
        let mut writer = FolderWriter::open(dir.path()).unwrap();
        let held = usize::try_from(writer.tail().seq).unwrap();
        writer.append(&lines[held..]).unwrap();
        drop(writer);
        assert_eq!(events(dir.path()), whole, "cut at {cut}");
    }
}

#[test]
fn what_does_not_follow_is_refused_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let lines = lines(6);
    let mut writer = FolderWriter::open(dir.path()).unwrap();
    writer.append(&lines[..2]).unwrap();
    assert!(matches!(
        writer.append(&lines[3..]),
        Err(FolderError::Diverged { seq: 3 })
    ));
    assert!(matches!(
        writer.append(&lines[..1]),
        Err(FolderError::Diverged { seq: 3 })
    ));
    assert_eq!(events(dir.path()), file(&lines[..2]));
    drop(writer);
    // A cut-off line that is not the beginning of what comes.
    fs::write(
        dir.path().join(EVENTS),
        [&file(&lines[..2]), &b"{\"v\":1,\"seq\":3,\"prev\":\"00"[..]].concat(),
    )
    .unwrap();
    let mut writer = FolderWriter::open(dir.path()).unwrap();
    assert!(matches!(
        writer.append(&lines[2..]),
        Err(FolderError::Diverged { seq: 3 })
    ));
    drop(writer);
    fs::write(dir.path().join(EVENTS), "hello\n").unwrap();
    assert!(matches!(
        FolderWriter::open(dir.path()).err(),
        Some(FolderError::NotARecord)
    ));
    assert_eq!(events(dir.path()), b"hello\n");
}

#[test]
fn one_writer_at_a_time_and_an_export_into_a_new_folder_only() {
    let dir = tempfile::tempdir().unwrap();
    let writer = FolderWriter::create(dir.path()).unwrap();
    assert!(matches!(
        FolderWriter::open(dir.path()).err(),
        Some(FolderError::InUse)
    ));
    drop(writer);
    assert!(FolderWriter::open(dir.path()).is_ok());
    assert!(matches!(
        FolderWriter::create(dir.path()).err(),
        Some(FolderError::Io(_))
    ));
}

#[test]
fn keeps_envelopes_and_the_newest_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let writer = FolderWriter::create(dir.path()).unwrap();
    let envelope = event(3).envelopes()[0].clone();
    writer.put_envelope(&envelope).unwrap();
    writer.put_envelope(&envelope).unwrap();
    writer.put_checkpoint("one").unwrap();
    writer.put_checkpoint("two").unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    assert_eq!(
        folder.envelope(&envelope.sha256()).unwrap(),
        Some(envelope.body)
    );
    assert_eq!(folder.envelope(&Hash::ZERO).unwrap(), None);
    assert_eq!(folder.checkpoint().unwrap().as_deref(), Some("two"));
    assert_eq!(fs::read_dir(dir.path().join(ENVELOPES)).unwrap().count(), 1);
}

fn names(dir: &Path) -> Vec<String> {
    let files = files(dir).unwrap();
    let name = |f: &PathBuf| f.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(name).collect()
}

fn read_all(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut lines = Folder::open(dir).unwrap().lines().unwrap();
    lines.read_to_end(&mut bytes).unwrap();
    bytes
}

const SMALL: Rotate = Rotate {
    bytes: 1_500,
    ..Rotate::NEVER
};

#[test]
fn another_file_is_begun_by_size_and_all_are_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let lines = lines(30);
    // A writer that is opened anew now and then goes on alike.
    for some in lines.chunks(7) {
        let mut writer = FolderWriter::open(dir.path()).unwrap().rotated(SMALL);
        for line in some {
            writer.append(&[line]).unwrap();
        }
    }
    let found = names(dir.path());
    assert!(found.len() > 5, "{found:?}");
    assert_eq!(found[0], "events-000000000001.jsonl");
    assert_eq!(found.last().unwrap(), EVENTS);
    assert_eq!(read_all(dir.path()), file(&lines));
    for name in &found[..found.len() - 1] {
        let length = fs::metadata(dir.path().join(name)).unwrap().len();
        assert!((1_500..4_000).contains(&length), "{name}: {length}");
    }
    let writer = FolderWriter::open(dir.path()).unwrap();
    assert_eq!(writer.tail(), heads(&lines)[30]);
}

#[test]
fn another_file_is_begun_by_age_as_the_lines_tell_it() {
    use crate::audit::samples::NOW;
    let dir = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(24 * 3600);
    let rotate = Rotate {
        age: 30 * day,
        ..Rotate::NEVER
    };
    let mut writer = FolderWriter::open(dir.path()).unwrap().rotated(rotate);
    let mut head = Head::default();
    for (n, days) in (1..).zip([0, 29, 30, 59, 60, 60]) {
        let line = event(n).line_after(&head, NOW + days * day).unwrap();
        head = head.after(&line);
        writer.append(&[line]).unwrap();
    }
    let expected = [
        "events-000000000001.jsonl",
        "events-000000000003.jsonl",
        EVENTS,
    ];
    assert_eq!(names(dir.path()), expected);
}

/// A crash between the two names, one before the new file counted, and a file that somebody put in the way.
#[test]
fn beginning_another_file_is_whole_or_not_at_all() {
    let lines = lines(8);
    let dir = tempfile::tempdir().unwrap();
    let (live, before) = (live(dir.path()), numbered(dir.path(), 1));
    let open = || FolderWriter::open(dir.path()).unwrap().rotated(SMALL);
    open().append(&lines[..4]).unwrap();
    fs::hard_link(&live, &before).unwrap();
    fs::write(dir.path().join(".events.jsonl.new"), "half a li").unwrap();
    assert_eq!(
        names(dir.path()),
        [EVENTS],
        "one file, though it has two names"
    );
    assert_eq!(read_all(dir.path()), file(&lines[..4]));
    let mut writer = open();
    assert_eq!(writer.tail().seq, 4);
    writer.append(&lines[4..6]).unwrap();
    assert_eq!(names(dir.path()).len(), 2);
    assert_eq!(read_all(dir.path()), file(&lines[..6]));
    drop(writer);

    // The file that was written to is taken away, or cut to a part of a line: what is before it stays, and it goes on from there.
    for left in [None, Some(0), Some(100)] {
        match left {
            None => fs::remove_file(&live).unwrap(),
            Some(n) => fs::OpenOptions::new()
                .write(true)
                .open(&live)
                .unwrap()
                .set_len(n)
                .unwrap(),
        }
        let mut writer = open();
        assert_eq!(writer.tail().seq, 4);
        writer.append(&lines[4..6]).unwrap();
        assert_eq!(read_all(dir.path()), file(&lines[..6]));
    }

    // Evidence is not written over.
    let mut writer = FolderWriter::open(dir.path()).unwrap().rotated(Rotate {
        bytes: 1,
        ..Rotate::NEVER
    });
    fs::write(numbered(dir.path(), 5), "in the way").unwrap();
    assert!(writer.append(&lines[6..7]).is_err());
    assert_eq!(fs::read(numbered(dir.path(), 5)).unwrap(), b"in the way");
    assert_eq!(fs::read(&live).unwrap(), file(&lines[4..6]));
}

/// It is tried again and again: nothing is left each time, and nothing is taken away without a word.
#[test]
fn what_cannot_be_moved_aside_leaves_no_folder_and_what_was_moved_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (there, gone) = (dir.path().join(EVENTS), dir.path().join("gone.jsonl"));
    let aside = dir.path().join("aside");
    for _ in 0..2 {
        let why = move_aside(dir.path(), "aside", [&gone]).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::NotFound);
        assert_eq!(names(&aside), [] as [&str; 0]);
    }
    fs::write(&there, "x").unwrap();
    let why = move_aside(dir.path(), "aside", [&there, &gone]).unwrap_err();
    let kept = aside.join("1");
    assert!(why.to_string().contains(&*kept.to_string_lossy()), "{why}");
    assert_eq!(names(&kept), [EVENTS]);
}
