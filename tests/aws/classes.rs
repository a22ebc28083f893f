//! AWS's bad days, told apart by what they mean: surely nothing happened, or it may have.

use twotap::aws::{AwsError, Observation, ProbeAction};

use crate::wire::{Act, Server, answer, aws_at, done, error, key, regions};

/// The class, its code, and whether it may have happened, of a call that is never repeated.
async fn class_of(act: Act) -> (&'static str, Option<String>, bool) {
    let server = Server::start([act]).await;
    let error = server
        .aws()
        .create_access_key(&key(), "x")
        .await
        .err()
        .unwrap();
    assert_eq!(server.asked().len(), 1, "sent more than once: {error}");
    let shown = format!("{error} {error:?} {:?}", error.hint());
    assert!(
        !shown.contains("key-secret") && !shown.contains('\n'),
        "{shown}"
    );
    (
        class(&error),
        error.code().map(Into::into),
        error.may_have_acted(),
    )
}

fn class(error: &AwsError) -> &'static str {
    match error {
        AwsError::Config(_) => "config",
        AwsError::Limit(_) => "limit",
        AwsError::Unreachable { .. } => "unreachable",
        AwsError::Lost { .. } => "lost",
        AwsError::Throttled(_) => "throttled",
        AwsError::Refused(_) => "refused",
        AwsError::Invalid(_) => "invalid",
        AwsError::Server(_) => "server",
        AwsError::Malformed(_) => "malformed",
    }
}

#[tokio::test]
async fn answers_are_told_apart() {
    for (act, wanted, acted) in [
        (
            error(400, "Throttling"),
            ("throttled", Some("Throttling")),
            false,
        ),
        (
            error(503, "ServiceUnavailable"),
            ("server", Some("ServiceUnavailable")),
            true,
        ),
        (answer(500, "<html>oops</html>"), ("server", None), true),
        (answer(502, ""), ("server", None), true),
        (
            error(400, "ExpiredToken"),
            ("refused", Some("ExpiredToken")),
            false,
        ),
        (
            error(403, "AccessDenied"),
            ("refused", Some("AccessDenied")),
            false,
        ),
        (
            error(403, "InvalidClientTokenId"),
            ("refused", Some("InvalidClientTokenId")),
            false,
        ),
        (
            error(403, "SignatureDoesNotMatch"),
            ("refused", Some("SignatureDoesNotMatch")),
            false,
        ),
        (
            error(409, "LimitExceeded"),
            ("invalid", Some("LimitExceeded")),
            false,
        ),
        (
            error(404, "NoSuchEntity"),
            ("invalid", Some("NoSuchEntity")),
            false,
        ),
        (
            answer(200, "<CreateAccessKeyResponse><Cre"),
            ("malformed", None),
            true,
        ),
        (
            answer(200, "welcome to the hotel"),
            ("malformed", None),
            true,
        ),
        (done("CreateAccessKey"), ("malformed", None), true),
        (
            answer(403, "<html>the proxy says no</html>"),
            ("malformed", None),
            true,
        ),
        (answer(302, ""), ("malformed", None), true),
        (Act::Cut, ("lost", None), true),
        (Act::Stutter, ("lost", None), true),
        (Act::Hang, ("lost", None), true),
    ] {
        let (class, code, may_have_acted) = class_of(act).await;
        assert_eq!(((class, code.as_deref()), may_have_acted), (wanted, acted));
    }
}

#[tokio::test]
async fn nobody_there_means_nothing_happened() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let aws = aws_at(port);
    let error = aws.create_access_key(&key(), "x").await.err().unwrap();
    assert!(!error.may_have_acted());
    assert_eq!(
        error.to_string(),
        format!("iam:CreateAccessKey: 127.0.0.1:{port} could not be reached: connection refused")
    );
    assert!(error.hint().is_some());
    let seen = aws
        .probe_session(&key(), "eu-west-1", ProbeAction::DescribeRegions)
        .await;
    assert!(
        matches!(&seen, Observation::Inconclusive { why } if why.contains("no connection")),
        "{seen:?}"
    );
    assert_eq!(aws.aws_time().await, None);
}

#[tokio::test]
async fn a_handshake_without_end_means_nothing_happened() {
    let server = Server::start([Act::Hang]).await;
    let authority = crate::tls::authority();
    let aws = twotap::aws::Aws::new(twotap::aws::Endpoints {
        override_url: Some(format!("https://127.0.0.1:{}", server.port)),
        ca_file: Some(authority.file.clone()),
        timeouts: twotap::aws::Timeouts {
            connect: std::time::Duration::from_millis(200),
            ..twotap::aws::Timeouts::default()
        },
        ..twotap::aws::Endpoints::commercial(["eu-west-1"])
    })
    .unwrap();
    let error = aws.create_access_key(&key(), "x").await.err().unwrap();
    assert!(
        matches!(&error, AwsError::Unreachable { why, .. } if why.contains("timed out")),
        "{error}"
    );
}

async fn observed(act: Act) -> Observation {
    let server = Server::start([act]).await;
    let seen = server
        .aws()
        .probe_session(&key(), "eu-west-1", ProbeAction::DescribeRegions)
        .await;
    assert_eq!(server.asked().len(), 1);
    seen
}

#[tokio::test]
async fn a_probe_believes_only_a_clear_answer() {
    let ec2 = |status, code: &str| {
        answer(
            status,
            &format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>"),
        )
    };
    assert!(matches!(
        observed(regions()).await,
        Observation::Allowed { .. }
    ));
    for code in [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
    ] {
        let seen = observed(ec2(403, code)).await;
        assert_eq!(
            seen,
            Observation::Refused {
                code: code.into(),
                request_id: Some("q-403".into()),
                date: None
            }
        );
    }
    for act in [
        ec2(403, "ExpiredToken"),
        ec2(400, "RequestExpired"),
        ec2(403, "InvalidClientTokenId"),
        ec2(401, "AuthFailure"),
        ec2(403, "SignatureDoesNotMatch"),
        ec2(503, "RequestLimitExceeded"),
        ec2(500, "UnauthorizedOperation"),
        answer(403, "<html>AccessDenied</html>"),
        answer(200, "<html>welcome to the hotel</html>"),
        answer(200, "<DescribeRegionsResponse><regionInfo>"),
        answer(
            200,
            &format!(
                "<DescribeRegionsResponse>{}</DescribeRegionsResponse>",
                "x".repeat(300_000)
            ),
        ),
        Act::Cut,
        Act::Stutter,
        Act::Hang,
    ] {
        let seen = observed(act).await;
        assert!(matches!(seen, Observation::Inconclusive { .. }), "{seen:?}");
    }
}
