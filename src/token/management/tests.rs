use super::*;
use crate::token::apdu::Card;
use std::collections::HashMap;

/// As much of a card as the management key needs: the authentication from its side, and objects.
struct Vault {
    algorithm: ManagementAlgorithm,
    key: ManagementKey,
    witness: Vec<u8>,
    objects: HashMap<Vec<u8>, Vec<u8>>,
    parts: Vec<u8>,
    /// Refuses SET MANAGEMENT KEY.
    stubborn: bool,
    /// Answers our challenge with something else.
    false_proof: bool,
}

impl Vault {
    fn new(algorithm: ManagementAlgorithm) -> Self {
        let mut key = ManagementKey::factory();
        key.0.resize(algorithm.key_length(), 9);
        let witness = vec![0x5a; algorithm.block()];
        Self {
            algorithm,
            key,
            witness,
            objects: HashMap::new(),
            parts: vec![],
            stubborn: false,
            false_proof: false,
        }
    }

    fn key(&self) -> ManagementKey {
        ManagementKey(Zeroizing::new(self.key.bytes().to_vec()))
    }

    fn answer(&mut self, ins: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
        match ins {
            0x87 => {
                assert_eq!((p1, p2), (self.algorithm.byte(), 0x9b));
                let inner = tlv::find(data, 0x7c).unwrap();
                if tlv::find(inner, 0x81).is_none() {
                    let mut block = self.witness.clone();
                    crypt(self.algorithm, &self.key, &mut block, Direction::Encrypt);
                    return tlv::element(0x7c, &[&tlv::element(0x80, &[&block])]).to_vec();
                }
                if tlv::find(inner, 0x80).unwrap() != self.witness {
                    return vec![];
                }
                let mut block = tlv::find(inner, 0x81).unwrap().to_vec();
                crypt(self.algorithm, &self.key, &mut block, Direction::Encrypt);
                block[0] ^= u8::from(self.false_proof);
                tlv::element(0x7c, &[&tlv::element(0x82, &[&block])]).to_vec()
            }
            0xff => {
                assert_eq!((p1, p2), (0xff, 0xff));
                self.algorithm = ManagementAlgorithm::from_byte(data[0]).unwrap();
                let key = tlv::find(&data[1..], 0x9b).unwrap();
                self.key = ManagementKey::from_bytes(Zeroizing::new(key.to_vec())).unwrap();
                self.witness = vec![0x77; self.algorithm.block()];
                vec![]
            }
            0xdb => {
                let id = tlv::find(data, 0x5c).unwrap().to_vec();
                self.objects
                    .insert(id, tlv::find(data, 0x53).unwrap().to_vec());
                vec![]
            }
            0xcb => {
                let object = &self.objects[tlv::find(data, 0x5c).unwrap()];
                tlv::element(0x53, &[object]).to_vec()
            }
            _ => panic!("unexpected command {ins:02x}"),
        }
    }
}

impl Card for Vault {
    fn transmit(
        &mut self,
        apdu: &[u8],
        _: &mut dyn FnMut(),
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let [class, ins, p1, p2, length, rest @ ..] = apdu else {
            panic!("a short command");
        };
        self.parts.extend_from_slice(&rest[..usize::from(*length)]);
        if *class == 0x10 {
            return Ok(Zeroizing::new(vec![0x90, 0]));
        }
        let data = std::mem::take(&mut self.parts);
        if *ins == 0xcb && !self.objects.contains_key(tlv::find(&data, 0x5c).unwrap()) {
            return Ok(Zeroizing::new(vec![0x6a, 0x82]));
        }
        if *ins == 0xff && self.stubborn {
            return Ok(Zeroizing::new(vec![0x69, 0x85]));
        }
        let mut reply = self.answer(*ins, *p1, *p2, &data);
        let refused = *ins == 0x87 && reply.is_empty();
        reply.extend_from_slice(if refused { &[0x69, 0x82] } else { &[0x90, 0] });
        Ok(Zeroizing::new(reply))
    }
}

const ALL: [ManagementAlgorithm; 4] = [
    ManagementAlgorithm::Tdes,
    ManagementAlgorithm::Aes128,
    ManagementAlgorithm::Aes192,
    ManagementAlgorithm::Aes256,
];

