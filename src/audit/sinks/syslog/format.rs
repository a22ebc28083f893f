//! One event as a syslog message, RFC 5424, section 6.

use std::io::Write as _;

use serde::Deserialize;

use crate::audit::alert::{Severity, alert};
use crate::audit::event::Record;

/// RFC 5424, section 6.2.1, those that a service may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    #[default]
    Authpriv = 10,
    Audit = 13,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// RFC 5424, table 2, for what people are told of and for what they are not.
fn severity(record: Option<&Record>) -> u8 {
    match record.and_then(alert).map(|alert| alert.severity) {
        Some(Severity::P0) => 2,
        Some(Severity::P1) => 3,
        Some(Severity::P2) => 4,
        Some(Severity::Info) => 5,
        None => 6,
    }
}

/// The message: header, number, program, and the line byte for byte.
///
/// ```text
/// <85>1 2026-01-06T10:00:00.000Z host-1 twotap - BREAK_GLASS_REQUESTED [meta sequenceId="7"][origin software="twotap"] {"v":1,"seq":7,...}
/// ```
///
/// `sequenceId` is the event's `seq` where it fits (it has 31 bits, section 7.3.1). No byte order mark, so that what follows the header is the
/// line and nothing else (MSG-ANY).
pub(super) fn message(facility: Facility, host: &str, line: &[u8]) -> Vec<u8> {
    let record = Record::parse(line).ok();
    let (timestamp, id, seq) = record.as_ref().map_or(("-", "-", 0), |r| {
        (r.timestamp.as_str(), r.event_type.as_str(), r.seq)
    });
    let mut message = Vec::with_capacity(line.len() + 200);
    let priority = (facility as u8) * 8 + severity(record.as_ref());
    let _ = write!(
        message,
        "<{priority}>1 {timestamp} {} twotap - {} ",
        word(host, 255),
        word(id, 32),
    );
    if let Ok(seq @ 1..) = i32::try_from(seq) {
        let _ = write!(message, "[meta sequenceId=\"{seq}\"]");
    }
    message.extend_from_slice(b"[origin software=\"twotap\"] ");
    message.extend_from_slice(line);
    message
}

/// A field of the header: printable ASCII without spaces, at most `most` long.
fn word(text: &str, most: usize) -> String {
    let text: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(most)
        .collect();
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::samples;

    #[test]
    fn a_line_stands_in_its_message_byte_for_byte() {
        let mut lines = samples::lines(60).into_iter();
        let line = lines
            .find(|l| Record::parse(l).unwrap().event_type == "BREAK_GLASS_REQUESTED")
            .unwrap();
        let seq = Record::parse(&line).unwrap().seq;
        let got = message(Facility::default(), "berlin 1\u{e9}", &line);
        let header = format!(
            "<83>1 2026-01-06T10:00:00.123Z berlin1 twotap - BREAK_GLASS_REQUESTED \
             [meta sequenceId=\"{seq}\"][origin software=\"twotap\"] "
        );
        assert_eq!(got, [header.as_bytes(), &line].concat());
    }

    #[test]
    fn a_header_has_the_lengths_and_numbers_of_the_standard() {
        let mut lines = samples::lines(3).into_iter();
        let line = String::from_utf8(lines.next_back().unwrap()).unwrap();
        for (seq, shown) in [(1_u64 << 31) - 1, 1 << 31].into_iter().zip([true, false]) {
            let line = line.replacen("\"seq\":3,", &format!("\"seq\":{seq},"), 1);
            let got = message(Facility::User, &"h".repeat(300), line.as_bytes());
            let text = String::from_utf8(got).unwrap();
            assert_eq!(text.contains("sequenceId"), shown, "{text}");
            let host = text.split(' ').nth(2).unwrap();
            assert_eq!(host, "h".repeat(255));
        }
    }

    #[test]
    fn steps_are_no_warning_and_what_is_no_event_goes_out_too() {
        let mut lines = samples::lines(60).into_iter();
        let line = lines.find(|l| Record::parse(l).unwrap().event_type == "ROTATION_STEP");
        let got = message(Facility::Audit, "h", &line.unwrap());
        assert!(got.starts_with(b"<110>1 "), "13 * 8 + 6");
        let got = message(Facility::Local7, "", b"{}");
        assert_eq!(
            got,
            b"<190>1 - - twotap - - [origin software=\"twotap\"] {}"
        );
    }
}
