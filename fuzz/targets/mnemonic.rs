//! Whatever was typed: a share in its normal form, or an error that names a place in it.

use twotap_shares::{Error, Mnemonic, suggestions, word_index};

pub fn run(data: &[u8]) {
    let Ok(typed) = std::str::from_utf8(data) else {
        return;
    };
    for word in typed.split_whitespace().take(3) {
        let near = suggestions(word);
        assert!(near.len() <= 5);
        if let Some(index) = word_index(word) {
            assert_eq!(
                near.first(),
                Some(&twotap_shares::WORDS[usize::from(index)])
            );
        }
    }
    let count = typed.split_whitespace().count();
    match Mnemonic::parse(typed) {
        Ok(share) => {
            assert_eq!(share.word_count(), count);
            assert_eq!(share.expose().split(' ').count(), count);
            let again = Mnemonic::parse(&share.expose().to_uppercase()).expect("its normal form");
            assert!(again.expose() == share.expose());
            assert_eq!(again.share(), share.share());
            let info = share.share();
            assert!(
                info.group_threshold <= info.group_count && info.group_index < info.group_count
            );
            assert!((1..=16).contains(&info.member_threshold) && info.member_index < 16);
        }
        Err(Error::UnknownWord { position }) => assert!((1..=count).contains(&position)),
        Err(Error::Length { words }) => assert_eq!(words, count),
        Err(Error::Checksum { suspect }) => {
            assert!(suspect.is_none_or(|word| (1..=count).contains(&word)));
        }
        Err(Error::GroupThresholdAboveCount | Error::GroupIndex | Error::Padding) => {}
        Err(other) => panic!("no error of one share: {other}"),
    }
}
