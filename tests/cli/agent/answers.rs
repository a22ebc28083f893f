//! What it answers to each call, and what that does.

use axum::Json;
use axum::Router;
use axum::extract::{ConnectInfo, Path as Segment, Query, State};
use axum::routing::{get, post};
use rand_core::{OsRng, RngCore as _};
use time::OffsetDateTime;
use twotap::audit::chain::Head as ChainHead;
use twotap::audit::event::{Actor, Event, EventType, Record};
use twotap::protocol::Code;
use twotap::protocol::job::{Approval, Ask, Isolation, Standing};
use twotap::protocol::socket::{
    ApprovalBundle, AuditEnvelope, Close, Credentials, Denial, Person, Progress, RequestView,
    SealBegin, SealBegun, SealFinish, SealFinished, Stage, Status, VaultStatus, VaultView,
};
use twotap::trust::request::{
    CheckResult, Clock, Offer, Request, SealOffer, ShareBinding, request_id, verify_approval,
    verify_denial,
};
use twotap::trust::standing::told;
use twotap::trust::{Bytes, Digest, Signer as _, Timestamp};
use twotap::vault::{AccessKey, SealInput, check_share, open_share, seal};

use super::{Answer, Peer, Shared, World, refuse};

pub(super) fn routes(world: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/vaults/{vault}", get(vault))
        .route("/v1/vaults/{vault}/seal", post(seal_begin))
        .route("/v1/seals/{id}", post(seal_finish))
        .route("/v1/requests", post(request))
        .route("/v1/requests/{id}", get(view))
        .route("/v1/requests/{id}/bundle", get(bundle))
        .route("/v1/requests/{id}/approvals", post(approve))
        .route("/v1/requests/{id}/denials", post(deny))
        .route("/v1/requests/{id}/credentials", get(credentials))
        .route("/v1/requests/{id}/close", post(close))
        .route("/v1/audit/events", get(events))
        .route("/v1/audit/checkpoints", get(checkpoints))
        .route("/v1/audit/envelopes", get(envelopes))
        .with_state(world)
}

fn actor(name: &str) -> Actor {
    Actor::person(name).expect("a name")
}

fn now() -> Timestamp {
    Timestamp::now()
}

