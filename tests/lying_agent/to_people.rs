//! To the people: what is shown, compared and signed is what was signed by the host that the roster lists, for the request that was named.

use serde_json::Value;
use twotap::{
    protocol::socket::ApprovalBundle,
    trust::{
        Bytes, Document, Envelope, Signer,
        manifest::Manifest,
        request::{Offer, Request},
        roster::Roster,
    },
};

use crate::{
    agent::{BundleLie, HostKey},
    bench::{ALICE, BOB, Bench, DANA},
    setup::{approve, request, sealed_vault, words},
    support::SoftCustodian,
};

const TAMPERING: i32 = 11;
const USAGE: i32 = 2;
const TOKEN: i32 = 7;

/// A document with one thing changed, signed by whoever is at hand; by nobody where nobody is.
fn changed<D: Document>(
    envelope: &Envelope,
    change: impl FnOnce(&mut D),
    signer: Option<&dyn Signer>,
) -> Envelope {
    let mut document: D = envelope.unverified().expect("a document");
    change(&mut document);
    let mut other = Envelope::new(&document).expect("a document");
    if let Some(signer) = signer {
        other.sign(signer);
    }
    other
}

/// What a lying agent can hand to a custodian without anybody's key but its own.
fn lies(worker_key: String, bobs_share: Bytes) -> Vec<(&'static str, BundleLie)> {
    type Change = Box<dyn Fn(&mut Request) + Send>;
    let in_offer = |what: &'static str, change: Change| -> (&'static str, BundleLie) {
        let by_a_stranger = what.starts_with("signed");
        let stranger = HostKey::new();
        let lie: BundleLie = Box::new(move |bundle: &mut ApprovalBundle| {
            let signer = by_a_stranger.then_some(&stranger as &dyn Signer);
            let change = |offer: &mut Offer| change(&mut offer.0);
            bundle.offer = changed(&bundle.offer, change, signer);
        });
        (what, lie)
    };
    let key = worker_key.clone();
    vec![
        in_offer("another reason", Box::new(|r| r.reason = "a drill".into())),
        in_offer(
            "signed: another reason",
            Box::new(|r| r.reason = "a drill".into()),
        ),
        in_offer("another operator", Box::new(|r| r.operator = "bob".into())),
        in_offer(
            "another one-time key",
            Box::new(move |r| r.worker_key = key.clone()),
        ),
        in_offer(
            "signed: another one-time key",
            Box::new(move |r| r.worker_key = worker_key.clone()),
        ),
        in_offer(
            "a longer session",
            Box::new(|r| r.not_after = r.not_after.plus(60)),
        ),
        in_offer("another audit head", Box::new(|r| r.audit.seq += 1)),
        in_offer("nothing changed, no signature", Box::new(|_| ())),
        in_offer("signed by a stranger", Box::new(|_| ())),
        (
            "the manifest as offer",
            Box::new(|bundle| bundle.offer = bundle.manifest.clone()),
        ),
        (
            "another manifest",
            Box::new(|bundle| {
                let change = |m: &mut Manifest| m.audit.seq += 1;
                bundle.manifest = changed(&bundle.manifest, change, Some(&HostKey::new()));
            }),
        ),
        (
            "another key's manifest",
            Box::new(|bundle| {
                let change = |m: &mut Manifest| m.access_key_id = "AKIAOTHEROTHEROTHER1".into();
                bundle.manifest = changed(&bundle.manifest, change, None);
            }),
        ),
        ("no roster", Box::new(|bundle| bundle.roster_chain.clear())),
        (
            "another roster",
            Box::new(|bundle| {
                let change = |r: &mut Roster| r.hosts[0].name = "host-2".into();
                let stranger = SoftCustodian::new("stranger", 9);
                bundle.roster_chain[0] = changed(&bundle.roster_chain[0], change, Some(&stranger));
            }),
        ),
        (
            "a roster with another host",
            Box::new(|bundle| {
                let stranger = HostKey::new();
                let change = |r: &mut Roster| {
                    r.hosts[0].key = stranger.public();
                    let accounts = r.people.iter_mut().flat_map(|p| &mut p.accounts);
                    accounts.for_each(|a| a.host = stranger.public().id());
                };
                bundle.roster_chain[0] = changed(&bundle.roster_chain[0], change, None);
                let change = |offer: &mut Offer| offer.0.host = stranger.public().id();
                bundle.offer = changed(&bundle.offer, change, Some(&stranger));
            }),
        ),
        (
            "a share with a byte changed",
            Box::new(|bundle| *bundle.share.0.last_mut().expect("not empty") ^= 1),
        ),
        (
            "another custodian's share",
            Box::new(move |bundle| bundle.share = bobs_share.clone()),
        ),
    ]
}

