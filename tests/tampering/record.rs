//! A whole incident's record with every kind of envelope, signed by keys in software; and what both verifiers say of it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};

use serde::Deserialize;
use time::{Duration, OffsetDateTime, macros::datetime};
use twotap::{
    audit::{
        chain::{Hash, Head},
        checkpoint::CheckpointKey,
        event::{Actor, Event, EventType, Place},
        signed::{Brought, Chains, Checked, Rosters, verify_signed},
        verify::{Copy, Evidence, Problem, Report, Source, verify},
    },
    trust::{
        Digest, Envelope, PublicKey, Signer as _, Timestamp,
        manifest::Manifest,
        receipt::{Outcome, Proof, ProvenBy},
        request::Offer,
        roster::Roster,
    },
};

use crate::paper::{Paper, Times, ask};

pub(crate) const BEGAN: OffsetDateTime = datetime!(2026-01-06 10:00:00.123 UTC);

/// Who signs: people, the host's worker, and the agent.
pub(crate) struct Signers {
    pub(crate) paper: Paper,
    pub(crate) checkpoint: CheckpointKey,
    pub(crate) origin: String,
    _folder: tempfile::TempDir,
}

impl Signers {
    pub(crate) fn new() -> Self {
        Self::under(|_| {})
    }

    /// Under a roster that the case changes.
    pub(crate) fn under(change: impl FnOnce(&mut Roster)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoint = CheckpointKey::open_or_create(&folder.path().join("key"), "host-1")
            .unwrap_or_else(|why| panic!("{why}"));
        let public = PublicKey::Ed25519(*checkpoint.public().key());
        let paper = Paper::of(&["alice", "bob"], |roster, _| {
            roster.hosts[0].checkpoint_key = public;
            change(roster);
        });
        let origin = paper.host.public().id().to_string();
        Self {
            paper,
            checkpoint,
            origin,
            _folder: folder,
        }
    }

    /// What the agent signs of a head.
    pub(crate) fn note(&self, head: Head) -> String {
        let note = self.checkpoint.sign(&self.origin, &head, BEGAN);
        note.expect("signed")
    }
}

/// A record as it travels.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) lines: Vec<Vec<u8>>,
    /// What the file has, where it is not simply the lines.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) envelopes: BTreeMap<String, Vec<u8>>,
    pub(crate) rosters: Chains,
    pub(crate) verified: Arc<Rosters>,
    /// The newest checkpoint, beside the lines.
    pub(crate) note: String,
}

/// Writes a record event by event.
pub(crate) struct Writer {
    pub(crate) bundle: Bundle,
    pub(crate) head: Head,
    /// The host that its lines name.
    pub(crate) host: String,
    now: OffsetDateTime,
}

impl Writer {
    pub(crate) fn new(signers: &Signers) -> Self {
        let rosters = Chains::from([("prod".to_owned(), signers.paper.chain.clone())]);
        Self {
            bundle: Bundle {
                lines: Vec::new(),
                bytes: None,
                envelopes: BTreeMap::new(),
                verified: Arc::new(Rosters::verify(&rosters).expect("good rosters")),
                rosters,
                note: String::new(),
            },
            head: Head::default(),
            host: "bg-1".to_owned(),
            now: BEGAN,
        }
    }

    /// The head as documents carry it.
    fn seen(&self) -> twotap::trust::Head {
        twotap::trust::Head {
            seq: self.head.seq,
            hash: Digest(*self.head.hash.as_bytes()),
        }
    }

    pub(crate) fn add(&mut self, event: Event) {
        self.now += Duration::milliseconds(1250);
        let place = Place {
            host: Some(self.host.clone()),
            ..Place::default()
        };
        let line = event.place(place).line_after(&self.head, self.now);
        let line = line.expect("a line");
        for envelope in twotap::audit::event::Record::parse(&line)
            .expect("our own")
            .envelopes
        {
            assert!(
                self.bundle
                    .envelopes
                    .contains_key(&envelope.sha256.to_string())
            );
        }
        self.head = self.head.after(&line);
        self.bundle.lines.push(line);
    }

