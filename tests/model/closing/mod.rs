//! Opening and closing one session as a state machine: the ceremony's worker that mints, the agent that takes up what the journal says,
//! workers that close, AWS in two Regions, and the end of the time box, which comes whatever anybody does.
//!
//! What makes a refusal believed (`refusals::Run::after`, `refusals::REFUSALS`) and which stage follows which (`Stage::may_become`) are
//! the shipped ones.

mod steps;

use std::fmt;

use twotap::{
    ceremony::{
        Stage,
        refusals::{Answer, Run},
    },
    trust::Timestamp,
};

use crate::explore::Model;

/// How far the ceremony's worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Minting {
    /// Approved; nothing done.
    Ready,
    /// The intent is written down.
    Intended,
    /// AWS has answered with the first session.
    First,
    /// It is kept.
    FirstKept,
    /// AWS has answered with the second.
    Second,
    /// Both are kept.
    BothKept,
    /// It is gone, or has gone on to rotate.
    Gone,
}

/// What stands in the runtime folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Kept {
    steward: bool,
    operator: bool,
}

/// What the worker's journal says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Journal {
    intended: bool,
    minted: bool,
    failed: bool,
    revoked: bool,
    expired: bool,
}

/// A worker that closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Closer {
    /// Has yet to read what is kept.
    Reads,
    /// Puts the policy.
    Puts { operator: bool },
    /// Probes one Region; `run` is what it believes, `true_run` what was really refused in a row there and in those before.
    Observes {
        region: u8,
        run: Option<Run>,
        true_run: [u32; 2],
    },
    /// Has written down that it is over, and forgets what was kept.
    Forgets,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    minting: Minting,
    kept: Kept,
    journal: Journal,
    /// An operator's session exists, whoever knows it.
    session: bool,
    /// The policy that denies it stands in IAM.
    put: bool,
    /// Which Regions go by it at the moment.
    denied: [bool; 2],
    /// The time box has ended.
    over: bool,
    stage: Stage,
    /// The agent has been there since the quorum.
    here: bool,
    /// The last try to close came to nothing that another try before the end would better.
    waits: bool,
    /// The host was rebooted: nothing in memory is left.
    rebooted: bool,
    closers: [Option<Closer>; 2],
    faults: u8,
    broken: Option<&'static str>,
}

/// One thing that happens, and whether it is a fault or a whim.
#[derive(Clone, Copy)]
pub(crate) struct Event(&'static str, bool);

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How many refusals in a row are promised; written out here, so that the code cannot come to promise less.
pub(crate) const IN_A_ROW: u32 = 10;

pub(crate) const NEVER_REVOKED: &str =
    "'revoked' is said only after a whole run of refusals in each Region";
pub(crate) const ENDED: &str = "a session that is shown as over, or as never opened, does not work";
pub(crate) const CLOSABLE: &str =
    "until the host is rebooted no session exists that nobody could close";
const STAGES: &str = "a stage follows one that it may follow";

/// The protocol and the bound; everything that a mutant changes stands here.
#[derive(Clone, Copy)]
pub(crate) struct Closing {
    pub(crate) most: u8,
    pub(crate) refusals: u32,
    pub(crate) run: fn(Option<Run>, Answer, Timestamp) -> Option<Run>,
    pub(crate) regions: u8,
    /// The steward's session is minted and kept before the operator's is asked for.
    pub(crate) steward_first: bool,
    /// The session's own policy denies everything after the end of its box.
    pub(crate) dated: bool,
    /// 'Nothing is kept' is believed to mean 'nothing was opened' only by an agent that saw the failure.
    pub(crate) asks_what_is_kept: bool,
    /// A session that nobody can observe any more is 'expired' only once its box has ended.
    pub(crate) waits_for_the_end: bool,
    /// A worker that reads the journal removes what is kept of sessions that are over.
    pub(crate) sweeps: bool,
    /// An agent that was restarted goes on closing.
    pub(crate) resumes: bool,
}

type Then = Vec<(Event, Site)>;

impl Site {
    fn becomes(&mut self, stage: Stage) {
        if !self.stage.may_become(stage) {
            self.broken = Some(STAGES);
        }
        self.stage = stage;
    }

    fn nobody_at_work(&self) -> bool {
        self.minting == Minting::Gone && self.closers.iter().all(Option::is_none)
    }
}

impl Model for Closing {
    type State = Site;
    type Event = Event;

    fn start(&self) -> Vec<Site> {
        vec![Site {
            minting: Minting::Ready,
            kept: Kept::default(),
            journal: Journal::default(),
            session: false,
            put: false,
            denied: [false; 2],
            over: false,
            stage: Stage::Approved,
            here: true,
            waits: false,
            rebooted: false,
            closers: [None; 2],
            faults: self.most,
            broken: None,
        }]
    }

    fn canonical(&self, site: &Site) -> Site {
        let mut site = *site;
        if site.closers[0].is_none() {
            site.closers.swap(0, 1);
        }
        site
    }

    fn next(&self, site: &Site, then: &mut Then) {
        self.mints(site, then);
        self.agent(site, then);
        for (n, closer) in site.closers.iter().enumerate() {
            if let Some(closer) = closer {
                self.closes(site, n, *closer, then);
            }
        }
        self.outside(site, then);
    }

    fn is_fault(&self, event: Event) -> bool {
        event.1
    }

    fn broken(&self, site: &Site) -> Option<&'static str> {
        let works = site.session && !site.put && !(site.over && self.dated);
        let ended = matches!(site.stage, Stage::Closed | Stage::Failed);
        let closed = site.journal.revoked || site.journal.expired || site.stage == Stage::Closed;
        if site.broken.is_some() {
            site.broken
        } else if ended && works {
            Some(ENDED)
        } else if works && !site.kept.steward && !site.rebooted && !closed {
            Some(CLOSABLE)
        } else {
            None
        }
    }

    /// Every session has its end, it is on record, and nothing is kept of it that its end does not stand in the journal of: a worker that
    /// mints while the box ends may keep what is dead already, after the agent has found nothing and said 'expired'.
    fn good(&self, site: &Site) -> bool {
        let ended = matches!(site.stage, Stage::Closed | Stage::Failed);
        let written = site.journal.revoked || site.journal.expired;
        let forgotten = site.kept == Kept::default() || site.over && !written;
        ended && forgotten && site.nobody_at_work()
    }
}
