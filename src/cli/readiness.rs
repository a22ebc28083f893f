//! How sure one may be that a vault would open, as `status` and `drill --history` show it.

use crate::{
    ceremony::readiness::DAY,
    protocol::{
        readiness::{CustodianProof, FullDrill, SheetProof},
        socket::VaultStatus,
    },
    trust::Timestamp,
};

use super::{span, ui::plain};

/// How many full drills stand in one row.
const TREND: usize = 3;

/// A row for each thing that can be shown.
pub(super) fn rows(vault: &VaultStatus, now: Timestamp) -> Vec<(&'static str, String)> {
    let readiness = &vault.readiness;
    let mut rows = vec![("lose a token", lose_one(vault))];
    let hosts = match readiness.hosts {
        1 => "1 in the roster: nobody opens if it is lost".to_owned(),
        n => format!("{n} in the roster"),
    };
    rows.push(("hosts", hosts));
    rows.push(("copies", copies(vault)));
    let custodians = readiness.custodians.iter();
    rows.extend(custodians.map(|custodian| ("proof", proof(custodian, now))));
    let sheets = readiness.sheets.as_ref();
    rows.push((
        "paper",
        sheets.map_or("no recovery set in the roster".to_owned(), |s| {
            sheet(s, now)
        }),
    ));
    rows.push(("full drill", full(&readiness.full_drills, now)));
    rows
}

fn lose_one(vault: &VaultStatus) -> String {
    let spare = vault.readiness.spare;
    match vault.readiness.survives_loss_of_one {
        true => format!("a quorum is left whichever it is ({spare} people to spare)"),
        false => "NO QUORUM is left: add a custodian, or second tokens".to_owned(),
    }
}

/// Where the sealed bundle is besides the host, and whether what is there is the newest.
fn copies(vault: &VaultStatus) -> String {
    let current = |held: Option<u64>| held.is_some() && held == vault.generation;
    let newest = vault
        .copies
        .iter()
        .filter(|c| current(c.generation))
        .count();
    match vault.copies.len() {
        0 => "none: the sealed bundle is on this host alone".to_owned(),
        all if newest == all => format!("{all}, all current"),
        all => format!("{newest} of {all} current"),
    }
}

fn proof(custodian: &CustodianProof, now: Timestamp) -> String {
    let name = plain(&custodian.name);
    let mut text = match (custodian.at, &custodian.by) {
        (Some(at), Some(by)) => {
            let token = custodian.serial.map(|n| format!(", token {n}"));
            format!(
                "{name}: opened {} ({}{})",
                ago(at, now),
                plain(by),
                token.unwrap_or_default()
            )
        }
        _ => format!("{name}: never shown to open: twotap drill"),
    };
    if custodian.stale {
        text.push_str("; STALE");
    }
    if let Some((layer, at)) = custodian.failed {
        text.push_str(&format!(
            "; DRILL FAILED {} ({})",
            ago(at, now),
            layer.name()
        ));
    }
    text
}

fn sheet(sheets: &SheetProof, now: Timestamp) -> String {
    let read = match sheets.at {
        Some(at) => format!("last read {}, {} ever", ago(at, now), sheets.sheets),
        None => "never read: twotap recovery check".to_owned(),
    };
    let stale = if sheets.stale { "; STALE" } else { "" };
    format!("set {}: {read}{stale}", plain(&sheets.set))
}

/// The newest first: what it took, and what those before it took.
fn full(drills: &[FullDrill], now: Timestamp) -> String {
    let Some(last) = drills.last() else {
        return "never: twotap drill --full".to_owned();
    };
    let before: Vec<String> = drills.iter().rev().skip(1).take(TREND).map(took).collect();
    let before = match before.is_empty() {
        true => String::new(),
        false => format!("; before: {}", before.join(", ")),
    };
    format!("{}: {}{before}", ago(last.at, now), took(last))
}

