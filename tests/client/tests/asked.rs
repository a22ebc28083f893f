//! That it is built with everything else, for the tests that run it in a session, and says what it wants to be asked.

use std::process::Command;

#[test]
fn whoever_asks_for_nothing_is_told_what_there_is() {
    let done = Command::new(env!("CARGO_BIN_EXE_twotap-client"))
        .env_clear()
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("it runs");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert_eq!(done.stdout, b"");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(said, "say identity or users\n");
}
