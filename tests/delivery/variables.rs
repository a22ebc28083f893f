//! `twotap env`: variables on demand, each time on record, and never on a screen by accident.

use std::path::Path;

use serde_json::Value;
use twotap_rig::Terminal;

use crate::{
    agent_support::{ALICE, DANA, worker::session},
    bench::{Desk, done, err, out},
};

#[test]
fn a_shell_gets_the_session_and_gives_it_up_again() {
    let desk = Desk::new();
    let script = r#"
        AWS_PROFILE=mine; export AWS_PROFILE
        eval "$(twotap env)" || exit 1
        printf '%s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" "$AWS_CREDENTIAL_EXPIRATION" "$AWS_REGION" "${AWS_PROFILE-none}"
        eval "$(twotap env --unset)"
        env | grep -c ^AWS_
    "#;
    let ran = done(desk.shell(script));
    let request = desk.request();
    let minted = session(&request).targets.remove(0);
    let printed = out(&ran);
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            &minted.access_key_id,
            &*minted.secret_access_key,
            &*minted.session_token,
            &request.not_after.to_string(),
            &request.regions[0],
            "none",
            "0"
        ],
        "{}",
        err(&ran)
    );
    // It says what it means, where the shell does not read it.
    let said = err(&ran);
    assert!(
        said.starts_with("warning: these variables are the session"),
        "{said}"
    );
    assert!(said.contains("nothing renews it"), "{said}");
    assert!(!said.contains(&*minted.secret_access_key));

    // As one object for programs; and each time stands in the record, within one minute as well.
    let ran = done(desk.twotap(&["env", &desk.view.id, "--json"]));
    let object: Value = serde_json::from_str(&out(&ran)).expect("one object");
    assert_eq!(object["set"]["AWS_SESSION_TOKEN"], *minted.session_token);
    assert_eq!(object["unset"][0], "AWS_PROFILE");
    assert_eq!(desk.forms(), ["environment", "environment"]);
    let record = desk.host.get(DANA, "/v1/audit/events").body;
    let record = String::from_utf8_lossy(&record);
    assert!(!record.contains(&*minted.secret_access_key));

    // Not for anybody else.
    let alice = desk.by(
        ALICE,
        "setsid",
        &desk.host.path("twotap"),
        &["env", &desk.view.id],
    );
    let refused = done(alice);
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    assert!(refused.stdout.is_empty());
    assert_eq!(desk.forms().len(), 2);
}

#[test]
fn a_screen_shows_the_session_only_if_that_was_said() {
    let desk = Desk::new();
    let minted = session(&desk.request()).targets.remove(0);
    let at_terminal = |args: &[&str]| {
        let twotap = desk.host.path("twotap");
        let command = desk.by(DANA, "setsid --ctty --wait", Path::new(&twotap), args);
        Terminal::start(command).expect("a terminal").end()
    };
    let (code, screen) = at_terminal(&["env"]);
    assert_eq!(code, Some(2), "{screen}");
    assert!(screen.contains("readable on the terminal"), "{screen}");
    assert!(screen.contains("hint: eval"), "{screen}");
    assert!(!screen.contains(&*minted.secret_access_key), "{screen}");
    assert!(desk.deliveries().is_empty(), "and nothing was delivered");
    let (code, screen) = at_terminal(&["env", "--show"]);
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains(&*minted.secret_access_key), "{screen}");
    assert_eq!(desk.forms(), ["environment"]);
}
