//! `twotap aws`: what stands in the AWS account.

mod agrees;
mod alarms;
mod check;
mod difference;
mod identities;
mod look;
mod needed;
mod store;

use super::{Door, Ended};

/// Arguments of `aws`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Compare what stands in the account with what twotap needs: each difference with its risk and the command that mends it
    Check(check::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Check(args) => check::run(&args, door),
    }
}

#[cfg(test)]
mod tests;
