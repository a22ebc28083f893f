//! What is accepted, and what is said about it then.

use twotap::trust::{
    Bytes,
    attestation::{AttestationError, FormFactor, Root, certificates, check_root},
    firmware::Firmware,
    standing::Why,
};
use twotap_token::x509::{Ends, ca_extensions};

use crate::maker::{SERIAL, fact, sound};

#[test]
fn a_sound_token_stands_with_all_that_its_maker_says() {
    let mut case = sound();
    let standing = case.judged().unwrap();
    assert_eq!(
        (standing.person.as_str(), standing.serial),
        ("alice", SERIAL)
    );
    assert_eq!(standing.firmware, Firmware::new(5, 7, 4));
    assert!(standing.advisories.is_empty());
    assert_eq!(
        standing.proof(),
        "attested by root 'lab' of this roster, NOT by its maker, usb-c keychain"
    );
    let attested = standing.attested.unwrap();
    assert_eq!(attested.root, Root::Named("lab".to_owned()));
    assert_eq!(attested.form_factor(), Some(FormFactor::UsbCKeychain));
    assert_eq!((attested.fips, attested.cspn), (false, false));

    // FIPS and CSPN are believed from the token's own certificate alone.
    case.approve
        .extensions
        .extend([fact(10, &[]), fact(11, &[])]);
    let attested = case.judged().unwrap().attested.unwrap();
    assert_eq!((attested.fips, attested.cspn), (false, false));
    case.token.extensions.extend([fact(10, &[]), fact(11, &[])]);
    let standing = case.judged().unwrap();
    assert!(standing.proof().ends_with("usb-c keychain, fips, cspn"));
    let attested = standing.attested.unwrap();
    assert_eq!((attested.fips, attested.cspn), (true, true));
}

#[test]
fn end_dates_lock_nobody_out() {
    let mut case = sound();
    case.authority.ends = Ends::In2001;
    assert!(case.judged().is_ok());
    for draft in [&mut case.token, &mut case.approve, &mut case.unseal] {
        draft.ends = Ends::In2001;
    }
    assert!(case.judged().is_ok());
}

#[test]
fn stricter_keys_and_other_slots_are_as_good() {
    let mut case = sound();
    case.unseal.extensions[2] = fact(8, &[3, 2]);
    case.unseal.subject = "CN=YubiKey PIV Attestation 95".to_owned();
    case.listed.unseal.slot = 0x95;
    assert!(case.judged().is_ok());
}

#[test]
fn without_the_named_root_the_same_token_is_nobodys() {
    let mut case = sound();
    let attestation = case.attestation();
    case.authority.subject = "CN=Another Authority".to_owned();
    let refusal = case.judged_with(attestation).unwrap_err();
    assert!(matches!(
        &refusal.why,
        Why::Attestation(AttestationError::UnknownMaker { .. })
    ));
    assert!(refusal.hint().contains("--attestation-root NAME=FILE"));
}

#[test]
fn a_token_without_attestation_is_let_in_by_its_number_alone() {
    let mut case = sound();
    case.bare = true;
    let refusal = case.judged().unwrap_err();
    assert!(
        refusal.hint().contains("--accept-unattested 10001"),
        "{}",
        refusal.hint()
    );
    case.unattested = vec![SERIAL + 1];
    assert_eq!(case.why(), Why::Unattested);
    case.unattested.push(SERIAL);
    let standing = case.judged().unwrap();
    assert_eq!(standing.attested, None);
    assert_eq!(standing.proof(), "NOT attested: accepted on its own word");
}

#[test]
fn an_advisory_refuses_until_the_roster_accepts_it() {
    for bare in [false, true] {
        let mut case = sound().firmware([5, 4, 3]);
        case.bare = bare;
        case.unattested = vec![SERIAL];
        let refusal = case.judged().unwrap_err();
        assert!(
            matches!(refusal.why, Why::Advisory(advisory) if advisory.id == "YSA-2024-03"),
            "{refusal}"
        );
        assert!(refusal.hint().contains("--accept-risk YSA-2024-03"));
        case.risks = vec!["YSA-2017-01".to_owned()];
        assert!(case.judged().is_err());
        case.risks.push("YSA-2024-03".to_owned());
        let standing = case.judged().unwrap();
        let ids: Vec<&str> = standing.advisories.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(ids, ["YSA-2024-03"]);
    }
    // With a fingerprint reader the first sound firmware is a later one, and the shape is believed from the attestation.
    let mut bio = sound().firmware([5, 7, 1]);
    assert!(bio.judged().is_ok());
    for statement in [&mut bio.approve, &mut bio.unseal] {
        statement.extensions[3] = fact(9, &[7]);
    }
    assert!(matches!(bio.why(), Why::Advisory(_)));
}

#[test]
fn a_root_that_is_named_must_be_able_to_sign() {
    for good in certificates().unwrap().into_iter().enumerate() {
        // The root of before 2018 cannot sign what YubiKeys 5 carry.
        assert_eq!(check_root(good.1).is_ok(), good.0 != 1);
    }
    let mut case = sound();
    assert!(check_root(&case.authority.der()).is_ok());
    case.authority.extensions = ca_extensions(1).unwrap().into_iter().skip(1).collect();
    assert!(check_root(&case.authority.der()).is_err());
    assert!(check_root(&case.approve.der()).is_err());
    assert!(check_root(b"no certificate").is_err());
    // One that cannot be read, among the roots of a roster, vouches for nobody and stops nobody.
    let mut attestation = case.attestation();
    attestation.f9 = Bytes(Vec::new());
    assert!(case.judged_with(attestation).is_err());
}
