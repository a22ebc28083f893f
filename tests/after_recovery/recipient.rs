//! A recovery recipient that is taken up or renewed: by the custodians, with the vault sealed anew and its key replaced at one moment.

use twotap_rig::world;

use crate::{
    Paper, newest, next,
    support::{Bench, names},
    take_up, vault_age, with, works,
};

#[test]
fn taking_up_sheets_seals_anew_and_replaces_the_key() {
    let bench = Bench::sealed();
    let (paper, nobodys) = (Paper::new(), Paper::new());
    let before = vault_age(&bench);
    assert!(paper.open(&before).is_none(), "nobody had named them yet");

    let by = [&bench.custodians[0], &bench.custodians[1]];
    let version = next(&bench, paper.named(), &by);
    let entries = take_up(&bench, &version);
    assert_eq!(names(&entries).last().map(String::as_str), Some("rotated"));
    assert_eq!(newest(&bench).digest(), version.digest());

    let credential = paper.open(&vault_age(&bench)).expect("it opens");
    assert!(works(&bench, &credential));
    assert!(paper.open(&before).is_none(), "what is past stays closed");
    assert!(nobodys.open(&vault_age(&bench)).is_none());
    assert_eq!(bench.world.list_keys(world::USER).expect("a list").len(), 1);
}

#[test]
fn renewed_sheets_open_what_counts_and_the_old_ones_nothing_alive() {
    let (old, new) = (Paper::new(), Paper::new());
    let bench = with(&old);
    let copy = vault_age(&bench);
    assert!(works(&bench, &old.open(&copy).expect("it opens")));

    let by = [&bench.custodians[0], &bench.custodians[1]];
    take_up(&bench, &next(&bench, new.named(), &by));
    let kept = old.open(&copy).expect("an old copy opens for ever");
    assert!(!works(&bench, &kept), "and the key in it is dead");
    assert!(old.open(&vault_age(&bench)).is_none());
    let credential = new.open(&vault_age(&bench)).expect("it opens");
    assert!(works(&bench, &credential));
}

#[test]
fn sheets_that_are_struck_out_open_nothing_alive() {
    let paper = Paper::new();
    let bench = with(&paper);
    let copy = vault_age(&bench);
    let by = [&bench.custodians[0], &bench.custodians[1]];
    take_up(&bench, &next(&bench, |r| r.recovery = None, &by));
    assert!(paper.open(&vault_age(&bench)).is_none());
    assert!(!works(&bench, &paper.open(&copy).expect("it opens")));
}
