//! `twotap audit`: reads, exports and verifies the record.

mod envelopes;
mod export;
mod pages;
mod receipts;
mod reconcile;
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
    /// Account for every use of the break-glass user and roles that CloudTrail saw
    Reconcile(reconcile::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Tail(args) => tail::run(&args, door),
        Verb::Verify(args) => verify::run(&args, door),
        Verb::Export(args) => export::run(&args, door),
        Verb::Reconcile(args) => reconcile::run(&args, door),
    }
}
