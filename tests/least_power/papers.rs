//! Wholesale power on paper: who draws a roster up has to declare it, and everybody can read what a profile amounts to.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use twotap::trust::{Envelope, PublicKey, Timestamp, enrollment::Enrollment};

use twotap_rig::papers::PROFILE;

use crate::support::SoftCustodian;

const PEOPLE: &str = r#"
[[person]]
name = "dana"
roles = ["operator"]
uids = [61010]
[[person]]
name = "alice"
roles = ["custodian"]
[[person]]
name = "bob"
roles = ["custodian"]
"#;

const EVERYTHING: &str = r#"policy = '''{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'''
"#;

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let desk = Self(folder);
        for (name, serial) in [("alice", 1), ("bob", 2)] {
            let custodian = SoftCustodian::new(name, serial);
            let token = custodian.token();
            let enrollment = Enrollment {
                v: 1,
                name: name.to_owned(),
                serial,
                firmware: token.firmware,
                approve: token.approve,
                unseal: token.unseal,
                attestation: None,
                created_at: Timestamp::now(),
            };
            let signed = Envelope::signed(&enrollment, &custodian).expect("an enrollment");
            desk.write(name, &serde_json::to_string(&signed).expect("JSON"));
        }
        desk.write("people.toml", PEOPLE);
        let key = |byte: u8| data_encoding::BASE64.encode(&ed25519_key(byte));
        let host = format!(
            r#"{{"name":"host-1","key":"{}","checkpoint_key":"{}"}}"#,
            key(1),
            key(2)
        );
        desk.write("host.pub", &host);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn twotap(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_twotap"))
            .args(args)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env_remove("XDG_STATE_HOME")
            .output()
            .expect("it runs")
    }

    /// `vault create` of these profiles.
    fn create(&self, access: &str) -> Output {
        self.write("access.toml", access);
        self.twotap(&[
            "vault",
            "create",
            "prod",
            "--threshold",
            "2",
            "--custodian",
            "alice",
            "--custodian",
            "bob",
            "--access",
            "access.toml",
            "--people",
            "people.toml",
            "--host",
            "host.pub",
            "--accept-unattested",
            "1",
            "--accept-unattested",
            "2",
            "-o",
            "roster.json",
        ])
    }
}

/// An Ed25519 public key as `SubjectPublicKeyInfo`, RFC 8410.
fn ed25519_key(byte: u8) -> Vec<u8> {
    let key = ed25519_dalek::SigningKey::from_bytes(&[byte; 32]);
    PublicKey::Ed25519(key.verifying_key()).to_spki()
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn exists(desk: &Desk) -> bool {
    Path::exists(&desk.path("roster.json"))
}

#[test]
fn a_roster_with_undeclared_power_is_not_drawn_up() {
    let desk = Desk::new();
    let done = desk.create(&format!("{PROFILE}{EVERYTHING}"));
    assert_eq!(done.status.code(), Some(3), "{done:?}");
    assert!(
        said(&done).contains("does not say that it is broad"),
        "{done:?}"
    );
    assert!(said(&done).contains("hint: "), "{done:?}");
    let done = desk.create(&format!("{PROFILE}broad = true\n{EVERYTHING}"));
    assert_eq!(done.status.code(), Some(3), "{done:?}");
    assert!(said(&done).contains("outlives the session"), "{done:?}");
    let long = format!(
        r#"policy = '''{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::{}"}}]}}'''
"#,
        "x".repeat(2000)
    );
    let done = desk.create(&format!("{PROFILE}{long}"));
    assert!(
        said(&done).contains("characters; aws takes 2048"),
        "{done:?}"
    );
    let asks = EVERYTHING.replace(
        r#""Resource":"*""#,
        r#""Resource":"arn:aws:s3:::a/${subject}""#,
    );
    let done = desk.create(&format!("{PROFILE}{asks}"));
    assert!(
        said(&done).contains("what a subject looks like"),
        "{done:?}"
    );
    assert!(!exists(&desk), "nothing was half-written");

    let done = desk.create(&format!(
        "{PROFILE}broad = true\npersistence = true\n{EVERYTHING}"
    ));
    assert!(done.status.success(), "{done:?}");
    // Whoever signs it, or looks it up, reads what it amounts to.
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(shown.contains("BROAD"), "{shown}");
    assert!(
        shown.contains("allows every action on everything\n"),
        "{shown}"
    );
    assert!(shown.contains("LASTING"), "{shown}");
    assert!(exists(&desk));
}

#[test]
fn access_show_says_what_the_shipped_profile_allows() {
    let desk = Desk::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/access/access.toml");
    let show = |more: &[&str]| {
        let args = [&["access", "show", "pii-access", "--from", file], more].concat();
        desk.twotap(&args)
    };
    let done = show(&["--subject", "u-42"]);
    assert!(done.status.success(), "{done:?}");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(
        text,
        "access pii-access
  role     arn:aws:iam::111122223333:role/twotap/op-support
  length   1 h, at most 4 h
  subject  u-42

with it somebody can
  read in DynamoDB (GetItem, BatchGetItem, Query) on arn:aws:dynamodb:eu-central-1:111122223333:table/users, only where each of dynamodb:LeadingKeys is u-42 and dynamodb:LeadingKeys is given
  read in S3 (GetObject) on arn:aws:s3:::example-user-data/users/u-42/*
  read in S3 (ListBucket) on arn:aws:s3:::example-user-data, only where s3:prefix is like users/u-42/*

and in any case
  no more than the role itself may: its own policies and its permissions boundary count as well
  nothing after the end of the request, and no other role can be taken
  ec2:DescribeRegions works until then: that it is refused shows that the session has ended
"
    );
    let json = show(&["--json"]);
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one object");
    assert_eq!(object["broad"]["found"], serde_json::json!([]));
    assert_eq!(object["subject"], "u-[0-9]+");
    for (subject, said_) in [("x", "they look like"), ("u-*", "subject"), ("", "subject")] {
        let done = show(&["--subject", subject]);
        assert_eq!(done.status.code(), Some(2), "{done:?}");
        assert!(said(&done).contains(said_), "{done:?}");
    }
    let done = desk.twotap(&["access", "show", "nobody", "--from", file]);
    assert_eq!(done.status.code(), Some(2));
    assert!(said(&done).contains("there are: pii-access"), "{done:?}");
}

#[test]
fn the_shipped_profile_goes_into_a_roster_as_it_is() {
    let desk = Desk::new();
    for name in ["access.toml", "pii-access.json"] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("packaging/access")
            .join(name);
        desk.write(name, &std::fs::read_to_string(shipped).expect("shipped"));
    }
    let access = std::fs::read_to_string(desk.path("access.toml")).expect("read");
    let done = desk.create(&access);
    assert!(done.status.success(), "{done:?}");
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        !shown.contains("BROAD") && !shown.contains("LASTING"),
        "{shown}"
    );
}
