//! The text in a bundle: what it is, and the way to open it that needs nobody's software of ours.

use crate::{
    trust::{manifest::Manifest, roster::Roster},
    vault::AGE_KEY_PY,
};

/// The text for a generation under a roster. No secret, and the same for the same papers.
pub(super) fn text(manifest: &Manifest, roster: &Roster) -> String {
    let vault = &manifest.vault;
    let names: Vec<&str> = manifest
        .shares
        .iter()
        .map(|s| s.custodian.as_str())
        .collect();
    let recovery = match &roster.recovery {
        Some(_) => "or a quorum of the printed recovery sheets".to_owned(),
        None => "this generation was sealed without recovery sheets".to_owned(),
    };
    format!(
        "\
Vault {vault}, generation {generation}, sealed {sealed}.
It holds access key {key}: an emergency credential, as ciphertext. Nothing in here is secret.

What opens it:
  {threshold} of these custodians with their tokens: {names}
  {recovery}

With twotap, on a machine that needs no network:
  twotap vault export --verify THIS-FILE
  twotap recovery open --bundle THIS-FILE            (sheets)
  twotap recovery open --bundle THIS-FILE --tokens   (tokens)

Without twotap. You need age (https://age-encryption.org), Python 3, any SLIP-39 tool (the shamir
command of the Python package shamir-mnemonic is one) and, for tokens, age-plugin-yubikey.

  1. With sheets: go on to 3. With tokens: each custodian writes down what the plugin says of the
     token's unseal key (most often its slot 2):
       age-plugin-yubikey --identity --slot 2 > NAME.identity
  2. Each custodian opens the own share, with PIN and touch:
       age -d -i NAME.identity shares/NAME.age
  3. Give the words (of the sheets, or from step 2) to the SLIP-39 tool, which prints 64 hex digits:
       shamir recover
  4. Save these seven lines as key.py:

{python}

     and turn the digits into an age identity; type them when it waits:
       python3 key.py > key.txt
  5. Open the vault:
       age -d -i key.txt vault.age
     What it prints is what aws iam create-access-key printed. Give nobody key.txt, and delete it.

Afterwards: replace the key ({key}), make new sheets if sheets were used, and hand the record in.
Who sealed this, and under which roster, is signed: manifest.dsse.json and roster/ are DSSE envelopes.
",
        generation = manifest.generation,
        sealed = manifest.created_at,
        key = manifest.access_key_id,
        threshold = manifest.threshold,
        names = names.join(", "),
        python = AGE_KEY_PY.trim_end(),
    )
}
