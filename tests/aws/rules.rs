//! What is sent, how often, where to, and by which clock.

use time::{Duration, OffsetDateTime};
use twotap::aws::{Arn, AssumeRole, AwsError, KeyState, LimitError, Observation, ProbeAction};

use crate::wire::{Act, Asked, Server, answer, done, error, identity, key, regions};

fn ask() -> AssumeRole {
    AssumeRole {
        role: Arn::parse("arn:aws:iam::123456789012:role/twotap/op-admin").unwrap(),
        session_name: "r-2345abcdefghi".into(),
        source_identity: "dana@example.com".into(),
        external_id: Some("vault:prod".into()),
        tags: vec![("twotap".into(), "r-2345abcdefghi".into())],
        transitive: vec!["twotap".into()],
        policy: Some("{}".into()),
        duration_seconds: 900,
    }
}

fn session() -> Act {
    answer(
        200,
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-22T10:00:00Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/op-admin/x</Arn></AssumedRoleUser><PackedPolicySize>6</PackedPolicySize><SourceIdentity>dana@example.com</SourceIdentity></AssumeRoleResult></AssumeRoleResponse>",
    )
}

/// The Region in a request's signature.
fn signed_for(asked: &Asked) -> String {
    let auth = asked.header("authorization").unwrap();
    auth.split('/').nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn assume_role_says_all_of_it() {
    let server = Server::start([session()]).await;
    let minted = server.aws().assume_role(&key(), &ask()).await.unwrap();
    assert_eq!(minted.request_id.as_deref(), Some("q-200"));
    assert_eq!(minted.value.packed_policy_size, Some(6));
    assert_eq!(
        minted.value.source_identity.as_deref(),
        Some("dana@example.com")
    );
    assert_eq!(minted.value.expires_at.unix_timestamp(), 1_795_341_600);
    let asked = &server.asked()[0];
    let mut fields: Vec<_> = asked.body.split('&').collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "Action=AssumeRole",
            "DurationSeconds=900",
            "ExternalId=vault%3Aprod",
            "Policy=%7B%7D",
            "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftwotap%2Fop-admin",
            "RoleSessionName=r-2345abcdefghi",
            "SourceIdentity=dana%40example.com",
            "Tags.member.1.Key=twotap",
            "Tags.member.1.Value=r-2345abcdefghi",
            "TransitiveTagKeys.member.1=twotap",
            "Version=2011-06-15",
        ]
    );
}

#[tokio::test]
async fn assume_role_goes_on_to_the_next_region() {
    for first in [
        Act::Cut,
        Act::Hang,
        answer(500, ""),
        error(400, "Throttling"),
        answer(200, "welcome to the hotel"),
        error(403, "RegionDisabledException"),
    ] {
        let server = Server::start([first, session()]).await;
        let minted = server.aws().assume_role(&key(), &ask()).await.unwrap();
        assert_eq!(minted.region, "eu-central-1");
        let regions: Vec<_> = server.asked().iter().map(signed_for).collect();
        assert_eq!(regions, ["eu-west-1", "eu-central-1"]);
    }
    // A refusal is the same everywhere.
    let server = Server::start([error(403, "AccessDenied"), session()]).await;
    let refused = server
        .aws()
        .assume_role(&key(), &ask())
        .await
        .err()
        .unwrap();
    assert_eq!(
        (refused.code(), server.asked().len()),
        (Some("AccessDenied"), 1)
    );
    // Of two failures the one that leaves more open is told.
    let server = Server::start([Act::Cut, answer(500, "")]).await;
    let lost = server
        .aws()
        .assume_role(&key(), &ask())
        .await
        .err()
        .unwrap();
    assert!(matches!(lost, AwsError::Lost { .. }), "{lost}");
}

