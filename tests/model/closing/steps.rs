//! What the ceremony's worker, the agent, the workers that close and the world do next.

use twotap::{
    ceremony::{
        Stage,
        refusals::{Answer, Run},
    },
    trust::Timestamp,
};

use super::{Closer, Closing, Event, IN_A_ROW, Kept, Minting, NEVER_REVOKED, Site, Then};

fn can(site: &Site, then: &mut Then, what: &'static str, change: impl FnOnce(&mut Site)) {
    let mut site = *site;
    change(&mut site);
    then.push((Event(what, false), site));
}

fn fault(site: &Site, then: &mut Then, what: &'static str, change: impl FnOnce(&mut Site)) {
    if site.faults > 0 {
        let mut site = *site;
        site.faults -= 1;
        change(&mut site);
        then.push((Event(what, true), site));
    }
}

impl Closing {
    /// The ceremony's worker.
    pub(super) fn mints(&self, site: &Site, then: &mut Then) {
        let first = |kept: &mut Kept| match self.steward_first {
            true => kept.steward = true,
            false => kept.operator = true,
        };
        let asked = |site: &mut Site, operators: bool| site.session |= operators;
        let fails = |site: &mut Site| {
            site.journal.failed = true;
            site.minting = Minting::Gone;
        };
        match site.minting {
            Minting::Gone => return,
            Minting::Ready => can(
                site,
                then,
                "the worker writes down that it will mint",
                |s| {
                    s.journal.intended = true;
                    s.minting = Minting::Intended;
                },
            ),
            Minting::Intended => {
                can(site, then, "the first session is minted", |s| {
                    asked(s, !self.steward_first);
                    s.minting = Minting::First;
                });
                fault(site, then, "STS does not answer for the first", |s| {
                    asked(s, !self.steward_first);
                    fails(s);
                });
            }
            Minting::First => can(site, then, "the first session is kept", |s| {
                first(&mut s.kept);
                s.waits = false;
                s.minting = Minting::FirstKept;
            }),
            Minting::FirstKept => {
                can(site, then, "the second session is minted", |s| {
                    asked(s, self.steward_first);
                    s.minting = Minting::Second;
                });
                fault(
                    site,
                    then,
                    "STS mints the second, and nobody hears of it",
                    |s| {
                        asked(s, self.steward_first);
                    },
                );
                fault(site, then, "STS does not answer for the second", |s| {
                    asked(s, self.steward_first);
                    fails(s);
                });
            }
            Minting::Second => can(site, then, "both sessions are kept", |s| {
                s.kept = Kept {
                    steward: true,
                    operator: true,
                };
                s.waits = false;
                s.minting = Minting::BothKept;
            }),
            Minting::BothKept => can(site, then, "the worker writes down that it minted", |s| {
                s.journal.minted = true;
                s.minting = Minting::Gone;
            }),
        }
        fault(site, then, "the ceremony's worker is killed", |s| {
            s.minting = Minting::Gone;
        });
    }

    /// The agent, which knows what the journal says.
    pub(super) fn agent(&self, site: &Site, then: &mut Then) {
        let journal = site.journal;
        match site.stage {
            Stage::Approved if journal.minted => {
                can(site, then, "the agent takes up that it was minted", |s| {
                    s.becomes(Stage::Open);
                });
            }
            Stage::Approved if journal.failed => {
                let nothing = match self.asks_what_is_kept {
                    true => site.here && site.kept == Kept::default(),
                    false => true,
                };
                can(site, then, "the agent takes up that minting failed", |s| {
                    s.becomes(if nothing {
                        Stage::Failed
                    } else {
                        Stage::Closing
                    });
                });
            }
            Stage::Approved if site.minting == Minting::Gone => {
                can(site, then, "the agent finds the worker gone", |s| {
                    s.becomes(match journal.intended {
                        true => Stage::Closing,
                        false => Stage::Failed,
                    });
                });
            }
            Stage::Closing if journal.revoked || journal.expired => {
                can(site, then, "the agent takes up that it is over", |s| {
                    s.becomes(Stage::Closed);
                });
            }
            Stage::Open if site.over => {
                can(site, then, "the agent closes: time is up", |s| {
                    s.becomes(Stage::Closing);
                });
            }
            _ => {}
        }
        let may_close = match site.stage {
            Stage::Open => true,
            Stage::Approved => journal.intended,
            _ => false,
        };
        if may_close {
            fault(site, then, "somebody closes the session", |s| {
                s.becomes(Stage::Closing);
            });
        }
        let owed = site.stage == Stage::Closing && !journal.revoked && !journal.expired;
        if owed && site.closers == [None; 2] && (!site.waits || site.over) && self.resumes(site) {
            can(site, then, "the agent starts a worker that closes", |s| {
                s.closers[0] = Some(Closer::Reads);
            });
        }
        fault(site, then, "the agent is killed and restarted", |s| {
            s.here = false;
            s.waits = false;
            // It does not know of the worker that is still at it.
            if let Some(free) = s.closers.iter_mut().find(|c| c.is_none())
                && owed
                && self.resumes
            {
                *free = Some(Closer::Reads);
            }
        });
        let done = journal.revoked || journal.expired;
        let kept = site.kept != Kept::default();
        if self.sweeps && done && kept && site.nobody_at_work() {
            can(
                site,
                then,
                "what is kept of a session that is over is removed",
                |s| {
                    s.kept = Kept::default();
                },
            );
        }
    }

