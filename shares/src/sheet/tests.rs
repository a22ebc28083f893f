use super::*;
use crate::{Secret, split, testing::Draw};

fn set(scheme: Scheme, names: &[&str]) -> (Set, Vec<Vec<Mnemonic>>) {
    let secret = Secret::new(&[7; 32]).unwrap();
    let shares = split(&secret, b"", &scheme, &mut Draw::new(1)).unwrap();
    let set = Set {
        vault: "prod".to_owned(),
        recipient: "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z".to_owned(),
        signer: "a5".repeat(32),
        made: (2026, 11, 22),
        scheme,
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        passphrase: false,
        demo: false,
    };
    (set, shares)
}

fn groups() -> (Set, Vec<Vec<Mnemonic>>) {
    let group = |threshold, count| Group { threshold, count };
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold: 1,
        groups: vec![group(2, 3), group(3, 5)],
    };
    set(scheme, &["executives", "board"])
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    let (set, shares) = set(Scheme::single(3, 5), &[]);
    for paper in [Paper::A4, Paper::Letter] {
        let one = draw(&set, &shares[0][1], paper).unwrap();
        let two = draw(&set, &shares[0][1], paper).unwrap();
        assert!(*one == *two);
        assert!(one.starts_with(b"%PDF-1.7"));
    }
}

#[test]
fn a_share_of_another_shape_has_no_sheet() {
    let (single, _) = set(Scheme::single(3, 5), &[]);
    let (grouped, shares) = groups();
    assert!(draw(&grouped, &shares[1][4], Paper::A4).is_ok());
    assert!(matches!(
        draw(&single, &shares[1][4], Paper::A4),
        Err(SheetError::NotOfTheSet)
    ));
    let nameless = Set {
        names: Vec::new(),
        ..grouped
    };
    assert!(matches!(
        draw(&nameless, &shares[0][0], Paper::A4),
        Err(SheetError::Set(None))
    ));
}

#[test]
fn the_longest_names_and_the_largest_groups_fit() {
    let group = |threshold, count| Group { threshold, count };
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold: 2,
        groups: vec![group(16, 16), group(2, 3), group(1, 1)],
    };
    let widest = "w".repeat(32);
    let (mut set, shares) = set(scheme, &[&widest, "board", "founder"]);
    set.vault = widest;
    set.passphrase = true;
    for paper in [Paper::A4, Paper::Letter] {
        for share in shares.iter().flatten() {
            assert!(draw(&set, share, paper).is_ok());
        }
    }
}

#[test]
fn what_the_typefaces_lack_is_refused() {
    let (mut set, shares) = set(Scheme::single(2, 3), &[]);
    set.vault = "\u{1f511}".to_owned();
    assert!(matches!(
        draw(&set, &shares[0][0], Paper::A4),
        Err(SheetError::Text(_))
    ));
}
