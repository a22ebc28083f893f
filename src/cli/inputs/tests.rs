use super::*;
use crate::trust::{
    Signer as _,
    tests::people::{self, HostKey},
};

fn the_host() -> Host {
    Host {
        name: "host-1".to_owned(),
        key: people::host().public(),
        checkpoint_key: HostKey::new("checkpoints").public(),
    }
}

const ACCESS: &str = r#"
[aws]
user_arn = "arn:aws:iam::111122223333:user/twotap/break-glass"
steward_role_arn = "arn:aws:iam::111122223333:role/twotap/steward"
external_id = "prod-7f3a"

[[access]]
name = "admin"
account = "111122223333"
role_arn = "arn:aws:iam::111122223333:role/twotap/op-admin"
regions = ["eu-central-1"]
probe = "ec2:DescribeRegions"
default = "4h"
max = "11h"
policy = '''{"Version":"2012-10-17","Statement":[]}'''
"#;

fn refused(text: &str) -> String {
    let problem = parse_access(Path::new("access.toml"), text).expect_err(text);
    assert_eq!(problem.code, Code::Usage);
    assert!(problem.hint.is_some());
    assert!(!problem.error.contains('\n'), "{}", problem.error);
    problem.error
}

#[test]
fn access_is_read_and_the_lengths_have_defaults() {
    let (aws, access) = parse_access(Path::new("access.toml"), ACCESS).expect("good");
    assert_eq!(aws.external_id, "prod-7f3a");
    assert_eq!(access[0].default_seconds, 4 * 3600);
    let short = ACCESS.replace("default = \"4h\"\nmax = \"11h\"\n", "");
    let (_, access) = parse_access(Path::new("access.toml"), &short).expect("good");
    assert_eq!(
        (access[0].default_seconds, access[0].max_seconds),
        (14_400, 39_600)
    );
}

#[test]
fn what_a_profile_says_of_its_power_is_read_and_stands_in_the_roster_only_where_it_says_something()
{
    let path = Path::new("access.toml");
    let (_, plain) = parse_access(path, ACCESS).expect("good");
    assert_eq!(
        (plain[0].broad, plain[0].persistence, &plain[0].subject),
        (false, false, &None)
    );
    // What was signed before there were such fields stays the same, byte for byte.
    let written = serde_json::to_string(&plain[0]).expect("JSON");
    for field in ["broad", "persistence", "subject"] {
        assert!(!written.contains(field), "{written}");
    }
    let more = format!("{ACCESS}broad = true\npersistence = true\nsubject = 'u-[0-9]+'\n");
    let (_, said) = parse_access(path, &more).expect("good");
    assert_eq!(
        (
            said[0].broad,
            said[0].persistence,
            said[0].subject.as_deref()
        ),
        (true, true, Some("u-[0-9]+"))
    );
    let error = refused(&more.replace("u-[0-9]+", "u-[0-9"));
    assert!(error.contains("access 'admin', subject"), "{error}");
}

#[test]
fn a_bad_field_of_access_is_named() {
    for (from, to, named) in [
        (
            "user/twotap/break-glass",
            "role/twotap/break-glass",
            "access.toml: aws, user_arn",
        ),
        (
            "arn:aws:iam::111122223333:role/twotap/steward",
            "steward",
            "aws, steward_role_arn",
        ),
        ("prod-7f3a", " ", "aws, external_id"),
        (
            "name = \"admin\"",
            "name = \"Admin\"",
            "access 'Admin', name",
        ),
        (
            "account = \"111122223333\"",
            "account = \"1111\"",
            "access 'admin', account",
        ),
        (
            "account = \"111122223333\"",
            "account = \"999922223333\"",
            "access 'admin', role_arn",
        ),
        ("[\"eu-central-1\"]", "[]", "access 'admin', regions"),
        ("[\"eu-central-1\"]", "[\"EU\"]", "access 'admin', regions"),
        (
            "ec2:DescribeRegions",
            "DescribeRegions",
            "access 'admin', probe",
        ),
        (
            "default = \"4h\"",
            "default = \"4\"",
            "access 'admin', default",
        ),
        (
            "default = \"4h\"",
            "default = \"12h\"",
            "access 'admin', default",
        ),
        ("max = \"11h\"", "max = \"12h\"", "access 'admin', max"),
        (
            "\"Statement\":[]",
            "\"Statements\":[]",
            "access 'admin', policy has no Statement",
        ),
        (
            "\"Statement\":[]",
            "\"Statement\":[],\"Statement\":[]",
            "duplicate key",
        ),
        (
            "policy = ",
            "policy_file = \"x\"\npolicy = ",
            "access 'admin', policy or",
        ),
        (
            "external_id",
            "extrenal_id",
            "access.toml, line 5: unknown field",
        ),
        ("[aws]", "[aws", "access.toml, line 2"),
    ] {
        let error = refused(&ACCESS.replacen(from, to, 1));
        assert!(error.contains(named), "{to}: {error}");
    }
}

