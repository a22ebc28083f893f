//! Things that the tests of several verbs need.

use crate::{
    protocol::{
        job::Standing,
        socket::{RequestView, Stage},
    },
    trust::{
        Bytes, Digest, Envelope, Head, Timestamp,
        request::{Clock, Purpose, Request},
    },
};

/// A request as the manual shows it.
pub(super) fn sample_request() -> Request {
    let asked = Timestamp::parse("2026-01-06T10:00:00Z").expect("a time");
    Request {
        v: 1,
        id: "r-abcdefghijklm".to_owned(),
        vault: "prod".to_owned(),
        generation: 7,
        operator: "dana".to_owned(),
        host: Digest([2; 32]),
        account: "111122223333".to_owned(),
        role: "arn:aws:iam::111122223333:role/twotap/op-admin".to_owned(),
        access: "admin".to_owned(),
        also: Vec::new(),
        secrets: Vec::new(),
        purpose: Purpose::Open,
        policy_sha256: Digest([1; 32]),
        regions: vec!["eu-central-1".to_owned(), "eu-west-1".to_owned()],
        not_before: asked,
        approve_before: asked.plus(1800),
        not_after: asked.plus(14_400),
        clock: Clock::Aws,
        incident: "INC-42".to_owned(),
        reason: "database is down: läuft nicht".to_owned(),
        commander_claimed: Some("ivan".to_owned()),
        scenario: None,
        subject: None,
        confirmed: Vec::new(),
        follows: None,
        checks: Vec::new(),
        roster_sha256: Digest([3; 32]),
        manifest_sha256: Digest([4; 32]),
        audit: Head {
            seq: 41,
            hash: Digest([5; 32]),
        },
        worker_key: "age1example".to_owned(),
        nonce: Bytes(vec![6; 16]),
        operator_nonce: Bytes(vec![7; 16]),
    }
}

/// A request as the agent answers it, unsigned and waiting.
pub(super) fn view(request: &Request, policy: String) -> RequestView {
    let offer = Envelope::new(request).expect("a good request");
    RequestView {
        next_roster: None,
        id: request.id.clone(),
        stage: Stage::Requested,
        standing: Standing::Waiting,
        manifest: offer.clone(),
        offer,
        roster_chain: Vec::new(),
        policy,
        approved_by: Vec::new(),
        denied_by: Vec::new(),
        commander: None,
        people: Vec::new(),
        threshold: 2,
        progress: Vec::new(),
        outcome: None,
        secrets: Vec::new(),
        targets: Vec::new(),
        identity_until: None,
        setback: None,
        delivered: None,
        recordings: Vec::new(),
        review: None,
        evidence: Vec::new(),
        epochs: Vec::new(),
    }
}