/// One full drill on a line of its own.
pub(super) fn drill_line(drill: &FullDrill) -> String {
    format!(
        "{}  {}  {}",
        span::at(drill.at),
        plain(&drill.request),
        took(drill)
    )
}

/// To the quorum, and from there to a session.
fn took(drill: &FullDrill) -> String {
    format!(
        "{} + {}",
        seconds(drill.quorum_ms),
        seconds(drill.access_ms)
    )
}

/// In days, from two on.
fn ago(at: Timestamp, now: Timestamp) -> String {
    match at.until(now) / DAY {
        days @ 2.. => format!("{days} days ago"),
        _ => span::from_now(at, now),
    }
}

/// `0.9 s`, `41.0 s`, `4 min 10 s`.
fn seconds(millis: u64) -> String {
    match millis {
        0..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => span::show(i64::try_from(millis / 1000).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        job::Isolation,
        readiness::{Layer, Readiness},
        socket::CopyStatus,
    };

    const NOW: Timestamp = Timestamp(1_767_700_800);

    fn vault() -> VaultStatus {
        VaultStatus {
            vault: "prod".to_owned(),
            roster_version: 1,
            threshold: 2,
            custodians: Vec::new(),
            tokens: Vec::new(),
            generation: Some(7),
            sealed_at: Some(NOW),
            rotation: "done".to_owned(),
            watch: "quiet".to_owned(),
            isolation: Isolation::Account,
            copies: Vec::new(),
            recovery: None,
            groups: Vec::new(),
            readiness: Readiness::default(),
        }
    }

    fn row(vault: &VaultStatus, name: &str) -> String {
        let rows = rows(vault, NOW);
        let found = rows.into_iter().find(|(n, _)| *n == name);
        found.expect("a row").1
    }

    fn copy(generation: Option<u64>) -> CopyStatus {
        CopyStatus {
            place: "nas".to_owned(),
            required: false,
            generation,
            lags_since: None,
            why: None,
        }
    }

    #[test]
    fn copies_are_current_only_with_the_generation_that_counts() {
        let mut vault = vault();
        assert!(row(&vault, "copies").starts_with("none"));
        vault.copies = vec![copy(Some(7)), copy(Some(6)), copy(None)];
        assert_eq!(row(&vault, "copies"), "1 of 3 current");
        vault.copies.truncate(1);
        assert_eq!(row(&vault, "copies"), "1, all current");
    }

    #[test]
    fn a_proof_says_when_by_what_and_what_speaks_against_it() {
        let mut vault = vault();
        let mut alice = CustodianProof {
            name: "alice".to_owned(),
            at: None,
            by: None,
            serial: None,
            failed: None,
            stale: false,
        };
        vault.readiness.custodians = vec![alice.clone()];
        assert_eq!(
            row(&vault, "proof"),
            "alice: never shown to open: twotap drill"
        );
        alice.at = Some(NOW.plus(-7200));
        alice.by = Some("drill".to_owned());
        alice.serial = Some(10001);
        alice.failed = Some((Layer::Age, NOW.plus(-60)));
        alice.stale = true;
        vault.readiness.custodians = vec![alice];
        assert_eq!(
            row(&vault, "proof"),
            "alice: opened 2 h ago (drill, token 10001); STALE; DRILL FAILED 1 min ago (age)"
        );
    }

    #[test]
    fn full_drills_are_a_trend_newest_first() {
        let drill = |days: i64, quorum_ms, access_ms| FullDrill {
            request: "r-aaaaaaaaaaaaa".to_owned(),
            at: NOW.plus(-days * 86_400),
            quorum_ms,
            access_ms,
        };
        let mut vault = vault();
        assert_eq!(row(&vault, "full drill"), "never: twotap drill --full");
        vault.readiness.full_drills = vec![drill(200, 400_000, 2_040), drill(2, 59_999, 900)];
        assert_eq!(
            row(&vault, "full drill"),
            "2 days ago: 59.9 s + 0.9 s; before: 6 min + 2.0 s"
        );
    }
}
