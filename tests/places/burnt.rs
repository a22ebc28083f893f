//! A host that is lost: the other one opens the newest generation, strikes it out and seals anew; then whatever the lost host has, signs or
//! offers is worth nothing.

use std::path::Path;

use twotap::{
    protocol::{
        Code, Problem,
        job::{Entry, FromWorker, Job, OfferMade, PlaceStep, RosterWish, Step},
    },
    trust::{
        Digest, Envelope, Head, Timestamp, Verified,
        manifest::Manifest,
        receipt::Receipt,
        request::Offer,
        roster::{Roster, verify_chain},
        seen::Seen,
    },
    vault::Bundle,
};

use crate::{
    pair::{Pair, Plan, folder, generation, readers, secret},
    support::{HostKey, Worker, ask, names, nonce},
};

/// A vault whose generations are claimed in a secret and copied to a folder that both hosts see.
fn two_hosts() -> Pair {
    let pair = Pair::of(&Plan {
        places: &|world| vec![secret(world, true), folder("nas", false)],
        tables: &|host, shared| {
            format!(
                "{}[places.nas]\npath = {:?}\n",
                readers(host, shared),
                shared.join("nas")
            )
        },
        padding: 0,
    });
    std::fs::create_dir(pair.shared("nas")).expect("made");
    pair.seal(0).expect("sealed");
    pair
}

/// The chain of rosters that counts at a host.
fn chain(pair: &Pair, host: usize) -> Vec<Envelope> {
    let mut worker = pair.worker(host);
    worker.send(&Job::Vault {
        vault: "prod".to_owned(),
    });
    match worker.next() {
        Some(FromWorker::Vault(facts)) => facts.roster_chain,
        other => panic!("no vault: {other:?}"),
    }
}

/// The next version without the first host, signed by two custodians.
fn without_the_first(pair: &Pair) -> Envelope {
    let before = newest(&chain(pair, 1));
    let mut roster = Roster::clone(&before);
    roster.version += 1;
    roster.previous = Some(before.digest());
    roster.created_at = Timestamp::now();
    roster.hosts.remove(0);
    let mut envelope = Envelope::new(&roster).expect("a sensible roster");
    for custodian in &pair.custodians[..2] {
        envelope.sign(custodian);
    }
    envelope
}

fn newest(chain: &[Envelope]) -> Verified<Roster> {
    let mut versions = verify_chain(chain).expect("a good chain");
    versions.pop().expect("not empty")
}

/// Hands a version in at the second host and has it taken up.
fn take_up(pair: &Pair, next: &Envelope) -> Vec<Entry> {
    let mut worker = pair.worker(1);
    worker.send(&Job::Roster {
        vault: "prod".to_owned(),
        wish: RosterWish {
            next: next.clone(),
            incident: "CHG-9".to_owned(),
            reason: "the first host has burnt".to_owned(),
            nonce: nonce(),
        },
        operator: "dana".to_owned(),
        audit: Head::EMPTY,
    });
    let Some(FromWorker::Offer(made)) = worker.next() else {
        panic!("no offer");
    };
    pair.approve(&mut worker, &made);
    let (session, end) = worker.finish();
    assert!(session.is_none());
    end.expect("taken up")
}

/// What a host answers to the usual question.
fn asked(pair: &Pair, host: usize) -> Result<(Worker, OfferMade), Problem> {
    let mut worker = pair.worker(host);
    worker.send(&Job::Ceremony {
        ask: ask(),
        operator: "dana".to_owned(),
        audit: Head::EMPTY,
        checks: Vec::new(),
    });
    match worker.next() {
        Some(FromWorker::Offer(made)) => Ok((worker, made)),
        Some(FromWorker::Failed(problem)) => Err(problem),
        other => panic!("no answer: {other:?}"),
    }
}

/// The same with a host that reads no place.
fn cut_off(pair: &Pair, host: usize) {
    let file = pair.host(host).join("worker.toml");
    let toml = std::fs::read_to_string(&file).expect("there");
    let at = toml.find("[places").expect("places");
    std::fs::write(&file, &toml[..at]).expect("written");
}

fn bundle(file: &Path) -> Bundle {
    Bundle::parse(&std::fs::read(file).expect("there")).expect("a bundle")
}

