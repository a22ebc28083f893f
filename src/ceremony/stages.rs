//! The stages as types.

use super::votes::{self, Refusal, Standing, Voter, Votes};
use crate::trust::{
    Envelope, Timestamp, TrustError, Verified,
    receipt::{Outcome, Receipt},
    request::{Offer, Request},
    roster::Roster,
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

/// Approved by a quorum: the only value from which a session can be opened.
#[derive(Debug)]
pub struct Approved {
    offer: Box<Verified<Offer>>,
    people: Vec<String>,
}

/// A session exists, or may exist.
#[derive(Debug)]
pub struct Open {
    offer: Box<Verified<Offer>>,
}

/// The session is being ended.
#[derive(Debug)]
pub struct Closing {
    offer: Box<Verified<Offer>>,
}

/// The session is over.
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
        let votes = Votes::new(&roster, &offer.0.operator);
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

    /// Checks an approval: signature over exactly this request, a custodian's, not the operator's, a first vote, in time.
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

    /// Counts a vote that was checked on this request.
    pub fn count(mut self, voter: Voter) -> Settled {
        let denied = voter.denial().is_some();
        self.votes.count(voter.person().to_owned(), denied);
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
        if person == self.request().operator {
            return Err(Refusal::OwnRequest { person });
        }
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
    /// Takes up a session again whose intent to mint stands in the host's own journal.
    pub fn resume(offer: &Envelope, roster: &Verified<Roster>) -> Result<Self, TrustError> {
        Ok(Self {
            offer: Box::new(Offer::verify(offer, roster)?),
        })
    }

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
                regions,
                ..
            } if receipt.request.as_deref() == Some(&request.id)
                && request.regions.iter().all(|r| regions.contains(r)) =>
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
                "it does not show the refusal of this session in every Region",
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
