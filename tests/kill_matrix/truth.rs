//! What really holds: by AWS's word to the account's root, by the files, and by opening the vault with the custodians' own keys. None of it
//! asks the agent or a worker.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use twotap::{
    protocol::{
        job::{Entry, Step},
        socket::Stage,
    },
    trust::{manifest::Manifest, roster::verify_chain},
    vault::{Generations, SealedShare, open},
};
use twotap_rig::{Credentials, memory, proxy::Call, world};
use twotap_shares::Mnemonic;

use crate::{host::Host, wait::BOUND};

/// How many refusals of a session must have been seen before it may be called revoked.
const REFUSALS: usize = 10;

/// Opens what is sealed with two custodians' keys; nothing where nothing is sealed yet.
pub(crate) fn sealed(host: &Host) -> Result<Option<Credentials>, String> {
    let said = |why: &dyn std::fmt::Display| why.to_string();
    let store = Generations::open(&host.vault()).map_err(|w| said(&w))?;
    let chain = store.rosters().map_err(|w| said(&w))?;
    let roster = verify_chain(&chain).map_err(|w| said(&w))?.pop();
    let roster = roster.ok_or("no roster")?;
    let Some(n) = store.current().map_err(|w| said(&w))? else {
        return Ok(None);
    };
    let generation = store.read(n).map_err(|w| said(&w))?;
    let manifest = Manifest::verify(&generation.manifest, &roster).map_err(|w| said(&w))?;
    let mut shares = Vec::new();
    for custodian in &host.custodians[..2] {
        let share = generation.share(&custodian.name).ok_or("no share")?;
        let words = SealedShare::parse(share).and_then(|s| s.open(custodian));
        let words = words.map_err(|w| said(&w))?;
        let words = std::str::from_utf8(&words).map_err(|w| said(&w))?;
        shares.push(Mnemonic::parse(words).map_err(|w| said(&w))?);
    }
    let key = open(&generation.vault_age, &manifest, &shares).map_err(|w| said(&w))?;
    if key.id() != manifest.access_key_id {
        return Err(format!(
            "{} is sealed as {}",
            key.id(),
            manifest.access_key_id
        ));
    }
    Ok(Some(Credentials {
        access_key_id: key.id().to_owned(),
        secret_access_key: key.expose_secret().to_owned(),
        session_token: None,
    }))
}