#[test]
fn a_burnt_host_is_struck_out_and_nothing_that_it_holds_or_signs_counts_any_more() {
    let pair = two_hosts();
    // What was on the first host when it was lost: its key, a sealed generation, a receipt, an offer that waits.
    let receipt = pair
        .journal(0)
        .into_iter()
        .find_map(|entry| match entry.step {
            Step::Rotated { receipt } => Some(receipt),
            _ => None,
        })
        .expect("a receipt");
    let (waiting, offered) = pair.ask(0);
    drop(waiting);
    let lost = HostKey::of(&pair.host(0).join("state"));
    let nas = pair.shared("nas/prod.bundle.json");
    let old_bundle = bundle(&nas);
    let first = newest(&offered.roster_chain);
    assert!(Offer::verify(&offered.offer, &first).is_ok());
    assert!(
        receipt
            .verify::<Receipt>(&first.host_keys(), "a host")
            .is_ok()
    );

    // The second host opens the newest generation by two taps, and strikes the first one out by two more.
    let (opened, session, end) = pair.open(1);
    assert_eq!(opened, 2);
    assert!(session.is_some());
    end.expect("a whole ceremony");
    let entries = take_up(&pair, &without_the_first(&pair));
    assert!(names(&entries).iter().any(|step| step == "rotated"));
    let second = newest(&chain(&pair, 1));
    assert_eq!((second.version, second.hosts.len()), (2, 1));
    let alive = pair.active_keys();
    assert_eq!(alive.len(), 1);

    // What it signed and still may sign: an offer, a manifest, a receipt, of before and of now.
    let fresh = |envelope: &Envelope| {
        let mut fresh = envelope.clone();
        fresh.signatures.clear();
        fresh.sign(&lost);
        fresh
    };
    for offer in [offered.offer.clone(), fresh(&offered.offer)] {
        assert!(Offer::verify(&offer, &second).is_err());
    }
    let mut later: Offer = offered.offer.unverified().expect("an offer");
    later.0.roster_sha256 = second.digest();
    let later = Envelope::signed(&later, &lost).expect("signed");
    assert!(
        Offer::verify(&later, &second).is_err(),
        "under the roster that counts"
    );
    let mut sealed: Manifest = offered.manifest.unverified().expect("a manifest");
    sealed.generation = 99;
    sealed.previous = Some(Digest::of(b"before"));
    let under_the_first = Envelope::signed(&sealed, &lost).expect("signed");
    sealed.roster_sha256 = second.digest();
    let under_the_second = Envelope::signed(&sealed, &lost).expect("signed");
    for manifest in [&offered.manifest, &under_the_second] {
        assert!(Manifest::verify(manifest, &second).is_err());
    }
    for receipt in [receipt.clone(), fresh(&receipt)] {
        assert!(
            receipt
                .verify::<Receipt>(&second.host_keys(), "a host")
                .is_err()
        );
    }
    // A custodian who has met the second version is shown no other.
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = Seen::open(&folder.path().join("seen.json")).expect("empty");
    seen.pin(&first).expect("pinned");
    seen.accept_chain(verify_chain(&chain(&pair, 1)).expect("good"))
        .expect("newer");
    let back = verify_chain(&offered.roster_chain).expect("good");
    assert!(seen.accept_chain(back).is_err());

    // Laid at a place that the second host reads, none of its bundles is taken over, however high it counts.
    let good = bundle(&nas);
    let with = |manifest: &Envelope, chain: &[Envelope]| Bundle {
        manifest: manifest.clone(),
        roster_chain: chain.to_vec(),
        ..old_bundle.clone()
    };
    let all = chain(&pair, 1);
    for (what, bundle, told) in [
        (
            "the old one",
            old_bundle.clone(),
            "the host that sealed it is not listed",
        ),
        (
            "a new one under the first roster",
            with(&under_the_first, &all),
            "the host that sealed it is not listed",
        ),
        (
            "the same, without the second roster",
            with(&under_the_first, &all[..1]),
            "the host that sealed it is not listed",
        ),
        (
            "a new one under the second",
            with(&under_the_second, &all),
            "signature",
        ),
    ] {
        std::fs::write(&nas, bundle.to_json()).expect("written");
        let before = pair.journal(1).len();
        let (_worker, made) = asked(&pair, 1).expect("an offer");
        assert_eq!(generation(&made), 4, "{what}");
        let said = pair.journal(1).split_off(before);
        let unread: Vec<&str> = said
            .iter()
            .map(|entry| match &entry.step {
                Step::Place(PlaceStep::PlaceUnread { why, .. }) => why.as_str(),
                other => panic!("{what}: {other:?}"),
            })
            .collect();
        assert!(
            unread.len() == 1 && unread[0].contains(told),
            "{what}: {unread:?}"
        );
    }
    std::fs::write(&nas, good.to_json()).expect("written");

    // The lost host itself, cut off from the places: two custodians who are fooled open its generation, and the key in it is dead.
    cut_off(&pair, 0);
    let (mut worker, made) = asked(&pair, 0).expect("it knows no better");
    assert_eq!(generation(&made), 2);
    assert!(Offer::verify(&made.offer, &second).is_err());
    pair.approve(&mut worker, &made);
    let (session, end) = worker.finish();
    assert!(session.is_none(), "its old generation opens nothing alive");
    let problem = end.expect_err("the key is dead");
    assert_eq!(problem.code, Code::Refused, "{problem}");
    assert!(
        problem
            .error
            .contains("aws does not know the key that was opened here"),
        "{problem}"
    );
    assert_eq!(pair.active_keys(), alive);
    // And the second host goes on.
    let (opened, session, end) = pair.open(1);
    assert_eq!(opened, 4);
    assert!(session.is_some());
    end.expect("a whole ceremony");
}

#[test]
fn a_host_that_was_struck_out_finds_it_at_a_place_and_offers_nothing() {
    let pair = two_hosts();
    pair.open(1).2.expect("a whole ceremony");
    take_up(&pair, &without_the_first(&pair));
    // It was not burnt after all: it reads the places, and learns that it is no longer one of the vault's hosts.
    let problem = match asked(&pair, 0) {
        Err(problem) => problem,
        Ok((_, made)) => panic!("it offers generation {}", generation(&made)),
    };
    assert!(
        matches!(problem.code, Code::Refused | Code::Tampering),
        "{problem:?}"
    );
    assert!(pair.seal(0).is_err(), "nor does it seal");
}
