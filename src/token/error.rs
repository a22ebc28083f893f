//! Everything that can go wrong between a person and their token, each told apart.
//!
//! `Display` says what is wrong in one lower-case line, [`TokenError::hint`] what to do about it. No variant
//! holds bytes that went to or came from the token, so no secret can leave through an error.

use super::{Firmware, Slot};
use std::fmt;

/// Why the token did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// The PC/SC daemon does not answer.
    NoService,
    /// The PC/SC daemon answers, but refuses this user.
    Forbidden,
    /// No card reader (a YubiKey is its own) is plugged in.
    NoReader,
    /// There are readers, none of them with a YubiKey.
    NoToken,
    /// There are tokens, but not the wanted one.
    WrongToken {
        /// Serial number that was asked for.
        wanted: u32,
        /// Serial numbers that are plugged in, in ascending order.
        found: Vec<u32>,
    },
    /// Several tokens are plugged in and none was named.
    SeveralTokens {
        /// Serial numbers that are plugged in, in ascending order.
        found: Vec<u32>,
    },
    /// The PIN is wrong (VERIFY answered 63Cx).
    PinWrong {
        /// Tries that are left before the PIN is blocked, at least one.
        tries: u8,
    },
    /// The PIN is blocked (6983, or the last try just failed).
    PinBlocked,
    /// The PUK is wrong.
    PukWrong {
        /// Tries that are left before the PUK is blocked, at least one.
        tries: u8,
    },
    /// The PUK is blocked.
    PukBlocked,
    /// The token accepts the old PIN or PUK, but not the new one (PIN complexity, firmware 5.7).
    NewPinRefused,
    /// The PIN was right, but nobody touched the token in time (6982 after a good VERIFY, or 6600).
    NoTouch,
    /// The token was pulled out.
    Removed,
    /// Another program reset the token in the middle of what we did.
    Interrupted,
    /// Another program holds the reader.
    Held {
        /// Its name and process id where `/proc` shows it, e.g. `scdaemon (pid 812)`.
        by: Option<String>,
    },
    /// No answer within the bound.
    Silent,
    /// The card answers, but it is no YubiKey with a PIV application.
    NotYubiKey,
    /// The firmware cannot do this.
    Unsupported {
        /// What was asked of it.
        what: &'static str,
        /// What it runs.
        firmware: Firmware,
    },
    /// The reply is too short, too long or not of its form.
    Malformed {
        /// Which reply.
        what: &'static str,
    },
    /// The token refused with a status word that has no case of its own.
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// ISO 7816-4 status word.
        status: u16,
    },
    /// The slot holds no key, or one of another kind.
    NoKey {
        /// Which slot.
        slot: Slot,
    },
    /// The token has no such slot.
    NoSlot {
        /// Which one it was asked for.
        slot: Slot,
    },
    /// The other side's key is no point on P-256; it never reached the token.
    BadPoint,
    /// The management key is neither the default nor stored on the token under the PIN.
    ManagementKeyNeeded,
    /// The management key is wrong.
    ManagementKeyWrong,
    /// The name does not fit a certificate (1 to 64 characters, no control characters).
    BadName,
    /// PC/SC failed in a way that has no case of its own.
    Service {
        /// PC/SC's own name for it.
        what: &'static str,
    },
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("the smart card service (pcscd) is not running"),
            Self::Forbidden => f.write_str("the smart card service (pcscd) refuses this user"),
            Self::NoReader => f.write_str("no token is plugged in: there is no card reader"),
            Self::NoToken => f.write_str("no token is plugged in: no reader has a yubikey in it"),
            Self::WrongToken { wanted, found } => {
                write!(
                    f,
                    "token {wanted} is not plugged in; found {}",
                    Serials(found)
                )
            }
            Self::SeveralTokens { found } => {
                write!(f, "several tokens are plugged in: {}", Serials(found))
            }
            Self::PinWrong { tries } => write!(f, "wrong pin, {} left", Tries(*tries)),
            Self::PinBlocked => f.write_str("the pin is blocked"),
            Self::PukWrong { tries } => write!(f, "wrong puk, {} left", Tries(*tries)),
            Self::PukBlocked => f.write_str("the puk is blocked"),
            Self::NewPinRefused => f.write_str("the token does not accept the new pin or puk"),
            Self::NoTouch => f.write_str("the token was not touched in time"),
            Self::Removed => f.write_str("the token was removed"),
            Self::Interrupted => f.write_str("another program reset the token"),
            Self::Held { by: Some(by) } => write!(f, "the reader is held by {by}"),
            Self::Held { by: None } => f.write_str("the reader is held by another program"),
            Self::Silent => f.write_str("the token does not answer"),
            Self::NotYubiKey => f.write_str("the card in the reader is not a yubikey"),
            Self::Unsupported { what, firmware } => {
                write!(f, "firmware {firmware} does not support {what}")
            }
            Self::Malformed { what } => write!(f, "the token's reply to {what} is malformed"),
            Self::Refused { what, status } => {
                write!(f, "the token refused {what} (status {status:04x})")
            }
            Self::NoKey { slot } => write!(f, "slot {slot} holds no p-256 key"),
            Self::NoSlot { slot } => write!(f, "the token has no slot {slot}"),
            Self::BadPoint => f.write_str("the other side's key is not a point on p-256"),
            Self::ManagementKeyNeeded => {
                f.write_str("the token's management key was changed and is not stored on it")
            }
            Self::ManagementKeyWrong => f.write_str("the management key is wrong"),
            Self::BadName => f.write_str("the name does not fit a certificate"),
            Self::Service { what } => write!(f, "the smart card service failed ({what})"),
        }
    }
}