    fn with(&mut self, event: Event, kind: &str, envelope: &Envelope) {
        let json = envelope.to_json();
        let digest = Hash::of(json.as_bytes()).to_string();
        self.bundle
            .envelopes
            .insert(digest, json.clone().into_bytes());
        self.add(event.envelope(kind, json));
    }

    pub(crate) fn checkpoint(&mut self, signers: &Signers) {
        let note = signers.note(self.head);
        self.carry(&note);
    }

    /// A checkpoint over the newest event, whoever has signed it.
    pub(crate) fn carry(&mut self, note: &str) {
        let event = Event::new(EventType::Checkpoint, Actor::agent())
            .who("host-1")
            .detail("seq", self.head.seq)
            .detail("hash", self.head.hash.to_string())
            .detail("note", note);
        self.add(event);
    }

    /// The next version of the roster counts from here on.
    pub(crate) fn change_roster(&mut self, signers: &Signers) {
        self.next_roster(signers, |roster| roster.access[0].max_seconds -= 3600);
    }

    /// The same with what the case changes in it.
    pub(crate) fn next_roster(&mut self, signers: &Signers, change: impl FnOnce(&mut Roster)) {
        let mut chain = self.bundle.rosters["prod"].clone();
        let next = signers.paper.version_after(&chain, change);
        let event = Event::new(EventType::RosterChanged, Actor::agent()).detail("vault", "prod");
        self.with(event, "roster", &next);
        chain.push(next);
        let rosters = Chains::from([("prod".to_owned(), chain)]);
        self.bundle.verified = Arc::new(Rosters::verify(&rosters).expect("good rosters"));
        self.bundle.rosters = rosters;
    }

    /// A session is asked for under the first version of the roster, approved by both, and opened; the event that opens it.
    pub(crate) fn open_again(&mut self, signers: &Signers) -> u64 {
        let paper = &signers.paper;
        let times = Times {
            approve: 1800,
            session: 3600,
        };
        let manifest = paper.manifest(1, "AKIA0000000000000001", self.seen());
        let offer = paper.offer(&ask(), "dana", self.seen(), times, &manifest);
        let Offer(request) = offer.unverified().expect("an offer");
        let of = |kind, actor| Event::new(kind, actor).correlation(request.id.as_str());
        let asked = of(EventType::BreakGlassRequested, person("dana")).incident("INC-42");
        self.with(asked, "offer", &offer);
        for name in ["alice", "bob"] {
            let approved = of(EventType::BreakGlassApproved, person(name));
            self.with(approved, "approval", &paper.approval(&offer, name));
        }
        self.add(of(EventType::BreakGlassAccess, person("dana")));
        self.head.seq
    }

    /// Ends it with a checkpoint that is kept beside it.
    pub(crate) fn done(mut self, signers: &Signers) -> Bundle {
        self.bundle.note = signers.note(self.head);
        self.bundle
    }
}

fn person(name: &str) -> Actor {
    Actor::person(name).expect("a name")
}

/// Sealed, asked for, approved by two, opened, rotated, closed; and one that both denied.
pub(crate) fn incident(signers: &Signers) -> Writer {
    approved_by(signers, &["alice", "bob"])
}

