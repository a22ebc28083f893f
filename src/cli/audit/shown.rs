//! What verifying found, in words and as JSON.

use crate::audit::{
    signed::{Checked, Rosters, listed},
    verify::{Gap, Report, Reset, Source, Standing},
};

use crate::cli::ui::plain;

/// What has to be shown whatever else was found: epochs, gaps, copies that lack events, sessions without their approvals.
pub(super) fn warnings(checked: &Checked) -> Vec<String> {
    let report = &checked.report;
    let resets = report.resets.iter().map(reset);
    let gaps = report.gaps.iter().map(gap);
    let copies = report.copies.iter().filter_map(lacking);
    let doubts = checked
        .doubts
        .iter()
        .map(|doubt| format!("event {}: {}", doubt.seq, doubt.why));
    let all = resets.chain(gaps).chain(copies).chain(doubts);
    all.map(|text| plain(&text)).collect()
}

fn reset(reset: &Reset) -> String {
    let lost = match reset.lost() {
        0 => "no event is known to be lost".to_owned(),
        1 => format!("event {} of the one before is lost", reset.lost_from),
        _ => format!(
            "events {} to {} of the one before are lost",
            reset.lost_from, reset.held.seq
        ),
    };
    let signed = match &reset.signed_by {
        Some(key) if reset.struck_out => {
            format!("signed by {key} with a key that no roster lists any more")
        }
        Some(key) => format!("signed by {key}"),
        None => "whose signature was not checked".to_owned(),
    };
    format!(
        "event {} begins epoch {} of the record, {signed}: {lost}, as {} knows: {}",
        reset.seq, reset.epoch, reset.by, reset.why
    )
}

fn gap(gap: &Gap) -> String {
    let restarted = match gap.restarted {
        true => ", and the agent was started anew in between",
        false => "",
    };
    format!(
        "no head was signed for {} between events {} and {} ({} to {}), the agent says that it signs every {}{restarted}",
        length(gap.seconds),
        gap.from_seq,
        gap.to_seq,
        gap.from,
        gap.to,
        length(gap.stated)
    )
}

fn length(seconds: i64) -> String {
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    }
}

fn lacking(copy: &Standing) -> Option<String> {
    (copy.lacks > 0).then(|| {
        format!(
            "{} lacks {} of the events up to {}: was it to be sent all?",
            copy.name, copy.lacks, copy.agreed_to
        )
    })
}

pub(super) fn json(checked: &Checked, rosters: &Rosters) -> serde_json::Value {
    let report = &checked.report;
    let proofs: Vec<_> = report
        .proofs
        .iter()
        .map(|p| {
            serde_json::json!({
                "seq": p.seq, "by": p.by, "source": source(p.source), "time": p.time,
            })
        })
        .collect();
    let epochs: Vec<_> = report
        .resets
        .iter()
        .map(|r| {
            serde_json::json!({
                "seq": r.seq, "epoch": r.epoch, "lost_from": r.lost_from, "held": r.held, "by": r.by, "why": r.why,
                "signed_by": r.signed_by,
            })
        })
        .collect();
    let gaps: Vec<_> = report
        .gaps
        .iter()
        .map(|g| {
            serde_json::json!({
                "from_seq": g.from_seq, "to_seq": g.to_seq, "from": g.from, "to": g.to, "seconds": g.seconds,
                "stated": g.stated, "restarted": g.restarted,
            })
        })
        .collect();
    let copies: Vec<_> = report
        .copies
        .iter()
        .map(|c| {
            serde_json::json!({
                "name": c.name, "agreed": c.agreed, "agreed_to": c.agreed_to, "lacks": c.lacks, "lost": c.lost,
                "holds_lost_of": c.holds_lost_of,
            })
        })
        .collect();
    let doubts: Vec<_> = checked
        .doubts
        .iter()
        .map(|d| serde_json::json!({ "seq": d.seq, "why": d.why }))
        .collect();
    let tokens: Vec<_> = listed(rosters)
        .into_iter()
        .map(|l| serde_json::json!({ "vault": l.vault, "version": l.version, "token": l.token }))
        .collect();
    serde_json::json!({
        "verified": true,
        "events": report.events,
        "head": { "seq": report.head.seq, "hash": report.head.hash.to_string() },
        "proven_to": report.proven_to(),
        "proven_by": report.newest_proof().map(|p| &p.by),
        "proven_by_others_to": report.proven_by_others_to(),
        "proofs": proofs,
        "envelopes_checked": report.envelopes_checked,
        "envelopes_missing": report.envelopes_missing,
        "checkpoints_unknown": report.checkpoints_unknown,
        "epochs": epochs,
        "gaps": gaps,
        "copies": copies,
        "doubts": doubts,
        "tokens": tokens,
    })
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Checkpoint => "checkpoint",
        Source::Envelope => "signature",
        Source::Held => "kept elsewhere",
        Source::Copy => "a copy",
    }
}

pub(super) fn shown(checked: &Checked, rosters: &Rosters) -> String {
    let report = &checked.report;
    let mut text = format!(
        "{} events follow one another; the head is {}\n{}",
        report.events,
        report.head.hash,
        proven(report)
    );
    for proof in &report.proofs {
        let time = proof
            .time
            .as_deref()
            .map_or(String::new(), |t| format!(", {}", plain(t)));
        text.push_str(&format!(
            "  up to event {}: {} ({}{time})\n",
            proof.seq,
            plain(&proof.by),
            source(proof.source)
        ));
    }
    for copy in &report.copies {
        let name = plain(&copy.name);
        text.push_str(&match (copy.agreed, copy.lost) {
            (0, 1..) => format!("{name} is of what was lost: {} events\n", copy.lost),
            (agreed, _) => {
                format!("{name} has {agreed} of these events, and none that is another one\n")
            }
        });
        for epoch in &copy.holds_lost_of {
            text.push_str(&format!(
                "all that was lost before epoch {epoch} stands in {}: keep it\n",
                plain(&copy.name)
            ));
        }
    }
    for listed in listed(rosters) {
        text.push_str(&format!(
            "token {} of {} (vault {}): {}\n",
            listed.token.serial,
            plain(&listed.token.person),
            plain(&listed.vault),
            plain(&listed.token.proof)
        ));
    }
    if report.envelopes_missing > 0 {
        text.push_str(&format!(
            "{} signed envelopes were not there to be checked ('audit export --with-envelopes' takes them along); {} were\n",
            report.envelopes_missing, report.envelopes_checked
        ));
    }
    if report.checkpoints_unknown > 0 {
        text.push_str(&format!(
            "{} checkpoints are by keys that no roster lists: they prove nothing\n",
            report.checkpoints_unknown
        ));
    }
    text
}

/// Up to where, by whom, and what is left.
fn proven(report: &Report) -> String {
    let Some(newest) = report.newest_proof().filter(|p| p.seq > 0) else {
        return "no event is proven by anybody: all of it is only the host's word\n".to_owned();
    };
    let by = plain(&newest.by);
    match report.events - newest.seq {
        0 => format!(
            "proven to event {} by {by}: every event is proven\n",
            newest.seq
        ),
        beyond => format!(
            "proven to event {} by {by}; beyond that only the host's word ({beyond} event{})\n",
            newest.seq,
            if beyond == 1 { "" } else { "s" }
        ),
    }
}
