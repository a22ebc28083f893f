//! S3 for the record: objects that are written once, locked as they are written, and read back.
//!
//! A put never replaces anything (`If-None-Match: *`) and carries checksum, lock mode and date of release in the same call, so that
//! there is no moment at which the object stands unlocked. Buckets are addressed by path (`https://s3.REGION.../BUCKET/KEY`), so a
//! bucket's name never becomes part of a host name.
//!
//! Sources: Amazon S3 API Reference, `PutObject`, `GetObject`, `ListObjectVersions`; User Guide, 'Object Lock', 'Conditional writes'.

mod bucket;
mod listing;

use std::fmt;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode,
};
use aws_smithy_types::DateTime;
use data_encoding::BASE64;
use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub use bucket::{BucketGuards, Bypass};
pub use listing::{Marker, Page, Version};

use super::client::{Aws, Repeat};
use super::endpoints::Target;
use super::error::AwsError;
use super::sts::incomplete;
use super::{Answer, Credentials};

/// A bucket and the Region that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    region: String,
}

impl Bucket {
    /// `name`: 3 to 63 lower-case letters, digits, hyphens and dots, beginning and ending with a letter or digit (User Guide, 'Bucket
    /// naming rules'). Directory buckets and access points are refused: they know no Object Lock.
    ///
    /// # Errors
    /// [`BucketError`], with what is wrong.
    pub fn new(name: &str, region: &str) -> Result<Self, BucketError> {
        let end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = name.as_bytes();
        let shape = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|&b| end(b) || b == b'-' || b == b'.')
            && bytes.first().copied().is_some_and(end)
            && bytes.last().copied().is_some_and(end)
            && !name.contains("..");
        let special = name.starts_with("xn--")
            || ["--x-s3", "--ol-s3", "-s3alias", "--table-s3", ".mrap"]
                .iter()
                .any(|s| name.ends_with(s));
        if !shape || special {
            return Err(BucketError(name.chars().take(80).collect()));
        }
        Ok(Self {
            name: name.to_owned(),
            region: region.to_owned(),
        })
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its Region.
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// The name is not one that a bucket with Object Lock can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketError(String);

impl fmt::Display for BucketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: String = self.0.chars().filter(|c| !c.is_control()).collect();
        write!(
            f,
            "'{name}' is not the name of a general purpose bucket (3 to 63 lower-case letters, digits, hyphens and dots)"
        )
    }
}

impl std::error::Error for BucketError {}

/// How a version is kept from being deleted or shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Who holds `s3:BypassGovernanceRetention` can lift it, and is seen doing it.
    Governance,
    /// Nobody can lift it before its time, root included.
    Compliance,
}

impl LockMode {
    /// The mode by its name in S3 (`GOVERNANCE`, `COMPLIANCE`).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }

    /// Its name in S3.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// A version's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Its mode.
    pub mode: LockMode,
    /// Until when; UTC.
    pub until: OffsetDateTime,
}

impl Lock {
    /// Whether this lock holds at least as well and as long as `wanted`.
    pub fn holds(&self, wanted: &Lock) -> bool {
        let mode = self.mode == wanted.mode || self.mode == LockMode::Compliance;
        mode && self.until >= wanted.until
    }
}

/// What became of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It stands, as this version.
    Written(String),
    /// Something stands there already (what an earlier attempt wrote, or something else): nothing was written. Look.
    Exists,
}

/// One version's bytes with its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Its version; `None` in a bucket that keeps none.
    pub version: Option<String>,
    /// Its lock; `None` where there is none, or where the caller may not see it (`s3:GetObjectRetention`).
    pub lock: Option<Lock>,
    /// When it was written, by AWS's clock; UTC.
    pub modified: Option<OffsetDateTime>,
}

impl Aws {
    /// The clock that signs: the host's, put right by AWS's where they are far apart. Dates of release are reckoned from it.
    pub fn now(&self) -> OffsetDateTime {
        use aws_smithy_async::time::TimeSource;
        self.inner.clock.now().into()
    }