/// The same, with the approvals of these people alone in the record.
pub(crate) fn approved_by(signers: &Signers, people: &[&str]) -> Writer {
    let paper = &signers.paper;
    let mut book = Writer::new(signers);
    let started = || {
        Event::new(EventType::AgentStarted, Actor::agent())
            .detail("version", "0.1.0")
            .detail("checkpoint_every_seconds", 3600)
    };
    book.add(started());
    book.checkpoint(signers);
    let signed = Event::new(EventType::RosterSigned, Actor::agent()).detail("vault", "prod");
    book.with(signed, "roster", &paper.chain[0]);
    let sealed = |generation: u64| {
        Event::new(EventType::VaultSealed, Actor::agent())
            .detail("vault", "prod")
            .detail("generation", generation)
    };
    let first = paper.manifest(1, "AKIA0000000000000001", book.seen());
    book.with(sealed(1), "manifest", &first);
    book.checkpoint(signers);

    let times = Times {
        approve: 1800,
        session: 3600,
    };
    let of = |kind, actor, id: &str| {
        Event::new(kind, actor)
            .correlation(id)
            .incident("INC-42")
            .detail("vault", "prod")
    };
    let ask = ask();
    let offer = paper.offer(&ask, "dana", book.seen(), times, &first);
    let Offer(request) = offer.unverified().expect("an offer");
    let id = request.id;
    let asked = of(EventType::BreakGlassRequested, person("dana"), &id);
    let asked = asked.justification("für alle: \"nichts geht\" – die Anmeldung ist weg");
    book.with(asked, "offer", &offer);
    for name in people {
        let approved = of(EventType::BreakGlassApproved, person(name), &id);
        book.with(approved, "approval", &paper.approval(&offer, name));
    }
    book.add(of(EventType::MintIntent, Actor::agent(), &id));
    book.add(of(EventType::BreakGlassAccess, person("dana"), &id));

    let mut second: Manifest = first.unverified().expect("a manifest");
    second.generation = 2;
    second.access_key_id = "AKIA0000000000000002".to_owned();
    second.previous = Some(first.digest());
    second.audit = book.seen();
    let second = Envelope::signed(&second, &paper.host).expect("signed");
    book.with(sealed(2), "manifest", &second);
    let proof = Proof {
        at: Timestamp::now(),
        aws_request_id: None,
        aws_date: None,
    };
    let rotated = Outcome::Rotated {
        old_access_key_id: "AKIA0000000000000001".to_owned(),
        new_access_key_id: "AKIA0000000000000002".to_owned(),
        generation: 2,
        manifest_sha256: second.digest(),
        previous_manifest_sha256: Some(first.digest()),
        new_key_worked: proof.clone(),
        counts_since: Timestamp::now(),
        old_key_refused: proof.clone(),
        proven_by: ProvenBy::Itself,
        old_key_deleted: Some(proof),
    };
    let rotated = paper.receipt(Some(&id), rotated);
    let event = of(EventType::CredentialRotated, Actor::agent(), &id);
    book.with(event, "receipt", &rotated);
    book.add(of(EventType::SessionClosed, person("dana"), &id));
    let revoked = Outcome::Revoked {
        policy: format!("twotap-revoke-{id}"),
        regions: vec!["eu-central-1".to_owned()],
        refused_since: Timestamp::now(),
        refusals: 10,
        targets: Vec::new(),
        not_opened: Vec::new(),
        identity_until: None,
    };
    let revoked = paper.receipt(Some(&id), revoked);
    let event = of(EventType::SessionRevoked, Actor::agent(), &id);
    book.with(event, "receipt", &revoked);
    book.checkpoint(signers);

    let offer = paper.offer(&ask, "dana", book.seen(), times, &second);
    let Offer(request) = offer.unverified().expect("an offer");
    let asked = of(EventType::BreakGlassRequested, person("dana"), &request.id);
    book.with(asked, "offer", &offer);
    for name in ["alice", "bob"] {
        let denied = of(EventType::BreakGlassDenied, person(name), &request.id);
        book.with(denied, "deny", &paper.denial(&offer, name));
    }
    book
}

/// What a verifier says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) events: u64,
    /// The newest event that a checkpoint proves.
    pub(crate) proven: u64,
    /// The first event concerned.
    pub(crate) bad: Option<u64>,
}

impl Bundle {
    pub(crate) fn file(&self) -> Vec<u8> {
        self.bytes.clone().unwrap_or_else(|| {
            self.lines
                .iter()
                .flat_map(|line| line.iter().copied().chain([b'\n']))
                .collect()
        })
    }

