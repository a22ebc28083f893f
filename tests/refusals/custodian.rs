//! What a custodian's `twotap approve` refuses before it asks for the PIN: the files of a request, forged, old, or with a byte changed.

use std::cell::Cell;

use rand_core::{OsRng, RngCore as _};
use serde_json::Value;
use twotap::{
    protocol::socket::ApprovalBundle,
    trust::{
        Bytes, Digest, Document, Envelope, Timestamp,
        manifest::Manifest,
        request::{Approval, Offer, Request},
        roster::Roster,
    },
};
use twotap_token::TokenProcess;

use crate::agent::HostKey;
use crate::bench::{ALICE, Bench, DANA, PIN};
use crate::setup::{request, sealed_vault, words};
use crate::support::SoftCustodian;

const TAMPERING: i32 = 11;
const TOKEN: i32 = 7;

/// Alice at her machine, with a good request for approval in a file.
struct Desk {
    bench: Bench,
    alice: TokenProcess,
    _bob: TokenProcess,
    words: String,
    good: ApprovalBundle,
    files: Cell<u32>,
}

impl Desk {
    fn new() -> Self {
        let bench = Bench::start();
        let (alice, bob) = sealed_vault(&bench);
        let asked = request(&bench, DANA);
        let id = asked["request"].as_str().expect("an id");
        bench
            .twotap(ALICE, &["approve", id, "--export", "request.json"])
            .json();
        let file = std::fs::read(bench.home(ALICE).join("request.json")).expect("there");
        alice.control().expect("a hand").mark().expect("marked");
        Self {
            words: words(&asked),
            good: serde_json::from_slice(&file).expect("a bundle"),
            files: Cell::new(0),
            alice,
            _bob: bob,
            bench,
        }
    }

    /// Alice tries to approve what stands in a file; it must fail, with nothing signed, no PIN used, and no file written.
    fn refuses(&self, bundle: &impl serde::Serialize) -> (i32, String) {
        let n = self.files.get() + 1;
        self.files.set(n);
        let out = format!("approval-{n}.json");
        let failed = self.approving(bundle, n, &out).fails();
        assert!(!self.bench.home(ALICE).join(&out).exists());
        let counted = self
            .alice
            .control()
            .expect("a hand")
            .status()
            .expect("counted");
        assert_eq!(counted.taps_since_mark, 0);
        failed
    }

    fn tampered(&self, bundle: &ApprovalBundle, words: &str) {
        let (code, error) = self.refuses(bundle);
        assert_eq!((code, error.contains(words)), (TAMPERING, true), "{error}");
    }

    fn approving(
        &self,
        bundle: &impl serde::Serialize,
        n: u32,
        out: &str,
    ) -> crate::bench::Run<'_> {
        let name = format!("in-{n}.json");
        let json = serde_json::to_vec(bundle).expect("json");
        std::fs::write(self.bench.home(ALICE).join(&name), json).expect("written");
        let args = [
            "approve",
            "--in",
            &name,
            "--out",
            out,
            "--token",
            "1001",
            "--pin-fd",
            "0",
            "--confirm",
            &self.words,
        ];
        self.bench
            .twotap(ALICE, &args)
            .env("TWOTAP_AGENT", "/nowhere")
            .input(&format!("{PIN}\n"))
    }

    fn request(&self) -> Request {
        self.good.offer.unverified::<Offer>().expect("good").0
    }

    fn with(&self, change: impl FnOnce(&mut ApprovalBundle)) -> ApprovalBundle {
        let mut bundle = self.good.clone();
        change(&mut bundle);
        bundle
    }

    /// The good request changed, and signed by the real host as if it were good.
    fn offering(&self, change: impl FnOnce(&mut Request)) -> ApprovalBundle {
        let mut request = self.request();
        change(&mut request);
        let payload = serde_json::to_vec(&request).expect("json");
        self.with(|b| b.offer = signed::<Offer>(payload, &self.bench.agent.world().host))
    }
}

/// Signs bytes that the document's own check might not pass.
fn signed<D: Document>(payload: Vec<u8>, by: &HostKey) -> Envelope {
    let mut envelope = Envelope {
        payload_type: D::PAYLOAD_TYPE.to_owned(),
        payload,
        signatures: Vec::new(),
    };
    envelope.sign(by);
    envelope
}