    /// Writes an object under a key that has none yet, locked and with its SHA-256, which S3 checks: `s3:PutObject` and
    /// `s3:PutObjectRetention`.
    ///
    /// A repeat is harmless: it finds the object there. [`Put::Exists`] says so; who put it shows by reading it.
    pub async fn put_locked(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
        key: &str,
        content_type: &str,
        body: Bytes,
        lock: &Lock,
    ) -> Result<Answer<Put>, AwsError> {
        let operation = "s3:PutObject";
        let target = self.s3_target(bucket)?;
        let sum = BASE64.encode(&Sha256::digest(&body));
        let until = DateTime::from_secs(lock.until.unix_timestamp());
        let mode = match lock.mode {
            LockMode::Governance => ObjectLockMode::Governance,
            LockMode::Compliance => ObjectLockMode::Compliance,
        };
        let ended = self
            .run(operation, &target, Repeat::Harmless, |watch| {
                self.s3_client(credentials, &target, bucket, &watch)
                    .put_object()
                    .bucket(bucket.name())
                    .key(key)
                    .content_type(content_type)
                    .if_none_match("*")
                    .checksum_algorithm(ChecksumAlgorithm::Sha256)
                    .checksum_sha256(&sum)
                    .object_lock_mode(mode.clone())
                    .object_lock_retain_until_date(until)
                    .body(ByteStream::from(body.clone()))
                    .send()
            })
            .await;
        match ended.result {
            Ok(answer) => match &answer.value.version_id {
                Some(version) if version != "null" => {
                    let version = version.clone();
                    Ok(answer.map(|_| Put::Written(version)))
                }
                _ => Err(incomplete(operation, &target, &answer)),
            },
            // 412: there is one. 409: another write to the same key is under way; which of the two won shows later.
            Err(AwsError::Invalid(reply)) if reply.status == 412 => Ok(Answer {
                value: Put::Exists,
                region: reply.region,
                request_id: reply.request_id,
                date: reply.date,
            }),
            Err(why) => Err(why),
        }
    }

    /// Reads one version, or the newest: `s3:GetObjectVersion` (`s3:GetObject`), and `s3:GetObjectRetention` for its lock. `None` where
    /// there is none, or only a delete marker. At most `most` bytes.
    pub async fn object(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
        key: &str,
        version: Option<&str>,
        most: usize,
    ) -> Result<Answer<Option<Object>>, AwsError> {
        let operation = "s3:GetObject";
        let target = self.s3_target(bucket)?;
        let ended = self
            // A read: repeating it is harmless.
            .run(operation, &target, Repeat::Harmless, |watch| {
                self.s3_client(credentials, &target, bucket, &watch)
                    .get_object()
                    .bucket(bucket.name())
                    .key(key)
                    .set_version_id(version.map(str::to_owned))
                    .checksum_mode(ChecksumMode::Enabled)
                    .send()
            })
            .await;
        let mut answer = match ended.result {
            Ok(answer) => answer,
            Err(why) if is_absent(&why) => return absent(why),
            Err(why) => return Err(why),
        };
        let body = std::mem::take(&mut answer.value.body);
        let lost = |why: &str| AwsError::Lost {
            operation,
            host: target.host().to_owned(),
            why: why.to_owned(),
        };
        let within = self.inner.endpoints.timeouts.call;
        let bytes = match tokio::time::timeout(within, collect(body, most)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(Body::TooLarge)) => return Err(incomplete(operation, &target, &answer)),
            Ok(Err(Body::Broken)) => {
                return Err(lost("the object broke off, or its checksum is wrong"));
            }
            Err(_) => return Err(lost("timed out")),
        };
        let said = &answer.value;
        let mode = said
            .object_lock_mode()
            .and_then(|mode| LockMode::parse(mode.as_str()));
        let until = said.object_lock_retain_until_date().and_then(utc);
        let object = Object {
            version: said.version_id().map(str::to_owned),
            lock: mode.zip(until).map(|(mode, until)| Lock { mode, until }),
            modified: said.last_modified().and_then(utc),
            bytes,
        };
        Ok(answer.map(|_| Some(object)))
    }

    /// Locks a version, or lengthens its lock: `s3:PutObjectRetention`. Shortening would need a right of its own, which this never asks for.
    pub async fn lock_object(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
        key: &str,
        version: &str,
        lock: &Lock,
    ) -> Result<Answer<()>, AwsError> {
        let target = self.s3_target(bucket)?;
        let retention = ObjectLockRetention::builder()
            .mode(match lock.mode {
                LockMode::Governance => ObjectLockRetentionMode::Governance,
                LockMode::Compliance => ObjectLockRetentionMode::Compliance,
            })
            .retain_until_date(DateTime::from_secs(lock.until.unix_timestamp()))
            .build();
        let ended = self
            // The same date twice is the same date: repeating it is harmless.
            .run(
                "s3:PutObjectRetention",
                &target,
                Repeat::Harmless,
                |watch| {
                    self.s3_client(credentials, &target, bucket, &watch)
                        .put_object_retention()
                        .bucket(bucket.name())
                        .key(key)
                        .version_id(version)
                        .retention(retention.clone())
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|_| ()))
    }

    /// Where a bucket's calls go.
    fn s3_target(&self, bucket: &Bucket) -> Result<Target, AwsError> {
        Ok(self.inner.endpoints.regional("s3", bucket.region())?)
    }
}

