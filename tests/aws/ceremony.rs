//! The six steps of a ceremony against the emulator: mint, make a second key, prove it, deactivate the first,
//! delete it, revoke one session and not another.

use time::{Duration, OffsetDateTime};
use twotap::aws::policy::{deny_all_policy, session_policy};
use twotap::aws::revocation::{parse_revocation_name, revocation_name, revocation_policy};
use twotap::aws::{
    Arn, AssumeRole, Aws, AwsError, Credentials, KeyState, Observation, PolicyVars, ProbeAction,
};

use crate::emulator::{EXTERNAL_ID, Emulator, USER};

const FIRST: &str = "r-2222222222222";
const SECOND: &str = "r-3333333333333";
const REGION: &str = "eu-west-1";

fn ask(role: &Arn, request: &str, policy: Option<String>) -> AssumeRole {
    AssumeRole {
        role: role.clone(),
        session_name: request.into(),
        source_identity: "dana".into(),
        external_id: Some(EXTERNAL_ID.into()),
        tags: vec![("twotap".into(), request.into())],
        transitive: vec!["twotap".into()],
        policy,
        duration_seconds: 3600,
    }
}

/// Allows reading one user's keys and the probe, until then.
fn policy(request: &str, not_after: OffsetDateTime) -> String {
    let template = serde_json::json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iam:ListAccessKeys", "Resource": "*"
    }});
    let vars = PolicyVars {
        subject: "cluster-7".into(),
        incident: "INC-42".into(),
        operator: "dana".into(),
        request: request.into(),
    };
    session_policy(&template, &vars, not_after, "ec2:DescribeRegions").unwrap()
}

async fn look(aws: &Aws, session: &Credentials) -> Observation {
    aws.probe_session(session, REGION, ProbeAction::DescribeRegions)
        .await
}

fn refusal(observation: &Observation) -> Option<&str> {
    match observation {
        Observation::Refused { code, .. } => Some(code),
        _ => None,
    }
}

