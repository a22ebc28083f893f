//! The proxy does to the wire what a test asks of it, records it, and adds AWS's limits.

use std::time::Duration;

use twotap_rig::proxy::{Gate, Keep, KeyLag};
use twotap_rig::world::{EXTERNAL_ID, OPERATOR_ROLE, USER};
use twotap_rig::{Client, Credentials, Fault, Reply, RigError, Rule, When, World};

const SOON: Duration = Duration::from_secs(60);

fn create_key(client: &Client) -> Result<Reply, RigError> {
    client.query("iam", "CreateAccessKey", &[("UserName", USER)])
}

fn assume(world: &World, more: &[(&str, &str)]) -> Reply {
    let arn = world.role_arn(OPERATOR_ROLE);
    let mut params = vec![
        ("RoleArn", arn.as_str()),
        ("RoleSessionName", "dana"),
        ("SourceIdentity", "dana"),
        ("ExternalId", EXTERNAL_ID),
        ("Tags.member.1.Key", "twotap"),
        ("Tags.member.1.Value", "r-1"),
        ("TransitiveTagKeys.member.1", "twotap"),
    ];
    params.retain(|(name, _)| !more.iter().any(|(replaced, _)| replaced == name));
    params.extend(more);
    world
        .through_proxy(world.first_key().clone())
        .query("sts", "AssumeRole", &params)
        .expect("an exchange")
}

#[test]
fn a_lost_reply_leaves_a_key_that_nobody_knows() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    world.proxy().add(Rule::new(
        "iam:CreateAccessKey",
        When::Nth(1),
        Fault::LoseReply,
    ));
    assert!(create_key(&client).is_err());
    assert_eq!(world.list_keys(USER).unwrap().len(), 2);
    let call = world
        .proxy()
        .wait_for("iam:CreateAccessKey", 1, SOON)
        .unwrap()
        .remove(0);
    assert!(
        !call.answered && call.forwarded == 1 && call.status == Some(200) && call.error.is_none()
    );
    assert_eq!(
        call.access_key_id.as_deref(),
        Some(world.first_key().access_key_id.as_str())
    );
    assert_eq!(call.param("UserName"), Some(USER));
    assert!(!call.session_token);
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn an_unreachable_call_has_no_effect() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    world
        .proxy()
        .add(Rule::new("iam:*", When::First(1), Fault::Unreachable));
    assert!(create_key(&client).is_err());
    assert_eq!(world.list_keys(USER).unwrap().len(), 1);
    assert_eq!(world.proxy().calls_of("iam:*")[0].forwarded, 0);
    assert!(create_key(&client).unwrap().is_ok());
}

#[test]
fn a_repeated_call_acts_twice_and_meets_the_quota_of_two_keys() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    world.proxy().add(Rule::new(
        "iam:CreateAccessKey",
        When::Nth(1),
        Fault::Repeat(Keep::Second),
    ));
    let reply = create_key(&client).unwrap();
    assert_eq!(
        (reply.status, reply.error.as_deref()),
        (409, Some("LimitExceeded"))
    );
    assert_eq!(world.list_keys(USER).unwrap().len(), 2);
    assert_eq!(
        create_key(&client).unwrap().error.as_deref(),
        Some("LimitExceeded")
    );
    assert_eq!(world.list_keys(USER).unwrap().len(), 2);
}

#[test]
fn a_refusal_comes_with_the_status_and_code_asked_for() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    let fault = Fault::Refuse(503, "ServiceUnavailable".into(), "try <later>".into());
    world
        .proxy()
        .add(Rule::new("sts:GetCallerIdentity", When::Nth(2), fault));
    let codes: Vec<_> = (0..3)
        .map(|_| client.query("sts", "GetCallerIdentity", &[]).unwrap().error)
        .collect();
    assert_eq!(codes, [None, Some("ServiceUnavailable".into()), None]);
    let call = &world.proxy().calls()[1];
    assert_eq!(
        (call.forwarded, call.status, call.answered),
        (0, Some(503), true)
    );
}

#[test]
fn gates_order_calls_without_a_clock() {
    let world = World::new().expect("a world");
    let (before, after) = (Gate::new(), Gate::new());
    world.proxy().add(Rule::new(
        "iam:CreateAccessKey",
        When::Nth(1),
        Fault::HoldRequest(before.clone()),
    ));
    world.proxy().add(Rule::new(
        "iam:ListAccessKeys",
        When::Nth(1),
        Fault::HoldReply(after.clone()),
    ));
    let client = world.through_proxy(world.first_key().clone());
    std::thread::scope(|scope| {
        let making = scope.spawn(|| create_key(&client).unwrap().is_ok());
        before.wait_arrived(1, SOON).unwrap();
        let listing = scope.spawn(|| {
            client
                .query("iam", "ListAccessKeys", &[("UserName", USER)])
                .unwrap()
                .body
        });
        after.wait_arrived(1, SOON).unwrap();
        assert_eq!(world.list_keys(USER).unwrap().len(), 1);
        before.open();
        assert!(making.join().unwrap());
        assert_eq!(world.list_keys(USER).unwrap().len(), 2);
        after.open();
        // The reply was made before the key was: it is late, not fresh.
        assert_eq!(listing.join().unwrap().matches("<AccessKeyId>").count(), 1);
    });
}