enum Body {
    Broken,
    TooLarge,
}

async fn collect(mut body: ByteStream, most: usize) -> Result<Vec<u8>, Body> {
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| Body::Broken)?;
        if bytes.len() + part.len() > most {
            return Err(Body::TooLarge);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn is_absent(why: &AwsError) -> bool {
    matches!(why.code(), Some("NoSuchKey" | "NoSuchVersion"))
        // A delete marker asked for by its version.
        || matches!(why, AwsError::Invalid(reply) if reply.status == 405)
}

fn absent<T>(why: AwsError) -> Result<Answer<Option<T>>, AwsError> {
    match why {
        AwsError::Invalid(reply) => Ok(Answer {
            value: None,
            region: reply.region,
            request_id: reply.request_id,
            date: reply.date,
        }),
        other => Err(other),
    }
}

fn utc(at: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.secs()).ok()
}

impl From<&ObjectLockRetentionMode> for LockMode {
    /// A mode that is not known holds at least until its date, for who has no special right.
    fn from(mode: &ObjectLockRetentionMode) -> Self {
        Self::parse(mode.as_str()).unwrap_or(Self::Governance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_buckets_name_is_checked() {
        for good in ["abc", "twotap-audit-123456789012", "a.b.c", "0-9"] {
            assert!(Bucket::new(good, "eu-west-1").is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "-abc",
            "abc-",
            "a..b",
            "a/b",
            "a b",
            "a_b",
            "x--x-s3",
            "y-s3alias",
            &"a".repeat(64),
        ] {
            let why = Bucket::new(bad, "eu-west-1").expect_err(bad);
            assert!(why.to_string().contains("bucket"));
        }
    }

    #[test]
    fn a_lock_holds_what_is_wanted_or_more() {
        let lock = |mode, until| Lock { mode, until };
        let (early, late) = (
            datetime!(2030-01-01 0:00 UTC),
            datetime!(2033-01-01 0:00 UTC),
        );
        let (governance, compliance) = (LockMode::Governance, LockMode::Compliance);
        for (has, wanted, holds) in [
            (lock(governance, late), lock(governance, late), true),
            (lock(governance, late), lock(governance, early), true),
            (lock(governance, early), lock(governance, late), false),
            (lock(compliance, late), lock(governance, early), true),
            (lock(governance, late), lock(compliance, early), false),
        ] {
            assert_eq!(has.holds(&wanted), holds, "{has:?} {wanted:?}");
        }
    }
}
