use super::*;
use crate::{
    panel::Touch,
    pki::Pki,
    profile::{CacheScope, StatusWord, Version},
    tlv::{find, template},
    token::manufacture,
    touch,
};
use aes::cipher::{BlockEncrypt, KeyInit, generic_array::GenericArray};
use p256::{
    PublicKey, SecretKey,
    ecdh::diffie_hellman,
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier},
    elliptic_curve::sec1::ToEncodedPoint,
};
use rand_core::OsRng;
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

const PIN: [u8; 8] = *b"123456\xff\xff";
const WRONG: [u8; 8] = *b"999999\xff\xff";
const PUK: [u8; 8] = *b"12345678";
const OK: Reply = Ok(Vec::new());

/// A world in which every request for a touch ends in the same way.
struct World {
    now: Cell<Instant>,
    touch: Cell<Touch>,
    asked: RefCell<Vec<Slot>>,
}

impl Host for World {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn ask_touch(&self, slot: Slot, _: Duration) -> Touch {
        self.asked.borrow_mut().push(slot);
        self.touch.get()
    }
}

struct Bench {
    piv: Piv,
    world: World,
}

impl Bench {
    fn new(profile: Profile) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let pki = Pki::open(dir.path()).expect("a PKI");
        let store = Store::open(None, 1001, || manufacture(1001, &profile, &pki)).expect("a state");
        let world = World {
            now: Cell::new(Instant::now()),
            touch: Cell::new(Touch::Tapped),
            asked: RefCell::default(),
        };
        Self {
            piv: Piv::new(profile, store),
            world,
        }
    }

    fn send(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Reply {
        let command = Command {
            cla: 0,
            ins,
            p1,
            p2,
            data: data.to_vec(),
            le: 256,
        };
        self.piv.run(&command, &self.world)
    }

    fn verify(&mut self, pin: [u8; 8]) -> Reply {
        self.send(INS_VERIFY, 0, 0x80, &pin)
    }

    /// Authenticates with an AES-192 management key, the mutual way.
    fn authenticate(&mut self) {
        let key: Vec<u8> = crate::state::default_management_key(24);
        let cipher = aes::Aes192::new_from_slice(&key).expect("24 bytes");
        let reply = self.send(INS_AUTHENTICATE, 0x0a, 0x9b, &[0x7c, 2, 0x80, 0]);
        let reply = reply.expect("a witness");
        let fields = template(&reply, 0x7c).expect("a template");
        let mut witness = find(&fields, 0x80).expect("a witness").to_vec();
        use aes::cipher::BlockDecrypt;
        cipher.decrypt_block(GenericArray::from_mut_slice(&mut witness));
        let ours = [7; 16];
        let both = [tlv(0x80, &witness), tlv(0x81, &ours)].concat();
        let reply = self.send(INS_AUTHENTICATE, 0x0a, 0x9b, &tlv(0x7c, &both));
        let mut expected = ours;
        cipher.encrypt_block(GenericArray::from_mut_slice(&mut expected));
        assert_eq!(reply, Ok(tlv(0x7c, &tlv(0x82, &expected))));
    }

    /// Generates a key; its public half.
    fn generate(&mut self, slot: u8, pin: u8, touch: u8) -> PublicKey {
        self.authenticate();
        let policies = [tlv(0xaa, &[pin]), tlv(0xab, &[touch])].concat();
        let data = tlv(0xac, &[tlv(0x80, &[0x11]), policies].concat());
        let reply = self.send(INS_GENERATE, 0, slot, &data).expect("a key");
        assert_eq!(reply[..5], [0x7f, 0x49, 67, 0x86, 65]);
        PublicKey::from_sec1_bytes(&reply[5..]).expect("a point")
    }

    fn sign(&mut self, slot: u8) -> Reply {
        let data = tlv(0x7c, &[tlv(0x82, &[]), tlv(0x81, &[5; 32])].concat());
        self.send(INS_AUTHENTICATE, 0x11, slot, &data)
    }

    fn asked(&self) -> usize {
        self.world.asked.borrow().len()
    }
}

fn refused<T>(sw: Sw) -> Result<T, Fail> {
    Err(Fail::Status(sw))
}

#[test]
fn a_signature_verifies_and_s_is_left_as_it_falls() {
    let mut b = Bench::new(Profile::default());
    let public = b.generate(0x82, 1, 1);
    let mut high = 0;
    for _ in 0..64 {
        let reply = b.sign(0x82).expect("a signature");
        let fields = template(&reply, 0x7c).expect("a template");
        let der = find(&fields, 0x82).expect("DER");
        let signature = Signature::from_der(der).expect("a signature");
        let key = VerifyingKey::from(&public);
        key.verify_prehash(&[5; 32], &signature).expect("verifies");
        high += usize::from(signature.normalize_s().is_some());
    }
    assert!((1..64).contains(&high), "both halves occur: {high} of 64");
}

