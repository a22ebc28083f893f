//! The wire between the code under test and the emulator: our own proxy, on its own loopback port.
//!
//! It passes bytes on as they came (the `Host` header too, so that signatures stay valid), records every call, and
//! by [`Rule`] loses, delays, holds, repeats, reorders, cuts or refuses. It adds what the emulator lacks of AWS: limits, quotas, the
//! echo of SourceIdentity, keys that are not known at once, and the shipped policies' own conditions (`guard`). Root keys
//! and unsigned calls, which the emulator trusts, are refused.

mod call;
mod conditions;
mod guard;
mod limits;
mod reply;
mod rules;
mod secrets;
mod trail;
mod wire;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::oneshot;

pub use call::Call;
pub use guard::{Role, Shipped};
pub use rules::{Fault, Gate, Keep, Rule, When};
pub use secrets::Function;

use crate::client::{Client, Credentials};
use crate::trail::{BypassForm, Trail};
use crate::{RigError, emulator};

/// How long a key that was just made stays unknown to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLag {
    /// It is known at once.
    None,
    /// The first so many calls signed by it are refused.
    Calls(u32),
    /// Calls signed by it are refused for so long.
    For(Duration),
}

/// A running proxy; it stops when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// What the handle and the serving thread share.
struct Shared {
    emulator: SocketAddr,
    account: String,
    admin: Client,
    shipped: Shipped,
    state: Mutex<State>,
    changed: Condvar,
    /// Told how long the door is to be shut.
    shut: tokio::sync::Notify,
    /// Held for writing while a key is made, so that two requests cannot both find room for one key.
    making_keys: tokio::sync::RwLock<()>,
    /// Held for writing while a secret's labels are put right, so that nobody sees them in between.
    rotating: tokio::sync::RwLock<()>,
}

struct State {
    calls: Vec<Call>,
    /// Calls before this one are no longer shown.
    shown_from: usize,
    rules: Vec<Rule>,
    /// Calls that the next one overtakes.
    overtaken: Vec<wire::Late>,
    lag: KeyLag,
    /// Keys that are not known yet.
    new_keys: HashMap<String, NewKey>,
    /// Sessions made through this proxy.
    sessions: HashMap<String, guard::Session>,
    /// For how long nobody is to listen.
    shut_for: Option<Duration>,
    /// AWS's clock minus the host's.
    clock_offset: time::Duration,
    /// Rotation functions of secrets.
    functions: secrets::Functions,
    /// Uses of keys that are told as the newest, whatever came over this wire.
    told_uses: HashMap<String, Used>,
    /// What CloudTrail has written.
    trail: Trail,
    /// Faults of the rig itself, which fail the case that asks for them.
    broken: Vec<String>,
}

/// A use of a key, as AWS tells it.
#[derive(Clone)]
struct Used {
    at: OffsetDateTime,
    region: String,
    service: String,
}

struct NewKey {
    refusals_left: u32,
    unknown_until: Instant,
}

impl Proxy {
    /// Starts a proxy before the emulator at `emulator`, for one `account`, whose principals' shipped policies are
    /// `shipped`.
    pub fn start(emulator: SocketAddr, account: &str, shipped: Shipped) -> Result<Self, RigError> {
        let failed = |error: std::io::Error| RigError::new(format!("the proxy: {error}"));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let shared = Arc::new(Shared {
            emulator,
            account: account.to_owned(),
            admin: emulator::admin(emulator, account),
            shipped,
            state: Mutex::new(State {
                calls: Vec::new(),
                shown_from: 0,
                rules: Vec::new(),
                overtaken: Vec::new(),
                lag: KeyLag::None,
                new_keys: HashMap::new(),
                sessions: HashMap::new(),
                shut_for: None,
                clock_offset: time::Duration::ZERO,
                functions: secrets::Functions::new(),
                told_uses: HashMap::new(),
                trail: Trail::default(),
                broken: Vec::new(),
            }),
            changed: Condvar::new(),
            shut: tokio::sync::Notify::new(),
            making_keys: tokio::sync::RwLock::new(()),
            rotating: tokio::sync::RwLock::new(()),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || runtime.block_on(wire::serve(shared, listener, stopped))
        });
        Ok(Self {
            address,
            shared,
            stop: Some(stop),
            serving: Some(serving),
        })
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The proxy as an SDK's endpoint URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a rule; the first rule that hits a call decides.
    pub fn add(&self, rule: Rule) {
        self.shared.lock().rules.push(rule);
    }

    /// Takes all rules away.
    pub fn clear_rules(&self) {
        self.shared.lock().rules.clear();
    }

    /// The actions of rules that have hit nothing yet; a case whose faults all happened ends by checking that it is empty.
    pub fn idle_rules(&self) -> Vec<String> {
        let state = self.shared.lock();
        let idle = state.rules.iter().filter_map(Rule::idle);
        idle.map(str::to_owned).collect()
    }

    /// How long keys that are made from now on stay unknown.
    pub fn set_key_lag(&self, lag: KeyLag) {
        self.shared.lock().lag = lag;
    }

    /// AWS's clock, as seen in the `Date` header, from now on runs so many seconds ahead of the host's.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.shared.lock().clock_offset = time::Duration::seconds(seconds);
    }

