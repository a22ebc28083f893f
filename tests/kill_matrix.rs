//! The kill matrix: the worker, the agent or both are killed at every point of sealing, of a ceremony and of its closing; the agent is started
//! again, people do what they are asked for, and all is well in the end.
//!
//! The programs are built with the feature `failpoints`. `TWOTAP_KILL` names one case (`ceremony worker journal:key_created:after#1`); it
//! is what a failure prints in its first line.

mod support;

#[path = "kill_matrix/cases.rs"]
mod cases;
#[path = "kill_matrix/flow.rs"]
mod flow;
#[path = "kill_matrix/host.rs"]
mod host;
#[path = "kill_matrix/matrix.rs"]
mod matrix;
#[path = "kill_matrix/points.rs"]
mod points;
#[path = "kill_matrix/tokens.rs"]
mod tokens;
#[path = "kill_matrix/truth.rs"]
mod truth;
#[path = "kill_matrix/wait.rs"]
mod wait;

use std::time::Instant;

/// Points that must be in the lists: one of each kind, and the moments that matter most. A choke point that was lost is noticed here.
const SURELY: [&str; 16] = [
    "journal:mint_intent:before#1",
    "journal:generation_committed:after#1",
    "journal:revoked:before#1",
    "aws:sts.AssumeRole:before#3",
    "aws:iam.CreateAccessKey:after#1",
    "aws:iam.PutRolePolicy:after#1",
    "aws:ec2.DescribeRegions:before#10",
    "file:.half-N/vault.age:after#1",
    "file:generations/N:renamed#1",
    "file:prod/current:before#1",
    "file:prod/current:renamed#1",
    "file:state/seen.json:beside#1",
    "file:runtime/R.json:after#2",
    "file:runtime/R.json:before-remove#1",
    "book:BREAK_GLASS_ACCESS:before#1",
    "from-worker:session#1",
];
/// How many points sealing had at least, and a ceremony with its closing.
const AT_LEAST: (usize, usize) = (120, 170);

/// Words of the failpoints: those which `release_files.rs` looks for in the programs that ship.
const WORDS: [&str; 4] = [
    "twotap4fail5there",
    "from-worker:",
    "before-remove",
    ":before",
];

#[test]
fn the_points_are_there() {
    let points = matrix::learn();
    for name in SURELY {
        assert!(
            points.ceremony.iter().any(|p| p == name),
            "{name}: {points:#?}"
        );
    }
    let there = (points.seal.len(), points.ceremony.len());
    assert!(there.0 >= AT_LEAST.0 && there.1 >= AT_LEAST.1, "{there:?}");
    for word in WORDS {
        let found = host::PROGRAMS.iter().any(|name| {
            let grep = std::process::Command::new("grep")
                .args(["--text", "--quiet", "--fixed-strings", word])
                .arg(support::program(name))
                .status();
            grep.expect("grep").success()
        });
        assert!(found, "{word} is in no program");
    }
}

#[test]
fn with_tokens_and_taps() {
    let mut site = tokens::Struck::ready();
    for (victim, point) in tokens::POINTS {
        site.run(victim, point);
    }
}

#[test]
fn twice_in_a_row_and_during_recovery() {
    let outcome = matrix::run(matrix::two_in_a_row());
    assert!(outcome.bad.is_empty(), "{} cases", outcome.bad.len());
    assert_eq!(outcome.not_reached, [""; 0]);
}

#[test]
fn every_point_once() {
    let begun = Instant::now();
    let points = matrix::learn();
    let mut cases = matrix::cases(&points);
    if let Ok(named) = std::env::var("TWOTAP_KILL") {
        let exactly = cases.iter().any(|c| c.to_string() == named);
        cases.retain(|c| match exactly {
            true => c.to_string() == named,
            false => c.to_string().contains(&named),
        });
        assert!(!cases.is_empty(), "no case is called {named}");
    }
    let all = cases.len();
    let outcome = matrix::run(cases);
    matrix::tell(&points, &outcome, begun);
    assert!(outcome.bad.is_empty(), "{} cases", outcome.bad.len());
    // What the agent does beside a worker has no fixed order, so that one of its points may not come; a worker's always do.
    let missed = &outcome.not_reached;
    assert!(missed.len() <= all / 20, "{missed:#?}");
    let missed = missed.iter().find(|case| !matrix::in_agent(case));
    assert_eq!(missed, None);
}
