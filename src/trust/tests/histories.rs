//! Random histories of a roster: forks, replays, rollbacks, skips, swapped keys, signatures twice, malleated or by other keys. A plain model that
//! knows who signed what, and nothing of cryptography, says which versions hold; the chain has to agree with it. Custodians stand for some
//! versions, recovery shares for others, and some are signed by both.

use std::{collections::BTreeSet, sync::OnceLock};

use p256::ecdsa::Signature as Ecdsa;
use proptest::prelude::*;

use super::people::{self, HostKey, SoftToken, low_s};
use crate::trust::{
    Digest, Envelope, PublicKey, Signer as _, Verified,
    dsse::Signature,
    roster::{By, Recovery, Roster, missing, verify_chain, verify_next},
    seen::Seen,
};

const POOL: [&str; 7] = [
    "alice", "alice/2", "bob", "bob/2", "carol", "ivan", "deputy",
];

/// How somebody signs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Well,
    /// Twice, the second time under another label.
    Twice,
    /// Under the label of another key; labels decide nothing.
    Relabelled,
    /// The same signature with the other S.
    HighS,
    /// With the key that shares are sealed to.
    WithUnseal,
    /// Over other bytes.
    OverOtherBytes,
}

impl How {
    fn counts(self) -> bool {
        matches!(self, Self::Well | Self::Twice | Self::Relabelled)
    }
}

/// What is done to the version itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Twist {
    None,
    Skipped,
    Repeated,
    /// Follows another version than the newest.
    Forked,
    OtherVault,
    /// One token's two keys change places.
    SwappedKeys,
    /// A token passes to another person.
    OtherOwner,
}

#[derive(Clone, Debug)]
struct Step {
    tokens: BTreeSet<usize>,
    threshold: u8,
    signers: Vec<(usize, How)>,
    twist: Twist,
    /// Which recovery shares it names.
    names: Option<usize>,
    /// Whether it says that recovery shares stand for it.
    by: bool,
    /// Which recovery shares have signed it.
    paper: BTreeSet<usize>,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        6 => Just(How::Well),
        1 => Just(How::Twice),
        1 => Just(How::Relabelled),
        1 => Just(How::HighS),
        1 => Just(How::WithUnseal),
        1 => Just(How::OverOtherBytes),
    ]
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        8 => Just(Twist::None),
        1 => Just(Twist::Skipped),
        1 => Just(Twist::Repeated),
        1 => Just(Twist::Forked),
        1 => Just(Twist::OtherVault),
        1 => Just(Twist::SwappedKeys),
        1 => Just(Twist::OtherOwner),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (
        prop::collection::btree_set(0..POOL.len(), 2..=POOL.len()),
        2..=3u8,
        prop::collection::vec((0..POOL.len(), how()), 0..10),
        twist(),
        prop::option::weighted(0.8, 0..2usize),
        any::<bool>(),
        prop::collection::btree_set(0..2usize, 0..=2),
    )
        .prop_map(
            |(tokens, threshold, signers, twist, names, by, paper)| Step {
                tokens,
                threshold,
                signers,
                twist,
                names,
                by,
                paper,
            },
        )
}

/// Two recovery identities, and what signs for each.
fn papers() -> &'static [(Recovery, HostKey); 2] {
    static PAPERS: OnceLock<[(Recovery, HostKey); 2]> = OnceLock::new();
    PAPERS.get_or_init(|| ["one", "other"].map(people::recovery))
}

fn pool() -> Vec<SoftToken> {
    POOL.map(SoftToken::new).into()
}

