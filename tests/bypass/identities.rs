//! The break-glass user and twotap's roles used by somebody who has stolen a key, and a revocation taken away: no agent knows of it, and
//! people are told.

use serde_json::json;
use twotap_rig::{Credentials, World, alerts::somebody, world::EXTERNAL_ID};

use super::{SOON, fields, of, standing, tells};

const USED: &str = "BREAK-GLASS USED";

/// Takes a role with the user's key, as a ceremony would.
fn assumes(world: &World, key: &Credentials, role: &str) -> Credentials {
    let arn = world.role_arn(role);
    let taken = world
        .through_proxy(key.clone())
        .query(
            "sts",
            "AssumeRole",
            &[
                ("RoleArn", arn.as_str()),
                ("RoleSessionName", "dana"),
                ("ExternalId", EXTERNAL_ID),
                ("SourceIdentity", "dana"),
                ("DurationSeconds", "900"),
                ("Tags.member.1.Key", "twotap"),
                ("Tags.member.1.Value", "r-aaaaaaaaaaaaa"),
                ("TransitiveTagKeys.member.1", "twotap"),
            ],
        )
        .expect("an answer")
        .expect_ok("AssumeRole")
        .expect("taken");
    taken.credentials().expect("a session")
}

#[test]
fn any_use_of_the_break_glass_user_is_told_a_read_only_call_too() {
    let (world, alerts) = standing();
    let stolen = world.first_key().clone();
    let client = world.through_proxy(stolen.clone());
    let who = client.query("sts", "GetCallerIdentity", &[]);
    assert!(who.expect("an answer").is_ok());
    let came = alerts.wait(SOON, |came| !of(came, USED).is_empty());
    let came = came.expect("the alert");
    let alert = of(&came, USED)[0];
    assert_eq!(fields(alert)["actor_arn"], world.user_arn());
    assert_eq!(fields(alert)["event"], "GetCallerIdentity");

    assumes(&world, &stolen, "op-admin");
    let taken = |came: &[String]| {
        of(came, USED)
            .iter()
            .any(|alert| fields(alert)["event"] == "AssumeRole")
    };
    let came = alerts.wait(SOON, taken).expect("the alert");
    let alert = of(&came, USED)
        .into_iter()
        .find(|alert| fields(alert)["event"] == "AssumeRole")
        .expect("it came");
    tells(
        alert,
        &world.user_arn(),
        &[
            &world.role_arn("op-admin"),
            "r-aaaaaaaaaaaaa",
            r#""sourceIdentity":"dana""#,
        ],
    );
    assert_eq!(world.proxy().broken(), [""; 0]);
}

#[test]
fn a_key_made_for_the_break_glass_user_is_told_from_the_region_where_iam_is() {
    let (world, alerts) = standing();
    let insider = somebody(&world, "insider", &["iam:*"]).expect("a user");
    let made = world.through_proxy(insider).query(
        "iam",
        "CreateAccessKey",
        &[("UserName", "break-glass")],
    );
    assert!(made.expect("an answer").is_ok());
    let kind = "IDENTITY CHANGED";
    let came = alerts.wait(SOON, |came| !of(came, kind).is_empty());
    let came = came.expect("the alert");
    let who = format!("arn:aws:iam::{}:user/insider", world.account());
    let alert = of(&came, kind)[0];
    tells(alert, &who, &["break-glass"]);
    assert_eq!(fields(alert)["region"], "us-east-1");
}

#[test]
fn a_revocation_taken_away_is_told_and_one_that_the_steward_puts_is_not() {
    let (world, alerts) = standing();
    let kind = "REVOCATION REMOVED";
    let steward = assumes(&world, world.first_key(), "steward");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/twotap": "r-aaaaaaaaaaaaa"}}}],
    });
    let name = "twotap-revoke-r-aaaaaaaaaaaaa-4102444800";
    let put = world.through_proxy(steward).query(
        "iam",
        "PutRolePolicy",
        &[
            ("RoleName", "op-admin"),
            ("PolicyName", name),
            ("PolicyDocument", &policy.to_string()),
        ],
    );
    put.expect("an answer").expect_ok("put").expect("revoked");

    let insider = somebody(&world, "insider", &["iam:*"]).expect("a user");
    let gone = world.through_proxy(insider).query(
        "iam",
        "DeleteRolePolicy",
        &[("RoleName", "op-admin"), ("PolicyName", name)],
    );
    gone.expect("an answer").expect_ok("gone").expect("deleted");
    let came = alerts.wait(SOON, |came| !of(came, kind).is_empty());
    let came = came.expect("the alert");
    let told = of(&came, kind);
    // At least once, as EventBridge promises: one event, however often it came.
    let id = &fields(told[0])["event_id"];
    assert!(
        told.iter().all(|alert| fields(alert)["event_id"] == *id),
        "{told:#?}"
    );
    let who = format!("arn:aws:iam::{}:user/insider", world.account());
    tells(told[0], &who, &[name, "op-admin"]);
    assert_eq!(fields(told[0])["event"], "DeleteRolePolicy");
}
