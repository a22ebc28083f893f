//! The token in this person's hand: which one, what it is in a roster, and what to say when it does not do what it was asked.

use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use crate::{
    protocol::{Code, Problem},
    token::{Prompt, Slot, Token, TokenError, Why},
    trust::{PublicKey, roster, stack},
};

use super::ui::{Ui, Waiting};

/// How verbs that use a token are told which, and where the PIN comes from.
#[derive(clap::Args)]
pub(super) struct TokenArgs {
    /// Serial number of the token, as printed on it; needed where several are plugged in
    #[arg(long, value_name = "SERIAL")]
    pub token: Option<u32>,
    /// For scripts: read the PIN from this open file descriptor (0 is standard input), once
    #[arg(long, value_name = "N")]
    pub pin_fd: Option<u16>,
    /// Go on although one more wrong PIN would block the token
    #[arg(long)]
    pub last_try: bool,
}

/// Opens the token that was named, or the only one.
pub(super) fn open(args: &TokenArgs) -> Result<Token, Problem> {
    let _said = Waiting::begin("pcscd and the token");
    Token::open(args.token).map_err(problem)
}

/// What a roster says of this token.
pub(super) fn listed<'r>(
    token: &Token,
    roster: &'r roster::Roster,
) -> Result<&'r roster::Token, Problem> {
    roster
        .tokens
        .iter()
        .find(|t| t.serial == token.serial())
        .ok_or_else(|| {
            Problem::new(
                Code::Token,
                format!(
                    "token {} is not in the roster of vault {}",
                    token.serial(),
                    roster.vault
                ),
            )
            .hint("plug in the token that was enrolled; see twotap roster show")
        })
}

/// The slot of a key, as the roster names it.
pub(super) fn slot(key: &roster::SlotKey) -> Result<Slot, Problem> {
    Slot::parse(key.slot).ok_or_else(|| {
        Problem::new(
            Code::Usage,
            format!(
                "the roster names slot {:02x}, which is not a retired slot",
                key.slot
            ),
        )
        .hint("slots are 82 to 95: enrol the token again")
    })
}

/// The key that a slot really holds, by the token's own word; `None` where there is none.
pub(super) fn public_key(token: &mut Token, slot: Slot) -> Result<Option<PublicKey>, Problem> {
    match token.metadata(slot) {
        Ok(metadata) => {
            let point = metadata.and_then(|m| m.public_key);
            return Ok(point
                .and_then(|point| p256::PublicKey::from_sec1_bytes(&point).ok())
                .map(PublicKey::from));
        }
        Err(TokenError::Unsupported { .. }) => {}
        Err(why) => return Err(problem(why)),
    }
    // Older firmware does not tell; the certificate that was written at enrolment does.
    let certificate = token.certificate(slot).map_err(problem)?;
    Ok(certificate
        .and_then(|der| Certificate::from_der(&der).ok())
        .and_then(|c| c.tbs_certificate.subject_public_key_info.to_der().ok())
        .and_then(|spki| PublicKey::from_spki(&spki).ok()))
}

/// Refuses a token whose slot holds another key than the roster lists.
pub(super) fn must_hold(token: &mut Token, listed: &roster::Token) -> Result<(), Problem> {
    if public_key(token, slot(&listed.approve)?)? == Some(listed.approve.key.clone()) {
        Ok(())
    } else {
        Err(other_key(listed))
    }
}

/// The token has the right number, and not the right key.
pub(super) fn other_key(listed: &roster::Token) -> Problem {
    Problem::new(
        Code::Tampering,
        format!(
            "token {} does not hold the approve key that is listed for {}",
            listed.serial, listed.person
        ),
    )
    .hint("was it enrolled again or reset? if not, do not go on and tell the security officer")
}

/// Asks for the PIN and signs a digest; nothing of the PIN is left when this returns.
pub(super) fn sign(
    token: &mut Token,
    args: &TokenArgs,
    slot: Slot,
    digest: &[u8; 32],
    ui: &Ui,
) -> Result<Vec<u8>, Problem> {
    stack::wiped(|| {
        let pin = super::pin::ask(ui, token, args)?;
        let mut prompt = toucher(ui, token.serial());
        token.sign(&pin, slot, digest, &mut prompt).map_err(problem)
    })
}

/// Says 'touch now' before the command that wants it is sent: tokens give no sign of waiting.
pub(super) fn toucher(ui: &Ui, serial: u32) -> impl FnMut(Prompt) {
    move |prompt| {
        ui.prompt(&match prompt {
            Prompt::Touch(Why::Sign) => format!("touch token {serial} now: it signs"),
            Prompt::Touch(Why::Unseal) => format!("touch token {serial} now: it opens your share"),
            Prompt::Touch(Why::Certify) => {
                format!("touch token {serial} now: the new key signs its certificate")
            }
            Prompt::TouchAgain(_) => {
                format!(
                    "touch token {serial} once more: it wants a touch of its own for your share"
                )
            }
        });
    }
}

/// A token's failure with its exit code.
pub(super) fn problem(why: TokenError) -> Problem {
    use TokenError as T;
    let code = match &why {
        T::PinWrong { .. }
        | T::PinBlocked
        | T::PukWrong { .. }
        | T::PukBlocked
        | T::NewPinRefused => Code::Pin,
        T::NoTouch => Code::Touch,
        T::BadPoint => Code::Tampering,
        T::BadName => Code::Usage,
        _ => Code::Token,
    };
    let hint = why.hint();
    let problem = Problem::new(code, why);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_touch_and_token_have_different_exit_codes() {
        for (why, status) in [
            (TokenError::PinWrong { tries: 2 }, 5),
            (TokenError::PinBlocked, 5),
            (TokenError::NoTouch, 6),
            (TokenError::NoReader, 7),
            (TokenError::Held { by: None }, 7),
            (TokenError::Removed, 7),
            (TokenError::BadPoint, 11),
        ] {
            assert_eq!(problem(why.clone()).code.exit_status(), status, "{why}");
        }
    }
}
