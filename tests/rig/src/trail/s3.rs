//! S3's calls, which have no action but a method, a path and a query.

use hyper::Method;
use serde_json::{Value, json};

use super::{BypassForm, Seen};

/// The header with which governance is bypassed.
const BYPASS: &str = "x-amz-bypass-governance-retention";

/// What is asked of S3.
pub(super) struct Operation {
    /// As CloudTrail calls it.
    pub(super) name: &'static str,
    bucket: String,
    /// Empty for what is asked of a bucket.
    key: String,
    query: Vec<(String, String)>,
}

impl Operation {
    /// `None` for another service's call.
    pub(super) fn of(seen: &Seen<'_>) -> Option<Self> {
        if seen.call.service() != "s3" {
            return None;
        }
        let uri = &seen.head.uri;
        let path = uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let query: Vec<(String, String)> = query.into_owned().collect();
        let copied = seen.head.headers.contains_key("x-amz-copy-source");
        Some(Self {
            name: name(&seen.head.method, bucket, key, &query, copied),
            bucket: decoded(bucket),
            key: decoded(key),
            query,
        })
    }

    /// Whether it is about objects: those are data events.
    pub(super) fn is_data(&self) -> bool {
        self.name.contains("Object") && !self.name.ends_with("Configuration")
            || self.name == "UploadPart"
    }

    /// What it was told, headers of S3's own included.
    pub(super) fn parameters(&self, seen: &Seen<'_>) -> Value {
        let mut parameters = json!({
            "bucketName": self.bucket,
            "Host": seen.call.host,
        });
        if !self.key.is_empty() {
            parameters["key"] = self.key.as_str().into();
        }
        for (name, value) in &self.query {
            if !name.eq_ignore_ascii_case("x-id") {
                parameters[name.as_str()] = value.as_str().into();
            }
        }
        for (name, value) in &seen.head.headers {
            let name = name.as_str();
            let plumbing = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
            if !name.starts_with("x-amz-") || plumbing.contains(&name) {
                continue;
            }
            let value = value.to_str().unwrap_or_default();
            match (name, seen.form) {
                (BYPASS, BypassForm::Boolean) => {
                    parameters["bypassGovernanceRetention"] =
                        value.eq_ignore_ascii_case("true").into();
                }
                _ => parameters[name] = value.into(),
            }
        }
        parameters
    }

    /// What it was about.
    pub(super) fn resources(&self, account: &str) -> Value {
        let bucket = format!("arn:aws:s3:::{}", self.bucket);
        let object = match (self.key.as_str(), self.name) {
            ("", "DeleteObjects") => {
                Some(json!({"type": "AWS::S3::Object", "ARNPrefix": format!("{bucket}/")}))
            }
            ("", _) => None,
            (key, _) => Some(json!({"type": "AWS::S3::Object", "ARN": format!("{bucket}/{key}")})),
        };
        let bucket = json!({"accountId": account, "type": "AWS::S3::Bucket", "ARN": bucket});
        object.into_iter().chain([bucket]).collect()
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html>.
fn name(
    method: &Method,
    bucket: &str,
    key: &str,
    query: &[(String, String)],
    copied: bool,
) -> &'static str {
    let has = |name: &str| query.iter().any(|(n, _)| n == name);
    match (method.as_str(), bucket, key) {
        (_, "", _) => "ListBuckets",
        ("GET", _, "") if has("versions") => "ListObjectVersions",
        ("GET", _, "") if has("object-lock") => "GetObjectLockConfiguration",
        ("GET", _, "") if has("versioning") => "GetBucketVersioning",
        ("GET", _, "") if has("policy") => "GetBucketPolicy",
        ("GET", _, "") if has("location") => "GetBucketLocation",
        ("GET", _, "") => "ListObjects",
        ("HEAD", _, "") => "HeadBucket",
        ("PUT", _, "") if has("object-lock") => "PutObjectLockConfiguration",
        ("PUT", _, "") if has("versioning") => "PutBucketVersioning",
        ("PUT", _, "") if has("policy") => "PutBucketPolicy",
        ("PUT", _, "") if has("lifecycle") => "PutBucketLifecycle",
        ("PUT", _, "") => "CreateBucket",
        ("POST", _, "") if has("delete") => "DeleteObjects",
        ("DELETE", _, "") if has("policy") => "DeleteBucketPolicy",
        ("DELETE", _, "") if has("lifecycle") => "DeleteBucketLifecycle",
        ("DELETE", _, "") => "DeleteBucket",
        ("GET", ..) if has("retention") => "GetObjectRetention",
        ("GET", ..) if has("legal-hold") => "GetObjectLegalHold",
        ("GET", ..) if has("attributes") => "GetObjectAttributes",
        ("GET", ..) => "GetObject",
        ("HEAD", ..) => "HeadObject",
        ("PUT", ..) if has("retention") => "PutObjectRetention",
        ("PUT", ..) if has("legal-hold") => "PutObjectLegalHold",
        ("PUT", ..) if has("tagging") => "PutObjectTagging",
        ("PUT", ..) if has("acl") => "PutObjectAcl",
        ("PUT", ..) if has("partNumber") => "UploadPart",
        ("PUT", ..) if copied => "CopyObject",
        ("PUT", ..) => "PutObject",
        ("DELETE", ..) if has("tagging") => "DeleteObjectTagging",
        ("DELETE", ..) => "DeleteObject",
        _ => "OtherBucketCall",
    }
}

/// A path's part as it was before it was put into a path.
fn decoded(text: &str) -> String {
    let form = format!("d={}", text.replace('+', "%2B"));
    let mut parts = form_urlencoded::parse(form.as_bytes());
    parts
        .next()
        .map_or(String::new(), |(_, value)| value.into_owned())
}
