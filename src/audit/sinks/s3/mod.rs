//! The record in S3, where nobody writes over it: one locked object a batch.
//!
//! Each object is written under a name that has none yet, with its checksum and its lock in the same call, and read back, lock included, before it
//! counts. What the bucket holds decides where the sink goes on, not the cursor alone: a batch whose answer was lost is found there.
//!
//! At its start and each day the sink makes sure that the bucket keeps what it is given (versioning, Object Lock) and that its own key could not
//! undo it. While the bucket does not, nothing counts as held. IAM, which is asked about the key, lives in one Region: while it
//! cannot be asked, the sink goes on, says so, and asks again.

mod config;
pub mod copy;
mod further;
pub mod names;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use time::OffsetDateTime;

pub(super) use config::default_partition;
pub use config::{MODE_NOT_SET, MODE_VARIABLE, S3Config, SEVEN_YEARS};

use self::names::EventsName;
use super::amazon::{Account, failed};
use super::{Delivery, Flaw, FlawKind, Most, Sink, SinkError};
use crate::audit::chain::{Hash, Head, Links};
use crate::aws::s3::{Bucket, Bypass, Lock, LockMode, Object, Put, Version};
use crate::aws::{Aws, Credentials};

/// How long what was found out about bucket and key holds.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When IAM is asked again that could not be asked.
const SOON: Duration = Duration::from_secs(10 * 60);
/// How often it is looked at whether it is time to.
const LEAST: Duration = Duration::from_millis(50);
/// The largest object that is read back: a batch of the largest lines and a margin.
const MOST: usize = 64 * 1024 * 1024;
/// How many versions of one name and size are looked at.
const SAME: usize = 8;
/// A lock that was set when an object was written may end this much before the date reckoned from AWS's own time of writing.
const SLACK: time::Duration = time::Duration::DAY;

/// Writes the record into a bucket with Object Lock.
pub struct S3Sink {
    name: String,
    account: Account,
    store: Store,
    check: Check,
    /// What was sent and may or may not have arrived.
    pending: Option<Batch>,
    /// Envelopes that were read back, of the batch that is under way.
    kept: HashSet<Hash>,
    /// Why it is not known whether the key may lift locks.
    unasked: Option<String>,
    /// Another history in the same place.
    other: Option<String>,
    /// The newest checkpoint in what the bucket has beyond the cursor.
    vouched: Option<String>,
    /// When the last event of that was written.
    held_at: Option<OffsetDateTime>,
}

/// Where and how.
struct Store {
    bucket: Bucket,
    prefix: String,
    mode: LockMode,
    retention: Duration,
}

/// When bucket and key were last looked at.
struct Check {
    every: Duration,
    again: Option<Instant>,
}

/// Events as they become one object.
struct Batch {
    first: u64,
    prev: Hash,
    end: Head,
    bytes: Bytes,
    lock: Lock,
}

impl S3Sink {
    pub(super) fn new(
        name: &str,
        account: Account,
        bucket: Bucket,
        prefix: String,
        mode: LockMode,
        retention: Duration,
    ) -> Self {
        Self {
            name: name.to_owned(),
            account,
            store: Store {
                bucket,
                prefix,
                mode,
                retention,
            },
            check: Check {
                every: DAY,
                again: None,
            },
            pending: None,
            kept: HashSet::new(),
            unasked: None,
            other: None,
            vouched: None,
            held_at: None,
        }
    }

    /// The same sink looking at bucket and key more often than each day.
    #[must_use]
    pub fn checking_every(mut self, every: Duration) -> Self {
        self.check.every = every;
        self
    }

    /// The same sink coming back within this of a call that AWS does not answer.
    #[must_use]
    pub fn bounded_by(mut self, bound: Duration) -> Self {
        self.account.bound = bound;
        self
    }

    /// Makes sure of bucket and key, where it is time to.
    fn check(&mut self) -> Result<(), SinkError> {
        if self.check.again.is_some_and(|again| Instant::now() < again) {
            return Ok(());
        }
        self.check.again = None;
        let store = &self.store;
        self.account
            .run(|aws, key| async move { store.keeps(aws, key).await })?;
        let asked = self.account.run(|aws, key| async move {
            let prefix = &store.prefix;
            let asked = aws.may_bypass(key, &store.bucket, prefix).await;
            match asked.map(|answer| answer.value) {
                Ok(Bypass::Forbidden) => Ok(None),
                Ok(Bypass::Allowed(action)) => Err(SinkError::Unavailable(format!(
                    "the key of this sink may lift its own locks ({action}): take that from it"
                ))),
                Ok(Bypass::Unknown) => Ok(Some(
                    "whether its key may lift locks is not known: iam knows nothing of this key's policies".to_owned(),
                )),
                // Nobody answers, or IAM's Region is down: evidence goes on being written.
                Err(why) if why.is_transient() => Ok(Some(format!(
                    "whether its key may lift locks could not be asked: {why}"
                ))),
                Err(why) => Err(failed(&why)),
            }
        });
        self.unasked = asked?;
        let rest = match self.unasked {
            None => self.check.every,
            Some(_) => self.check.every.min(SOON),
        };
        self.check.again = Instant::now().checked_add(rest);
        Ok(())
    }

