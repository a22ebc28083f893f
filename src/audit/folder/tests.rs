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
