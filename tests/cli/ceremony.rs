//! From a request to the verified record.

use serde_json::Value;
use twotap::protocol::socket::Stage;

use crate::bench::{ALICE, BOB, Bench, DANA, PIN};
use crate::setup::{approve, request, sealed_vault, words};

#[test]
fn two_taps_open_a_session_and_it_is_used_and_closed() {
    let bench = Bench::start();
    let (alice, bob) = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let id = asked["request"].as_str().expect("an id").to_owned();
    let words = words(&asked);

    // Not open yet, and it says so.
    let (code, error) = bench.twotap(DANA, &["credentials"]).fails();
    assert_eq!((code, error.contains("not open yet")), (4, true), "{error}");

    // A look beforehand, so that the vault is no stranger to Alice's machine.
    let looked = ["approve", &id, "--token", "1001", "--review"];
    assert_eq!(bench.twotap(ALICE, &looked).json()["approved"], false);
    for token in [&alice, &bob] {
        token.control().expect("a hand").mark().expect("marked");
    }
    let first = approve(&bench, ALICE, &words).json();
    assert_eq!(
        (&first["person"], &first["stage"]),
        (&"alice".into(), &"requested".into())
    );
    let commands = alice.control().expect("a hand").status().expect("counted");
    assert_eq!(commands.apdus_since_mark.total, 9);
    let second = approve(&bench, BOB, &words).json();
    assert_eq!(second["stage"], "open");
    assert_eq!(bench.agent.world().shares, ["alice", "bob"]);
    for token in [&alice, &bob] {
        let status = token.control().expect("a hand").status().expect("counted");
        assert_eq!(status.taps_since_mark, 1);
    }

    // The contract of credential_process, and nothing else.
    let out = bench.twotap(DANA, &["credentials"]).output();
    let session: Value = serde_json::from_str(&out.out()).expect("json");
    assert_eq!(session["Version"], 1);
    assert_eq!(session["SessionToken"], "session-token");
    assert_eq!(session.as_object().map(|o| o.len()), Some(5));
    let (code, _) = bench.twotap(ALICE, &["credentials", &id]).fails();
    assert_eq!(code, 3);

    exec_hands_over_a_private_configuration(&bench, &id);

    let closed = bench.twotap(DANA, &["close"]).output();
    assert_eq!(closed.code(), 0, "{}", closed.err());
    assert!(
        closed.err().contains("the revocation policy stands"),
        "{}",
        closed.err()
    );
    assert!(
        closed.out().contains("revoked, and seen refused"),
        "{}",
        closed.out()
    );
    assert!(!bench.agent.world().forced);
    let late = bench.twotap(DANA, &["exec", &id, "--", "true"]);
    assert_eq!(late.fails_plainly(), 125);

    the_record_is_exported_and_verified(&bench);
}

fn exec_hands_over_a_private_configuration(bench: &Bench, id: &str) {
    let script = "umask; stat -c %a $(dirname $AWS_CONFIG_FILE); echo $AWS_CONFIG_FILE; \
                  cat $AWS_CONFIG_FILE; env | sort; exit 7";
    let done = bench
        .twotap(DANA, &["exec", "--", "sh", "-c", script])
        .env("AWS_SECRET_ACCESS_KEY", "somebody's")
        .env("AWS_PROFILE", "other")
        .output();
    assert_eq!(done.code(), 7, "{}", done.err());
    let out = done.out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "0022", "the shell's own umask");
    assert_eq!(lines[1], "700");
    assert!(
        !std::path::Path::new(lines[2]).exists(),
        "removed at the end"
    );
    assert!(
        out.contains("[profile break-glass]\ncredential_process = "),
        "{out}"
    );
    assert!(
        out.contains(&format!("credentials --onward {id}\nregion = eu-central-1")),
        "{out}"
    );
    assert!(out.contains("AWS_PROFILE=break-glass\n"), "{out}");
    assert!(!out.contains("AWS_SECRET_ACCESS_KEY"), "{out}");
    assert!(
        !out.contains("session-secret") && !out.contains("session-token"),
        "{out}"
    );

    // What the configuration names does work, as an SDK would call it.
    let process = "sh -c \"$(sed -n 's/^credential_process = //p' $AWS_CONFIG_FILE | head -1)\"";
    let done = bench
        .twotap(DANA, &["exec", id, "--", "sh", "-c", process])
        .output();
    assert!(
        done.out().contains("session-secret"),
        "{}{}",
        done.out(),
        done.err()
    );
    let killed = bench
        .twotap(DANA, &["exec", "--", "sh", "-c", "kill -TERM $$"])
        .output();
    assert_eq!(killed.code(), 128 + 15);
    let missing = bench
        .twotap(DANA, &["exec", "--", "no-such-command"])
        .output();
    assert_eq!(missing.code(), 127);
}

