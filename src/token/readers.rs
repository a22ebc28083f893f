//! Looks into every reader at once, each with its own bounded time.

use super::link::{self, Link, Probed};
use super::{Bounds, Firmware, TokenError, holders};
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

/// A reader and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// PC/SC's name of it.
    pub name: String,
    /// What answered.
    pub contents: Contents,
}

/// What a reader holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// A YubiKey whose PIV application tells version and serial number.
    Token {
        /// Printed on the token as well.
        serial: u32,
        /// What it runs.
        firmware: Firmware,
    },
    /// A YubiKey too old to tell its serial number.
    TooOld(Firmware),
    /// No card.
    Empty,
    /// A card, but no YubiKey with a PIV application.
    Other,
    /// Another program has it.
    Held {
        /// Name and pid, where they can be found.
        by: Option<String>,
    },
    /// Something else went wrong.
    Failed(TokenError),
}

/// Lists the readers with what is in them, in PC/SC's order.
///
/// Takes at most `bounds.lock` (5 s by default), and `bounds.probe` (1 s) once a token has answered, even if another reader hangs or is busy: that
/// one is shown as held.
///
/// # Errors
/// [`TokenError::NoService`], [`TokenError::Forbidden`] or [`TokenError::Service`] when PC/SC itself does not work.
/// No reader at all is an empty list.
pub fn readers(bounds: Bounds) -> Result<Vec<Reader>, TokenError> {
    let contents = |found| match found {
        Ok((_link, firmware, serial)) => Contents::Token { serial, firmware },
        Err(TokenError::Removed) => Contents::Empty,
        Err(TokenError::NotYubiKey | TokenError::Malformed { .. }) => Contents::Other,
        Err(TokenError::Unsupported { firmware, .. }) => Contents::TooOld(firmware),
        Err(TokenError::Held { by }) => Contents::Held { by },
        Err(error) => Contents::Failed(error),
    };
    Ok(probe(None, bounds)?
        .into_iter()
        .map(|(name, found)| Reader {
            name,
            contents: contents(found),
        })
        .collect())
}

/// What a reader answered: the token, connected.
pub(super) type Found<L = Link> = Result<(L, Firmware, u32), TokenError>;

/// All readers, with a live link to each token. Ends early when the token with serial number `wanted` is found; takes its time while there is
/// nothing that could be used.
pub(super) fn probe(
    wanted: Option<u32>,
    bounds: Bounds,
) -> Result<Vec<(String, Found)>, TokenError> {
    let names = names()?;
    let abandoned = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel::<Probed>();
    for (index, name) in names.iter().enumerate() {
        link::probe(
            index,
            name.clone(),
            bounds,
            sender.clone(),
            Arc::clone(&abandoned),
        );
    }
    drop(sender);

    let mut found: Vec<Option<Found>> = names.iter().map(|_| None).collect();
    let mut has_wanted = false;
    let mut deadline = Instant::now() + bounds.probe.max(bounds.lock);
    while !has_wanted && found.iter().any(Option::is_none) {
        let rest = deadline.saturating_duration_since(Instant::now());
        let Ok((index, answer)) = receiver.recv_timeout(rest) else {
            break;
        };
        if wanted.is_none() && answer.is_ok() {
            deadline = deadline.min(Instant::now() + bounds.probe);
        }
        has_wanted = matches!(&answer, Ok((.., serial)) if Some(*serial) == wanted);
        found[index] = Some(answer);
    }
    abandoned.store(true, Ordering::SeqCst);

    // Who has not answered by now waits for another program's transaction, or hangs: for us that is the same.
    let by = match has_wanted {
        false if found.iter().any(Option::is_none) => holders::holder(),
        _ => None,
    };
    let late = || Err(TokenError::Held { by: by.clone() });
    Ok(names
        .iter()
        .zip(found)
        .map(|(name, found)| {
            (
                name.to_string_lossy().into_owned(),
                found.unwrap_or_else(late),
            )
        })
        .collect())
}

fn names() -> Result<Vec<CString>, TokenError> {
    let context = pcsc::Context::establish(pcsc::Scope::User).map_err(link::plain)?;
    match context.list_readers_owned() {
        Err(pcsc::Error::NoReadersAvailable) => Ok(vec![]),
        // A reader that came or went between the two calls behind this: once more.
        Err(pcsc::Error::InsufficientBuffer) => context.list_readers_owned().map_err(link::plain),
        names => names.map_err(link::plain),
    }
}

