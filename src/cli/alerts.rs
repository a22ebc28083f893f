//! `twotap alerts`: whether what AWS sees on its own reaches people.
//!
//! The rules of `packaging/aws` send what CloudTrail records of a bypass, of the break-glass user and of a revocation taken away to a topic, and
//! the topic to people: without our agent, so that a silent agent does not mean silence. `simulate` proves that way.

mod queue;
mod sample;
mod simulate;

use super::{Door, Ended};

/// Arguments of `alerts`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Send sample CloudTrail events, marked as a test, and wait until their alerts arrive
    Simulate(simulate::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Simulate(args) => simulate::run(&args, door),
    }
}
