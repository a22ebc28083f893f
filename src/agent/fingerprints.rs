//! The peppers of fingerprints, and whether a value is the one whose fingerprint stands in the record.

use std::{path::Path, sync::Arc};

use super::{
    Agent,
    config::Config,
    handlers::Answered,
    people,
    routes::{Answer, Call},
};
use crate::{
    audit::{
        event::{Event, EventType, Kind, Record as Line},
        fingerprint::{Fingerprint, Peppers, Surroundings},
    },
    protocol::{
        Code, Problem,
        evidence::{FieldMatched, MAX_VALUE, Match, Matched},
    },
};

/// Reads the pepper that the configuration names. One that is required and not there ends the start.
pub(super) fn open(config: &mut Config) -> Result<Peppers, Problem> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let around = Surroundings {
        folder: &config.folder,
        state: &config.state,
        credentials: credentials.as_deref().map(Path::new),
    };
    std::mem::take(&mut config.fingerprints)
        .open(around)
        .map_err(|why| Problem::new(Code::Usage, &why).hint(why.hint()))
}

impl Agent {
    /// Shows as degraded that the pepper that is named could not be had.
    pub(super) fn fingerprints_are(&self) {
        let missing = self.book.peppers().missing();
        let problem = missing.map(|why| {
            Problem::new(Code::Internal, why).hint("once it can be read, start the agent again")
        });
        self.alarms.set("fingerprints", problem.as_ref());
    }
}

/// An officer has a value and asks whether an event is about it.
pub(super) async fn compare(call: Call) -> Answered {
    let Match { event: seq, value } = call.body()?;
    if value.is_empty() || value.len() > MAX_VALUE {
        return Err(
            Problem::new(Code::Usage, format!("a value has 1 to {MAX_VALUE} bytes")).into(),
        );
    }
    let entries = call
        .agent
        .book
        .read(move |store| store.events(seq.max(1), 1))
        .await?;
    let entry = entries.into_iter().find(|e| e.seq == seq);
    let entry =
        entry.ok_or_else(|| Problem::new(Code::Usage, format!("there is no event {seq}")))?;
    let line = Line::parse(&entry.line).map_err(|why| Problem::new(Code::Tampering, why))?;
    let prints = prints(&line);
    if prints.is_empty() {
        return Err(Problem::new(
            Code::Usage,
            format!("event {seq} ({}) holds no fingerprint", line.event_type),
        )
        .hint("requests and refusals hold one of 'subject', BREAK_GLASS_ACCESS one of 'access_key'")
        .into());
    }
    let agent = Arc::clone(&call.agent);
    let compared = tokio::task::spawn_blocking(move || {
        let peppers = agent.book.peppers();
        let one = |(field, print): (String, Fingerprint)| {
            // A field is named as its purpose is.
            let purpose = field.replace('_', "-");
            let found = peppers.matches(&print, &purpose, value.as_bytes());
            FieldMatched {
                field,
                kid: print.kid().to_owned(),
                matches: found.as_ref().ok().copied(),
                why: found.err(),
            }
        };
        prints.into_iter().map(one).collect::<Vec<_>>()
    });
    let fields = compared
        .await
        .map_err(|_| Problem::new(Code::Internal, "a task stopped; see the log"))?;
    let seq_of_this = put_on_record(&call, seq, &fields).await?;
    Answer::json(&Matched {
        event: seq,
        fields,
        seq: seq_of_this,
    })
}

/// Who can ask can try values one after the other, so it goes on record who did.
async fn put_on_record(call: &Call, seq: u64, fields: &[FieldMatched]) -> Result<u64, Problem> {
    let those =
        |wanted: fn(&FieldMatched) -> bool, name: fn(&FieldMatched) -> &str| -> Vec<String> {
            fields
                .iter()
                .filter(|f| wanted(f))
                .map(|f| name(f).to_owned())
                .collect()
        };
    let event = Event::new(
        EventType::FingerprintCompared,
        people::actor(&call.caller.name)?,
    )
    .who(call.caller.who.as_str())
    .detail("event", seq)
    .detail("fields", those(|f| f.matches == Some(true), |f| &f.field));
    let absent = those(|f| f.matches.is_none(), |f| &f.kid);
    let event = match absent.is_empty() {
        true => event,
        false => event.detail("not_at_hand", absent),
    };
    call.agent
        .book
        .commit(move |change| {
            let event = event.place(change.place.clone());
            Ok(change.event(&event)?.seq)
        })
        .await
}

/// The fingerprints of a line, by field.
fn prints(line: &Line) -> Vec<(String, Fingerprint)> {
    let Some(kind) = line.known_type() else {
        return Vec::new();
    };
    kind.fields()
        .filter(|field| field.kind == Kind::Fingerprint)
        .filter_map(|field| {
            let text = line.what.get(field.name)?.as_str()?;
            Some((field.name.to_owned(), text.parse().ok()?))
        })
        .collect()
}
