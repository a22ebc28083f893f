use super::*;
use crate::token::apdu::script::{Script, hex};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use proptest::prelude::*;

const V574: Firmware = Firmware::new(5, 7, 4);

fn pin() -> Pin {
    Pin::parse(b"135790").ok().unwrap()
}

fn puk() -> Puk {
    Puk::parse(b"13579024").ok().unwrap()
}

fn to_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[test]
fn a_token_tells_version_and_serial() {
    let mut card = Script::default()
        .then("00a4040005 a000000308 00", "6111 9000")
        .then("00fd0000 00", "050704 9000")
        .then("00f80000 00", "00eb5403 9000");
    assert_eq!(identify(&mut card), Ok((V574, 0x00eb_5403)));
    assert!(card.finished());
}

#[test]
fn cards_that_are_no_token_are_told_apart() {
    let select = "00a40400";
    let mut other = Script::default().then(select, "6a82");
    assert_eq!(identify(&mut other), Err(TokenError::NotYubiKey));
    // A PIV card of another make knows no version.
    let mut other = Script::default().then(select, "9000").then("00fd", "6d00");
    assert_eq!(identify(&mut other), Err(TokenError::NotYubiKey));
    for short in ["9000", "05 9000", "0507 9000", "05070400 9000"] {
        let mut card = Script::default().then(select, "9000").then("00fd", short);
        assert_eq!(
            identify(&mut card),
            Err(TokenError::Malformed {
                what: "get version"
            })
        );
    }
    for short in ["9000", "eb5403 9000", "0000eb5403 9000"] {
        let mut card = Script::default()
            .then(select, "9000")
            .then("00fd", "050704 9000")
            .then("00f8", short);
        assert_eq!(
            identify(&mut card),
            Err(TokenError::Malformed { what: "get serial" })
        );
    }
    let mut old = Script::default()
        .then(select, "9000")
        .then("00fd", "040307 9000");
    let firmware = Firmware::new(4, 3, 7);
    assert_eq!(
        identify(&mut old),
        Err(TokenError::Unsupported {
            what: "serial numbers",
            firmware
        })
    );
    let mut gone = Script::default().then_fail(select, TokenError::Removed);
    assert_eq!(identify(&mut gone), Err(TokenError::Removed));
}

#[test]
fn the_pin_is_padded_and_each_answer_has_its_meaning() {
    for (status, expected) in [
        ("9000", Ok(())),
        ("63c2", Err(TokenError::PinWrong { tries: 2 })),
        ("63c1", Err(TokenError::PinWrong { tries: 1 })),
        ("63c0", Err(TokenError::PinBlocked)),
        ("6983", Err(TokenError::PinBlocked)),
        (
            "6d00",
            Err(TokenError::Refused {
                what: "the pin",
                status: 0x6d00,
            }),
        ),
    ] {
        let mut card = Script::default().then("0020008008 313335373930 ffff", status);
        assert_eq!(verify(&mut card, &pin()), expected);
        assert_eq!(card.sent[0].len(), 13);
    }
    for (status, expected) in [
        ("9000", None),
        ("63c3", Some(3)),
        ("63c0", Some(0)),
        ("6983", Some(0)),
    ] {
        let mut card = Script::default().then("00200080", status);
        assert_eq!(tries_by_verify(&mut card), Ok(expected));
        assert_eq!(card.sent[0].len(), 4, "no data, no try");
    }
}

