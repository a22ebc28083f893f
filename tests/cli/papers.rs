//! What is made before there is anything to open: enrolments, rosters, a sealed credential.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::bench::{ALICE, BOB, Bench, DANA};
use crate::setup::{
    PRINTED, approve, create, creating, enroll, request, seal_by, sealed_vault, words,
};

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
        .input("471147\n87654321\n")
        .fails();
    assert_eq!(code, 12);
    // The factory's own PIN is no new one.
    let run = bench.twotap(ALICE, &args(&["--pin-fd", "0", "--puk-fd", "0"]));
    let (code, error) = run.input("123456\n87654321\n").fails();
    assert_eq!((code, error.as_str()), (5, "the new pin is the factory's"));

    // Nothing was changed by that: both are still to be set.
    let enrolled = bench
        .twotap(ALICE, &args(&["--pin-fd", "0", "--puk-fd", "0"]))
        .input("471147\n87654321\n")
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
    let good = "[aws]\nuser_arn = \"arn:aws:iam::111122223333:user/x\"\nsteward_role_arn = \"arn:aws:iam::111122223333:role/y\"\nexternal_id = \"z\"\n[[access]]\nname = \"admin\"\naccount = \"111122223333\"\nrole_arn = \"arn:aws:iam::111122223333:role/op\"\nregions = [\"eu-central-1\"]\nprobe = \"ec2:DescribeRegions\"\npolicy = '{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:ListAllMyBuckets\",\"Resource\":\"*\"}]}'\n";
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

#[test]
fn groups_are_shown_and_what_makes_no_sense_is_refused_by_its_option() {
    let bench = Bench::start();
    let tokens = [bench.insert(1001), bench.insert(1002)];
    for token in &tokens {
        let mut hand = token.control().expect("a hand");
        hand.tap_always().expect("tapping");
    }
    enroll(&bench, ALICE, "alice", 1001);
    enroll(&bench, BOB, "bob", 1002);
    let root = bench.attestation_root();
    let with = |groups: &[&str]| {
        let mut more = vec!["--attestation-root", &root];
        for group in groups {
            more.extend(["--group", group]);
        }
        creating(&bench, &more)
    };
    let cases: [(&[&str], &str); 7] = [
        (&["security"], "--group takes NAME:K:PEOPLE"),
        (&["security:one:alice"], "--group takes NAME:K:PEOPLE"),
        (&["security:2:alice,bob"], "one --group alone"),
        (
            &["security:1:alice", "platform:2:bob"],
            "group platform has to give 2, and has 1",
        ),
        (
            &["security:1:alice", "platform:1:alice,bob"],
            "alice stands in two groups",
        ),
        (
            &["security:1:alice", "platform:1:dana"],
            "dana, of group platform, is not a custodian",
        ),
        (
            &["security:1:alice", "platform:1:alice"],
            "alice stands in two groups",
        ),
    ];
    for (groups, said) in cases {
        let (code, error) = with(groups).fails();
        assert_eq!(
            (code, error.contains(said)),
            (2, true),
            "{groups:?}: {error}"
        );
    }
    assert!(!bench.home(DANA).join("roster.json").exists());
    let created = with(&["security:1:alice", "platform:1:bob"]).json();
    assert_eq!(created["groups"][1]["name"], "platform");
    seal_by(&bench, &created);
    for (verb, said) in [
        (&["roster", "show", "prod"][..], "one of security (alice)"),
        (
            &["status"][..],
            "one of security (alice) and one of platform (bob)",
        ),
    ] {
        let shown = bench.twotap(DANA, verb).output().out();
        assert!(shown.contains(said), "{verb:?}: {shown}");
    }
    let words = words(&request(&bench, DANA));
    let done = approve(&bench, ALICE, &words).output();
    let shown = format!("{}{}", done.out(), done.err());
    for said in [
        "2 custodians: one of security and one of platform",
        "approved as alice: 1 of 2; still needed: one of platform",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}
