//! The flows, call by call, and what has to hold after each.

use twotap::{
    protocol::job::{Entry, FromWorker, Job, ToWorker},
    trust::{Bytes, Head},
    vault::seal_to,
};
use twotap_rig::{Credentials, Fault, Rule, When, world};

use crate::{
    ceremony::{Ended, append, key_of, sealed_key},
    support::{Bench, nonce},
};

/// A call that a flow makes, and the rule that hits it once.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
}

/// A sealed vault whose pauses are a tenth and whose windows are short.
pub(crate) fn fresh() -> Bench {
    let bench = Bench::new();
    let folder = bench.path("rig");
    std::fs::create_dir(&folder).expect("a folder");
    append(
        &bench,
        &format!("\n[rig]\nfolder = {folder:?}\nquicker = 20\n"),
    );
    bench.seal().expect("sealed");
    bench.world.proxy().clear_calls();
    bench
}

fn once(name: &'static str, action: &str) -> Call {
    let nothing = Fault::Delay(std::time::Duration::ZERO);
    let rule = Rule::new(action, When::Nth(1), nothing);
    Call { name, rule }
}

impl Call {
    fn with(mut self, param: &str, value: &str) -> Self {
        self.rule = self.rule.with(param, value);
        self
    }

    fn signed_by(mut self, key: &str) -> Self {
        self.rule = self.rule.signed_by(key);
        self
    }

    fn not_signed_by(mut self, key: &str) -> Self {
        self.rule = self.rule.not_signed_by(key);
        self
    }
}

/// Minting and rotating.
pub(crate) fn of_a_ceremony(bench: &Bench) -> Vec<Call> {
    let old = sealed_key(bench);
    let assume = |name| once(name, "sts:AssumeRole");
    vec![
        assume("the steward's session").with("RoleArn", &bench.world.role_arn(world::STEWARD_ROLE)),
        assume("the operator's session").with("RoleSessionName", "dana"),
        once("listing keys", "iam:ListAccessKeys"),
        once("making a key", "iam:CreateAccessKey"),
        assume("proving the new key").with("RoleSessionName", "twotap-proof"),
        once("disabling the old key", "iam:UpdateAccessKey").with("AccessKeyId", &old),
        once("seeing the old key refused", "sts:GetCallerIdentity").signed_by(&old),
        once("seeing the new key work", "sts:GetCallerIdentity").not_signed_by(&old),
        once("deleting the old key", "iam:DeleteAccessKey").with("AccessKeyId", &old),
    ]
}

/// Sealing a key that an officer brings, where another one is sealed: that one is ended as well.
pub(crate) fn of_a_sealing(bench: &Bench, brought: &Credentials) -> Vec<Call> {
    let (old, id) = (sealed_key(bench), brought.access_key_id.as_str());
    let proof = |name| once(name, "sts:AssumeRole").with("RoleSessionName", "twotap-proof");
    vec![
        once("whose the key is", "sts:GetCallerIdentity").signed_by(id),
        proof("proving the brought key").signed_by(id),
        once("disabling the key before", "iam:UpdateAccessKey").with("AccessKeyId", &old),
        once("seeing the key before unknown", "sts:GetCallerIdentity").signed_by(&old),
        once("deleting the key before", "iam:DeleteAccessKey").with("AccessKeyId", &old),
        once("listing keys", "iam:ListAccessKeys"),
        once("making a key", "iam:CreateAccessKey"),
        proof("proving the new key").not_signed_by(id),
        once("disabling the brought key", "iam:UpdateAccessKey").with("AccessKeyId", id),
        once("deleting the brought key", "iam:DeleteAccessKey").with("AccessKeyId", id),
    ]
}

/// Closing, by these keys.
pub(crate) fn closing(steward: &str, session: &str) -> Vec<Call> {
    vec![
        once("putting the revocation", "iam:PutRolePolicy").signed_by(steward),
        once("a probe", "ec2:DescribeRegions").signed_by(session),
        once("listing revocations", "iam:ListRolePolicies").signed_by(steward),
        once("removing an ended one", "iam:DeleteRolePolicy").signed_by(steward),
    ]
}

/// A key that an administrator made for the user by hand.
pub(crate) fn officer_key(bench: &Bench) -> Credentials {
    let user = [("UserName", world::USER)];
    let made = bench.world.admin().query("iam", "CreateAccessKey", &user);
    made.expect("an answer").credentials().expect("a key")
}

/// Takes such a key away by hand.
pub(crate) fn delete(bench: &Bench, id: &str) {
    let gone = [("UserName", world::USER), ("AccessKeyId", id)];
    let gone = bench.world.admin().query("iam", "DeleteAccessKey", &gone);
    assert!(gone.expect("an answer").is_ok());
}

