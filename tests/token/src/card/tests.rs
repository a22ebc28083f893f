use super::*;
use crate::{
    control::{Fault, FaultKind},
    pki::Pki,
    profile::Profile,
    state::Store,
    token::manufacture,
};

const SELECT_PIV: [u8; 10] = [0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8];
const VERSION: [u8; 4] = [0, 0xfd, 0, 0];

fn card() -> Card {
    let dir = tempfile::tempdir().expect("a folder");
    let pki = Pki::open(dir.path()).expect("a PKI");
    let profile = Profile::default();
    let store = Store::open(None, 1001, || manufacture(1001, &profile, &pki)).expect("a state");
    Card::new(
        Piv::new(profile.clone(), store),
        Management::new(1001, profile),
        Arc::new(Panel::new(1001)),
    )
}

/// The status word of the answer.
fn status(card: &mut Card, apdu: &[u8]) -> u16 {
    let reply = card.apdu(apdu).expect("an answer");
    let [.., hi, lo] = reply.as_slice() else {
        panic!("an answer without a status word");
    };
    u16::from_be_bytes([*hi, *lo])
}

fn select(aid: &[u8]) -> Vec<u8> {
    let len = u8::try_from(aid.len()).expect("short");
    [&[0, 0xa4, 4, 0, len], aid].concat()
}

#[test]
fn piv_is_selected_by_its_name_or_a_prefix_of_it() {
    let mut c = card();
    assert_eq!(status(&mut c, &VERSION), 0x6d00, "nothing is selected yet");
    for len in [5, 9, 11] {
        let reply = c.apdu(&select(&piv::AID[..len])).expect("an answer");
        assert_eq!(reply[..2], [0x61, 0x11]);
    }
    assert_eq!(c.apdu(&VERSION), Some(vec![5, 7, 4, 0x90, 0]));
    for stranger in [
        &piv::AID[..4],
        &[0xa0, 0, 0, 5, 0x27, 0x20, 1],
        &[0xa0, 0, 0, 6, 0x47],
    ] {
        assert_eq!(status(&mut c, &select(stranger)), 0x6a82);
    }
    assert_eq!(status(&mut c, &VERSION), 0x9000, "PIV is still selected");
}

#[test]
fn the_management_application_takes_over_and_gives_back() {
    let mut c = card();
    assert_eq!(status(&mut c, &select(&management::AID)), 0x9000);
    assert_eq!(status(&mut c, &[0, 0x1d, 0, 0]), 0x9000);
    assert_eq!(status(&mut c, &VERSION), 0x6d00);
    assert_eq!(status(&mut c, &SELECT_PIV), 0x9000);
    assert_eq!(status(&mut c, &[0, 0x1d, 0, 0]), 0x6d00);
    c.reset();
    assert_eq!(status(&mut c, &VERSION), 0x6d00, "a reset selects nothing");
}

#[test]
fn a_foreign_class_and_a_broken_length_are_refused() {
    let mut c = card();
    assert_eq!(status(&mut c, &[0x80, 0xfd, 0, 0]), 0x6e00);
    assert_eq!(status(&mut c, &[0, 0xa4, 4, 0, 9, 1]), 0x6700);
    assert_eq!(status(&mut c, &[0, 0xa4]), 0x6700);
}

#[test]
fn a_certificate_leaves_in_parts() {
    let mut c = card();
    c.apdu(&SELECT_PIV);
    let get = [0, 0xcb, 0x3f, 0xff, 5, 0x5c, 3, 0x5f, 0xff, 1, 0];
    let first = c.apdu(&get).expect("an answer");
    assert_eq!((first.len(), first[256]), (258, 0x61));
    let rest = c.apdu(&[0, 0xc0, 0, 0, 0]).expect("an answer");
    assert_eq!(rest[rest.len() - 2..], [0x90, 0]);
    let counted = c.panel.status().apdus;
    assert_eq!(
        (counted.total, counted.by_ins["cb"], counted.by_ins["c0"]),
        (3, 1, 1)
    );
}

#[test]
fn faults_strike_where_they_were_set() {
    let mut c = card();
    c.apdu(&SELECT_PIV);
    let set = |c: &Card, fault: Fault| c.panel.set_fault(&fault).expect("a good fault");
    set(
        &c,
        Fault::at(FaultKind::Status { sw: "6f00".into() }, 0xfd, 2),
    );
    let words = [(); 3].map(|()| status(&mut c, &VERSION));
    assert_eq!(words, [0x9000, 0x6f00, 0x9000]);

    let verify = [&[0, 0x20, 0, 0x80, 8][..], b"123456\xff\xff"].concat();
    let ask = [0, 0x20, 0, 0x80];
    assert_eq!(status(&mut c, &verify), 0x9000);
    assert_eq!(status(&mut c, &ask), 0x9000);
    set(&c, Fault::next(FaultKind::Reset));
    assert_eq!(status(&mut c, &ask), 0x63c3, "somebody has reset the card");

    set(&c, Fault::next(FaultKind::Slow { ms: 1 }));
    assert_eq!(status(&mut c, &VERSION), 0x9000);

    set(&c, Fault::next(FaultKind::Remove));
    assert_eq!(c.apdu(&VERSION), None);
    assert!(!c.panel.is_inserted());
}
