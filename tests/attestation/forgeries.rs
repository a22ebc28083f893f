//! A forgery of each kind, each refused for what it is.

use p256::SecretKey;
use rand_core::OsRng;
use twotap::trust::{
    attestation::{AttestationError as Error, Which},
    firmware::Firmware,
    policy::{PinPolicy, TouchPolicy},
    standing::Why,
};
use twotap_token::x509::{ca_extensions, raw_extension};
use x509_cert::der::{Encode as _, asn1::ObjectIdentifier};

use crate::maker::{AUTHORITY, Case, Draft, SERIAL, TOKEN, fact, sound};

fn stranger() -> SecretKey {
    SecretKey::random(&mut OsRng)
}

/// What is forged, how, what it is refused for, and a part of what people read.
type Forgery = (&'static str, fn(&mut Case), Why, &'static str);

fn chain(error: Error) -> Why {
    Why::Attestation(error)
}

/// Chains that do not lead where they say.
fn chains() -> Vec<Forgery> {
    vec![
        (
            "wrong root: an authority of the same name with another key",
            |case| case.token.signer = stranger(),
            chain(Error::BadSignature(Which::Token)),
            "the signature of the token's own certificate (slot f9) does not hold",
        ),
        (
            "wrong root: an authority that nobody has named",
            |case| case.token.issuer = "CN=Some Other Authority".to_owned(),
            chain(Error::UnknownMaker {
                issuer: "CN=Some Other Authority".to_owned(),
            }),
            "neither the maker's nor a root that the roster names",
        ),
        (
            "wrong root: the maker's name on a certificate that it has not signed",
            |case| case.token.issuer = "CN=Yubico PIV Attestation B 1".to_owned(),
            chain(Error::BadSignature(Which::Token)),
            "does not hold",
        ),
        (
            "a token's own certificate that it has signed itself",
            |case| {
                case.token.issuer = TOKEN.to_owned();
                case.token.signer = case.token_key.clone();
            },
            chain(Error::SelfSigned(Which::Token)),
            "is signed by its own key",
        ),
        (
            "extra intermediate: a genuine token's key has signed another token's certificate",
            |case| {
                // The genuine one stays outside; what is handed in is issued by it.
                let key = stranger();
                case.token = Draft {
                    subject: "CN=Forged PIV Attestation".to_owned(),
                    issuer: TOKEN.to_owned(),
                    key: key.public_key(),
                    signer: case.token_key.clone(),
                    ..case.token.clone()
                };
                for statement in [&mut case.approve, &mut case.unseal] {
                    statement.issuer = "CN=Forged PIV Attestation".to_owned();
                    statement.signer = key.clone();
                }
            },
            chain(Error::UnknownMaker {
                issuer: TOKEN.to_owned(),
            }),
            "which is neither the maker's",
        ),
        (
            "extra intermediate: the root that is named allows none below what it signs",
            |case| case.authority.extensions = ca_extensions(0).unwrap(),
            chain(Error::NoAuthority(Which::Issuer)),
            "signs others, which it is not allowed to",
        ),
        (
            "a token's own certificate that is no authority",
            |case| drop(case.token.extensions.pop()),
            chain(Error::NoAuthority(Which::Token)),
            "signs others, which it is not allowed to",
        ),
        (
            "the statement is another authority's",
            |case| case.approve.issuer = AUTHORITY.to_owned(),
            chain(Error::OtherIssuer(Which::Approve)),
            "was issued by another than the certificate above it",
        ),
        (
            "the statement is signed by another key",
            |case| case.unseal.signer = stranger(),
            chain(Error::BadSignature(Which::Unseal)),
            "the signature of the attestation of the unseal key does not hold",
        ),
        (
            "the statement claims to be an authority",
            |case| case.approve.extensions.extend(ca_extensions(0).unwrap()),
            chain(Error::Authority(Which::Approve)),
            "claims to be an authority",
        ),
        (
            "the plugin's certificate: self-signed, with the maker's extension for policies",
            |case| {
                let key = stranger();
                case.unseal = Draft {
                    subject: "O=age-plugin-yubikey,CN=alice".to_owned(),
                    issuer: "O=age-plugin-yubikey,CN=alice".to_owned(),
                    key: key.public_key(),
                    signer: key,
                    ends: case.unseal.ends,
                    extensions: vec![fact(8, &[3, 3])],
                };
            },
            chain(Error::SelfSigned(Which::Unseal)),
            "is signed by its own key: what it says is the word of whoever wrote it",
        ),
        (
            "a critical extension that nobody knows",
            |case| {
                let oid = ObjectIdentifier::new_unwrap("1.2.3.4");
                let mut extension = raw_extension(oid, &[5, 0]).unwrap();
                extension.critical = true;
                case.approve.extensions.push(extension);
            },
            chain(Error::UnknownExtension(Which::Approve)),
            "has a critical extension that is not known",
        ),
        (
            "a statement that says nothing of policies",
            |case| drop(case.approve.extensions.remove(2)),
            chain(Error::Unreadable(Which::Approve)),
            "the attestation of the approve key cannot be read as one",
        ),
    ]
}

