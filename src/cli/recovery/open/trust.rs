//! Whether the rosters in a bundle are the vault's own: no agent pins them here, so a person's word or memory has to.

use std::path::{Path, PathBuf};

use super::super::super::{export::Papers, memory, ui::Ui};
use crate::{
    protocol::{Code, Problem},
    trust::{Digest, seen::Seen},
};

/// What to compare with.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Refuse a bundle whose rosters do not contain the one with this digest, e.g. from an earlier twotap roster show
    #[arg(long, value_name = "HEX", value_parser = digest)]
    roster_sha256: Option<Digest>,
    /// Compare with this memory (seen.json) instead of the own one
    #[arg(long, value_name = "FILE")]
    seen: Option<PathBuf>,
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "a digest has 64 lower-case hex digits".to_owned())
}

impl Args {
    /// Compares, and says what is relied upon where there is nothing to compare with. Nothing is written.
    pub(super) fn compare(&self, papers: &Papers, ui: &Ui) -> Result<(), Problem> {
        if let Some(digest) = self.roster_sha256 {
            return contains(
                papers,
                digest,
                "that you name",
                "compare the digest with a custodian's",
            );
        }
        let seen = match &self.seen {
            Some(file) => Some(named(file)?),
            None => own(),
        };
        let vault = &papers.manifest.vault;
        let Some((seen, digest)) = seen.and_then(|s| s.roster(vault).map(|d| (s, d))) else {
            ui.note("nothing here knows these rosters: compare the digest with a custodian's 'twotap roster show', or name it with --roster-sha256");
            return Ok(());
        };
        contains(
            papers,
            digest,
            "that was seen here last",
            "an older bundle has older rosters: if you know that this one is good, name its digest with --roster-sha256",
        )?;
        if let Some(newer) = seen
            .generation(vault)
            .filter(|n| *n > papers.manifest.generation)
        {
            ui.warn(format!(
                "generation {newer} was seen here: the key of this older bundle is most likely dead; look for a newer copy"
            ));
        }
        Ok(())
    }
}

fn contains(papers: &Papers, digest: Digest, whose: &str, hint: &str) -> Result<(), Problem> {
    if papers.chain.iter().any(|r| r.digest() == digest) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Tampering,
        format!("the bundle's rosters do not contain the one {whose} ({digest})"),
    )
    .hint(hint))
}

fn named(file: &Path) -> Result<Seen, Problem> {
    // A memory that is not there is empty, and a name mistyped would compare with nothing.
    if !file.is_file() {
        let what = format!(
            "there is no file {}",
            super::super::super::files::shown(file)
        );
        return Err(Problem::new(Code::Usage, what));
    }
    Ok(Seen::open(file)?)
}

/// The own memory, if there is one that can be read; none is needed.
fn own() -> Option<Seen> {
    let folder = memory::folder().ok()?;
    memory::check_private(&folder).ok()?;
    Seen::open(&folder.join("seen.json")).ok()
}
