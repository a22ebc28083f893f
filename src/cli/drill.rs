//! `twotap drill`: a custodian shows that the own share still opens. The vault stays closed, and nothing of the share leaves this process:
//! what leaves is a signed receipt, or the layer in which it failed.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    protocol::{
        Code, Problem,
        socket::{DrillBundle, DrillFailure, DrillNoted, DrillReceipt, Layer},
    },
    token::{Pin, Token},
    trust::{
        Digest, Envelope, Timestamp, Verified,
        drill::{self, Drill},
        manifest::Manifest,
        roster::Roster,
        stack,
    },
};

mod full;

use super::{
    Door, Ended, checked,
    client::{Agent, Patience, vault_path},
    files,
    own_share::{At as _, Failed, OwnShare, at_the_token},
    pin, standing,
    token::{self, TokenArgs},
    ui::{columns, plain},
};

/// Arguments of `drill`.
#[derive(clap::Args)]
#[command(
    after_help = "By files, where the token is on a machine that cannot reach the agent:\n  \
on the agent's host      twotap drill prod --export drill.json\n  \
where the token is       twotap drill prod --in drill.json --out receipt.json\n  \
on the agent's host      twotap drill prod --submit receipt.json"
)]
pub(super) struct Args {
    /// The vault, e.g. prod
    vault: String,
    #[command(flatten)]
    token: TokenArgs,
    /// Write the papers with your sealed share to a file, and stop
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "out", "submit"])]
    export: Option<PathBuf>,
    /// Read the papers from a file instead of the agent
    #[arg(
        long = "in",
        value_name = "FILE",
        requires = "out",
        conflicts_with = "submit"
    )]
    input: Option<PathBuf>,
    /// Write the receipt to a file instead of handing it in
    #[arg(long, value_name = "FILE", requires = "input")]
    out: Option<PathBuf>,
    /// Hand in a receipt that was made elsewhere, and stop
    #[arg(long, value_name = "FILE")]
    submit: Option<PathBuf>,
    /// As an operator: a whole ceremony with a session that is refused everything, and a real rotation
    #[arg(long, conflicts_with_all = ["export", "input", "submit", "token"])]
    full: bool,
    /// With --full: the access profile whose roles are tried; the roster's first where absent
    #[arg(long, requires = "full", value_name = "NAME")]
    access: Option<String>,
    /// With --full: a reference
    #[arg(long, requires = "full")]
    incident: Option<String>,
    /// With --full: why
    #[arg(long, requires = "full")]
    reason: Option<String>,
    /// With --full: do not wait for the custodians
    #[arg(long, requires = "full")]
    no_wait: bool,
    /// What was shown so far, and how long full drills took
    #[arg(long, conflicts_with_all = ["full", "export", "input", "submit"])]
    history: bool,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    if args.history {
        return full::history(&args, door);
    }
    if args.full {
        return full::run(&args, door);
    }
    if let Some(file) = &args.submit {
        let receipt: DrillReceipt = files::read_json(file, "the receipt of a drill")?;
        return passed(&door.agent()?, &args.vault, &receipt, door);
    }
    if let (Some(input), Some(out)) = (&args.input, &args.out) {
        return by_files(&args, input, out, door);
    }
    if let Some(out) = &args.export {
        files::must_be_new(out)?;
    }
    let agent = door.agent()?;
    let bundle: DrillBundle = agent.ask(&vault_path(&args.vault, "/drill")?)?;
    if let Some(out) = &args.export {
        return export(&bundle, out, door);
    }
    match try_share(&bundle, &args, door) {
        Ok(receipt) => passed(&agent, &args.vault, &receipt, door),
        Err(failed) => {
            let failure = DrillFailure {
                layer: failed.layer,
                why: plain(&failed.problem.error).chars().take(240).collect(),
            };
            let path = vault_path(&args.vault, "/drills/failed")?;
            let noted: Result<DrillNoted, Problem> =
                agent.hand_in(&path, &failure, Patience::Agent);
            if let Err(why) = noted {
                door.ui
                    .note(format!("the failure is not on record: {}", why.error));
            }
            Err(named(failed))
        }
    }
}

/// What went wrong, with its layer.
fn named(failed: Failed) -> Problem {
    let Failed { layer, problem } = failed;
    Problem {
        error: format!("{} (layer: {})", problem.error, layer.name()),
        ..problem
    }
}

/// A drill that was checked, before the token is touched.
struct Case {
    roster: Verified<Roster>,
    manifest: Verified<Manifest>,
    own: OwnShare,
}

/// Everything from the papers to the receipt. What is left of PIN and share on the stack is wiped.
fn try_share(bundle: &DrillBundle, args: &Args, door: &Door) -> Result<DrillReceipt, Failed> {
    if bundle.vault != args.vault {
        return Err(Problem::new(
            Code::Tampering,
            format!("the papers are not those of vault {}", args.vault),
        )
        .hint("do not go on; tell the security officer"))
        .at(Layer::Papers);
    }
    let mut token = token::open(&args.token).map_err(at_the_token)?;
    let case = Case::check(bundle, &mut token, door)?;
    door.ui
        .screen(&case.screen(), args.token.pin_fd.is_none())
        .at(Layer::Papers)?;
    stack::wiped(|| {
        let pin = pin::ask(&door.ui, &mut token, &args.token).map_err(at_the_token)?;
        case.sign_and_open(&mut token, &pin, bundle, door)
    })
}