impl TokenError {
    /// What the person in front of the token can do, as one lower-case line, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoService => {
                "start it: sudo systemctl start pcscd.socket; where it is not installed: sudo apt-get install pcscd"
            }
            Self::Forbidden => {
                "allow the user in polkit (action org.debian.pcsc-lite.access_card), or use the console"
            }
            Self::NoReader | Self::NoToken => "plug in your yubikey and try again",
            Self::WrongToken { .. } => "plug in the token with that serial number",
            Self::SeveralTokens { .. } => "name one with --token SERIAL, or unplug the others",
            Self::PinWrong { .. } => {
                "try again with care; the token blocks the pin after the last try"
            }
            Self::PinBlocked => "unblock it with the puk: ykman piv access unblock-pin",
            Self::PukWrong { .. } => {
                "try again with care; without the puk a blocked pin stays blocked"
            }
            Self::PukBlocked => "only a reset of the piv application helps, which erases its keys",
            Self::NewPinRefused => {
                "choose another of 6 to 8 characters, not repeated and not a common one"
            }
            Self::NoTouch => "try again and touch the token while it blinks",
            Self::Removed => "plug it in again and start over; nothing was approved",
            Self::Interrupted => "close other programs that use the token, then try again",
            Self::Held { .. } => {
                "close that program, e.g. for gnupg: gpgconf --kill scdaemon, then try again"
            }
            Self::Silent => "unplug the token, plug it in again, and try again",
            Self::NotYubiKey => "use a yubikey with the piv application switched on",
            Self::Unsupported { .. } => "use a newer yubikey",
            Self::NoKey { .. } => "enrol this token first, or name the slot that was enrolled",
            Self::NoSlot { .. } => "name others with --slots, 82 to 95",
            Self::ManagementKeyNeeded | Self::ManagementKeyWrong => {
                "give the management key that was set on this token"
            }
            Self::BadName => "use 1 to 64 printable characters",
            Self::Malformed { .. }
            | Self::Refused { .. }
            | Self::BadPoint
            | Self::Service { .. } => return None,
        })
    }
}

impl std::error::Error for TokenError {}

struct Serials<'a>(&'a [u32]);

impl fmt::Display for Serials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, serial) in self.0.iter().enumerate() {
            write!(f, "{}{serial}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct Tries(u8);

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 try"),
            n => write!(f, "{n} tries"),
        }
    }
}
