use std::cell::Cell;

use age_core::format::Stanza;

use super::super::testing::tokens;
use super::*;
use crate::trust::tests::people::SoftToken;

/// What is wrong, and how it is made so.
type Change<T> = (&'static str, fn(&mut T));

const TEXT: &[u8] = b"a share, in plain";

fn piv(tokens: &[&SoftToken]) -> Vec<u8> {
    let recipients: Vec<Recipient> = tokens.iter().map(|t| Recipient::new(t.public())).collect();
    let recipients: Vec<&dyn age::Recipient> = recipients
        .iter()
        .map(|r| r as &dyn age::Recipient)
        .collect();
    age_file::encrypt(WHAT, &recipients, TEXT).expect("encrypted")
}

/// The age crate's own recipient for `p256tag`, which is none of our code.
fn p256tag(token: &SoftToken) -> Vec<u8> {
    let hrp = bech32::Hrp::parse_unchecked("age1tag");
    let text = bech32::encode::<bech32::Bech32>(hrp, &compressed(&token.public())).expect("text");
    let recipient: age::tag::Recipient = text.parse().expect("a recipient");
    age_file::encrypt(WHAT, &[&recipient], TEXT).expect("encrypted")
}

fn opened(file: &[u8], token: &dyn Ecdh) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    SealedShare::parse(file)?.open(token)
}

/// The file with one character of its header changed at `line` (from 0), `column`.
fn changed(file: &[u8], line: usize, column: usize) -> Vec<u8> {
    let start = file
        .split_inclusive(|&b| b == b'\n')
        .take(line)
        .map(<[u8]>::len)
        .sum::<usize>();
    let mut out = file.to_vec();
    let at = start + column;
    out[at] = if out[at] == b'A' { b'B' } else { b'A' };
    out
}

#[test]
fn each_token_of_a_file_opens_it_and_no_other() {
    let [alice, bob, carol] = tokens(["alice", "bob", "carol"]);
    let file = piv(&[&alice, &bob]);
    for token in [&alice, &bob] {
        assert_eq!(opened(&file, token).expect("opened").as_slice(), TEXT);
        assert_eq!(
            age_file::decrypt(WHAT, &file, &Identity(token))
                .expect("opened")
                .as_slice(),
            TEXT
        );
    }
    assert!(matches!(
        opened(&file, &carol),
        Err(VaultError::NotForThisKey { .. })
    ));
    assert!(matches!(
        age_file::decrypt(WHAT, &file, &Identity(&carol)),
        Err(VaultError::NotForThisKey { .. })
    ));
}

#[test]
fn p256tag_opens_too() {
    let [alice, bob] = tokens(["alice", "bob"]);
    let file = p256tag(&alice);
    assert_eq!(opened(&file, &alice).expect("opened").as_slice(), TEXT);
    assert_eq!(
        age_file::decrypt(WHAT, &file, &Identity(&alice))
            .expect("opened")
            .as_slice(),
        TEXT
    );
    assert!(matches!(
        opened(&file, &bob),
        Err(VaultError::NotForThisKey { .. })
    ));
}

#[test]
fn the_stanza_is_what_the_plugin_writes() {
    let [alice] = tokens(["alice"]);
    let stanzas = age_file::stanzas(WHAT, &piv(&[&alice])).expect("stanzas");
    let Stanza { tag, args, body } = &stanzas[0];
    assert_eq!((tag.as_str(), args.len(), body.len()), ("piv-p256", 2, 32));
    let pk = compressed(&alice.public());
    assert_eq!(args[0], BASE64_NOPAD.encode(&Sha256::digest(pk)[..4]));
    assert_eq!(
        BASE64_NOPAD
            .decode(args[1].as_bytes())
            .expect("base64")
            .len(),
        33
    );
    // Only a grease stanza may follow.
    assert!(stanzas[1..].iter().all(|s| s.tag.ends_with("-grease")));
    assert!(
        Recipient::new(alice.public())
            .to_string()
            .starts_with("age1yubikey1q")
    );
}

#[test]
fn the_token_gets_a_fresh_point_for_every_file() {
    let [alice] = tokens(["alice"]);
    let point = |file: &[u8]| {
        let share = SealedShare::parse(file).expect("parsed");
        share.peer_point_for(&alice.public()).expect("a point")
    };
    let (one, two) = (point(&piv(&[&alice])), point(&piv(&[&alice])));
    assert_eq!(one[0], 4);
    assert_ne!(one, two);
}