#[test]
fn an_agreement_gives_the_x_coordinate() {
    let mut b = Bench::new(Profile::default());
    let public = b.generate(0x83, 1, 1);
    let ours = SecretKey::random(&mut OsRng);
    let point = ours.public_key().to_encoded_point(false);
    let data = tlv(
        0x7c,
        &[tlv(0x82, &[]), tlv(0x85, point.as_bytes())].concat(),
    );
    let reply = b.send(INS_AUTHENTICATE, 0x11, 0x83, &data);
    let shared = diffie_hellman(ours.to_nonzero_scalar(), public.as_affine());
    assert_eq!(reply, Ok(tlv(0x7c, &tlv(0x82, shared.raw_secret_bytes()))));
    let mut off_curve = point.as_bytes().to_vec();
    off_curve[64] ^= 1;
    let data = tlv(0x7c, &[tlv(0x82, &[]), tlv(0x85, &off_curve)].concat());
    let reply = b.send(INS_AUTHENTICATE, 0x11, 0x83, &data);
    assert_eq!(reply, refused(Sw::BAD_DATA));
}

#[test]
fn pin_policy_never_once_and_always_differ_as_they_say() {
    let mut b = Bench::new(Profile::default());
    for (slot, policy) in [(0x82, 1), (0x83, 2), (0x84, 3)] {
        b.generate(slot, policy, 1);
    }
    assert!(b.sign(0x82).is_ok());
    assert_eq!(b.sign(0x83), refused(Sw::SECURITY_STATUS));
    assert_eq!(b.sign(0x84), refused(Sw::SECURITY_STATUS));
    assert_eq!(b.verify(PIN), OK);
    assert!(b.sign(0x84).is_ok());
    assert_eq!(b.sign(0x84), refused(Sw::SECURITY_STATUS), "used up");
    assert!(b.sign(0x83).is_ok() && b.sign(0x83).is_ok());
    b.piv.power_off();
    assert_eq!(b.sign(0x83), refused(Sw::SECURITY_STATUS));
}

#[test]
fn pin_always_wants_verify_right_before_it_unless_the_profile_is_lax() {
    for (immediate, works) in [(true, false), (false, true)] {
        let mut b = Bench::new(Profile {
            pin_always_immediate: immediate,
            ..Profile::default()
        });
        b.generate(0x82, 3, 1);
        assert_eq!(b.verify(PIN), OK);
        b.send(INS_VERSION, 0, 0, &[]).expect("a version");
        assert_eq!(b.sign(0x82).is_ok(), works);
    }
}

#[test]
fn touch_is_asked_for_after_the_pin_and_remembered_for_cached_keys() {
    let mut b = Bench::new(Profile::default());
    b.generate(0x82, 3, touch::ALWAYS);
    b.generate(0x83, 3, touch::CACHED);
    assert_eq!(b.sign(0x82), refused(Sw::SECURITY_STATUS));
    assert_eq!(b.asked(), 0, "no PIN, no blinking");
    for (slot, asked) in [(0x82, 1), (0x83, 1), (0x82, 2)] {
        b.verify(PIN).expect("the PIN");
        b.sign(slot).expect("a signature");
        assert_eq!(b.asked(), asked, "after slot {slot:x}");
    }
    let later = b.world.now.get() + Duration::from_secs(15);
    b.world.now.set(later);
    b.verify(PIN).expect("the PIN");
    b.sign(0x83).expect("a signature");
    assert_eq!(b.asked(), 3, "the memory is over");
    b.piv.power_off();
    b.verify(PIN).expect("the PIN");
    b.sign(0x83).expect("a signature");
    assert_eq!(b.asked(), 4, "power off forgets");
}

#[test]
fn a_cache_per_key_does_not_let_one_tap_serve_two_keys() {
    let mut b = Bench::new(Profile {
        touch_cache: CacheScope::Key,
        ..Profile::default()
    });
    b.generate(0x82, 1, touch::ALWAYS);
    b.generate(0x83, 1, touch::CACHED);
    for (slot, asked) in [(0x82, 1), (0x83, 2), (0x83, 2)] {
        b.sign(slot).expect("a signature");
        assert_eq!(b.asked(), asked);
    }
}