#[test]
fn people_are_read_with_their_accounts_on_the_host() {
    let text = "[[person]]\nname = \"dana\"\nroles = [\"operator\"]\nuids = [61010]\n\
                [[person]]\nname = \"alice\"\nroles = [\"custodian\", \"commander\"]\n";
    let people = parse_people(Path::new("people.toml"), text, &[the_host()]).expect("good");
    assert_eq!(people[0].accounts[0].uid, 61010);
    assert_eq!(people[0].accounts[0].host, people::host().public().id());
    assert_eq!(people[1].roles, [Role::Custodian, Role::Commander]);
    assert!(people[1].accounts.is_empty());
}

#[test]
fn a_bad_person_is_named() {
    for (text, named) in [
        (
            "name = \"Dana\"\nroles = [\"operator\"]",
            "person 'Dana', name",
        ),
        (
            "name = \"dana\"\nroles = []",
            "person 'dana', roles is empty",
        ),
        (
            "name = \"dana\"\nroles = [\"king\"]",
            "people.toml, line 3: unknown variant",
        ),
        (
            "name = \"dana\"\nroles = [\"operator\"]\nuids = [0]",
            "person 'dana', uids names root",
        ),
        (
            "name = \"dana\"\nroles = [\"operator\"]\nuid = [5]",
            "line 4: unknown field",
        ),
        (
            "name = \"dana\"\nroles = [\"operator\"]\n[[person]]\nname = \"dana\"\nroles = [\"operator\"]",
            "person 'dana', name stands there twice",
        ),
        (
            "name = \"dana\"\nroles = [\"operator\"]\nuids = [5]\n[[person]]\nname = \"bob\"\nroles = [\"operator\"]\nuids = [5]",
            "person 'bob', uids has 5, which is dana's already",
        ),
        (
            "name = \"da\\u001bna\"\nroles = [\"operator\"]",
            "person 'da\\u{1b}na', name",
        ),
    ] {
        let text = format!("[[person]]\n{text}\n");
        let problem =
            parse_people(Path::new("people.toml"), &text, &[the_host()]).expect_err(&text);
        assert!(problem.error.contains(named), "{named}: {}", problem.error);
    }
}

#[test]
fn a_host_needs_two_ed25519_keys() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("host.pub");
    let write = |key: &PublicKey| {
        let object = serde_json::json!({
            "name": "host-1", "key": key, "checkpoint_key": HostKey::new("c").public(),
        });
        std::fs::write(&path, object.to_string()).expect("written");
    };
    write(&people::host().public());
    assert_eq!(host(&path).expect("good").name, "host-1");
    write(&people::SoftToken::new("alice").public());
    let problem = host(&path).expect_err("a token's key");
    assert!(
        problem.error.ends_with("key is not an Ed25519 key"),
        "{problem}"
    );
    std::fs::write(&path, "{\"name\":\"host-1\"}").expect("written");
    assert!(
        host(&path)
            .expect_err("incomplete")
            .error
            .contains("missing field `key`")
    );
}