/// The version that a step makes after `before`; none where it would make no sense by itself.
fn version(step: &Step, before: Option<&Verified<Roster>>, pool: &[SoftToken]) -> Option<Roster> {
    let tokens: Vec<&SoftToken> = step.tokens.iter().map(|i| &pool[*i]).collect();
    let mut roster = people::roster(step.threshold, &tokens);
    if let Some(before) = before {
        roster.version = before.version + 1;
        roster.previous = Some(before.digest());
        roster.by = step.by.then_some(By::Recovery { after: None });
    }
    roster.recovery = step.names.map(|n| papers()[n].0.clone());
    match step.twist {
        Twist::None => {}
        Twist::Skipped => {
            roster.version += 1;
            roster.previous.get_or_insert(Digest::of(b"none"));
        }
        Twist::Repeated if roster.version > 2 => roster.version -= 1,
        Twist::Forked if roster.version > 1 => roster.previous = Some(Digest::of(b"a rival")),
        Twist::Repeated | Twist::Forked => {}
        Twist::OtherVault if roster.version > 1 => roster.vault = "staging".into(),
        Twist::OtherVault => {}
        Twist::SwappedKeys => {
            let token = &mut roster.tokens[0];
            std::mem::swap(&mut token.approve.key, &mut token.unseal.key);
        }
        Twist::OtherOwner => {
            let other = roster.tokens[1].person.clone();
            roster.tokens[0].person = other;
            let held: BTreeSet<String> = roster.tokens.iter().map(|t| t.person.clone()).collect();
            roster
                .people
                .retain(|p| held.contains(&p.name) || p.name == "dana" || p.name == "sofia");
        }
    }
    Envelope::new(&roster).is_ok().then_some(roster)
}

fn signed(roster: &Roster, step: &Step, pool: &[SoftToken]) -> Envelope {
    let mut envelope = Envelope::new(roster).expect("it was checked");
    let pae = envelope.pae();
    for (signer, how) in &step.signers {
        let token = &pool[*signer];
        let label = token.public().id();
        let other = Digest::of(b"somebody else");
        let good = low_s(&token.approve, &pae);
        let der = |sig: &Ecdsa| sig.to_der().as_bytes().to_vec();
        let (keyid, sig) = match how {
            How::Well | How::Twice => (label, der(&good)),
            How::Relabelled => (other, der(&good)),
            How::HighS => {
                let high = Ecdsa::from_scalars(good.r(), -*good.s()).expect("a signature");
                (label, der(&high))
            }
            How::WithUnseal => {
                let key = p256::ecdsa::SigningKey::from(token.unseal.clone());
                (label, der(&low_s(&key, &pae)))
            }
            How::OverOtherBytes => (label, der(&low_s(&token.approve, b"something else"))),
        };
        if *how == How::Twice {
            envelope.signatures.push(Signature {
                keyid: other,
                sig: sig.clone(),
            });
        }
        envelope.signatures.push(Signature { keyid, sig });
    }
    for n in &step.paper {
        envelope.sign(&papers()[*n].1);
    }
    envelope
}

/// Whether a key has signed, by what the step says alone.
fn has_signed(key: &PublicKey, step: &Step, pool: &[SoftToken]) -> bool {
    step.signers.iter().any(|(signer, how)| {
        let token = &pool[*signer];
        (how.counts() && token.public() == *key)
            // A token whose keys changed places is listed with its unseal key as the one that approves.
            || (*how == How::WithUnseal && PublicKey::from(token.unseal.public_key()) == *key)
    })
}

/// The rules, in the words of the module's own first page.
fn holds(
    roster: &Roster,
    step: &Step,
    before: Option<&Verified<Roster>>,
    pool: &[SoftToken],
) -> bool {
    let signs = |key: &PublicKey| has_signed(key, step, pool);
    let Some(before) = before else {
        return roster.version == 1 && roster.tokens.iter().all(|t| signs(&t.approve.key));
    };
    let follows = roster.vault == before.vault
        && roster.version == before.version + 1
        && roster.previous == Some(before.digest());
    let people: BTreeSet<&str> = before
        .tokens
        .iter()
        .filter(|t| signs(&t.approve.key))
        .map(|t| t.person.as_str())
        .collect();
    let same = |t: &crate::trust::roster::Token| {
        before.tokens.iter().any(|b| {
            (&b.person, &b.approve.key, &b.unseal.key) == (&t.person, &t.approve.key, &t.unseal.key)
        })
    };
    let newcomers = roster
        .tokens
        .iter()
        .filter(|t| !same(t))
        .all(|t| signs(&t.approve.key));
    let stands = match roster.by {
        None => people.len() >= usize::from(before.threshold),
        Some(By::Recovery { .. }) => {
            let named = papers()
                .iter()
                .position(|(p, _)| before.recovery.as_ref() == Some(p));
            named.is_some_and(|n| step.paper.contains(&n))
        }
    };
    follows && stands && newcomers
}

