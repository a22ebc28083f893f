//! Hostile text and hostile JSON, at the worker: refused before a request is made of it, and the worker's answer is well-formed.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use twotap::protocol::{
    Code, Problem,
    job::{Ask, FromWorker, Vote},
};

use crate::support::{Bench, ask};

/// One that is asked for nothing that it could do.
fn refused(bench: &Bench, ask: Ask) -> Problem {
    match bench.try_ask("dana", ask).1 {
        Some(FromWorker::Failed(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

const HOSTILE: [&str; 14] = [
    "",
    "   ",
    "two\nlines",
    "return\rto the start",
    "a screen cleared \u{1b}[2J",
    "nul\0",
    "\u{9b}31m an eight-bit escape",
    "right to left \u{202e}toor",
    "an isolate \u{2066}x\u{2069}",
    "nothing\u{200b}to see",
    "a mark\u{200f}",
    "a \u{2028}line separator",
    "tags \u{e0061}",
    "a bom \u{feff}",
];

#[test]
fn hostile_text_in_reason_and_incident_is_refused_and_not_repeated() {
    let bench = Bench::sealed();
    let long = ["x".repeat(4096), "é".repeat(2048)];
    for hostile in HOSTILE.into_iter().chain(long.iter().map(String::as_str)) {
        for field in ["reason", "incident"] {
            let mut ask = ask();
            *(if field == "reason" {
                &mut ask.reason
            } else {
                &mut ask.incident
            }) = hostile.to_owned();
            let problem = refused(&bench, ask);
            assert_eq!(problem.code, Code::Usage, "{field} {hostile:?}: {problem}");
            assert!(problem.error.contains(field), "{problem}");
            assert!(!problem.error.chars().any(char::is_control), "{problem:?}");
            assert!(problem.error.len() < 200, "{problem}");
        }
    }
    // Any script is welcome, up to the last byte.
    for good in [
        "Datenbank läuft nicht: 日本 🔥",
        "\"}],{\\",
        &"x".repeat(1024),
    ] {
        let mut ask = ask();
        ask.reason = good.to_owned();
        match bench.try_ask("dana", ask).1 {
            Some(FromWorker::Offer(_)) => {}
            other => panic!("{good}: {other:?}"),
        }
    }
}

#[test]
fn hostile_names_of_commander_operator_access_and_vault_are_refused() {
    let bench = Bench::sealed();
    let names = [
        "Ivan",
        "ivan the great",
        "../ivan",
        "ivan\0",
        "i\u{202e}van",
        "",
        "*",
        "${aws:username}",
    ];
    for name in names.into_iter().chain([&*"i".repeat(33)]) {
        let with = |change: &dyn Fn(&mut Ask)| {
            let mut ask = ask();
            change(&mut ask);
            refused(&bench, ask)
        };
        for problem in [
            with(&|a| a.commander = Some(name.to_owned())),
            with(&|a| a.access = name.to_owned()),
            with(&|a| a.vault = name.to_owned()),
            match bench.try_ask(name, ask()).1 {
                Some(FromWorker::Failed(problem)) => problem,
                other => panic!("{other:?}"),
            },
        ] {
            assert!(
                matches!(problem.code, Code::Usage | Code::Refused),
                "{name:?}: {problem:?}"
            );
            assert!(!problem.error.chars().any(char::is_control), "{problem:?}");
        }
    }
}

/// Sends one frame of raw bytes as the job and gives the worker's answer; none where it hangs up.
fn raw(bench: &Bench, body: &[u8]) -> Option<FromWorker> {
    let (mut stream, mut child) = bench.raw_worker(&[]);
    let length = u32::try_from(body.len()).expect("small").to_be_bytes();
    stream.write_all(&length).expect("sent");
    // One that does not want to read it all may have gone.
    let _ = stream.write_all(body);
    let answer = answer(&mut stream);
    // With an offer it would wait for votes.
    drop(stream);
    child.wait().expect("it ends");
    answer
}

fn answer(stream: &mut UnixStream) -> Option<FromWorker> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).expect("a whole message");
    Some(serde_json::from_slice(&body).expect("a message"))
}

#[test]
fn json_tricks_are_refused() {
    let bench = Bench::sealed();
    let good = r#"{"job":"ceremony","ask":{"vault":"prod","access":"admin","incident":"INC-42","reason":"down","duration_seconds":null,"commander":null,"nonce":"AAAAAAAAAAAAAAAAAAAAAA=="},"operator":"dana","audit":{"seq":0,"hash":"0000000000000000000000000000000000000000000000000000000000000000"}}"#;
    let offered = |body: &str| matches!(raw(&bench, body.as_bytes()), Some(FromWorker::Offer(_)));
    assert!(offered(good));
    let deep = format!(
        r#""reason":{}"x"{}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for (what, from, to) in [
        (
            "a field twice",
            r#""reason":"down""#,
            r#""reason":"down","reason":"another""#,
        ),
        (
            "the job twice",
            r#"{"job":"ceremony","#,
            r#"{"job":"ceremony","job":"host","#,
        ),
        (
            "the operator twice",
            r#""operator":"dana""#,
            r#""operator":"dana","operator":"alice""#,
        ),
        (
            "an escaped name twice",
            r#""operator":"dana""#,
            r#""operator":"dana","oper\u0061tor":"alice""#,
        ),
        (
            "an unknown field",
            r#""reason":"down""#,
            r#""reason":"down","force":true"#,
        ),
        (
            "an unknown field outside",
            r#""operator":"dana""#,
            r#""operator":"dana","endpoint":"http://127.0.0.1""#,
        ),
        ("a number for text", r#""reason":"down""#, r#""reason":7"#),
        ("nothing for text", r#""reason":"down""#, r#""reason":null"#),
        ("deep nesting", r#""reason":"down""#, &deep),
        (
            "a lone surrogate",
            r#""reason":"down""#,
            r#""reason":"\ud800""#,
        ),
        (
            "surrogates the wrong way round",
            r#""reason":"down""#,
            r#""reason":"\udc00\ud800""#,
        ),
        (
            "a raw newline",
            r#""reason":"down""#,
            "\"reason\":\"do\nwn\"",
        ),
        ("a raw nul", r#""reason":"down""#, "\"reason\":\"do\0wn\""),
        (
            "an escaped nul",
            r#""reason":"down""#,
            r#""reason":"do\u0000wn""#,
        ),
        (
            "a comment",
            r#""reason":"down""#,
            r#"/* x */"reason":"down""#,
        ),
        ("something behind it", "}}", "}} {}"),
        ("a fraction", r#""seq":0"#, r#""seq":0.5"#),
        ("a huge number", r#""seq":0"#, r#""seq":1e400"#),
        (
            "a negative duration",
            r#""duration_seconds":null"#,
            r#""duration_seconds":-60"#,
        ),
        ("a short nonce", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAA"),
        (
            "base64 with bits to spare",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAB==",
        ),
        ("an upper-case hash", r#""hash":"0"#, r#""hash":"A"#),
    ] {
        assert!(good.contains(from), "{what}");
        let body = good.replacen(from, to, 1);
        assert_ne!(body, good, "{what}");
        let answer = raw(&bench, body.as_bytes());
        assert!(
            matches!(answer, None | Some(FromWorker::Failed(_))),
            "{what}: {answer:?}"
        );
    }
    let mut not_utf8 = good.replace("down", "do?wn").into_bytes();
    let at = not_utf8.iter().position(|b| *b == b'?').expect("there");
    not_utf8[at] = 0xff;
    assert!(matches!(
        raw(&bench, &not_utf8),
        None | Some(FromWorker::Failed(_))
    ));
}

#[test]
fn json_tricks_in_what_custodians_sign_are_refused_though_the_signature_is_good() {
    let bench = Bench::sealed();
    let (mut worker, made) = bench.ask();
    let alice = &bench.custodians[0];
    let good = alice.approve(&made);
    let text = String::from_utf8(good.approval.payload.clone()).expect("json");
    let reason = r#""reason":"#;
    for trick in [
        text.replacen(reason, r#""reason":"twice","reason":"#, 1),
        text.replacen(reason, r#""extra":1,"reason":"#, 1),
        format!("{text} "),
        text.replacen(':', ": ", 1),
        text.replacen("\"v\":1", "\"v\":2", 1),
    ] {
        assert_ne!(trick, text);
        let mut wrong = good.clone();
        wrong.approval.payload = trick.into_bytes();
        wrong.approval.signatures.clear();
        wrong.approval.sign(alice);
        match worker.vote(wrong) {
            Vote::Refused(problem) => {
                assert!(
                    matches!(problem.code, Code::Usage | Code::Tampering),
                    "{problem}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(worker.vote(good), Vote::Counted { .. }));
}