async fn status(
    State(world): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Answer<Status> {
    let world = world.lock().expect("nobody panicked");
    let name = world.person(&peer)?;
    let roster = world.roster();
    let roles = roster.person(&name).expect("listed").roles.iter();
    Ok(Json(Status {
        version: "0.1.0".into(),
        you: Person {
            name: name.clone(),
            roles: roles.map(|r| format!("{r:?}").to_lowercase()).collect(),
            ..Person::default()
        },
        head: world.trust_head(),
        vaults: vec![VaultStatus {
            vault: "prod".into(),
            roster_version: 1,
            threshold: 2,
            groups: roster.groups.clone(),
            custodians: roster.custodians().map(|p| p.name.clone()).collect(),
            tokens: roster.tokens.iter().map(|t| told(t, &roster)).collect(),
            generation: world.generation.as_ref().map(|_| 1),
            sealed_at: None,
            rotation: "done".into(),
            watch: "quiet".into(),
            isolation: Isolation::None,
            copies: Vec::new(),
            recovery: None,
            readiness: Default::default(),
        }],
        requests: world.view.iter().cloned().collect(),
        degraded: vec!["the sink 'x\u{1b}[2J' lags".into()],
        sinks: Vec::new(),
        reviews: Vec::new(),
    }))
}

async fn vault(State(world): State<Shared>) -> Answer<VaultView> {
    let world = world.lock().expect("nobody panicked");
    Ok(Json(VaultView {
        host: world.host.public().id(),
        roster_chain: world.chain.clone(),
        manifest: world.generation.as_ref().map(|g| g.manifest.clone()),
    }))
}

async fn seal_begin(
    State(world): State<Shared>,
    Json(begin): Json<SealBegin>,
) -> Answer<SealBegun> {
    let world = world.lock().expect("nobody panicked");
    let offer = SealOffer {
        v: 1,
        vault: "prod".into(),
        roster_sha256: world.roster().digest(),
        host: world.host.public().id(),
        worker_key: world.worker.recipient(),
        nonce: begin.nonce,
    };
    Ok(Json(SealBegun {
        id: "s-1".into(),
        offer: world.signed(&offer),
        roster_chain: world.chain.clone(),
    }))
}

async fn seal_finish(
    State(world): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(finish): Json<SealFinish>,
) -> Answer<SealFinished> {
    let mut world = world.lock().expect("nobody panicked");
    let who = world.person(&peer)?;
    let opened = world
        .worker
        .open(&finish.sealed.0)
        .expect("sealed to the worker");
    let given = AccessKey::parse(&opened).expect("an access key");
    // The rotation that a worker would do with AWS: another key is what ends up sealed.
    let secret = zeroize::Zeroizing::new(given.expose_secret().to_owned());
    let fresh = AccessKey::new(
        given.user_name(),
        "AKIAFRESHFRESHFRESH1",
        secret,
        given.create_date(),
    )
    .expect("a key");
    let roster = world.roster();
    let input = SealInput {
        vault: "prod",
        generation: 1,
        credential: &fresh,
        roster: &roster,
        previous: None,
        audit: world.trust_head(),
        created_at: now(),
        host_key_id: world.host.public().id(),
    };
    let generation = seal(&input, &world.host, &mut OsRng).expect("sealed");
    let manifest = generation.manifest.clone();
    world.generation = Some(generation);
    let event = Event::new(EventType::VaultSealed, actor(&who));
    world.record(event.envelope("manifest", manifest.to_json()));
    Ok(Json(SealFinished {
        generation: 1,
        access_key_id: fresh.id().to_owned(),
        manifest,
        progress: vec![Progress {
            at: now(),
            step: "key_deleted".into(),
            text: "the old key was deleted".into(),
        }],
    }))
}

async fn request(
    State(world): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(ask): Json<Ask>,
) -> Answer<RequestView> {
    let mut world = world.lock().expect("nobody panicked");
    let operator = world.person(&peer)?;
    let roster = world.roster();
    let access = roster.access(&ask.access).expect("listed").clone();
    let manifest = world.generation.as_ref().expect("sealed").manifest.clone();
    let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}".to_owned();
    let mut nonce = vec![0; 16];
    OsRng.fill_bytes(&mut nonce);
    let at = now();
    // What would be refused is offered all the same: the operator's program has to see it.
    let usual = roster.terms(&ask.declared(&operator)).map(|t| t.usual());
    let seconds = ask
        .duration_seconds
        .unwrap_or(usual.unwrap_or(access.default_seconds));
    let scenario = ask.scenario.as_deref().and_then(|s| roster.scenario(s));
    let passed = |check: &twotap::trust::roster::Check| CheckResult {
        name: check.name.clone(),
        required: check.required,
        passed: true,
        output: String::new(),
    };
    let checks = scenario.map_or(Vec::new(), |s| s.checks.iter().map(passed).collect());
    let mut request = Request {
        v: 1,
        id: request_id(u128::from(OsRng.next_u64())),
        vault: ask.vault,
        generation: 1,
        operator: operator.clone(),
        host: world.host.public().id(),
        account: access.account,
        role: access.role_arn,
        access: access.name,
        also: Vec::new(),
        secrets: Vec::new(),
        purpose: twotap::trust::request::Purpose::Open,
        policy_sha256: Digest::of(policy.as_bytes()),
        regions: access.regions,
        not_before: at,
        approve_before: at.plus(1800.min(i64::from(seconds))),
        not_after: at.plus(seconds.into()),
        clock: Clock::Host,
        incident: ask.incident.clone(),
        reason: ask.reason.clone(),
        commander_claimed: ask.commander,
        scenario: ask.scenario,
        subject: ask.subject,
        confirmed: ask.confirmed,
        follows: ask.follows,
        checks,
        roster_sha256: roster.digest(),
        manifest_sha256: manifest.digest(),
        audit: world.trust_head(),
        worker_key: world.worker.recipient(),
        nonce: Bytes(nonce),
        operator_nonce: ask.nonce,
    };
    if let Some(lie) = world.lie {
        lie(&mut request);
    }
    let id = request.id.clone();
    let offer = world.signed(&Offer(request));
    let event = Event::new(EventType::BreakGlassRequested, actor(&operator))
        .correlation(&id)
        .incident(ask.incident)
        .justification(ask.reason)
        .envelope("offer", offer.to_json());
    world.record(event);
    world.shares.clear();
    world.view = Some(RequestView {
        next_roster: None,
        id,
        stage: Stage::Requested,
        standing: Standing::Waiting,
        offer,
        manifest,
        roster_chain: world.chain.clone(),
        policy,
        approved_by: Vec::new(),
        denied_by: Vec::new(),
        evidence: Vec::new(),
        epochs: Vec::new(),
        commander: None,
        people: Vec::new(),
        threshold: 2,
        progress: Vec::new(),
        outcome: None,
        targets: Vec::new(),
        identity_until: None,
        setback: None,
        recordings: Vec::new(),
        secrets: Vec::new(),
        delivered: None,
        review: None,
    });
    let mut view = world.current().clone();
    if let Some(lie) = &world.view_lie {
        lie(&mut view);
    }
    Ok(Json(view))
}

