use super::*;

fn target() -> Target {
    Target {
        region: "eu-west-1".into(),
        url: "https://sts.eu-west-1.amazonaws.com".into(),
    }
}

fn class(status: u16, code: Option<&str>) -> AwsError {
    answered(
        "sts:AssumeRole",
        &target(),
        status,
        code,
        "words",
        &Seen::default(),
    )
}

#[test]
fn status_and_code_give_the_class() {
    use AwsError::*;
    for (status, code, wanted) in [
        (400, Some("Throttling"), "throttled"),
        (429, None, "throttled"),
        (503, Some("SlowDown"), "throttled"),
        (503, Some("ServiceUnavailable"), "server"),
        (500, None, "server"),
        (403, Some("AccessDenied"), "refused"),
        (403, Some("InvalidClientTokenId"), "refused"),
        (400, Some("ExpiredTokenException"), "refused"),
        (400, Some("IncompleteSignature"), "refused"),
        (404, Some("NoSuchEntity"), "invalid"),
        (409, Some("LimitExceeded"), "invalid"),
        (400, Some("PackedPolicyTooLarge"), "invalid"),
        (403, None, "malformed"),
        (200, None, "malformed"),
        (302, Some("AccessDenied"), "malformed"),
    ] {
        let found = match class(status, code) {
            Throttled(_) => "throttled",
            Refused(_) => "refused",
            Invalid(_) => "invalid",
            Server(_) => "server",
            Malformed(_) => "malformed",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, wanted, "{status} {code:?}");
    }
}

#[test]
fn what_was_signed_is_not_repeated() {
    let error = answered(
        "sts:AssumeRole",
        &target(),
        403,
        Some("SignatureDoesNotMatch"),
        "The Canonical String should have been 'x-amz-security-token:FwoGZXIvYXdzE'",
        &Seen::default(),
    );
    assert!(!format!("{error} {error:?}").contains("FwoG"));
    assert_eq!(
        error.to_string(),
        "sts:AssumeRole: aws in eu-west-1 refused: SignatureDoesNotMatch"
    );
}

#[test]
fn messages_are_one_short_line() {
    let error = answered(
        "iam:PutRolePolicy",
        &target(),
        403,
        Some("AccessDenied"),
        &format!("no\n\u{1b}[31m{}", "x".repeat(5000)),
        &Seen::default(),
    );
    let text = error.to_string();
    assert!(text.len() < 500);
    assert!(!text.contains(['\n', '\u{1b}']));
}
