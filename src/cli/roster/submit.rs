//! `twotap roster submit`: hands a version that all who must have signed to the agent. Custodians then approve that it is taken up, by a
//! request like any other, whose ceremony seals the key anew under it.

use std::{path::PathBuf, process::ExitCode};

use rand_core::{OsRng, RngCore as _};

use crate::{
    cli::{
        Door, Ended,
        checked::{self, Papers},
        client::{Patience, vault_path},
        memory::{FirstMeeting, Memory},
        screen,
    },
    protocol::{
        Code, Problem,
        socket::{RequestView, RosterSubmit, RosterSubmitted, VaultView},
    },
    trust::{
        Bytes,
        request::{MAX_INCIDENT, MAX_REASON, Purpose},
        roster::verify_chain,
        text::check_text,
    },
};

use super::{read_chain, what_changes};

/// Arguments of `roster submit`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file that twotap roster propose wrote, signed by all who must
    file: PathBuf,
    /// Reference of the incident or change, e.g. CHG-7
    #[arg(long)]
    incident: String,
    /// Why
    #[arg(long)]
    reason: String,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    check_text("incident", &args.incident, MAX_INCIDENT)?;
    check_text("reason", &args.reason, MAX_REASON)?;
    let chain = read_chain(&args.file)?;
    let versions = verify_chain(&chain)?;
    let [.., before, next] = &versions[..] else {
        return Err(Problem::new(
            Code::Usage,
            "the first version of a roster is not handed in to an agent",
        )
        .hint("root pins it on the host: twotap-worker install FILE"));
    };
    let agent = door.agent()?;
    let mut memory = Memory::open()?;
    let view: VaultView = agent.ask(&vault_path(&next.vault, "")?)?;
    let counts = memory.roster(
        &next.vault,
        &view.roster_chain,
        &FirstMeeting::SaySo,
        &door.ui,
    )?;
    if counts.digest() != before.digest() {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "this changes version {}, and version {} counts on this host",
                before.version, counts.version
            ),
        )
        .hint("have it proposed anew: twotap roster propose"));
    }

    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    let submit = RosterSubmit {
        next: next.envelope().clone(),
        incident: args.incident.clone(),
        reason: args.reason.clone(),
        nonce: Bytes(nonce),
    };
    let path = vault_path(&next.vault, "/roster")?;
    let answer: RosterSubmitted = agent.hand_in(&path, &submit, Patience::Worker)?;
    let changes = what_changes(before, next);
    let Some(view) = answer.request else {
        let object = serde_json::json!({
            "vault": next.vault, "version": next.version, "sha256": next.digest(), "counts": true,
        });
        let text = format!(
            "{changes}\nroster version {} counts: nothing was sealed yet, so no share had to be replaced",
            next.version
        );
        door.ui.result(&object, &text)?;
        return Ok(ExitCode::SUCCESS);
    };
    offered(&view, &submit, &mut memory, next.digest(), &changes, door)
}

/// Checks that the host offers to take up exactly this version, and shows what to read out.
fn offered(
    view: &RequestView,
    submit: &RosterSubmit,
    memory: &mut Memory,
    next: crate::trust::Digest,
    changes: &str,
    door: &Door,
) -> Ended {
    let papers = Papers::of(view);
    let checked = checked::check(&papers, memory, &FirstMeeting::SaySo, &door.ui)?;
    let request = checked.request();
    let takes_up = matches!(
        request.purpose,
        Purpose::Roster { roster_sha256, .. } if roster_sha256 == next
    );
    let asked = takes_up
        && request.operator_nonce == submit.nonce
        && request.incident == submit.incident
        && request.reason == submit.reason;
    if !asked {
        return Err(Problem::new(
            Code::Tampering,
            "the host offers something else than was handed in",
        )
        .hint("do not read any words to the custodians; tell the security officer"));
    }
    let words = screen::words(&checked.offer.digest())?;
    let object = serde_json::json!({
        "request": request.id,
        "vault": request.vault,
        "version": checked.next.as_ref().map(|n| n.version),
        "sha256": next,
        "counts": false,
        "words": words,
        "threshold": view.threshold,
        "approve_before": request.approve_before,
    });
    let text = format!(
        "{changes}\nrequest {}{}\nread the words to the custodians on a call; they must see the same\nnext: twotap approve {}, by {}",
        request.id,
        screen::words_line(&words),
        request.id,
        checked.roster.quorum_in_words()
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
