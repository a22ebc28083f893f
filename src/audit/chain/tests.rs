use super::*;
use crate::audit::samples::{heads, lines};
use proptest::prelude::*;

fn fault(lines: &[Vec<u8>]) -> Fault {
    verify(Head::default(), lines).unwrap_err()
}

#[test]
fn a_good_record_verifies_whole_and_in_parts() {
    let lines = lines(9);
    let heads = heads(&lines);
    assert_eq!(verify(Head::default(), &lines), Ok(heads[9]));
    assert_eq!(verify(heads[4], &lines[4..]), Ok(heads[9]));
    assert_eq!(
        verify(Head::default(), Vec::<Vec<u8>>::new()),
        Ok(Head::default())
    );
    assert_eq!(heads[9].seq, 9);
}

/// `printf 'abc' | sha256sum`, and the first line's `prev`.
#[test]
fn hashes_are_sha256_in_lower_case_hex() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Hash::of(b"abc").to_string(), abc);
    assert_eq!(abc.parse(), Ok(Hash::of(b"abc")));
    for bad in [&abc[1..], &abc.to_uppercase(), "", &format!("{abc}0")] {
        assert_eq!(bad.parse::<Hash>(), Err(NotAHash));
    }
    assert_eq!(Hash::ZERO.to_string(), "0".repeat(64));
    assert_eq!(
        serde_json::to_string(&Head {
            seq: 3,
            hash: Hash::of(b"abc")
        })
        .unwrap(),
        format!(r#"{{"seq":3,"hash":"{abc}"}}"#)
    );
}

#[test]
fn every_byte_that_is_no_digit_is_refused_at_every_place() {
    let good = Hash::of(b"abc").to_string().into_bytes();
    for place in 0..64 {
        for byte in 0..=255_u8 {
            let mut hex = good.clone();
            hex[place] = byte;
            let read = hash_from_hex(&hex);
            assert_eq!(
                read.is_some(),
                b"0123456789abcdef".contains(&byte),
                "{byte} at {place}"
            );
            assert!(read.is_none_or(|hash| hash.to_string().as_bytes() == hex));
        }
    }
}

