//! An operator's desk: `twotap`, a stand-in for the agent, and a sealed vault whose custodians are in software.

use serde_json::Value;
use twotap::{
    protocol::socket::Stage,
    trust::{
        Envelope, PublicKey,
        request::{Offer, Request},
        roster::{Access, AwsBinding, Host, Role, Roster},
        strict::Json,
    },
};

use twotap_rig::papers::PRINTED;

use crate::{
    bench::{Bench, DANA, Run},
    paper::with_scenarios,
    support::{SoftCustodian, account, first, person},
};

/// A vault with scenarios, as dana finds it.
pub(crate) struct Desk {
    pub(crate) bench: Bench,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::of(with_scenarios)
    }

    /// With a roster that the case shapes; its access profile is `admin`.
    pub(crate) fn of(shape: fn(&mut Roster)) -> Self {
        let bench = Bench::bare();
        let custodians = [("alice", 1), ("bob", 2)].map(|(n, s)| SoftCustodian::new(n, s));
        let host: Value = serde_json::from_str(&bench.agent.host_pub()).expect("json");
        let key = |name: &str| -> PublicKey {
            serde_json::from_value(host[name].clone()).expect("a public key")
        };
        let id = key("key").id();
        let mut people = vec![person("dana", Role::Operator, account(id, DANA))];
        // Sealing takes an officer.
        people[0].roles.push(Role::Officer);
        people.extend(
            custodians
                .iter()
                .map(|c| person(&c.name, Role::Custodian, Vec::new())),
        );
        let host = Host {
            name: "host-1".to_owned(),
            key: key("key"),
            checkpoint_key: key("checkpoint_key"),
        };
        let aws = AwsBinding {
            user_arn: "arn:aws:iam::111122223333:user/twotap/break-glass".to_owned(),
            steward_role_arn: "arn:aws:iam::111122223333:role/twotap/steward".to_owned(),
            external_id: "prod-7f3a".to_owned(),
        };
        let mut roster = Roster {
            people,
            ..first(&custodians, vec![host], aws, admin())
        };
        shape(&mut roster);
        let mut signed = Envelope::new(&roster).expect("a good roster");
        for custodian in &custodians {
            signed.sign(custodian);
        }
        bench.agent.world().chain = vec![signed];
        bench
            .twotap(DANA, &["vault", "seal", "prod", "--from", "-"])
            .input(PRINTED)
            .json();
        Self { bench }
    }

    /// `twotap request prod ARGS` by dana, without a terminal.
    pub(crate) fn request(&self, args: &[&str]) -> Run<'_> {
        let all = [&["request", "prod"], args].concat();
        self.bench.twotap(DANA, &all)
    }

    /// What the agent was asked for; nothing where nothing was.
    pub(crate) fn asked(&self) -> Option<Request> {
        let world = self.bench.agent.world();
        let view = world.view.as_ref()?;
        let Offer(request) = view.offer.unverified::<Offer>().expect("an offer");
        Some(request)
    }

    /// Lets the request go on to this stage, with the approvals of these people.
    pub(crate) fn goes_on(&self, stage: Stage, approved_by: &[&str]) {
        let mut world = self.bench.agent.world();
        let view = world.view.as_mut().expect("a request");
        view.stage = stage;
        view.approved_by = approved_by.iter().map(|n| (*n).to_owned()).collect();
    }
}

fn admin() -> Access {
    serde_json::from_value(serde_json::json!({
        "name": "admin",
        "account": "111122223333",
        "role_arn": "arn:aws:iam::111122223333:role/twotap/op-admin",
        "policy": Json(serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": "*"}
        ]})),
        "regions": ["eu-central-1"],
        "probe": "ec2:DescribeRegions",
        "default_seconds": 4 * 3600,
        "max_seconds": 11 * 3600,
    }))
    .expect("an access profile")
}
