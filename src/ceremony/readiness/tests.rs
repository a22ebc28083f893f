use proptest::prelude::*;

use super::*;
use crate::trust::tests::people::{self, SoftToken};

const NOON: Timestamp = Timestamp(1_767_700_800);

fn days(n: i64) -> Timestamp {
    NOON.plus(n * DAY)
}

fn shown(since: i64, last: Option<i64>) -> Shown {
    Shown {
        since: days(since),
        last: last.map(days),
    }
}

fn facts() -> Facts {
    Facts {
        custodians: ["alice", "bob"]
            .map(|name| Custodian {
                name: name.to_owned(),
                opens: shown(0, Some(1)),
                failed: None,
            })
            .into(),
        full_drill: shown(0, None),
        sheets: Some(shown(0, Some(2))),
    }
}

fn names(facts: &Facts, now: Timestamp) -> Vec<String> {
    let causes = causes(facts, &Limits::default(), now);
    causes.into_iter().map(|c| c.name).collect()
}

#[test]
fn each_proof_has_its_own_limit_and_counts_to_the_second() {
    let mut facts = facts();
    assert_eq!(names(&facts, days(91)), [""; 0]);
    assert_eq!(
        names(&facts, days(91).plus(1)),
        ["custodian alice", "custodian bob"]
    );
    facts.custodians[1].opens.last = Some(days(91));
    assert_eq!(names(&facts, days(180)), ["custodian alice"]);
    assert_eq!(
        names(&facts, days(180).plus(1)),
        ["custodian alice", "full drill"]
    );
    facts.full_drill.last = Some(days(180));
    facts.custodians[0].opens.last = Some(days(300));
    facts.custodians[1].opens.last = Some(days(300));
    facts.full_drill.last = Some(days(300));
    assert_eq!(names(&facts, days(367)), [""; 0]);
    assert_eq!(names(&facts, days(367).plus(1)), ["recovery sheets"]);
    facts.sheets = None;
    assert_eq!(names(&facts, days(367).plus(1)), [""; 0]);
}

#[test]
fn a_drill_that_failed_counts_at_once_and_by_name() {
    let mut facts = facts();
    facts.custodians[1].failed = Some(days(1));
    let causes = causes(&facts, &Limits::default(), days(1));
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].name, "drill of bob");
    assert_eq!(causes[0].why, "bob's last drill failed");
}

#[test]
fn what_is_said_names_age_and_limit() {
    let mut facts = facts();
    facts.custodians[0].opens.last = None;
    let causes = causes(&facts, &Limits::default(), days(100));
    assert_eq!(
        causes[0].why,
        "alice's share was not shown to open in 100 days; 90 are allowed"
    );
    assert_eq!(
        causes[1].why,
        "bob's share was last shown to open 99 days ago; 90 are allowed"
    );
}

fn roster_of(threshold: u8, holders: &[&str]) -> Roster {
    let tokens: Vec<SoftToken> = holders.iter().map(|name| SoftToken::new(name)).collect();
    people::roster(threshold, &tokens.iter().collect::<Vec<_>>())
}

#[test]
fn a_quorum_survives_only_where_somebody_is_to_spare() {
    let two = roster_of(2, &["alice", "bob"]);
    assert_eq!((spare(&two), survives_loss_of_one(&two)), (0, false));
    let three = roster_of(2, &["alice", "bob", "carol"]);
    assert_eq!((spare(&three), survives_loss_of_one(&three)), (1, true));
    let all = roster_of(3, &["alice", "bob", "carol"]);
    assert_eq!((spare(&all), survives_loss_of_one(&all)), (0, false));
    // A second token in everybody's drawer does as well.
    let mut doubled = two.clone();
    for token in &two.tokens {
        let mut second = token.clone();
        second.serial += 1000;
        doubled.tokens.push(second);
    }
    assert_eq!((spare(&doubled), survives_loss_of_one(&doubled)), (0, true));
    // And in one drawer alone it does not.
    doubled.tokens.pop();
    assert!(!survives_loss_of_one(&doubled));
}

#[test]
fn a_quorum_of_groups_survives_only_where_each_group_has_somebody_to_spare() {
    let group = |name: &str, members: &[&str]| Group {
        name: name.to_owned(),
        threshold: 1,
        members: members.iter().map(|m| (*m).to_owned()).collect(),
    };
    let mut roster = roster_of(2, &["alice", "bob", "carol"]);
    roster.groups = vec![
        group("security", &["alice", "bob"]),
        group("platform", &["carol"]),
    ];
    assert_eq!((spare(&roster), survives_loss_of_one(&roster)), (0, false));
    let mut four = roster_of(2, &["alice", "bob", "carol", "ivan"]);
    four.groups = vec![
        group("security", &["alice", "bob"]),
        group("platform", &["carol", "ivan"]),
    ];
    assert_eq!((spare(&four), survives_loss_of_one(&four)), (1, true));
}

proptest! {
    /// Time makes nothing better, and a proof now heals exactly its own cause.
    #[test]
    fn time_only_adds_causes_and_a_proof_takes_its_own_away(
        lasts in proptest::collection::vec(proptest::option::of(0i64..400), 1..6),
        full in proptest::option::of(0i64..400),
        sheet in proptest::option::of(proptest::option::of(0i64..400)),
        now in 400i64..900,
        later in 0i64..500,
        which in 0usize..6,
    ) {
        let mut facts = Facts {
            custodians: lasts
                .iter()
                .enumerate()
                .map(|(i, last)| Custodian {
                    name: format!("c{i}"),
                    opens: shown(0, *last),
                    failed: None,
                })
                .collect(),
            full_drill: shown(0, full),
            sheets: sheet.map(|last| shown(0, last)),
        };
        let before = names(&facts, days(now));
        let after = names(&facts, days(now + later));
        prop_assert!(before.iter().all(|name| after.contains(name)));
        let mut once = after.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), after.len());

        let which = which % facts.custodians.len();
        facts.custodians[which].opens.last = Some(days(now + later));
        let healed = names(&facts, days(now + later));
        let own = format!("custodian c{which}");
        let expected: Vec<String> = after.into_iter().filter(|name| *name != own).collect();
        prop_assert_eq!(healed, expected);
    }
}