#[test]
fn a_custodian_signs_nothing_that_is_forged_or_by_a_host_that_is_not_listed() {
    let desk = Desk::new();
    let stranger = HostKey::new();
    let good = &desk.good;
    let manifest: Manifest = good.manifest.unverified().expect("good");
    let resigned = |envelope: &Envelope| {
        let mut envelope = envelope.clone();
        envelope.signatures.clear();
        envelope.sign(&stranger);
        envelope
    };
    let by_host = "valid signature by a listed host";
    desk.tampered(&desk.with(|b| b.offer = resigned(&good.offer)), by_host);
    desk.tampered(
        &desk.with(|b| b.manifest = resigned(&good.manifest)),
        by_host,
    );
    desk.tampered(&desk.with(|b| b.offer.signatures.clear()), by_host);
    desk.tampered(&desk.with(|b| b.manifest.signatures.clear()), by_host);
    // Signed by the real host, but as something else.
    let mut carried = good.offer.repurposed::<Approval>();
    carried.sign(&desk.bench.agent.world().host);
    Offer::PAYLOAD_TYPE.clone_into(&mut carried.payload_type);
    desk.tampered(&desk.with(|b| b.offer = carried), by_host);
    // The stranger under the own name, with a manifest and a request that fit each other.
    let own = Manifest {
        host: twotap::trust::Signer::public(&stranger).id(),
        ..manifest.clone()
    };
    let own = Envelope::signed(&own, &stranger).expect("signed");
    let mut theirs = desk.offering(|r| r.manifest_sha256 = own.digest());
    theirs.manifest = own;
    desk.tampered(&theirs, by_host);
    // Everything signed by the real host, and something that does not fit.
    desk.tampered(&desk.offering(|r| r.generation = 2), "another generation");
    desk.tampered(
        &desk.offering(|r| r.manifest_sha256 = Digest([7; 32])),
        "another generation",
    );
    desk.tampered(
        &desk.offering(|r| r.roster_sha256 = Digest([7; 32])),
        "another roster",
    );
    desk.tampered(
        &desk.offering(|r| r.role.push('x')),
        "accounts, roles or Regions",
    );
    desk.tampered(
        &desk.offering(|r| r.account = "999999999999".into()),
        "accounts, roles or Regions",
    );
    desk.tampered(
        &desk.offering(|r| r.access = "root".into()),
        "no such access profile",
    );
    // Bob's share under Alice's name, and no share at all.
    let bobs = desk
        .bench
        .agent
        .world()
        .generation
        .as_ref()
        .and_then(|g| g.share("bob").map(<[u8]>::to_vec));
    // Bob's is most often the wrong token in the reader, and is called that.
    let (code, error) = desk.refuses(&desk.with(|b| b.share = Bytes(bobs.expect("sealed"))));
    assert_eq!((code, error.contains("is bob's")), (TOKEN, true), "{error}");
    desk.tampered(
        &desk.with(|b| b.share = Bytes(Vec::new())),
        "the share is not the one",
    );
    // A roster of the forger's own, with every signature that it wants.
    let tokens = ["alice", "bob"].map(|name| SoftCustodian::new(name, 7));
    let mut roster: Roster = good.roster_chain[0].unverified().expect("good");
    for (token, forged) in roster.tokens.iter_mut().zip(&tokens) {
        let serial = token.serial;
        *token = forged.token();
        token.serial = serial;
    }
    let mut forged = Envelope::new(&roster).expect("good in itself");
    for token in &tokens {
        forged.sign(token);
    }
    let (code, error) = desk.refuses(&desk.with(|b| b.roster_chain = vec![forged]));
    assert!([7, TAMPERING].contains(&code), "{error}");
    let (code, _) = desk.refuses(&desk.with(|b| b.roster_chain.clear()));
    assert_eq!(code, 2);

    // After all this the good one is approved.
    desk.approving(good, 0, "approval.json").json();
}

#[test]
fn a_custodian_signs_nothing_with_a_byte_changed() {
    let desk = Desk::new();
    type Part = fn(&mut ApprovalBundle) -> &mut Vec<u8>;
    let parts: [(&str, Part); 7] = [
        ("offer", |b| &mut b.offer.payload),
        ("offer's signature", |b| &mut b.offer.signatures[0].sig),
        ("manifest", |b| &mut b.manifest.payload),
        ("manifest's signature", |b| {
            &mut b.manifest.signatures[0].sig
        }),
        ("roster", |b| &mut b.roster_chain[0].payload),
        ("roster's signature", |b| {
            &mut b.roster_chain[0].signatures[1].sig
        }),
        ("share", |b| &mut b.share.0),
    ];
    for (what, part) in parts {
        for _ in 0..4 {
            let mut at = 0;
            let changed = desk.with(|b| {
                let bytes = part(b);
                at = OsRng.next_u32() as usize % bytes.len();
                bytes[at] ^= 1 << (OsRng.next_u32() % 8);
            });
            let (code, error) = desk.refuses(&changed);
            // A payload that is no longer JSON cannot be read (2); one that is was not signed (11).
            assert!([2, TAMPERING].contains(&code), "{what}, byte {at}: {error}");
            if !matches!(what, "offer" | "manifest" | "roster") {
                assert_eq!(code, TAMPERING, "{what}, byte {at}: {error}");
            }
        }
    }
}

