//! `twotap recovery`: printed shares, made, checked and used; what a recovery leaves behind, put on record. All but the last needs no
//! agent, no network and no state of its own.

mod check;
mod create;
mod keys;
mod open;
mod quorum;
mod reading;
mod record;
mod roster;
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
    /// Open a bundle with sheets or tokens, without agent and network
    Open(Box<open::Args>),
    /// Have recovery shares stand for the next version of a roster: as many tokens as the threshold are lost
    Roster(Box<roster::Args>),
    /// Hand the record of a recovery to an agent
    Record(record::Args),
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    match args.verb {
        Verb::Create(args) => create::run(&args, door),
        Verb::Check(args) => check::run(&args, door),
        Verb::Open(args) => open::run(&args, door),
        Verb::Roster(args) => roster::run(&args, door),
        Verb::Record(args) => record::run(&args, door),
    }
}