/// Sound chains about something else than the roster says.
fn statements() -> Vec<Forgery> {
    vec![
        (
            "no attestation at all",
            |case| case.bare = true,
            Why::Unattested,
            "it carries no attestation",
        ),
        (
            "imported key: the statement is about one that was made on the token, the roster lists another",
            |case| case.listed.approve.key = stranger().public_key().into(),
            Why::OtherKey(Which::Approve),
            "which may have been imported",
        ),
        (
            "swapped keys",
            |case| std::mem::swap(&mut case.approve, &mut case.unseal),
            Why::OtherKey(Which::Approve),
            "is for another key than the one that is listed",
        ),
        (
            "another slot",
            |case| case.listed.unseal.slot = 0x84,
            Why::OtherSlot(Which::Unseal),
            "is for a key in another slot",
        ),
        (
            "wrong serial",
            |case| case.unseal.extensions[1] = fact(7, &7_u32.to_der().unwrap()),
            Why::OtherSerial {
                which: Which::Unseal,
                says: Some(7),
            },
            "is by token 7",
        ),
        (
            "a hidden serial",
            |case| drop(case.approve.extensions.remove(1)),
            Why::OtherSerial {
                which: Which::Approve,
                says: None,
            },
            "does not say by which token it is",
        ),
        (
            "listed under another serial",
            |case| case.listed.serial = SERIAL + 1,
            Why::OtherSerial {
                which: Which::Approve,
                says: Some(SERIAL),
            },
            "is by token 10001",
        ),
        (
            "listed with newer firmware",
            |case| case.approve.extensions[0] = fact(3, &[5, 4, 3]),
            Why::OtherFirmware {
                says: Firmware::new(5, 4, 3),
            },
            "listed with another firmware than 5.4.3",
        ),
        (
            "listed with firmware that is no version",
            |case| case.listed.firmware = "newest".to_owned(),
            Why::NoFirmware,
            "its firmware is not a version",
        ),
        (
            "wrong policy: the approve key wants the pin once",
            |case| case.approve.extensions[2] = fact(8, &[2, 2]),
            Why::PinPolicy(Which::Approve, PinPolicy::Once),
            "does not want the pin at each use",
        ),
        (
            "wrong policy: the unseal key never wants the pin",
            |case| case.unseal.extensions[2] = fact(8, &[1, 2]),
            Why::PinPolicy(Which::Unseal, PinPolicy::Never),
            "the attestation of the unseal key says",
        ),
        (
            "wrong policy: the approve key takes a touch of before",
            |case| case.approve.extensions[2] = fact(8, &[3, 3]),
            Why::TouchPolicy(Which::Approve, TouchPolicy::Cached),
            "does not want a touch as it must",
        ),
        (
            "wrong policy: the unseal key wants no touch",
            |case| case.unseal.extensions[2] = fact(8, &[3, 1]),
            Why::TouchPolicy(Which::Unseal, TouchPolicy::Never),
            "does not want a touch as it must",
        ),
        (
            "wrong policy: one that nobody knows",
            |case| case.approve.extensions[2] = fact(8, &[4, 2]),
            Why::PinPolicy(Which::Approve, PinPolicy::Other(4)),
            "does not want the pin at each use",
        ),
    ]
}

#[test]
fn each_forgery_is_refused_and_says_which_it_is() {
    for (what, forge, expected, said) in [chains(), statements()].concat() {
        let mut case = sound();
        assert!(case.judged().is_ok(), "before: {what}");
        forge(&mut case);
        let refusal = case.judged().expect_err(what);
        assert_eq!(refusal.why, expected, "{what}");
        let text = refusal.to_string();
        assert!(text.contains(said), "{what}: {text}");
        let who = format!("token {} of alice: ", case.listed.serial);
        assert!(text.starts_with(&who), "{text}");
        assert!(!refusal.hint().is_empty());
    }
}

#[test]
fn a_forgery_is_refused_although_the_serial_needs_no_proof() {
    // Letting a token in without proof is not letting a false proof in.
    for (what, forge, expected, _) in [chains(), statements()].concat() {
        let mut case = sound();
        forge(&mut case);
        case.unattested = vec![SERIAL];
        if case.bare {
            assert!(case.judged().is_ok(), "{what}");
        } else {
            assert_eq!(case.why(), expected, "{what}");
        }
    }
}
