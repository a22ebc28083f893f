//! The stages as types. Each is made of the one before and of nothing else, so that none can be skipped:
//!
//! ```
//! # use twotap::{ceremony::{Approved, Closed, Requested, Settled, Voter}, trust::{TrustError, receipt::Receipt}};
//! fn whole(requested: Requested, last: Voter, receipt: &Receipt) -> Option<Result<Closed, TrustError>> {
//!     match requested.count(last) {
//!         Settled::Approved(approved) => Some(approved.open().close().revoked(receipt)),
//!         Settled::Waiting(_) | Settled::Denied => None,
//!     }
//! }
//! ```

use super::duties::Duties;
use super::votes::{self, Refusal, Standing, Voter, Votes, Withdrawer};
use crate::trust::{
    Envelope, Timestamp, TrustError, Verified,
    receipt::{Outcome, Receipt, TargetNotOpened, TargetRefused},
    request::{Offer, Request},
    roster::{Lacking, Role, Roster},
};

/// Offered by the host, waiting for votes.
#[derive(Debug)]
pub struct Requested {
    offer: Box<Verified<Offer>>,
    roster: Box<Verified<Roster>>,
    votes: Votes,
}

/// What a waiting request has become after a vote.
#[derive(Debug)]
pub enum Settled {
    /// Still waiting.
    Waiting(Requested),
    /// The threshold is reached.
    Approved(Approved),
    /// The threshold is out of reach; nothing follows.
    Denied,
}

/// Approved by a quorum: the only value from which a session can be opened, and only once.
///
/// It cannot be had without the quorum that [`Requested::count`] finds:
///
/// ```compile_fail,E0451
/// # use twotap::{ceremony::Approved, trust::{Verified, request::Offer}};
/// fn without_a_quorum(offer: Box<Verified<Offer>>) -> Approved {
///     Approved { offer, people: vec!["alice".to_owned(), "bob".to_owned()] }
/// }
/// ```
///
/// A vote that was not checked against the request cannot be counted:
///
/// ```compile_fail,E0308
/// # use twotap::{ceremony::{Requested, Settled}, trust::Envelope};
/// fn unchecked(requested: Requested, approval: Envelope) -> Settled {
///     requested.count(approval)
/// }
/// ```
///
/// One approval opens one session:
///
/// ```compile_fail,E0382
/// # use twotap::ceremony::{Approved, Open};
/// fn twice(approved: Approved) -> [Open; 2] {
///     [approved.open(), approved.open()]
/// }
/// ```
#[derive(Debug)]
pub struct Approved {
    offer: Box<Verified<Offer>>,
    people: Vec<String>,
}

/// A session exists, or may exist: what minting asks for.
///
/// It comes out of an [`Approved`] alone:
///
/// ```compile_fail,E0451
/// # use twotap::{ceremony::Open, trust::{Verified, request::Offer}};
/// fn without_approval(offer: Box<Verified<Offer>>) -> Open {
///     Open { offer }
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use twotap::ceremony::{Open, Requested};
/// fn too_early(requested: Requested) -> Open {
///     requested.open()
/// }
/// ```
#[derive(Debug)]
pub struct Open {
    offer: Box<Verified<Offer>>,
}

/// The session is being ended. There is no way back to a session:
///
/// ```compile_fail,E0599
/// # use twotap::ceremony::{Closing, Open};
/// fn back(closing: Closing) -> Open {
///     closing.open()
/// }
/// ```
#[derive(Debug)]
pub struct Closing {
    offer: Box<Verified<Offer>>,
}

/// The session is over: refused, by a receipt, or out of time, by the clock.
///
/// ```compile_fail,E0451
/// # use twotap::{ceremony::{Closed, stages::End}, trust::{Timestamp, Verified, request::Offer}};
/// fn by_word(offer: Box<Verified<Offer>>, at: Timestamp) -> Closed {
///     Closed { offer, end: End::Expired { at } }
/// }
/// ```
///
/// ```compile_fail,E0061
/// # use twotap::{ceremony::{Closed, Closing}, trust::TrustError};
/// fn without_a_receipt(closing: Closing) -> Result<Closed, TrustError> {
///     closing.revoked()
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use twotap::{ceremony::{Closed, Open}, trust::{TrustError, receipt::Receipt}};
/// fn without_closing(open: Open, receipt: &Receipt) -> Result<Closed, TrustError> {
///     open.revoked(receipt)
/// }
/// ```
#[derive(Debug)]
pub struct Closed {
    offer: Box<Verified<Offer>>,
    end: End,
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Its refusal was observed.
    Revoked {
        /// First refusal of the final run.
        since: Timestamp,
    },
    /// Its time ran out.
    Expired {
        /// When.
        at: Timestamp,
    },
}

impl Requested {
    /// Checks the offer against the roster and opens the vote.
    pub fn new(offer: &Envelope, roster: Verified<Roster>) -> Result<Self, TrustError> {
        let offer = Offer::verify(offer, &roster)?;
        let votes = Votes::new(&roster, &Duties::of(&offer.0, &roster));
        Ok(Self {
            offer: Box::new(offer),
            roster: Box::new(roster),
            votes,
        })
    }

    /// The request.
    pub fn request(&self) -> &Request {
        &self.offer.0
    }

    /// The offer, with its digest.
    pub fn offer(&self) -> &Verified<Offer> {
        &self.offer
    }

    /// The roster that the vote is held under.
    pub fn roster(&self) -> &Verified<Roster> {
        &self.roster
    }

    /// Who has approved so far, in order.
    pub fn approved(&self) -> &[String] {
        self.votes.approved()
    }

    /// Who has denied so far, in order.
    pub fn denied(&self) -> &[String] {
        self.votes.denied()
    }