#[test]
fn no_touch_in_time_gives_the_profiles_status_and_uses_the_pin_up() {
    let mut b = Bench::new(Profile {
        no_touch_status: StatusWord(0x6600),
        ..Profile::default()
    });
    b.generate(0x82, 3, touch::ALWAYS);
    b.world.touch.set(Touch::TimedOut);
    b.verify(PIN).expect("the PIN");
    assert_eq!(b.sign(0x82), refused(Sw(0x6600)));
    b.world.touch.set(Touch::Tapped);
    assert_eq!(b.sign(0x82), refused(Sw::SECURITY_STATUS));
    b.world.touch.set(Touch::Gone);
    b.verify(PIN).expect("the PIN");
    assert_eq!(b.sign(0x82), Err(Fail::Gone));
}

#[test]
fn wrong_pins_count_down_to_blocked_and_the_puk_unblocks() {
    let mut b = Bench::new(Profile::default());
    let ask = |b: &mut Bench| b.send(INS_VERIFY, 0, 0x80, &[]);
    assert_eq!(ask(&mut b), refused(Sw(0x63c3)));
    assert_eq!(b.verify(WRONG), refused(Sw(0x63c2)));
    assert_eq!(b.verify(PIN), OK);
    assert_eq!(ask(&mut b), OK, "verified: no number of tries");
    for sw in [0x63c2, 0x63c1, 0x63c0, 0x6983] {
        assert_eq!(b.verify(WRONG), refused(Sw(sw)));
    }
    assert_eq!(
        b.verify(PIN),
        refused(Sw::BLOCKED),
        "the right one is too late"
    );
    assert_eq!(ask(&mut b), refused(Sw::BLOCKED));
    let new = *b"246810\xff\xff";
    assert_eq!(b.send(INS_RESET_RETRY, 0, 0x80, &[PUK, new].concat()), OK);
    assert_eq!(b.verify(new), OK);
}

#[test]
fn a_wrong_pin_takes_an_earlier_verification_back() {
    let mut b = Bench::new(Profile::default());
    b.generate(0x82, 2, 1);
    assert_eq!(b.verify(PIN), OK);
    assert_eq!(b.verify(WRONG), refused(Sw(0x63c2)));
    assert_eq!(b.sign(0x82), refused(Sw::SECURITY_STATUS));
    assert_eq!(b.verify(PIN), OK);
    assert_eq!(b.send(INS_VERIFY, 0xff, 0x80, &[]), OK);
    assert_eq!(b.sign(0x82), refused(Sw::SECURITY_STATUS), "P1 FF forgets");
}

#[test]
fn a_pin_of_the_wrong_form_costs_no_try() {
    let mut b = Bench::new(Profile::default());
    assert_eq!(
        b.send(INS_VERIFY, 0, 0x80, b"123456"),
        refused(Sw::BAD_DATA)
    );
    for bad in [*b"12345\xff\xff\xff", *b"123\xff5678"] {
        let data = [PIN, bad].concat();
        assert_eq!(
            b.send(INS_CHANGE_REFERENCE, 0, 0x80, &data),
            refused(Sw::BAD_DATA)
        );
    }
    assert_eq!(b.send(INS_VERIFY, 0, 0x80, &[]), refused(Sw(0x63c3)));
}

#[test]
fn select_takes_pin_and_management_key_back_unless_the_profile_keeps_them() {
    for keeps in [false, true] {
        let mut b = Bench::new(Profile {
            keeps_pin_over_select: keeps,
            ..Profile::default()
        });
        b.generate(0x82, 2, 1);
        b.verify(PIN).expect("the PIN");
        b.piv.select();
        assert_eq!(b.sign(0x82).is_ok(), keeps);
        let put = b.send(
            INS_PUT_DATA,
            0x3f,
            0xff,
            &[0x5c, 3, 0x5f, 0xc1, 2, 0x53, 1, 9],
        );
        assert_eq!(put.is_ok(), keeps);
    }
}

#[test]
fn the_management_key_is_wanted_for_everything_that_changes_the_token() {
    let mut b = Bench::new(Profile::default());
    for (ins, p1, p2) in [
        (INS_GENERATE, 0, 0x82),
        (INS_IMPORT, 0x11, 0x82),
        (INS_PUT_DATA, 0x3f, 0xff),
        (INS_SET_MANAGEMENT_KEY, 0xff, 0xff),
        (INS_SET_TRIES, 3, 3),
        (INS_MOVE_KEY, 0x83, 0x82),
    ] {
        assert_eq!(
            b.send(ins, p1, p2, &[]),
            refused(Sw::SECURITY_STATUS),
            "{ins:02x}"
        );
    }
}