/// Picks the token that is meant, or says why there is none.
///
/// A reader that another program holds may hide the token that is meant: that is said instead of 'not plugged in'.
pub(super) fn choose<L>(
    found: Vec<(String, Found<L>)>,
    wanted: Option<u32>,
) -> Result<(String, L, Firmware, u32), TokenError> {
    if found.is_empty() {
        return Err(TokenError::NoReader);
    }
    let mut tokens = vec![];
    let mut held_yubikey = None;
    let mut held_other = None;
    let mut too_old = None;
    for (name, answer) in found {
        match answer {
            Ok((link, firmware, serial)) => tokens.push((name, link, firmware, serial)),
            Err(TokenError::Removed | TokenError::NotYubiKey | TokenError::Malformed { .. }) => {}
            Err(error @ TokenError::Unsupported { .. }) => too_old = Some(error),
            Err(error) if name.to_ascii_lowercase().contains("yubikey") => {
                held_yubikey = Some(error);
            }
            Err(error) => held_other = Some(error),
        }
    }
    let mut serials: Vec<u32> = tokens.iter().map(|(.., serial)| *serial).collect();
    serials.sort_unstable();

    if let Some(wanted) = wanted {
        return match tokens.into_iter().find(|(.., serial)| *serial == wanted) {
            Some(token) => Ok(token),
            None => Err(held_yubikey
                .or(held_other)
                .unwrap_or(match serials.is_empty() {
                    true => too_old.unwrap_or(TokenError::NoToken),
                    false => TokenError::WrongToken {
                        wanted,
                        found: serials,
                    },
                })),
        };
    }
    if tokens.len() > 1 {
        return Err(TokenError::SeveralTokens { found: serials });
    }
    match (tokens.pop(), held_yubikey) {
        // There may be two tokens, and the one in view is not known to be the right one.
        (_, Some(error)) => Err(error),
        (Some(token), None) => Ok(token),
        (None, None) => Err(held_other.or(too_old).unwrap_or(TokenError::NoToken)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = Result<((), Firmware, u32), TokenError>;

    fn token(serial: u32) -> Answer {
        Ok(((), Firmware::new(5, 7, 4), serial))
    }

    fn pick(found: &[(&str, Answer)], wanted: Option<u32>) -> Result<u32, TokenError> {
        let found = found
            .iter()
            .map(|(name, a)| ((*name).to_owned(), a.clone()))
            .collect();
        choose(found, wanted).map(|(.., serial)| serial)
    }

    #[test]
    fn the_right_token_is_taken_and_never_just_the_first() {
        let held = || TokenError::Held { by: None };
        let empty = || Err(TokenError::Removed);
        let old = || TokenError::Unsupported {
            what: "it",
            firmware: Firmware::new(4, 3, 7),
        };
        let (one, two) = (("YubiKey 00", token(1)), ("YubiKey 01", token(2)));
        for (found, wanted, expected) in [
            (vec![], None, Err(TokenError::NoReader)),
            (vec![("ACME", empty())], None, Err(TokenError::NoToken)),
            (
                vec![("ACME", Err(TokenError::NotYubiKey)), one.clone()],
                None,
                Ok(1),
            ),
            (vec![one.clone(), two.clone()], Some(2), Ok(2)),
            (
                vec![two.clone(), one.clone()],
                None,
                Err(TokenError::SeveralTokens { found: vec![1, 2] }),
            ),
            (
                vec![one.clone()],
                Some(3),
                Err(TokenError::WrongToken {
                    wanted: 3,
                    found: vec![1],
                }),
            ),
            // A held reader may be where the wanted token is.
            (
                vec![one.clone(), ("YubiKey 01", Err(held()))],
                Some(3),
                Err(held()),
            ),
            (
                vec![("YubiKey 01", Err(held())), one.clone()],
                Some(1),
                Ok(1),
            ),
            (
                vec![("YubiKey 01", Err(held())), one.clone()],
                None,
                Err(held()),
            ),
            // One of another make does not matter while there is a token.
            (vec![("ACME", Err(held())), one.clone()], None, Ok(1)),
            (
                vec![("ACME", Err(held())), ("B", empty())],
                None,
                Err(held()),
            ),
            (vec![("YubiKey 01", Err(old()))], Some(1), Err(old())),
            (vec![("YubiKey 01", Err(old())), one.clone()], None, Ok(1)),
        ] {
            assert_eq!(pick(&found, wanted), expected, "{found:?} {wanted:?}");
        }
    }
}
