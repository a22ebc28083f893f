//! Against the standard's reference implementation, in both directions, over random parameters: what we split it
//! combines, what it splits we combine.

use data_encoding::HEXLOWER;
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use twotap_shares::{Group, Mnemonic, Scheme, Secret, combine, split};

const CASES: usize = 240;

struct Case {
    secret: Secret,
    passphrase: String,
    scheme: Scheme,
}

#[test]
fn shares_open_across_implementations_in_both_directions() {
    let cases: Vec<Case> = (0..CASES).map(|_| draw_case()).collect();
    let requests: Vec<Value> = cases
        .iter()
        .flat_map(|case| [ask_to_combine(case), ask_to_split(case)])
        .collect();
    let answers = ask_reference(&requests);
    assert_eq!(answers.len(), 2 * CASES);
    for (case, answers) in cases.iter().zip(answers.chunks(2)) {
        let theirs = answers[0]["secret"]
            .as_str()
            .expect("the reference combines our shares");
        assert_eq!(
            theirs,
            HEXLOWER.encode(case.secret.expose()),
            "{}",
            describe(case)
        );

        let groups: Vec<Vec<String>> =
            serde_json::from_value(answers[1]["groups"].clone()).expect("groups of shares");
        let shares: Vec<Vec<Mnemonic>> = groups
            .iter()
            .map(|group| {
                group
                    .iter()
                    .map(|text| Mnemonic::parse(text).unwrap())
                    .collect()
            })
            .collect();
        let ours = combine(&enough(shares, &case.scheme), case.passphrase.as_bytes()).unwrap();
        assert_eq!(ours.expose(), case.secret.expose(), "{}", describe(case));
    }
}

/// All parameters but the secret itself, to repeat a failure with.
fn describe(case: &Case) -> String {
    format!(
        "{:?}, passphrase {:?}, {} bytes",
        case.scheme,
        case.passphrase,
        case.secret.expose().len()
    )
}

/// A number from 0 to `below` - 1; that it is a little uneven does not matter here.
fn draw(below: usize) -> usize {
    OsRng.next_u32() as usize % below
}

fn draw_case() -> Case {
    let mut bytes = vec![0; 16 + 2 * draw(25)];
    OsRng.fill_bytes(&mut bytes);
    let passphrase = (0..draw(20))
        .map(|_| char::from(b' ' + draw(95) as u8))
        .collect();
    let groups: Vec<Group> = (0..[1, 1 + draw(16)][draw(2)])
        .map(|_| {
            let count = 1 + draw(16) as u8;
            match 1 + draw(count.into()) as u8 {
                1 => Group {
                    threshold: 1,
                    count: 1,
                },
                threshold => Group { threshold, count },
            }
        })
        .collect();
    let scheme = Scheme {
        extendable: draw(2) == 0,
        // Each step doubles the time: mostly 0.
        iteration_exponent: [0, 0, 0, 0, 0, 0, 1, 2][draw(8)],
        group_threshold: 1 + draw(groups.len()) as u8,
        groups,
    };
    Case {
        secret: Secret::new(&bytes).unwrap(),
        passphrase,
        scheme,
    }
}

/// Just enough of the shares, chosen and ordered by chance.
fn enough(groups: Vec<Vec<Mnemonic>>, scheme: &Scheme) -> Vec<Mnemonic> {
    let mut groups: Vec<_> = groups.into_iter().zip(&scheme.groups).collect();
    shuffle(&mut groups);
    groups.truncate(scheme.group_threshold.into());
    let mut shares: Vec<Mnemonic> = groups
        .into_iter()
        .flat_map(|(mut group, Group { threshold, .. })| {
            shuffle(&mut group);
            group.truncate((*threshold).into());
            group
        })
        .collect();
    shuffle(&mut shares);
    shares
}

fn shuffle<T>(items: &mut [T]) {
    for end in (1..items.len()).rev() {
        items.swap(end, draw(end + 1));
    }
}

fn ask_to_combine(case: &Case) -> Value {
    let groups = split(
        &case.secret,
        case.passphrase.as_bytes(),
        &case.scheme,
        &mut OsRng,
    )
    .unwrap();
    let shares = enough(groups, &case.scheme);
    let shares: Vec<&str> = shares.iter().map(Mnemonic::expose).collect();
    json!({"mnemonics": shares, "passphrase": case.passphrase})
}

fn ask_to_split(case: &Case) -> Value {
    let Scheme {
        extendable,
        iteration_exponent,
        group_threshold,
        groups,
    } = &case.scheme;
    let groups: Vec<_> = groups
        .iter()
        .map(|group| (group.threshold, group.count))
        .collect();
    json!({
        "secret": HEXLOWER.encode(case.secret.expose()),
        "passphrase": case.passphrase,
        "extendable": extendable,
        "iteration_exponent": iteration_exponent,
        "group_threshold": group_threshold,
        "groups": groups,
    })
}

/// Asks one reference process everything, and takes its answers.
fn ask_reference(requests: &[Value]) -> Vec<Value> {
    let python = std::env::var_os("TWOTAP_PYTHON").expect(
        "TWOTAP_PYTHON is not set: it names a python with shamir-mnemonic 0.3.0; `cargo xtask test` sets it up",
    );
    let mut reference = Command::new(python)
        .args([
            "-I",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference.py"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter that TWOTAP_PYTHON names starts");
    let mut to = reference.stdin.take().expect("stdin is a pipe");
    let from = BufReader::new(reference.stdout.take().expect("stdout is a pipe"));
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            for request in requests {
                // A reference that died shows by its missing answers and its exit code below.
                if writeln!(to, "{request}").is_err() {
                    break;
                }
            }
        });
        let lines = from.lines().map(|line| line.expect("answers are text"));
        lines
            .map(|line| serde_json::from_str(&line).expect("answers are json"))
            .collect()
    });
    let status = reference.wait().expect("the reference ends");
    assert!(status.success(), "the reference failed: {status}");
    answers
}
