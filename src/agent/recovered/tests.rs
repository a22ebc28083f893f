use super::*;
use crate::trust::tests::people::{self, SoftToken};

fn roster(recovery: Option<Recovery>) -> Roster {
    let (alice, bob) = (SoftToken::new("alice"), SoftToken::new("bob"));
    let mut roster = people::roster(2, &[&alice, &bob]);
    roster.recovery = recovery;
    roster
}

fn paper(name: &str) -> Recovery {
    people::recovery(name).0
}

const NOW: Timestamp = Timestamp(1_770_000_000);
const AGES: u16 = 20_000;

#[test]
fn key_and_sheets_are_each_asked_for_until_each_is_new() {
    let (old, new) = (paper("old"), paper("new"));
    let mut left = Recovered::default();
    let one = roster(Some(old.clone()));
    assert_eq!(left.owed(&one, AGES, NOW), [""; 0]);
    left.spend(&old.recipient, NOW);
    left.open(3, NOW, "the recovery shares of 2026-01-05".to_owned());
    let owed = left.owed(&one, AGES, NOW);
    assert_eq!(owed.len(), 2, "{owed:?}");
    assert!(owed[0].contains("twotap vault seal prod"), "{owed:?}");
    assert!(owed[1].contains("twotap recovery create prod"), "{owed:?}");

    // The key of the generation before is not the one that was opened.
    left.keys_died(3);
    assert!(left.rotation().is_some());
    left.keys_died(4);
    let owed = left.owed(&one, AGES, NOW);
    assert!(
        matches!(&owed[..], [spent] if spent.contains("recovery spent")),
        "{owed:?}"
    );

    // A later roster with the same sheets changes nothing; one with others does.
    left.roster_counts(Some(&one), &one, NOW);
    assert_eq!(left.owed(&one, AGES, NOW).len(), 1);
    let two = roster(Some(new));
    left.roster_counts(Some(&one), &two, NOW);
    assert_eq!(left, Recovered::default());
}

#[test]
fn sheets_that_stood_for_a_roster_are_spent_unless_it_names_others() {
    let (old, new) = (paper("old"), paper("new"));
    let before = roster(Some(old.clone()));
    let mut after = roster(Some(old.clone()));
    after.by = Some(crate::trust::roster::By::Recovery);
    let mut left = Recovered::default();
    left.roster_counts(Some(&before), &after, NOW);
    let status = left.status(&after, AGES).unwrap();
    assert_eq!(status.spent_since, Some(NOW));

    let mut left = Recovered::default();
    after.recovery = Some(new);
    left.roster_counts(Some(&before), &after, NOW);
    assert_eq!(left, Recovered::default());
}

#[test]
fn new_sheets_are_asked_for_after_the_rosters_time_or_the_hosts_where_that_is_shorter() {
    let made = paper("any").made;
    let ask = |days: Option<u16>, host: u16, after: i64| {
        let one = roster(Some(Recovery {
            days,
            ..paper("any")
        }));
        let at = made.begins().plus(after * 86_400);
        let owed = Recovered::default().owed(&one, host, at);
        assert!(
            owed.iter()
                .all(|o| o.contains("twotap roster propose prod --recovery"))
        );
        !owed.is_empty()
    };
    for (roster, host, days) in [
        (None, AGES, 365),
        (None, 90, 90),
        (Some(30), 90, 30),
        (Some(30), AGES, 30),
        (Some(500), AGES, 500),
    ] {
        assert!(!ask(roster, host, days - 1), "{roster:?} {host}");
        assert!(ask(roster, host, days), "{roster:?} {host}");
    }
}

#[test]
fn of_two_openings_the_newer_is_owed() {
    let mut left = Recovered::default();
    left.open(5, NOW, "tokens".to_owned());
    left.open(4, NOW.plus(1), "paper".to_owned());
    left.keys_died(5);
    assert!(left.rotation().is_some_and(|r| r.contains("generation 5")));
}
