use super::*;
use proptest::prelude::*;

/// Any header that a share can have.
fn any_share() -> impl Strategy<Value = ShareInfo> {
    let set = (0u16..1 << 15, any::<bool>(), 0u8..16);
    let group = (1u8..=16).prop_flat_map(|count| (0..count, 1..=count, Just(count)));
    let member = (0u8..16, 1u8..=16);
    (set, group, member).prop_map(|(set, group, member)| ShareInfo {
        identifier: set.0,
        extendable: set.1,
        iteration_exponent: set.2,
        group_index: group.0,
        group_threshold: group.1,
        group_count: group.2,
        member_index: member.0,
        member_threshold: member.1,
    })
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    (8usize..=32).prop_flat_map(|half| prop::collection::vec(any::<u8>(), 2 * half))
}

fn encode(share: ShareInfo, value: &[u8]) -> Mnemonic {
    Mnemonic::encode(share, Zeroizing::new(value.to_vec()))
}

fn words(mnemonic: &Mnemonic) -> Vec<String> {
    mnemonic.expose().split(' ').map(String::from).collect()
}

proptest! {
    #[test]
    fn what_was_written_is_read(share in any_share(), value in any_value()) {
        let written = encode(share, &value);
        prop_assert_eq!(written.expose().split(' ').count(), written.word_count());
        let read = Mnemonic::parse(written.expose()).unwrap();
        prop_assert_eq!(read.share(), share);
        prop_assert_eq!(read.value(), value.as_slice());
        prop_assert_eq!(read.expose(), written.expose());
    }

    #[test]
    fn case_space_and_shortened_words_do_not_matter(share in any_share(), value in any_value(), keep in 4usize..=8) {
        let written = encode(share, &value);
        let short: Vec<String> = words(&written).iter().map(|word| word[..keep.min(word.len())].to_uppercase()).collect();
        let read = Mnemonic::parse(&format!("\t{}\r\n", short.join(" \n "))).unwrap();
        prop_assert_eq!(read.expose(), written.expose());
    }

    #[test]
    fn one_wrong_word_is_refused_and_named(
        share in any_share(), value in any_value(), place: prop::sample::Index, other in 1u16..1024,
    ) {
        let mut words = words(&encode(share, &value));
        let place = place.index(words.len());
        let index = word_index(&words[place]).unwrap();
        words[place] = WORDS[usize::from(index ^ other)].into();
        let refused = Mnemonic::parse(&words.join(" ")).err();
        prop_assert_eq!(refused, Some(Error::Checksum { suspect: Some(place + 1) }));
    }

    #[test]
    fn two_neighbours_swapped_are_refused(share in any_share(), value in any_value(), place: prop::sample::Index) {
        let mut words = words(&encode(share, &value));
        let place = place.index(words.len() - 1);
        prop_assume!(words[place] != words[place + 1]);
        words.swap(place, place + 1);
        let refused = Mnemonic::parse(&words.join(" ")).err();
        prop_assert!(matches!(refused, Some(Error::Checksum { .. })), "{refused:?}");
    }

    #[test]
    fn two_or_three_wrong_words_are_refused(
        share in any_share(),
        value in any_value(),
        errors in prop::collection::btree_map(0usize..20, 1u16..1024, 2..=3),
    ) {
        let mut words = words(&encode(share, &value));
        for (place, other) in errors {
            let index = word_index(&words[place]).unwrap();
            words[place] = WORDS[usize::from(index ^ other)].into();
        }
        let refused = Mnemonic::parse(&words.join(" ")).err();
        prop_assert!(matches!(refused, Some(Error::Checksum { .. })), "{refused:?}");
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,200}", words in prop::collection::vec(0usize..1024, 0..80)) {
        let refused = Mnemonic::parse(&text).err();
        prop_assert!(matches!(refused, Some(Error::UnknownWord { .. } | Error::Length { .. })), "{refused:?}");
        let words: Vec<&str> = words.into_iter().map(|word| WORDS[word]).collect();
        let refused = Mnemonic::parse(&words.join(" ")).err();
        prop_assert!(matches!(refused, Some(Error::Length { .. } | Error::Checksum { .. })), "{refused:?}");
    }
}

const SHARE: ShareInfo = ShareInfo {
    identifier: 0x1234,
    extendable: true,
    iteration_exponent: 0,
    group_index: 0,
    group_threshold: 1,
    group_count: 1,
    member_index: 0,
    member_threshold: 2,
};

/// A share of raw words with a checksum that fits.
fn forge(words: &[u16]) -> String {
    let checksum = rs1024::checksum(words, true);
    let words: Vec<&str> = words
        .iter()
        .chain(&checksum)
        .map(|&word| WORDS[usize::from(word)])
        .collect();
    words.join(" ")
}

#[test]
fn each_length_of_secret_has_its_own_number_of_words() {
    let known = [(16, 20), (18, 22), (32, 33), (64, 59)];
    for (bytes, count) in known {
        assert_eq!(encode(SHARE, &vec![7; bytes]).word_count(), count);
    }
    let possible: Vec<usize> = (16..=64).step_by(2).map(words_for).collect();
    for count in 0..80 {
        let text = vec!["academic"; count].join(" ");
        let refused = Mnemonic::parse(&text).err();
        match possible.contains(&count) {
            true => assert!(matches!(refused, Some(Error::Checksum { .. })), "{count}"),
            false => assert_eq!(refused, Some(Error::Length { words: count })),
        }
    }
}

#[test]
fn an_unknown_word_is_named_by_its_place() {
    let mut words = words(&encode(SHARE, &[7; 16]));
    words[6] = "twotap".into();
    assert_eq!(
        Mnemonic::parse(&words.join(" ")).err(),
        Some(Error::UnknownWord { position: 7 })
    );
}

#[test]
fn padding_that_is_not_zero_is_refused_in_each_bit() {
    for (value_words, padding) in [(13, 2), (15, 6), (16, 0), (26, 4), (52, 8)] {
        let mut words: Vec<u16> = SHARE
            .to_words()
            .into_iter()
            .chain(vec![0; value_words])
            .collect();
        assert!(Mnemonic::parse(&forge(&words)).is_ok());
        for bit in 0..10 {
            words[HEADER_WORDS] = 1 << (9 - bit);
            let refused = Mnemonic::parse(&forge(&words)).err();
            assert_eq!(
                refused,
                (bit < padding).then_some(Error::Padding),
                "{value_words} words, bit {bit}"
            );
        }
    }
}

#[test]
fn groups_that_cannot_be_are_refused() {
    for (share, error) in [
        (
            ShareInfo {
                group_threshold: 3,
                group_count: 2,
                ..SHARE
            },
            Error::GroupThresholdAboveCount,
        ),
        (
            ShareInfo {
                group_index: 2,
                group_count: 2,
                ..SHARE
            },
            Error::GroupIndex,
        ),
    ] {
        let refused = Mnemonic::parse(encode(share, &[7; 16]).expose()).err();
        assert_eq!(refused, Some(error));
    }
}
