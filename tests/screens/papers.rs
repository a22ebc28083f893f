//! A busy afternoon: one request waits, one session is open, one is being closed, one has ended, and something is degraded.

use twotap::{
    protocol::{
        job::{Isolation, Standing},
        live::{Delivered, SinkView},
        people::Commander,
        readiness::Readiness,
        review::ReviewOpen,
        socket::{
            CopyStatus, Person, Progress, RequestView, Setback, Stage, Status, TargetState,
            TargetView, VaultStatus,
        },
    },
    trust::{
        Bytes, Digest, Envelope, Head, Timestamp,
        request::{CheckResult, Clock, Purpose, Request},
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
        you: Person {
            name: "dana".to_owned(),
            roles: vec!["operator".to_owned()],
        },
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
            "sink siem has failed for 3 min and lacks 12 events: \u{1b}[2Jconnection refused"
                .to_owned(),
            "vault prod: readiness: bob has not shown for 97 days that the own share opens"
                .to_owned(),
        ],
        sinks: vec![
            SinkView {
                name: "folder".to_owned(),
                acknowledged: 1234,
                lag: 0,
                failing_seconds: None,
                why: None,
            },
            SinkView {
                name: "siem".to_owned(),
                acknowledged: 1222,
                lag: 12,
                failing_seconds: Some(390),
                why: Some("connection refused".to_owned()),
            },
        ],
        reviews: vec![ReviewOpen {
            request: "r-ddddddddddddd".to_owned(),
            vault: "prod".to_owned(),
            incident: "INC-39".to_owned(),
            operator: "dana".to_owned(),
            closed: ago(180),
            due: now.plus(47 * 3600 + 1800),
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
    Request {
        v: 1,
        id: id.to_owned(),
        vault: "prod".to_owned(),
        generation: 7,
        operator: "dana".to_owned(),
        host: Digest([2; 32]),
        account: ACCOUNT.to_owned(),
        role: ROLE.to_owned(),
        access: "op-admin".to_owned(),
        also: Vec::new(),
        secrets: Vec::new(),
        purpose: Purpose::Open,
        policy_sha256: Digest([1; 32]),
        regions: vec!["eu-central-1".to_owned()],
        not_before: asked,
        approve_before: asked.plus(1800),
        not_after: asked.plus(14_400),
        clock: Clock::Aws,
        incident: "INC-42".to_owned(),
        reason: "the orders database does not answer, and the usual way in is down as well"
            .to_owned(),
        commander_claimed: Some("ivan".to_owned()),
        scenario: Some("outage".to_owned()),
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

fn view(request: &Request, stage: Stage, approved_by: &[&str]) -> RequestView {
    let offer = Envelope::new(request).expect("a good request");
    RequestView {
        id: request.id.clone(),
        stage,
        standing: Standing::Waiting,
        manifest: offer.clone(),
        offer,
        roster_chain: Vec::new(),
        policy: "{}".to_owned(),
        next_roster: None,
        approved_by: approved_by.iter().map(|name| (*name).to_owned()).collect(),
        denied_by: Vec::new(),
        commander: Some(Commander {
            name: "ivan".to_owned(),
            confirmed_at: None,
            who: None,
            statement: None,
        }),
        people: Vec::new(),
        threshold: 2,
        progress: Vec::new(),
        outcome: None,
        targets: Vec::new(),
        identity_until: None,
        setback: None,
        secrets: Vec::new(),
        delivered: None,
        recordings: Vec::new(),
        review: None,
    }
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
    VaultStatus {
        vault: "prod".to_owned(),
        roster_version: 3,
        threshold: 2,
        groups: Vec::new(),
        custodians: ["alice", "bob", "carol"].map(str::to_owned).to_vec(),
        tokens: Vec::new(),
        generation: Some(7),
        sealed_at: Some(Timestamp(1_767_693_600)),
        rotation: "done".to_owned(),
        watch: "quiet".to_owned(),
        isolation: Isolation::Account,
        copies: vec![CopyStatus {
            place: "nas".to_owned(),
            required: true,
            generation: Some(7),
            lags_since: None,
            why: None,
        }],
        recovery: None,
        readiness: Readiness {
            hosts: 2,
            degraded: vec!["bob has not shown for 97 days that the own share opens".to_owned()],
            ..Readiness::default()
        },
    }
}
