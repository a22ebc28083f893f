//! Notes in a session.

use twotap::{ceremony::Stage, protocol::recording::Note, trust::roster::Recording};

use crate::{
    agent_support::{ALICE, DANA, SOFIA, STRANGER},
    bench::{Bench, text},
};

#[test]
fn a_note_is_an_action_on_record() {
    let bench = Bench::new(Recording::Wanted);
    let output = bench.run("dana", &["note", "restarted the primary: €"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut shell = bench.shell();
    let twotap = bench.host.path("twotap");
    shell.press(&format!("{} note 'from inside'\r", twotap.display()));
    shell.until("noted as event");
    shell.press("exit\r");
    assert_eq!(shell.end().0, Some(0));

    let actions = bench.host.events_named("BREAK_GLASS_ACTION");
    let notes: Vec<_> = actions.iter().map(|e| &e.what["note"]).collect();
    assert_eq!(notes, ["restarted the primary: €", "from inside"]);
    for action in &actions {
        assert_eq!(
            (action.actor.as_str(), action.action.as_str()),
            ("dana", "note")
        );
        assert_eq!(action.correlation_id.as_ref(), Some(&bench.id));
        assert!(
            action
                .who
                .as_ref()
                .is_some_and(|who| who.starts_with("uid:61010@"))
        );
        assert!(action.justification.is_some());
    }
    let progress = bench.view().progress;
    assert!(
        progress
            .iter()
            .any(|p| p.step == "note" && p.text == "dana: from inside")
    );

    let path = format!("/v1/requests/{}/notes", bench.id);
    let of = |text: &str| Note {
        text: text.to_owned(),
    };
    let before = bench.host.events().len();
    for bad in [
        "",
        "  ",
        "two\nlines",
        "\u{1b}[2J",
        "a\u{202e}b",
        &"x".repeat(1001),
    ] {
        let reply = bench.host.call(DANA, "POST", &path, &of(bad));
        assert_eq!(reply.status, 400, "{bad:?}");
    }
    for uid in [ALICE, SOFIA, STRANGER] {
        assert_eq!(bench.host.call(uid, "POST", &path, &of("x")).status, 403);
    }
    assert_eq!(bench.host.events().len(), before);
    // They stand in the request's row, which does not grow without end.
    for n in notes.len()..200 {
        let reply = bench.host.call(DANA, "POST", &path, &of("x"));
        assert_eq!(reply.status, 200, "{n}");
    }
    assert_eq!(
        bench.host.call(DANA, "POST", &path, &of("more")).status,
        403
    );
    bench.host.close(DANA, &bench.id, false);
    bench.host.reach(&bench.id, Stage::Closed);
    assert_eq!(
        bench.host.call(DANA, "POST", &path, &of("late")).status,
        403
    );
}