#[test]
fn a_challenge_alone_authenticates_too() {
    let mut b = Bench::new(Profile::load("5.4.3").expect("built in"));
    let reply = b.send(INS_AUTHENTICATE, 0x03, 0x9b, &[0x7c, 2, 0x81, 0]);
    let reply = reply.expect("a challenge");
    let fields = template(&reply, 0x7c).expect("a template");
    let mut answer = find(&fields, 0x81).expect("a challenge").to_vec();
    let wrong = tlv(0x7c, &tlv(0x82, &answer));
    let key = crate::state::default_management_key(24);
    let cipher = des::TdesEde3::new_from_slice(&key).expect("24 bytes");
    cipher.encrypt_block(GenericArray::from_mut_slice(&mut answer));
    let right = tlv(0x7c, &tlv(0x82, &answer));
    assert_eq!(b.send(INS_AUTHENTICATE, 0x03, 0x9b, &right), OK);
    assert!(b.piv.session.management.is_done());
    b.send(INS_AUTHENTICATE, 0x03, 0x9b, &[0x7c, 2, 0x81, 0])
        .expect("a challenge");
    let reply = b.send(INS_AUTHENTICATE, 0x03, 0x9b, &wrong);
    assert_eq!(reply, refused(Sw::SECURITY_STATUS));
    assert!(!b.piv.session.management.is_done());
}

#[test]
fn a_wrong_witness_or_algorithm_does_not_authenticate() {
    let mut b = Bench::new(Profile::default());
    let ask = [0x7c, 2, 0x80, 0];
    assert_eq!(
        b.send(INS_AUTHENTICATE, 0x03, 0x9b, &ask),
        refused(Sw::BAD_P1P2)
    );
    b.send(INS_AUTHENTICATE, 0x0a, 0x9b, &ask)
        .expect("a witness");
    let both = [tlv(0x80, &[0; 16]), tlv(0x81, &[0; 16])].concat();
    let data = tlv(0x7c, &both);
    assert_eq!(
        b.send(INS_AUTHENTICATE, 0x0a, 0x9b, &data),
        refused(Sw::SECURITY_STATUS)
    );
    assert_eq!(
        b.send(INS_AUTHENTICATE, 0x0a, 0x9b, &data),
        refused(Sw::CONDITIONS)
    );
}

#[test]
fn a_management_key_can_want_a_touch() {
    let mut b = Bench::new(Profile::default());
    b.authenticate();
    let key = [
        &[0x0a, 0x9b, 24][..],
        &crate::state::default_management_key(24),
    ]
    .concat();
    assert_eq!(b.send(INS_SET_MANAGEMENT_KEY, 0xff, 0xfe, &key), OK);
    b.authenticate();
    assert_eq!(*b.world.asked.borrow(), [Slot(0x9b)]);
    let metadata = b.send(INS_METADATA, 0, 0x9b, &[]).expect("metadata");
    assert_eq!(metadata, [1, 1, 0x0a, 2, 2, 0, 2, 5, 1, 1]);
}

#[test]
fn metadata_tells_policies_origin_and_key() {
    let mut b = Bench::new(Profile::default());
    let public = b.generate(0x82, 3, 3);
    let point = public.to_encoded_point(false);
    let expected = [
        &[1, 1, 0x11, 2, 2, 3, 3, 3, 1, 1, 4, 67, 0x86, 65][..],
        point.as_bytes(),
    ];
    assert_eq!(b.send(INS_METADATA, 0, 0x82, &[]), Ok(expected.concat()));
    b.verify(WRONG).expect_err("wrong");
    let pin = b.send(INS_METADATA, 0, 0x80, &[]);
    assert_eq!(pin, Ok(vec![1, 1, 0xff, 5, 1, 1, 6, 2, 3, 2]));
    for empty in [0x83, 0x96] {
        let reply = b.send(INS_METADATA, 0, empty, &[]);
        assert_eq!(reply, refused(Sw::REFERENCE_NOT_FOUND));
    }
    let mut old = Bench::new(Profile {
        version: Version(5, 2, 7),
        metadata: false,
        ..Profile::default()
    });
    assert_eq!(old.send(INS_METADATA, 0, 0x9b, &[]), refused(Sw::BAD_INS));
}

#[test]
fn default_policies_are_the_slots_own() {
    let mut b = Bench::new(Profile::default());
    for (slot, pin) in [(0x9a, 2), (0x9c, 3), (0x9d, 2), (0x9e, 1), (0x95, 2)] {
        b.generate(slot, 0, 0);
        let metadata = b.send(INS_METADATA, 0, slot, &[]).expect("metadata");
        assert_eq!(metadata[3..7], [2, 2, pin, 1], "{slot:02x}");
    }
}