#[test]
fn a_custodian_is_shown_nothing_that_the_listed_host_did_not_sign() {
    let bench = Bench::start();
    let _tokens = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let id = asked["request"].as_str().expect("an id").to_owned();
    let export = ["approve", &id, "--export", "bobs.json"];
    bench.twotap(BOB, &export).json();
    let bobs = std::fs::read(bench.home(BOB).join("bobs.json")).expect("there");
    let bobs: ApprovalBundle = serde_json::from_slice(&bobs).expect("a bundle");
    let other = twotap::vault::OneTime::generate().recipient();
    let args = ["approve", &id, "--token", "1001", "--review"];
    let review = || bench.twotap(ALICE, &args);
    // At the first meeting, when only the own token can vouch for a roster, and again when it is known.
    for meeting in ["first", "second"] {
        for (what, lie) in lies(other.clone(), bobs.share.clone()) {
            bench.agent.world().bundle_lie = Some(lie);
            let (code, error) = review().fails();
            // Something else in a document's place is no document: the wrong paper, not a forged one.
            let none = code == USAGE && ["the manifest as offer", "no roster"].contains(&what);
            // A listed share of somebody else is most often the wrong token in the reader, and is called that.
            let wrong_token = code == TOKEN && what == "another custodian's share";
            assert!(
                none || wrong_token || code == TAMPERING,
                "{meeting} meeting, {what}: {code} {error}"
            );
        }
        bench.agent.world().bundle_lie = None;
        assert_eq!(review().output().code(), 0, "{meeting}");
    }
    assert_eq!(bench.agent.world().shares.len(), 0);
    approve(&bench, ALICE, &words(&asked)).json();
    assert_eq!(bench.agent.world().shares, ["alice"]);
}

/// Another request of the same host: whole, signed, and not the one that was named.
fn another(bench: &Bench) -> Envelope {
    let world = bench.agent.world();
    let change = |offer: &mut Offer| {
        offer.0.id = "r-aaaaaaaaaaaaa".into();
        offer.0.reason = "something else".into();
    };
    let offer = &world.view.as_ref().expect("a request").offer;
    changed(offer, change, Some(&world.host))
}

#[test]
fn a_custodian_who_names_a_request_is_not_shown_another_one() {
    let bench = Bench::start();
    let _tokens = sealed_vault(&bench);
    let asked = request(&bench, DANA);
    let id = asked["request"].as_str().expect("an id");
    let (for_bundle, for_view) = (another(&bench), another(&bench));
    bench.agent.world().bundle_lie = Some(Box::new(move |b| b.offer = for_bundle.clone()));
    bench.agent.world().view_lie = Some(Box::new(move |v| v.offer = for_view.clone()));
    let named = ["--token", "1001", "--pin-fd", "0"];
    let yes = [&["approve", id, "--confirm", "a b c d e f"], &named[..]].concat();
    let look = ["approve", id, "--token", "1001", "--review"];
    let file = ["approve", id, "--export", "other.json"];
    let no = [&["deny", id, "--reason", "not now"], &named[..]].concat();
    for args in [&yes[..], &look, &file, &no] {
        let pin = format!("{}\n", crate::bench::PIN);
        let (code, error) = bench.twotap(ALICE, args).input(&pin).fails();
        assert_eq!(code, TAMPERING, "{args:?}: {error}");
        assert!(error.contains("shows another request"), "{args:?}: {error}");
    }
    assert!(!bench.home(ALICE).join("other.json").exists());
    let world = bench.agent.world();
    let view = world.view.as_ref().expect("there");
    assert!(view.denied_by.is_empty() && view.approved_by.is_empty());
}

#[test]
fn an_operator_reads_no_words_of_a_request_that_was_not_asked() {
    let bench = Bench::start();
    let _tokens = sealed_vault(&bench);
    let ask = |bench: &Bench| {
        let args = [
            "request",
            "prod",
            "--access",
            "admin",
            "--incident",
            "INC-42",
        ];
        let args = [&args[..], &["--reason", "down", "--commander", "ivan"]].concat();
        bench.twotap(DANA, &args).fails()
    };
    // A host that signs it.
    type Lie = fn(&mut Request);
    let signed: [(&str, Lie); 15] = [
        ("operator", |r| r.operator = "alice".into()),
        ("incident", |r| r.incident = "INC-43".into()),
        ("reason", |r| r.reason = "something else".into()),
        ("commander", |r| r.commander_claimed = None),
        ("vault", |r| r.vault = "other".into()),
        ("access", |r| r.access = "root".into()),
        ("nonce", |r| r.operator_nonce = Bytes(vec![0; 16])),
        ("duration", |r| r.not_after = r.not_after.plus(1)),
        ("policy", |r| r.policy_sha256.0[0] ^= 1),
        ("account", |r| r.account = "999999999999".into()),
        ("role", |r| r.role.push('x')),
        ("regions", |r| r.regions = vec!["us-east-1".into()]),
        ("generation", |r| r.generation += 1),
        ("manifest", |r| r.manifest_sha256.0[0] ^= 1),
        ("roster", |r| r.roster_sha256.0[0] ^= 1),
    ];
    for (what, lie) in signed {
        bench.agent.world().lie = Some(lie);
        let (code, error) = ask(&bench);
        assert_eq!(code, TAMPERING, "{what}: {error}");
    }
    bench.agent.world().lie = None;
    // An agent that only carries it.
    for what in ["offer", "unsigned", "manifest", "roster", "id", "policy"] {
        bench.agent.world().view_lie = Some(Box::new(move |view| match what {
            "offer" => {
                let change = |offer: &mut Offer| offer.0.nonce = Bytes(vec![1; 16]);
                view.offer = changed(&view.offer, change, Some(&HostKey::new()));
            }
            "unsigned" => view.offer = changed(&view.offer, |_: &mut Offer| (), None),
            "manifest" => view.manifest = changed(&view.manifest, |_: &mut Manifest| (), None),
            "roster" => view.roster_chain.clear(),
            "id" => view.id = "r-aaaaaaaaaaaaa".into(),
            _ => view.policy.push(' '),
        }));
        let (code, error) = ask(&bench);
        let none = code == USAGE && what == "roster";
        assert!(none || code == TAMPERING, "{what}: {code} {error}");
    }
    bench.agent.world().view_lie = None;
    let asked: Value = request(&bench, DANA);
    assert_eq!(words(&asked).split(' ').count(), 6);
}
