//! The emulator refuses what AWS refuses; if it did not, the tests that lean on it would show nothing.

use twotap_rig::world::{EXTERNAL_ID, OPERATOR_ROLE, STEWARD_ROLE, USER};
use twotap_rig::{Client, Credentials, Reply, World};

/// An AssumeRole as twotap makes it, with parameters replaced or added.
fn assume(client: &Client, role_arn: &str, request: &str, more: &[(&str, &str)]) -> Reply {
    let mut params = vec![
        ("RoleArn", role_arn),
        ("RoleSessionName", "dana"),
        ("SourceIdentity", "dana"),
        ("ExternalId", EXTERNAL_ID),
        ("DurationSeconds", "900"),
        ("Tags.member.1.Key", "twotap"),
        ("Tags.member.1.Value", request),
        ("TransitiveTagKeys.member.1", "twotap"),
    ];
    params.retain(|(name, _)| !more.iter().any(|(replaced, _)| replaced == name));
    params.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    client
        .query("sts", "AssumeRole", &params)
        .expect("an exchange")
}

fn session(world: &World, role: &str, request: &str, more: &[(&str, &str)]) -> Credentials {
    let client = world.through_proxy(world.first_key().clone());
    let reply = assume(&client, &world.role_arn(role), request, more)
        .expect_ok("AssumeRole")
        .expect("a session");
    reply.credentials().expect("credentials in the reply")
}

#[test]
fn a_wrong_secret_an_inactive_and_a_deleted_key_are_refused() {
    let world = World::new().expect("a world");
    let key = world.first_key().clone();
    assert!(world.key_works(&key).unwrap());
    assert_eq!(
        world.identity(&key).unwrap().text("Arn"),
        Some(world.user_arn())
    );

    let wrong = Credentials {
        secret_access_key: "0".repeat(40),
        ..key.clone()
    };
    assert_eq!(
        world.identity(&wrong).unwrap().error.as_deref(),
        Some("SignatureDoesNotMatch")
    );
    let unknown = Credentials {
        access_key_id: "AKIAAAAAAAAAAAAAAAAA".into(),
        ..key.clone()
    };
    assert_eq!(
        world.identity(&unknown).unwrap().error.as_deref(),
        Some("InvalidClientTokenId")
    );

    let id = key.access_key_id.as_str();
    let own = world.through_proxy(key.clone());
    let named = [("UserName", USER), ("AccessKeyId", id)];
    let other = own
        .query("iam", "CreateAccessKey", &[("UserName", USER)])
        .unwrap()
        .expect_ok("second key")
        .unwrap();
    let other = world.through_proxy(other.credentials().unwrap());
    let off = [named[0], named[1], ("Status", "Inactive")];
    other
        .query("iam", "UpdateAccessKey", &off)
        .unwrap()
        .expect_ok("deactivate")
        .unwrap();
    assert_eq!(
        world.identity(&key).unwrap().error.as_deref(),
        Some("InvalidClientTokenId")
    );
    assert!(!assume(&own, &world.role_arn(OPERATOR_ROLE), "r-1", &[]).is_ok());

    other
        .query("iam", "DeleteAccessKey", &named)
        .unwrap()
        .expect_ok("delete")
        .unwrap();
    assert_eq!(
        world.identity(&key).unwrap().error.as_deref(),
        Some("InvalidClientTokenId")
    );
    assert!(
        world
            .list_keys(USER)
            .unwrap()
            .iter()
            .all(|key| key.id != id && key.active)
    );
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn a_session_policy_limits_the_session() {
    let world = World::new().expect("a world");
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["ec2:DescribeRegions","s3:ListAllMyBuckets"],"Resource":"*"}]}"#;
    let narrow = session(&world, OPERATOR_ROLE, "r-1", &[("Policy", policy)]);
    assert!(world.session_probe(&narrow).unwrap().is_ok());
    let refused = world
        .direct(narrow)
        .query("ec2", "DescribeInstances", &[])
        .unwrap();
    assert_eq!(
        (refused.status, refused.error.as_deref()),
        (403, Some("UnauthorizedOperation"))
    );

    let wide = session(&world, OPERATOR_ROLE, "r-2", &[]);
    assert!(
        world
            .direct(wide)
            .query("ec2", "DescribeInstances", &[])
            .unwrap()
            .is_ok()
    );
}

#[test]
fn a_deny_after_the_expiry_in_the_policy_is_enforced() {
    let world = World::new().expect("a world");
    let policy = |time: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"ec2:*","Resource":"*"}},
            {{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"DateGreaterThan":{{"aws:CurrentTime":"{time}"}}}}}}]}}"#
        )
    };
    let over = session(
        &world,
        OPERATOR_ROLE,
        "r-1",
        &[("Policy", &policy("2020-01-01T00:00:00Z"))],
    );
    assert_eq!(
        world.session_probe(&over).unwrap().error.as_deref(),
        Some("UnauthorizedOperation")
    );
    let open = session(
        &world,
        OPERATOR_ROLE,
        "r-2",
        &[("Policy", &policy("2099-01-01T00:00:00Z"))],
    );
    assert!(world.session_probe(&open).unwrap().is_ok());
}