#[test]
fn what_this_token_has_not_is_refused() {
    let mut b = Bench::new(Profile {
        missing_slots: vec![Slot(0x83)],
        attestation: false,
        ..Profile::default()
    });
    b.generate(0x82, 1, 1);
    let p256 = tlv(0xac, &tlv(0x80, &[0x11]));
    for slot in [0x83, 0x96, 0x9b] {
        assert_eq!(
            b.send(INS_GENERATE, 0, slot, &p256),
            refused(Sw(0x6b00)),
            "{slot:02x}"
        );
    }
    let rsa = tlv(0xac, &tlv(0x80, &[0x07]));
    assert_eq!(b.send(INS_GENERATE, 0, 0x82, &rsa), refused(Sw::BAD_DATA));
    assert_eq!(b.send(INS_ATTEST, 0x82, 0, &[]), refused(Sw::BAD_INS));
    assert_eq!(b.sign(0x84), refused(Sw::BAD_DATA), "an empty slot");
}

#[test]
fn objects_are_kept_deleted_and_some_want_the_pin() {
    let mut b = Bench::new(Profile::default());
    b.authenticate();
    let get = |b: &mut Bench, id: u8| b.send(INS_GET_DATA, 0x3f, 0xff, &[0x5c, 3, 0x5f, 0xc1, id]);
    let put = |b: &mut Bench, id: u8, value: &[u8]| {
        let id = [0x5f, 0xc1, id];
        let data = [tlv(0x5c, &id), tlv(0x53, value)].concat();
        b.send(INS_PUT_DATA, 0x3f, 0xff, &data)
    };
    assert_eq!(get(&mut b, 0x0d), refused(Sw::NOT_FOUND));
    assert_eq!(put(&mut b, 0x0d, &[1, 2]), OK);
    assert_eq!(get(&mut b, 0x0d), Ok(vec![0x53, 2, 1, 2]));
    assert_eq!(put(&mut b, 0x0d, &[]), OK);
    assert_eq!(get(&mut b, 0x0d), refused(Sw::NOT_FOUND));
    assert_eq!(put(&mut b, 0x0d, &[0; 4000]), refused(Sw::WRONG_LENGTH));
    assert_eq!(put(&mut b, 0x09, &[3]), OK);
    assert_eq!(get(&mut b, 0x09), refused(Sw::SECURITY_STATUS));
    assert_eq!(b.verify(PIN), OK);
    assert_eq!(get(&mut b, 0x09), Ok(vec![0x53, 1, 3]));
}

#[test]
fn a_reset_empties_the_token_but_for_its_attestation_key() {
    let mut b = Bench::new(Profile::default());
    b.generate(0x82, 1, 1);
    assert_eq!(b.send(INS_RESET, 0, 0, &[]), refused(Sw::CONDITIONS));
    for _ in 0..3 {
        b.verify(WRONG).expect_err("wrong");
        let data = [WRONG, PUK].concat();
        b.send(INS_CHANGE_REFERENCE, 0, 0x81, &data)
            .expect_err("wrong");
    }
    assert_eq!(b.send(INS_RESET, 0, 0, &[]), OK);
    assert_eq!(b.verify(PIN), OK);
    assert_eq!(b.sign(0x82), refused(Sw::BAD_DATA), "the key is gone");
    b.generate(0x82, 1, 1);
    assert!(b.send(INS_ATTEST, 0x82, 0, &[]).is_ok());
    assert_eq!(b.send(INS_ATTEST, 0xf9, 0, &[]), refused(Sw::BAD_DATA));
}

#[test]
fn set_tries_brings_the_factorys_pin_and_puk_back() {
    let mut b = Bench::new(Profile::default());
    let data = [PIN, *b"246810\xff\xff"].concat();
    assert_eq!(b.send(INS_CHANGE_REFERENCE, 0, 0x80, &data), OK);
    b.authenticate();
    assert_eq!(
        b.send(INS_SET_TRIES, 8, 5, &[]),
        refused(Sw::SECURITY_STATUS),
        "no PIN"
    );
    b.verify(*b"246810\xff\xff").expect("the PIN");
    assert_eq!(b.send(INS_SET_TRIES, 8, 5, &[]), OK);
    assert_eq!(b.verify(WRONG), refused(Sw(0x63c7)));
    assert_eq!(b.verify(PIN), OK);
}
