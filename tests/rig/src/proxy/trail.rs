//! Where the proxy hands what it sees to [`crate::trail`], and what comes of it to the event bus.

use std::sync::Arc;

use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::Shared;
use super::call::Call;
use crate::RigError;
use crate::client::{Client, Credentials};
use crate::trail::{self, Seen};

/// Finds out whose key it is, before the call may delete it.
pub(super) async fn know(shared: &Shared, call: &Call) -> Result<(), RigError> {
    let key = call.access_key_id.as_deref();
    let Some(key) = key.filter(|key| key.starts_with("AKIA")) else {
        return Ok(());
    };
    if shared.lock().trail.identities.contains_key(key) {
        return Ok(());
    }
    if let Some(identity) = trail::lookup(&shared.admin, key).await? {
        let mut state = shared.lock();
        state.trail.identities.insert(key.to_owned(), identity);
    }
    Ok(())
}

/// Records a call that AWS has answered, and delivers the record where that is wanted.
pub(super) async fn note(
    shared: &Arc<Shared>,
    call: &Call,
    head: &Parts,
    body: &Bytes,
    response: &Response<Bytes>,
) -> Result<(), RigError> {
    let now = shared.now();
    if response.status().is_success() {
        let reply = String::from_utf8_lossy(response.body());
        let learnt = trail::learn(&shared.admin, call, &reply, now).await?;
        shared.lock().trail.identities.extend(learnt);
    }
    let (records, deliver) = {
        let mut state = shared.lock();
        let key = call.access_key_id.as_deref().unwrap_or_default();
        let records = trail::records(&Seen {
            call,
            head,
            body,
            response,
            identity: state.trail.identities.get(key),
            now,
            account: &shared.account,
            form: state.trail.form,
        });
        state.trail.records.extend(records.iter().cloned());
        (records, state.trail.deliver.clone())
    };
    let Some(buckets) = deliver else {
        return Ok(());
    };
    let mut delivered = records
        .into_iter()
        .filter(|record| trail::is_delivered(record, &buckets))
        .peekable();
    if delivered.peek().is_some() {
        let shared = Arc::clone(shared);
        let records: Vec<Value> = delivered.collect();
        // CloudTrail is not waited for by whoever calls.
        tokio::spawn(async move {
            for record in &records {
                if let Err(error) = deliver_one(&shared, record).await {
                    shared.lock().broken.push(format!("the trail: {error}"));
                }
            }
        });
    }
    Ok(())
}

async fn deliver_one(shared: &Shared, record: &Value) -> Result<(), RigError> {
    let text = |field: &str| record[field].as_str().unwrap_or_default();
    let root = Credentials {
        access_key_id: text("recipientAccountId").to_owned(),
        secret_access_key: "not-checked".to_owned(),
        session_token: None,
    };
    let bus = Client::new(shared.emulator, text("awsRegion"), root);
    let entries = json!({ "Entries": [trail::as_event(record)] });
    let put = bus
        .json_async("events", "AWSEvents.PutEvents", &entries)
        .await?
        .expect_ok("an event of CloudTrail's")?;
    match put.body.contains("\"FailedEntryCount\": 0")
        || put.body.contains("\"FailedEntryCount\":0")
    {
        true => Ok(()),
        false => Err(RigError::new(format!("the bus refused: {}", put.body))),
    }
}
