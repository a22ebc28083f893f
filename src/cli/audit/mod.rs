//! `twotap audit`: reads, exports and verifies the record.

mod acknowledge;
mod against;
mod compare;
mod export;
mod pages;
mod reconcile;
mod s3;
mod schema;
mod shaped;
mod shown;
mod tail;
mod verify;

use super::{Door, Ended};

/// Arguments of `audit`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show the newest events
    Tail(tail::Args),
    /// Check the record: that nothing was changed, removed or moved, and who vouches up to where
    Verify(verify::Args),
    /// Copy the record, its newest checkpoint and the rosters, to be verified anywhere
    Export(export::Args),
    /// Say whether a value is the one whose fingerprint stands in an event
    Match(compare::Args),
    /// Print the JSON Schema of the record's lines
    Schema,
    /// Account for every use of the break-glass user and roles that CloudTrail saw
    Reconcile(reconcile::Args),
    /// As an officer: say that you have looked into what was done to the live record of this host
    Acknowledge(acknowledge::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Tail(args) => tail::run(&args, door),
        Verb::Verify(args) => verify::run(&args, door),
        Verb::Export(args) => export::run(&args, door),
        Verb::Match(args) => compare::run(&args, door),
        Verb::Schema => schema::run(door),
        Verb::Reconcile(args) => reconcile::run(&args, door),
        Verb::Acknowledge(args) => acknowledge::run(args, door),
    }
}