#[tokio::test]
async fn limits_are_kept_before_anything_is_sent() {
    let server = Server::start([]).await;
    let mut wrong = ask();
    wrong.tags[0].1 = "INC#42".into();
    let error = server
        .aws()
        .assume_role(&key(), &wrong)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            AwsError::Limit(LimitError::Character { found: '#', .. })
        ),
        "{error}"
    );
    assert_eq!(server.connections(), 0);
    for (spoil, wanted) in [
        (
            (|ask: &mut AssumeRole| ask.transitive = vec!["other".into()]) as fn(&mut AssumeRole),
            LimitError::Transitive("other".into()),
        ),
        (
            |ask| ask.tags.push(("TwoTap".into(), "x".into())),
            LimitError::Tags("a key stands twice"),
        ),
        (|ask| ask.duration_seconds = 60, LimitError::Duration(60)),
        (
            |ask| ask.role = Arn::parse("arn:aws:iam::123456789012:user/x").unwrap(),
            LimitError::NotARole("arn:aws:iam::123456789012:user/x".into()),
        ),
    ] {
        let mut wrong = ask();
        spoil(&mut wrong);
        assert_eq!(wrong.check(), Err(wanted));
    }
    assert_eq!(ask().check(), Ok(()));
}

#[tokio::test]
async fn only_harmless_calls_are_repeated() {
    // A read goes through on the third attempt, and no further.
    let server = Server::start([answer(503, ""), Act::Cut, identity()]).await;
    server.aws().caller_identity(&key()).await.unwrap();
    assert_eq!(server.asked().len(), 3);
    // A state that is set is set again.
    let server = Server::start([error(400, "Throttling"), done("UpdateAccessKey")]).await;
    server
        .aws()
        .set_access_key_active(&key(), "x", "AKIA1", false)
        .await
        .unwrap();
    assert_eq!(server.asked().len(), 2);
    // It has an end.
    let server = Server::start((0..9).map(|_| answer(500, ""))).await;
    assert!(
        server
            .aws()
            .put_role_policy(&key(), "r", "p", "{}")
            .await
            .is_err()
    );
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn what_is_gone_counts_as_deleted_only_after_a_lost_answer() {
    let server = Server::start([Act::Cut, error(404, "NoSuchEntity")]).await;
    server
        .aws()
        .delete_access_key(&key(), "x", "AKIA1")
        .await
        .unwrap();
    // Surely not done by the first attempt: then it is somebody else's doing, or a wrong name.
    for first in [vec![], vec![error(400, "Throttling")]] {
        let server = Server::start(first.into_iter().chain([error(404, "NoSuchEntity")])).await;
        let gone = server
            .aws()
            .delete_access_key(&key(), "x", "AKIA1")
            .await
            .unwrap_err();
        assert!(gone.is_no_such_entity());
    }
}

#[tokio::test]
async fn a_key_is_dead_only_by_one_word() {
    let server = Server::start([error(403, "InvalidClientTokenId")]).await;
    let dead = server.aws().key_refused(&key()).await.unwrap();
    assert_eq!(
        (dead.value, dead.region.as_str()),
        (KeyState::Refused, "eu-west-1")
    );
    assert_eq!(dead.request_id.as_deref(), Some("q-403"));
    for (status, code) in [
        (400, "InvalidClientTokenId"),
        (403, "AccessDenied"),
        (403, "SignatureDoesNotMatch"),
        (403, "ExpiredToken"),
        (403, "InvalidAccessKeyId"),
    ] {
        let server = Server::start([error(status, code)]).await;
        let told = server.aws().key_refused(&key()).await.unwrap_err();
        assert_eq!(told.code(), Some(code));
    }
}

/// `Date` as a server writes it.
fn date_header(at: OffsetDateTime) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    format!("date: {}\r\n", at.format(&format).unwrap())
}

fn signed_at(asked: &Asked) -> OffsetDateTime {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let stamp = asked.header("x-amz-date").unwrap();
    time::PrimitiveDateTime::parse(stamp, &format)
        .unwrap()
        .assume_utc()
}

