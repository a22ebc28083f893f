//! Promise 7, by numbers: a record tampered with in every way at random places, a thousand times each. Each is found and its place named, and
//! the verifier in Python says the same.
//!
//! A failure names its seed: `TWOTAP_SEED=... cargo test --test tampering NAME` runs that case alone.

#[path = "tampering/cases.rs"]
mod cases;
#[path = "tampering/hosts.rs"]
mod hosts;
#[path = "agent_support/paper.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part"
)]
mod paper;
#[path = "tampering/record.rs"]
mod record;

use std::time::{SystemTime, UNIX_EPOCH};

use cases::{Base, Case, Kind, Random};
use record::{Python, Signers, Verdict, incident};
use twotap::audit::{
    chain::Head,
    checkpoint::CheckpointKey,
    event::{Actor, Event, EventType},
    verify::Problem,
};

const CASES: u64 = 1000;

fn base() -> Base {
    let signers = Signers::new();
    let whole = incident(&signers).done(&signers);
    let folder = tempfile::tempdir().expect("a folder");
    let forger = CheckpointKey::open_or_create(&folder.path().join("key"), "host-1");
    Base {
        signers,
        whole,
        forger: forger.unwrap_or_else(|why| panic!("{why}")),
    }
}

/// The seeds to run: one, if it is named; else as many as asked for from a fresh one on.
fn seeds(count: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("TWOTAP_SEED") {
        return vec![seed.parse().expect("a number")];
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let first = Random(u64::from(now.expect("after 1970").subsec_nanos())).next() >> 16;
    println!("seeds {first} to {}", first + count - 1);
    (first..first + count).collect()
}

/// Both verifiers find each case, name its place, and agree.
fn all_found(kind: Kind) {
    let base = base();
    let mut python = Python::start();
    let (good, problems) = base.whole.verdict();
    assert_eq!(
        (good.bad, good.events),
        (None, base.whole.lines.len() as u64),
        "{problems:?}"
    );
    assert_eq!(python.verdict(&base.whole).0, good);
    for seed in seeds(CASES) {
        let Case { bundle, at, what } = kind(&mut Random(seed), &base);
        // Every twentieth with all signatures, which take most of the time.
        let (found, problems) = match seed % 20 {
            0 => bundle.verdict(),
            _ => bundle.verdict_of_lines(),
        };
        let shown = || format!("seed {seed}: {what}: {found:?} {problems:?}");
        let named = found
            .bad
            .unwrap_or_else(|| panic!("not found: {}", shown()));
        assert!(at.contains(&named), "not {at:?}: {}", shown());
        let (by_python, why) = python.verdict(&bundle);
        // The heads in requests, approvals and manifests are left to us: where one of them tells first, Python names what comes next.
        let by_heads = matches!(&problems[0], Problem::Rewritten { by, .. } if by != "host-1");
        let told = by_python.bad.filter(|seq| by_heads && at.contains(seq));
        let found = Verdict {
            bad: told.or(found.bad),
            ..found
        };
        assert_eq!(by_python, found, "python says {why:?}; {}", shown());
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $kind:ident;)*) => {
        $($(#[$doc])* #[test] fn $name() { all_found(cases::$kind); })*
    };
}

kinds! {
    a_changed_byte: change;
    lines_taken_out: delete;
    lines_that_changed_places: swap;
    a_line_put_in: insert;
    an_end_cut_off: truncate;
    a_line_that_stands_twice: duplicate;
    another_history_from_some_event_on: replay;
    a_forged_checkpoint: checkpoint;
    a_changed_envelope: envelope;
    a_changed_receipt: receipt;
    fields_in_another_order: order;
    white_space: space;
    the_same_text_in_other_bytes: encoding;
}

/// Who has the agent and its key can write all of it anew. What custodians and workers have signed cannot be: it is left out, or found.
#[test]
fn what_the_agent_itself_writes_anew_is_found_by_the_signatures_of_others() {
    let base = base();
    for seed in seeds(CASES / 8) {
        let Case { bundle, what, .. } = cases::by_the_agent(&mut Random(seed), &base);
        let (found, problems) = bundle.verdict();
        assert!(
            found.bad.is_some(),
            "not found: seed {seed}: {what}: {found:?}"
        );
        let by_chain = problems.iter().any(|p| matches!(p, Problem::Chain(_)));
        assert!(!by_chain, "seed {seed}: {what}: {problems:?}");
    }
}

/// A checkpoint by a key that nobody lists proves nothing, and is no tampering by itself: both say the same of it.
#[test]
fn a_checkpoint_of_a_key_that_nobody_lists_proves_nothing() {
    let base = base();
    let mut bundle = base.whole.clone();
    let head = *cases::heads(&bundle.lines).last().expect("one");
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let forged = base.forger.sign(&base.signers.origin, &head, now);
    bundle.note = forged.expect("signed");
    let (found, _) = bundle.verdict();
    assert_eq!(found.bad, None);
    assert!(found.proven < head.seq, "{found:?}");
    assert_eq!(Python::start().verdict(&bundle).0, found);
    assert!(bundle.checked(&[], &[]).report.proven_to() < head.seq);
}

/// An epoch that is signed excuses what it says was lost, to both; one that is not excuses nothing.
#[test]
fn a_signed_epoch_is_understood_by_both() {
    let base = base();
    let mut python = Python::start();
    let lost = *cases::heads(&base.whole.lines).last().expect("one");
    let (old, back) = (base.signers.note(lost), lost.seq - 5);
    let heads = cases::heads(&base.whole.lines);
    let put_back = |held: Head, epoch: u64, signed: bool| {
        let mut writer = incident(&base.signers);
        writer.bundle = base.whole.clone();
        let kept = usize::try_from(back).expect("small");
        writer.bundle.lines.truncate(kept);
        writer.head = heads[kept];
        writer.add(
            Event::new(EventType::StoreReset, Actor::agent())
                .detail("epoch", epoch)
                .detail("lost_from", back + 1)
                .detail("held", serde_json::json!(held))
                .detail("by", "the file sink")
                .detail("why", "the store was put back from a backup"),
        );
        if signed {
            writer.checkpoint(&base.signers);
        }
        writer.add(Event::new(EventType::AgentStarted, Actor::agent()));
        let mut bundle = writer.done(&base.signers);
        // What was handed out before the store was lost.
        bundle.note = old.clone();
        bundle
    };
    let good = put_back(lost, 2, true);
    let (found, problems) = good.verdict();
    assert_eq!(found.bad, None, "{problems:?}");
    assert_eq!(python.verdict(&good).0, found);
    let resets = good.checked(&[], &[]).report.resets;
    assert_eq!((resets.len(), resets[0].lost()), (1, 5));

    let less = heads[usize::try_from(lost.seq - 1).expect("small")];
    for (bundle, at) in [
        (put_back(lost, 2, false), back + 1),
        // It admits to less than others have seen: they vouch for an event that is not there any more.
        (put_back(less, 2, true), back + 4),
    ] {
        let (found, problems) = bundle.verdict();
        assert_eq!(found.bad, Some(at), "{problems:?}");
        assert_eq!(python.verdict(&bundle).0, found);
    }
}

/// The verifier in Python is short enough to be read before it is believed, and needs nothing that is not Python's own.
#[test]
fn the_verifier_in_python_is_forty_lines() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("packaging/verify.py")).expect("there");
    let (_, code) = text.rsplit_once("\"\"\"").expect("it says what it does");
    let lines = code.lines().filter(|line| !line.trim().is_empty());
    assert_eq!(lines.count(), 40);
}
