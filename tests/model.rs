//! The protocol of rotation and closing as a model that is explored to its end: every interleaving of workers, crashes, lost answers and
//! rivals within a stated bound. What the workers do next is asked of the shipped tables (`twotap::ceremony::{rotation, refusals}`,
//! `Stage`); the rest of the model is held to the real worker by `model/paths.rs`. Each promise is also seen broken, by a mutant.

#[allow(dead_code)] // other test programs use the rest of it
#[path = "aws_faults/ceremony.rs"]
mod ceremony;
#[path = "model/closing/mod.rs"]
mod closing;
#[path = "model/explore.rs"]
mod explore;
#[path = "model/keys.rs"]
mod keys;
#[path = "model/paths.rs"]
mod paths;
#[path = "model/rotation/mod.rs"]
mod rotation;
#[path = "model/sessions.rs"]
mod sessions;
mod support;

use std::{io::Write as _, sync::Mutex};

use explore::{Model, explore};

/// More states than any model here has; above it the bound is wrong.
const MOST: usize = 2_000_000;

/// Models, states and transitions that were explored so far.
static IN_ALL: Mutex<(usize, usize, usize)> = Mutex::new((0, 0, 0));

/// Explores a model in which every promise holds, and says how much was seen.
fn holds<M: Model>(name: &str, bound: &str, model: &M) {
    let seen = explore(model, MOST).unwrap_or_else(|found| panic!("{name}: {found}"));
    let mut all = IN_ALL.lock().expect("nobody panicked");
    all.0 += 1;
    all.1 += seen.states;
    all.2 += seen.transitions;
    // Past the harness, which would keep it for itself.
    let said = writeln!(
        std::io::stderr(),
        "model {name}: {} states, {} transitions, {} deep ({bound}); so far {} models, {} states, {} transitions",
        seen.states,
        seen.transitions,
        seen.depth,
        all.0,
        all.1,
        all.2,
    );
    said.expect("somebody listens");
}

/// Explores a mutant, which has to break this promise.
fn breaks<M: Model>(name: &str, model: &M, promise: &str) {
    match explore(model, MOST) {
        Err(found) => {
            println!("mutant {name}: {found}\n");
            assert!(found.promise == promise, "{name} breaks another: {found}");
        }
        Ok(seen) => panic!(
            "nothing is found wrong with: {name} ({} states)",
            seen.states
        ),
    }
}
