//! Signatures against the roster of their time: who approved each session, and what the tokens' attestations show.

use twotap::{
    audit::event::{Actor, Event, EventType},
    trust::{Bytes, roster::Attestation},
};

use crate::record::{Bundle, Signers, approved_by, incident};
use crate::{TAMPERING, refused, verified};

fn export(home: &tempfile::TempDir, bundle: &Bundle) {
    bundle.write(&home.path().join("export"));
}

#[test]
fn a_session_without_its_quorum_is_shown() {
    let home = tempfile::tempdir().expect("a folder");
    let signers = Signers::new();
    export(&home, &approved_by(&signers, &["alice"]).done(&signers));
    let (found, warned) = verified(home.path(), &["--export", "export"]);
    let why = found["doubts"][0]["why"].as_str().expect("one");
    assert!(
        why.contains("approvals of alice alone: it takes 2 custodians"),
        "{why}"
    );
    assert!(warned.contains(why), "{warned}");

    // One that was never asked for.
    let mut writer = incident(&signers);
    let opened = Event::new(EventType::BreakGlassAccess, Actor::agent());
    writer.add(opened.correlation("r-aaaaaaaaaaaaa"));
    let seq = writer.head.seq;
    export(&home, &writer.done(&signers));
    let (found, _) = verified(home.path(), &["--export", "export"]);
    assert_eq!(found["doubts"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["doubts"][0]["seq"], seq);

    // Where the envelopes were not brought nothing is said of either.
    std::fs::remove_dir_all(home.path().join("export/envelopes")).expect("removed");
    let (found, _) = verified(home.path(), &["--export", "export"]);
    assert_eq!(found["doubts"], serde_json::json!([]));
    assert!(found["envelopes_missing"].as_u64().expect("a number") > 5);
}

#[test]
fn a_session_under_a_roster_that_counted_no_more_is_shown() {
    let home = tempfile::tempdir().expect("a folder");
    let signers = Signers::new();
    let mut writer = incident(&signers);
    writer.open_again(&signers);
    writer.change_roster(&signers);
    let changed = writer.head.seq;
    let opened = writer.open_again(&signers);
    export(&home, &writer.done(&signers));
    let (found, _) = verified(home.path(), &["--export", "export"]);
    assert_eq!(found["doubts"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["doubts"][0]["seq"], opened);
    let why = found["doubts"][0]["why"].as_str().expect("text");
    let told =
        format!("under version 1 of the roster when version 2 counted since event {changed}");
    assert!(why.contains(&told), "{why}");
}

#[test]
fn an_approval_by_somebody_whom_the_roster_of_that_time_does_not_list_is_tampering() {
    let home = tempfile::tempdir().expect("a folder");
    let signers = Signers::new();
    // A stranger's token is listed nowhere; alice's is, and in the line of somebody else.
    let bundle = approved_by(&signers, &["alice", "stranger"]).done(&signers);
    export(&home, &bundle);
    let said = refused(home.path(), &["--export", "export"], TAMPERING);
    assert!(
        said.contains("a signed envelope of event 8 is bad"),
        "{said}"
    );
}

#[test]
fn an_attestation_that_does_not_hold_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let good = Signers::new();
    export(&home, &incident(&good).done(&good));
    let (found, _) = verified(home.path(), &["--export", "export"]);
    let tokens = found["tokens"].as_array().expect("a list");
    assert_eq!(tokens.len(), 2);
    let proof = tokens[0]["token"]["proof"].as_str().expect("text");
    assert!(proof.contains("NOT attested"), "{proof}");

    let bad = Signers::under(|roster| {
        let nothing = Bytes(vec![0x30, 0]);
        roster.tokens[0].attestation = Some(Attestation {
            approve: nothing.clone(),
            unseal: nothing.clone(),
            f9: nothing,
        });
    });
    export(&home, &incident(&bad).done(&bad));
    let said = refused(home.path(), &["--export", "export"], TAMPERING);
    assert!(
        said.contains("version 1 of the roster of vault prod: token 1000 of alice"),
        "{said}"
    );
}
