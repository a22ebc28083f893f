//! `twotap roster sign`: a custodian's tap on a roster version, after reading what it changes.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    cli::{
        Door, Ended, files,
        memory::{FirstMeeting, Memory},
        places, screen, standing,
        token::{self, TokenArgs},
        ui::columns,
    },
    protocol::{Code, Problem},
    token::Token,
    trust::{
        Envelope, PublicKey, Verified, power,
        roster::{self, Roster, verify_chain},
        standing::judge_change,
    },
};

use super::{describe, lacking, read_chain, signers, standing as rows_of, what_changes};

/// Arguments of `roster sign`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The roster file
    file: PathBuf,
    #[command(flatten)]
    token: TokenArgs,
    /// For scripts: the six words that the other custodians read out; they are compared here instead of by you
    #[arg(long, value_name = "WORDS")]
    confirm: Option<String>,
}

pub(super) fn run(args: &Args, door: &Door) -> Ended {
    let chain = read_chain(&args.file)?;
    let (envelope, earlier) = chain
        .split_last()
        .ok_or_else(|| Problem::new(Code::Usage, "the file holds no roster"))?;
    let roster: Roster = envelope.unverified()?;
    let mut token = token::open(&args.token)?;
    let before = version_before(&roster, earlier, &mut token, door)?;
    let listed = listed(&token, &roster, before.as_ref())?;
    token::must_hold(&mut token, &listed)?;
    match &before {
        Some(before) => {
            judge_change(before, &roster)?;
            power::judge_change(before, &roster)?;
        }
        None => {
            standing::must_stand(&roster)?;
            power::judge_all(&roster)?;
        }
    }
    places::must_fit(&chain)?;
    let words = screen::words(&envelope.digest())?;

    let scripted = args.confirm.is_some() || args.token.pin_fd.is_some();
    let mut text = describe(&roster);
    if let Some(before) = &before {
        text.push_str(&what_changes(before, &roster));
    }
    text.push_str(&screen::words_line(&words));
    door.ui.screen(&text, !scripted)?;
    if scripted && args.confirm.is_none() {
        // Nothing opens by a roster until root has pinned it, or custodians have approved it with words of its own.
        door.ui.note(
            "nobody has compared the words here: compare them before the roster is installed",
        );
    } else {
        let question = "do the other custodians and you read the same six words?";
        screen::compare(&door.ui, &words, args.confirm.as_deref(), question)?;
    }

    let slot = token::slot(&listed.approve)?;
    let digest = envelope.signing_digest();
    let signature = token::sign(&mut token, &args.token, slot, &digest, &door.ui)?;
    if !listed.approve.key.verifies(&envelope.pae(), &signature) {
        return Err(token::other_key(&listed));
    }
    let signed = add(&args.file, &chain, &listed.approve.key, signature)?;
    let newest = signed.last().unwrap_or(envelope);

    let missing = roster::missing(before.as_ref(), newest)?;
    let (done, _) = super::signed_by(before.as_ref(), newest)?;
    let complete = verify_chain(&signed).is_ok();
    let object = serde_json::json!({
        "file": args.file,
        "sha256": newest.digest(),
        "words": words,
        "person": listed.person,
        "token": listed.serial,
        "signed_by": signers(&done),
        "not_signed_by": signers(&missing.tokens),
        "people_missing": missing.people,
        "complete": complete,
    });
    let next = match (complete, roster.version) {
        (true, _) if roster.by.is_some() => {
            "all who must have signed; next, an officer, with the credential that recovery open brought out: twotap vault seal VAULT --from CREDENTIAL --roster FILE"
        }
        (true, 1) => "everybody has signed; next, on the host as root: twotap-worker install FILE",
        (true, _) => {
            "all who must have signed; next, an operator or officer: twotap roster submit FILE --incident ID --reason TEXT"
        }
        (false, _) => "next: hand the file to those who have not signed",
    };
    let text = format!(
        "signed as {} with token {}\n{}{next}",
        listed.person,
        listed.serial,
        columns(&rows_of(&done, &lacking(&missing), complete))
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The version that this one follows, believed because of what this person has seen, or because this very token has signed it.
fn version_before(
    roster: &Roster,
    earlier: &[Envelope],
    token: &mut Token,
    door: &Door,
) -> Result<Option<Verified<Roster>>, Problem> {
    if earlier.is_empty() {
        if roster.version == 1 {
            return Ok(None);
        }
        return Err(Problem::new(
            Code::Usage,
            "the file holds a later version alone, and not what it changes",
        )
        .hint("take the file that twotap roster propose wrote: it holds the whole chain"));
    }
    let mut memory = Memory::open()?;
    let claimed = verify_chain(earlier)?;
    let own = claimed
        .iter()
        .rev()
        .find_map(|r| token::listed(token, r).ok().cloned());
    let first = match &own {
        Some(listed) => {
            token::must_hold(token, listed)?;
            FirstMeeting::SignedBy(&listed.approve.key)
        }
        // A newcomer has signed nothing yet: the call with the others is all there is.
        None => FirstMeeting::SaySo,
    };
    let before = memory.roster(&roster.vault, earlier, &first, &door.ui)?;
    if roster.version != before.version + 1 || roster.previous != Some(before.digest()) {
        return Err(Problem::new(
            Code::Tampering,
            format!(
                "this version does not follow version {}, which counts",
                before.version
            ),
        )
        .hint("do not sign it; have it proposed anew: twotap roster propose"));
    }
    Ok(Some(before))
}

/// What either version says of this token: one that is removed may vote for it, one that is new signs for itself.
fn listed(
    token: &Token,
    roster: &Roster,
    before: Option<&Verified<Roster>>,
) -> Result<roster::Token, Problem> {
    let now = token::listed(token, roster);
    match (now, before) {
        (Ok(listed), _) => Ok(listed.clone()),
        (Err(_), Some(before)) => token::listed(token, before).cloned(),
        (Err(problem), None) => Err(problem),
    }
}

/// Adds the signature to what is in the file now: somebody else may have signed while this person was reading.
fn add(
    file: &Path,
    shown: &[Envelope],
    key: &PublicKey,
    signature: Vec<u8>,
) -> Result<Vec<Envelope>, Problem> {
    let mut now = read_chain(file)?;
    let same = now.len() == shown.len()
        && now
            .iter()
            .zip(shown)
            .all(|(a, b)| a.payload == b.payload && a.payload_type == b.payload_type);
    let Some(newest) = now.last_mut().filter(|_| same) else {
        return Err(Problem::new(
            Code::Tampering,
            "the file was replaced by another roster while you were reading",
        )
        .hint("nothing was written; read it again: twotap roster show"));
    };
    newest.add(key, signature);
    match &now[..] {
        [one] => files::write_public(file, one)?,
        chain => files::write_public(file, &chain)?,
    }
    Ok(now)
}
