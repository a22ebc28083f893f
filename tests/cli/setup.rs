//! How the people come to a vault: enrolment, roster, signatures, sealing. Each step by the program itself.

use serde_json::Value;
use twotap::trust::Envelope;
use twotap_token::TokenProcess;

use crate::bench::{ALICE, BOB, Bench, DANA, PIN, Run};

const PEOPLE: &str = r#"
[[person]]
name = "dana"
roles = ["operator", "officer"]
uids = [61010]
[[person]]
name = "alice"
roles = ["custodian", "operator"]
uids = [61011]
[[person]]
name = "bob"
roles = ["custodian"]
uids = [61012]
"#;

pub(crate) use twotap_rig::papers::{ACCESS, PRINTED};

pub(crate) fn words(object: &Value) -> String {
    let words = object["words"].as_array().expect("words");
    assert_eq!(words.len(), 6);
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    words.join(" ")
}

pub(crate) fn enroll(bench: &Bench, uid: u32, name: &str, serial: u32) -> Value {
    let serial = serial.to_string();
    bench
        .twotap(
            uid,
            &[
                "custodian",
                "enroll",
                "--name",
                name,
                "--token",
                &serial,
                "--pin-fd",
                "0",
                "--puk-fd",
                "0",
                "-o",
                "enrollment.json",
            ],
        )
        .input(&format!("{PIN}\n87654321\n"))
        .json()
}

pub(crate) fn create(bench: &Bench) -> Value {
    let root = bench.attestation_root();
    creating(bench, &["--attestation-root", &root]).json()
}

/// `vault create` of what Alice and Bob have enrolled, with what else the roster is to accept.
pub(crate) fn creating<'b>(bench: &'b Bench, more: &[&str]) -> Run<'b> {
    creating_with(bench, ACCESS, more)
}

/// The same with what can be asked for.
pub(crate) fn creating_with<'b>(bench: &'b Bench, access: &str, more: &[&str]) -> Run<'b> {
    let paths = [
        bench.home(ALICE).join("enrollment.json"),
        bench.home(BOB).join("enrollment.json"),
        bench.write("access.toml", access),
        bench.write("people.toml", PEOPLE),
        bench.write("host.pub", &bench.agent.host_pub()),
    ];
    let [alice, bob, access, people, host] = paths.each_ref().map(|p| p.to_str().expect("plain"));
    let args = [
        "vault",
        "create",
        "prod",
        "--threshold",
        "2",
        "--custodian",
        alice,
        "--custodian",
        bob,
        "--access",
        access,
        "--people",
        people,
        "--host",
        host,
        "-o",
        "roster.json",
    ];
    bench.twotap(DANA, &[&args[..], more].concat())
}

/// Enrols Alice and Bob, draws up and signs the roster, gives it to the agent and seals a credential. The tokens tap whenever asked.
pub(crate) fn sealed_vault(bench: &Bench) -> (TokenProcess, TokenProcess) {
    let tokens = (bench.insert(1001), bench.insert(1002));
    for token in [&tokens.0, &tokens.1] {
        token
            .control()
            .expect("a hand")
            .tap_always()
            .expect("tapping");
    }
    enroll(bench, ALICE, "alice", 1001);
    enroll(bench, BOB, "bob", 1002);
    seal_by(bench, &create(bench));
    tokens
}

/// Alice and Bob sign the roster that was drawn up, the agent gets it, and a credential is sealed.
pub(crate) fn seal_by(bench: &Bench, created: &Value) {
    let words = words(created);
    let drawn_up = bench.home(DANA).join("roster.json");
    for (uid, serial) in [(ALICE, "1001"), (BOB, "1002")] {
        // The file goes from hand to hand.
        let own = bench.home(uid).join("roster.json");
        std::fs::copy(&drawn_up, &own).expect("handed over");
        std::os::unix::fs::chown(&own, Some(uid), Some(uid)).expect("root");
        let signed = bench
            .twotap(
                uid,
                &[
                    "roster",
                    "sign",
                    "roster.json",
                    "--token",
                    serial,
                    "--pin-fd",
                    "0",
                    "--confirm",
                    &words,
                ],
            )
            .input(&format!("{PIN}\n"))
            .json();
        assert_eq!(signed["complete"], uid == BOB);
        std::fs::copy(&own, &drawn_up).expect("handed back");
    }
    let roster = std::fs::read(&drawn_up).expect("there");
    bench.agent.world().chain = vec![Envelope::parse(&roster).expect("an envelope")];
    bench
        .twotap(DANA, &["vault", "seal", "prod", "--from", "-"])
        .input(PRINTED)
        .json();
}

pub(crate) fn request(bench: &Bench, uid: u32) -> Value {
    bench
        .twotap(
            uid,
            &[
                "request",
                "prod",
                "--access",
                "admin",
                "--incident",
                "INC-42",
                "--reason",
                "database is down",
                "--commander",
                "ivan",
            ],
        )
        .json()
}

/// A custodian's yes, with the words that were told.
pub(crate) fn approve<'b>(bench: &'b Bench, uid: u32, words: &str) -> Run<'b> {
    let serial = if uid == ALICE { "1001" } else { "1002" };
    bench
        .twotap(
            uid,
            &[
                "approve",
                "--token",
                serial,
                "--pin-fd",
                "0",
                "--confirm",
                words,
            ],
        )
        .input(&format!("{PIN}\n"))
}