#[test]
fn changing_tells_pin_from_puk() {
    let new = Pin::parse(b"246801").ok().unwrap();
    let by_pin = Change::Pin {
        old: &pin(),
        new: &new,
    };
    let by_puk = Change::Unblock {
        puk: &puk(),
        new: &new,
    };
    let of_puk = Change::Puk {
        old: &puk(),
        new: &puk(),
    };
    for (what, sent, status, expected) in [
        (
            &by_pin,
            "0024008010 313335373930ffff 323436383031ffff",
            "9000",
            Ok(()),
        ),
        (
            &by_pin,
            "00240080",
            "63c1",
            Err(TokenError::PinWrong { tries: 1 }),
        ),
        (&by_pin, "00240080", "6983", Err(TokenError::PinBlocked)),
        (&by_pin, "00240080", "6985", Err(TokenError::NewPinRefused)),
        (&of_puk, "0024008110 3133353739303234", "9000", Ok(())),
        (
            &of_puk,
            "00240081",
            "63c2",
            Err(TokenError::PukWrong { tries: 2 }),
        ),
        (
            &by_puk,
            "002c008010 3133353739303234 323436383031ffff",
            "9000",
            Ok(()),
        ),
        (&by_puk, "002c0080", "63c0", Err(TokenError::PukBlocked)),
        (&by_puk, "002c0080", "6a80", Err(TokenError::NewPinRefused)),
    ] {
        assert_eq!(
            change(&mut Script::default().then(sent, status), what),
            expected
        );
    }
}

#[test]
fn signatures_come_out_with_low_s() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let (mut high, mut low) = (0, 0);
    for n in 0..16 {
        let digest = [n; 32];
        let made: Signature = key.sign_prehash(&digest).unwrap();
        // Half of what cards sign has a high S: turn each the other way round as well.
        let turned = Signature::from_scalars(made.r(), -made.s()).unwrap();
        for signature in [made, turned] {
            match signature.normalize_s() {
                Some(_) => high += 1,
                None => low += 1,
            }
            let der = signature.to_der();
            let reply = tlv::element(0x7c, &[&tlv::element(0x82, &[der.as_bytes()])]);
            let mut card = Script::default().then(
                &format!("0087118226 7c24 8200 8120 {} 00", to_hex(&digest)),
                &format!("{} 9000", to_hex(&reply)),
            );
            let signed = sign(&mut card, Slot::APPROVE, &digest, &mut || {}).unwrap();
            let signed = Signature::from_der(&signed).unwrap();
            assert_eq!(signed.normalize_s(), None);
            key.verifying_key()
                .verify_prehash(&digest, &signed)
                .unwrap();
        }
    }
    assert_eq!((high, low), (16, 16));
}

#[test]
fn using_a_key_tells_no_touch_from_no_key() {
    let none = TokenError::NoKey {
        slot: Slot::APPROVE,
    };
    let malformed = TokenError::Malformed {
        what: "the signature",
    };
    for (answer, expected) in [
        ("6982", TokenError::NoTouch),
        ("6600", TokenError::NoTouch),
        ("6a88", none.clone()),
        ("6a80", none.clone()),
        ("6a86", none),
        (
            "6f00",
            TokenError::Refused {
                what: "the signature",
                status: 0x6f00,
            },
        ),
        ("9000", malformed.clone()),
        ("7c 9000", malformed.clone()),
        ("7c00 9000", malformed.clone()),
        ("7c04 8202 3000 9000", malformed),
    ] {
        let mut card = Script::default().then("00871182", answer);
        assert_eq!(
            sign(&mut card, Slot::APPROVE, &[1; 32], &mut || {}),
            Err(expected)
        );
    }
}

#[test]
fn agreement_takes_points_on_the_curve_alone_and_32_bytes() {
    let ours = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let theirs = p256::SecretKey::from_slice(&[5; 32]).unwrap();
    let shared =
        p256::ecdh::diffie_hellman(ours.to_nonzero_scalar(), theirs.public_key().as_affine());
    let point: [u8; 65] = theirs
        .public_key()
        .to_encoded_point(false)
        .as_bytes()
        .try_into()
        .unwrap();
    let sent = format!("0087118347 7c45 8200 8541 {} 00", to_hex(&point));
    let reply = format!("7c22 8220 {} 9000", to_hex(shared.raw_secret_bytes()));
    let mut card = Script::default().then(&sent, &reply);
    let agreed = agree(&mut card, Slot::UNSEAL, &point, &mut || {}).unwrap();
    assert_eq!(agreed[..], shared.raw_secret_bytes()[..]);

    let mut off = point;
    off[64] ^= 1;
    let mut hybrid = point;
    hybrid[0] = 6;
    for bad in [off, hybrid, [0; 65]] {
        let mut untouched = Script::default();
        let error = agree(&mut untouched, Slot::UNSEAL, &bad, &mut || {}).err();
        assert_eq!(error, Some(TokenError::BadPoint));
        assert!(untouched.sent.is_empty(), "it never reaches the token");
    }
    for short in ["7c02 8200 9000", "7c03 8201 01 9000"] {
        let mut card = Script::default().then("0087", short);
        let error = agree(&mut card, Slot::UNSEAL, &point, &mut || {}).err();
        assert_eq!(
            error,
            Some(TokenError::Malformed {
                what: "the key agreement"
            })
        );
    }
}

