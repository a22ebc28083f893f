//! A bundle as a file for a safe: a plain ustar archive that any `tar` unpacks, and that stock tools open afterwards.
//!
//! ```text
//! README.txt             what this is, and how to open it without us
//! vault.age
//! shares/NAME.age        one a custodian, in the manifest's order
//! manifest.dsse.json
//! roster/N.dsse.json     every version from the first on
//! ```
//!
//! Written, it has one spelling: mode 0644, nobody's, dated with the generation's own date. Read, an archive that somebody packed again
//! with another `tar` counts as well, as long as it holds these files, each once, and no other: what they are worth is for their digests and
//! signatures to say, and [`README`](readme) decides nothing.

mod readme;
mod ustar;

use std::collections::BTreeMap;

use super::{
    Bundle, VaultError,
    bundle::{BundledShare, MAX_BUNDLE},
};
use crate::trust::{
    Bytes, Envelope,
    manifest::Manifest,
    roster::{MAX_VERSIONS, Roster},
    text::check_name,
};

/// The largest archive that is read or written, in bytes.
pub const MAX_ARCHIVE: usize = MAX_BUNDLE;
/// The most entries, folders included, that are looked at.
const MAX_ENTRIES: usize = MAX_VERSIONS + 256;
/// What errors call it.
const WHAT: &str = "the bundle archive";

const README: &str = "README.txt";
const VAULT: &str = "vault.age";
const MANIFEST: &str = "manifest.dsse.json";

/// What a file with a bundle was.
pub struct Read {
    /// What stands in it, unverified.
    pub bundle: Bundle,
    /// How it was written.
    pub form: Form,
}

/// How a bundle was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON document, as places hold it.
    Json,
    /// An archive.
    Archive {
        /// Whether its `README.txt` is the one that belongs to its papers; another may tell people anything.
        readme: bool,
    },
}

/// The archive of a bundle. Its claim, if it has one, stays out: it says something about a place, and not about the generation.
///
/// # Errors
/// [`VaultError::Trust`] when manifest or roster cannot be read, [`VaultError::Malformed`] when it would be over [`MAX_ARCHIVE`].
pub fn write(bundle: &Bundle) -> Result<Vec<u8>, VaultError> {
    let manifest: Manifest = bundle.manifest.unverified()?;
    let mut out = ustar::Writer::new(manifest.created_at.0);
    out.file(README, readme_of(bundle)?.as_bytes());
    out.file(VAULT, &bundle.vault_age.0);
    for (n, share) in bundle.shares.iter().enumerate() {
        let before = &bundle.shares[..n];
        if before.iter().any(|s| s.custodian == share.custodian) {
            return Err(malformed("a custodian's share would be in it twice"));
        }
        // Names become paths on somebody's machine.
        check_name("custodian's name", &share.custodian)?;
        out.file(&format!("shares/{}.age", share.custodian), &share.age.0);
    }
    out.file(MANIFEST, bundle.manifest.to_json().as_bytes());
    for (version, roster) in (1..).zip(&bundle.roster_chain) {
        let name = format!("roster/{version}.dsse.json");
        out.file(&name, roster.to_json().as_bytes());
    }
    let archive = out.end();
    if archive.len() > MAX_ARCHIVE {
        return Err(malformed("it would be over 4 MiB"));
    }
    Ok(archive)
}