#[test]
fn only_one_spelling_of_the_links_is_read() {
    let zeros = "0".repeat(64);
    let line = |seq: &str| format!(r#"{{"v":1,"seq":{seq},"prev":"{zeros}","event_type":"X"}}"#);
    assert_eq!(
        Links::parse(line("1").as_bytes()),
        Ok(Links {
            seq: 1,
            prev: Hash::ZERO
        })
    );
    assert_eq!(
        Links::parse(line("18446744073709551615").as_bytes()).map(|l| l.seq),
        Ok(u64::MAX)
    );
    for seq in [
        "",
        "0",
        "01",
        "+1",
        "-1",
        "1.0",
        " 1",
        "1 ",
        "18446744073709551616",
        "1e3",
    ] {
        assert_eq!(
            Links::parse(line(seq).as_bytes()),
            Err(Malformed::Head),
            "{seq:?}"
        );
    }
    let upper = line("1").replacen("\"000", "\"ABC", 1);
    assert_eq!(Links::parse(upper.as_bytes()), Err(Malformed::Head));
    for cut in 0..line("1").len() - 4 {
        assert_eq!(
            Links::parse(&line("1").as_bytes()[..cut]),
            Err(Malformed::Head)
        );
    }
}

#[test]
fn what_is_no_line_is_named() {
    let at = |n: usize, bytes: &[u8]| {
        let mut lines = lines(5);
        lines[n - 1] = bytes.to_vec();
        fault(&lines)
    };
    let good = lines(3)[2].clone();
    let malformed = |m| Fault {
        seq: 3,
        line: 3,
        why: Why::Malformed(m),
    };
    assert_eq!(at(3, b""), malformed(Malformed::Head));
    assert_eq!(at(3, b"hello"), malformed(Malformed::Head));
    assert_eq!(at(3, &good[..good.len() - 1]), malformed(Malformed::Json));
    assert_eq!(
        at(3, &[&good[..], b" "].concat()),
        malformed(Malformed::Json)
    );
    assert_eq!(
        at(3, &[&good[..], &good[..]].concat()),
        malformed(Malformed::Json)
    );
    let not_utf8: Vec<u8> = good
        .iter()
        .map(|b| if *b == b'I' { 0xff } else { *b })
        .collect();
    assert_eq!(at(3, &not_utf8), malformed(Malformed::Json));
    assert_eq!(
        at(
            3,
            &[good.as_slice(), vec![b' '; MAX_LINE].as_slice()].concat()
        ),
        malformed(Malformed::Long)
    );
}

#[test]
fn the_last_lines_cannot_tell_which_of_them_was_changed() {
    let mut lines = lines(5);
    lines[3] = String::from_utf8(lines[3].clone())
        .unwrap()
        .replace("INC-42", "INC-43")
        .into_bytes();
    assert_eq!(
        fault(&lines),
        Fault {
            seq: 4,
            line: 4,
            why: Why::ChangedOrNext
        }
    );
    assert_eq!(
        fault(&lines).to_string(),
        "event 4 (line 4) or the one after it was changed"
    );
}

#[test]
fn a_number_or_a_link_that_was_rewritten_is_named() {
    let mut numbered = lines(5);
    numbered[2] = String::from_utf8(numbered[2].clone())
        .unwrap()
        .replace("\"seq\":3", "\"seq\":9")
        .into_bytes();
    assert_eq!(
        fault(&numbered),
        Fault {
            seq: 3,
            line: 3,
            why: Why::Changed
        }
    );
    let mut unlinked = lines(5);
    let zeros = "0".repeat(64);
    let prev = heads(&unlinked)[2].hash.to_string();
    unlinked[2] = String::from_utf8(unlinked[2].clone())
        .unwrap()
        .replace(&prev, &zeros)
        .into_bytes();
    assert_eq!(
        fault(&unlinked),
        Fault {
            seq: 3,
            line: 3,
            why: Why::Changed
        }
    );
}

#[test]
fn a_forged_line_that_links_well_is_a_second_one_of_its_number() {
    let mut lines = lines(5);
    let forged = String::from_utf8(lines[2].clone())
        .unwrap()
        .replace("INC-42", "INC-43")
        .into_bytes();
    lines.insert(2, forged);
    assert_eq!(
        fault(&lines),
        Fault {
            seq: 3,
            line: 4,
            why: Why::Duplicated
        }
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_changed_line_is_named(n in 3_u64..12, at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), new in any::<u8>()) {
        let mut lines = lines(n);
        // The last two have nobody after them to tell; see the tests of verify, where a checkpoint does.
        let at = at.index(lines.len() - 2);
        let byte = byte.index(lines[at].len());
        prop_assume!(lines[at][byte] != new);
        lines[at][byte] = new;
        let fault = fault(&lines);
        prop_assert_eq!((fault.seq, fault.line), (at as u64 + 1, at as u64 + 1), "{}", fault);
        prop_assert!(matches!(fault.why, Why::Changed | Why::Malformed(_)), "{}", fault);
    }

    #[test]
    fn any_removed_lines_are_named(n in 3_u64..12, at in any::<prop::sample::Index>(), count in 1_usize..4) {
        let mut lines = lines(n);
        let at = at.index(lines.len() - 1);
        let count = count.min(lines.len() - 1 - at);
        lines.drain(at..at + count);
        let first = at as u64 + 1;
        prop_assert_eq!(fault(&lines), Fault { seq: first, line: first, why: Why::Removed { through: (at + count) as u64 } });
    }

    #[test]
    fn any_two_swapped_lines_are_named(n in 3_u64..12, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let mut lines = lines(n);
        let (a, b) = (a.index(lines.len()), b.index(lines.len()));
        prop_assume!(a != b);
        lines.swap(a, b);
        let first = a.min(b) as u64 + 1;
        prop_assert_eq!(fault(&lines), Fault { seq: first, line: first, why: Why::Reordered });
    }

    #[test]
    fn any_repeated_line_is_named(n in 3_u64..12, from in any::<prop::sample::Index>(), gap in any::<prop::sample::Index>()) {
        let mut lines = lines(n);
        let from = from.index(lines.len());
        // Anywhere after itself.
        let to = from + 1 + gap.index(lines.len() - from);
        lines.insert(to, lines[from].clone());
        prop_assert_eq!(fault(&lines), Fault { seq: from as u64 + 1, line: to as u64 + 1, why: Why::Duplicated });
    }
}
