//! Who may open a vault, whether it would open, and that it was opened without an agent.

use serde_json::json;
use twotap::{
    protocol::socket::{DrillBundle, DrillReceipt, RecoveryHandIn, RecoveryRecorded, VaultView},
    trust::{
        Envelope, Timestamp,
        manifest::Manifest,
        recovery::{How, Record, Took},
    },
};

use crate::{
    Alerted,
    agent_support::{BOB, DANA, Host, paper},
};

fn by_paper(host: &Host) -> RecoveryHandIn {
    let view: VaultView = host.get(DANA, "/v1/vaults/prod").json();
    let manifest = view.manifest.expect("sealed");
    let read: Manifest = manifest.unverified().expect("a manifest");
    let record = Record {
        v: 1,
        vault: "prod".to_owned(),
        generation: read.generation,
        manifest_sha256: manifest.digest(),
        roster_sha256: read.roster_sha256,
        how: How::Paper,
        took: Took::Credential,
        at: Timestamp::now(),
        nonce: paper::nonce(),
    };
    let mut envelope = Envelope::new(&record).expect("a good record");
    envelope.sign(&host.worker.paper().recovery);
    RecoveryHandIn { record: envelope }
}

#[test]
fn a_drill_that_fails_and_the_readiness_that_it_shakes_are_told_and_their_end_as_well() {
    let alerted = Alerted::start();
    let host = &alerted.host;
    let failure = json!({"layer": "age", "why": "the share does not open"});
    let path = "/v1/vaults/prod/drills/failed";
    assert_eq!(host.call(BOB, "POST", path, &failure).status, 200);
    alerted.told_of(&["DRILL_FAILED", "READINESS_DEGRADED"]);
    let bundle: DrillBundle = host.get(BOB, "/v1/vaults/prod/drill").json();
    let receipt = host.worker.paper().drill(&bundle, "bob", |_| {});
    let receipt = DrillReceipt { receipt };
    assert_eq!(
        host.call(BOB, "POST", "/v1/vaults/prod/drills", &receipt)
            .status,
        200
    );
    alerted.told_of(&["DRILL_PASSED", "READINESS_RESTORED"]);
}

#[test]
fn a_recovery_and_a_changed_roster_are_told() {
    let alerted = Alerted::start();
    let host = &alerted.host;
    let hand_in = by_paper(host);
    let path = "/v1/vaults/prod/recovery";
    host.call(DANA, "POST", path, &hand_in)
        .json::<RecoveryRecorded>();
    host.worker
        .take_up(|r| r.people.retain(|p| p.name != "sofia"));
    // Whatever has the agent look at the vault.
    host.call(DANA, "POST", path, &hand_in);
    alerted.told_of(&["RECOVERY_USED", "ROSTER_CHANGED"]);
}
