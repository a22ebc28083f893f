//! `twotap recovery`: printed shares, made and checked. Needs no agent, no network and no state of its own.

mod check;
mod create;
mod keys;
#[allow(dead_code, reason = "a whole quorum is read by recovery open alone")]
mod quorum;
#[allow(dead_code, reason = "as above")]
mod reading;
mod typing;
mod worker;

use super::{Door, Ended};

/// Arguments of `recovery`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a recovery identity, and one sheet for each holder
    Create(create::Args),
    /// Say of one sheet whether it is good
    Check(check::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Create(args) => create::run(&args, door),
        Verb::Check(args) => check::run(&args, door),
    }
}