    /// Writes the batch that is pending; afterwards it is held.
    fn finish(&mut self) -> Result<Option<Head>, SinkError> {
        let Some(batch) = &self.pending else {
            return Ok(None);
        };
        let store = &self.store;
        let key = EventsName::of(batch.first, &batch.end).key(&store.prefix);
        self.account.run(|aws, credentials| {
            let (bytes, lock) = (batch.bytes.clone(), batch.lock);
            async move {
                let what = "application/x-ndjson";
                store.keep(aws, credentials, &key, what, bytes, &lock).await
            }
        })?;
        let end = batch.end;
        self.pending = None;
        Ok(Some(end))
    }
}

impl Sink for S3Sink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        self.account.begin();
        self.account.refresh()?;
        self.check()?;
        let ours = |b: &Batch| b.first == cursor.seq + 1 && b.prev == cursor.hash;
        if !self.pending.as_ref().is_some_and(ours) {
            self.pending = None;
        }
        // What may be under way still is written as it was sent: it arrives twice and stands once.
        let held = self.finish()?.unwrap_or(cursor);
        let store = &self.store;
        let found = self
            .account
            .run(|aws, key| async move { store.further(aws, key, held).await })?;
        self.other = found.other.or(self.other.take());
        (self.vouched, self.held_at) = (found.note, found.at);
        Ok(found.held)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.account.begin();
        self.check()?;
        let store = &self.store;
        let lock = self
            .account
            .run(|aws, _| async { Ok(store.lock_from(aws.now())) })?;
        for envelope in batch.iter().flat_map(|d| &d.envelopes) {
            let sha256 = envelope.sha256();
            if self.kept.contains(&sha256) {
                continue;
            }
            let key = names::envelope(&store.prefix, &sha256);
            let bytes = Bytes::copy_from_slice(&envelope.body);
            self.account.run(|aws, credentials| async move {
                let what = "application/json";
                store.keep(aws, credentials, &key, what, bytes, &lock).await
            })?;
            self.kept.insert(sha256);
        }
        self.pending = Some(Batch::of(batch, lock)?);
        self.finish()?;
        self.kept.clear();
        Ok(())
    }

    /// Larger batches than others: each becomes an object that stands for years.
    fn most(&self) -> Most {
        Most {
            events: 2048,
            bytes: 4 << 20,
        }
    }

    fn tend_every(&self) -> Option<Duration> {
        Some(self.check.every.clamp(LEAST, SOON))
    }

    fn tend(&mut self) -> Result<(), SinkError> {
        self.account.begin();
        self.check()
    }

    fn held_at(&self) -> Result<Option<OffsetDateTime>, SinkError> {
        Ok(self.held_at)
    }

    fn vouched(&self) -> Option<String> {
        self.vouched.clone()
    }

    fn complaint(&self) -> Option<String> {
        let other = self.flaws().pop().map(|flaw| flaw.why);
        match (other, self.unasked.clone()) {
            (Some(other), Some(unasked)) => Some(format!("{other}; {unasked}")),
            (other, unasked) => other.or(unasked),
        }
    }

    /// Not what could not be asked: nothing is known to be wrong then.
    fn flaws(&self) -> Vec<Flaw> {
        let other = self.other.iter().map(|key| Flaw {
            kind: FlawKind::OtherHistory,
            why: format!(
                "the bucket holds another history beside this one ({key}): see twotap audit verify --s3"
            ),
        });
        other.collect()
    }
}

impl Batch {
    fn of(batch: &[Delivery], lock: Lock) -> Result<Self, SinkError> {
        let broken = |seq: u64| SinkError::Diverged {
            seq,
            why: "this sink keeps the whole record, and here an event is left out".to_owned(),
        };
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return Err(broken(0));
        };
        let links = Links::parse(&first.line).map_err(|_| broken(first.seq))?;
        let mut bytes = Vec::with_capacity(batch.iter().map(|d| d.line.len() + 1).sum());
        for (delivery, seq) in batch.iter().zip(first.seq..) {
            if delivery.seq != seq {
                return Err(broken(seq));
            }
            bytes.extend_from_slice(&delivery.line);
            bytes.push(b'\n');
        }
        Ok(Self {
            first: first.seq,
            prev: links.prev,
            end: Head {
                seq: last.seq,
                hash: last.hash,
            },
            bytes: bytes.into(),
            lock,
        })
    }
}

