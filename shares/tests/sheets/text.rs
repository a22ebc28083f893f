//! What a sheet says, and what it must not say.

use sha2::{Digest as _, Sha256};
use twotap_shares::{
    Mnemonic,
    sheet::{AGE_KEY_PY, Paper, Set, draw},
};

use crate::paper::{Printed, SECRET, groups, single};

/// The text, line by line as it stands on the page.
fn lines(printed: &Printed) -> Vec<String> {
    let text = printed.told_by("pdftotext", &["-layout"]);
    text.lines().map(str::to_owned).collect()
}

/// All of it, with single spaces.
fn flowing(printed: &Printed) -> String {
    let text = printed.told_by("pdftotext", &["-raw"]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn digest(share: &Mnemonic) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(share.expose()))
}

#[test]
fn a_sheet_has_all_its_words_numbered_and_the_whole_procedure() {
    let (set, shares) = single(3, 5);
    for paper in [Paper::A4, Paper::Letter] {
        let printed = Printed::new(&set, &shares[1], paper);
        let lines = lines(&printed);
        let tokens: Vec<&str> = lines.iter().flat_map(|l| l.split_whitespace()).collect();
        for (n, word) in (1..).zip(shares[1].expose().split(' ')) {
            let pair = [n.to_string(), word.to_ascii_uppercase()];
            assert!(
                tokens.windows(2).any(|two| two == pair),
                "word {n} is not on {paper:?}"
            );
        }
        // The seven lines stand there as they are typed, indented as they are.
        let python: Vec<&str> = AGE_KEY_PY.lines().collect();
        assert_eq!(python.len(), 7);
        let first = lines
            .iter()
            .position(|l| l.trim() == python[0])
            .expect("the first of the seven lines");
        let indent = lines[first].find(python[0]).expect("there");
        for (n, line) in python.iter().enumerate() {
            assert_eq!(
                lines[first + n].get(indent..),
                Some(*line),
                "line {}",
                n + 1
            );
        }
        for command in [
            "twotap recovery open --bundle BUNDLE",
            "pip install 'shamir-mnemonic[cli]'",
            "shamir recover",
            "python3 age_key.py < hex > key.txt",
            "tar xf BUNDLE vault.age",
            "age -d -i key.txt vault.age",
        ] {
            assert!(
                lines.iter().any(|l| l.trim() == command),
                "{command} is not on {paper:?}"
            );
        }
        let flowing = flowing(&printed);
        for text in [
            "Recovery share",
            "share 2 of 5",
            "emergency vault 'prod'",
            "Any 3 of them",
            &set.fingerprint(),
            &set.recipient,
            "2026-11-22",
            "holder",
            "signature",
            "checked on",
        ] {
            assert!(flowing.contains(text), "{text} is not on {paper:?}");
        }
    }
}

#[test]
fn groups_and_passphrases_are_told_in_plain_words() {
    let (mut set, shares) = groups();
    set.passphrase = true;
    let printed = Printed::new(&set, &shares[1][4], Paper::A4);
    let flowing = flowing(&printed);
    for text in [
        "board: share 5 of 5",
        "any 3 of them complete the group",
        "One group complete, of 2 in all",
        "needed besides the words; it is on no sheet",
        "shamir recover -p",
    ] {
        assert!(flowing.contains(text), "{text}: {flowing}");
    }
}

#[test]
fn nothing_on_one_sheet_helps_without_the_others() {
    let (set, shares) = groups();
    let all: Vec<&Mnemonic> = shares.iter().flatten().collect();
    for share in &all {
        let printed = Printed::new(&set, share, Paper::A4);
        let text = flowing(&printed);
        let lower = text.to_lowercase();
        let hidden = printed.told_by("pdfinfo", &["-meta"]).to_lowercase()
            + &printed.told_by("pdfinfo", &[]).to_lowercase();
        for other in all.iter().filter(|other| other.expose() != share.expose()) {
            // The beginning is the set's; the last three words are the checksum of the whole.
            let words: Vec<&str> = other.expose().split(' ').collect();
            let own: Vec<&str> = share.expose().split(' ').collect();
            for (n, three) in words.windows(3).enumerate().skip(4) {
                let here = [n + 1, n + 2, n + 3]
                    .iter()
                    .zip(three)
                    .all(|(n, word)| lower.contains(&format!(" {n} {word} ")));
                assert!(!here || own[n..n + 3] == *three, "words of another share");
            }
            let digest = digest(other);
            assert!(!lower.contains(&digest[..16]) && !hidden.contains(&digest[..16]));
        }
        let own = digest(share);
        assert!(!lower.contains(&own[..16]) && !hidden.contains(&own[..16]));
        let secret = data_encoding::HEXLOWER.encode(&SECRET);
        assert!(!lower.contains(&secret[..16]) && !hidden.contains(&secret[..16]));
        assert!(!lower.contains("age-secret-key-1"));
        // The file's own data name the vault, and no word of the share.
        for word in share.expose().split(' ').skip(3) {
            assert!(!hidden.contains(&format!(" {word} ")), "in the file's data");
        }
        assert_eq!(
            printed.told_by("pdfdetach", &["-list"]).trim(),
            "0 embedded files"
        );
    }
}

#[test]
fn the_file_is_an_archive_with_its_typefaces_in_it_and_always_the_same() {
    let (set, shares) = single(2, 3);
    for paper in [Paper::A4, Paper::Letter] {
        let printed = Printed::new(&set, &shares[0], paper);
        let info = printed.told_by("pdfinfo", &[]);
        let pages = match paper {
            Paper::A4 => "595.276 x 841.89 pts (A4)",
            Paper::Letter => "612 x 792 pts (letter)",
        };
        assert!(info.contains(pages), "{info}");
        let line = |name: &str| {
            let line = info.lines().find(|l| l.starts_with(name));
            line.map(|l| l[name.len()..].trim().to_owned())
        };
        assert_eq!(line("Pages:").as_deref(), Some("1"), "{info}");
        assert_eq!(line("JavaScript:").as_deref(), Some("no"), "{info}");
        assert_eq!(line("Encrypted:").as_deref(), Some("no"), "{info}");
        let meta = printed.told_by("pdfinfo", &["-meta"]);
        assert!(meta.contains("<pdfaid:part>2</pdfaid:part>"), "{meta}");
        assert!(
            meta.contains("<pdfaid:conformance>B</pdfaid:conformance>"),
            "{meta}"
        );
        let fonts = printed.told_by("pdffonts", &[]);
        let rows: Vec<&str> = fonts.lines().skip(2).collect();
        assert!(rows.len() >= 3, "{fonts}");
        for row in rows {
            // ... encoding, embedded, subset, unicode, object, its generation.
            let columns: Vec<&str> = row.split_whitespace().rev().take(5).collect();
            assert_eq!(columns[2..5], ["yes", "yes", "yes"], "{fonts}");
        }
        assert!(same_again(&set, &shares[0], paper));
    }
}

fn same_again(set: &Set, share: &Mnemonic, paper: Paper) -> bool {
    let twice = [(); 2].map(|()| draw(set, share, paper).expect("a sheet"));
    *twice[0] == *twice[1]
}
