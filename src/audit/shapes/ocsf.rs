//! OCSF (github.com/ocsf/ocsf-schema, 1.1.0): every event as Entity Management, the class for what is done to something that is managed.
//!
//! Its required attributes are there (`activity_id`, `category_uid`, `class_uid`, `entity`, `metadata`, `severity_id`, `time`, `type_uid`);
//! what the class has no name for stands under `unmapped`, as the framework asks.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::audit::alert::{Severity, alert};
use crate::audit::event::{EventError, EventType, Record};

/// The version of the framework whose names these are.
const VERSION: &str = "1.1.0";
/// Identity and access management.
const CATEGORY: u32 = 3;
/// Entity Management.
const CLASS: u32 = 3004;

pub(super) fn of(record: &Record) -> Result<Value, EventError> {
    let time = OffsetDateTime::parse(&record.timestamp, &Rfc3339)
        .map_err(|why| EventError::Json(format!("its timestamp: {why}")))?;
    let (activity, name) = activity(record.known_type());
    let vault = record.what.get("vault").and_then(Value::as_str);
    let event = json!({
        "activity_id": activity,
        "activity_name": name.unwrap_or(&record.action),
        "category_uid": CATEGORY,
        "category_name": "Identity & Access Management",
        "class_uid": CLASS,
        "class_name": "Entity Management",
        "type_uid": CLASS * 100 + activity,
        "time": time.unix_timestamp_nanos() / 1_000_000,
        "severity_id": severity(record),
        "message": message(record),
        "comment": record.justification,
        "metadata": {
            "version": VERSION,
            "product": { "name": "twotap", "vendor_name": "twotap", "version": env!("CARGO_PKG_VERSION") },
            "uid": format!("{}-{}", record.prev, record.seq),
            "sequence": record.seq,
            "event_code": record.event_type,
            "correlation_uid": record.correlation_id,
            "original_time": record.timestamp,
        },
        "actor": { "user": { "name": record.actor, "uid": record.who } },
        "entity": { "type": if vault.is_some() { "vault" } else { "host" }, "name": vault.or(record.place.host.as_deref()).unwrap_or("agent") },
        "src_endpoint": { "hostname": record.place.host, "ip": record.place.ip },
        "cloud": { "provider": "AWS", "region": record.place.region },
        "unmapped": { "incident_id": record.incident_id, "action": record.action, "what": record.what },
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

/// 1 informational, 3 medium, 4 high, 5 critical: as soon as people have to look.
fn severity(record: &Record) -> u8 {
    match alert(record).map(|alert| alert.severity) {
        Some(Severity::P0) => 5,
        Some(Severity::P1) => 4,
        Some(Severity::P2) => 3,
        Some(Severity::Info) | None => 1,
    }
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
        other => other,
    }
}
