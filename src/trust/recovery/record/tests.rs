use super::*;
use crate::trust::{
    Signer,
    tests::people::{self, HostKey, SoftToken},
};

struct Bench {
    alice: SoftToken,
    bob: SoftToken,
    paper: HostKey,
    roster: Verified<Roster>,
}

fn bench() -> Bench {
    let (alice, bob) = (SoftToken::new("alice"), SoftToken::new("bob"));
    let (entry, paper) = people::recovery("paper");
    let mut first = people::roster(2, &[&alice, &bob]);
    first.recovery = Some(entry);
    let roster = people::newest(&[people::signed(&first, &[&alice, &bob])]);
    Bench {
        alice,
        bob,
        paper,
        roster,
    }
}

fn record(bench: &Bench, how: How) -> Record {
    Record {
        v: 1,
        vault: "prod".into(),
        generation: 3,
        manifest_sha256: Digest::of(b"manifest"),
        roster_sha256: bench.roster.digest(),
        how,
        took: Took::Credential,
        at: people::at("2026-01-06T12:00:00Z"),
        nonce: Bytes(vec![1; 16]),
    }
}

fn tokens(names: &[&str]) -> How {
    How::Tokens {
        by: names.iter().map(|n| (*n).to_owned()).collect(),
    }
}

fn sealed(record: &Record, by: &[&dyn Signer]) -> Envelope {
    let mut envelope = Envelope::new(record).unwrap();
    for signer in by {
        envelope.sign(*signer);
    }
    envelope
}

#[test]
fn each_way_holds_with_its_own_signatures() {
    let b = bench();
    let paper = sealed(&record(&b, How::Paper), &[&b.paper]);
    assert_eq!(Record::verify(&paper, &b.roster).unwrap().how, How::Paper);
    let both = tokens(&["alice", "bob"]);
    let taps = sealed(&record(&b, both.clone()), &[&b.alice, &b.bob]);
    assert_eq!(Record::verify(&taps, &b.roster).unwrap().how, both);
    let text = taps.to_json();
    assert_eq!(Envelope::parse(text.as_bytes()).unwrap(), taps);
}

#[test]
fn nothing_else_does() {
    let b = bench();
    let stranger = HostKey::new("a stranger");
    let both = tokens(&["alice", "bob"]);
    let cases: [(&str, How, Vec<&dyn Signer>); 7] = [
        ("paper by a stranger", How::Paper, vec![&stranger]),
        ("paper by the tokens", How::Paper, vec![&b.alice, &b.bob]),
        ("tokens by the paper", both.clone(), vec![&b.paper]),
        ("one token of two", both.clone(), vec![&b.alice]),
        ("one custodian alone", tokens(&["alice"]), vec![&b.alice]),
        (
            "somebody named who has not signed",
            tokens(&["alice", "carol"]),
            vec![&b.alice, &b.bob],
        ),
        ("nobody", both, vec![]),
    ];
    for (what, how, signers) in cases {
        let envelope = sealed(&record(&b, how), &signers);
        assert!(Record::verify(&envelope, &b.roster).is_err(), "{what}");
    }
    assert!(Envelope::new(&record(&b, tokens(&["alice", "alice"]))).is_err());
    assert!(Envelope::new(&record(&b, tokens(&[]))).is_err());
}

#[test]
fn it_holds_for_its_own_vault_and_roster() {
    let b = bench();
    let mut other = record(&b, How::Paper);
    other.vault = "staging".into();
    assert!(Record::verify(&sealed(&other, &[&b.paper]), &b.roster).is_err());
    let mut other = record(&b, How::Paper);
    other.roster_sha256 = Digest::of(b"another");
    assert!(Record::verify(&sealed(&other, &[&b.paper]), &b.roster).is_err());

    // A roster without recovery shares: nobody's paper counts.
    let bare = people::verified(2, &[&b.alice, &b.bob]);
    let mut other = record(&b, How::Paper);
    other.roster_sha256 = bare.digest();
    assert!(Record::verify(&sealed(&other, &[&b.paper]), &bare).is_err());
}