#[test]
fn a_custodian_is_not_shown_hostile_text_nor_a_request_with_json_tricks() {
    let desk = Desk::new();
    for hostile in [
        "a\u{1b}[2J",
        "roo\u{202e}t",
        "two\nlines",
        "nul\0",
        "",
        &"x".repeat(4096),
    ] {
        for field in ["reason", "incident"] {
            let bundle = desk.offering(|r| {
                *(if field == "reason" {
                    &mut r.reason
                } else {
                    &mut r.incident
                }) = hostile.into();
            });
            let (code, error) = desk.refuses(&bundle);
            assert!([2, TAMPERING].contains(&code), "{error}");
            assert!(error.contains(field), "{error}");
            assert!(!error.chars().any(char::is_control), "{error:?}");
        }
    }
    let commander = desk.offering(|r| r.commander_claimed = Some("ivan\u{202e}".into()));
    assert!(desk.refuses(&commander).1.contains("commander"));
    // Two reasons: one for the custodian's eyes, one for somebody else's.
    let text = serde_json::to_string(&desk.request()).expect("json");
    for (from, to) in [
        (r#""reason":"#, r#""reason":"harmless","reason":"#),
        (r#""reason":"#, r#""also":"allowed","reason":"#),
    ] {
        let payload = text.replacen(from, to, 1).into_bytes();
        let host = &desk.bench.agent.world().host;
        let trick = desk.with(|b| b.offer = signed::<Offer>(payload, host));
        let (code, error) = desk.refuses(&trick);
        assert_eq!(code, 2, "{error}");
    }
    // The same in the file around it.
    let mut file = serde_json::to_value(&desk.good).expect("json");
    file["unknown"] = Value::Null;
    assert_eq!(desk.refuses(&file).0, 2);
}

#[test]
fn a_custodian_refuses_what_is_older_than_seen_and_what_has_expired() {
    let desk = Desk::new();
    let host = || desk.bench.agent.world();
    // A request of half an hour ago, still within its session's time.
    let now = Timestamp::now();
    let late = desk.offering(|r| {
        (r.not_before, r.approve_before) = (now.plus(-1801), now.plus(-1));
        r.not_after = now.plus(600);
    });
    let (code, error) = desk.refuses(&late);
    assert_eq!(
        (code, error.contains("took approvals until")),
        (4, true),
        "{error}"
    );

    // A second generation is seen; from then on the first is refused, whoever signed it.
    let manifest: Manifest = desk.good.manifest.unverified().expect("good");
    let second = Manifest {
        generation: 2,
        previous: Some(desk.good.manifest.digest()),
        ..manifest
    };
    let second = Envelope::signed(&second, &host().host).expect("signed");
    let mut newer = desk.offering(|r| {
        r.generation = 2;
        r.manifest_sha256 = second.digest();
    });
    newer.manifest = second;
    // Only looked at: the words are not those of this request.
    let (code, error) = desk.refuses(&newer);
    assert_eq!(
        (code, error.contains("words")),
        (TAMPERING, true),
        "{error}"
    );
    desk.tampered(&desk.good, "generation 1 is older than 2");

    // A record that has shrunk, or was rewritten, since the last look.
    let grown = |seq, hash| {
        let mut bundle = newer.clone();
        let mut request = bundle.offer.unverified::<Offer>().expect("good").0;
        (request.audit.seq, request.audit.hash) = (seq, Digest([hash; 32]));
        for time in [
            &mut request.not_before,
            &mut request.approve_before,
            &mut request.not_after,
        ] {
            *time = time.plus(5);
        }
        bundle.offer = Envelope::signed(&Offer(request), &host().host).expect("signed");
        bundle
    };
    let (_, error) = desk.refuses(&grown(90, 1));
    assert!(error.contains("words"), "{error}");
    desk.tampered(&grown(90, 2), "same number");
    let mut cut = grown(89, 1);
    let mut request = cut.offer.unverified::<Offer>().expect("good").0;
    for time in [
        &mut request.not_before,
        &mut request.approve_before,
        &mut request.not_after,
    ] {
        *time = time.plus(5);
    }
    cut.offer = Envelope::signed(&Offer(request), &host().host).expect("signed");
    desk.tampered(&cut, "audit head 89 is older than 90");
}