#[test]
fn generation_sends_policies_and_checks_the_point() {
    let key = p256::SecretKey::from_slice(&[3; 32]).unwrap().public_key();
    let point = key.to_encoded_point(false);
    let reply = format!("7f4943 8641 {} 9000", to_hex(point.as_bytes()));
    let mut card = Script::default().then("004700820b ac09 800111 aa0103 ab0102 00", &reply);
    let made = generate(
        &mut card,
        Slot::APPROVE,
        PinPolicy::Always,
        TouchPolicy::Always,
    );
    assert_eq!(made.unwrap()[..], *point.as_bytes());

    let off = format!("7f4943 8641 04{} 9000", "11".repeat(64));
    for bad in ["9000", "7f4900 9000", &off] {
        let mut card = Script::default().then("00470082", bad);
        let made = generate(
            &mut card,
            Slot::APPROVE,
            PinPolicy::Always,
            TouchPolicy::Always,
        );
        assert_eq!(
            made,
            Err(TokenError::Malformed {
                what: "key generation"
            })
        );
    }
}

#[test]
fn objects_are_absent_empty_or_there() {
    let read = "00cb3fff05 5c035fc10d 00";
    for (answer, expected) in [
        ("6a82", None),
        ("5300 9000", None),
        ("5302 0102 9000", Some(vec![1, 2])),
    ] {
        let mut card = Script::default().then(read, answer);
        let found = object(&mut card, Slot::APPROVE.object()).unwrap();
        assert_eq!(found.map(|object| object.to_vec()), expected);
    }
    for (answer, expected) in [
        ("5309 7002 3000 710100 fe00 9000", Some(vec![0x30, 0])),
        ("5305 7000 710100 9000", None),
    ] {
        let mut card = Script::default().then(read, answer);
        assert_eq!(certificate(&mut card, Slot::APPROVE.object()), Ok(expected));
    }
    // A compressed certificate is nothing that this program reads.
    for answer in ["5307 7002 3000 710101 9000", "5302 0102 9000", "53 9000"] {
        let mut card = Script::default().then(read, answer);
        assert!(
            certificate(&mut card, Slot::APPROVE.object()).is_err(),
            "{answer}"
        );
    }
    let mut card =
        Script::default().then("00db3fff10 5c035fc10d 5309 7002 3000 710100 fe00", "9000");
    put_certificate(&mut card, Slot::APPROVE.object(), &[0x30, 0]).unwrap();
}

#[test]
fn attestations_must_be_one_whole_element() {
    let ask = "00f98200 00";
    let attested = |answer: &str| attest(&mut Script::default().then(ask, answer), Slot::APPROVE);
    assert_eq!(attested("3002 0500 9000"), Ok(hex("30020500")));
    assert_eq!(
        attested("6a80"),
        Err(TokenError::NoKey {
            slot: Slot::APPROVE
        })
    );
    for bad in [
        "9000",
        "30 9000",
        "3003 0500 9000",
        "3000 00 9000",
        "0400 9000",
    ] {
        assert_eq!(
            attested(bad),
            Err(TokenError::Malformed {
                what: "the attestation"
            })
        );
    }
}

