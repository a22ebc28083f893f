//! The stock CLI's words, told apart; and a program that answers, stays away, says too much or takes too long.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

use super::*;

/// A program that is run in the place of `aws`.
pub(super) struct Stand {
    _folder: tempfile::TempDir,
    pub(super) program: std::path::PathBuf,
}

impl Stand {
    pub(super) fn of(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("aws");
        let beside = folder.path().join("half");
        fs::write(&beside, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).expect("set");
        // Copied by another process: none of this one's children can hold it open for writing when it is run.
        let copied = std::process::Command::new("cp")
            .args(["-p".as_ref(), beside.as_os_str(), program.as_os_str()])
            .status();
        assert!(copied.expect("cp").success());
        Self {
            _folder: folder,
            program,
        }
    }

    fn run(&self, aws: &Aws, arguments: &[&str]) -> Result<Vec<u8>, Failed> {
        aws.run_program(self.program.as_os_str(), arguments)
    }
}

fn aws() -> Aws {
    Aws::of(&Options::default())
}

#[test]
fn arguments_go_as_they_are_and_the_answer_comes_back() {
    let stand = Stand::of("for a; do printf '<%s>' \"$a\"; done; printf '[%s]' \"$AWS_PAGER\"");
    let options = Options {
        profile: Some("it's".to_owned()),
        region: Some("eu-central-1".to_owned()),
    };
    let aws = Aws::of(&options).in_region("us-east-1");
    let said = stand.run(&aws, &["sqs", "a b;$(id)"]).expect("answered");
    assert_eq!(
        String::from_utf8(said).expect("text"),
        "<sqs><a b;$(id)><--output><json><--profile><it's><--region><us-east-1>[]"
    );
}

#[test]
fn what_it_says_is_told_apart() {
    type Is = fn(&Failed) -> bool;
    let not_signed_in: Is = |why| matches!(why, Failed::NotSignedIn(_));
    let cases: [(&str, Is); 9] = [
        (
            "Unable to locate credentials. You can configure credentials by running \"aws configure\".",
            not_signed_in,
        ),
        (
            "Error when retrieving token from sso: Token has expired and refresh failed",
            not_signed_in,
        ),
        (
            "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token included in the request is expired",
            not_signed_in,
        ),
        (
            "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid.",
            not_signed_in,
        ),
        (
            "\nAn error occurred (AccessDenied) when calling the CreateQueue operation: User: arn:aws:iam::111122223333:user/sofia is not authorized to perform: sqs:CreateQueue on resource: arn:aws:sqs:eu-central-1:111122223333:q",
            |why| matches!(why, Failed::Refused { action, .. } if action == "sqs:CreateQueue"),
        ),
        (
            "Could not connect to the endpoint URL: \"http://127.0.0.1:1/\"",
            |why| matches!(why, Failed::Unreachable(_)),
        ),
        (
            "\naws: [ERROR]: An error occurred (NoSuchEntity) when calling the GetRole operation (reached max retries: 2): The role with name op-x cannot be found.",
            |why| {
                why.is("NoSuchEntity")
                    && matches!(why, Failed::Answered { operation, message, .. }
                        if operation == "GetRole" && message.starts_with("The role with"))
            },
        ),
        (
            "\nThe config profile (nobody) could not be found\n",
            |why| why.to_string() == "aws failed: The config profile (nobody) could not be found",
        ),
        ("", |why| {
            *why == Failed::Otherwise("it said nothing".to_owned())
        }),
    ];
    for (said, is) in cases {
        let why = failure(said);
        assert!(is(&why), "{said}: {why:?}");
        assert!(!why.to_string().contains('\n'), "{why}");
    }
}

#[test]
fn a_failure_has_its_exit_code_and_a_hint() {
    for (said, code, hint) in [
        ("Unable to locate credentials", Code::AwsRefused, "sign in"),
        (
            "Could not connect to the endpoint URL: x",
            Code::AwsUnreachable,
            "network",
        ),
        ("usage: aws", Code::Usage, "aws configure"),
    ] {
        let stand = Stand::of(&format!("echo '{said}' >&2; exit 253"));
        let problem = Problem::from(stand.run(&aws(), &["x"]).expect_err("failed"));
        assert_eq!(problem.code, code, "{said}");
        assert!(problem.error.contains(said), "{problem}");
        assert!(problem.hint.is_some_and(|h| h.contains(hint)), "{said}");
    }
}

#[test]
fn a_program_that_is_not_there_or_takes_too_long() {
    let missing = aws().run_program(OsStr::new("/nonexistent/aws"), &["x"]);
    assert!(matches!(missing, Err(Failed::NotInstalled(_))));

    let stand = Stand::of("sleep 60");
    let mut hurried = aws();
    hurried.time = Duration::from_millis(100);
    let begun = Instant::now();
    let late = stand.run(&hurried, &["x"]);
    assert_eq!(late, Err(Failed::TooLong(hurried.time)));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_it_started_does_not_hold_the_answer() {
    let stand = Stand::of("mkfifo \"$0.hold\"; printf ok; cat \"$0.hold\" & exit 0");
    let begun = Instant::now();
    let said = stand.run(&aws(), &["x"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    // What was left running ends here, whatever came out.
    fs::write(stand.program.with_file_name("aws.hold"), "").expect("let go");
    assert_eq!(said, Ok(b"ok".to_vec()));
}
