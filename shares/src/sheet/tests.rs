use super::*;
use crate::{Secret, split, testing::Draw};

fn set(scheme: Scheme, names: &[&str]) -> (Set, Vec<Vec<Mnemonic>>) {
    let secret = Secret::new(&[7; 32]).unwrap();
    let shares = split(&secret, b"", &scheme, &mut Draw::new(1)).unwrap();
    let set = Set {
        vault: "prod".to_owned(),
        recipient: "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z".to_owned(),
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
fn zz_write() {
    let (mut one, shares) = set(Scheme::single(3, 5), &[]);
    std::fs::write(
        "/tmp/a4.pdf",
        &*draw(&one, &shares[0][1], Paper::A4).unwrap(),
    )
    .unwrap();
    one.demo = true;
    one.passphrase = true;
    std::fs::write(
        "/tmp/letter.pdf",
        &*draw(&one, &shares[0][1], Paper::Letter).unwrap(),
    )
    .unwrap();
    let (set, shares) = groups();
    std::fs::write(
        "/tmp/groups.pdf",
        &*draw(&set, &shares[1][4], Paper::A4).unwrap(),
    )
    .unwrap();
}
