//! The public recovery set in `shares/demo`: made again byte for byte, opened, held to what `shares/FORMAT.md` says of it, and refused
//! wherever something would be sealed to it.
//!
//! `TWOTAP_REMAKE=1 cargo test --test demo_set` writes the files anew.

#[path = "../shares/src/testing.rs"]
#[allow(dead_code)]
mod testing;

use std::{collections::BTreeMap, fs, path::PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use testing::Draw;
use twotap::{
    trust::{
        Digest, Signer as _,
        recovery::{RecoverySet, SetGroup},
    },
    vault::{VaultIdentity, recovery::RecoverySigner},
};
use twotap_shares::{
    Mnemonic, Scheme, Secret, combine,
    sheet::{DEMO_RECIPIENT, Paper, Set, draw, qr_text},
    split,
};

/// The 32 bytes of an identity that everybody knows.
const IDENTITY: &[u8; 32] = b"twotap demo set: for nobody, 001";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shares/demo")
}

fn shares() -> Vec<Mnemonic> {
    let secret = Secret::new(IDENTITY).expect("32 bytes");
    let shares = split(&secret, b"", &Scheme::single(2, 3), &mut Draw::new(2026));
    shares.expect("a scheme").remove(0)
}

fn identity() -> VaultIdentity {
    VaultIdentity::from_secret(&Secret::new(IDENTITY).expect("32 bytes")).expect("an identity")
}

fn record() -> RecoverySet {
    RecoverySet {
        v: 1,
        vault: "demo".to_owned(),
        recipient: DEMO_RECIPIENT.to_owned(),
        signer: RecoverySigner::of(&identity()).expect("a signer").public(),
        made: "2026-11-22".to_owned(),
        group_threshold: 1,
        groups: vec![SetGroup {
            name: None,
            threshold: 2,
            shares: shares().iter().map(words_digest).collect(),
        }],
        passphrase: false,
    }
}

fn words_digest(share: &Mnemonic) -> Digest {
    Digest::of(share.expose().as_bytes())
}

/// The folder's files.
fn files() -> BTreeMap<String, Vec<u8>> {
    let shares = shares();
    let set = Set {
        vault: "demo".to_owned(),
        recipient: DEMO_RECIPIENT.to_owned(),
        signer: record().signer.id().to_string(),
        made: (2026, 11, 22),
        scheme: Scheme::single(2, 3),
        names: Vec::new(),
        passphrase: false,
        demo: true,
    };
    let mut files = BTreeMap::new();
    let mut words = String::new();
    for (n, share) in (1..).zip(&shares) {
        let pdf = draw(&set, share, Paper::A4).expect("a sheet");
        files.insert(format!("demo-share-{n}.pdf"), pdf.to_vec());
        words.push_str(share.expose());
        words.push('\n');
    }
    let letter = draw(&set, &shares[0], Paper::Letter).expect("a sheet");
    files.insert("demo-share-1-letter.pdf".to_owned(), letter.to_vec());
    files.insert("words.txt".to_owned(), words.into_bytes());
    let mut json = serde_json::to_vec(&record()).expect("json");
    json.push(b'\n');
    files.insert("demo.recovery.json".to_owned(), json);
    files
}

#[test]
fn the_demo_set_is_made_again_byte_for_byte() {
    let files = files();
    if std::env::var_os("TWOTAP_REMAKE").is_some() {
        for (name, bytes) in &files {
            fs::write(folder().join(name), bytes).expect("written");
        }
    }
    for (name, bytes) in &files {
        let kept = fs::read(folder().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(kept == *bytes, "{name} differs");
    }
    // And a page that says what it is.
    let there = fs::read_dir(folder()).expect("a folder").count();
    assert_eq!(there, files.len() + 1);
}

#[test]
fn any_two_of_its_shares_are_the_identity_that_the_recipient_is_of() {
    let words = fs::read_to_string(folder().join("words.txt")).expect("words");
    let lines: Vec<&str> = words.lines().collect();
    for pair in [[0, 1], [0, 2], [2, 1]] {
        let two = pair.map(|n| Mnemonic::parse(lines[n]).expect("a share"));
        let secret = combine(&two, b"").expect("a quorum");
        assert_eq!(secret.expose(), IDENTITY);
        let identity = VaultIdentity::from_secret(&secret).expect("an identity");
        assert_eq!(identity.recipient().expect("a recipient"), DEMO_RECIPIENT);
    }
    let record = record();
    record.check().expect("a record that makes sense");
    for (n, share) in shares().iter().enumerate() {
        assert_eq!(record.find(&words_digest(share)), Some((0, n)));
    }
}

/// The worked example of `shares/FORMAT.md`.
#[test]
fn the_format_page_has_this_set_as_its_example() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("shares/FORMAT.md");
    let page = fs::read_to_string(page).expect("the page");
    // Long lines are broken there.
    let page: Vec<&str> = page.split_whitespace().collect();
    let page = page.join(" ");
    let (shares, identity, record) = (shares(), identity(), record());
    let info = shares[1].share();
    let signer = RecoverySigner::of(&identity).expect("a signer");
    let text = identity.expose_text().expect("text");
    let json = serde_json::to_string(&record).expect("json");
    for (what, text) in [
        ("identity", HEXLOWER.encode(IDENTITY)),
        ("identity's text", text.to_string()),
        ("recipient", DEMO_RECIPIENT.to_owned()),
        ("fingerprint", record.fingerprint()),
        ("share 1", shares[0].expose().to_owned()),
        ("share 2", shares[1].expose().to_owned()),
        ("share 3", shares[2].expose().to_owned()),
        ("qr code", qr_text(&shares[1]).to_string()),
        ("digest", words_digest(&shares[1]).to_string()),
        ("identifier", format!("identifier {}", info.identifier)),
        ("signer", BASE64.encode(&signer.public().to_spki())),
        ("record", json),
    ] {
        assert!(page.contains(&text), "the page lacks the {what}: {text}");
    }
}
