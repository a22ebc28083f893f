//! The program `twotap` as people use it: real tokens behind the real pcscd, a stand-in for the agent at the wire.
//!
//! Needs root, so that people can be different accounts, and the packages that `twotap_token::Pcscd` names.

#[path = "cli/agent.rs"]
mod agent;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/setup.rs"]
mod setup;

use std::os::unix::fs::PermissionsExt as _;

use bench::{ALICE, BOB, Bench, DANA, PIN};
use serde_json::Value;
use setup::{PRINTED, create, enroll, request, sealed_vault, words};
use twotap::protocol::socket::Stage;

fn approve<'b>(bench: &'b Bench, uid: u32, words: &str) -> bench::Run<'b> {
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

    for token in [&alice, &bob] {
        token.control().expect("a hand").mark().expect("marked");
    }
    let first = approve(&bench, ALICE, &words).json();
    assert_eq!(
        (&first["person"], &first["stage"]),
        (&"alice".into(), &"requested".into())
    );
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
    let (code, _) = bench.twotap(DANA, &["exec", &id, "--", "true"]).fails_own();
    assert_eq!(code, 125);

    the_record_is_exported_and_verified(&bench);
}

impl bench::Run<'_> {
    /// `exec` takes `--json` before the command alone.
    fn fails_own(self) -> (i32, String) {
        let done = self.output();
        assert!(done.err().starts_with("error: "), "{}", done.err());
        (done.code(), done.err())
    }
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
        out.contains(&format!("credentials {id}\nregion = eu-central-1")),
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
    bench.agent.world().lines[1][60] ^= 1;
    assert_eq!(bench.twotap(ALICE, &["audit", "verify"]).fails().0, 11);
}

#[test]
fn enrolment_insists_on_a_pin_of_ones_own_and_spares_what_is_there() {
    let bench = Bench::start();
    let token = bench.insert(1001);
    token
        .control()
        .expect("a hand")
        .tap_always()
        .expect("tapping");
    let args = |more: &[&'static str]| {
        [
            &["custodian", "enroll", "--name", "alice", "-o", "e.json"],
            more,
        ]
        .concat()
    };

    // No terminal and no descriptor: nothing is asked on standard input.
    let (code, _) = bench
        .twotap(ALICE, &args(&[]))
        .input("87654321\n471147\n")
        .fails();
    assert_eq!(code, 12);
    // The factory's own PIN is no new one.
    let run = bench.twotap(ALICE, &args(&["--pin-fd", "0", "--puk-fd", "0"]));
    let (code, error) = run.input("87654321\n123456\n").fails();
    assert_eq!((code, error.as_str()), (5, "the new pin is the factory's"));

    let enrolled = bench
        .twotap(ALICE, &args(&["--pin-fd", "0"]))
        .input("471147\n")
        .json();
    assert_eq!(
        (&enrolled["approve"]["slot"], &enrolled["attested"]),
        (&"82".into(), &true.into())
    );
    let file = bench.home(ALICE).join("e.json");
    assert_eq!(
        std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode()
            & 0o777,
        0o644
    );
    let before = std::fs::read(&file).expect("there");

    let (code, error) = bench
        .twotap(ALICE, &args(&["--pin-fd", "0"]))
        .input("471147\n")
        .fails();
    assert_eq!(
        (code, error.contains("exists already")),
        (2, true),
        "{error}"
    );
    assert_eq!(std::fs::read(&file).expect("there"), before);

    let again = [
        "custodian",
        "enroll",
        "--name",
        "alice",
        "-o",
        "f.json",
        "--pin-fd",
        "0",
        "--slots",
        "82,83",
    ];
    let (code, error) = bench.twotap(ALICE, &again).input("471147\n").fails();
    assert_eq!(
        (code, error.contains("slot 82 is in use")),
        (3, true),
        "{error}"
    );
    assert!(!bench.home(ALICE).join("f.json").exists());
    let forced = [&again[..], &["--force", "82", "--force", "83"]].concat();
    let forced = bench.twotap(ALICE, &forced).input("471147\n").json();
    assert_ne!(forced["approve"]["key"], enrolled["approve"]["key"]);
}