    /// Who is still missing from the quorum; nobody once it is reached.
    pub fn lacking(&self) -> Vec<Lacking> {
        self.votes.lacking()
    }

    /// Checks an approval: signature over exactly this request, a custodian's who has no other duty in it, a first vote, in time.
    pub fn check_approval(&self, approval: &Envelope, now: Timestamp) -> Result<Voter, Refusal> {
        self.admit(
            votes::check_approval(approval, &self.offer, &self.roster)?,
            now,
        )
    }

    /// Checks a denial in the same way.
    pub fn check_denial(&self, denial: &Envelope, now: Timestamp) -> Result<Voter, Refusal> {
        self.admit(votes::check_denial(denial, &self.offer, &self.roster)?, now)
    }

    /// Checks a withdrawal: signed by a custodian whose approval was counted, before the quorum and in time.
    pub fn check_withdrawal(
        &self,
        withdrawal: &Envelope,
        now: Timestamp,
    ) -> Result<Withdrawer, Refusal> {
        let by = votes::check_withdrawal(withdrawal, &self.offer, &self.roster)?;
        if now >= self.request().approve_before {
            return Err(Refusal::TooLate {
                at: self.request().approve_before,
            });
        }
        if !self.approved().iter().any(|p| p == by.person()) {
            return Err(Refusal::NothingToWithdraw {
                person: by.person().to_owned(),
            });
        }
        Ok(by)
    }

    /// Takes an approval back; that person's yes can not be given again on this request.
    pub fn withdraw(mut self, by: &Withdrawer) -> Settled {
        self.votes.withdraw(by.person());
        self.settle()
    }

    /// Counts a vote that was checked on this request.
    pub fn count(mut self, voter: Voter) -> Settled {
        let denied = voter.denial().is_some();
        self.votes.count(voter.person().to_owned(), denied);
        self.settle()
    }

    fn settle(self) -> Settled {
        match self.votes.standing() {
            Standing::Waiting => Settled::Waiting(self),
            Standing::Denied => Settled::Denied,
            Standing::Approved => Settled::Approved(Approved {
                people: self.votes.approved().to_vec(),
                offer: self.offer,
            }),
        }
    }

    fn admit(&self, voter: Voter, now: Timestamp) -> Result<Voter, Refusal> {
        let person = voter.person().to_owned();
        if now >= self.request().approve_before {
            return Err(Refusal::TooLate {
                at: self.request().approve_before,
            });
        }
        Duties::of(self.request(), &self.roster)
            .may(&person, Role::Custodian)
            .map_err(Refusal::from)?;
        if self.votes.has_voted(&person) {
            return Err(Refusal::AlreadyVoted { person });
        }
        Ok(voter)
    }
}

impl Settled {
    /// The same as a label.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Waiting(_) => Standing::Waiting,
            Self::Approved(_) => Standing::Approved,
            Self::Denied => Standing::Denied,
        }
    }
}

impl Approved {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.offer.0
    }

    /// Who approved.
    pub fn people(&self) -> &[String] {
        &self.people
    }

    /// From the intent to mint on a session may exist, whether or not an answer ever comes.
    pub fn open(self) -> Open {
        Open { offer: self.offer }
    }
}

impl Open {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.offer.0
    }

    /// The offer as it was signed.
    pub fn offer(&self) -> &Verified<Offer> {
        &self.offer
    }

    /// Asked for, or the time is up.
    pub fn close(self) -> Closing {
        Closing { offer: self.offer }
    }
}

impl Closing {
    /// Ends a session whose intent to mint stands in the host's own journal. Ending is all that can be taken up again from paper: a
    /// session is opened by a quorum and by nothing else.
    pub fn resume(offer: &Envelope, roster: &Verified<Roster>) -> Result<Self, TrustError> {
        Ok(Self {
            offer: Box::new(Offer::verify(offer, roster)?),
        })
    }

    /// The request.
    pub fn request(&self) -> &Request {
        &self.offer.0
    }

    /// Over by revocation: needs the receipt of an observed refusal.
    pub fn revoked(self, receipt: &Receipt) -> Result<Closed, TrustError> {
        let request = &self.offer.0;
        match &receipt.outcome {
            Outcome::Revoked {
                refused_since,
                targets,
                not_opened,
                ..
            } if receipt.request.as_deref() == Some(&request.id)
                && shows_all(request, targets, not_opened) =>
            {
                Ok(Closed {
                    end: End::Revoked {
                        since: *refused_since,
                    },
                    offer: self.offer,
                })
            }
            _ => Err(TrustError::mismatch(
                "receipt",
                "it does not show the refusal of this session in every role and Region",
            )),
        }
    }

    /// Over by time; `now` must have reached the end of the box.
    pub fn expired(self, now: Timestamp) -> Result<Closed, Self> {
        let at = self.offer.0.not_after;
        if now < at {
            return Err(self);
        }
        Ok(Closed {
            end: End::Expired { at },
            offer: self.offer,
        })
    }
}

/// Whether each role of the request was seen refused in each Region, or was never opened; and at least one was seen.
fn shows_all(request: &Request, seen: &[TargetRefused], not_opened: &[TargetNotOpened]) -> bool {
    let refused = |role: &str| {
        seen.iter().any(|t| {
            t.role == role
                && request
                    .regions
                    .iter()
                    .all(|r| t.regions.iter().any(|seen| seen.region == *r))
        })
    };
    let roles = std::iter::once(&request.role).chain(request.also.iter().map(|t| &t.role_arn));
    let mut any = false;
    for role in roles {
        let was = refused(role);
        any |= was;
        if !was && !not_opened.iter().any(|t| t.role == *role) {
            return false;
        }
    }
    any
}

impl Closed {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.offer.0
    }

    /// How it ended.
    pub fn end(&self) -> &End {
        &self.end
    }
}
