use super::*;

const WHO: &str = "arn:aws:sts::111122223333:assumed-role/op-support/dana";

fn refused(text: &str) -> Refused {
    match read(text) {
        Some(Said::Refused(refused)) => refused,
        other => panic!("{text}: {other:?}"),
    }
}

/// Sentences as services and clients write them.
#[test]
fn what_aws_says_is_taken_apart() {
    let cli = format!(
        "\nAn error occurred (AccessDenied) when calling the GetObject operation: User: {WHO} is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::data/users/u-43/a.txt\" because no session policy allows the s3:GetObject action\n"
    );
    assert_eq!(
        refused(&cli),
        Refused {
            action: Some("s3:GetObject".to_owned()),
            operation: Some("GetObject".to_owned()),
            resource: Some("arn:aws:s3:::data/users/u-43/a.txt".to_owned()),
            principal: Some(WHO.to_owned()),
            because: Because::SessionSilent,
        }
    );
    for (why, because) in [
        (
            " with an explicit deny in a session policy",
            Because::SessionDenies,
        ),
        (
            " because no identity-based policy allows the x:Y action",
            Because::RoleSilent,
        ),
        (
            " with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/x",
            Because::RoleDenies,
        ),
        (
            " because no permissions boundary allows the x:Y action",
            Because::Boundary,
        ),
        (
            " with an explicit deny in a service control policy",
            Because::Organisation,
        ),
        (
            " because no resource-based policy allows the x:Y action",
            Because::Resource,
        ),
        ("", Because::Unsaid),
    ] {
        let text = format!(
            "botocore.exceptions.ClientError: An error occurred (AccessDeniedException) when calling the GetItem operation: User: {WHO} is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/users{why}"
        );
        let found = refused(&text);
        assert_eq!(found.because, because, "{why}");
        assert_eq!(
            found.resource.as_deref(),
            Some("arn:aws:dynamodb:eu-central-1:111122223333:table/users")
        );
    }
    // XML, as an SDK shows it raw; and without a resource.
    let xml = format!(
        "<Error><Code>AccessDenied</Code><Message>User: {WHO} is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/x</Message></Error>"
    );
    assert_eq!(
        refused(&xml).resource.as_deref(),
        Some("arn:aws:iam::1:role/x")
    );
    let bare = format!(
        "You are not authorized to perform this operation. User: {WHO} is not authorized to perform: ec2:DescribeInstances because no session policy allows the ec2:DescribeInstances action"
    );
    assert_eq!(
        refused(&bare).action.as_deref(),
        Some("ec2:DescribeInstances")
    );
    assert_eq!(refused(&bare).because, Because::SessionSilent);
}

#[test]
fn where_aws_says_little_the_operation_tells() {
    for (text, action) in [
        (
            "An error occurred (AccessDenied) when calling the ListObjectsV2 operation: Access Denied",
            Some("s3:ListBucket"),
        ),
        (
            "fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden",
            Some("s3:GetObject"),
        ),
        (
            "An error occurred (UnauthorizedOperation) when calling the StopInstances operation: You are not authorized to perform this operation.",
            Some("ec2:StopInstances"),
        ),
        (
            "An error occurred (AccessDeniedException) when calling the PutParameter operation: no",
            None,
        ),
        ("AccessDenied: Access Denied", None),
    ] {
        let found = refused(text);
        assert_eq!(found.action.as_deref(), action, "{text}");
        assert_eq!(found.because, Because::Unsaid);
    }
}

#[test]
fn the_last_word_counts_and_other_ends_are_told_apart() {
    let denied =
        "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied\n";
    let expired = "An error occurred (ExpiredToken) when calling the GetObject operation: The provided token has expired.\n";
    assert_eq!(read(&format!("{denied}{expired}")), Some(Said::Expired));
    assert!(matches!(
        read(&format!("{expired}{denied}")),
        Some(Said::Refused(_))
    ));
    for (text, said) in [
        (
            "UnrecognizedClientException: The security token included in the request is invalid.",
            Said::Unknown,
        ),
        (
            "An error occurred (InvalidClientTokenId) when calling",
            Said::Unknown,
        ),
        (
            "RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
            Said::Clock,
        ),
    ] {
        assert_eq!(read(text), Some(said), "{text}");
    }
    for text in [
        "",
        "No such file or directory",
        "Unable to locate credentials",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    // Only its end is looked at, and a letter is not cut in two.
    let long = format!("{denied}{}", "ü".repeat(MAX_TEXT));
    assert_eq!(read(&long), None);
    assert!(read(&format!("x{long}{denied}")).is_some());
}