#[test]
fn a_vault_is_drawn_up_of_good_papers_alone() {
    let bench = Bench::start();
    let tokens = [bench.insert(1001), bench.insert(1002)];
    for token in &tokens {
        token
            .control()
            .expect("a hand")
            .tap_always()
            .expect("tapping");
    }
    enroll(&bench, ALICE, "alice", 1001);
    enroll(&bench, BOB, "bobby", 1002);
    let paths = [
        bench.home(ALICE).join("enrollment.json"),
        bench.home(BOB).join("enrollment.json"),
    ];
    let [alice, bobby] = paths.each_ref().map(|p| p.to_str().expect("plain"));
    let host = bench.write("host.pub", &bench.agent.host_pub());
    let people = bench.write(
        "people.toml",
        "[[person]]\nname = \"alice\"\nroles = [\"custodian\"]\n",
    );
    let access = bench.write("access.toml", "[aws]\n");
    let [host, people, access] = [&host, &people, &access].map(|p| p.to_str().expect("plain"));
    let make = |custodian: &str, access: &str| {
        bench
            .twotap(
                DANA,
                &[
                    "vault",
                    "create",
                    "prod",
                    "--threshold",
                    "2",
                    "--custodian",
                    custodian,
                    "--access",
                    access,
                    "--people",
                    people,
                    "--host",
                    host,
                    "-o",
                    "r.json",
                ],
            )
            .fails()
    };
    let (code, error) = make(alice, access);
    assert_eq!(
        (code, error.contains("access.toml, line 1: missing field")),
        (2, true),
        "{error}"
    );
    let good = "[aws]\nuser_arn = \"arn:aws:iam::111122223333:user/x\"\nsteward_role_arn = \"arn:aws:iam::111122223333:role/y\"\nexternal_id = \"z\"\n[[access]]\nname = \"admin\"\naccount = \"111122223333\"\nrole_arn = \"arn:aws:iam::111122223333:role/op\"\nregions = [\"eu-central-1\"]\nprobe = \"ec2:DescribeRegions\"\npolicy = '{\"Statement\":[]}'\n";
    bench.write("access.toml", good);
    let (code, error) = make(bobby, access);
    assert_eq!(
        (code, error.contains("bobby is not listed as a custodian")),
        (2, true),
        "{error}"
    );
    let (code, error) = make(alice, access);
    assert_eq!(
        (code, error.contains("--threshold 2 is more than the 1")),
        (2, true),
        "{error}"
    );

    // An enrollment in somebody else's name: the token has not signed that.
    let forged = std::fs::read_to_string(&paths[0]).expect("there");
    let mut forged: Value = serde_json::from_str(&forged).expect("json");
    let payload = data_encoding::BASE64
        .decode(forged["payload"].as_str().expect("text").as_bytes())
        .expect("base64");
    let payload = String::from_utf8(payload)
        .expect("text")
        .replacen("\"alice\"", "\"carol\"", 1);
    forged["payload"] = data_encoding::BASE64.encode(payload.as_bytes()).into();
    let forged = bench.write("forged.json", &forged.to_string());
    let (code, error) = make(forged.to_str().expect("plain"), access);
    assert_eq!(
        (code, error.contains("does not carry a valid signature")),
        (11, true),
        "{error}"
    );
    assert!(!bench.home(DANA).join("r.json").exists());
}

#[test]
fn what_is_wrong_at_the_token_has_its_own_exit_code_and_signs_nothing() {
    let bench = Bench::start();
    let (alice, _bob) = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let words = words(&asked);
    let id = asked["request"].as_str().expect("an id");
    let tries = |bench: &Bench| {
        assert_eq!(bench.agent.world().shares.len(), 0);
        let state = std::fs::read_to_string(bench.path("1001.json")).expect("the token's state");
        let state: Value = serde_json::from_str(&state).expect("json");
        state["pin"]["tries"].as_u64()
    };

    let (code, _) = approve(&bench, ALICE, "not the words that dana reads out").fails();
    assert_eq!(code, 11);
    let no_terminal = bench.twotap(ALICE, &["approve", "--token", "1001", "--pin-fd", "0"]);
    assert_eq!(no_terminal.input(&format!("yes\n{PIN}\n")).fails().0, 12);
    let reviewed = bench
        .twotap(ALICE, &["approve", id, "--token", "1001", "--review"])
        .output();
    assert_eq!(reviewed.code(), 0, "{}", reviewed.err());
    let screen = reviewed.err();
    assert!(
        screen.contains("reason         database is down"),
        "{screen}"
    );
    assert!(
        screen.contains(&words) && screen.contains("role/twotap/op-admin"),
        "{screen}"
    );
    assert_eq!(tries(&bench), Some(3));

    let wrong = approve(&bench, ALICE, &words).input("000000\n").fails();
    assert_eq!(wrong, (5, "wrong pin, 2 tries left".to_owned()));
    approve(&bench, ALICE, &words).input("000000\n").fails();
    assert_eq!(tries(&bench), Some(1));
    // One try is left: it is not taken without being told to, even with the right PIN.
    let (code, error) = approve(&bench, ALICE, &words).fails();
    assert_eq!(
        (code, error.contains("one try is left")),
        (5, true),
        "{error}"
    );
    assert_eq!(tries(&bench), Some(1));

    alice
        .control()
        .expect("a hand")
        .never()
        .expect("nobody taps");
    let last = [
        "approve",
        "--token",
        "1001",
        "--pin-fd",
        "0",
        "--last-try",
        "--confirm",
        &words,
    ];
    let (code, _) = bench
        .twotap(ALICE, &last)
        .input(&format!("{PIN}\n"))
        .fails();
    assert_eq!(code, 6);
    assert_eq!(tries(&bench), Some(3));
    let absent = bench.twotap(
        ALICE,
        &[
            "approve",
            "--token",
            "1003",
            "--pin-fd",
            "0",
            "--confirm",
            &words,
        ],
    );
    assert_eq!(absent.fails().0, 7);
    let gone = bench
        .twotap(ALICE, &["status"])
        .env("TWOTAP_AGENT", "/nowhere/agent.sock");
    assert_eq!(gone.fails().0, 8);

    // The PIN is read from the descriptor that is named, and stands in no argument and no variable.
    alice
        .control()
        .expect("a hand")
        .tap_always()
        .expect("tapping");
    let shell = format!(
        "exec {} approve --token 1001 --pin-fd 7 --confirm '{words}' --json 7<&0 0</dev/null",
        bench.path("twotap").display()
    );
    let done = bench.shell(ALICE, &shell, &format!("{PIN}\n"));
    assert_eq!(done.code(), 0, "{}{}", done.out(), done.err());
    assert_eq!(bench.agent.world().shares, ["alice"]);
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
                &setup::words(&other),
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

#[test]
fn only_the_key_of_the_break_glass_user_is_sealed_and_it_is_never_shown() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    let other = PRINTED.replace("break-glass", "somebody");
    let run = bench.twotap(DANA, &["vault", "seal", "prod", "--from", "-"]);
    let (code, error) = run.input(&other).fails();
    assert_eq!(
        (code, error.contains("user 'somebody'")),
        (3, true),
        "{error}"
    );
    let broken = PRINTED.replace("\"Status\"", "\"Stat\"");
    let done = bench
        .twotap(DANA, &["vault", "seal", "prod", "--from", "-"])
        .input(&broken)
        .output();
    assert_eq!(done.code(), 2);
    assert!(!done.err().contains("wJalr"), "{}", done.err());
}