    /// What the rotation function of a secret (by its ARN) does from now on, and the value that it puts when it succeeds.
    pub fn set_function(&self, secret: &str, function: Function, next: serde_json::Value) {
        let mut state = self.shared.lock();
        state.functions.insert(secret.to_owned(), (function, next));
    }

    /// From now on AWS says that this key was used last then (seconds from now), there and so: a use that lies far back, or far on.
    pub fn tell_last_use(&self, access_key_id: &str, seconds: i64, region: &str, service: &str) {
        let used = Used {
            at: OffsetDateTime::now_utc() + time::Duration::seconds(seconds),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        let mut state = self.shared.lock();
        state.told_uses.insert(access_key_id.to_owned(), used);
    }

    /// Every call since the record was last cleared, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.calls_of("*")
    }

    /// The calls of one action since the record was last cleared; `action` as in [`Rule::new`].
    pub fn calls_of(&self, action: &str) -> Vec<Call> {
        self.shared.lock().shown(action).cloned().collect()
    }

    /// Every access key that was made over this wire, with its secret; also those whose calls are no longer shown.
    pub fn keys_made(&self) -> Vec<Credentials> {
        let made = |call: &&Call| call.action == "iam:CreateAccessKey" && call.error.is_none();
        let state = self.shared.lock();
        let replies = state.calls.iter().filter(made).map(|call| &call.reply);
        replies
            .filter_map(|reply| Credentials::of_xml(reply))
            .collect()
    }

    /// Empties the record; rules keep their counts. Calls under way at this moment are not shown later either.
    pub fn clear_calls(&self) {
        let mut state = self.shared.lock();
        state.shown_from = state.calls.len();
    }

    /// Waits until `count` calls of `action` have been answered (or lost), and gives them.
    pub fn wait_for(
        &self,
        action: &str,
        count: usize,
        within: Duration,
    ) -> Result<Vec<Call>, RigError> {
        let deadline = Instant::now() + within;
        let mut state = self.shared.lock();
        loop {
            let done: Vec<_> = state
                .shown(action)
                .filter(|call| !call.took.is_zero())
                .cloned()
                .collect();
            if done.len() >= count {
                return Ok(done);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RigError::new(format!(
                    "{} of {count} calls of {action} came in time",
                    done.len()
                )));
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// What CloudTrail has recorded so far, oldest first.
    pub fn trail(&self) -> Vec<serde_json::Value> {
        self.shared.lock().trail.records.clone()
    }

    /// From now on what CloudTrail records goes to the account's event bus: management events, and writes to objects of these buckets.
    pub fn deliver_trail(&self, buckets: &[&str]) {
        let buckets = buckets.iter().map(|name| (*name).to_owned()).collect();
        self.shared.lock().trail.deliver = Some(buckets);
    }

    /// From now on CloudTrail writes a bypass of governance so.
    pub fn set_bypass_form(&self, form: BypassForm) {
        self.shared.lock().trail.form = form;
    }

    /// What went wrong in the rig itself (an emulator that is gone, a policy that the guard cannot read); a case
    /// ends by checking that it is empty.
    pub fn broken(&self) -> Vec<String> {
        self.shared.lock().broken.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.lock().clock_offset
    }
}

impl State {
    /// The calls of `action` that the record shows.
    fn shown(&self, action: &str) -> impl Iterator<Item = &Call> {
        self.calls[self.shown_from..]
            .iter()
            .filter(move |call| rules::action_matches(action, &call.action))
    }

    /// The newest use of a key that reached AWS over this wire.
    fn last_use(&self, access_key_id: &str) -> Option<Used> {
        if let Some(told) = self.told_uses.get(access_key_id) {
            return Some(told.clone());
        }
        let mut calls = self.calls.iter().rev();
        let newest = calls.find(|call| {
            call.access_key_id.as_deref() == Some(access_key_id) && call.forwarded > 0
        })?;
        Some(Used {
            at: newest.at.into(),
            region: newest.region.clone(),
            service: newest.service().to_owned(),
        })
    }

    /// Whether a call signed by this key comes before AWS knows it.
    fn is_too_new(&mut self, access_key_id: &str) -> bool {
        let Some(key) = self.new_keys.get_mut(access_key_id) else {
            return false;
        };
        if key.refusals_left > 0 {
            key.refusals_left -= 1;
            return true;
        }
        if Instant::now() < key.unknown_until {
            return true;
        }
        self.new_keys.remove(access_key_id);
        false
    }

    fn remember_key(&mut self, access_key_id: String) {
        let (refusals_left, lag) = match self.lag {
            KeyLag::None => return,
            KeyLag::Calls(calls) => (calls, Duration::ZERO),
            KeyLag::For(lag) => (0, lag),
        };
        let unknown_until = Instant::now() + lag;
        self.new_keys.insert(
            access_key_id,
            NewKey {
                refusals_left,
                unknown_until,
            },
        );
    }
}
