//! What was told and what is told again.

use super::*;

/// Until it is on record it is not told, and an acknowledgement does not silence what is wrong still.
#[test]
fn what_stays_is_told_until_it_stands_on_record_and_again_once_it_was_acknowledged() {
    let found = |why: &str, moved: bool| Found {
        finding: Finding {
            how: How::Changed,
            file: PathBuf::from("events.jsonl"),
            from: Some(5),
            why: why.to_owned(),
        },
        kept: match moved {
            true => Ok(None),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        },
    };
    let mut row = Row::default();
    assert!(!row.has(&found("event 5", false)));
    let at = Timestamp(0);
    row.push(7, at, "event 5");
    assert!(!row.has(&found("event 5", false)), "that one was moved");
    row.push(8, at, "event 5");
    row.standing[1].stays = true;
    let row: Row =
        serde_json::from_str(&serde_json::to_string(&row).expect("written")).expect("read");
    assert!(row.has(&found("event 5", false)));
    assert!(!row.has(&found("event 5", true)), "it is moved now");
    assert!(!row.has(&found("event 6", false)), "another");
    assert!(
        !Row::default().has(&found("event 5", false)),
        "acknowledged"
    );
}
