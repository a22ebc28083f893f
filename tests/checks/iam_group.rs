//! `packaging/checks/iam-group`, against the emulator, with a key that may do what the shipped policy says.

use std::path::Path;

use twotap_rig::{Aws, Client};

use crate::run::{Check, request, shown};

struct Bench {
    admin: Client,
    check: Check,
    config: String,
}

impl Bench {
    /// An account with the users `dana` and `carol`, the group, and the check's own user.
    fn new() -> Self {
        let aws = Aws::shared().expect("an emulator");
        let account = aws.new_account();
        let admin = aws.admin(&account);
        let call = |action: &str, parameters: &[(&str, &str)]| {
            let reply = admin.query("iam", action, parameters).expect("an answer");
            reply.expect_ok(action).expect("done")
        };
        for user in ["dana-iam", "carol-iam", "check"] {
            call("CreateUser", &[("UserName", user)]);
        }
        for group in ["Support-L2", "Support-L2-alumni"] {
            call("CreateGroup", &[("GroupName", group)]);
        }
        call(
            "PutUserPolicy",
            &[
                ("UserName", "check"),
                ("PolicyName", "check"),
                ("PolicyDocument", &policy(&account)),
            ],
        );
        let key = call("CreateAccessKey", &[("UserName", "check")]);
        let key = key.credentials().expect("a key");
        let check = Check::shipped("iam-group");
        let json = serde_json::json!({"AccessKey": {
            "UserName": "check", "AccessKeyId": key.access_key_id, "Status": "Active",
            "SecretAccessKey": key.secret_access_key,
        }});
        let file = check.file("key.json", &json.to_string(), 0o600);
        let config = format!(
            "group = 'Support-L2'\ncredential_file = '{}'\nendpoint = 'http://{}'\n[people]\ndana = 'dana-iam'\n",
            file.display(),
            aws.address()
        );
        Self {
            admin,
            check,
            config,
        }
    }

    fn call(&self, action: &str, parameters: &[(&str, &str)]) {
        let reply = self.admin.query("iam", action, parameters);
        let reply = reply.expect("an answer");
        reply.expect_ok(action).expect("done");
    }

    fn run(&self, config: &str) -> (i32, String) {
        self.check.run(config, &request(None))
    }

    fn is(&self, code: i32, said: &str) {
        assert_eq!(self.run(&self.config), (code, said.to_owned()));
    }
}

/// The shipped policy, for this account.
fn policy(account: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("packaging/checks/iam-group-policy.json");
    let text = std::fs::read_to_string(path).expect("shipped");
    text.replace("${AWS::Partition}", "aws")
        .replace("${AWS::AccountId}", account)
}

#[test]
fn a_member_with_an_mfa_device_passes_and_nobody_else() {
    let bench = Bench::new();
    bench.is(1, "dana-iam is not a member of Support-L2");
    // A group whose name only begins the same, and somebody else's membership.
    let join = |user: &str, group: &str| {
        bench.call(
            "AddUserToGroup",
            &[("UserName", user), ("GroupName", group)],
        );
    };
    join("dana-iam", "Support-L2-alumni");
    join("carol-iam", "Support-L2");
    bench.is(1, "dana-iam is not a member of Support-L2");
    join("dana-iam", "Support-L2");
    bench.is(
        1,
        "dana-iam is a member of Support-L2, and has no MFA device",
    );
    let without = format!("mfa = false\n{}", bench.config);
    assert_eq!(bench.run(&without).0, 0);

    let device = bench.admin.query(
        "iam",
        "CreateVirtualMFADevice",
        &[("VirtualMFADeviceName", "dana")],
    );
    let device = device
        .expect("an answer")
        .expect_ok("a device")
        .expect("made");
    let serial = device.text("SerialNumber").expect("a serial");
    // Made, and not yet anybody's.
    bench.is(
        1,
        "dana-iam is a member of Support-L2, and has no MFA device",
    );
    let codes = [
        ("AuthenticationCode1", "123456"),
        ("AuthenticationCode2", "654321"),
    ];
    let mut enable = vec![("UserName", "dana-iam"), ("SerialNumber", serial.as_str())];
    enable.extend(codes);
    bench.call("EnableMFADevice", &enable);
    bench.is(
        0,
        &format!("dana-iam is a member of Support-L2; MFA: {serial}"),
    );
    let leave = [("UserName", "dana-iam"), ("GroupName", "Support-L2")];
    bench.call("RemoveUserFromGroup", &leave);
    bench.is(1, "dana-iam is not a member of Support-L2");
}

#[test]
fn who_is_not_known_does_not_pass() {
    let bench = Bench::new();
    let gone = bench.config.replace("dana-iam", "nobody-there");
    assert_eq!(
        bench.run(&gone),
        (1, "there is no user nobody-there".to_owned())
    );
    let unlisted = bench.config.replace("dana = ", "carol = ");
    let said = (1, "the configuration has no IAM user for dana".to_owned());
    assert_eq!(bench.run(&unlisted), said);
}

#[test]
fn what_cannot_be_told_is_not_told() {
    let bench = Bench::new();
    let told = |config: &str, what: &str| {
        let (code, said) = bench.run(config);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(what), "{said}");
    };
    let config = &bench.config;
    told(
        &config.replace("group =", "groups ="),
        "unknown key: groups",
    );
    told(&config.replace("'Support-L2'", "'a b'"), "no group");
    told(
        &config.replace("dana-iam", "a&Action=DeleteUser"),
        "no user's name",
    );
    told(&config.replace("key.json", "none.json"), "cannot be read");
    told(&config.replace("http://127", "http://10"), "https");
    let nobody = bench.check.file("open.json", "{}", 0o644);
    let with = |path: &Path| {
        let line = format!("credential_file = '{}'", path.display());
        let lines = config.lines().map(|l| {
            if l.starts_with("credential_file") {
                &line
            } else {
                l
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    told(&with(&nobody), "others can read it");
    let other = bench
        .check
        .file("other.json", "{\"AccessKey\": \"a secret\"}", 0o600);
    told(&with(&other), "not what aws iam create-access-key prints");
    assert!(!bench.run(&with(&other)).1.contains("a secret"));
    let wrong = r#"{"AccessKey":{"AccessKeyId":"AKIAAAAAAAAAAAAAAAAA","SecretAccessKey":"wrong"}}"#;
    let wrong = bench.check.file("wrong.json", wrong, 0o600);
    told(
        &with(&wrong),
        "IAM answers InvalidClientTokenId to ListGroupsForUser",
    );
    // What the shipped policy does not allow is not allowed: the same key, one right fewer.
    let narrow = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListGroupsForUser","Resource":"*"}]}"#;
    bench.call(
        "AddUserToGroup",
        &[("UserName", "dana-iam"), ("GroupName", "Support-L2")],
    );
    let put = [
        ("UserName", "check"),
        ("PolicyName", "check"),
        ("PolicyDocument", narrow),
    ];
    bench.call("PutUserPolicy", &put);
    told(config, "IAM answers AccessDenied to ListMFADevices");
}

#[test]
fn the_readme_shows_a_configuration_that_is_read() {
    let bench = Bench::new();
    let line = |name: &str| {
        let found = bench.config.lines().find(|l| l.starts_with(name));
        found.expect("a line").to_owned()
    };
    let config: Vec<String> = shown(3)
        .lines()
        .map(|l| match l.split(' ').next() {
            Some(name @ ("credential_file" | "endpoint")) => line(name),
            _ => l.to_owned(),
        })
        .collect();
    let said = (1, "there is no user dana".to_owned());
    assert_eq!(bench.run(&config.join("\n")), said);
}
