//! What CloudTrail writes, read: its files (`{"Records": [...]}`, also as gzip), what `aws cloudtrail lookup-events` prints, and records or
//! EventBridge's events one a line.
//!
//! Source: AWS CloudTrail User Guide, 'CloudTrail record contents' and 'userIdentity element'.

use std::fmt;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most that a file may unpack to, in bytes. CloudTrail's own have some 50 MB.
const MOST: u64 = 1 << 30;
/// How every gzip file begins (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// One call, as far as it takes to account for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// `eventID`.
    pub event_id: String,
    /// `eventTime`, in whole seconds.
    pub at: OffsetDateTime,
    /// `s3`, of `s3.amazonaws.com`.
    pub service: String,
    /// `eventName`.
    pub name: String,
    /// `requestID`.
    pub request_id: Option<String>,
    /// `errorCode`.
    pub error: Option<String>,
    /// ARN of the caller; empty where CloudTrail does not say.
    pub who: String,
    /// The key that signed.
    pub key: Option<String>,
    /// `sourceIPAddress`.
    pub ip: String,
    /// ARN of the role whose session it is.
    pub issuer: Option<String>,
    /// The session's `sourceIdentity`.
    pub source_identity: Option<String>,
    /// When the session began.
    pub begun: Option<OffsetDateTime>,
    parameters: Value,
    response: Value,
}

/// Why an export cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrailError {
    /// It is no JSON from this byte on, or no gzip.
    Malformed(String),
    /// The nth record lacks this field, which each record of CloudTrail's has.
    NoRecord {
        /// From 1 on.
        n: usize,
        /// What it lacks.
        field: &'static str,
    },
    /// It unpacks to more than we hold.
    TooLarge,
}

/// Reads an export in any of its forms. A file of digests, as CloudTrail writes them beside its records, has no call.
pub fn read(bytes: &[u8]) -> Result<Vec<Use>, TrailError> {
    if !bytes.starts_with(&GZIP) {
        return read_plain(bytes);
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(MOST + 1)
        .read_to_end(&mut plain)
        .map_err(|why| TrailError::Malformed(why.to_string()))?;
    match plain.len() as u64 > MOST {
        true => Err(TrailError::TooLarge),
        false => read_plain(&plain),
    }
}

fn read_plain(bytes: &[u8]) -> Result<Vec<Use>, TrailError> {
    let mut uses = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
        let value = value.map_err(|why| TrailError::Malformed(why.to_string()))?;
        collect(&value, &mut uses)?;
    }
    Ok(uses)
}

fn collect(value: &Value, uses: &mut Vec<Use>) -> Result<(), TrailError> {
    let list = ["Records", "Events"]
        .iter()
        .find_map(|name| value[*name].as_array());
    if let Some(list) = list.or_else(|| value.as_array()) {
        return list.iter().try_for_each(|one| collect(one, uses));
    }
    if let Some(text) = value["CloudTrailEvent"].as_str() {
        let record: Value =
            serde_json::from_str(text).map_err(|why| TrailError::Malformed(why.to_string()))?;
        return collect(&record, uses);
    }
    if value["detail"]["eventName"].is_string() {
        return collect(&value["detail"], uses);
    }
    if value["digestS3Object"].is_string() {
        return Ok(());
    }
    uses.push(Use::of(value, uses.len() + 1)?);
    Ok(())
}

impl Use {
    fn of(record: &Value, n: usize) -> Result<Self, TrailError> {
        let needed = |field: &'static str| {
            let text = record[field].as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned)
                .ok_or(TrailError::NoRecord { n, field })
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let at = OffsetDateTime::parse(&needed("eventTime")?, &Rfc3339);
        let at = at.map_err(|_| TrailError::NoRecord {
            n,
            field: "eventTime",
        })?;
        let identity = &record["userIdentity"];
        let context = &identity["sessionContext"];
        let begun = context["attributes"]["creationDate"].as_str();
        let service = needed("eventSource")?;
        Ok(Self {
            event_id: needed("eventID")?,
            at,
            service: service.split('.').next().unwrap_or_default().to_owned(),
            name: needed("eventName")?,
            request_id: text(&record["requestID"]),
            error: text(&record["errorCode"]),
            who: text(&identity["arn"]).unwrap_or_default(),
            key: text(&identity["accessKeyId"]).filter(|key| !key.is_empty()),
            ip: text(&record["sourceIPAddress"]).unwrap_or_default(),
            issuer: text(&context["sessionIssuer"]["arn"]),
            source_identity: text(&context["sourceIdentity"]),
            begun: begun.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
            parameters: record["requestParameters"].clone(),
            response: record["responseElements"].clone(),
        })
    }

    /// `service:Action`.
    pub fn call(&self) -> String {
        format!("{}:{}", self.service, self.name)
    }

    /// A parameter that is text.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters[name].as_str()
    }

    /// The role that it wanted to take.
    pub(super) fn role(&self) -> Option<&str> {
        self.parameter("roleArn")
    }

    /// A session tag that it wanted to set.
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        let mut tags = self.parameters["tags"].as_array()?.iter();
        tags.find(|tag| tag["key"] == name)?["value"].as_str()
    }

    /// Whether the session that it asks for may do nothing at all: its own policy allows nothing.
    pub(super) fn takes_nothing(&self) -> bool {
        let policy = self.parameter("policy").map(serde_json::from_str::<Value>);
        let Some(Ok(policy)) = policy else {
            return false;
        };
        let statements = match &policy["Statement"] {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        statements.iter().all(|one| one["Effect"] == "Deny")
    }

    /// The id of the key or session that it made.
    pub(super) fn made_key(&self) -> Option<&str> {
        let made = ["credentials", "accessKey"];
        made.iter()
            .find_map(|kind| self.response[*kind]["accessKeyId"].as_str())
    }
}

impl fmt::Display for TrailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "it is no export of CloudTrail's: {why}"),
            Self::NoRecord { n, field } => {
                write!(
                    f,
                    "its record {n} is none of CloudTrail's: it has no {field}"
                )
            }
            Self::TooLarge => write!(f, "it unpacks to more than {} MiB", MOST >> 20),
        }
    }
}

impl std::error::Error for TrailError {}