/// Seals what an officer brings.
pub(crate) fn seal(bench: &Bench, brought: &Credentials) -> Result<Vec<Entry>, String> {
    let mut worker = bench.worker();
    worker.send(&Job::Seal {
        vault: "prod".to_owned(),
        audit: Head::EMPTY,
        nonce: nonce(),
    });
    let offer = match worker.next() {
        Some(FromWorker::SealOffer { offer }) => offer,
        other => panic!("no offer: {other:?}"),
    };
    let key = offer
        .unverified::<twotap::trust::request::SealOffer>()
        .expect("an offer to seal")
        .worker_key;
    let json = serde_json::json!({"AccessKey": {
        "UserName": world::USER,
        "AccessKeyId": brought.access_key_id,
        "Status": "Active",
        "SecretAccessKey": brought.secret_access_key,
        "CreateDate": "2026-01-06T10:00:00+00:00",
    }});
    let sealed = seal_to(&key, json.to_string().as_bytes()).expect("a recipient");
    worker.send(&ToWorker::Credential {
        sealed: Bytes(sealed),
    });
    worker.rest().1
}

/// A ceremony whose worker runs in this environment.
pub(crate) fn ceremony_in(bench: &Bench, environment: &[(&str, &str)]) -> Ended {
    let mut worker = bench.worker_in(environment);
    worker.send(&Job::Ceremony {
        ask: crate::support::ask(),
        operator: "dana".to_owned(),
        audit: Head::EMPTY,
        checks: Vec::new(),
    });
    let made = match worker.next() {
        Some(FromWorker::Offer(made)) => made,
        other => panic!("no offer: {other:?}"),
    };
    let request = made
        .offer
        .unverified::<twotap::trust::request::Offer>()
        .expect("an offer")
        .0
        .id;
    for custodian in [&bench.custodians[0], &bench.custodians[2]] {
        worker.send(&ToWorker::Approval(custodian.approve(&made)));
    }
    let (session, result) = worker.rest();
    Ended {
        request,
        session,
        result,
    }
}

/// One key exists, it is the sealed one and works; none of `before` does.
pub(crate) fn assert_one_sealed(bench: &Bench, before: &[&str], what: &str) {
    let keys = bench.world.list_keys(world::USER).expect("a list");
    let sealed = sealed_key(bench);
    assert_eq!(keys.len(), 1, "{what}: {keys:?}");
    assert!(keys[0].active && keys[0].id == sealed, "{what}: {keys:?}");
    assert!(!before.contains(&sealed.as_str()), "{what}: not replaced");
    let works = bench.world.key_works(&key_of(&bench.world, &sealed));
    assert!(works.expect("an answer"), "{what}");
    assert_eq!(bench.world.proxy().broken(), [""; 0], "{what}");
}

/// The steward's key of an open session: it stands in the worker's own folder alone.
pub(crate) fn steward_key(bench: &Bench, request: &str) -> String {
    let kept = std::fs::read(bench.path("runtime").join(format!("{request}.json")));
    let kept: serde_json::Value = serde_json::from_slice(&kept.expect("kept")).expect("JSON");
    let sessions = kept["sessions"].as_array().expect("a list");
    let steward = sessions.iter().find(|s| s["whose"] == "steward");
    let key = steward.expect("a steward")["access_key_id"].as_str();
    key.expect("a key").to_owned()
}

/// What IAM lists now, as a list would say that lags later.
pub(crate) fn list_now(bench: &Bench) -> Fault {
    let user = [("UserName", world::USER)];
    let reply = bench.world.admin().query("iam", "ListAccessKeys", &user);
    Fault::Answer(200, reply.expect("a list").body)
}

const ENDED: &str = "twotap-revoke-r-aaaaaaaaaaaaa-1700000000";
const DENIAL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*",
  "Condition":{"StringEquals":{"aws:PrincipalTag/twotap":"r-aaaaaaaaaaaaa"}}}]}"#;

/// A revocation whose session has ended, for the closing to remove.
pub(crate) fn leave_an_ended_revocation(bench: &Bench) {
    let put = [
        ("RoleName", world::OPERATOR_ROLE),
        ("PolicyName", ENDED),
        ("PolicyDocument", DENIAL),
    ];
    let put = bench.world.admin().query("iam", "PutRolePolicy", &put);
    assert!(put.expect("an answer").is_ok());
}

/// It was removed.
pub(crate) fn assert_pruned(bench: &Bench, what: &str) {
    let left = bench.world.role_policies(world::OPERATOR_ROLE);
    let left = left.expect("a list");
    assert!(!left.contains_key(ENDED), "{what}: {left:?}");
}