impl Store {
    /// The lock of what is written now, in whole seconds.
    fn lock_from(&self, now: OffsetDateTime) -> Lock {
        let until = (now + self.retention).replace_nanosecond(0).unwrap_or(now);
        Lock {
            mode: self.mode,
            until: until + time::Duration::SECOND,
        }
    }

    /// Makes sure that the bucket keeps what it is given.
    async fn keeps(&self, aws: &Aws, key: &Credentials) -> Result<(), SinkError> {
        let guards = aws.bucket_guards(key, &self.bucket).await;
        let guards = guards.map_err(|why| failed(&why))?.value;
        let lacks = match (guards.object_lock, guards.versioning) {
            (true, true) => return Ok(()),
            (false, _) => "Object Lock",
            (true, false) => "versioning",
        };
        Err(SinkError::Unavailable(format!(
            "the bucket {} has no {lacks}: nothing that is written there is safe",
            self.bucket.name()
        )))
    }

    /// Writes an object once and reads it back, lock included. What stands there already counts where it is the same.
    async fn keep(
        &self,
        aws: &Aws,
        credentials: &Credentials,
        key: &str,
        content_type: &str,
        bytes: Bytes,
        lock: &Lock,
    ) -> Result<(), SinkError> {
        let bucket = &self.bucket;
        let put = aws
            .put_locked(credentials, bucket, key, content_type, bytes.clone(), lock)
            .await;
        let version = match put.map_err(|why| failed(&why))?.value {
            Put::Written(version) => Some(version),
            Put::Exists => None,
        };
        let found = match &version {
            Some(version) => self.read_back(aws, credentials, key, version, &bytes).await,
            None => self.ours_among(aws, credentials, key, &bytes).await,
        };
        let object = found?;
        // What was written at an earlier try is locked from then on. Setting its lock anew would raise an alarm: people are told of each such call.
        let enough = Lock {
            until: match version {
                Some(_) => lock.until,
                None => lock.until - self.tries(),
            },
            ..*lock
        };
        if object.lock.is_some_and(|has| has.holds(&enough)) {
            return Ok(());
        }
        // What was written long ago is needed for longer now, which needs no special right.
        if let (None, Some(version)) = (&version, object.version) {
            let longer = aws
                .lock_object(credentials, bucket, key, &version, lock)
                .await;
            longer.map_err(|why| failed(&why))?;
            let object = self
                .read_back(aws, credentials, key, &version, &bytes)
                .await?;
            if object.lock.is_some_and(|has| has.holds(lock)) {
                return Ok(());
            }
        }
        let (mode, days) = (lock.mode.as_str(), self.retention.as_secs() / DAY.as_secs());
        Err(self.bad(
            key,
            &format!("it is not locked in mode {mode} for {days} days"),
        ))
    }

    /// How long ago a batch may have been tried first whose objects need no longer lock.
    fn tries(&self) -> Duration {
        (self.retention / 12).min(30 * DAY)
    }

    async fn read_back(
        &self,
        aws: &Aws,
        credentials: &Credentials,
        key: &str,
        version: &str,
        bytes: &[u8],
    ) -> Result<Object, SinkError> {
        let read = aws
            .object(credentials, &self.bucket, key, Some(version), MOST)
            .await;
        match read.map_err(|why| failed(&why))?.value {
            Some(object) if object.bytes == bytes => Ok(object),
            Some(_) => Err(self.bad(key, "what is read there is not what was written")),
            None => Err(self.bad(key, "it was written and is not there")),
        }
    }

    /// The version of an object that has these bytes: somebody else may have put another one over it.
    async fn ours_among(
        &self,
        aws: &Aws,
        credentials: &Credentials,
        key: &str,
        bytes: &[u8],
    ) -> Result<Object, SinkError> {
        let listed = aws
            .object_versions(credentials, &self.bucket, key, None)
            .await
            .map_err(|why| failed(&why))?
            .value;
        let size = bytes.len() as u64;
        let same = |v: &&Version| v.key == key && !v.delete_marker && v.size == size;
        for version in listed.versions.iter().filter(same).take(SAME) {
            let read = self
                .read_back(aws, credentials, key, &version.id, bytes)
                .await;
            if read.is_ok() {
                return read;
            }
        }
        Err(self.bad(key, "what stands there is something else"))
    }

    fn bad(&self, key: &str, why: &str) -> SinkError {
        SinkError::Unavailable(format!("s3://{}/{key}: {why}", self.bucket.name()))
    }

    /// Whether an object that was written earlier has the lock that it should have been given then.
    fn is_locked(&self, object: &Object) -> bool {
        let Some((lock, modified)) = object.lock.zip(object.modified) else {
            return false;
        };
        lock.holds(&Lock {
            mode: self.mode,
            until: modified + self.retention - SLACK,
        })
    }
}

#[cfg(test)]
mod tests;
