//! The protocol of rotation and closing as a model that is explored to its end: every interleaving of workers, crashes, lost answers and
//! rivals within a stated bound. What the workers do next is asked of the shipped tables (`twotap::ceremony::{rotation, refusals}`,
//! `Stage`); the rest of the model is held to the real worker by `model/paths.rs`. Each promise is also seen broken, by a mutant.

#[path = "model/closing.rs"]
mod closing;
#[path = "model/explore.rs"]
mod explore;
#[path = "model/keys.rs"]
mod keys;
#[path = "model/rotation/mod.rs"]
mod rotation;
#[path = "model/sessions.rs"]
mod sessions;

use std::io::Write as _;

use explore::{Counterexample, Model, Seen, explore};

/// More states than any model here has; above it the bound is wrong.
const MOST: usize = 2_000_000;

/// Explores a model in which every promise holds, and says how much was seen.
fn holds<M: Model>(name: &str, bound: &str, model: &M) -> Seen {
    match explore(model, MOST) {
        Ok(seen) => {
            // Past the harness, which would keep it for itself.
            let _ = writeln!(
                std::io::stderr(),
                "model {name}: {} states, {} transitions, {} deep; bound: {bound}",
                seen.states,
                seen.transitions,
                seen.depth
            );
            seen
        }
        Err(found) => panic!("{name}: {found}"),
    }
}

/// Explores a mutant, which has to break this promise.
fn breaks<M: Model>(name: &str, model: &M, promise: &str) -> Counterexample {
    match explore(model, MOST) {
        Err(found) => {
            println!("mutant {name}: {found}\n");
            assert!(found.promise == promise, "{name} breaks another: {found}");
            *found
        }
        Ok(seen) => panic!(
            "nothing is found wrong with: {name} ({} states)",
            seen.states
        ),
    }
}
