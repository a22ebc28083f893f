//! What people do: sealing, a ceremony, closing; each goes as far as it gets.

use std::time::{Duration, Instant};

use serde::Deserialize;
use twotap::{
    protocol::{
        Code,
        job::{Approval, Isolation, OfferMade, ShareFile},
        socket::{
            ApprovalBundle, Close, Credentials, SealBegin, SealBegun, SealFinish, SealFinished,
            Stage,
        },
    },
    trust::Bytes,
    vault::seal_to,
};
use twotap_rig::{people, world};

use crate::{
    host::{Host, Trouble},
    support::{ask, nonce},
    wait::BOUND,
};

/// What of a request is looked at: the whole is large, and this is asked often.
#[derive(Debug, Deserialize)]
pub(crate) struct View {
    pub(crate) id: String,
    pub(crate) stage: Stage,
    pub(crate) outcome: Option<String>,
    progress: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    step: String,
}

/// What of the agent's own account of how things are.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) vaults: Vec<Vault>,
    pub(crate) requests: Vec<View>,
}

/// A vault in it.
#[derive(Debug, Deserialize)]
pub(crate) struct Vault {
    pub(crate) rotation: String,
}

/// For how long nobody works where nobody will: longer than the agent's first pause.
const IDLE: Duration = Duration::from_millis(2500);

/// What somebody came to know on the way.
type Went<T> = Result<T, Trouble>;

/// An officer brings this key, as `aws iam create-access-key` printed it.
pub(crate) fn seal(host: &Host, key_json: &str) -> Went<SealFinished> {
    let begin = SealBegin {
        nonce: nonce(),
        next: None,
    };
    let begun: SealBegun = host.call(people::SOFIA, "POST", "/v1/vaults/prod/seal", &begin)?;
    let offer = begun
        .offer
        .unverified::<twotap::trust::request::SealOffer>()
        .expect("an offer");
    let sealed = seal_to(&offer.worker_key, key_json.as_bytes()).expect("a recipient");
    let finish = SealFinish {
        sealed: Bytes(sealed),
    };
    host.call(
        people::SOFIA,
        "POST",
        &format!("/v1/seals/{}", begun.id),
        &finish,
    )
}

/// Dana asks, alice and bob approve, and the key is replaced; the request as it stands then.
pub(crate) fn ceremony(host: &Host) -> Went<View> {
    let view: View = host.call(people::DANA, "POST", "/v1/requests", &ask())?;
    for (name, uid) in [("alice", people::ALICE), ("bob", people::BOB)] {
        let path = format!("/v1/requests/{}", view.id);
        let bundle: ApprovalBundle = host.get(uid, &format!("{path}/bundle"))?;
        let approval = approve(host, name, bundle);
        hand_in(host, uid, &format!("{path}/approvals"), &approval)?;
    }
    let view = wait_for(host, &view.id, |view| match view.stage {
        Stage::Requested | Stage::Approved => false,
        Stage::Open => replaced(view),
        _ => true,
    })?;
    if view.stage == Stage::Open {
        let path = format!("/v1/requests/{}/credentials", view.id);
        let given: Credentials = host.get(people::DANA, &path)?;
        let session = twotap_rig::Credentials {
            access_key_id: given.access_key_id.clone(),
            secret_access_key: given.secret_access_key.to_string(),
            session_token: Some(given.session_token.to_string()),
        };
        let probe = host.world.session_probe(&session).expect("an answer");
        assert!(probe.is_ok(), "the session was delivered and does not work");
    }
    Ok(view)
}

/// Whoever is told that the state cannot be written, and so that nothing has happened, tries again.
fn hand_in(host: &Host, uid: u32, path: &str, approval: &Approval) -> Went<()> {
    let begun = Instant::now();
    loop {
        match host.call::<View>(uid, "POST", path, approval) {
            Err(Trouble::Refused(why))
                if why.code == Code::Internal
                    && why.error.contains("state database")
                    && begun.elapsed() < BOUND =>
            {
                std::thread::park_timeout(Duration::from_millis(100));
            }
            went => return went.map(drop),
        }
    }
}

/// Whether the rotation has said its last word.
pub(crate) fn replaced(view: &View) -> bool {
    let last = ["rotated", "rotation_pending"];
    view.progress.iter().any(|p| last.contains(&&*p.step))
}

fn approve(host: &Host, name: &str, bundle: ApprovalBundle) -> Approval {
    let made = OfferMade {
        offer: bundle.offer,
        manifest: bundle.manifest,
        roster_chain: bundle.roster_chain,
        shares: vec![ShareFile {
            custodian: name.to_owned(),
            age: bundle.share,
        }],
        policy: String::new(),
        next_roster: None,
        isolation: Isolation::None,
    };
    let custodian = host.custodians.iter().find(|c| c.name == name);
    custodian.expect("a custodian").approve(&made)
}

/// Dana closes and waits for the end.
pub(crate) fn close(host: &Host, id: &str) -> Went<View> {
    let path = format!("/v1/requests/{id}/close");
    let _: View = host.call(people::DANA, "POST", &path, &Close { force: false })?;
    wait_for(host, id, |view| view.stage == Stage::Closed)
}

/// Asks until the request is as wanted, or, once somebody was killed, until nobody works on it any more.
fn wait_for(host: &Host, id: &str, there: impl Fn(&View) -> bool) -> Went<View> {
    let begun = Instant::now();
    let mut idle = Instant::now();
    loop {
        let view: View = host.get(people::DANA, &format!("/v1/requests/{id}"))?;
        if !host.workers().is_empty() {
            idle = Instant::now();
        }
        let left_alone = host.strikes() > 0 && idle.elapsed() > IDLE;
        if there(&view) || left_alone || begun.elapsed() > BOUND {
            return Ok(view);
        }
        std::thread::park_timeout(Duration::from_millis(150));
    }
}

/// A fresh key of the break-glass user, made by the account's root as an officer would have it made; as the CLI prints it.
pub(crate) fn new_key(host: &Host) -> String {
    let user = [("UserName", world::USER)];
    let made = host.world.admin().query("iam", "CreateAccessKey", &user);
    let made = made.and_then(|r| r.expect_ok("a key")).expect("a key");
    let key = made.credentials().expect("a key");
    let created = made.text("CreateDate").unwrap_or_default();
    let json = serde_json::json!({"AccessKey": {
        "UserName": world::USER,
        "AccessKeyId": key.access_key_id.clone(),
        "Status": "Active",
        "SecretAccessKey": key.secret_access_key.clone(),
        "CreateDate": created,
    }});
    host.knows(key);
    format!("{json:#}\n")
}
