//! Every secret of a site, learned from outside: from the wire to AWS, and from the share files with the tokens' own keys.

use std::{collections::BTreeMap, fs, path::Path};

use twotap::vault::{Ecdh, SealedShare, VaultIdentity};
use twotap_rig::{
    Credentials, Site,
    memory::Secrets,
    site::{CUSTODIANS, VAULT},
};
use twotap_shares::{Mnemonic, WORDS, combine};
use zeroize::Zeroizing;

/// Secrets by name. What was known once stays known: generations and sessions go, their secrets must not be left behind.
#[derive(Default)]
pub(crate) struct Known(BTreeMap<String, Vec<u8>>);

impl Known {
    /// Learns all that is there to be known now.
    pub(crate) fn learn(&mut self, site: &Site) {
        self.note("the pin", site.options().pin.as_bytes());
        self.note("the puk", site.options().puk.as_bytes());
        let proxy = site.world().proxy();
        let keys = [site.world().first_key().clone()].into_iter();
        for key in keys.chain(proxy.keys_made()) {
            self.note(
                &format!("the key {}", key.access_key_id),
                key.secret_access_key.as_bytes(),
            );
        }
        for call in proxy.calls_of("sts:AssumeRole") {
            let Some(session) = Credentials::of_xml(&call.reply) else {
                continue;
            };
            // Beside the two of a request: the session that shows that a new key works.
            let role = call.param("RoleArn").unwrap_or_default();
            let name = call.param("RoleSessionName").unwrap_or_default();
            let whose = match (name.starts_with("steward-"), call.param("SourceIdentity")) {
                (true, _) => "the steward's",
                (false, Some("dana")) => "the operator's",
                _ => "a proof's",
            };
            let which = format!("{whose} ({name}, {role})");
            self.note(
                &format!("{which} secret"),
                session.secret_access_key.as_bytes(),
            );
            let token = session.session_token.unwrap_or_default();
            self.note(&format!("{which} token"), token.as_bytes());
        }
        self.learn_generations(site);
    }

    /// What is looked for.
    pub(crate) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new();
        for (name, secret) in &self.0 {
            secrets.add(name, secret).expect("long enough");
        }
        secrets
    }

    fn note(&mut self, name: &str, secret: &[u8]) {
        self.0.insert(name.to_owned(), secret.to_vec());
    }

    fn learn_generations(&mut self, site: &Site) {
        let vault = site.stage().home("worker").join("state/vaults").join(VAULT);
        let Ok(generations) = fs::read_dir(vault.join("generations")) else {
            return;
        };
        for generation in generations.flatten() {
            let number = generation.file_name().to_string_lossy().into_owned();
            self.learn_generation(site, &number, &generation.path());
        }
    }

    fn learn_generation(&mut self, site: &Site, number: &str, folder: &Path) {
        let mut mnemonics = Vec::new();
        for (name, ..) in CUSTODIANS {
            let file = folder.join(format!("shares/{name}.age"));
            // Written beside and renamed: a folder that is just being made, or goes, is for the next time.
            let Ok(file) = fs::read(file) else { return };
            let key = TokenKey::unseal_key(&site.token_state(name), &file);
            let share = SealedShare::parse(&file).expect("a share file");
            let peer = share.peer_point_for(&key.public()).expect("for this token");
            let opener = key.shared(&peer).expect("a point");
            let text = share
                .open_with_shared(&key.public(), &opener)
                .expect("it opens");
            let mnemonic =
                Mnemonic::parse(std::str::from_utf8(&text).expect("words")).expect("a share");
            let of = |what: &str| format!("{what} of {name} in generation {number}");
            self.note(&of("the mnemonic"), mnemonic.expose().as_bytes());
            self.note(&of("the share"), &value(&mnemonic));
            self.note(&of("the opener"), opener.as_slice());
            mnemonics.push(mnemonic);
        }
        let secret = combine(&mnemonics, b"").expect("a quorum");
        let identity = VaultIdentity::from_secret(&secret).expect("an identity");
        self.note(
            &format!("the identity of generation {number}"),
            identity.expose(),
        );
        let text = identity.expose_text().expect("bech32");
        // The first 16 characters are the same in all of them.
        let text = &text["AGE-SECRET-KEY-1".len()..];
        self.note(
            &format!("the identity's text of generation {number}"),
            text.as_bytes(),
        );
        let lower = text.to_lowercase();
        self.note(
            &format!("the identity's lower-case text of generation {number}"),
            lower.as_bytes(),
        );
    }
}

/// The value that a share's words carry: all but four words of header and three of checksum, ten bits each, leading zeros cut (SLIP-0039).
fn value(mnemonic: &Mnemonic) -> Vec<u8> {
    let words: Vec<&str> = mnemonic.expose().split(' ').collect();
    let mut bits: Vec<bool> = Vec::new();
    for word in &words[4..words.len() - 3] {
        let index = WORDS.iter().position(|w| w == word).expect("a word");
        bits.extend((0..10).rev().map(|bit| index >> bit & 1 == 1));
    }
    bits[bits.len() % 16..]
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect()
}

/// A virtual token's private key, out of its file.
struct TokenKey(p256::SecretKey);

impl TokenKey {
    /// The one of the token's keys to which the file is sealed.
    fn unseal_key(state: &Path, file: &[u8]) -> Self {
        let state = fs::read(state).expect("the token's file");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        let keys = state["keys"].as_object().expect("keys");
        keys.values()
            .filter_map(|key| key["scalar"].as_str())
            .filter_map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok())
            .filter_map(|scalar| p256::SecretKey::from_slice(&scalar).ok())
            .map(Self)
            .find(|key| {
                let share = SealedShare::parse(file).expect("a share file");
                share.peer_point_for(&key.public()).is_ok()
            })
            .expect("the file is sealed to one of the token's keys")
    }
}

impl Ecdh for TokenKey {
    fn shared(&self, peer: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String> {
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|why| why.to_string())?;
        let shared = p256::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(shared.raw_secret_bytes());
        Ok(bytes)
    }

    fn public(&self) -> p256::PublicKey {
        self.0.public_key()
    }
}
