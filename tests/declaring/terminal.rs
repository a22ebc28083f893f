//! At a terminal: what is not given is asked for, and the request is followed until its session is open.

use twotap::protocol::socket::Stage;
use twotap_rig::Terminal;

use crate::{
    bench::DANA,
    desk::Desk,
    paper::{PII, REASON, confirmed, with_scenarios},
};

/// `twotap request ARGS` by dana, at a terminal of her own.
fn at_terminal(desk: &Desk, args: &[&str]) -> Terminal {
    let all = [&["request"], args].concat();
    let mut command = desk.bench.at_terminal(DANA, &all);
    command.env("TERM", "xterm");
    Terminal::start(command).expect("a terminal")
}

/// Answers questions in turn; each is on the screen before it is answered.
fn answer(terminal: &mut Terminal, questions: &[(&str, &str)]) {
    for (question, answer) in questions {
        terminal.answer(question, answer);
    }
}

/// Up to the end of the questions about `pii-access`.
const LOOKUP: [(&str, &str); 9] = [
    ("incident id (e.g. INC-42): ", "SUP-7"),
    ("scenario (outage, pii-access): ", "2"),
    ("why (20 characters or more): ", REASON),
    ("how long (Enter for 1 h, at most 1 h): ", "20m"),
    ("who authorised it (ivan; Enter for nobody): ", ""),
    ("whom or what it is about (like u-[0-9]+): ", "u-4711"),
    ("this is no routine change (yes/no) ", "yes"),
    (
        "this is not done because it would be quicker (yes/no) ",
        "yes",
    ),
    ("this gets around nobody's review (yes/no) ", "yes"),
];

#[test]
fn what_is_asked_shows_the_choices_and_ends_in_the_session() {
    let desk = Desk::new();
    let mut dana = at_terminal(&desk, &[]);
    answer(&mut dana, &LOOKUP);
    dana.until("waiting for approvals: 0 of 2");
    for shown in [
        "request for vault prod",
        "  1  outage",
        "access admin; 2 h, at most 4 h; review 24 h after its end",
        "needs a commander, a ticket like INC-[0-9]+, a reason of 20 characters",
        "checks down, merged (advisory)",
        "  2  pii-access",
        "needs a subject",
        "scenario     pii-access",
        "subject      u-4711",
        "  words  ",
        " left (Ctrl-C leaves it waiting)",
    ] {
        assert!(dana.seen().contains(shown), "{shown}: {}", dana.seen());
    }
    let request = desk.asked().expect("asked");
    assert_eq!(request.scenario.as_deref(), Some("pii-access"));
    assert_eq!(request.access, "one-user");
    assert_eq!(request.subject.as_deref(), Some("u-4711"));
    assert_eq!(request.confirmed, confirmed());
    assert_eq!(request.commander_claimed, None);
    assert_eq!(request.not_before.until(request.not_after), 20 * 60);

    desk.goes_on(Stage::Requested, &["alice"]);
    dana.until("approved by alice");
    dana.until("waiting for approvals: 1 of 2");
    desk.goes_on(Stage::Approved, &["alice", "bob"]);
    dana.until("waiting for the session to be opened");
    desk.goes_on(Stage::Open, &["alice", "bob"]);
    let (code, screen) = dana.end();
    assert_eq!(code, Some(0), "{screen}");
    let (_, session) = screen
        .split_once(&format!("session {} is open", request.id))
        .unwrap_or_else(|| panic!("no session: {screen}"));
    for shown in [
        "one-user as arn:aws:iam::111122223333:role/twotap/op-admin",
        "u-4711",
        "alice, bob",
        "due 24 h after its end",
        "twotap exec r-",
        "twotap close r-",
    ] {
        assert!(session.contains(shown), "{shown}: {session}");
    }
}