fn the_record_is_exported_and_verified(bench: &Bench) {
    let verified = bench.twotap(ALICE, &["audit", "verify"]).json();
    let events = verified["events"].as_u64().expect("a number");
    assert_eq!(verified["proven_to"], events);
    assert_eq!(verified["envelopes_missing"], 0);
    let by: Vec<&str> = verified["proofs"]
        .as_array()
        .expect("proofs")
        .iter()
        .filter_map(|p| p["by"].as_str())
        .collect();
    assert!(
        by.contains(&"bob (token 1002)") && by.contains(&"host host-1"),
        "{by:?}"
    );

    let tail = bench.twotap(ALICE, &["audit", "tail", "-n", "3"]).json();
    assert_eq!(tail["events"].as_array().map(Vec::len), Some(3));

    bench
        .twotap(ALICE, &["audit", "export", "-o", "out", "--with-envelopes"])
        .json();
    let offline = || {
        bench
            .twotap(ALICE, &["audit", "verify", "--export", "out"])
            .env("TWOTAP_AGENT", "/nowhere")
    };
    assert_eq!(offline().json()["events"], events);

    // A word of the second event is changed: it is found, and its place is named.
    let file = bench.home(ALICE).join("out/events.jsonl");
    let whole = std::fs::read_to_string(&file).expect("there");
    std::fs::write(
        &file,
        whole.replacen("database is down", "database is fine", 1),
    )
    .expect("changed");
    let (code, error) = offline().fails();
    assert_eq!((code, error.contains("event 2")), (11, true), "{error}");
    // The end is cut off: the checkpoint beside it knows.
    let cut: Vec<&str> = whole.lines().take(2).collect();
    std::fs::write(&file, cut.join("\n") + "\n").expect("cut");
    let (code, error) = offline().fails();
    assert_eq!((code, error.contains("cut off")), (11, true), "{error}");
    // The same in the agent's own record.
    {
        // Another hex digit in the hash of the line before.
        let mut world = bench.agent.world();
        let digit = &mut world.lines[1][60];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    }
    assert_eq!(bench.twotap(ALICE, &["audit", "verify"]).fails().0, 11);
}

#[test]
fn nobody_approves_the_own_request_and_a_denial_is_signed() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    let asked = request(&bench, ALICE);
    let (code, error) = approve(&bench, ALICE, &words(&asked)).fails();
    assert_eq!(
        (code, error.contains("your own request")),
        (3, true),
        "{error}"
    );

    let id = asked["request"].as_str().expect("an id");
    let denied = bench
        .twotap(
            BOB,
            &[
                "deny",
                id,
                "--reason",
                "not from this laptop",
                "--token",
                "1002",
                "--pin-fd",
                "0",
            ],
        )
        .input(&format!("{PIN}\n"))
        .json();
    assert_eq!(
        (&denied["person"], &denied["stage"]),
        (&"bob".into(), &"denied".into())
    );
    let world = bench.agent.world();
    let view = world.view.as_ref().expect("a request");
    assert_eq!(
        view.denied_by,
        [("bob".to_owned(), "not from this laptop".to_owned())]
    );
}

