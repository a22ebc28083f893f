use rand_core::OsRng;
use twotap_shares::{Group, Scheme};

use super::*;
use crate::vault::recovery::{Made, Wanted, make};

/// A set with its record: 2 of 3 executives and 3 of 5 of the board, any one of the two.
fn made() -> Made {
    let group = |threshold, count| Group { threshold, count };
    let scheme = Scheme {
        extendable: true,
        iteration_exponent: 0,
        group_threshold: 1,
        groups: vec![group(2, 3), group(3, 5)],
    };
    let names = ["executives", "board"].map(str::to_owned);
    let wanted = Wanted {
        vault: "prod",
        made: "2026-11-22",
        scheme: &scheme,
        names: &names,
        passphrase: b"",
    };
    make(&wanted, &mut OsRng).expect("a set")
}

/// The share again, as somebody types it.
fn typed(share: &Mnemonic) -> Mnemonic {
    Mnemonic::parse(share.expose()).expect("sound")
}

fn refusal(quorum: &mut Quorum<'_>, share: &Mnemonic) -> String {
    let why = quorum.take(typed(share)).expect_err("refused");
    assert_eq!(why.code, Code::Refused);
    why.error
}

fn recipient(quorum: Quorum<'_>) -> String {
    let secret = quorum.combine(b"").map_err(|why| why.error).expect("open");
    let identity = crate::vault::VaultIdentity::from_secret(&secret).expect("32 bytes");
    identity.recipient().expect("a recipient")
}

#[test]
fn shares_come_in_any_order_and_of_any_group_until_one_is_complete() {
    let made = made();
    let [executives, board] = &made.shares[..] else {
        panic!("two groups");
    };
    let mut quorum = Quorum::new(Some(&made.set));
    assert_eq!(quorum.progress(), "");
    for (share, said, progress) in [
        (
            &board[4],
            "board, share 5 is good",
            "board 1 of 3; 0 of 1 groups complete",
        ),
        (
            &executives[2],
            "executives, share 3 is good",
            "executives 1 of 2, board 1 of 3; 0 of 1 groups complete",
        ),
        (
            &board[0],
            "board, share 1 is good",
            "executives 1 of 2, board 2 of 3; 0 of 1 groups complete",
        ),
    ] {
        assert_eq!(quorum.take(typed(share)).expect("of the set"), said);
        assert_eq!(quorum.progress(), progress);
        assert!(!quorum.is_complete());
    }
    quorum.take(typed(&board[2])).expect("of the set");
    assert!(quorum.is_complete());
    // The executives' one share, which completes nothing, stays out.
    assert_eq!(recipient(quorum), made.set.recipient);
}

#[test]
fn a_duplicate_and_a_share_of_another_set_are_refused_and_nothing_is_lost() {
    let (one, other) = (made(), made());
    for set in [Some(&one.set), None] {
        let mut quorum = Quorum::new(set);
        quorum.take(typed(&one.shares[0][0])).expect("the first");
        let here = refusal(&mut quorum, &one.shares[0][0]);
        assert!(here.ends_with("share 1 is here already"), "{here}");
        let another = refusal(&mut quorum, &other.shares[0][1]);
        let said = match set {
            Some(_) => "none of this set of vault prod",
            None => "another set than the first one",
        };
        assert!(another.contains(said), "{another}");
        quorum.take(typed(&one.shares[0][2])).expect("the second");
        assert_eq!(recipient(quorum), one.set.recipient);
    }
}

#[test]
fn too_few_open_nothing() {
    let made = made();
    let mut quorum = Quorum::new(None);
    for share in &made.shares[1][..2] {
        quorum.take(typed(share)).expect("of the set");
    }
    let why = quorum.combine(b"").map(drop).expect_err("too few");
    assert_eq!(why.code, Code::Approvals);
    assert_eq!(
        why.hint.as_deref(),
        Some("group 2 2 of 3; 0 of 1 groups complete")
    );
    let none = Quorum::new(None).combine(b"").map(drop).expect_err("none");
    assert_eq!(none.code, Code::Approvals);
}
