use super::super::testing::{sealed, tokens};
use super::*;
use crate::trust::tests::people::{SoftToken, newest, next, signed, verified};

fn chain() -> ([SoftToken; 3], Vec<Envelope>) {
    let tokens = tokens(["alice", "bob", "carol"]);
    let first = verified(2, &tokens.each_ref());
    let second = signed(&next(&first), &[&tokens[0], &tokens[1]]);
    (tokens, vec![first.envelope().clone(), second])
}

#[test]
fn it_reads_back_and_verifies() {
    let (_, chain) = chain();
    let roster = newest(&chain);
    let (generation, _) = sealed(&roster, 1);
    let bundle = Bundle::new(&generation, chain.clone());
    let json = bundle.to_json();
    let read = Bundle::parse(json.as_bytes()).expect("good");
    assert_eq!(read, bundle);
    assert_eq!(read.to_json(), json);
    let (versions, manifest) = read.verify().expect("good");
    assert_eq!((versions.len(), manifest.generation), (2, 1));
    assert_eq!(read.generation(), generation);
}

#[test]
fn a_generation_under_an_older_roster_still_verifies_but_not_under_a_strange_one() {
    let (_, chain) = chain();
    let (generation, _) = sealed(&newest(&chain[..1]), 1);
    assert!(Bundle::new(&generation, chain.clone()).verify().is_ok());

    let [ivan, deputy] = tokens(["ivan", "deputy"]);
    let (strange, _) = sealed(&verified(2, &[&ivan, &deputy]), 1);
    assert!(matches!(
        Bundle::new(&strange, chain).verify(),
        Err(VaultError::Trust(_))
    ));
}

#[test]
fn a_changed_file_has_a_name() {
    let (_, chain) = chain();
    let (generation, _) = sealed(&newest(&chain), 1);
    let good = Bundle::new(&generation, chain);
    let blamed = |bundle: Bundle| match bundle.verify() {
        Err(VaultError::Digest {
            file, custodian, ..
        }) => (file, custodian),
        other => panic!("expected a wrong digest, not {:?}", other.err()),
    };
    let mut bundle = good.clone();
    bundle.vault_age.0[0] ^= 1;
    assert_eq!(blamed(bundle), ("vault.age".into(), None));

    let bobs = || ("shares/bob.age".to_owned(), Some("bob".to_owned()));
    // A second file of bob's, which nobody has signed.
    let mut bundle = good.clone();
    let mut again = bundle.shares[1].clone();
    again.age.0.clear();
    bundle.shares.push(again);
    assert_eq!(
        blamed(bundle),
        ("shares/bob.age".into(), Some("bob".into()))
    );
    let mut bundle = good.clone();
    bundle.shares[1].age.0.push(0);
    assert_eq!(blamed(bundle), bobs());
    let mut bundle = good.clone();
    bundle.shares.remove(1);
    assert_eq!(blamed(bundle), bobs());
    let mut bundle = good.clone();
    let again = bundle.shares[0].age.clone();
    bundle.shares.push(BundledShare {
        custodian: "stranger".into(),
        age: again,
    });
    assert_eq!(
        blamed(bundle),
        ("shares/stranger.age".into(), Some("stranger".into()))
    );

    // Swapped shares are two wrong ones.
    let mut bundle = good;
    let (alice, bob) = (bundle.shares[0].age.clone(), bundle.shares[1].age.clone());
    bundle.shares[0].age = bob;
    bundle.shares[1].age = alice;
    assert_eq!(
        blamed(bundle),
        ("shares/alice.age".into(), Some("alice".into()))
    );
}

#[test]
fn what_is_not_a_bundle_is_refused() {
    let (_, chain) = chain();
    let (generation, _) = sealed(&newest(&chain), 1);
    let json = Bundle::new(&generation, chain).to_json();
    for bad in [
        String::new(),
        "{}".to_owned(),
        json.replacen('{', "{\"note\":1,", 1),
        json.replacen('{', "{\"vault_age\":\"\",", 1),
        format!("{}{json}", " ".repeat(MAX_BUNDLE)),
    ] {
        assert!(matches!(
            Bundle::parse(bad.as_bytes()),
            Err(VaultError::Malformed { .. })
        ));
    }
}

#[test]
fn it_has_one_spelling() {
    let (_, chain) = chain();
    let (generation, _) = sealed(&newest(&chain), 1);
    let json = Bundle::new(&generation, chain).to_json();
    for other in [
        json.trim_end().to_owned(),
        format!("{json}\n"),
        format!(" {json}"),
        json.replacen(",\"vault_age\"", ", \"vault_age\"", 1),
        json.replacen("{\"manifest\"", "{\"claim\":null,\"manifest\"", 1),
    ] {
        assert_ne!(other, json);
        assert!(Bundle::parse(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn a_claim_takes_no_more_room_than_is_kept_for_it_and_leaves_no_trace() {
    let (_, chain) = chain();
    let (generation, _) = sealed(&newest(&chain), 1);
    let free = Bundle::new(&generation, chain);
    let claim = Claim {
        host: free.manifest.signatures[0].keyid,
        request: Some("r-abcdefghijklm".to_owned()),
        at: Timestamp::now(),
    };
    let claimed = free.clone().claimed(Some(claim));
    let (long, short) = (claimed.to_json(), free.to_json());
    assert!(long.len() <= short.len() + CLAIM);
    assert!(claimed.verify().is_ok());
    assert_eq!(Bundle::parse(long.as_bytes()).expect("good"), claimed);
    assert_eq!(claimed.claimed(None).digest(), free.digest());
}

#[test]
fn its_size_is_known_before_it_is_sealed() {
    let (_, chain) = chain();
    let roster = newest(&chain);
    let (generation, _) = sealed(&roster, 1);
    let rosters: usize = chain.iter().map(|r| r.to_json().len()).sum();
    let real = Bundle::new(&generation, chain).to_json().len() - rosters;
    let told = sealed_size(&roster);
    assert!(told >= real && told < real + real / 3, "{told} for {real}");
}