#[test]
fn a_held_request_reaches_aws_after_its_client_is_gone() {
    use std::io::Write;
    let world = World::new().expect("a world");
    let gate = Gate::new();
    world.proxy().add(Rule::new(
        "*",
        When::Nth(1),
        Fault::HoldRequest(gate.clone()),
    ));
    let mut client = std::net::TcpStream::connect(world.proxy().address()).unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    gate.wait_arrived(1, SOON).unwrap();
    drop(client);
    gate.open();
    let call = world.proxy().wait_for("*", 1, SOON).unwrap().remove(0);
    assert_eq!(call.error.as_deref(), Some("MissingAuthenticationToken"));
}

#[test]
fn a_new_key_is_unknown_for_a_while() {
    let world = World::new().expect("a world");
    world.proxy().set_key_lag(KeyLag::Calls(2));
    let client = world.through_proxy(world.first_key().clone());
    let key = create_key(&client).unwrap().credentials().unwrap();
    let new = world.through_proxy(key);
    let codes: Vec<_> = (0..3)
        .map(|_| new.query("sts", "GetCallerIdentity", &[]).unwrap().error)
        .collect();
    let unknown = Some("InvalidClientTokenId".to_owned());
    assert_eq!(codes, [unknown.clone(), unknown, None]);
}

#[test]
fn the_source_identity_is_echoed_and_the_date_is_awss() {
    let world = World::new().expect("a world");
    world.proxy().set_clock_offset(86_400 * 400);
    let reply = assume(&world, &[]);
    assert_eq!(reply.text("SourceIdentity").as_deref(), Some("dana"));
    let year = reply
        .date
        .as_deref()
        .and_then(|date| date.split(' ').nth(3)?.parse::<u32>().ok());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(
        year.unwrap() > 1970 + u32::try_from(now / 31_557_600).unwrap(),
        "{:?}",
        reply.date
    );
    assert!(reply.date.unwrap().ends_with(" GMT"));
}

#[test]
fn awss_limits_hold() {
    let world = World::new().expect("a world");
    let long_policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"*","Resource":"*","Sid":"{}"}}]}}"#,
        "a".repeat(2048)
    );
    for (what, more) in [
        ("too short", ("DurationSeconds", "899")),
        ("too long", ("DurationSeconds", "43201")),
        ("a name with a space", ("RoleSessionName", "dana smith")),
        ("a name beyond ASCII", ("RoleSessionName", "d\u{e4}na")),
        (
            "a source identity with a slash",
            ("SourceIdentity", "dana/admin"),
        ),
        (
            "a tag with a number sign",
            ("Tags.member.1.Value", "INC#42"),
        ),
        ("a policy that is too long", ("Policy", &long_policy)),
    ] {
        let reply = assume(&world, &[more]);
        assert_eq!(
            (reply.status, reply.error.as_deref()),
            (400, Some("ValidationError")),
            "{what}"
        );
    }
    assert!(assume(&world, &[("DurationSeconds", "43200")]).is_ok());
    let shorter = [("RoleName", OPERATOR_ROLE), ("MaxSessionDuration", "3600")];
    world
        .admin()
        .query("iam", "UpdateRole", &shorter)
        .unwrap()
        .expect_ok("UpdateRole")
        .unwrap();
    assert_eq!(
        assume(&world, &[("DurationSeconds", "3601")])
            .error
            .as_deref(),
        Some("ValidationError")
    );
    assert!(assume(&world, &[("DurationSeconds", "3600")]).is_ok());
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn roots_keys_and_unsigned_calls_do_not_pass() {
    let world = World::new().expect("a world");
    for id in [world.account(), "test"] {
        let root = Credentials {
            access_key_id: id.to_owned(),
            secret_access_key: "anything".to_owned(),
            session_token: None,
        };
        let reply = world
            .through_proxy(root)
            .query("iam", "ListUsers", &[])
            .unwrap();
        assert_eq!(reply.error.as_deref(), Some("InvalidClientTokenId"));
    }
    assert!(world.proxy().calls().iter().all(|call| call.forwarded == 0));
}

#[test]
fn worlds_see_nothing_of_each_other() {
    let (one, two) = (
        World::new().expect("a world"),
        World::new().expect("a world"),
    );
    assert_ne!(one.account(), two.account());
    create_key(&one.through_proxy(one.first_key().clone()))
        .unwrap()
        .expect_ok("a key")
        .unwrap();
    assert_eq!(one.list_keys(USER).unwrap().len(), 2);
    assert_eq!(two.list_keys(USER).unwrap().len(), 1);
    assert!(two.proxy().calls().is_empty());
    one.proxy().clear_calls();
    assert!(one.proxy().calls().is_empty());
}