impl Case {
    fn check(bundle: &DrillBundle, token: &mut Token, door: &Door) -> Result<Self, Failed> {
        let (chain, vault) = (&bundle.roster_chain, &bundle.vault);
        let (roster, manifest, accepted) =
            checked::as_custodian(vault, chain, token, door, |memory, first| {
                let papers = (&chain[..], &bundle.manifest);
                let (roster, manifest) = checked::sealed(vault, papers, memory, (first, &door.ui))?;
                let accepted = memory.seen().accept_manifest(&manifest);
                Ok((roster, manifest, accepted))
            })
            .map_err(|problem| match problem.code {
                Code::Token => at_the_token(problem),
                _ => Failed {
                    layer: Layer::Papers,
                    problem,
                },
            })?;
        accepted.map_err(Problem::from).at(Layer::Generation)?;
        let own = OwnShare::find(&bundle.share.0, &manifest, &roster, token)?;
        Ok(Self {
            roster,
            manifest,
            own,
        })
    }

    fn screen(&self) -> String {
        let listed = &self.own.listed;
        let mut rows = vec![
            (
                "drill",
                format!(
                    "vault {}, generation {}: it stays closed",
                    self.manifest.vault, self.manifest.generation
                ),
            ),
            (
                "your share",
                format!(
                    "token {} opens it here, and here it stays; a signed receipt leaves",
                    listed.serial
                ),
            ),
        ];
        rows.extend(standing::unusual(listed, &self.roster));
        columns(&rows)
    }

    fn sign_and_open(
        &self,
        token: &mut Token,
        pin: &Pin,
        bundle: &DrillBundle,
        door: &Door,
    ) -> Result<DrillReceipt, Failed> {
        let listed = &self.own.listed;
        let share = self.manifest.share(&listed.person);
        let drill = Drill {
            v: 1,
            vault: self.manifest.vault.clone(),
            generation: self.manifest.generation,
            manifest_sha256: self.manifest.digest(),
            custodian: listed.person.clone(),
            serial: listed.serial,
            share_sha256: share.map_or(Digest([0; 32]), |share| share.mnemonic_sha256),
            at: Timestamp::now(),
            nonce: bundle.nonce.clone(),
        };
        let mut receipt = Envelope::new(&drill)
            .map_err(Problem::from)
            .at(Layer::Papers)?;
        let digest = receipt.signing_digest();
        let opened = self.own.sign_and_open(
            (token, pin, &door.ui),
            &self.manifest,
            &digest,
            |signature| {
                receipt.add(&listed.approve.key, signature);
                drill::verify(&receipt, &self.manifest, &self.roster).is_ok()
            },
        )?;
        // It is the one that was sealed; that is all there was to learn.
        drop(opened);
        Ok(DrillReceipt { receipt })
    }
}

fn passed(agent: &Agent, vault: &str, receipt: &DrillReceipt, door: &Door) -> Ended {
    let path = vault_path(vault, "/drills")?;
    let noted: DrillNoted = agent.hand_in(&path, receipt, Patience::Agent)?;
    let drill = receipt.receipt.unverified::<Drill>()?;
    let object = serde_json::json!({
        "vault": vault,
        "generation": drill.generation,
        "custodian": noted.custodian,
        "token": drill.serial,
        "passed": true,
        "recorded": true,
        "at": noted.at,
    });
    let text = format!(
        "{}'s share of vault {vault}, generation {}, opens; it is on record",
        plain(&noted.custodian),
        drill.generation
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn by_files(args: &Args, input: &Path, out: &Path, door: &Door) -> Ended {
    files::must_be_new(out)?;
    let bundle: DrillBundle = files::read_json(input, "the papers of a drill")?;
    let receipt = try_share(&bundle, args, door).map_err(named)?;
    files::write_public_new(out, &receipt)?;
    let drill = receipt.receipt.unverified::<Drill>()?;
    let object = serde_json::json!({
        "vault": args.vault,
        "generation": drill.generation,
        "custodian": drill.custodian,
        "token": drill.serial,
        "passed": true,
        "recorded": false,
        "file": out,
    });
    let text = format!(
        "your share opens; next, on the agent's host: twotap drill {} --submit {}",
        args.vault,
        files::shown(out)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn export(bundle: &DrillBundle, out: &Path, door: &Door) -> Ended {
    files::write_public_new(out, bundle)?;
    let object = serde_json::json!({ "vault": bundle.vault, "file": out });
    let text = format!(
        "wrote {}\nnext, where your token is: twotap drill {} --in {} --out receipt.json",
        files::shown(out),
        bundle.vault,
        files::shown(out)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
