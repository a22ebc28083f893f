//! A stand-in for the agent at the wire: the routes of `protocol::socket`, with everything behind them real but AWS and the store.
//!
//! It seals with the vault module, signs offers with a host key, opens the shares that custodians send, and keeps a record in memory.

#[path = "agent/answers.rs"]
mod answers;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Json;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use ed25519_dalek::Signer as _;
use rand_core::OsRng;
use time::OffsetDateTime;
use tokio::net::UnixListener;
use twotap::audit::chain::Head as ChainHead;
use twotap::audit::checkpoint::CheckpointKey;
use twotap::audit::event::Event;
use twotap::protocol::socket::{ApprovalBundle, RequestView};
use twotap::protocol::{Code, Problem};
use twotap::trust::request::Request;
use twotap::trust::roster::{Roster, verify_chain};
use twotap::trust::{Digest, Document, Envelope, Head, PublicKey, Signer, Verified};
use twotap::vault::{Generation, OneTime};

/// A host's signing key.
pub(crate) struct HostKey(ed25519_dalek::SigningKey);

impl HostKey {
    pub(crate) fn new() -> Self {
        Self(ed25519_dalek::SigningKey::generate(&mut OsRng))
    }
}

impl Signer for HostKey {
    fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }
}

/// What the agent knows and what was done to it. Tests look at it and change it.
pub(crate) struct World {
    pub(crate) host: HostKey,
    checkpoint: CheckpointKey,
    pub(crate) chain: Vec<Envelope>,
    worker: OneTime,
    pub(crate) generation: Option<Generation>,
    pub(crate) view: Option<RequestView>,
    /// Names of those whose shares were opened and fit.
    pub(crate) shares: Vec<String>,
    /// How many votes came in, good or not.
    pub(crate) handed_in: usize,
    /// Applied to an offer before it is signed: a host that lies.
    pub(crate) lie: Option<fn(&mut Request)>,
    /// Applied to what a custodian gets: an agent that lies.
    pub(crate) bundle_lie: Option<BundleLie>,
    /// Applied to what the operator gets.
    pub(crate) view_lie: Option<ViewLie>,
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) envelopes: HashMap<String, Vec<u8>>,
    pub(crate) head: ChainHead,
    pub(crate) forced: bool,
}

/// What an agent does to the papers that it hands on.
pub(crate) type BundleLie = Box<dyn Fn(&mut ApprovalBundle) + Send>;
pub(crate) type ViewLie = Box<dyn Fn(&mut RequestView) + Send>;

type Shared = Arc<Mutex<World>>;

/// A running stand-in; ends with the test's process.
pub(crate) struct Agent {
    pub(crate) world: Shared,
    pub(crate) socket: PathBuf,
}

impl Agent {
    /// Starts it on a socket in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let checkpoint = CheckpointKey::open_or_create(&folder.join("checkpoint.key"), "host-1")
            .expect("a checkpoint key");
        let world = Arc::new(Mutex::new(World {
            host: HostKey::new(),
            checkpoint,
            chain: Vec::new(),
            worker: OneTime::generate(),
            generation: None,
            view: None,
            shares: Vec::new(),
            handed_in: 0,
            lie: None,
            bundle_lie: None,
            view_lie: None,
            lines: Vec::new(),
            envelopes: HashMap::new(),
            head: ChainHead::default(),
            forced: false,
        }));
        let socket = folder.join("agent.sock");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&socket).expect("a socket")
        };
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).expect("mode");
        let service =
            answers::routes(Arc::clone(&world)).into_make_service_with_connect_info::<Peer>();
        std::thread::spawn(move || {
            let _ = runtime.block_on(async { axum::serve(listener, service).await });
        });
        Self { world, socket }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panicked")
    }

    /// `host.pub`, as `twotapd keys` prints it.
    pub(crate) fn host_pub(&self) -> String {
        let world = self.world();
        let checkpoint = PublicKey::Ed25519(*world.checkpoint.public().key());
        serde_json::json!({
            "name": "host-1", "key": world.host.public(), "checkpoint_key": checkpoint,
        })
        .to_string()
    }
}

/// The uid at the other end.
#[derive(Clone)]
struct Peer(u32);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().expect("a peer").uid())
    }
}

struct Refusal(StatusCode, Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

fn refuse(code: Code, error: &str) -> Refusal {
    Refusal(
        StatusCode::FORBIDDEN,
        Problem::new(code, error).hint("as the agent says"),
    )
}

type Answer<T> = Result<Json<T>, Refusal>;

impl World {
    fn roster(&self) -> Verified<Roster> {
        let mut chain = verify_chain(&self.chain).expect("a good chain");
        chain.pop().expect("not empty")
    }

    fn person(&self, peer: &Peer) -> Result<String, Refusal> {
        let roster = self.roster();
        roster
            .person_at(self.host.public().id(), peer.0)
            .map(|p| p.name.clone())
            .ok_or_else(|| refuse(Code::Refused, "you are nobody here"))
    }

    fn trust_head(&self) -> Head {
        Head {
            seq: self.head.seq,
            hash: Digest(*self.head.hash.as_bytes()),
        }
    }

    pub(crate) fn record(&mut self, event: Event) {
        let line = event
            .line_after(&self.head, OffsetDateTime::now_utc())
            .expect("a good event");
        for envelope in event.envelopes() {
            self.envelopes
                .insert(envelope.sha256().to_string(), envelope.body.clone());
        }
        self.head = self.head.after(&line);
        self.lines.push(line);
    }

    fn signed<D: Document>(&self, document: &D) -> Envelope {
        Envelope::signed(document, &self.host).expect("a good document")
    }

    fn current(&self) -> &RequestView {
        self.view.as_ref().expect("a request was made")
    }
}