/// The AWS CLI signs on its own terms; that it passes shows that the proxy leaves the bytes alone.
#[test]
fn the_aws_cli_passes_through() {
    let world = World::new().expect("a world");
    let key = world.first_key();
    let aws = |secret: &str, arguments: &[&str]| {
        std::process::Command::new(twotap_rig::tools::script("aws").expect("the AWS CLI"))
            .args([
                "--output",
                "json",
                "--endpoint-url",
                &world.endpoint(),
                "--region",
                world.region(),
            ])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .output()
            .expect("the AWS CLI runs")
    };
    let identity = aws(&key.secret_access_key, &["sts", "get-caller-identity"]);
    let said = String::from_utf8_lossy(&identity.stdout);
    assert!(
        identity.status.success() && said.contains(&world.user_arn()),
        "{identity:?}"
    );

    let made = aws(
        &key.secret_access_key,
        &["iam", "create-access-key", "--user-name", USER],
    );
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("a new key as JSON");
    let ours: serde_json::Value = serde_json::from_str(world.first_key_json()).unwrap();
    let fields = |key: &serde_json::Value| -> std::collections::BTreeSet<String> {
        key["AccessKey"]
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(fields(&made), fields(&ours));

    let wrong = aws(&"0".repeat(40), &["sts", "get-caller-identity"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("SignatureDoesNotMatch"));
    let actions: Vec<_> = world
        .proxy()
        .calls()
        .into_iter()
        .map(|call| call.action)
        .collect();
    assert_eq!(
        actions,
        [
            "sts:GetCallerIdentity",
            "iam:CreateAccessKey",
            "sts:GetCallerIdentity"
        ]
    );
}

#[test]
fn a_reply_is_cut_in_mid_body_after_aws_has_acted() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    let rule = |fault| Rule::new("iam:CreateAccessKey", When::Nth(1), fault);
    world.proxy().add(rule(Fault::CutBody));
    assert!(create_key(&client).is_err());
    assert_eq!(world.list_keys(USER).unwrap().len(), 2);
    let call = world.proxy().wait_for("iam:CreateAccessKey", 1, SOON);
    let call = call.unwrap().remove(0);
    assert!(!call.answered && call.status == Some(200) && call.error.is_none());
}

#[test]
fn a_call_that_fails_after_it_has_acted_has_acted() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    world.proxy().add(Rule::new(
        "iam:CreateAccessKey",
        When::Nth(1),
        Fault::failed_after(),
    ));
    let reply = create_key(&client).unwrap();
    assert_eq!(
        (reply.status, reply.error.as_deref()),
        (500, Some("InternalFailure"))
    );
    assert_eq!(world.list_keys(USER).unwrap().len(), 2);
    world.proxy().clear_rules();
    for (fault, code) in [
        (Fault::throttled(), "Throttling"),
        (Fault::failed(), "InternalFailure"),
        (Fault::denied(), "AccessDenied"),
    ] {
        world
            .proxy()
            .add(Rule::new("iam:ListAccessKeys", When::Nth(1), fault));
        let list = || client.query("iam", "ListAccessKeys", &[("UserName", USER)]);
        assert_eq!(list().unwrap().error.as_deref(), Some(code));
        world.proxy().clear_rules();
    }
}

#[test]
fn a_call_that_is_overtaken_reaches_aws_after_the_next_one() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    let list = || {
        let reply = client.query("iam", "ListAccessKeys", &[("UserName", USER)]);
        reply.unwrap().body.matches("<AccessKeyId>").count()
    };
    world.proxy().add(Rule::new(
        "iam:CreateAccessKey",
        When::Nth(1),
        Fault::Overtaken,
    ));
    assert!(create_key(&client).is_err());
    assert_eq!(world.list_keys(USER).unwrap().len(), 1);
    assert_eq!(list(), 1);
    assert_eq!(world.list_keys(USER).unwrap().len(), 2);
    let call = world.proxy().calls_of("iam:CreateAccessKey").remove(0);
    assert!(!call.answered && call.forwarded == 1 && call.error.is_none());
    assert_eq!(world.proxy().keys_made().len(), 1);
}

#[test]
fn a_list_that_lags_says_what_it_said_before() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    let list = || {
        let reply = client.query("iam", "ListAccessKeys", &[("UserName", USER)]);
        reply.unwrap().body
    };
    let before = list();
    create_key(&client).unwrap();
    let lags = Fault::Answer(200, before.clone());
    world
        .proxy()
        .add(Rule::new("iam:ListAccessKeys", When::First(1), lags));
    assert_eq!(list(), before);
    assert_ne!(list(), before);
}
