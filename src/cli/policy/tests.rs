use super::*;
use crate::{
    protocol::Code,
    trust::{
        Envelope,
        tests::people::{self, SoftToken},
    },
};

/// The access profiles that the shipped example is about.
fn profiles() -> Vec<Access> {
    let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
    let admin = people::roster(2, &[&alice, &bob]).access.remove(0);
    let named = |name: &str| Access {
        name: name.to_owned(),
        ..admin.clone()
    };
    vec![named("admin"), named("read-only"), named("pii-access")]
}

fn parsed(text: &str) -> Result<Policy, Problem> {
    parse(Path::new("policy.toml"), text, &profiles())
}

/// The file of the manual, from the head of the module.
fn example() -> String {
    include_str!("../policy.rs")
        .lines()
        .skip_while(|l| *l != "//! ```toml")
        .skip(1)
        .take_while(|l| *l != "//! ```")
        .map(|l| format!("{}\n", l.trim_start_matches("//!").trim_start()))
        .collect()
}

#[test]
fn the_file_of_the_manual_and_the_shipped_one_make_good_rosters() {
    let shipped = include_str!("../../../packaging/policy.toml");
    for text in [example(), shipped.to_owned()] {
        let policy = parsed(&text).expect("good");
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let mut roster = people::roster(2, &[&alice, &bob]);
        roster.access = profiles();
        let both = roster.people.iter_mut().find(|p| p.name == "sofia");
        both.expect("an officer").roles.push(Role::Commander);
        roster.scenarios = policy.scenarios;
        roster.may_coincide = policy.may_coincide;
        let envelope = Envelope::new(&roster).expect("a good roster");
        assert_eq!(
            envelope
                .unverified::<crate::trust::roster::Roster>()
                .expect("good"),
            roster
        );
    }
    let policy = parsed(shipped).expect("good");
    let named: Vec<(&str, u16)> = policy
        .scenarios
        .iter()
        .map(|s| (s.name.as_str(), s.review_hours))
        .collect();
    assert_eq!(
        named,
        [
            ("security-patch", 24),
            ("outage", 48),
            ("system-failure", 48),
            ("pii-access", 48)
        ]
    );
}

#[test]
fn what_is_wrong_is_named() {
    let twice = format!("{}{}", example(), example().replace("may_coincide", "# "));
    for (text, named) in [
        (twice, "scenario 'security-patch', name stands there twice"),
        (
            example().replace("\"security-patch\"", "\"Patch \""),
            "name is not a short name",
        ),
        (
            example().replace("[\"admin\"]", "[\"root\"]"),
            "access names 'root', and the access profiles are admin, read-only, pii-access",
        ),
        (example().replace("[\"admin\"]", "[]"), "access is empty"),
        (
            example().replace("default = \"2h\"", "default = \"5h\""),
            "default is not between 1m and 'max'",
        ),
        (
            example().replace("max = \"4h\"", "max = \"12h\""),
            "max is not between 1m and 11h",
        ),
        (
            example().replace("review_hours = 24", "review_hours = 169"),
            "review_hours is not between 1 and 168",
        ),
        (
            example().replace("ticket = \"SEC-[0-9]+\"", ""),
            "ticket must say how one looks",
        ),
        (
            example().replace("SEC-[0-9]+", "SEC-("),
            "ticket cannot be used: the ticket cannot be read",
        ),
        (
            example().replace("\"subject\"]", "\"approval\"]"),
            "unknown variant `approval`",
        ),
        (
            example().replace("\"merged\"", "\"../merged\""),
            "checks has one without a short name",
        ),
        (
            example().replace("[\"siem\"]", "[\"the siem\"]"),
            "sinks has one without a short name",
        ),
        (
            example().replace("\"operator\", \"commander\"", "\"operator\", \"operator\""),
            "may_coincide has a pair of twice the same role",
        ),
        (
            example().replace("min_reason", "min_reasons"),
            "unknown field `min_reasons`",
        ),
    ] {
        let problem = parsed(&text).expect_err(named);
        assert_eq!(problem.code, Code::Usage);
        assert!(problem.error.contains(named), "{problem}");
    }
}
