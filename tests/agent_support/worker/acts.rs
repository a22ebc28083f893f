//! What the worker at the wire does for each job that has votes or keys in it: offers, counts, mints, rotates, closes, seals.

use std::time::Duration;

use twotap::{
    ceremony::{Requested, Settled, Standing},
    protocol::{
        Code, Problem,
        job::{
            Approval, Ask, FromWorker, Isolation, NOT_KEPT, OfferMade, RosterWish, ShareFile, Step,
            ToWorker, VaultFacts, Vote,
        },
    },
    trust::{
        Bytes, Digest, Envelope, Head, Signer as _, Timestamp,
        receipt::{Outcome, Proof, ProvenBy},
        request::{CheckResult, NOTHING_ALLOWED, Offer, Request},
    },
};

use super::{
    super::wire::{Wire, Within},
    End, FakeWorker, key_id, refused, session,
};

impl FakeWorker {
    /// Offers to take a version up. Its one roster stays what it is: votes are taken, and nothing follows.
    pub(super) fn roster(
        &self,
        wish: RosterWish,
        operator: &str,
        audit: Head,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let (times, manifest, lie) = {
            let state = self.lock();
            (state.script.times, state.manifest.clone(), state.script.lie)
        };
        let Some(manifest) = manifest else {
            // As a worker does on whose host nothing is sealed.
            wire.send(&FromWorker::Vault(VaultFacts {
                host: self.paper.host.public().id(),
                isolation: Isolation::Account,
                roster_chain: [self.paper.chain.clone(), vec![wish.next]].concat(),
                manifest: None,
            }));
            return Ok(());
        };
        let mut request = self
            .paper
            .roster_change(&wish, operator, audit, times, &manifest);
        if let Some(lie) = lie {
            lie(&mut request);
        }
        let made = self.offered(&request, manifest);
        let made = OfferMade {
            policy: NOTHING_ALLOWED.to_owned(),
            next_roster: Some(wish.next),
            ..made
        };
        self.ask(made, &request, wire)?;
        Err(refused(
            Code::Internal,
            "a worker of paper takes nothing up",
        ))
    }

    pub(super) fn ceremony(
        &self,
        ask: Ask,
        operator: &str,
        audit: Head,
        checks: Vec<CheckResult>,
        wire: &mut Wire,
    ) -> Result<(), End> {
        let (times, manifest) = {
            let state = self.lock();
            let manifest = state.manifest.clone().expect("sealed");
            (state.script.times, manifest)
        };
        let offer = self.paper.offer(&ask, operator, audit, times, &manifest);
        let Offer(mut request) = offer.unverified().expect("an offer");
        request.checks = checks;
        let lie = self.lock().script.lie;
        if let Some(lie) = lie {
            lie(&mut request);
        }
        let made = self.offered(&request, manifest);
        let made = OfferMade {
            shares: ["alice", "bob"]
                .into_iter()
                .map(|name| ShareFile {
                    custodian: name.to_owned(),
                    age: Bytes(format!("share of {name}").into_bytes()),
                })
                .collect(),
            policy: "{}".into(),
            ..made
        };
        self.ask(made, &request, wire)?;
        self.mint(&request, wire)?;
        self.rotate(Some(&request.id), audit, wire)
    }

    /// What every offer has.
    fn offered(&self, request: &Request, manifest: Envelope) -> OfferMade {
        OfferMade {
            offer: Envelope::signed(&Offer(request.clone()), &self.paper.host).expect("signed"),
            manifest,
            roster_chain: self.paper.chain.clone(),
            shares: Vec::new(),
            policy: String::new(),
            next_roster: None,
            isolation: Isolation::Account,
        }
    }

    /// Makes the offer, and takes votes on it.
    fn ask(&self, made: OfferMade, request: &Request, wire: &mut Wire) -> Result<(), End> {
        let requested = Requested::new(&made.offer, self.paper.roster.clone());
        wire.send(&FromWorker::Offer(made));
        let Ok(requested) = requested else {
            // It was a lie, and nobody will vote on it.
            return Err(End::Dead);
        };
        self.votes(requested, request, wire)
    }