#[tokio::test]
async fn mint_rotate_and_close() {
    let emulator = Emulator::start();
    let account = emulator.account().await;
    let aws = Aws::new(emulator.endpoints()).unwrap();
    let in_an_hour = OffsetDateTime::now_utc() + Duration::HOUR;

    // Who the sealed key is.
    let who = aws.caller_identity(&account.key).await.unwrap();
    assert_eq!(
        who.value.arn,
        format!("arn:aws:iam::000000000000:user/{USER}")
    );
    assert_eq!(
        (who.region.as_str(), who.value.account.as_str()),
        (REGION, "000000000000")
    );
    assert!(who.request_id.is_some() && who.date.is_some());

    // Mint two operators' sessions: the policy lets in what it names, and refuses what the role itself would allow.
    let mint = async |request| {
        let ask = ask(
            &account.operator,
            request,
            Some(policy(request, in_an_hour)),
        );
        aws.assume_role(&account.key, &ask).await.unwrap().value
    };
    let first = mint(FIRST).await;
    let second = mint(SECOND).await;
    assert_eq!(
        first.assumed_role_arn,
        format!("arn:aws:sts::000000000000:assumed-role/op-admin/{FIRST}")
    );
    let left = first.expires_at - OffsetDateTime::now_utc();
    assert!(
        left > Duration::minutes(59) && left <= Duration::minutes(61),
        "{left}"
    );
    let session = &first.credentials;
    assert!(matches!(
        look(&aws, session).await,
        Observation::Allowed { .. }
    ));
    aws.list_access_keys(session, USER).await.unwrap();
    let error = aws
        .list_role_policies(session, "op-admin")
        .await
        .unwrap_err();
    assert!(matches!(&error, AwsError::Refused(_)), "{error:?}");
    assert_eq!(error.code(), Some("AccessDenied"));
    let other = aws
        .probe_session(session, REGION, ProbeAction::ListAllMyBuckets)
        .await;
    assert_eq!(refusal(&other), Some("AccessDenied"), "{other:?}");

    // A second key, made by the first and proven by taking a role with a policy that denies everything.
    let new = aws
        .create_access_key(&account.key, USER)
        .await
        .unwrap()
        .value;
    let json: serde_json::Value = serde_json::from_str(&new.to_cli_json()).unwrap();
    assert_eq!(json["AccessKey"]["AccessKeyId"], new.access_key_id.as_str());
    assert_eq!(
        json["AccessKey"]["SecretAccessKey"],
        new.secret_access_key.as_str()
    );
    let new = new.credentials();
    let proof = ask(&account.operator, FIRST, Some(deny_all_policy()));
    let proof = aws.assume_role(&new, &proof).await.unwrap().value;
    assert_eq!(proof.assumed_role_arn, first.assumed_role_arn);
    assert_eq!(
        refusal(&look(&aws, &proof.credentials).await),
        Some("UnauthorizedOperation")
    );

    // The first key is deactivated by the second, seen dead, deleted, and still dead.
    let ids = async || -> Vec<(String, bool)> {
        let keys = aws.list_access_keys(&new, USER).await.unwrap().value;
        keys.into_iter()
            .map(|key| (key.access_key_id, key.active))
            .collect()
    };
    let old_id = account.key.access_key_id().to_owned();
    let new_id = new.access_key_id().to_owned();
    assert_eq!(ids().await.len(), 2);
    assert!(matches!(
        aws.key_refused(&account.key).await.unwrap().value,
        KeyState::Works(_)
    ));
    aws.set_access_key_active(&new, USER, &old_id, false)
        .await
        .unwrap();
    assert!(ids().await.contains(&(old_id.clone(), false)));
    assert_eq!(
        aws.key_refused(&account.key).await.unwrap().value,
        KeyState::Refused
    );
    aws.delete_access_key(&new, USER, &old_id).await.unwrap();
    assert_eq!(ids().await, [(new_id, true)]);
    assert_eq!(
        aws.key_refused(&account.key).await.unwrap().value,
        KeyState::Refused
    );
    assert!(matches!(
        aws.key_refused(&new).await.unwrap().value,
        KeyState::Works(_)
    ));
    let again = aws
        .delete_access_key(&new, USER, &old_id)
        .await
        .unwrap_err();
    assert!(again.is_no_such_entity(), "{again}");

    // The sessions outlive the key that minted them.
    assert!(matches!(
        look(&aws, session).await,
        Observation::Allowed { .. }
    ));

    // The steward revokes the first session by its tag; the second goes on.
    let steward = aws
        .assume_role(&new, &ask(&account.steward, FIRST, None))
        .await
        .unwrap()
        .value;
    let steward = &steward.credentials;
    let name = revocation_name(FIRST, first.expires_at).unwrap();
    let role = account.operator.role().unwrap().name;
    let document = revocation_policy(FIRST).unwrap();
    aws.put_role_policy(steward, role, &name, &document)
        .await
        .unwrap();
    let names = aws.list_role_policies(steward, role).await.unwrap().value;
    assert_eq!(
        names.iter().find_map(|n| parse_revocation_name(n)),
        Some((FIRST.to_owned(), first.expires_at))
    );
    for _ in 0..3 {
        assert_eq!(
            refusal(&look(&aws, session).await),
            Some("UnauthorizedOperation")
        );
    }
    let observed = look(&aws, session).await;
    assert!(
        matches!(
            &observed,
            Observation::Refused {
                request_id: Some(_),
                date: Some(_),
                ..
            }
        ),
        "{observed:?}"
    );
    assert!(matches!(
        look(&aws, &second.credentials).await,
        Observation::Allowed { .. }
    ));
    // A revoked session still has an identity: why that call is no probe.
    aws.caller_identity(session).await.unwrap();

    // Pruning takes the policy away again.
    aws.delete_role_policy(steward, role, &name).await.unwrap();
    assert!(matches!(
        look(&aws, session).await,
        Observation::Allowed { .. }
    ));

    // A steward has no key powers.
    let error = aws.create_access_key(steward, USER).await.err().unwrap();
    assert_eq!(error.code(), Some("AccessDenied"), "{error}");
}

