//! Whether a token may stand in a roster, and as what.
//!
//! Asked whenever somebody is about to vouch for a roster: who draws it up, each custodian who signs it, the host that is pinned to it. It
//! is *not* asked when a vault is opened: what is in a signed roster stays in it until custodians change it, so that neither a date nor an
//! advisory that this program learnt meanwhile locks anybody out of an emergency. Then it is shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    PublicKey, TrustError,
    attestation::{self, AttestationError, Attested, Root, Statement, Which},
    firmware::{self, Action, Advisory, Firmware, Model},
    policy::{PinPolicy, TouchPolicy},
    roster::{AttestationRoot, Roster, SlotKey, Token},
};

/// What a roster accepts beyond what needs no word.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// Roots besides the maker's.
    pub roots: &'a [AttestationRoot],
    /// Advisories, by number.
    pub risks: &'a [String],
    /// Serial numbers of tokens that need no attestation.
    pub unattested: &'a [u32],
}

impl<'a> Accepted<'a> {
    /// What this roster accepts.
    #[must_use]
    pub fn by(roster: &'a Roster) -> Self {
        Self {
            roots: &roster.attestation_roots,
            risks: &roster.accept_risk,
            unattested: &roster.accept_unattested,
        }
    }
}

/// What is known of a token that may stand in a roster.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whose it is.
    pub person: String,
    /// Serial number.
    pub serial: u32,
    /// Firmware: attested, or the token's mere word where it is not attested.
    pub firmware: Firmware,
    /// What its maker vouches for; `None` where the roster accepts it without.
    pub attested: Option<Attested>,
    /// What is known against it, and accepted.
    pub advisories: Vec<&'static Advisory>,
}

/// A token that may not stand in a roster.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Whose it would be.
    pub person: String,
    /// Serial number.
    pub serial: u32,
    /// Why not.
    pub why: Why,
}

/// Why a token may not stand in a roster.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// Nothing shows that its keys were made on a token.
    Unattested,
    /// What should show it does not hold.
    Attestation(AttestationError),
    /// An attestation is for another key than the one that is listed, as with a key that was imported.
    OtherKey(Which),
    /// An attestation is for a key in another slot.
    OtherSlot(Which),
    /// An attestation is by another token, or does not say by which.
    OtherSerial {
        /// Which one.
        which: Which,
        /// The number in it.
        says: Option<u32>,
    },
    /// The attested firmware is another than the one that is listed.
    OtherFirmware {
        /// The attested one.
        says: Firmware,
    },
    /// The listed firmware is no version.
    NoFirmware,
    /// A key that does not want the PIN at each use.
    PinPolicy(Which, PinPolicy),
    /// A key that does not want a touch as it must.
    TouchPolicy(Which, TouchPolicy),
    /// An advisory whose risk the roster does not accept.
    Advisory(&'static Advisory),
    /// The tables in this program cannot be read.
    Broken(String),
}

/// Judges one token.
///
/// # Errors
/// A [`Refusal`], by the first rule that does not hold.
pub fn judge(token: &Token, accepted: Accepted<'_>) -> Result<Standing, Refusal> {
    weigh(token, accepted).map_err(|why| Refusal {
        person: token.person.clone(),
        serial: token.serial,
        why,
    })
}

/// Judges every token of a roster, in its order.
///
/// # Errors
/// The first [`Refusal`].
pub fn judge_all(roster: &Roster) -> Result<Vec<Standing>, Refusal> {
    let accepted = Accepted::by(roster);
    roster.tokens.iter().map(|t| judge(t, accepted)).collect()
}

/// Judges what a change brings in: tokens that are new or have changed, and all of them where something is no longer accepted. What stood there
/// before stays: an advisory that is learnt meanwhile must not keep anybody from striking out a lost host.
///
/// # Errors
/// The first [`Refusal`].
pub fn judge_change(before: &Roster, after: &Roster) -> Result<(), Refusal> {
    let narrower = before
        .attestation_roots
        .iter()
        .any(|r| !after.attestation_roots.contains(r))
        || before
            .accept_risk
            .iter()
            .any(|r| !after.accept_risk.contains(r))
        || before
            .accept_unattested
            .iter()
            .any(|s| !after.accept_unattested.contains(s));
    for token in &after.tokens {
        if narrower || !before.tokens.contains(token) {
            judge(token, Accepted::by(after))?;
        }
    }
    Ok(())
}