async fn view(State(world): State<Shared>, Segment(id): Segment<String>) -> Answer<RequestView> {
    let mut world = world.lock().expect("nobody panicked");
    let view = world.view.as_mut().filter(|v| v.id == id);
    let view = view.ok_or_else(|| refuse(Code::Usage, "there is no such request"))?;
    let mut answer = view.clone();
    // Closing takes one look.
    if view.stage == Stage::Closing {
        view.stage = Stage::Closed;
        view.outcome = Some("revoked, and seen refused in eu-central-1".into());
        view.progress.push(Progress {
            at: now(),
            step: "revoked".into(),
            text: "refused 10 times in a row".into(),
        });
    }
    if let Some(lie) = &world.view_lie {
        lie(&mut answer);
    }
    Ok(Json(answer))
}

async fn bundle(
    State(world): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Answer<ApprovalBundle> {
    let world = world.lock().expect("nobody panicked");
    let name = world.person(&peer)?;
    let generation = world.generation.as_ref().expect("sealed");
    let share = generation
        .share(&name)
        .ok_or_else(|| refuse(Code::Refused, "you are no custodian"))?;
    let view = world.current();
    let mut bundle = ApprovalBundle {
        next_roster: None,
        agent_says: Vec::new(),
        epochs: Vec::new(),
        offer: view.offer.clone(),
        manifest: view.manifest.clone(),
        roster_chain: view.roster_chain.clone(),
        share: Bytes(share.to_vec()),
    };
    if let Some(lie) = &world.bundle_lie {
        lie(&mut bundle);
    }
    Ok(Json(bundle))
}

async fn approve(
    State(world): State<Shared>,
    Json(approval): Json<Approval>,
) -> Answer<RequestView> {
    let mut world = world.lock().expect("nobody panicked");
    world.handed_in += 1;
    let roster = world.roster();
    let view = world.current().clone();
    let offer = Offer::verify(&view.offer, &roster).expect("our own offer");
    let token = verify_approval(&approval.approval, &offer, &roster)
        .map_err(|why| refuse(Code::Tampering, &why.to_string()))?;
    let manifest =
        twotap::trust::manifest::Manifest::verify(&view.manifest, &roster).expect("ours");
    let binding = ShareBinding {
        request_sha256: offer.digest(),
        manifest_sha256: manifest.digest(),
    };
    let share = open_share(&world.worker, &approval.sealed_share.0, &binding)
        .map_err(|why| refuse(Code::Tampering, &why.to_string()))?;
    check_share(&manifest, &token.person, &share)
        .map_err(|why| refuse(Code::Tampering, &why.to_string()))?;
    let event = Event::new(EventType::BreakGlassApproved, actor(&token.person))
        .correlation(&view.id)
        .envelope("approval", approval.approval.to_json());
    world.record(event);
    world.shares.push(token.person.clone());
    let view = world.view.as_mut().expect("there");
    view.approved_by.push(token.person);
    if view.approved_by.len() == 2 {
        view.stage = Stage::Open;
        view.standing = Standing::Approved;
    }
    let answer = view.clone();
    let head = world.head;
    let origin = world.host.public().id().to_string();
    let note = world
        .checkpoint
        .sign(&origin, &head, OffsetDateTime::now_utc())
        .expect("a checkpoint");
    let event = Event::new(EventType::Checkpoint, Actor::agent());
    world.record(event.detail("note", note));
    Ok(Json(answer))
}

async fn deny(State(world): State<Shared>, Json(denial): Json<Denial>) -> Answer<RequestView> {
    let mut world = world.lock().expect("nobody panicked");
    world.handed_in += 1;
    let roster = world.roster();
    let offer = Offer::verify(&world.current().offer, &roster).expect("our own offer");
    let (token, denied) = verify_denial(&denial.denial, &offer, &roster)
        .map_err(|why| refuse(Code::Tampering, &why.to_string()))?;
    let view = world.view.as_mut().expect("there");
    view.denied_by.push((token.person, denied.reason));
    view.stage = Stage::Denied;
    Ok(Json(view.clone()))
}

async fn credentials(
    State(world): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Answer<Credentials> {
    let world = world.lock().expect("nobody panicked");
    let name = world.person(&peer)?;
    let view = world.current();
    let Offer(request) = view.offer.unverified().expect("our own offer");
    if name != request.operator || view.stage != Stage::Open {
        return Err(refuse(
            Code::Refused,
            "this session is not yours, or not open",
        ));
    }
    Ok(Json(Credentials {
        version: 1,
        access_key_id: "ASIAEXAMPLEEXAMPLE11".into(),
        secret_access_key: zeroize::Zeroizing::new("session-secret".into()),
        session_token: zeroize::Zeroizing::new("session-token".into()),
        expiration: request.not_after,
    }))
}

async fn close(
    State(world): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(close): Json<Close>,
) -> Answer<RequestView> {
    let mut world = world.lock().expect("nobody panicked");
    world.person(&peer)?;
    world.forced = close.force;
    let view = world.view.as_mut().expect("there");
    view.stage = Stage::Closing;
    view.progress.push(Progress {
        at: now(),
        step: "revoke_applied".into(),
        text: "the revocation policy stands".into(),
    });
    Ok(Json(view.clone()))
}

#[derive(serde::Deserialize)]
struct Range {
    from: u64,
    limit: usize,
}

async fn events(State(world): State<Shared>, Query(range): Query<Range>) -> Vec<u8> {
    let world = world.lock().expect("nobody panicked");
    page(&world, &range)
        .flat_map(|line| [line.as_slice(), b"\n"].concat())
        .collect()
}

async fn checkpoints(State(world): State<Shared>) -> String {
    let world = world.lock().expect("nobody panicked");
    let origin = world.host.public().id().to_string();
    let sign = |head: &ChainHead| {
        let now = OffsetDateTime::now_utc();
        world
            .checkpoint
            .sign(&origin, head, now)
            .expect("a checkpoint")
    };
    let first = world
        .lines
        .first()
        .map(|line| ChainHead::default().after(line));
    let notes: Vec<String> = first.iter().chain([&world.head]).map(sign).collect();
    notes.join("\n")
}

async fn envelopes(State(world): State<Shared>, Query(range): Query<Range>) -> Vec<u8> {
    let world = world.lock().expect("nobody panicked");
    let mut body = Vec::new();
    for line in page(&world, &range) {
        let record = Record::parse(line).expect("our own line");
        for reference in record.envelopes {
            let sha256 = reference.sha256.to_string();
            let envelope = AuditEnvelope {
                seq: record.seq,
                kind: reference.kind,
                sha256: Digest(*reference.sha256.as_bytes()),
                body: Bytes(world.envelopes[&sha256].clone()),
            };
            serde_json::to_writer(&mut body, &envelope).expect("json");
            body.push(b'\n');
        }
    }
    body
}

/// Small pages, so that several are needed.
fn page<'w>(world: &'w World, range: &Range) -> impl Iterator<Item = &'w Vec<u8>> {
    let from = usize::try_from(range.from - 1).expect("small");
    world.lines.iter().skip(from).take(range.limit.min(2))
}