#[test]
fn metadata_is_read_and_absence_is_no_error() {
    let key = p256::SecretKey::from_slice(&[3; 32]).unwrap().public_key();
    let point = key.to_encoded_point(false);
    let asked = |reference, answer: &str| {
        let mut card = Script::default().then(&format!("00f700{reference:02x} 00"), answer);
        metadata(&mut card, V574, reference)
    };
    let whole = format!(
        "010111 02020303 030101 0443 8641 {} 9000",
        to_hex(point.as_bytes())
    );
    assert_eq!(
        asked(0x83, &whole),
        Ok(Some(Metadata {
            algorithm: Some(0x11),
            pin_policy: Some(PinPolicy::Always),
            touch_policy: Some(TouchPolicy::Cached),
            generated: Some(true),
            public_key: Some(point.as_bytes().try_into().unwrap()),
            ..Metadata::default()
        }))
    );
    let pin = asked(0x80, "0101ff 050101 06020301 9000").unwrap().unwrap();
    assert_eq!((pin.default, pin.tries), (Some(true), Some((3, 1))));
    // A YubiKey Bio has PIN policies of its own, and later firmware may have fields of its own.
    let bio = asked(0x82, "02020402 7f010155 9000").unwrap().unwrap();
    assert_eq!(bio.pin_policy, Some(PinPolicy::Other(4)));
    assert_eq!(asked(0x82, "6a88"), Ok(None));
    assert_eq!(
        asked(0x82, "0202 9000"),
        Err(TokenError::Malformed {
            what: "get metadata"
        })
    );
    assert_eq!(
        asked(0x82, "020103 9000"),
        Err(TokenError::Malformed {
            what: "get metadata"
        })
    );

    let firmware = Firmware::new(5, 2, 7);
    assert_eq!(
        metadata(&mut Script::default(), firmware, 0x82),
        Err(TokenError::Unsupported {
            what: "metadata",
            firmware
        })
    );
}

/// Answers with whatever it was given, then with nothing.
struct Babble(std::vec::IntoIter<Vec<u8>>);

impl Card for Babble {
    fn transmit(
        &mut self,
        _: &[u8],
        _: &mut dyn FnMut(),
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        Ok(Zeroizing::new(self.0.next().unwrap_or_default()))
    }
}

fn babble() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Plausible beginnings and ends get deeper than noise does.
    let head = prop_oneof![
        Just(&[][..]),
        Just(&[0x7c, 0x22, 0x82, 0x20][..]),
        Just(&[0x53, 0x04, 0x70, 0x02][..]),
        Just(&[0x7f, 0x49, 0x43, 0x86, 0x41, 0x04][..]),
        Just(&[0x04, 0x43, 0x86, 0x41][..]),
    ];
    let tail = prop_oneof![
        Just(&[0x90, 0x00][..]),
        Just(&[0x61, 0x10][..]),
        Just(&[][..])
    ];
    let reply = (head, prop::collection::vec(any::<u8>(), 0..80), tail)
        .prop_map(|(head, middle, tail)| [head, &middle, tail].concat());
    prop::collection::vec(reply, 0..6)
}

proptest! {
    #[test]
    fn no_reply_makes_it_panic(replies in babble()) {
        let peer = p256::SecretKey::from_slice(&[5; 32]).unwrap().public_key();
        let peer: [u8; 65] = peer.to_encoded_point(false).as_bytes().try_into().unwrap();
        let card = || Babble(replies.clone().into_iter());
        let _ = identify(&mut card());
        let _ = verify(&mut card(), &pin());
        let _ = tries_by_verify(&mut card());
        let _ = sign(&mut card(), Slot::APPROVE, &[1; 32], &mut || {});
        let _ = agree(&mut card(), Slot::UNSEAL, &peer, &mut || {});
        let _ = generate(&mut card(), Slot::APPROVE, PinPolicy::Always, TouchPolicy::Always);
        let _ = certificate(&mut card(), Slot::APPROVE.object());
        let _ = attest(&mut card(), Slot::APPROVE);
        let _ = metadata(&mut card(), V574, 0x82);
        let _ = crate::token::management::stored(&mut card());
        let key = crate::token::ManagementKey::factory();
        let algorithm = crate::token::ManagementAlgorithm::Aes192;
        let _ = crate::token::management::authenticate(&mut card(), algorithm, &key);
    }
}
