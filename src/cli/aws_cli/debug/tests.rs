//! Lines that are headers, lines that look like them, and a program that says much.

use std::time::Duration;

use super::super::{Options, tests::Stand};
use super::*;

const BEFORE: &str = "2026-11-23 00:16:40,743 - ThreadPoolExecutor-0_3 - botocore.parsers - DEBUG - Response headers: ";

fn of_line(line: &str) -> Option<Headers> {
    Headers::read(after_mark(line.as_bytes())?)
}

fn of(dictionary: &str) -> Option<Headers> {
    of_line(&format!("{BEFORE}{dictionary}"))
}

#[test]
fn headers_are_read_as_python_shows_them() {
    let headers = of(
        r#"{'ETag': '"94"', 'x-amz-version-id': 'd6f8', "x-amz-meta-it's": 'a\\b\'c"', 'Content-Length': '36'}"#,
    )
    .expect("headers");
    for (name, value) in [
        ("etag", Some("\"94\"")),
        ("x-amz-version-id", Some("d6f8")),
        ("x-amz-meta-it's", Some("a\\b'c\"")),
        ("content-length", Some("36")),
        ("x-amz-object-lock-mode", None),
    ] {
        assert_eq!(headers.value(name), value, "{name}");
    }
    assert_eq!(of("{}"), Some(Headers(Vec::new())));
    let second = format!("{BEFORE}{{'a': 'b'}}").replace(" botocore", " awscli.botocore");
    assert!(of_line(&second).is_some());
}

/// What somebody may put into an object's key or metadata is not taken for a lock.
#[test]
fn what_somebody_put_into_a_value_or_a_line_is_no_header() {
    let mode = "x-amz-object-lock-mode";
    let inside = of(r#"{'x-amz-meta-a': "x', 'x-amz-object-lock-mode': 'COMPLIANCE"}"#);
    assert_eq!(inside.expect("headers").value(mode), None);
    let twice = of("{'x-amz-object-lock-mode': 'A', 'X-Amz-Object-Lock-Mode': 'B'}");
    assert_eq!(twice.expect("headers").value(mode), None);
    for bad in [
        "{'a': 'b'",
        "{'a': 'b'} ",
        "{'a': 'b', }",
        "{'a': 3}",
        "{'a' 'b'}",
        "{'a': 'b\\x00'}",
        "{'a': 'b}",
        "['a']",
    ] {
        assert_eq!(of(bad), None, "{bad}");
    }
    let quoted =
        format!("2026-11-23 00:16:40,743 - MainThread - urllib3 - DEBUG - GET /{BEFORE}{{}}");
    let cut = BEFORE
        .strip_prefix("2026-11-23 00:16:40,743")
        .expect("a time");
    for line in [
        quoted.as_str(),
        &format!("{cut}{{}}"),
        &format!("x{BEFORE}{{}}"),
        "",
        " - ",
    ] {
        assert_eq!(after_mark(line.as_bytes()), None, "{line}");
    }
}

fn seen(stand: &Stand, aws: &Aws) -> (Vec<String>, Result<(), Failed>) {
    let mut seen = Vec::new();
    let ended = aws.headers_of(stand.program.as_os_str(), &["s3"], |headers| {
        let value = headers.map(|headers| headers.value("n").unwrap_or_default());
        let value = value.unwrap_or("unreadable");
        seen.push(value.to_owned());
        value != "enough"
    });
    (seen, ended)
}

#[test]
fn lines_come_as_they_are_said_and_one_without_an_end_is_passed_over() {
    let aws = Aws::of(&Options::default());
    let stand = Stand::of(&format!(
        "[ \"$4\" = --debug ] || exit 9\n\
         echo \"{BEFORE}{{'n': '1'}}\" >&2\n\
         head -c 3000000 /dev/zero >&2\n\
         printf \"\\n{BEFORE}{{'n': '2'}}\\n{BEFORE}{{'n': '3'}}\" >&2"
    ));
    assert_eq!(seen(&stand, &aws), (vec!["1".into(), "2".into()], Ok(())));
    // Headers that cannot be read are not passed over: somebody may mean them not to be.
    let stand = Stand::of(&format!(
        "echo \"{BEFORE}{{'n': 3}}\" >&2\n\
         printf \"{BEFORE}{{'n': '\" >&2; head -c 3000000 /dev/zero >&2; echo \"'}}\" >&2\n\
         echo \"{BEFORE}{{'n': '3'}}\" >&2"
    ));
    let unreadable = || "unreadable".to_owned();
    assert_eq!(
        seen(&stand, &aws),
        (vec![unreadable(), unreadable(), "3".into()], Ok(()))
    );
    // It is ended where that is enough, though it would go on.
    let stand = Stand::of(&format!(
        "echo $$ > \"$0.pid\"; printf \"{BEFORE}{{'n': 'enough'}}\\n{BEFORE}{{'n': '2'}}\\n\" >&2; exec sleep 600"
    ));
    let (said, ended) = seen(&stand, &aws);
    assert_eq!(said, ["enough"]);
    assert!(matches!(ended, Err(Failed::Unreadable(_))), "{ended:?}");
    // It was waited for: nothing of it is left when its caller puts its folder away.
    let pid = std::fs::read_to_string(stand.program.with_file_name("aws.pid")).expect("its number");
    let process = std::path::Path::new("/proc").join(pid.trim());
    assert!(!process.exists(), "{process:?}");
    let secret = "wJalrXUtnFEMI";
    let stand = Stand::of(&format!("echo 'fatal error: {secret}' >&2; exit 1"));
    let why = seen(&stand, &aws).1.expect_err("failed").to_string();
    assert!(
        why.contains("exit status: 1") && !why.contains(secret),
        "{why}"
    );
}

#[test]
fn one_that_says_nothing_more_is_given_up() {
    let mut aws = Aws::of(&Options::default());
    aws.time = Duration::from_millis(100);
    let stand = Stand::of(&format!("echo \"{BEFORE}{{'n': '1'}}\" >&2; sleep 60"));
    let (_, ended) = seen(&stand, &aws);
    assert_eq!(ended, Err(Failed::TooLong(aws.time)));
}