#[test]
fn a_bad_answer_is_asked_again_and_the_third_is_the_last() {
    let desk = Desk::new();
    let given = [
        "prod",
        "--scenario",
        "outage",
        "--commander",
        "ivan",
        "--not-for",
        "routine-change,expediency,avoiding-review",
    ];
    let mut dana = at_terminal(&desk, &given);
    // What is typed before a question is put is thrown away: the one after a refusal is waited for as well.
    answer(
        &mut dana,
        &[
            ("incident id (e.g. INC-42): ", "CHG-1"),
            (
                "scenario outage needs a ticket; CHG-1 is none\r\nincident id (like INC-[0-9]+): ",
                "INC-1 ",
            ),
            ("why (20 characters or more): ", "down"),
            (
                "that has 4 characters, and 20 are asked for\r\nwhy (20 characters or more): ",
                REASON,
            ),
            ("how long (Enter for 2 h, at most 4 h): ", "5h"),
            (
                "lasts 1 minute to 240 minutes\r\nhow long (Enter for 2 h, at most 4 h): ",
                "",
            ),
        ],
    );
    dana.until("waiting for approvals");
    let request = desk.asked().expect("asked");
    assert_eq!(request.incident, "INC-1");
    assert_eq!(request.not_before.until(request.not_after), 2 * 3600);
    desk.goes_on(Stage::Denied, &[]);
    let (code, screen) = dana.end();
    assert_eq!(code, Some(4), "{screen}");
    assert!(screen.contains("the request was denied"), "{screen}");

    let desk = Desk::new();
    let mut dana = at_terminal(&desk, &["prod"]);
    dana.until("incident id");
    dana.press("INC-1\r");
    dana.until("scenario (outage, pii-access): ");
    for wrong in ["fun", "0"] {
        dana.press(&format!("{wrong}\r"));
        dana.until(&format!(
            "{wrong}\r\nit is one of outage, pii-access\r\nscenario (outage, pii-access): "
        ));
    }
    dana.press("3\r");
    let (code, screen) = dana.end();
    assert_eq!(code, Some(2), "{screen}");
    assert!(
        screen.contains("it is one of outage, pii-access"),
        "{screen}"
    );
    assert!(
        screen.contains("there was no good answer to: scenario"),
        "{screen}"
    );
    assert_eq!(desk.asked(), None);
}

#[test]
fn who_cannot_confirm_asks_nobody() {
    let desk = Desk::new();
    // What is neither yes nor no is asked for again, three times in all.
    for (at, no) in [
        (6, &["no"][..]),
        (7, &["y", "no"]),
        (8, &["", "Yes", "sure"]),
    ] {
        let mut dana = at_terminal(&desk, &["prod"]);
        answer(&mut dana, &LOOKUP[..at]);
        dana.until(LOOKUP[at].0);
        dana.press(&format!("{}\r", no[0]));
        for (before, no) in no.iter().zip(&no[1..]) {
            dana.until(&format!("{before}\r\r\ntype yes in full, or no (yes/no) "));
            dana.press(&format!("{no}\r"));
        }
        let (code, screen) = dana.end();
        assert_eq!(code, Some(3), "{screen}");
        assert!(screen.contains("it was not confirmed that"), "{screen}");
        assert_eq!(desk.asked(), None);
    }
    // Ctrl-D at a question, and Ctrl-C at another.
    let mut left = at_terminal(&desk, &["prod"]);
    left.until("incident id");
    left.press("\u{4}");
    let (code, screen) = left.end();
    assert_eq!(
        (code, screen.contains("broken off")),
        (Some(3), true),
        "{screen}"
    );
    let mut left = at_terminal(&desk, &["prod"]);
    left.until("incident id");
    left.press("\u{3}");
    assert_ne!(left.end().0, Some(0));
    assert_eq!(desk.asked(), None);
}

#[test]
fn what_is_given_whole_is_not_asked_and_waits_unless_told_otherwise() {
    let desk = Desk::new();
    let whole = [&["prod"], &PII[..]].concat();
    let no_wait = at_terminal(&desk, &[&whole[..], &["--no-wait"]].concat());
    let (code, screen) = no_wait.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains("waiting for approvals"), "{screen}");
    assert!(!screen.contains("(yes/no)"), "{screen}");

    let mut waits = at_terminal(&desk, &whole);
    waits.until("waiting for approvals: 0 of 2");
    desk.goes_on(Stage::Expired, &[]);
    let (code, screen) = waits.end();
    assert_eq!(code, Some(4), "{screen}");
    assert!(
        screen.contains("ask anew, and call the custodians first"),
        "{screen}"
    );
}

#[test]
fn where_there_is_one_scenario_enter_takes_it() {
    let desk = Desk::of(|roster| {
        with_scenarios(roster);
        roster.scenarios.truncate(1);
    });
    let mut dana = at_terminal(&desk, &["prod"]);
    dana.until("incident id");
    dana.press("INC-1\r");
    dana.until("scenario (Enter for outage): ");
    dana.press("fun\r");
    dana.until("there is only outage\r\nscenario (Enter for outage): ");
    dana.press("\r");
    dana.until("why (20 characters or more): ");
    dana.press("\u{3}");
    let (code, screen) = dana.end();
    assert_ne!(code, Some(0), "{screen}");
    assert_eq!(desk.asked(), None);
}
