//! Where the record goes, and how far each sink is, in words.

use super::{span, ui::plain};
use crate::{protocol::live::SinkView, trust::Timestamp};

/// How far it is: `holds everything`, or what it lacks, since when, and why.
pub(super) fn state(sink: &SinkView, now: Timestamp) -> String {
    let since = |at: Timestamp| format!(" since {}", span::when(at, now));
    let lacks = match sink.lag {
        0 => None,
        1 => Some("lacks 1 event".to_owned()),
        n => Some(format!("lacks {n} events")),
    };
    let lacks = lacks.map(|lacks| format!("{lacks}{}", sink.oldest.map_or(String::new(), since)));
    let fails = sink.failing_seconds.map(|seconds| {
        // In minutes: whoever looks for what has changed is not to find something every second.
        let span = match i64::try_from(seconds).unwrap_or(i64::MAX) / 60 {
            0 => "less than a minute".to_owned(),
            minutes => span::show(minutes * 60),
        };
        match &sink.why {
            Some(why) => format!("failing for {span}: {}", plain(why)),
            None => format!("failing for {span}"),
        }
    });
    let complains = sink.complaint.as_deref().map(plain);
    let said: Vec<String> = [lacks, fails, complains].into_iter().flatten().collect();
    match said.is_empty() {
        true => "holds everything".to_owned(),
        false => said.join("; "),
    }
}

/// What is asked of it, where anything is.
pub(super) fn asked(sink: &SinkView) -> Option<String> {
    match &sink.group {
        _ if !sink.required => None,
        None => Some("required".to_owned()),
        Some(group) => Some(format!("required: it or another of {}", plain(group))),
    }
}

/// One row for a list: its name, how far it is, what is asked of it.
pub(super) fn row(sink: &SinkView, now: Timestamp) -> (&'static str, String) {
    let asked = asked(sink).map_or(String::new(), |asked| format!(" ({asked})"));
    let state = state(sink, now);
    ("sink", format!("{}{asked}: {state}", plain(&sink.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_told_in_one_line() {
        let now = Timestamp(1_767_693_600);
        let good = SinkView {
            name: "file".to_owned(),
            acknowledged: 40,
            ..SinkView::default()
        };
        assert_eq!(row(&good, now).1, "file: holds everything");
        let bad = SinkView {
            name: "siem".to_owned(),
            acknowledged: 38,
            lag: 2,
            oldest: Some(now.plus(-90)),
            required: true,
            group: Some("offsite".to_owned()),
            failing_seconds: Some(60),
            why: Some("connection\u{1b}[2J refused".to_owned()),
            complaint: None,
        };
        let told = row(&bad, now).1;
        assert!(
            told.starts_with("siem (required: it or another of offsite): lacks 2 events since "),
            "{told}"
        );
        assert!(told.contains("failing for "), "{told}");
        assert!(
            told.contains("refused") && !told.contains('\u{1b}'),
            "{told}"
        );
        let complains = SinkView {
            complaint: Some("1 event was given up".to_owned()),
            required: true,
            ..good
        };
        assert_eq!(
            row(&complains, now).1,
            "file (required): 1 event was given up"
        );
    }
}
