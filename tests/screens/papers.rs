//! A busy afternoon: one request waits, one session is open, one is being closed, one has ended, and something is degraded.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use twotap::{
    protocol::{
        live::{Delivered, SinkView},
        readiness::Readiness,
        review::ReviewOpen,
        socket::{
            Progress, RequestView, Setback, Stage, Status, TargetState, TargetView, VaultStatus,
        },
    },
    trust::{
        Bytes, Digest, Envelope, Head, Timestamp,
        request::{CheckResult, Request},
    },
};

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/twotap/op-admin";

/// Everything at once. Times are from now, and in the middle of what they are shown as.
pub(crate) fn busy() -> Status {
    let now = Timestamp::now();
    let ago = |minutes: i64| now.plus(-minutes * 60 - 30);
    Status {
        version: "1.2.3".to_owned(),
        you: of(json!({ "name": "dana", "roles": ["operator"] })),
        head: Head {
            seq: 1234,
            hash: Digest([5; 32]),
        },
        vaults: vec![vault()],
        requests: vec![
            waiting(now.plus(-90)),
            open(ago(41)),
            closing(ago(20), now),
            ended(ago(300)),
        ],
        degraded: vec![
            "sink siem lacks events since 2026-01-06T10:00:00Z: \u{1b}[2Jconnection refused"
                .to_owned(),
            "vault prod: readiness: bob has not shown for 97 days that the own share opens"
                .to_owned(),
        ],
        sinks: vec![
            SinkView {
                name: "folder".to_owned(),
                acknowledged: 1234,
                ..SinkView::default()
            },
            SinkView {
                name: "siem".to_owned(),
                acknowledged: 1222,
                lag: 12,
                failing_seconds: Some(390),
                why: Some("connection refused".to_owned()),
                ..SinkView::default()
            },
        ],
        reviews: vec![ReviewOpen {
            request: "r-ddddddddddddd".to_owned(),
            vault: "prod".to_owned(),
            incident: "INC-39".to_owned(),
            operator: "dana".to_owned(),
            closed: ago(180),
            due: now.plus(47 * 3600 + 1830),
            overdue: false,
        }],
    }
}

/// The same with nothing going on and nothing to see to.
pub(crate) fn quiet() -> Status {
    let mut status = busy();
    status.requests.clear();
    status.degraded.clear();
    status.reviews.clear();
    status.sinks.truncate(1);
    status.vaults[0].readiness.degraded.clear();
    status
}

fn request(id: &str, asked: Timestamp) -> Request {
    of(json!({
        "v": 1,
        "id": id,
        "vault": "prod",
        "generation": 7,
        "operator": "dana",
        "host": Digest([2; 32]),
        "account": ACCOUNT,
        "role": ROLE,
        "access": "op-admin",
        "policy_sha256": Digest([1; 32]),
        "regions": ["eu-central-1"],
        "not_before": asked,
        "approve_before": asked.plus(1800),
        "not_after": asked.plus(14_400),
        "clock": "aws",
        "incident": "INC-42",
        "reason": "the orders database does not answer, and the usual way in is down as well",
        "commander_claimed": "ivan",
        "scenario": "outage",
        "roster_sha256": Digest([3; 32]),
        "manifest_sha256": Digest([4; 32]),
        "audit": { "seq": 41, "hash": Digest([5; 32]) },
        "worker_key": "age1example",
        "nonce": Bytes(vec![6; 16]),
        "operator_nonce": Bytes(vec![7; 16]),
    }))
}

fn view(request: &Request, stage: Stage, approved_by: &[&str]) -> RequestView {
    let offer = Envelope::new(request).expect("a good request");
    of(json!({
        "id": request.id,
        "stage": stage,
        "standing": "waiting",
        "manifest": offer,
        "offer": offer,
        "roster_chain": [],
        "policy": "{}",
        "approved_by": approved_by,
        "denied_by": [],
        "commander": { "name": "ivan" },
        "threshold": 2,
        "progress": [],
    }))
}

/// A paper from its wire form: fields that it need not have are as they are where it has none.
fn of<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("a paper")
}

fn waiting(asked: Timestamp) -> RequestView {
    let mut request = request("r-aaaaaaaaaaaaa", asked);
    request.checks = vec![CheckResult {
        name: "ticket".to_owned(),
        required: false,
        passed: false,
        output: "INC-42 is not known yet".to_owned(),
    }];
    view(&request, Stage::Requested, &["alice"])
}

fn open(asked: Timestamp) -> RequestView {
    let request = request("r-bbbbbbbbbbbbb", asked);
    let mut view = view(&request, Stage::Open, &["alice", "bob"]);
    view.delivered = Some(Delivered {
        times: 12,
        last_at: Timestamp::now().plus(-6 * 60 - 30),
        who: format!("uid:61010@{}", Digest([2; 32])),
    });
    view
}

fn closing(asked: Timestamp, now: Timestamp) -> RequestView {
    let request = request("r-ccccccccccccc", asked);
    let mut view = view(&request, Stage::Closing, &["bob", "carol"]);
    let step = |minutes: i64, step: &str, text: &str| Progress {
        at: now.plus(-minutes * 60 - 30),
        step: step.to_owned(),
        text: text.to_owned(),
    };
    view.progress = vec![
        step(18, "minted", "a session was opened"),
        step(12, "closing", "closing, by the operator (dana)"),
        step(11, "revoke_intent", "revocation is asked for"),
        step(10, "revoked", "the inline policy stands"),
    ];
    view.targets = vec![TargetView {
        account: ACCOUNT.to_owned(),
        role: ROLE.to_owned(),
        state: TargetState::Applied,
        since: now.plus(-630),
        refused: Vec::new(),
        setback: Some(Setback {
            why: "eu-west-1 does not answer".to_owned(),
            tries: 3,
            next_attempt: None,
        }),
    }];
    view
}

fn ended(asked: Timestamp) -> RequestView {
    let request = request("r-ddddddddddddd", asked);
    let mut view = view(&request, Stage::Closed, &["alice", "carol"]);
    view.outcome = Some("closed; refused in 2 Regions".to_owned());
    view
}

fn vault() -> VaultStatus {
    of(json!({
        "vault": "prod",
        "roster_version": 3,
        "threshold": 2,
        "custodians": ["alice", "bob", "carol"],
        "generation": 7,
        "sealed_at": Timestamp(1_767_693_600),
        "rotation": "done",
        "watch": "quiet",
        "isolation": "account",
        "copies": [{ "place": "nas", "required": true, "generation": 7 }],
        "readiness": Readiness {
            hosts: 2,
            degraded: vec!["bob has not shown for 97 days that the own share opens".to_owned()],
            ..Readiness::default()
        },
    }))
}