#[tokio::test]
async fn a_wrong_clock_is_put_right_by_aws() {
    let aws_now = OffsetDateTime::now_utc() + Duration::hours(3);
    let skewed = || {
        let Act::Answer(status, _, body) = error(403, "SignatureDoesNotMatch") else {
            unreachable!()
        };
        Act::Answer(status, date_header(aws_now), body)
    };
    // Refused for its time, made once more; a refused call did nothing, so this holds for every call.
    let server = Server::start([skewed(), done("PutRolePolicy"), done("PutRolePolicy")]).await;
    let aws = server.aws();
    aws.put_role_policy(&key(), "r", "p", "{}").await.unwrap();
    aws.put_role_policy(&key(), "r", "p", "{}").await.unwrap();
    let asked = server.asked();
    assert!((signed_at(&asked[0]) - OffsetDateTime::now_utc()).abs() < Duration::minutes(1));
    for later in &asked[1..] {
        assert!((signed_at(later) - aws_now).abs() < Duration::minutes(1));
    }
    // Only once, and only if the clock was the reason.
    let server = Server::start([skewed(), skewed(), skewed()]).await;
    assert!(server.aws().create_access_key(&key(), "x").await.is_err());
    assert_eq!(server.asked().len(), 2);
    let server = Server::start([error(403, "SignatureDoesNotMatch"), identity()]).await;
    assert!(server.aws().caller_identity(&key()).await.is_err());
    assert_eq!(server.asked().len(), 1);
    // The probe does the same.
    let Act::Answer(_, _, body) = regions() else {
        unreachable!()
    };
    let server = Server::start([skewed(), Act::Answer(200, date_header(aws_now), body)]).await;
    let seen = server
        .aws()
        .probe_session(&key(), "eu-west-1", ProbeAction::DescribeRegions)
        .await;
    assert!(matches!(seen, Observation::Allowed { .. }), "{seen:?}");
    assert!((signed_at(&server.asked()[1]) - aws_now).abs() < Duration::minutes(1));
}

#[tokio::test]
async fn aws_time_comes_from_any_answer() {
    let at = OffsetDateTime::from_unix_timestamp(1_795_341_600).unwrap();
    let server = Server::start([Act::Answer(403, date_header(at), "no".into())]).await;
    assert_eq!(server.aws().aws_time().await, Some(at));
    let asked = &server.asked()[0];
    assert_eq!(asked.header("authorization"), None);
    // The first Region says nothing: the second has its share of the two seconds.
    let server = Server::start([Act::Hang, Act::Answer(403, date_header(at), "no".into())]).await;
    assert_eq!(server.aws().aws_time().await, Some(at));
    let server = Server::start([Act::Hang, Act::Hang]).await;
    let before = std::time::Instant::now();
    assert_eq!(server.aws().aws_time().await, None);
    // Two seconds are its own; a server that hangs does so for ever.
    assert!(before.elapsed() < std::time::Duration::from_secs(30));
}

#[tokio::test]
async fn every_probe_has_a_connection_of_its_own_and_calls_share_one() {
    let server = Server::start([regions(), regions(), regions()]).await;
    let aws = server.aws();
    for region in ["eu-west-1", "eu-west-1", "us-east-2"] {
        let seen = aws
            .probe_session(&key(), region, ProbeAction::DescribeRegions)
            .await;
        assert!(matches!(seen, Observation::Allowed { .. }), "{seen:?}");
    }
    assert_eq!(server.connections(), 3);
    let asked = server.asked();
    assert_eq!(signed_for(&asked[2]), "us-east-2");
    assert_eq!(asked[0].body, "Action=DescribeRegions&Version=2016-11-15");
    let server = Server::start([identity(), identity(), identity()]).await;
    let aws = server.aws();
    for _ in 0..3 {
        aws.clone().caller_identity(&key()).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

/// Every call can run in a task of its own.
#[tokio::test]
async fn calls_can_be_spawned() {
    let server = Server::start([session(), identity(), regions(), done("DeleteRolePolicy")]).await;
    let aws = server.aws();
    tokio::spawn(async move {
        aws.assume_role(&key(), &ask()).await.unwrap();
        aws.key_refused(&key()).await.unwrap();
        aws.probe_session(&key(), "eu-west-1", ProbeAction::DescribeRegions)
            .await;
        aws.delete_role_policy(&key(), "r", "p").await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(server.asked().len(), 4);
}