/// A first version that all of its tokens have signed.
fn first(pool: &[SoftToken]) -> Envelope {
    let all: Vec<&SoftToken> = pool[..5].iter().collect();
    let mut roster = people::roster(2, &all);
    roster.recovery = Some(papers()[0].0.clone());
    people::signed(&roster, &all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn only_rightly_signed_chains_are_accepted(steps in prop::collection::vec(step(), 1..6)) {
        let pool = pool();
        let mut chain = vec![first(&pool)];
        let dir = tempfile::tempdir().expect("a folder");
        let mut seen = Seen::open(&dir.path().join("seen.json")).expect("empty");
        seen.pin(&people::newest(&chain)).expect("pinned");
        for step in &steps {
            let before = people::newest(&chain);
            let Some(roster) = version(step, Some(&before), &pool) else { continue };
            let envelope = signed(&roster, step, &pool);
            let holds = holds(&roster, step, Some(&before), &pool);
            prop_assert_eq!(verify_next(&before, &envelope).is_ok(), holds, "{:?}", step);
            // What is still missing is nothing exactly where the signatures are all there.
            let lacking = missing(Some(&before), &envelope).expect("readable");
            if holds {
                prop_assert!(lacking.is_nothing());
            }
            let mut longer = chain.clone();
            longer.push(envelope.clone());
            prop_assert_eq!(verify_chain(&longer).is_ok(), holds);
            if !holds {
                continue;
            }
            let older = chain.clone();
            chain = longer;
            seen.accept_chain(verify_chain(&chain).expect("it holds")).expect("newer");
            // Rolled back, replayed, with a hole: never again.
            prop_assert!(seen.accept_chain(verify_chain(&older).expect("it held")).is_err());
            let replayed = [&chain[..], &[envelope][..]].concat();
            prop_assert!(verify_chain(&replayed).is_err());
            prop_assert!(verify_chain(&chain[1..]).is_err());
        }
    }

    #[test]
    fn a_first_version_takes_every_token(step in step()) {
        let pool = pool();
        if let Some(roster) = version(&step, None, &pool) {
            let envelope = signed(&roster, &step, &pool);
            let holds = holds(&roster, &step, None, &pool);
            prop_assert_eq!(verify_chain(&[envelope]).is_ok(), holds, "{:?}", step);
        }
    }
}

#[test]
fn two_histories_that_part_are_told_apart_by_whoever_has_seen_one() {
    let pool = pool();
    let first = first(&pool);
    let before = people::newest(std::slice::from_ref(&first));
    let signers: Vec<&SoftToken> = vec![&pool[0], &pool[2]];
    let version = |threshold: u8| {
        let mut roster = people::next(&before);
        roster.threshold = threshold;
        roster.accept_risk = vec![format!("RISK-{threshold}")];
        people::signed(&roster, &signers)
    };
    let (one, other) = ([first.clone(), version(2)], [first, version(3)]);
    let dir = tempfile::tempdir().expect("a folder");
    let mut seen = Seen::open(&dir.path().join("seen.json")).expect("empty");
    seen.pin(&before).expect("pinned");
    seen.accept_chain(verify_chain(&one).expect("it holds"))
        .expect("the first to come");
    assert!(
        seen.accept_chain(verify_chain(&other).expect("it holds too"))
            .is_err(),
        "a fork"
    );
}
