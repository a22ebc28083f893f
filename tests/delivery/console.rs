//! `twotap credentials --console`: the sign-in service gets the session, the operator gets a link, and nobody else gets either.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::Output,
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::Value;
use twotap::trust::Timestamp;

use crate::{
    agent_support::{BOUND, DANA, worker::session},
    bench::{Desk, done, err, out},
};

const TOKEN: &str = "AtokenThatSignsIn+/=&x";
const TOKEN_IN_A_LINK: &str = "AtokenThatSignsIn%2B%2F%3D%26x";
const GOOD: (u16, &str) = (200, "{\"SigninToken\":\"AtokenThatSignsIn+/=&x\"}");

/// A stand-in for AWS's sign-in service: answers one question, and hands over its head and body.
fn service(answer: (u16, &'static str)) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (sender, asked) = channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        stream.set_read_timeout(Some(BOUND)).expect("a bound");
        let mut reader = BufReader::new(stream.try_clone().expect("the same"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse().ok())
            .expect("a length");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        sender
            .send((head, String::from_utf8(body).expect("a form")))
            .expect("the test waits");
        let (status, text) = answer;
        let reply = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(reply.as_bytes()).expect("answered");
    });
    (url, asked)
}

fn sign_in(desk: &Desk, at: &str, more: &[&str]) -> Output {
    let args = [&["credentials", "--console"], more].concat();
    let mut command = desk.twotap(&args);
    command.env("TWOTAP_SIGNIN", at);
    done(command)
}

/// The values of a form, decoded.
fn field(form: &str, name: &str) -> String {
    let value = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
        .unwrap_or_else(|| panic!("no {name} in {form}"));
    let (mut bytes, mut rest) = (Vec::new(), value.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).expect("two digits")
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).expect("text")
}

#[test]
fn the_link_signs_in_within_the_box_and_stands_nowhere_else() {
    let desk = Desk::for_seconds(2 * 3600);
    let (url, asked) = service(GOOD);
    let ran = sign_in(&desk, &url, &["--region", "eu-west-3"]);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));

    // What the service got: the session, in the body alone; and no more time than is left.
    let (head, body) = asked.recv_timeout(BOUND).expect("it was asked");
    assert!(head.starts_with("POST /federation HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&body, "Action"), "getSigninToken");
    let given: Value = serde_json::from_str(&field(&body, "Session")).expect("json");
    let minted = session(&desk.request()).targets.remove(0);
    assert_eq!(given["sessionId"], minted.access_key_id);
    assert_eq!(given["sessionKey"], *minted.secret_access_key);
    assert_eq!(given["sessionToken"], *minted.session_token);
    let seconds: i64 = field(&body, "SessionDuration").parse().expect("a number");
    let left = Timestamp::now().until(desk.request().not_after);
    assert!(
        (left..=2 * 3600).contains(&seconds),
        "{seconds}, {left} left"
    );

    // The link, on standard output alone.
    let link = out(&ran);
    assert!(
        link.starts_with(&format!("{url}/federation?Action=login&")),
        "{link}"
    );
    let query = link.trim().split_once('?').expect("a query").1;
    assert_eq!(field(query, "SigninToken"), TOKEN);
    assert_eq!(
        field(query, "Destination"),
        "https://eu-west-3.console.aws.amazon.com/console/home?region=eu-west-3"
    );
    assert_eq!(link.lines().count(), 1);
    let record = desk.host.get(DANA, "/v1/audit/events").body;
    let record = String::from_utf8_lossy(&record).into_owned();
    for (what, text) in [
        ("standard error", err(&ran)),
        ("the agent's log", desk.host.log()),
        ("the record", record),
    ] {
        assert!(!text.contains("SigninToken"), "{what}: {text}");
        assert!(
            !text.contains(TOKEN) && !text.contains(TOKEN_IN_A_LINK),
            "{what}: {text}"
        );
        assert!(!text.contains(&*minted.secret_access_key), "{what}: {text}");
    }
    assert!(err(&ran).contains("give it to nobody"), "{}", err(&ran));
    assert_eq!(desk.forms(), ["console"]);
}

#[test]
fn a_short_rest_is_asked_for_as_the_shortest_that_aws_makes() {
    let desk = Desk::for_seconds(300);
    let (url, asked) = service(GOOD);
    let ran = sign_in(&desk, &url, &["--json"]);
    let object: Value = serde_json::from_str(&out(&ran)).expect("one object");
    let (_, body) = asked.recv_timeout(BOUND).expect("it was asked");
    assert_eq!(field(&body, "SessionDuration"), "900");
    assert_eq!(object["seconds"], 900);
    // The console would show 15 minutes; the policy knows better, and so does the person.
    assert!(err(&ran).contains("access ends at"), "{}", err(&ran));
    assert!(
        err(&ran).contains("the console will not say so"),
        "{}",
        err(&ran)
    );
}

#[test]
fn the_session_goes_nowhere_but_to_aws_or_this_machine() {
    let desk = Desk::new();
    for elsewhere in [
        "https://signin.evil.example",
        "http://localhost:1",
        "http://10.0.0.1:80",
        "",
    ] {
        let ran = sign_in(&desk, elsewhere, &[]);
        assert_eq!(ran.status.code(), Some(3), "{elsewhere}: {}", err(&ran));
        assert!(ran.stdout.is_empty());
    }
    let ran = sign_in(
        &desk,
        "http://127.0.0.1:9",
        &["--region", "eu-central-1.evil.example/"],
    );
    assert_eq!(ran.status.code(), Some(2), "{}", err(&ran));
    // The session was not even asked for.
    assert!(desk.deliveries().is_empty());
}

#[test]
fn what_the_service_says_instead_is_told_apart_and_not_repeated() {
    let desk = Desk::new();
    for (answer, code) in [
        ((400, "<html>secret-0-of-somebody</html>"), 9),
        ((503, "secret-0-of-somebody"), 10),
        ((200, "secret-0-of-somebody"), 10),
        ((200, "{\"SigninToken\":\"\"}"), 10),
    ] {
        let (url, _asked) = service(answer);
        let ran = sign_in(&desk, &url, &[]);
        assert_eq!(ran.status.code(), Some(code), "{answer:?}: {}", err(&ran));
        assert!(!err(&ran).contains("secret-0"), "{}", err(&ran));
        assert!(err(&ran).contains("hint: "), "{}", err(&ran));
        assert!(ran.stdout.is_empty());
    }
    // Nobody there at all.
    let unused = TcpListener::bind("127.77.5.2:0").expect("a port");
    let url = format!("http://{}", unused.local_addr().expect("bound"));
    drop(unused);
    let ran = sign_in(&desk, &url, &[]);
    assert_eq!(ran.status.code(), Some(10), "{}", err(&ran));
}
