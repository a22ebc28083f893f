//! Every call to a place goes wrong once in every way: the ceremony comes through, and one key is left.

use twotap_rig::{
    Fault, Rule, When,
    world::{self, BUNDLE_ROLE},
};

use crate::{pair::Pair, support::names};

#[test]
fn any_call_to_the_place_may_go_wrong_once_in_every_way() {
    let pair = Pair::claiming();
    pair.seal(0).expect("sealed");
    let proxy = pair.world.proxy();
    let role = pair.world.role_arn(BUNDLE_ROLE);
    let read: &[(&str, Fault)] = &[
        ("lost", Fault::LoseReply),
        ("never there", Fault::Unreachable),
    ];
    let act: &[(&str, Fault)] = &[
        ("lost", Fault::LoseReply),
        ("failed after", Fault::failed_after()),
        ("throttled", Fault::throttled()),
    ];
    let calls = [
        ("sts:AssumeRole", 1, act),
        // The look at the request, the look before the claim, the claim read back, the generation read back.
        ("secretsmanager:GetSecretValue", 1, read),
        ("secretsmanager:GetSecretValue", 2, read),
        ("secretsmanager:GetSecretValue", 3, read),
        ("secretsmanager:GetSecretValue", 4, read),
        // The claim, the generation.
        ("secretsmanager:PutSecretValue", 1, act),
        ("secretsmanager:PutSecretValue", 2, act),
        ("secretsmanager:UpdateSecretVersionStage", 1, act),
        ("secretsmanager:UpdateSecretVersionStage", 2, act),
    ];
    let mut generation = 2;
    for (action, nth, faults) in calls {
        for (name, fault) in faults {
            let rule = Rule::new(action, When::Nth(nth), fault.clone());
            proxy.add(if action == "sts:AssumeRole" {
                rule.with("RoleArn", &role)
            } else {
                rule
            });
            let (opened, session, end) = pair.open(0);
            let case = format!("{action} {nth} {name}");
            assert_eq!(opened, generation, "{case}");
            assert!(session.is_some(), "{case}");
            let entries = end.unwrap_or_else(|why| panic!("{case}: {why}"));
            let entries = names(&entries);
            assert_eq!(
                entries.iter().filter(|n| *n == "claim_taken").count(),
                1,
                "{case}: {entries:?}"
            );
            assert_eq!(proxy.idle_rules(), [""; 0], "{case}");
            proxy.clear_rules();
            let keys = pair.world.list_keys(world::USER).expect("a list");
            assert_eq!(keys.len(), 1, "{case}");
            generation += 1;
        }
    }
    // What came of it all opens at the other host.
    let (opened, session, end) = pair.open(1);
    assert_eq!(opened, generation);
    assert!(session.is_some());
    end.expect("a whole ceremony");
    assert_eq!(proxy.broken(), [""; 0]);
}