#[test]
fn a_deny_by_session_tag_ends_that_session_alone() {
    let world = World::new().expect("a world");
    let ended = session(&world, OPERATOR_ROLE, "r-ended", &[]);
    let other = session(&world, OPERATOR_ROLE, "r-other", &[]);
    let steward = world.through_proxy(session(&world, STEWARD_ROLE, "r-ended", &[]));
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*",
        "Condition":{"StringEquals":{"aws:PrincipalTag/twotap":"r-ended"}}}]}"#;
    let put = [
        ("RoleName", OPERATOR_ROLE),
        ("PolicyName", "twotap-revoke-r-ended"),
        ("PolicyDocument", deny),
    ];
    steward
        .query("iam", "PutRolePolicy", &put)
        .unwrap()
        .expect_ok("PutRolePolicy")
        .unwrap();

    let refused = world.session_probe(&ended).unwrap();
    assert_eq!(
        (refused.status, refused.error.as_deref()),
        (403, Some("UnauthorizedOperation"))
    );
    assert!(world.session_probe(&other).unwrap().is_ok());
    // Why closing probes with another call: this one says nothing about a revoked session.
    assert!(world.identity(&ended).unwrap().is_ok());

    let policies = world.role_policies(OPERATOR_ROLE).unwrap();
    assert_eq!(
        policies["twotap-revoke-r-ended"],
        serde_json::from_str::<serde_json::Value>(deny).unwrap()
    );
    steward
        .query("iam", "DeleteRolePolicy", &put[..2])
        .unwrap()
        .expect_ok("DeleteRolePolicy")
        .unwrap();
    assert!(world.session_probe(&ended).unwrap().is_ok());
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn the_ceiling_holds_the_operator_down() {
    let world = World::new().expect("a world");
    let operator = world.through_proxy(session(&world, OPERATOR_ROLE, "r-1", &[]));
    for (action, params) in [
        ("CreateAccessKey", vec![("UserName", USER)]),
        ("CreateUser", vec![("UserName", "thief")]),
        (
            "DeleteRolePermissionsBoundary",
            vec![("RoleName", OPERATOR_ROLE)],
        ),
        (
            "DeleteRolePolicy",
            vec![("RoleName", OPERATOR_ROLE), ("PolicyName", "twotap")],
        ),
        (
            "DeleteUserPolicy",
            vec![("UserName", USER), ("PolicyName", "twotap")],
        ),
    ] {
        let reply = operator.query("iam", action, &params).unwrap();
        assert_eq!(reply.error.as_deref(), Some("AccessDenied"), "{action}");
    }
    let chained = assume(&operator, &world.role_arn(STEWARD_ROLE), "r-1", &[]);
    assert_eq!(chained.error.as_deref(), Some("AccessDenied"));
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn the_steward_may_only_close() {
    let world = World::new().expect("a world");
    let steward = world.through_proxy(session(&world, STEWARD_ROLE, "r-1", &[]));
    let put = |role: &str| {
        let params = [
            ("RoleName", role),
            ("PolicyName", "x"),
            (
                "PolicyDocument",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#,
            ),
        ];
        steward.query("iam", "PutRolePolicy", &params).unwrap()
    };
    put(OPERATOR_ROLE)
        .expect_ok("the steward's PutRolePolicy")
        .unwrap();
    assert_eq!(put(STEWARD_ROLE).error.as_deref(), Some("AccessDenied"));
    // An operator role whose boundary is gone is out of the steward's hands, as the shipped condition says.
    let params = [("RoleName", OPERATOR_ROLE)];
    world
        .admin()
        .query("iam", "DeleteRolePermissionsBoundary", &params)
        .unwrap()
        .expect_ok("boundary")
        .unwrap();
    assert_eq!(put(OPERATOR_ROLE).error.as_deref(), Some("AccessDenied"));
    assert!(
        !steward
            .query("ec2", "DescribeRegions", &[])
            .unwrap()
            .is_ok()
    );
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn the_shipped_trust_policy_is_held_to_the_letter() {
    let world = World::new().expect("a world");
    let client = world.through_proxy(world.first_key().clone());
    let arn = world.role_arn(OPERATOR_ROLE);
    assert!(assume(&client, &arn, "r-1", &[]).is_ok());
    for (what, more) in [
        ("no source identity", vec![("SourceIdentity", "")]),
        (
            "another vault's external id",
            vec![("ExternalId", "vault-other")],
        ),
        (
            "a tag that is not transitive",
            vec![("TransitiveTagKeys.member.1", "")],
        ),
        (
            "a second tag",
            vec![("Tags.member.2.Key", "team"), ("Tags.member.2.Value", "x")],
        ),
        (
            "no tag",
            vec![
                ("Tags.member.1.Key", ""),
                ("Tags.member.1.Value", ""),
                ("TransitiveTagKeys.member.1", ""),
            ],
        ),
    ] {
        let reply = assume(&client, &arn, "r-1", &more);
        assert_eq!(
            (reply.status, reply.error.as_deref()),
            (403, Some("AccessDenied")),
            "{what}"
        );
    }
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn a_roles_inline_policies_have_a_limit_together() {
    let world = World::new().expect("a world");
    let steward = world.through_proxy(session(&world, STEWARD_ROLE, "r-1", &[]));
    let put = |name: &str, length: usize| {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"{}","Effect":"Deny","Action":"s3:*","Resource":"*"}}]}}"#,
            "a".repeat(length)
        );
        let params = [
            ("RoleName", OPERATOR_ROLE),
            ("PolicyName", name),
            ("PolicyDocument", &document),
        ];
        steward.query("iam", "PutRolePolicy", &params).unwrap()
    };
    put("one", 6000).expect_ok("below the limit").unwrap();
    let refused = put("two", 6000);
    assert_eq!(
        (refused.status, refused.error.as_deref()),
        (409, Some("LimitExceeded"))
    );
    put("one", 100)
        .expect_ok("in the place of the first")
        .unwrap();
    put("two", 6000).expect_ok("now there is room").unwrap();
    assert_eq!(world.proxy().broken(), [""; 0]);
}
