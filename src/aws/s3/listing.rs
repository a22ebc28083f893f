//! What stands in a bucket, version by version, delete markers included.

use time::OffsetDateTime;

use super::{Bucket, utc};
use crate::aws::client::{Aws, Repeat};
use crate::aws::error::AwsError;
use crate::aws::{Answer, Credentials};

/// One version of a key, or a delete marker over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The key.
    pub key: String,
    /// The version's id.
    pub id: String,
    /// Whether a reader who names no version gets this one.
    pub latest: bool,
    /// Whether it is a delete marker, which holds nothing and hides what is older.
    pub delete_marker: bool,
    /// Bytes; 0 for a delete marker.
    pub size: u64,
    /// When it was made, by AWS's clock; UTC.
    pub modified: Option<OffsetDateTime>,
}

/// Part of a listing: up to 1,000 versions by key, the newest version of each key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What was listed.
    pub versions: Vec<Version>,
    /// Where to go on; `None` at the end.
    pub next: Option<Marker>,
}

/// A place in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    key: String,
    version: Option<String>,
}

impl Marker {
    /// After every version of `key`, which need not exist.
    pub fn after(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            version: None,
        }
    }
}

impl Aws {
    /// Versions and delete markers of the keys that begin with `prefix`, from `from` on: `s3:ListBucketVersions`.
    pub async fn object_versions(
        &self,
        credentials: &Credentials,
        bucket: &Bucket,
        prefix: &str,
        from: Option<&Marker>,
    ) -> Result<Answer<Page>, AwsError> {
        let target = self.s3_target(bucket)?;
        let ended = self
            // A read: repeating it is harmless.
            .run(
                "s3:ListObjectVersions",
                &target,
                Repeat::Harmless,
                |watch| {
                    self.s3_client(credentials, &target, bucket, &watch)
                        .list_object_versions()
                        .bucket(bucket.name())
                        .prefix(prefix)
                        .set_key_marker(from.map(|m| m.key.clone()))
                        .set_version_id_marker(from.and_then(|m| m.version.clone()))
                        .send()
                },
            )
            .await;
        Ok(ended.result?.map(|said| {
            let mut versions: Vec<Version> = Vec::new();
            for v in said.versions() {
                versions.push(Version {
                    key: v.key().unwrap_or_default().to_owned(),
                    id: v.version_id().unwrap_or("null").to_owned(),
                    latest: v.is_latest().unwrap_or_default(),
                    delete_marker: false,
                    size: u64::try_from(v.size().unwrap_or_default()).unwrap_or_default(),
                    modified: v.last_modified().and_then(utc),
                });
            }
            for v in said.delete_markers() {
                versions.push(Version {
                    key: v.key().unwrap_or_default().to_owned(),
                    id: v.version_id().unwrap_or("null").to_owned(),
                    latest: v.is_latest().unwrap_or_default(),
                    delete_marker: true,
                    size: 0,
                    modified: v.last_modified().and_then(utc),
                });
            }
            versions.sort_by(|a, b| a.key.cmp(&b.key).then(b.modified.cmp(&a.modified)));
            let more = said.is_truncated().unwrap_or_default();
            let next = said.next_key_marker().filter(|_| more).map(|key| Marker {
                key: key.to_owned(),
                version: said.next_version_id_marker().map(str::to_owned),
            });
            Page { versions, next }
        }))
    }
}
