//! At a terminal: which of several requests, and what stands on the screen before anybody taps.

use twotap_rig::{Site, Terminal};

use crate::ready;

/// `twotap` at a terminal of its own.
fn at_terminal(site: &Site, name: &str, args: &[&str]) -> Terminal {
    Terminal::of(site.twotap(name, args).expect("a person")).expect("a terminal")
}

#[test]
fn of_several_requests_one_is_chosen_by_its_number_or_id() {
    let site = ready();
    let first = site
        .request("INC-1", "the database is down")
        .expect("asked");
    let second = site.request("INC-2", "the queue is full").expect("asked");

    let mut none = at_terminal(&site, "alice", &["approve"]);
    none.until("which one? (number or id) ");
    for text in ["the database is down", "the queue is full", &first.id] {
        assert!(none.seen().contains(text), "{}", none.seen());
    }
    none.press("3\r");
    let (code, screen) = none.end();
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("none of them was chosen"), "{screen}");

    let mut chosen = at_terminal(&site, "alice", &["approve"]);
    chosen.until("which one? (number or id) ");
    chosen.press(&format!("{}\r", second.id));
    chosen.until("read the same six words? (yes/no) ");
    for text in [
        "request ",
        &second.words,
        "unusual about it",
        "it is the first request by dana",
        "the agent says: dana asks for something at this moment as well",
    ] {
        assert!(chosen.seen().contains(text), "{text}: {}", chosen.seen());
    }
    site.tap("alice", 1).expect("a finger");
    chosen.press("yes\r");
    chosen.until("tries left): ");
    chosen.press("271828\r");
    let (code, screen) = chosen.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(
        site.view(&second).expect("there")["approved_by"],
        serde_json::json!(["alice"])
    );

    // The one that is left needs no choice, and is no longer the first.
    let mut left = at_terminal(&site, "alice", &["approve"]);
    left.until("read the same six words? (yes/no) ");
    assert!(left.seen().contains(&first.words), "{}", left.seen());
    assert!(
        !left.seen().contains("it is the first request"),
        "{}",
        left.seen()
    );
    left.press("no\r");
    assert_eq!(left.end().0, Some(3));
}

#[test]
fn a_roster_change_is_read_in_plain_words_before_it_is_approved() {
    let site = ready();
    site.propose("roster-2.json", &["--accept-risk", "YSA-2024-03"])
        .expect("proposed");
    for name in ["alice", "bob"] {
        site.sign(name, "roster-2.json").expect("signed");
    }
    let change = site.submit("roster-2.json").expect("handed in");
    let mut shown = at_terminal(&site, "bob", &["approve"]);
    shown.until("read the same six words? (yes/no) ");
    for text in [
        "NO SESSION: nobody gets any access by this",
        "roster version 2; the key is sealed anew under it",
        "widens  advisory YSA-2024-03 is accepted",
        "when this is taken up the key is rotated",
        &change.words,
    ] {
        assert!(shown.seen().contains(text), "{text}: {}", shown.seen());
    }
    shown.press("no\r");
    assert_eq!(shown.end().0, Some(3));
}

#[test]
fn of_two_groups_the_one_that_is_missing_is_named_to_everybody() {
    let site = ready();
    let groups = ["--group", "security:1:alice", "--group", "platform:1:bob"];
    let proposed = site.propose("roster-2.json", &groups).expect("proposed");
    let told = proposed["changes"].to_string();
    assert!(
        told.contains("one of security (alice) has to approve"),
        "{told}"
    );
    for name in ["alice", "bob"] {
        site.sign(name, "roster-2.json").expect("signed");
    }
    let change = site.submit("roster-2.json").expect("handed in");
    for name in ["alice", "bob"] {
        site.approve(name, &change).expect("approved");
    }
    site.wait_until_taken_up(&change).expect("taken up");

    let request = site
        .request("INC-1", "the database is down")
        .expect("asked");
    site.approve("alice", &request).expect("approved");
    let status = site.twotap("dana", &["status"]).expect("dana");
    let status = status.ok().expect("a status").stdout;
    for text in [
        "one of security (alice) and one of platform (bob)",
        "1 of 2; still needed: one of platform: alice",
    ] {
        assert!(status.contains(text), "{text}: {status}");
    }
    let mut shown = at_terminal(&site, "bob", &["approve", &request.id]);
    shown.until("read the same six words? (yes/no) ");
    for text in [
        "2 custodians: one of security and one of platform",
        "approved so far by alice; still needed: one of platform",
    ] {
        assert!(shown.seen().contains(text), "{text}: {}", shown.seen());
    }
    shown.press("no\r");
    assert_eq!(shown.end().0, Some(3));
    site.approve("bob", &request).expect("approved");
    site.wait_for_credentials(&request).expect("open");
}
