//! The first roster of a bench's vault, and its parts.

use rand_core::OsRng;
use twotap::trust::{
    KeyId, PublicKey, Timestamp,
    roster::{Access, Account, AwsBinding, Host, Person, Role, Roster},
    strict::Json,
};
use twotap_rig::{World, world};

use super::{Bench, SoftCustodian};

impl Bench {
    /// The roster of its vault: two of the custodians must approve.
    pub(crate) fn roster(&self, host: PublicKey) -> Roster {
        let checkpoint = ed25519_dalek::SigningKey::generate(&mut OsRng).verifying_key();
        let host_id = host.id();
        let mut people: Vec<Person> = Vec::new();
        for custodian in &self.custodians {
            if people.iter().all(|p| p.name != custodian.name) {
                people.push(person(&custodian.name, Role::Custodian, vec![]));
            }
        }
        for (operator, uid) in self.operators.iter().zip(61010..) {
            match people.iter_mut().find(|p| p.name == *operator) {
                Some(both) => both.roles.push(Role::Operator),
                None => people.push(person(operator, Role::Operator, account(host_id, uid))),
            }
        }
        let host = Host {
            name: "host-1".to_owned(),
            key: host,
            checkpoint_key: PublicKey::Ed25519(checkpoint),
        };
        let access = Access {
            secrets: self.secrets.clone(),
            ..admin(&self.world)
        };
        Roster {
            people,
            ..first(&self.custodians, vec![host], binding(&self.world), access)
        }
    }
}

/// The first roster of a vault `prod` with these tokens, of which two must approve; nobody is in it yet.
pub(crate) fn first(
    custodians: &[SoftCustodian],
    hosts: Vec<Host>,
    aws: AwsBinding,
    access: Access,
) -> Roster {
    Roster {
        v: 1,
        vault: "prod".to_owned(),
        version: 1,
        previous: None,
        by: None,
        created_at: Timestamp::now(),
        threshold: 2,
        groups: Vec::new(),
        scenarios: Vec::new(),
        may_coincide: Vec::new(),
        people: Vec::new(),
        tokens: custodians.iter().map(SoftCustodian::token).collect(),
        hosts,
        aws,
        access: vec![access],
        recovery: None,
        places: Vec::new(),
        attestation_roots: Vec::new(),
        accept_risk: Vec::new(),
        // Keys in software: nobody attests them.
        accept_unattested: custodians.iter().map(|c| c.serial).collect(),
    }
}

pub(crate) fn person(name: &str, role: Role, accounts: Vec<Account>) -> Person {
    Person {
        name: name.to_owned(),
        roles: vec![role],
        accounts,
        recipient: None,
        member_of: Vec::new(),
    }
}

pub(crate) fn account(host: KeyId, uid: u32) -> Vec<Account> {
    vec![Account { host, uid }]
}

/// Where this account's credential and steward are.
pub(crate) fn binding(world: &World) -> AwsBinding {
    AwsBinding {
        user_arn: world.user_arn(),
        steward_role_arn: world.role_arn(world::STEWARD_ROLE),
        external_id: world::EXTERNAL_ID.to_owned(),
    }
}

/// The profile `admin` of this account, which may list buckets.
pub(crate) fn admin(world: &World) -> Access {
    Access {
        name: "admin".to_owned(),
        account: world.account().to_owned(),
        role_arn: world.role_arn(world::OPERATOR_ROLE),
        policy: Json(serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": "*"}],
        })),
        regions: vec![world.region().to_owned()],
        probe: "ec2:DescribeRegions".to_owned(),
        default_seconds: 4 * 3600,
        max_seconds: 11 * 3600,
        also: Vec::new(),
        secrets: Vec::new(),
        broad: false,
        persistence: false,
        subject: None,
        recording: Default::default(),
    }
}