/// At every moment: what is sealed opens and works. Before the first sealing, the officer's key does.
pub(crate) fn something_works(host: &Host) -> Result<(), String> {
    let mut last = String::new();
    // A worker that was left alive may be changing the folder at this moment.
    for _ in 0..20 {
        let key = match sealed(host) {
            Ok(Some(key)) => key,
            Ok(None) => host.world.first_key().clone(),
            Err(why) => {
                last = why;
                std::thread::park_timeout(std::time::Duration::from_millis(50));
                continue;
            }
        };
        if works(host, &key) {
            return Ok(());
        }
        // It may have been replaced since it was read.
        last = format!("the sealed key {} does not work", key.access_key_id);
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    Err(last)
}

fn works(host: &Host, key: &Credentials) -> bool {
    host.world.key_works(key).expect("an answer")
}

/// Whether taps are still owed: not exactly one key, or another than the sealed one, or the sealed one is `before`.
pub(crate) fn owed(host: &Host, before: &str) -> Result<Option<String>, String> {
    let keys = host.world.list_keys(world::USER).expect("a list");
    let sealed = sealed(host)?.map(|k| k.access_key_id);
    let one = keys.len() == 1 && keys[0].active && Some(&keys[0].id) == sealed.as_ref();
    let replaced = sealed.as_deref() != Some(before);
    let done = rotated(host, sealed.as_deref());
    Ok((!one || !replaced || !done).then(|| format!("{sealed:?} is sealed, IAM has {keys:?}")))
}

/// Whether the journal has the receipt of the generation that holds this key, or what shows that it needs none.
fn rotated(host: &Host, sealed: Option<&str>) -> bool {
    let journal = journal(host);
    let last = journal.iter().rposition(|e| matches!(&e.step, Step::GenerationCommitted { access_key_id, .. } if Some(&**access_key_id) == sealed));
    // A worker that could not put another generation on a full disk has tidied up, and says that taps are owed.
    let told = |e: &&Entry| matches!(e.step, Step::Rotated { .. } | Step::RotationPending { .. });
    last.and_then(|at| journal[at..].iter().rfind(told))
        .is_some_and(|e| matches!(e.step, Step::Rotated { .. }))
}

/// The worker's journal, as it lies there; a line that was cut short by a death counts for nothing.
pub(crate) fn journal(host: &Host) -> Vec<Entry> {
    let text = fs::read_to_string(host.vault().join("journal")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |at| &text[..at]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("an entry"))
        .collect()
}

/// Its last entries in a few words each, for who has to find out what went wrong.
fn journal_tail(host: &Host) -> String {
    let journal = journal(host);
    let last = journal.iter().skip(journal.len().saturating_sub(12));
    let shown = last.map(|e| {
        let step = format!("{:?}", e.step);
        let step: String = step.chars().take(60).collect();
        format!("{} {:?} {step}", e.n, e.request)
    });
    shown.collect::<Vec<_>>().join(" | ")
}

/// What is kept of a request's sessions.
fn kept(host: &Host, id: &str) -> Option<Value> {
    let file = host.path("worker/runtime").join(format!("{id}.json"));
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Whether a closing waits for nothing but the clock: nothing is kept that could close it, or its session was never handed out and is
/// denied by its tag.
pub(crate) fn ends_by_the_clock(host: &Host, id: &str) -> bool {
    let steps: Vec<_> = journal(host)
        .into_iter()
        .filter(|e| e.request.as_deref() == Some(id))
        .map(|e| e.step)
        .collect();
    let over = |s: &Step| matches!(s, Step::Revoked { .. } | Step::Expired { .. });
    let told = |s: &Step| matches!(s, Step::ClosePending { .. });
    match kept(host, id) {
        None => !steps.iter().any(over),
        Some(kept) => !is_open(&kept) && steps.iter().any(told),
    }
}

/// Whether nothing is kept of a request any more, at the latest when the agent has looked once more.
fn forgotten(host: &Host, id: &str) -> bool {
    let begun = std::time::Instant::now();
    while kept(host, id).is_some() {
        if begun.elapsed() > BOUND {
            return false;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    true
}

fn is_open(kept: &Value) -> bool {
    let sessions = kept["sessions"].as_array().into_iter().flatten();
    let operators = sessions.filter(|s| s["whose"] == "operator").count();
    operators > 0 || !kept["operator"].is_null()
}

/// The operator's sessions that AWS ever gave out, with their request, whether or not anybody got them.
fn sessions(calls: &[Call]) -> Vec<(String, Credentials)> {
    let taken = calls
        .iter()
        .filter(|c| c.action == "sts:AssumeRole" && c.param("RoleSessionName") == Some("dana"));
    taken
        .filter_map(|c| {
            let request = c.tags().iter().find(|(key, _)| *key == "twotap")?.1;
            Some((request.to_owned(), c.credentials()?))
        })
        .collect()
}

/// In the end: one key, the sealed one; all others and all sessions refused; nothing shown that is not so; nothing secret in any file.
/// (That the record verifies is looked at when the host has served its last case.)
pub(crate) fn all_is_well(host: &Host, before: &str) -> Result<(), String> {
    if let Some(why) = owed(host, before)? {
        return Err(why);
    }
    something_works(host)?;
    let sealed = sealed(host)?.ok_or("nothing is sealed")?;
    let calls = host.world.proxy().calls();
    for key in host.keys() {
        if key.access_key_id != sealed.access_key_id && works(host, &key) {
            return Err(format!("{} still works", key.access_key_id));
        }
    }
    let sessions = sessions(&calls);
    for (request, session) in &sessions {
        let probe = host.world.session_probe(session).expect("an answer");
        if probe.is_ok() {
            return Err(format!("a session of {request} still works"));
        }
    }
    let status = host.status().map_err(|why| format!("{why:?}"))?;
    for request in &status.requests {
        let revoked = request.outcome.as_deref().unwrap_or_default();
        let refused = |c: &&Call| {
            let own = sessions.iter().find(|(r, _)| *r == request.id);
            let own = own.map(|(_, s)| s.access_key_id.as_str());
            c.action == "ec2:DescribeRegions"
                && c.access_key_id.as_deref() == own
                && c.error.as_deref() == Some("UnauthorizedOperation")
        };
        // Those of earlier cases have been looked at then, with the calls of that time.
        let now = calls
            .iter()
            .any(|c| c.tags().contains(&("twotap", &request.id)));
        let seen = calls.iter().filter(refused).count();
        if now && revoked.starts_with("revoked") && seen < REFUSALS {
            return Err(format!(
                "{} is shown as revoked after {seen} refusals",
                request.id
            ));
        }
        let over = request.stage.is_final() || ends_by_the_clock(host, &request.id);
        if !over {
            return Err(format!("{} is {}", request.id, request.stage));
        }
        if request.stage == Stage::Closed && !forgotten(host, &request.id) {
            return Err(format!("something is kept of {}", request.id));
        }
    }
    shown_as_done(host)?;
    no_secret_in_files(host, true)?;
    let broken = host.world.proxy().broken();
    if broken.is_empty() {
        Ok(())
    } else {
        Err(format!("the rig is broken: {broken:?}"))
    }
}

/// The agent says so too, at the latest when it has looked into the journal again.
fn shown_as_done(host: &Host) -> Result<(), String> {
    let begun = std::time::Instant::now();
    loop {
        let status = host.status().map_err(|why| format!("{why:?}"))?;
        let shown = status.vaults.first().map(|v| v.rotation.clone());
        if shown.as_deref() == Some("done") {
            return Ok(());
        }
        if begun.elapsed() > BOUND {
            return Err(format!(
                "the rotation is shown as {shown:?}; the journal ends with {}",
                journal_tail(host)
            ));
        }
        std::thread::park_timeout(std::time::Duration::from_millis(300));
    }
}

/// Every key and session that AWS ever gave out, looked for in all files; those of open sessions may stand in the worker's runtime folder,
/// and in the end those alone that wait for the clock.
pub(crate) fn no_secret_in_files(host: &Host, closed: bool) -> Result<(), String> {
    let mut secrets = memory::Secrets::new();
    let mut known = BTreeSet::new();
    let mut add = |what: &str, secret: &str| {
        if known.insert(secret.to_owned()) {
            secrets.add(what, secret.as_bytes()).expect("long enough");
        }
    };
    let calls = host.world.proxy().calls();
    let given = calls.iter().filter_map(Call::credentials);
    for key in given.chain(host.keys()) {
        add(&key.access_key_id, &key.secret_access_key);
        if let Some(token) = &key.session_token {
            add(&key.access_key_id, &token[token.len().saturating_sub(40)..]);
        }
    }
    let runtime = host.path("worker/runtime");
    let skip = |path: &std::path::Path| {
        let of_session = path.parent() == Some(&runtime);
        let id = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        of_session && (!closed || ends_by_the_clock(host, id))
    };
    let scan = memory::scan_files(&host.path(""), &secrets, &skip).map_err(|w| w.to_string())?;
    if scan.found.is_empty() {
        Ok(())
    } else {
        Err(format!("secrets in files:\n{scan}"))
    }
}
