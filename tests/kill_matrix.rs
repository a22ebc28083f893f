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
#[path = "kill_matrix/truth.rs"]
mod truth;
#[path = "kill_matrix/wait.rs"]
mod wait;

use std::time::Instant;

#[test]
fn every_point_once() {
    let begun = Instant::now();
    let points = matrix::learn();
    let mut cases = matrix::cases(&points);
    if let Ok(one) = std::env::var("TWOTAP_KILL") {
        cases.retain(|c| c.to_string().contains(&one));
        assert!(!cases.is_empty(), "no case is called {one}");
    }
    let outcome = matrix::run(cases);
    matrix::tell(&points, &outcome, begun);
    matrix::say(&format!("{:#?}", outcome.not_reached));
    assert!(outcome.bad.is_empty(), "{} cases", outcome.bad.len());
}
