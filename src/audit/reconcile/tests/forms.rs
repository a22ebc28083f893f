//! Each form in which an export of CloudTrail's comes, and what is none.

use serde_json::json;

use super::{read, whole};

#[test]
fn every_form_of_an_export_is_read() {
    use std::io::Write as _;
    let records = whole();
    let file = json!({ "Records": records }).to_string();
    let lookup = json!({"Events": records.iter().map(|r| json!({"CloudTrailEvent": r.to_string()})).collect::<Vec<_>>()});
    let lines: String = records.iter().map(|r| format!("{r}\n")).collect();
    let events: String = records
        .iter()
        .map(|r| format!("{}\n", json!({"source": "aws.sts", "detail": r})))
        .collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(file.as_bytes()).expect("packed");
    let expected = read(file.as_bytes()).expect("read");
    assert_eq!(expected.len(), records.len());
    for form in [
        lookup.to_string().into_bytes(),
        lines.into_bytes(),
        events.into_bytes(),
        json!(records).to_string().into_bytes(),
        gzip.finish().expect("packed"),
    ] {
        assert_eq!(read(&form).expect("read"), expected);
    }
    let digest = json!({"digestS3Object": "a", "logFiles": []}).to_string();
    assert_eq!(read(digest.as_bytes()), Ok(Vec::new()));
}

#[test]
fn what_is_no_export_is_refused() {
    for (bytes, said) in [
        (&b"{\"Records\": [{}]}"[..], "its record 1 is none of CloudTrail's"),
        (b"<xml/>", "no export"),
        (b"{\"Records\": [", "no export"),
        (&[0x1f, 0x8b, 8, 0, 1], "no export"),
        (b"{\"eventTime\": \"yesterday\", \"eventSource\": \"s\", \"eventID\": \"e\", \"eventName\": \"n\"}", "eventTime"),
    ] {
        let why = read(bytes).expect_err("refused").to_string();
        assert!(why.contains(said), "{why}");
    }
}