#[tokio::test]
async fn the_box_and_the_door_hold() {
    let emulator = Emulator::start();
    let account = emulator.account().await;
    let aws = Aws::new(emulator.endpoints()).unwrap();
    let now = OffsetDateTime::now_utc();

    // After its end nothing is allowed, although STS's own time has not run out.
    let late = ask(
        &account.operator,
        FIRST,
        Some(policy(FIRST, now - Duration::minutes(1))),
    );
    let late = aws.assume_role(&account.key, &late).await.unwrap().value;
    assert!(late.expires_at > now + Duration::minutes(50));
    assert_eq!(
        refusal(&look(&aws, &late.credentials).await),
        Some("UnauthorizedOperation")
    );
    assert!(aws.list_access_keys(&late.credentials, USER).await.is_err());

    // A session cannot take another role.
    let open = ask(
        &account.operator,
        FIRST,
        Some(policy(FIRST, now + Duration::HOUR)),
    );
    let open = aws.assume_role(&account.key, &open).await.unwrap().value;
    let chained = aws
        .assume_role(&open.credentials, &ask(&account.operator, FIRST, None))
        .await;
    assert_eq!(chained.err().unwrap().code(), Some("AccessDenied"));

    // The role asks for the external id and the tag.
    let mut stranger = ask(&account.operator, FIRST, None);
    stranger.external_id = Some("somebody".into());
    let error = aws
        .assume_role(&account.key, &stranger)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, AwsError::Refused(_)), "{error:?}");
    let mut untagged = ask(&account.operator, FIRST, None);
    untagged.tags.clear();
    untagged.transitive.clear();
    let error = aws
        .assume_role(&account.key, &untagged)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), Some("AccessDenied"), "{error}");

    // A wrong secret is refused, and says nothing about the key.
    let id = account.key.access_key_id();
    let wrong = Credentials::new(id, "wrong-secret", None, None, "test");
    let error = aws.key_refused(&wrong).await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"), "{error}");
    assert!(!format!("{error:?}").contains("wrong-secret"));
    let session = Credentials::new(id, "wrong-secret", None, None, "test");
    assert!(matches!(
        look(&aws, &session).await,
        Observation::Inconclusive { .. }
    ));

    // A key that never was is refused as a dead one is; to a session's probe it says nothing.
    let nobody = Credentials::new("AKIAIOSFODNN7EXAMPLE", "x", None, None, "test");
    assert_eq!(
        aws.key_refused(&nobody).await.unwrap().value,
        KeyState::Refused
    );
    assert!(matches!(
        look(&aws, &nobody).await,
        Observation::Inconclusive { .. }
    ));

    // The other probe, where a profile names it.
    let template = serde_json::json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iam:ListAccessKeys", "Resource": "*"
    }});
    let vars = PolicyVars {
        subject: "cluster-7".into(),
        incident: "INC-42".into(),
        operator: "dana".into(),
        request: SECOND.into(),
    };
    let buckets = session_policy(
        &template,
        &vars,
        now + Duration::HOUR,
        "s3:ListAllMyBuckets",
    );
    let buckets = ask(&account.operator, SECOND, Some(buckets.unwrap()));
    let buckets = aws
        .assume_role(&account.key, &buckets)
        .await
        .unwrap()
        .value
        .credentials;
    let seen = aws
        .probe_session(&buckets, REGION, ProbeAction::ListAllMyBuckets)
        .await;
    assert!(matches!(seen, Observation::Allowed { .. }), "{seen:?}");
    assert_eq!(
        refusal(&look(&aws, &buckets).await),
        Some("UnauthorizedOperation")
    );

    // AWS's time.
    let time = aws.aws_time().await.unwrap();
    assert!((time - OffsetDateTime::now_utc()).abs() < Duration::MINUTE);
}
