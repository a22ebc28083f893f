//! AWS's limits on what a session is asked for with: seen when it is asked for, and where only AWS can tell, said plainly.

use serde_json::json;
use twotap::{
    protocol::Code,
    trust::{power::render::SESSION_POLICY_MAX, roster::Roster},
};
use twotap_rig::{
    World,
    proxy::{Fault, Rule, When},
    world,
};

use crate::{
    about, approved, offered, policy, refused,
    support::{Bench, SoftCustodian, ask, names},
};

/// A template with so much padding that a subject of 64 characters is the last that fits.
fn full(_: &World, roster: &mut Roster) {
    let access = &mut roster.access[0];
    access.name = "pii-access".to_owned();
    access.subject = Some("x+".to_owned());
    let of = |padding: usize| {
        policy(
            &json!("s3:GetObject"),
            &format!("arn:aws:s3:::{}${{subject}}", "p".repeat(padding)),
        )
    };
    let size = |padding| {
        let vars = twotap::aws::PolicyVars {
            subject: "x".repeat(64),
            incident: "INC-42".to_owned(),
            operator: "dana".to_owned(),
            request: "r-aaaaaaaaaaaaa".to_owned(),
        };
        let at = time::OffsetDateTime::UNIX_EPOCH;
        twotap::aws::policy::session_policy(&of(padding).0, &vars, at, "ec2:DescribeRegions")
            .expect("it fits")
            .len()
    };
    access.policy = of(SESSION_POLICY_MAX - size(0));
}

#[test]
fn a_policy_over_2048_characters_is_refused_when_it_is_asked_for() {
    let bench = Bench::shaped(World::new().expect("an account"), full);
    let (worker, made) = offered(&bench, about(&"x".repeat(64)));
    assert_eq!(made.policy.chars().count(), SESSION_POLICY_MAX);
    worker.hang_up();
    bench.world.proxy().clear_calls();
    let problem = refused(&bench, "dana", about(&"x".repeat(65)));
    assert_eq!(problem.code, Code::Usage);
    assert_eq!(
        problem.error,
        "the session policy has 2049 characters; aws takes 2048"
    );
    assert!(problem.hint.expect("a hint").contains("template"));
    assert!(bench.world.proxy().calls_of("sts:AssumeRole").is_empty());
}

#[test]
fn a_policy_that_packs_too_large_opens_nothing_and_says_so_and_the_key_is_replaced_all_the_same() {
    let bench = Bench::sealed();
    let role = bench.world.role_arn(world::OPERATOR_ROLE);
    let packed = Fault::Refuse(
        400,
        "PackedPolicyTooLarge".to_owned(),
        "Packed policy consumes 104% of allotted space, please use smaller policy.".to_owned(),
    );
    let before = bench.world.list_keys(world::USER).expect("a list");
    let rule = Rule::new("sts:AssumeRole", When::Always, packed)
        .with("RoleArn", &role)
        // Not the proof that the new key works, which asks for next to nothing.
        .with("RoleSessionName", "dana");
    bench.world.proxy().add(rule);
    let (session, end) = approved(&bench, ask());
    assert!(session.is_none());
    let said = match &end {
        Ok(entries) => format!("{entries:?}"),
        Err(problem) => format!("{problem:?}"),
    };
    assert!(
        said.contains("PackedPolicyTooLarge") || said.contains("104%"),
        "{said}"
    );
    if let Ok(entries) = &end {
        assert!(names(entries).contains(&"rotated".to_owned()), "{said}");
    }
    let after = bench.world.list_keys(world::USER).expect("a list");
    assert_ne!(before, after, "what was opened is used up: {said}");
    assert_eq!(after.len(), 1);
}

#[test]
fn names_that_sts_does_not_take_are_refused_when_asked() {
    let custodians = [("alice", 1), ("bob", 2)].map(|(n, s)| SoftCustodian::new(n, s));
    let bench = Bench::of(custodians.into(), &["d", "dana"]);
    bench.seal().expect("sealed");
    // STS wants two characters of a session's name.
    let problem = refused(&bench, "d", ask());
    assert_eq!(problem.code, Code::Usage);
    assert!(problem.error.contains("session name"), "{problem:?}");
    let mut odd = ask();
    odd.incident = "INC#42".to_owned();
    let problem = refused(&bench, "dana", odd);
    assert_eq!(problem.error, "the incident cannot stand in a policy");
    assert!(problem.hint.is_some());
}