    fn resumes(&self, site: &Site) -> bool {
        self.resumes || site.here
    }

    /// One worker that closes.
    pub(super) fn closes(&self, site: &Site, n: usize, closer: Closer, then: &mut Then) {
        match closer {
            Closer::Reads if !site.kept.steward => {
                let ended = site.over || !self.waits_for_the_end;
                can(site, then, "the closing worker finds nothing kept", |s| {
                    s.closers[n] = None;
                    s.waits = true;
                    if ended && s.stage == Stage::Closing {
                        s.becomes(Stage::Closed);
                    }
                });
            }
            Closer::Reads => can(site, then, "the closing worker reads what is kept", |s| {
                let operator = s.kept.operator;
                s.closers[n] = Some(Closer::Puts { operator });
            }),
            Closer::Puts { .. } | Closer::Observes { .. } if site.over => {
                can(site, then, "the closing worker writes down: expired", |s| {
                    s.journal.expired = true;
                    s.closers[n] = Some(Closer::Forgets);
                });
            }
            Closer::Puts { operator } => {
                can(site, then, "the revocation is put", |s| {
                    s.put = true;
                    s.closers[n] = Some(match operator {
                        true => Closer::Observes {
                            region: 0,
                            run: None,
                            true_run: [0; 2],
                        },
                        // Denied by its tag, and nothing at hand that could show it: not observed.
                        false => Closer::Forgets,
                    });
                });
                fault(
                    site,
                    then,
                    "the revocation is put, the answer is lost",
                    |s| {
                        s.put = true;
                    },
                );
                fault(site, then, "the revocation is refused", |s| {
                    s.closers[n] = None;
                    s.waits = true;
                });
            }
            Closer::Observes {
                region,
                run,
                true_run,
            } => self.observes(site, n, (region, run, true_run), then),
            Closer::Forgets => can(site, then, "the closing worker forgets the sessions", |s| {
                s.kept = Kept::default();
                s.closers[n] = None;
                s.waits = true;
            }),
        }
        fault(site, then, "the closing worker is killed", |s| {
            s.closers[n] = None
        });
    }

    /// One probe, and what it is taken for.
    fn observes(
        &self,
        site: &Site,
        n: usize,
        (region, run, true_run): (u8, Option<Run>, [u32; 2]),
        then: &mut Then,
    ) {
        let saw = |answer: Answer| {
            move |s: &mut Site| {
                let mut true_run = true_run;
                let truly = &mut true_run[usize::from(region)];
                *truly = match answer {
                    Answer::Refused => (*truly + 1).min(IN_A_ROW),
                    Answer::Allowed | Answer::Unclear => 0,
                };
                let run = (self.run)(run, answer, Timestamp(0));
                let believed = run.is_some_and(|run| run.count >= self.refusals);
                let last = region + 1 >= self.regions;
                let whole = |r: &u32| *r >= IN_A_ROW;
                s.closers[n] = Some(match (believed, last) {
                    (true, true) => {
                        if !true_run.iter().all(whole) {
                            s.broken = Some(NEVER_REVOKED);
                        }
                        s.journal.revoked = true;
                        Closer::Forgets
                    }
                    (true, false) => Closer::Observes {
                        region: region + 1,
                        run: None,
                        true_run,
                    },
                    (false, _) => Closer::Observes {
                        region,
                        run,
                        true_run,
                    },
                });
            }
        };
        match site.denied[usize::from(region)] {
            true => can(site, then, "a probe is refused", saw(Answer::Refused)),
            false => can(site, then, "a probe is allowed", saw(Answer::Allowed)),
        }
        fault(site, then, "a probe shows nothing", saw(Answer::Unclear));
    }

    /// Time, AWS and the host.
    pub(super) fn outside(&self, site: &Site, then: &mut Then) {
        if !site.over {
            can(site, then, "the time box ends", |s| s.over = true);
        }
        for region in 0..2 {
            if site.put && !site.denied[region] {
                can(
                    site,
                    then,
                    "a Region comes to know of the revocation",
                    |s| {
                        s.denied[region] = true;
                    },
                );
            }
            if site.denied[region] {
                fault(site, then, "a Region forgets it again", |s| {
                    s.denied[region] = false;
                });
            }
        }
        if site.rebooted && site.stage == Stage::Closing && !site.put && !site.over {
            fault(site, then, "two taps close only: denied by its tag", |s| {
                s.put = true;
            });
        }
        if !site.rebooted {
            fault(site, then, "the host is rebooted", |s| {
                s.kept = Kept::default();
                s.minting = Minting::Gone;
                s.closers = [None; 2];
                s.here = false;
                s.waits = false;
                s.rebooted = true;
            });
        }
    }
}