#[test]
fn an_approval_goes_by_files_to_a_machine_without_an_agent() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let words = words(&asked);
    let id = asked["request"].as_str().expect("an id");
    bench
        .twotap(ALICE, &["approve", id, "--export", "request.json"])
        .json();
    let by_files = |words: &str| {
        bench
            .twotap(
                ALICE,
                &[
                    "approve",
                    "--in",
                    "request.json",
                    "--out",
                    "approval.json",
                    "--token",
                    "1001",
                    "--pin-fd",
                    "0",
                    "--confirm",
                    words,
                ],
            )
            .env("TWOTAP_AGENT", "/nowhere")
            .input(&format!("{PIN}\n"))
    };
    // A file that was changed on its way is found before anybody is asked.
    let file = bench.home(ALICE).join("request.json");
    let good = std::fs::read_to_string(&file).expect("there");
    let mut swapped: Value = serde_json::from_str(&good).expect("json");
    let other = request(&bench, DANA);
    assert_ne!(other["request"], asked["request"]);
    let payload = bench
        .agent
        .world()
        .view
        .as_ref()
        .expect("there")
        .offer
        .payload
        .clone();
    swapped["offer"]["payload"] = data_encoding::BASE64.encode(&payload).into();
    std::fs::write(&file, swapped.to_string()).expect("swapped");
    let (code, error) = by_files(&words).fails();
    assert_eq!(
        (code, error.contains("valid signature")),
        (11, true),
        "{error}"
    );
    assert!(!bench.home(ALICE).join("approval.json").exists());

    std::fs::write(&file, good).expect("restored");
    by_files(&words).json();
    // It is for the first request; the agent now has the second.
    let (code, _) = bench
        .twotap(ALICE, &["approval", "submit", "approval.json"])
        .fails();
    assert_eq!(code, 11);
    bench
        .twotap(ALICE, &["approve", "--export", "second.json"])
        .json();
    bench
        .twotap(
            ALICE,
            &[
                "approve",
                "--in",
                "second.json",
                "--out",
                "second.approval.json",
                "--token",
                "1001",
                "--pin-fd",
                "0",
                "--confirm",
                &crate::setup::words(&other),
            ],
        )
        .input(&format!("{PIN}\n"))
        .json();
    let submitted = bench
        .twotap(ALICE, &["approval", "submit", "second.approval.json"])
        .json();
    assert_eq!(submitted["approved_by"], serde_json::json!(["alice"]));
}

#[test]
fn a_host_that_lies_is_caught_by_the_operator() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    bench.agent.world().lie = Some(|request| request.reason = "something else".into());
    let args = [
        "request",
        "prod",
        "--access",
        "admin",
        "--incident",
        "INC-42",
    ];
    let (code, error) = bench
        .twotap(DANA, &[&args[..], &["--reason", "down"]].concat())
        .fails();
    assert_eq!(
        (code, error.contains("another reason")),
        (11, true),
        "{error}"
    );
    // A record that was cut off since this person saw it last, in an offer that is later than that one.
    bench.agent.world().lie = Some(|request| {
        request.audit.seq = 0;
        for time in [
            &mut request.not_before,
            &mut request.approve_before,
            &mut request.not_after,
        ] {
            *time = time.plus(2);
        }
    });
    let (code, error) = bench
        .twotap(DANA, &[&args[..], &["--reason", "down"]].concat())
        .fails();
    assert_eq!((code, error.contains("audit head")), (11, true), "{error}");
    bench.agent.world().lie = None;
    let declared = bench
        .twotap(DANA, &args)
        .env("GOVERNED_BREAK_GLASS", "true")
        .env("BREAK_GLASS_REASON", "declared")
        .env(
            "BREAK_GLASS_TIMESTAMP",
            twotap::trust::Timestamp::now().to_string(),
        );
    assert_eq!(declared.json()["stage"], "requested");
    assert_eq!(
        bench.agent.world().view.as_ref().map(|v| v.stage),
        Some(Stage::Requested)
    );
}
