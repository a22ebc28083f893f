//! `twotap vault export`: the sealed bundle as a file for a safe, and `--verify`: what such a file holds.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    protocol::{Code, Problem, job::Sealed},
    trust::{
        Digest, Verified,
        manifest::Manifest,
        roster::{Group, Roster},
    },
    vault::{
        Bundle,
        archive::{self, Form},
        bundle::BundledShare,
    },
};

use super::{
    Door, Ended,
    checked::vault_problem,
    client::vault_path,
    files,
    memory::{FirstMeeting, Memory},
    ui::{columns, plain},
};

/// Arguments of `vault export`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The vault, e.g. prod
    #[arg(required_unless_present = "verify", requires = "output")]
    vault: Option<String>,
    /// Where to write the bundle; it must not exist yet
    #[arg(short, long, value_name = "FILE", conflicts_with = "verify")]
    output: Option<PathBuf>,
    /// Read a bundle again and say what is in it; needs no agent
    #[arg(long, value_name = "FILE", conflicts_with = "vault")]
    verify: Option<PathBuf>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    match (&args.vault, &args.output, &args.verify) {
        (_, _, Some(file)) => {
            let papers = Papers::read(file)?;
            told(&papers, file, "good", door)
        }
        (Some(vault), Some(output), None) => export(vault, output, door),
        _ => Err(Problem::new(Code::Usage, "say which vault, and where to")
            .hint("twotap vault export VAULT -o FILE")),
    }
}

fn export(vault: &str, output: &Path, door: &Door) -> Ended {
    files::must_be_new(output)?;
    let agent = door.agent()?;
    let sealed: Sealed = agent.ask(&vault_path(vault, "/bundle")?)?;
    let mut memory = Memory::open()?;
    memory.roster(vault, &sealed.roster_chain, &FirstMeeting::SaySo, &door.ui)?;
    let bundle = to_bundle(sealed);
    let (_, manifest) = bundle.verify().map_err(vault_problem)?;
    memory.seen().accept_manifest(&manifest)?;
    let bytes = archive::write(&bundle).map_err(vault_problem)?;
    files::write_bytes_new(output, &bytes)?;
    // What counts is what somebody will read one day.
    let papers = Papers::read(output)?;
    told(&papers, output, "wrote", door)
}

fn to_bundle(sealed: Sealed) -> Bundle {
    let share = |share: crate::protocol::job::ShareFile| BundledShare {
        custodian: share.custodian,
        age: share.age,
    };
    Bundle {
        manifest: sealed.manifest,
        vault_age: sealed.vault_age,
        shares: sealed.shares.into_iter().map(share).collect(),
        roster_chain: sealed.roster_chain,
        claim: None,
    }
}

/// A bundle from a file, with everything in it checked against everything else. Whether its rosters are those of the vault that it names is
/// not in the file: whoever relies on it compares [`Papers::newest`].
pub(super) struct Papers {
    pub(super) bundle: Bundle,
    pub(super) form: Form,
    pub(super) chain: Vec<Verified<Roster>>,
    pub(super) manifest: Verified<Manifest>,
    newest: Verified<Roster>,
    sealed_under: Verified<Roster>,
    sha256: Digest,
}

impl Papers {
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let bytes = files::read(path)?;
        let named = |problem: Problem| Problem {
            error: format!("{}: {}", files::shown(path), problem.error),
            ..problem
        };
        // What cannot be read is a wrong file; what can be and does not hold is another matter.
        let read = archive::read(&bytes).map_err(|why| {
            let hint = "take another copy; what a bundle is: twotap vault export --help";
            named(Problem::new(Code::Usage, plain(&why.to_string())).hint(hint))
        })?;
        let verified = read.bundle.verify();
        let (chain, manifest) = verified.map_err(|why| named(vault_problem(why)))?;
        // Verifying has found both.
        let by = |digest| chain.iter().find(|r| r.digest() == digest).cloned();
        let (Some(newest), Some(sealed_under)) =
            (chain.last().cloned(), by(manifest.roster_sha256))
        else {
            return Err(Problem::new(Code::Internal, "the bundle has no roster"));
        };
        Ok(Self {
            bundle: read.bundle,
            form: read.form,
            newest,
            sealed_under,
            chain,
            manifest,
            sha256: Digest::of(&bytes),
        })
    }

    /// The newest version of the roster.
    pub(super) fn newest(&self) -> &Verified<Roster> {
        &self.newest
    }

    /// The version under which the generation was sealed.
    pub(super) fn sealed_under(&self) -> &Verified<Roster> {
        &self.sealed_under
    }

    /// The host that sealed it, as the roster names it.
    pub(super) fn host(&self) -> &str {
        let host = self.sealed_under().host(self.manifest.host);
        host.map_or("unknown", |host| host.name.as_str())
    }

    /// What is sealed in it, row by row.
    pub(super) fn rows(&self) -> [(&'static str, String); 3] {
        let manifest = &self.manifest;
        let sealed = format!(
            "{} by host {} ({})",
            manifest.created_at,
            self.host(),
            manifest.host
        );
        [
            (
                "vault",
                format!("{}, generation {}", manifest.vault, manifest.generation),
            ),
            ("sealed", sealed),
            ("holds", format!("key {}", manifest.access_key_id)),
        ]
    }
}

fn told(papers: &Papers, file: &Path, verb: &str, door: &Door) -> Ended {
    let manifest = &papers.manifest;
    let roster = papers.newest();
    let custodians: Vec<&str> = manifest
        .shares
        .iter()
        .map(|s| s.custodian.as_str())
        .collect();
    let sheets = papers.sealed_under().recovery.is_some();
    let form = match papers.form {
        Form::Json => "json",
        Form::Archive { .. } => "archive",
    };
    let object = serde_json::json!({
        "file": file,
        "sha256": papers.sha256,
        "form": form,
        "vault": manifest.vault,
        "generation": manifest.generation,
        "sealed_at": manifest.created_at,
        "host": papers.host(),
        "host_key": manifest.host,
        "access_key_id": manifest.access_key_id,
        "manifest_sha256": manifest.digest(),
        "roster_version": roster.version,
        "roster_sha256": roster.digest(),
        "sealed_under_version": papers.sealed_under().version,
        "threshold": manifest.threshold,
        "shares": custodians,
        "recovery_sheets": sheets,
    });
    let sheets = if sheets {
        ", or a quorum of the recovery sheets"
    } else {
        ""
    };
    let groups: Vec<String> = papers
        .sealed_under()
        .groups
        .iter()
        .map(Group::to_string)
        .collect();
    let groups = if groups.is_empty() {
        String::new()
    } else {
        format!(" ({})", groups.join(" and "))
    };
    let [vault, sealed, holds] = papers.rows();
    let rows = [
        vault,
        sealed,
        holds,
        (
            "opens with",
            format!(
                "{} of {}{groups}{sheets}",
                manifest.threshold,
                custodians.join(", ")
            ),
        ),
        (
            "roster",
            format!("version {}, digest {}", roster.version, roster.digest()),
        ),
        ("file", format!("sha256 {}", papers.sha256)),
    ];
    let text = format!(
        "{verb} {}: every signature and digest in it holds\n{}",
        files::shown(file),
        columns(&rows)
    );
    door.ui.result(&object, text.trim_end())?;
    if papers.form == (Form::Archive { readme: false }) {
        door.ui.warn("its README.txt is not the one that this version writes for these papers: do not go by what it says");
    }
    door.ui.note(
        "the file cannot say whether these rosters are the vault's own: compare the roster's digest with 'twotap roster show', or with a custodian",
    );
    Ok(ExitCode::SUCCESS)
}