/// What people are told of a token that is in a roster already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Whose it is.
    pub person: String,
    /// Serial number.
    pub serial: u32,
    /// Firmware, as it is listed.
    pub firmware: String,
    /// Who vouches for it, as [`Standing::proof`] says, or why nobody does.
    pub proof: String,
    /// Whether that is the maker.
    pub by_maker: bool,
    /// Each advisory that is about it.
    pub advisories: Vec<String>,
}

/// What people are told of a token that is in a roster already; nothing is refused.
#[must_use]
pub fn told(token: &Token, roster: &Roster) -> Told {
    let standing = judge(token, Accepted::by(roster));
    let attested = standing.as_ref().ok().and_then(|s| s.attested.as_ref());
    Told {
        person: token.person.clone(),
        serial: token.serial,
        firmware: token.firmware.clone(),
        by_maker: attested.is_some_and(|a| matches!(a.root, Root::Yubico(_))),
        proof: match &standing {
            Ok(standing) => standing.proof(),
            Err(refusal) => format!("NOT ACCEPTABLE: {}", refusal.why),
        },
        advisories: known_against(token, roster)
            .into_iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// What is known against a token of a roster that counts already: nothing is refused. A token whose model is not proven is taken to be
/// of the model that most is known against.
#[must_use]
pub fn known_against(token: &Token, roster: &Roster) -> Vec<&'static Advisory> {
    let attestation = token.attestation.as_ref();
    let verified = attestation.and_then(|a| attestation::verify(a, &roster.attestation_roots).ok());
    let model = verified.map_or(Model::UNKNOWN, |attested| attested.model());
    let Ok(firmware) = token.firmware.parse() else {
        return Vec::new();
    };
    firmware::advisories(firmware, model).unwrap_or_default()
}

fn weigh(token: &Token, accepted: Accepted<'_>) -> Result<Standing, Why> {
    let listed: Firmware = token.firmware.parse().map_err(|_| Why::NoFirmware)?;
    let attested = match &token.attestation {
        // One that is there is checked even where none is asked for: a false word is worse than none.
        Some(found) => {
            let attested = attestation::verify(found, accepted.roots).map_err(Why::Attestation)?;
            agrees(
                Which::Approve,
                &attested.approve,
                &token.approve,
                token.serial,
            )?;
            agrees(Which::Unseal, &attested.unseal, &token.unseal, token.serial)?;
            for says in [attested.approve.firmware, attested.unseal.firmware] {
                if says != listed {
                    return Err(Why::OtherFirmware { says });
                }
            }
            must_want_its_owner(&attested)?;
            Some(attested)
        }
        None if accepted.unattested.contains(&token.serial) => None,
        None => return Err(Why::Unattested),
    };
    let model = attested.as_ref().map_or(Model::UNKNOWN, Attested::model);
    let advisories = firmware::advisories(listed, model).map_err(broken)?;
    let mut open = advisories
        .iter()
        .filter(|a| a.action == Action::Refuse && !accepted.risks.contains(&a.id));
    if let Some(advisory) = open.next() {
        return Err(Why::Advisory(advisory));
    }
    Ok(Standing {
        person: token.person.clone(),
        serial: token.serial,
        firmware: listed,
        attested,
        advisories,
    })
}

fn broken(why: TrustError) -> Why {
    Why::Broken(why.to_string())
}

/// The statement is about this key, in this slot, on this token.
fn agrees(which: Which, statement: &Statement, key: &SlotKey, serial: u32) -> Result<(), Why> {
    let listed: &PublicKey = &key.key;
    if statement.key != *listed {
        return Err(Why::OtherKey(which));
    }
    if statement.slot != Some(key.slot) {
        return Err(Why::OtherSlot(which));
    }
    if statement.serial != Some(serial) {
        return Err(Why::OtherSerial {
            which,
            says: statement.serial,
        });
    }
    Ok(())
}

/// Approving takes PIN and touch each time; for unsealing the touch of a moment ago is enough.
fn must_want_its_owner(attested: &Attested) -> Result<(), Why> {
    for (which, statement) in [
        (Which::Approve, &attested.approve),
        (Which::Unseal, &attested.unseal),
    ] {
        if statement.pin_policy != PinPolicy::Always {
            return Err(Why::PinPolicy(which, statement.pin_policy));
        }
        let touched = match which {
            Which::Approve => statement.touch_policy == TouchPolicy::Always,
            _ => matches!(
                statement.touch_policy,
                TouchPolicy::Always | TouchPolicy::Cached
            ),
        };
        if !touched {
            return Err(Why::TouchPolicy(which, statement.touch_policy));
        }
    }
    Ok(())
}

impl Standing {
    /// Who vouches for it, in one lower-case line: shown wherever the token is listed.
    #[must_use]
    pub fn proof(&self) -> String {
        let Some(attested) = &self.attested else {
            return "NOT attested: accepted on its own word".to_owned();
        };
        let mut proof = match &attested.root {
            Root::Yubico(name) => format!("attested by yubico ({name})"),
            Root::Named(name) => {
                format!("attested by root '{name}' of this roster, NOT by its maker")
            }
        };
        if let Some(form_factor) = attested.form_factor() {
            proof.push_str(", ");
            proof.push_str(form_factor.name());
        }
        for (told, word) in [(attested.fips, ", fips"), (attested.cspn, ", cspn")] {
            if told {
                proof.push_str(word);
            }
        }
        proof
    }
}

impl Refusal {
    /// What can be done about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let serial = self.serial;
        match &self.why {
            Why::Unattested => format!(
                "use a token that attests its keys; to let this one in by name all the same: --accept-unattested {serial}"
            ),
            Why::Attestation(AttestationError::UnknownMaker { .. }) => {
                "if your organisation runs an attestation authority of its own, name it: --attestation-root NAME=FILE".to_owned()
            }
            Why::Advisory(advisory) => format!(
                "use a token with newer firmware; to accept the risk for this vault: --accept-risk {}",
                advisory.id
            ),
            Why::Broken(_) | Why::Attestation(AttestationError::Damaged) => {
                "install twotap again".to_owned()
            }
            Why::PinPolicy(..) | Why::TouchPolicy(..) | Why::OtherSlot(_) => {
                format!("have {} enrol the token again: twotap custodian enroll", self.person)
            }
            Why::Attestation(_)
            | Why::OtherKey(_)
            | Why::OtherSerial { .. }
            | Why::OtherFirmware { .. }
            | Why::NoFirmware => {
                format!("do not go on with this file; ask {} on a call how it was made", self.person)
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {} of {}: {}", self.serial, self.person, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unattested => f.write_str(
                "it carries no attestation: nothing shows that its keys were made on a token and cannot leave it",
            ),
            Self::Attestation(why) => why.fmt(f),
            Self::OtherKey(which) => write!(
                f,
                "{which} is for another key than the one that is listed, which may have been imported"
            ),
            Self::OtherSlot(which) => write!(f, "{which} is for a key in another slot"),
            Self::OtherSerial {
                which,
                says: Some(says),
            } => write!(f, "{which} is by token {says}"),
            Self::OtherSerial { which, says: None } => {
                write!(f, "{which} does not say by which token it is")
            }
            Self::OtherFirmware { says } => {
                write!(f, "it is listed with another firmware than {says}, which is attested")
            }
            Self::NoFirmware => f.write_str("its firmware is not a version like 5.7.4"),
            Self::PinPolicy(which, _) => {
                write!(f, "{which} says that the key does not want the pin at each use")
            }
            Self::TouchPolicy(which, _) => {
                write!(f, "{which} says that the key does not want a touch as it must")
            }
            Self::Advisory(advisory) => write!(f, "{advisory}"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}
