//! Several accounts and roles in one session, room for revocations, and closing after a reboot: a worker over its own wire.

#[path = "aws_faults/ceremony.rs"]
#[allow(dead_code)]
mod ceremony;
#[path = "support/mod.rs"]
mod support;

#[path = "accounts/close_only.rs"]
mod close_only;
#[path = "accounts/closing.rs"]
mod closing;
#[path = "accounts/room.rs"]
mod room;
#[path = "accounts/several.rs"]
mod several;
#[path = "accounts/time_box.rs"]
mod time_box;

use support::Bench;
use twotap::{
    protocol::job::{Session, TargetSession},
    trust::roster::{Roster, Target},
};
use twotap_rig::{Credentials, World, proxy::Rule, world};

/// Three roles in two accounts: two beside each other, and one elsewhere with a steward of its own.
pub(crate) fn three_roles() -> Bench {
    Bench::shaped(World::with_further().expect("two accounts"), with_three)
}

fn with_three(world: &World, roster: &mut Roster) {
    let further = world.further().expect("two accounts");
    roster.access[0].also = vec![
        Target {
            account: world.account().to_owned(),
            role_arn: world.role_arn(world::DATABASE_ROLE),
            steward_role_arn: world.role_arn(world::STEWARD_ROLE),
        },
        Target {
            account: further.to_owned(),
            role_arn: world.role_arn_in(further, world::OPERATOR_ROLE),
            steward_role_arn: world.role_arn_in(further, world::STEWARD_ROLE),
        },
    ];
}

/// The three roles' ARNs, in order.
pub(crate) fn roles(bench: &Bench) -> [String; 3] {
    let world = &bench.world;
    let further = world.further().expect("two accounts");
    [
        world.role_arn(world::OPERATOR_ROLE),
        world.role_arn(world::DATABASE_ROLE),
        world.role_arn_in(further, world::OPERATOR_ROLE),
    ]
}

/// The steward of the other account.
pub(crate) fn other_steward(bench: &Bench) -> String {
    let further = bench.world.further().expect("two accounts");
    bench.world.role_arn_in(further, world::STEWARD_ROLE)
}

pub(crate) fn of_target(target: &TargetSession) -> Credentials {
    Credentials {
        access_key_id: target.access_key_id.clone(),
        secret_access_key: target.secret_access_key.to_string(),
        session_token: Some(target.session_token.to_string()),
    }
}

/// Whether a role's session does the work that it was asked for.
pub(crate) fn works(bench: &Bench, target: &TargetSession) -> bool {
    let probe = bench.world.session_probe(&of_target(target));
    probe.expect("an answer").is_ok()
}

pub(crate) fn roles_of(session: &Session) -> Vec<&str> {
    session.targets.iter().map(|t| t.role.as_str()).collect()
}

/// The key of a kept session: it stands in the worker's own folder alone.
pub(crate) fn kept_key(bench: &Bench, request: &str, whose: &str, role: &str) -> String {
    let kept = std::fs::read(bench.path("runtime").join(format!("{request}.json")));
    let kept: serde_json::Value = serde_json::from_slice(&kept.expect("kept")).expect("JSON");
    let sessions = kept["sessions"].as_array().expect("a list");
    let it = sessions
        .iter()
        .find(|s| s["whose"] == whose && s["role"] == role);
    it.expect("kept")["access_key_id"]
        .as_str()
        .expect("a key")
        .to_owned()
}

/// What a reboot does to what is kept in memory.
pub(crate) fn reboot(bench: &Bench) {
    for file in std::fs::read_dir(bench.path("runtime")).expect("a folder") {
        std::fs::remove_file(file.expect("an entry").path()).expect("removed");
    }
}

/// A rule about taking one role.
pub(crate) fn taking(
    role: &str,
    when: twotap_rig::proxy::When,
    fault: twotap_rig::proxy::Fault,
) -> Rule {
    Rule::new("sts:AssumeRole", when, fault).with("RoleArn", role)
}
