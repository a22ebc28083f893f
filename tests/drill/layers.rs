//! Papers that were changed on the way: each layer of a share is told from the next, nothing is signed for the agent, and no receipt is left.
//!
//! Whoever changes them has the host's key as well, so that only what a layer itself proves can find it.

use std::{fs, path::PathBuf};

use ed25519_dalek::{Signer as _, SigningKey, pkcs8::DecodePrivateKey as _};
use rand_core::OsRng;
use twotap::{
    protocol::socket::DrillBundle,
    trust::{
        Bytes, Digest, Envelope, PublicKey, Signer, Verified,
        manifest::Manifest,
        roster::{Roster, verify_chain},
    },
    vault::piv_p256::Recipient,
};
use twotap_rig::Site;
use twotap_shares::{Scheme, Secret, split};

use crate::{TAMPERING, TOKEN, drill, ready};

/// The host's key, in wrong hands.
struct HostKey(SigningKey);

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

struct Case {
    site: Site,
    host: HostKey,
    bundle: DrillBundle,
    roster: Verified<Roster>,
    tried: std::cell::Cell<u32>,
}

impl Case {
    fn new() -> Self {
        let site = ready();
        let pem = site.stage().home("worker").join("state/host.key");
        let pem = fs::read_to_string(pem).expect("root reads it");
        let papers = site.stage().home("alice").join("papers.json");
        let shown = papers.display().to_string();
        drill(&site, "alice", &["--export", &shown])
            .ok()
            .expect("written");
        let text = fs::read(papers).expect("there");
        let bundle: DrillBundle = serde_json::from_slice(&text).expect("papers");
        let mut chain = verify_chain(&bundle.roster_chain).expect("good");
        Self {
            host: HostKey(SigningKey::from_pkcs8_pem(&pem).expect("a key")),
            roster: chain.pop().expect("a roster"),
            site,
            bundle,
            tried: std::cell::Cell::new(0),
        }
    }

    /// Alice's unseal key, as anybody can encrypt to it.
    fn sealed(&self, text: &[u8]) -> Vec<u8> {
        let token = self.roster.tokens_of("alice").next().expect("a token");
        let key = token.unseal.key.p256().expect("on p-256");
        age::encrypt(&Recipient::new(key), text).expect("sealed")
    }

    /// The papers with this share, whose file the manifest names; signed anew by the host.
    fn with_share(&self, share: Vec<u8>) -> DrillBundle {
        self.with(|manifest, bundle| {
            let alice = manifest.shares.iter_mut().find(|s| s.custodian == "alice");
            alice.expect("a share").file_sha256 = Digest::of(&share);
            bundle.share = Bytes(share.clone());
        })
    }

    fn with(&self, change: impl Fn(&mut Manifest, &mut DrillBundle)) -> DrillBundle {
        let mut bundle = self.bundle.clone();
        let mut manifest: Manifest = bundle.manifest.unverified().expect("a manifest");
        // One that was never seen: the memory of alice's machine is not what is tried here.
        manifest.generation += u64::from(self.tried.get()) + 10;
        manifest.previous = Some(Digest::of(b"before"));
        change(&mut manifest, &mut bundle);
        bundle.manifest = Envelope::signed(&manifest, &self.host).expect("signed");
        bundle
    }

    /// It fails at this layer with this code, and leaves nothing.
    fn fails_at(&self, layer: &str, code: i32, bundle: &DrillBundle) {
        let n = self.tried.replace(self.tried.get() + 1);
        let json = serde_json::to_vec(bundle).expect("json");
        let papers = self
            .site
            .stage()
            .write("alice", &format!("{n}.json"), &json, 0o644);
        let papers = papers.expect("written").display().to_string();
        let receipt: PathBuf = self
            .site
            .stage()
            .home("alice")
            .join(format!("{n}-receipt.json"));
        let out = receipt.display().to_string();
        self.site.tap("alice", 1).expect("a finger");
        let done = drill(&self.site, "alice", &["--in", &papers, "--out", &out])
            .go()
            .expect("ran");
        assert_eq!(
            done.status,
            Some(code),
            "{layer}: {}{}",
            done.stdout,
            done.stderr
        );
        let said = format!("(layer: {layer})");
        assert!(done.stdout.contains(&said), "{layer}: {}", done.stdout);
        assert!(!receipt.exists(), "{layer}");
    }
}

#[test]
fn each_layer_of_a_share_is_told_from_the_next() {
    let case = Case::new();
    // What comes first is found before the token is touched.
    let mut unsigned = case.bundle.clone();
    unsigned.manifest.signatures[0].sig[5] ^= 1;
    case.fails_at("papers", TAMPERING, &unsigned);
    let mut other = case.bundle.clone();
    other.vault = "test".to_owned();
    case.fails_at("papers", TAMPERING, &other);
    let mut swapped = case.bundle.clone();
    let last = swapped.share.0.len() - 1;
    swapped.share.0[last] ^= 1;
    case.fails_at("share_file", TAMPERING, &swapped);
    let bobs = case.with(|manifest, bundle| {
        let digest = Digest::of(&bundle.share.0);
        for share in &mut manifest.shares {
            share.file_sha256 = match share.custodian.as_str() {
                "bob" => digest,
                _ => Digest::of(b"another"),
            };
        }
    });
    case.fails_at("token", TOKEN, &bobs);

    // What the host itself vouches for is found by opening it.
    let mut cut = case.bundle.share.0.clone();
    let last = cut.len() - 1;
    cut[last] ^= 1;
    case.fails_at("age", TAMPERING, &case.with_share(cut));
    let garbage = case.sealed(b"these are no words of a share");
    case.fails_at("checksum", TAMPERING, &case.with_share(garbage));
    let secret = Secret::new(&[7; 32]).expect("a secret");
    let mut groups = split(&secret, b"", &Scheme::single(2, 3), &mut OsRng).expect("split");
    let stranger = groups.remove(0).remove(0);
    let stranger = case.sealed(stranger.expose().as_bytes());
    case.fails_at("words", TAMPERING, &case.with_share(stranger));
    // By now alice's machine has seen newer ones.
    case.fails_at("generation", TAMPERING, &case.bundle);
}