    fn votes(
        &self,
        mut requested: Requested,
        request: &Request,
        wire: &mut Wire,
    ) -> Result<(), End> {
        loop {
            let rest = Timestamp::now().until(request.approve_before);
            let rest = Duration::from_secs(u64::try_from(rest).unwrap_or(0));
            let message: ToWorker = match wire.receive_within(rest) {
                Within::Message(message) => message,
                Within::Closed => return Err(End::Dead),
                Within::TooLate => {
                    return Err(refused(Code::Approvals, "nobody approved in time"));
                }
            };
            if self.garbles("vote", wire) {
                return Err(End::Dead);
            }
            let now = Timestamp::now();
            let checked = match &message {
                ToWorker::Approval(Approval { approval, .. }) => {
                    requested.check_approval(approval, now)
                }
                ToWorker::Denial { denial } => requested.check_denial(denial, now),
                ToWorker::Withdrawal { withdrawal } => {
                    match requested.check_withdrawal(withdrawal, now) {
                        Ok(by) => {
                            let (person, serial, key) =
                                (by.person().to_owned(), by.serial(), by.key());
                            let settled = requested.withdraw(&by);
                            wire.send(&FromWorker::Vote(Vote::Withdrawn {
                                person,
                                serial,
                                key,
                                standing: settled.standing(),
                            }));
                            match settled {
                                Settled::Waiting(still) => requested = still,
                                _ => return Err(refused(Code::Approvals, "too few are left")),
                            }
                        }
                        Err(why) => {
                            let problem = Problem::new(Code::Refused, why);
                            wire.send(&FromWorker::Vote(Vote::Refused(problem)));
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let voter = match checked {
                Ok(voter) => voter,
                Err(why) => {
                    let problem = Problem::new(Code::Refused, why);
                    wire.send(&FromWorker::Vote(Vote::Refused(problem)));
                    continue;
                }
            };
            let (person, serial, key) = (voter.person().to_owned(), voter.serial(), voter.key());
            let approved = voter.denial().is_none();
            let settled = requested.count(voter);
            wire.send(&FromWorker::Vote(Vote::Counted {
                person,
                serial,
                key,
                approved,
                standing: settled.standing(),
            }));
            if settled.standing() != Standing::Waiting {
                self.lives_on("quorum", wire)?;
            }
            match settled {
                Settled::Waiting(still) => requested = still,
                Settled::Approved(_) => return Ok(()),
                Settled::Denied => {
                    return Err(refused(Code::Approvals, "the custodians denied it"));
                }
            }
        }
    }

    fn mint(&self, request: &Request, wire: &mut Wire) -> Result<(), End> {
        let id = Some(request.id.as_str());
        let intent = Step::MintIntent {
            role: request.role.clone(),
            not_after: request.not_after,
            revocation: "twotap-revoke".into(),
            steward_role: String::new(),
            also: request.also.clone(),
            secrets: request.secrets.clone(),
        };
        self.log(id, intent, wire)?;
        let fails = self.lock().script.mint_fails;
        if let Some(kept) = fails {
            if kept {
                let both = (request.clone(), false);
                self.lock().kept.insert(request.id.clone(), both);
            }
            let why = "AccessDenied".to_owned();
            let unsure = kept;
            return self.log(id, Step::MintFailed { why, unsure }, wire);
        }
        let both = (request.clone(), true);
        self.lock().kept.insert(request.id.clone(), both);
        for target in session(request).targets {
            let minted = Step::Minted {
                assumed_role: "arn:aws:sts::123456789012:assumed-role/op-admin/dana".into(),
                access_key_id: target.access_key_id,
                not_after: request.not_after,
                role: target.role,
                expires_at: Some(request.not_after),
            };
            self.log(id, minted, wire)?;
        }
        wire.send(&FromWorker::Session(session(request)));
        Ok(())
    }

    fn rotate(&self, id: Option<&str>, audit: Head, wire: &mut Wire) -> Result<(), End> {
        let (old, generation) = {
            let state = self.lock();
            (key_id(state.generation), state.generation + 1)
        };
        let new = key_id(generation);
        let intent = Step::RotationIntent {
            old_access_key_id: old.clone(),
        };
        self.log(id, intent, wire)?;
        if self.lock().script.rotation_fails {
            let why = "IAM cannot be reached".to_owned();
            self.log(id, Step::RotationPending { why: why.clone() }, wire)?;
            return Err(refused(Code::AwsUnreachable, &why));
        }
        self.log(
            id,
            Step::KeyCreated {
                access_key_id: new.clone(),
            },
            wire,
        )?;
        let manifest = self.generation(id, generation, &new, audit, wire)?;
        self.log(
            id,
            Step::KeyRefused {
                access_key_id: old.clone(),
                by: ProvenBy::Itself,
            },
            wire,
        )?;
        let receipt = self.paper.receipt(
            id,
            Outcome::Rotated {
                old_access_key_id: old,
                new_access_key_id: new,
                generation,
                manifest_sha256: manifest,
                previous_manifest_sha256: None,
                new_key_worked: proof(),
                counts_since: Timestamp::now(),
                old_key_refused: proof(),
                proven_by: ProvenBy::Itself,
                old_key_deleted: None,
            },
        );
        self.log(id, Step::Rotated { receipt }, wire)
    }

    fn generation(
        &self,
        id: Option<&str>,
        n: u64,
        key: &str,
        audit: Head,
        wire: &mut Wire,
    ) -> Result<Digest, End> {
        let manifest = self.paper.manifest(n, key, audit);
        let digest = manifest.digest();
        let written = Step::GenerationWritten {
            generation: n,
            manifest: manifest.clone(),
        };
        self.log(id, written, wire)?;
        {
            let mut state = self.lock();
            state.generation = n;
            state.manifest = Some(manifest);
        }
        let committed = Step::GenerationCommitted {
            generation: n,
            manifest_sha256: digest,
            access_key_id: key.to_owned(),
        };
        self.log(id, committed, wire)?;
        Ok(digest)
    }

    pub(super) fn close(&self, id: &str, wire: &mut Wire) -> Result<(), End> {
        let Some((request, minted)) = self.lock().kept.get(id).cloned() else {
            return Err(refused(Code::Refused, NOT_KEPT));
        };
        if Timestamp::now() >= request.not_after {
            self.log(
                Some(id),
                Step::Expired {
                    at: request.not_after,
                },
                wire,
            )?;
            self.lock().kept.remove(id);
            return Ok(());
        }
        let policy = "twotap-revoke".to_owned();
        self.log(
            Some(id),
            Step::RevokeIntent {
                policy: policy.clone(),
                role: request.role.clone(),
            },
            wire,
        )?;
        {
            let mut state = self.lock();
            if state.script.close_fails > 0 {
                state.script.close_fails -= 1;
                return Err(refused(Code::AwsUnreachable, "IAM cannot be reached"));
            }
        }
        self.log(
            Some(id),
            Step::RevokeApplied {
                policy: policy.clone(),
                role: request.role.clone(),
            },
            wire,
        )?;
        if !minted {
            let why = "no session was ever handed out".to_owned();
            let until = request.not_after;
            self.log(Some(id), Step::NotObserved { until, why }, wire)?;
            self.lock().kept.remove(id);
            return Ok(());
        }
        let since = Timestamp::now();
        let observed = Step::RefusalObserved {
            role: request.role.clone(),
            region: request.regions[0].clone(),
            since,
            refusals: 10,
        };
        self.log(Some(id), observed, wire)?;
        let receipt = self.paper.receipt(
            Some(id),
            Outcome::Revoked {
                policy,
                regions: request.regions.clone(),
                refused_since: since,
                refusals: 10,
                targets: Vec::new(),
                not_opened: Vec::new(),
                identity_until: Some(request.not_after),
            },
        );
        self.log(Some(id), Step::Revoked { receipt }, wire)?;
        self.lock().kept.remove(id);
        Ok(())
    }

    pub(super) fn seal(&self, audit: Head, nonce: Bytes, wire: &mut Wire) -> Result<(), End> {
        let offer = self.paper.seal_offer(nonce);
        wire.send(&FromWorker::SealOffer { offer });
        let Some(ToWorker::Credential { .. }) = wire.receive() else {
            return Err(End::Dead);
        };
        let n = self.lock().generation + 1;
        self.generation(None, n, &key_id(n), audit, wire)?;
        self.rotate(None, audit, wire)
    }
}

fn proof() -> Proof {
    Proof {
        at: Timestamp::now(),
        aws_request_id: None,
        aws_date: None,
    }
}