#[test]
fn status_and_doctor_show_what_the_agent_says_and_no_control_characters() {
    let bench = Bench::start();
    let (_alice, _bob) = sealed_vault(&bench);
    request(&bench, DANA);
    let shown = bench.twotap(DANA, &["status"]).output().out();
    assert!(
        shown.contains("you are dana (operator, officer)"),
        "{shown}"
    );
    assert!(
        shown.contains("waiting for approvals") && shown.contains("0 of 2"),
        "{shown}"
    );
    assert!(
        shown.contains("x\\u{1b}[2J") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert_eq!(
        bench.twotap(DANA, &["status"]).json()["you"]["name"],
        "dana"
    );

    let checked = bench.twotap(DANA, &["doctor"]).json();
    assert_eq!(checked["ok"], true);
    let whats: Vec<&str> = checked["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|f| f["what"].as_str())
        .collect();
    assert_eq!(
        whats,
        [
            "token",
            "token",
            "agent",
            "you",
            "vault",
            "degraded",
            "clock",
            "own state"
        ]
    );
    let seen = bench.home(DANA).join(".local/state/twotap/seen.json");
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(&seen), mode(seen.parent().expect("a folder"))),
        (0o600, 0o700)
    );
    std::fs::set_permissions(&seen, std::fs::Permissions::from_mode(0o666)).expect("mode");
    let done = bench.twotap(DANA, &["doctor"]).output();
    assert_eq!(done.code(), 1);
    assert!(done.out().contains("fail: own state"), "{}", done.out());
}

#[test]
fn a_wrong_line_and_a_far_agent_are_told_in_json_too() {
    let bench = Bench::bare();
    assert_eq!(bench.twotap(DANA, &["no-such-verb"]).fails().0, 2);
    let (code, error) = bench
        .twotap(DANA, &["status", "--agent", "ssh://host"])
        .fails();
    assert_eq!((code, error.contains("ssh")), (2, true), "{error}");
    let done = bench.twotap(DANA, &["request", "prod"]).output();
    assert_eq!((done.code(), done.out().as_str()), (2, ""));
    assert!(
        done.err().starts_with("error: ") && done.err().contains("\nhint: "),
        "{}",
        done.err()
    );
    assert_eq!(done.err().lines().count(), 2);
}

#[test]
fn a_roster_is_shown_with_who_has_signed_it() {
    let bench = Bench::start();
    let tokens = [bench.insert(1001), bench.insert(1002)];
    for token in &tokens {
        token
            .control()
            .expect("a hand")
            .tap_always()
            .expect("tapping");
    }
    enroll(&bench, ALICE, "alice", 1001);
    enroll(&bench, BOB, "bob", 1002);
    let drawn_up = create(&bench);
    let shown = bench
        .twotap(DANA, &["roster", "show", "roster.json"])
        .json();
    assert_eq!(
        (&shown["words"], &shown["sha256"]),
        (&drawn_up["words"], &drawn_up["sha256"])
    );
    assert_eq!(shown["not_signed_by"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["complete"], false);
}