#[test]
fn a_wrong_product_opens_nothing() {
    let [alice] = tokens(["alice"]);
    for file in [piv(&[&alice]), p256tag(&alice)] {
        let share = SealedShare::parse(&file).expect("parsed");
        let point = share.peer_point_for(&alice.public()).expect("a point");
        let mut shared = alice.shared(&point).expect("a product");
        shared[31] ^= 1;
        assert!(matches!(
            share.open_with_shared(&alice.public(), &shared),
            Err(VaultError::Tampered { .. })
        ));
    }
}

#[test]
fn a_changed_stanza_is_refused_wherever_it_was_changed() {
    let [alice] = tokens(["alice"]);
    for (file, kind) in [
        (piv(&[&alice]), "-> piv-p256 "),
        (p256tag(&alice), "-> p256tag "),
    ] {
        let header = file.split(|&b| b == b'\n').nth(1).expect("a stanza");
        assert!(header.starts_with(kind.as_bytes()));
        for column in 3..header.len() {
            assert!(
                opened(&changed(&file, 1, column), &alice).is_err(),
                "{kind} column {column}"
            );
        }
        let body = file.split(|&b| b == b'\n').nth(2).expect("a body").len();
        for column in 0..body {
            assert!(
                opened(&changed(&file, 2, column), &alice).is_err(),
                "{kind} body {column}"
            );
        }
        // And what follows the header: its MAC, the nonce, the payload.
        for at in file.len() - 16..file.len() {
            let mut forged = file.clone();
            forged[at] ^= 1;
            assert!(matches!(
                opened(&forged, &alice),
                Err(VaultError::Tampered { .. })
            ));
        }
        for cut in [1, 17, file.len() / 2, file.len() - 1, file.len()] {
            assert!(
                opened(&file[..file.len() - cut], &alice).is_err(),
                "{cut} bytes cut off"
            );
        }
    }
}

#[test]
fn a_malformed_stanza_is_not_passed_over() {
    let [alice] = tokens(["alice"]);
    let public = alice.public();
    let good = age_file::stanzas(WHAT, &piv(&[&alice]))
        .expect("stanzas")
        .remove(0);
    let with = |change: fn(&mut Stanza)| {
        let mut stanza = Stanza {
            tag: good.tag.clone(),
            args: good.args.clone(),
            body: good.body.clone(),
        };
        change(&mut stanza);
        Wrapped::for_key(&stanza, &public)
    };
    assert!(matches!(with(|_| ()), Ok(Some(_))));
    assert!(matches!(with(|s| s.tag = "X25519".into()), Ok(None)));
    let broken: [Change<Stanza>; 7] = [
        ("an argument missing", |s| drop(s.args.pop())),
        ("an argument too many", |s| s.args.push("AAAA".into())),
        ("a short tag", |s| s.args[0] = BASE64_NOPAD.encode(&[0; 3])),
        ("a short body", |s| s.body.truncate(31)),
        ("padding", |s| s.args[0].push_str("==")),
        ("a point off the curve", |s| {
            let mut point = BASE64_NOPAD.decode(s.args[1].as_bytes()).expect("base64");
            // About half of all x have a point: look for one that has none.
            while p256::PublicKey::from_sec1_bytes(&point).is_ok() {
                point[32] = point[32].wrapping_add(1);
            }
            s.args[1] = BASE64_NOPAD.encode(&point);
        }),
        ("the point at infinity", |s| {
            s.args[1] = BASE64_NOPAD.encode(&[0; 33])
        }),
    ];
    for (what, change) in broken {
        assert!(with(change).is_err(), "{what}");
    }
}

#[test]
fn what_the_token_says_is_passed_on() {
    struct Refusing(p256::PublicKey, Cell<u32>);
    impl Ecdh for Refusing {
        fn shared(&self, _: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String> {
            self.1.set(self.1.get() + 1);
            Err("no touch in time".into())
        }
        fn public(&self) -> p256::PublicKey {
            self.0
        }
    }
    let [alice, bob] = tokens(["alice", "bob"]);
    let token = Refusing(alice.public(), Cell::new(0));
    let why = opened(&piv(&[&alice]), &token).expect_err("no touch");
    assert!(why.to_string().ends_with("no touch in time"), "{why}");
    // A file for somebody else asks nobody to touch.
    assert!(opened(&piv(&[&bob]), &token).is_err());
    assert_eq!(token.1.get(), 1);
}
