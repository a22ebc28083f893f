//! OCSF (github.com/ocsf/ocsf-schema, 1.1.0): every event as Entity Management, the class for what is done to something that is managed.
//!
//! Required of the class are `activity_id`, `category_uid`, `class_uid`, `entity`, `metadata`, `severity_id`, `time` and `type_uid`. Who did it
//! (`actor`) and on which host (`device`) belong to the profile `host`, `cloud` to the profile `cloud`; `metadata.profiles` names both, or a reader
//! would refuse them. In this version the class has no place for a caller's address: with all else that it has no name for, it stands under
//! `unmapped`, as the framework asks. `tests/record/ocsf.py` holds each event to the schema server's own export of this version.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::audit::alert::{Severity, alert};
use crate::audit::event::{AGENT, EventError, EventType, Record};

/// The version of the framework whose names these are.
const VERSION: &str = "1.1.0";
/// Identity and access management.
const CATEGORY: u32 = 3;
/// Entity Management.
const CLASS: u32 = 3004;
const CLASS_NAME: &str = "Entity Management";

pub(super) fn of(record: &Record) -> Result<Value, EventError> {
    let time = OffsetDateTime::parse(&record.timestamp, &Rfc3339)
        .map_err(|why| EventError::Json(format!("its timestamp: {why}")))?;
    let (activity, name) = activity(record.known_type());
    let (severity, severity_name) = severity(record);
    let vault = record.what.get("vault").and_then(Value::as_str);
    let host = record.place.host.as_deref();
    let (person, person_name) = match record.actor == AGENT {
        true => (3, "System"),
        false => (1, "User"),
    };
    let event = json!({
        "activity_id": activity,
        "activity_name": name.unwrap_or(&record.action),
        "category_uid": CATEGORY,
        "category_name": "Identity & Access Management",
        "class_uid": CLASS,
        "class_name": CLASS_NAME,
        "type_uid": CLASS * 100 + activity,
        "type_name": format!("{CLASS_NAME}: {}", name.unwrap_or("Other")),
        "time": time.unix_timestamp_nanos() / 1_000_000,
        "timezone_offset": 0,
        "severity_id": severity,
        "severity": severity_name,
        "message": message(record),
        "comment": record.justification,
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud", "host"],
            "product": { "name": "twotap", "vendor_name": "twotap", "version": env!("CARGO_PKG_VERSION") },
            "uid": format!("{}-{}", record.prev, record.seq),
            "sequence": record.seq,
            "event_code": record.event_type,
            "correlation_uid": record.correlation_id,
            "original_time": record.timestamp,
        },
        "actor": { "user": { "name": record.actor, "uid": record.who, "type_id": person, "type": person_name } },
        "entity": { "type": if vault.is_some() { "vault" } else { "host" }, "name": vault.or(host).unwrap_or("agent") },
        "device": host.map(device),
        "cloud": { "provider": "AWS", "region": record.place.region },
        "unmapped": { "incident_id": record.incident_id, "action": record.action, "caller_ip": record.place.ip, "what": record.what },
    });
    Ok(without_nulls(event))
}

/// 1 create, 2 read, 3 update, 4 delete, 99 other; a name of the framework's own for the first four.
fn activity(event_type: Option<EventType>) -> (u32, Option<&'static str>) {
    use EventType as E;
    match event_type {
        Some(E::BreakGlassAccess | E::VaultSealed | E::CustodianEnrolled | E::RosterSigned) => {
            (1, Some("Create"))
        }
        Some(E::CredentialsDelivered | E::RecoveryUsed | E::RecordingRead | E::BundleExported) => {
            (2, Some("Read"))
        }
        Some(E::RosterChanged | E::CredentialRotated | E::SecretRotated) => (3, Some("Update")),
        Some(E::SessionRevoked | E::SessionExpired) => (4, Some("Delete")),
        _ => (99, None),
    }
}

/// As soon as people have to look, with the framework's name for it.
fn severity(record: &Record) -> (u8, &'static str) {
    match alert(record).map(|alert| alert.severity) {
        Some(Severity::P0) => (5, "Critical"),
        Some(Severity::P1) => (4, "High"),
        Some(Severity::P2) => (3, "Medium"),
        Some(Severity::Info) | None => (1, "Informational"),
    }
}

/// The host, by the name that it has in `agent.toml`. What kind of machine that is nobody has said.
fn device(host: &str) -> Value {
    json!({ "type_id": 0, "type": "Unknown", "name": host, "hostname": Some(host).filter(|h| is_hostname(h)) })
}

/// The framework's `hostname_t`: labels of letters, digits and, within, hyphens. A host may be called otherwise here (`bg_1`).
fn is_hostname(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

fn message(record: &Record) -> String {
    match (alert(record), record.known_type()) {
        (Some(alert), _) => alert.title,
        (None, Some(kind)) => kind.words().to_owned(),
        (None, None) => record.event_type.clone(),
    }
}

/// An attribute that is not known is left out in OCSF; what was recorded as `null` under `unmapped` as well.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