    pub(crate) fn checked(&self, copies: &[Copy], held: &[String]) -> Checked {
        let find = |hash: &Hash| self.envelopes.get(&hash.to_string()).cloned();
        let mut checkpoints = held.to_vec();
        checkpoints.push(self.note.clone());
        let brought = Brought {
            checkpoints: &checkpoints,
            copies,
            envelopes: Some(&find),
            ..Brought::default()
        };
        verify_signed(&self.file()[..], &self.verified, &brought).expect("read from memory")
    }

    /// What we say of it, with every signature in it.
    pub(crate) fn verdict(&self) -> (Verdict, Vec<Problem>) {
        Self::told(self.checked(&[], &[]).report)
    }

    /// The same without the signatures in envelopes: chain, checkpoints, and that each envelope is the one that its line names.
    pub(crate) fn verdict_of_lines(&self) -> (Verdict, Vec<Problem>) {
        let (keys, hosts) = (self.verified.checkpoint_keys(), self.verified.hosts());
        let find = |hash: &Hash| self.envelopes.get(&hash.to_string()).cloned();
        let evidence = Evidence {
            keys: &keys,
            hosts: Some(&hosts),
            checkpoints: std::slice::from_ref(&self.note),
            envelopes: Some(&find),
            ..Evidence::default()
        };
        Self::told(verify(&self.file()[..], &evidence, &mut |_| Ok(None)).expect("read"))
    }

    fn told(report: Report) -> (Verdict, Vec<Problem>) {
        let proofs = report.proofs.iter();
        let by_notes = proofs.filter(|p| p.source == Source::Checkpoint);
        let verdict = Verdict {
            events: report.events,
            proven: by_notes.map(|p| p.seq).max().unwrap_or(0),
            bad: report.first_problem().map(Problem::seq),
        };
        (verdict, report.problems)
    }

    /// Writes it as an export.
    pub(crate) fn write(&self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join("envelopes")).expect("a folder");
        fs::write(folder.join("events.jsonl"), self.file()).expect("written");
        fs::write(folder.join("checkpoint.note"), &self.note).expect("written");
        let rosters = serde_json::to_vec(&self.rosters).expect("json");
        fs::write(folder.join("rosters.json"), rosters).expect("written");
        for (digest, body) in &self.envelopes {
            let path = folder.join("envelopes").join(format!("{digest}.json"));
            fs::write(path, body).expect("written");
        }
    }
}

/// `packaging/verify.py` in a Python of its own, which is asked again and again.
pub(crate) struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    /// What lies in the folder, so that only what changed is written.
    there: Option<Bundle>,
}

#[derive(Deserialize)]
struct Answer {
    events: u64,
    proven: u64,
    bad: Option<(u64, String)>,
}

impl Python {
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .arg("-I")
            .arg("-B")
            .arg(root.join("tests/tampering/peer.py"))
            .arg(root.join("packaging"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        Self {
            to: child.stdin.take().expect("piped"),
            from: BufReader::new(child.stdout.take().expect("piped")),
            child,
            folder: tempfile::tempdir().expect("a folder"),
            there: None,
        }
    }

    /// What it says of a record.
    pub(crate) fn verdict(&mut self, bundle: &Bundle) -> (Verdict, String) {
        let folder = self.folder.path().join("export");
        match &self.there {
            Some(there) if there.envelopes == bundle.envelopes => {
                fs::write(folder.join("events.jsonl"), bundle.file()).expect("written");
                fs::write(folder.join("checkpoint.note"), &bundle.note).expect("written");
            }
            _ => bundle.write(&folder),
        }
        self.there = Some(bundle.clone());
        writeln!(self.to, "{}", folder.display()).expect("it reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        let answer: Answer =
            serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line:?}"));
        let verdict = Verdict {
            events: answer.events,
            proven: answer.proven,
            bad: answer.bad.as_ref().map(|(seq, _)| *seq),
        };
        (verdict, answer.bad.map_or_else(String::new, |(_, why)| why))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
