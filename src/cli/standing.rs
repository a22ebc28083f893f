//! Tokens of a roster as people see them: who vouches for them, what is known against them, the words that whoever enrolled them reads.

use std::path::Path;

use serde_json::{Value, json};
use x509_cert::{
    Certificate,
    der::{DecodePem as _, Encode as _},
};

use crate::{
    protocol::{Code, Problem},
    trust::{
        Bytes,
        attestation::check_root,
        firmware,
        roster::{AttestationRoot, Roster, Token},
        standing::{Accepted, Standing, Told, judge, judge_all, known_against, told},
        text::check_name,
        words::token_words,
    },
};

use super::{files, ui::plain};

/// Refuses a roster with a token that may not stand in it.
pub(super) fn must_stand(roster: &Roster) -> Result<Vec<Standing>, Problem> {
    Ok(judge_all(roster)?)
}

/// The tokens of a roster, and what it accepts beyond what needs no word.
pub(super) fn rows(roster: &Roster) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for token in &roster.tokens {
        rows.push((
            "token",
            format!(
                "{} of {}, firmware {}, keys in slots {:02x} and {:02x}, approve key {}",
                token.serial,
                token.person,
                plain(&token.firmware),
                token.approve.slot,
                token.unseal.slot,
                token.approve.key.id()
            ),
        ));
        let proof = match judge(token, Accepted::by(roster)) {
            Ok(standing) => standing.proof(),
            Err(refusal) => format!("NOT ACCEPTABLE: {}", refusal.why),
        };
        rows.push(("  proof", plain(&proof)));
        for advisory in known_against(token, roster) {
            rows.push(("  advisory", advisory.to_string()));
        }
        if let Ok(words) = words(token) {
            rows.push(("  enrolled", format!("with the words {}", words.join(" "))));
        }
    }
    for root in &roster.attestation_roots {
        let text = format!(
            "{}, NOT the maker's, sha256 {}",
            root.name,
            crate::trust::Digest::of(&root.certificate.0)
        );
        rows.push(("attestation root", text));
    }
    for risk in &roster.accept_risk {
        rows.push(("accepted risk", plain(risk)));
    }
    for serial in &roster.accept_unattested {
        rows.push(("needs no proof", format!("token {serial}")));
    }
    rows
}

/// A token by the agent's word.
pub(super) fn told_rows(token: &Told) -> Vec<(&'static str, String)> {
    let mut rows = vec![(
        "token",
        plain(&format!(
            "{} of {}, firmware {}: {}",
            token.serial, token.person, token.firmware, token.proof
        )),
    )];
    rows.extend(token.advisories.iter().map(|a| ("  advisory", plain(a))));
    rows
}

/// What a custodian has to know of the own token before it is used; nothing, where its maker vouches and nothing is known against it.
pub(super) fn unusual(token: &Token, roster: &Roster) -> Vec<(&'static str, String)> {
    let told = told(token, roster);
    let mut rows = Vec::new();
    if !told.by_maker {
        rows.push((
            "your token",
            format!("{}: {}", told.serial, plain(&told.proof)),
        ));
    }
    for advisory in &told.advisories {
        rows.push(("advisory on it", advisory.clone()));
    }
    rows
}

/// The tokens of a roster for `--json`.
pub(super) fn tokens_json(roster: &Roster) -> Vec<Value> {
    let one = |token: &Token| {
        let standing = judge(token, Accepted::by(roster));
        json!({
            "person": token.person,
            "serial": token.serial,
            "firmware": token.firmware,
            "attested": standing.as_ref().is_ok_and(|s| s.attested.is_some()),
            "proof": standing.as_ref().ok().map(Standing::proof),
            "refused": standing.as_ref().err().map(|r| r.why.to_string()),
            "advisories": known_against(token, roster),
            "words": words(token).ok(),
        })
    };
    roster.tokens.iter().map(one).collect()
}

/// The words that whoever enrolled the token reads.
pub(super) fn words(token: &Token) -> Result<[&'static str; crate::trust::words::COUNT], Problem> {
    Ok(token_words(token.serial, &token.approve, &token.unseal)?)
}

/// Reads `NAME=FILE`: a root certificate, PEM or DER, by a name.
pub(super) fn root(argument: &str) -> Result<AttestationRoot, Problem> {
    let usage = |what: String| {
        Problem::new(Code::Usage, what).hint(
            "e.g. --attestation-root lab=lab-root.pem: the certificate that signs the tokens' own",
        )
    };
    let shown = plain(argument);
    let (name, file) = argument
        .split_once('=')
        .ok_or_else(|| usage(format!("'{shown}' is not NAME=FILE")))?;
    check_name("attestation root's name", name).map_err(|why| usage(why.to_string()))?;
    let path = Path::new(file);
    let bytes = files::read(path)?;
    let der = match bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        true => Certificate::from_pem(bytes.trim_ascii())
            .and_then(|certificate| certificate.to_der())
            .map_err(|why| usage(format!("{}: {why}", files::shown(path))))?,
        false => bytes,
    };
    check_root(&der).map_err(|why| usage(format!("{}: {why}", files::shown(path))))?;
    Ok(AttestationRoot {
        name: name.to_owned(),
        certificate: Bytes(der),
    })
}

/// Advisories that exist: a misspelt one would accept nothing and look as if it did.
pub(super) fn risks(ids: &[String]) -> Result<Vec<String>, Problem> {
    for id in ids {
        if firmware::advisory(id)?.is_none() {
            let known = firmware::advisory_ids()?.join(", ");
            return Err(
                Problem::new(Code::Usage, format!("there is no advisory '{}'", plain(id)))
                    .hint(format!("those that this version knows: {known}")),
            );
        }
    }
    Ok(ids.to_vec())
}
