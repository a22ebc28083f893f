//! A maker of tokens: an authority, a token below it, and what the token says of its two keys.

use p256::SecretKey;
use rand_core::OsRng;
use twotap::trust::{
    Bytes, PublicKey,
    roster::{Attestation, AttestationRoot, SlotKey, Token},
    standing::{Accepted, Refusal, Standing, Why, judge},
};
use twotap_token::x509::{Ends, Template, ca_extensions, name, raw_extension};
use x509_cert::{
    der::{Encode as _, asn1::ObjectIdentifier},
    ext::Extension,
};

const YUBICO: &str = "1.3.6.1.4.1.41482.3";
pub(crate) const TOKEN: &str = "CN=Some PIV Attestation";
pub(crate) const AUTHORITY: &str = "CN=Some PIV Authority";
pub(crate) const SERIAL: u32 = 10_001;

/// One of Yubico's extensions.
pub(crate) fn fact(arc: u8, bytes: &[u8]) -> Extension {
    let oid = ObjectIdentifier::new(&format!("{YUBICO}.{arc}")).unwrap();
    raw_extension(oid, bytes).unwrap()
}

/// A certificate as it is going to be signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) key: p256::PublicKey,
    pub(crate) signer: SecretKey,
    pub(crate) ends: Ends,
    pub(crate) extensions: Vec<Extension>,
}

impl Draft {
    pub(crate) fn der(&self) -> Vec<u8> {
        Template {
            subject: &self.subject,
            issuer: name(&self.issuer).unwrap(),
            key: self.key,
            ends: self.ends,
            extensions: self.extensions.clone(),
        }
        .sign(&self.signer)
        .unwrap()
    }
}

/// Everything that an enrollment and a roster would hold, each part open to be changed before it is put together.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) authority: Draft,
    pub(crate) token: Draft,
    pub(crate) approve: Draft,
    pub(crate) unseal: Draft,
    /// The secret half of the key in F9.
    pub(crate) token_key: SecretKey,
    pub(crate) listed: Token,
    pub(crate) root: String,
    pub(crate) risks: Vec<String>,
    pub(crate) unattested: Vec<u32>,
    /// Leaves the attestation out.
    pub(crate) bare: bool,
}

/// A sound one, of the newest firmware.
pub(crate) fn sound() -> Case {
    let [authority_key, token_key, approve_key, unseal_key] =
        std::array::from_fn(|_| SecretKey::random(&mut OsRng));
    let authority = Draft {
        subject: AUTHORITY.to_owned(),
        issuer: "CN=Some Root".to_owned(),
        key: authority_key.public_key(),
        signer: SecretKey::random(&mut OsRng),
        ends: Ends::Never,
        extensions: ca_extensions(1).unwrap(),
    };
    let token = Draft {
        subject: TOKEN.to_owned(),
        issuer: AUTHORITY.to_owned(),
        key: token_key.public_key(),
        signer: authority_key,
        ends: Ends::Never,
        extensions: [
            vec![fact(3, &[5, 7, 4])],
            // As on real tokens: basic constraints, no key usage.
            ca_extensions(0).unwrap().into_iter().take(1).collect(),
        ]
        .concat(),
    };
    let statement = |slot: u8, key: &SecretKey, touch: u8| Draft {
        subject: format!("CN=YubiKey PIV Attestation {slot:02x}"),
        issuer: TOKEN.to_owned(),
        key: key.public_key(),
        signer: token_key.clone(),
        ends: Ends::Never,
        extensions: vec![
            fact(3, &[5, 7, 4]),
            fact(7, &SERIAL.to_der().unwrap()),
            fact(8, &[3, touch]),
            fact(9, &[3]),
        ],
    };
    let slot_key = |slot, key: &SecretKey| SlotKey {
        slot,
        key: PublicKey::from(key.public_key()),
    };
    Case {
        authority,
        token,
        approve: statement(0x82, &approve_key, 2),
        unseal: statement(0x83, &unseal_key, 3),
        token_key: token_key.clone(),
        listed: Token {
            person: "alice".to_owned(),
            serial: SERIAL,
            firmware: "5.7.4".to_owned(),
            approve: slot_key(0x82, &approve_key),
            unseal: slot_key(0x83, &unseal_key),
            attestation: None,
        },
        root: "lab".to_owned(),
        risks: Vec::new(),
        unattested: Vec::new(),
        bare: false,
    }
}

impl Case {
    /// Sets the firmware everywhere.
    pub(crate) fn firmware(mut self, version: [u8; 3]) -> Self {
        for draft in [&mut self.token, &mut self.approve, &mut self.unseal] {
            draft.extensions[0] = fact(3, &version);
        }
        let [major, minor, patch] = version;
        self.listed.firmware = format!("{major}.{minor}.{patch}");
        self
    }

    pub(crate) fn attestation(&self) -> Attestation {
        Attestation {
            approve: Bytes(self.approve.der()),
            unseal: Bytes(self.unseal.der()),
            f9: Bytes(self.token.der()),
        }
    }

    pub(crate) fn roots(&self) -> Vec<AttestationRoot> {
        vec![AttestationRoot {
            name: self.root.clone(),
            certificate: Bytes(self.authority.der()),
        }]
    }

    pub(crate) fn judged(&self) -> Result<Standing, Refusal> {
        self.judged_with(self.attestation())
    }

    pub(crate) fn judged_with(&self, attestation: Attestation) -> Result<Standing, Refusal> {
        let mut token = self.listed.clone();
        token.attestation = (!self.bare).then_some(attestation);
        judge(
            &token,
            Accepted {
                roots: &self.roots(),
                risks: &self.risks,
                unattested: &self.unattested,
            },
        )
    }

    /// Why it is refused.
    pub(crate) fn why(&self) -> Why {
        self.judged().expect_err("refused").why
    }
}