#[test]
fn both_sides_prove_the_key_in_every_algorithm() {
    for algorithm in ALL {
        let mut card = Vault::new(algorithm);
        let key = card.key();
        assert_eq!(authenticate(&mut card, algorithm, &key), Ok(()));

        let wrong = ManagementKey::random(algorithm);
        let error = Err(TokenError::ManagementKeyWrong);
        assert_eq!(authenticate(&mut card, algorithm, &wrong), error);

        card.false_proof = true;
        assert_eq!(
            authenticate(&mut card, algorithm, &key),
            error,
            "a card that only says yes"
        );
    }
}

#[test]
fn a_key_of_another_length_never_reaches_the_card() {
    let mut card = Vault::new(ManagementAlgorithm::Aes256);
    let key = ManagementKey::factory();
    assert_eq!(
        authenticate(&mut card, ManagementAlgorithm::Aes256, &key),
        Err(TokenError::ManagementKeyWrong)
    );
    for length in [0, 15, 17, 23, 33] {
        assert!(ManagementKey::from_bytes(Zeroizing::new(vec![1; length])).is_none());
    }
}

#[test]
fn a_new_key_is_stored_where_ykman_looks() {
    for algorithm in ALL {
        let mut card = Vault::new(ManagementAlgorithm::Tdes);
        // 01 = "PUK blocked", a salt of the old derived form, a time stamp: the first and last are kept.
        card.objects.insert(
            NOTES_OBJECT.to_vec(),
            vec![0x80, 13, 0x81, 1, 1, 0x82, 2, 7, 7, 0x83, 4, 1, 2, 3, 4],
        );
        replace(&mut card, algorithm).unwrap();
        assert_eq!(card.algorithm, algorithm);
        assert_eq!(
            card.objects[&NOTES_OBJECT[..]],
            [0x80, 9, 0x81, 1, 3, 0x83, 4, 1, 2, 3, 4]
        );
        let length = u8::try_from(algorithm.key_length()).unwrap();
        let mut expected = vec![0x88, length + 2, 0x89, length];
        expected.extend_from_slice(card.key.bytes());
        assert_eq!(card.objects[&PROTECTED_OBJECT[..]], expected);
        let found = stored(&mut card).unwrap().unwrap();
        assert_eq!(authenticate(&mut card, algorithm, &found), Ok(()));
    }
}

#[test]
fn a_refused_key_leaves_what_was_there() {
    let mut card = Vault::new(ManagementAlgorithm::Aes192);
    card.stubborn = true;
    let before = card.key();
    card.objects
        .insert(PROTECTED_OBJECT.to_vec(), vec![0x88, 0]);
    let error = replace(&mut card, ManagementAlgorithm::Aes192).err();
    assert_eq!(
        error,
        Some(TokenError::Refused {
            what: "the management key",
            status: 0x6985
        })
    );
    assert_eq!(card.objects[&PROTECTED_OBJECT[..]], [0x88, 0]);
    assert!(
        card.objects[&NOTES_OBJECT[..]].is_empty(),
        "as if it had never been written"
    );
    assert_eq!(
        authenticate(&mut card, ManagementAlgorithm::Aes192, &before),
        Ok(())
    );
}

#[test]
fn without_the_flag_the_printed_information_is_somebody_elses() {
    let mut card = Vault::new(ManagementAlgorithm::Tdes);
    card.objects
        .insert(PROTECTED_OBJECT.to_vec(), vec![1, 2, 3]);
    assert!(stored(&mut card).unwrap().is_none());
    card.objects
        .insert(NOTES_OBJECT.to_vec(), vec![0x80, 3, 0x81, 1, 1]);
    assert!(stored(&mut card).unwrap().is_none());
    card.objects
        .insert(NOTES_OBJECT.to_vec(), vec![0x80, 3, 0x81, 1, 2]);
    assert!(matches!(
        stored(&mut card),
        Err(TokenError::Malformed { .. })
    ));
}

#[test]
fn new_keys_are_aes_where_the_firmware_knows_it() {
    let preferred = |a, b, c| ManagementAlgorithm::preferred(Firmware::new(a, b, c));
    assert_eq!(preferred(5, 4, 1), ManagementAlgorithm::Tdes);
    assert_eq!(preferred(5, 4, 3), ManagementAlgorithm::Aes192);
    assert_eq!(preferred(5, 7, 4), ManagementAlgorithm::Aes192);
}