/// Reads a bundle from an archive or from the JSON that places hold, told apart by content. Nothing of it is verified yet
/// ([`Bundle::verify`]).
///
/// # Errors
/// [`VaultError::Malformed`] with what is wrong and where, [`VaultError::Trust`] for papers that cannot be read.
pub fn read(bytes: &[u8]) -> Result<Read, VaultError> {
    if bytes.first() == Some(&b'{') {
        let bundle = Bundle::parse(bytes)?;
        let form = Form::Json;
        return Ok(Read { bundle, form });
    }
    if bytes.len() > MAX_ARCHIVE {
        return Err(malformed("it is over 4 MiB"));
    }
    let mut files = files(bytes)?;
    let mut take = |name: &str| {
        let file = files.remove(name);
        file.ok_or_else(|| malformed(format!("{name} is missing")))
    };
    let vault_age = take(VAULT)?;
    let manifest = Envelope::parse(take(MANIFEST)?)?;
    let readme = take(README).ok();
    let mut roster_chain = Vec::new();
    let mut shares = Vec::new();
    while let Some(version) =
        files.remove(format!("roster/{}.dsse.json", roster_chain.len() + 1).as_str())
    {
        roster_chain.push(Envelope::parse(version)?);
    }
    // What the manifest names comes in its order; whatever else claims to be a share is left for its check to refuse.
    let order: Manifest = manifest.unverified()?;
    let named = order
        .shares
        .iter()
        .map(|s| format!("shares/{}.age", s.custodian));
    for name in named.chain(files.keys().map(|n| (*n).to_owned()).collect::<Vec<_>>()) {
        let Some(custodian) = name
            .strip_prefix("shares/")
            .and_then(|n| n.strip_suffix(".age"))
        else {
            return Err(malformed(format!(
                "{name} is there, and not the version before it"
            )));
        };
        if let Some(file) = files.remove(name.as_str()) {
            let age = Bytes(file.to_vec());
            shares.push(BundledShare {
                custodian: custodian.to_owned(),
                age,
            });
        }
    }
    let bundle = Bundle {
        manifest,
        vault_age: Bytes(vault_age.to_vec()),
        shares,
        roster_chain,
        claim: None,
    };
    let readme = match readme {
        Some(text) => readme_of(&bundle)?.as_bytes() == text,
        None => false,
    };
    let form = Form::Archive { readme };
    Ok(Read { bundle, form })
}

/// The archive's files by name, each once, no name that a bundle does not have.
fn files(bytes: &[u8]) -> Result<BTreeMap<&str, &[u8]>, VaultError> {
    let mut files = BTreeMap::new();
    let mut entries = 0;
    for entry in ustar::Reader::new(bytes) {
        let entry = entry.map_err(malformed)?;
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(malformed("it has more entries than a bundle can have"));
        }
        let name = entry.name.trim_start_matches("./");
        if entry.folder {
            if !["", "shares/", "roster/"].contains(&name) {
                return Err(foreign(entry.name));
            }
            continue;
        }
        if !belongs(name) {
            return Err(foreign(entry.name));
        }
        if files.insert(name, entry.bytes).is_some() {
            return Err(malformed(format!("{name} is in it twice")));
        }
    }
    Ok(files)
}

fn belongs(name: &str) -> bool {
    if [README, VAULT, MANIFEST].contains(&name) {
        return true;
    }
    let share = name
        .strip_prefix("shares/")
        .and_then(|n| n.strip_suffix(".age"));
    let roster = name
        .strip_prefix("roster/")
        .and_then(|n| n.strip_suffix(".dsse.json"));
    share.is_some_and(|n| check_name("custodian's name", n).is_ok())
        || roster.is_some_and(|n| {
            n.parse::<usize>()
                .is_ok_and(|v| (1..=MAX_VERSIONS).contains(&v) && v.to_string() == n)
        })
}

/// The text that belongs to a bundle's papers.
fn readme_of(bundle: &Bundle) -> Result<String, VaultError> {
    let manifest: Manifest = bundle.manifest.unverified()?;
    let newest = bundle.roster_chain.last();
    let newest = newest.ok_or_else(|| malformed("roster/1.dsse.json is missing"))?;
    let roster: Roster = newest.unverified()?;
    Ok(readme::text(&manifest, &roster))
}

fn foreign(name: &str) -> VaultError {
    let shown: String = name.escape_default().take(80).collect();
    malformed(format!("a bundle has no file '{shown}'"))
}

fn malformed(why: impl std::fmt::Display) -> VaultError {
    VaultError::malformed(WHAT, why)
}

#[cfg(test)]
mod tests;
