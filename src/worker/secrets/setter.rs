//! A secret without a rotation function: a new value is staged, set and tested by its setter, and made current.
//!
//! ```text
//! intent ─▶ AWSPENDING ─▶ set ─▶ test ─▶ AWSCURRENT moved ─▶ AWSPENDING taken off ─▶ receipt
//! ```
//!
//! A worker that finds a version staged by one before it reads that value back and tests it first: what works is set already.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    Run, Setback, generate,
    helper::{self, Verdict},
    stuck, traced,
};
use crate::{
    aws::{
        Credentials, SecretFacts,
        secrets::{CURRENT, PENDING, PREVIOUS},
    },
    protocol::job::SecretStep,
    trust::roster::Setter,
};

/// AWS's word for a version that exists with another value.
const EXISTS: &str = "ResourceExistsException";
/// AWS's word for a version that does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// Rotates it, by its own session.
pub(super) async fn rotate(
    run: &mut Run<'_>,
    session: &Credentials,
    setter: &Setter,
) -> Result<(), Setback> {
    let facts = run.facts(session).await?;
    let version = version(run, &facts).await?;
    let current = facts.version_with(CURRENT).map(str::to_owned);
    if facts.has_label(&version, CURRENT) || facts.has_label(&version, PREVIOUS) {
        // Moved by a worker that could not say so any more.
        take_off(run, session, &facts, &version).await?;
        return Ok(run.rotated(&version, None).await?);
    }
    let Some(current) = current else {
        let why = "AWSCURRENT stands on no version of it";
        return Err(Setback::People(why.to_owned()));
    };

    let old = read(run, session, &current).await?;
    let staged = facts.has_label(&version, PENDING);
    let new = stage(run, session, setter, &facts, &version, &old).await?;
    let field = setter.field.as_deref();
    let ask = Ask {
        setter: &setter.name,
        field,
        old: as_json(&old, field)?,
        new: as_json(&new, field)?,
    };
    // The worker that staged it may have been killed after the setter was done.
    if !(staged && tested(run, &ask, &version).await?) {
        set(run, session, &ask, &version).await?;
    }
    move_current(run, session, &current, &version).await?;
    let facts = run.facts(session).await?;
    take_off(run, session, &facts, &version).await?;
    Ok(run.rotated(&version, Some(current)).await?)
}

/// The version to make: the one that was begun, or a new one.
async fn version(run: &mut Run<'_>, facts: &SecretFacts) -> Result<String, Setback> {
    let pending = facts
        .version_with(PENDING)
        .filter(|version| !facts.has_label(version, CURRENT));
    let begun = run.history.version.clone();
    match (pending, begun) {
        (Some(pending), Some(begun)) if pending == begun => return Ok(begun),
        // Begun by this host after another request, and left: its value may be in use, so it is this one that is finished.
        (Some(pending), _) if run.history.is_ours(pending) => {
            let version = pending.to_owned();
            let did = SecretStep::Intent {
                version: version.clone(),
            };
            run.log(did, None).await?;
            return Ok(version);
        }
        (Some(pending), _) => return Err(stuck(pending)),
        (None, Some(begun)) => return Ok(begun),
        (None, None) => {}
    }
    let version = generate::version();
    let did = SecretStep::Intent {
        version: version.clone(),
    };
    run.log(did, None).await?;
    Ok(version)
}

/// The new value, under AWSPENDING: read back where it was written before, generated where it was not.
async fn stage(
    run: &mut Run<'_>,
    session: &Credentials,
    setter: &Setter,
    facts: &SecretFacts,
    version: &str,
    old: &Zeroizing<String>,
) -> Result<Zeroizing<String>, Setback> {
    if facts.has_label(version, PENDING) {
        if !run.history.staged {
            staged(run, version, None).await?;
        }
        return read(run, session, version).await;
    }
    let (aws, secret) = (run.worker.aws.clone(), run.secret.arn.clone());
    match aws.secret_value(session, &secret, Some(version)).await {
        // Written, and its label was taken off by somebody: it goes back on.
        Ok(answer) => {
            let moved = aws.move_label(session, &secret, PENDING, None, Some(version));
            let moved = moved.await.map_err(|why| Setback::of_aws(&why))?;
            staged(run, version, traced(&moved)).await?;
            return text(answer.value.text);
        }
        Err(why) if why.code() == Some(NOT_FOUND) => {}
        Err(why) => return Err(Setback::of_aws(&why)),
    }
    let new = replaced(setter, old)?;
    match aws.put_pending_value(session, &secret, version, &new).await {
        Ok(answer) => {
            staged(run, version, traced(&answer)).await?;
            Ok(new)
        }
        // An earlier call that was taken for lost has come through: its value is the one that counts.
        Err(why) if why.code() == Some(EXISTS) => Err(Setback::Soon(format!(
            "version {version} was written by an earlier call after all"
        ))),
        Err(why) => Err(Setback::of_aws(&why)),
    }
}

async fn staged(
    run: &mut Run<'_>,
    version: &str,
    aws: Option<crate::protocol::job::AwsTrace>,
) -> Result<(), Setback> {
    let did = SecretStep::Staged {
        version: version.to_owned(),
    };
    Ok(run.log(did, aws).await?)
}

/// What a setter is told.
struct Ask<'a> {
    setter: &'a str,
    field: Option<&'a str>,
    old: Value,
    new: Value,
}

/// Whether the new value works.
async fn tested(run: &mut Run<'_>, ask: &Ask<'_>, version: &str) -> Result<bool, Setback> {
    match call(run, ask, "test").await? {
        Verdict::Done => {
            let did = SecretStep::Tested {
                version: version.to_owned(),
            };
            run.log(did, None).await?;
            Ok(true)
        }
        Verdict::Refused(_) => Ok(false),
        Verdict::Unknown(why) => Err(Setback::Soon(format!("its setter cannot tell: {why}"))),
    }
}

/// Sets the new value and sees it work.
async fn set(
    run: &mut Run<'_>,
    session: &Credentials,
    ask: &Ask<'_>,
    version: &str,
) -> Result<(), Setback> {
    match call(run, ask, "set").await? {
        Verdict::Done => {}
        Verdict::Refused(why) => {
            withdraw(run, session, version).await?;
            return Err(Setback::People(format!("its setter refused: {why}")));
        }
        // It may be set: AWSPENDING stays, it is the only name of a value that may be in use.
        Verdict::Unknown(why) => {
            return Err(Setback::Soon(format!("its setter did not finish: {why}")));
        }
    }
    let did = SecretStep::Set {
        version: version.to_owned(),
    };
    run.log(did, None).await?;
    if tested(run, ask, version).await? {
        Ok(())
    } else {
        let why = "its setter says that it has set the new value, and the new value does not work";
        Err(Setback::People(why.to_owned()))
    }
}

async fn call(run: &mut Run<'_>, ask: &Ask<'_>, action: &str) -> Result<Verdict, Setback> {
    let Some(setters) = &mut run.worker.setters else {
        return Err(Setback::People(format!(
            "worker.toml names no setter '{}'",
            ask.setter
        )));
    };
    let verdict = setters
        .ask(&helper::Ask {
            setter: ask.setter.to_owned(),
            action: action.to_owned(),
            secret: ask.old.clone(),
            new: ask.new.clone(),
        })
        .await;
    Ok(match verdict {
        Verdict::Done => Verdict::Done,
        Verdict::Refused(why) => Verdict::Refused(ask.without_secrets(why)),
        Verdict::Unknown(why) => Verdict::Unknown(ask.without_secrets(why)),
    })
}

impl Ask<'_> {
    /// A setter's words go to journal, record and screens: none that quote a value.
    fn without_secrets(&self, why: String) -> String {
        let quoted = [&self.old, &self.new].into_iter().any(|value| {
            let secret = match self.field {
                Some(field) => value.get(field).and_then(Value::as_str),
                None => value.as_str(),
            };
            secret.is_some_and(|secret| !secret.is_empty() && why.contains(secret))
        });
        match quoted {
            true => "its words are withheld, because they quote the secret".to_owned(),
            false => why,
        }
    }
}

/// Takes AWSPENDING off a version of which nothing was set.
async fn withdraw(run: &mut Run<'_>, session: &Credentials, version: &str) -> Result<(), Setback> {
    let secret = &run.secret.arn;
    let taken = run
        .worker
        .aws
        .move_label(session, secret, PENDING, Some(version), None)
        .await
        .map_err(|why| Setback::of_aws(&why))?;
    let did = SecretStep::Withdrawn {
        version: version.to_owned(),
    };
    Ok(run.log(did, traced(&taken)).await?)
}

/// Moves AWSCURRENT, if it still stands where it stood.
async fn move_current(
    run: &mut Run<'_>,
    session: &Credentials,
    from: &str,
    to: &str,
) -> Result<(), Setback> {
    let secret = &run.secret.arn;
    let moved = run
        .worker
        .aws
        .move_label(session, secret, CURRENT, Some(from), Some(to))
        .await;
    let Err(why) = moved else { return Ok(()) };
    // The answer may be lost, or an earlier call's success be the reason of this one's refusal: the labels say.
    if run.facts(session).await?.has_label(to, CURRENT) {
        return Ok(());
    }
    Err(match Setback::of_aws(&why) {
        Setback::People(why) => {
            Setback::Soon(format!("AWSCURRENT was moved by somebody else: {why}"))
        }
        other => other,
    })
}

/// Takes AWSPENDING off the version that is current.
async fn take_off(
    run: &mut Run<'_>,
    session: &Credentials,
    facts: &SecretFacts,
    version: &str,
) -> Result<(), Setback> {
    if !facts.has_label(version, PENDING) {
        return Ok(());
    }
    let secret = &run.secret.arn;
    let taken = run
        .worker
        .aws
        .move_label(session, secret, PENDING, Some(version), None)
        .await;
    match taken {
        Ok(_) => Ok(()),
        Err(why) if run.facts(session).await?.has_label(version, PENDING) => {
            Err(Setback::of_aws(&why))
        }
        Err(_) => Ok(()),
    }
}

async fn read(
    run: &Run<'_>,
    session: &Credentials,
    version: &str,
) -> Result<Zeroizing<String>, Setback> {
    let secret = &run.secret.arn;
    let value = run
        .worker
        .aws
        .secret_value(session, secret, Some(version))
        .await
        .map_err(|why| Setback::of_aws(&why))?;
    text(value.value.text)
}

fn text(value: Option<Zeroizing<String>>) -> Result<Zeroizing<String>, Setback> {
    value.ok_or_else(|| Setback::People("its value is binary, and no setter takes that".to_owned()))
}

/// The old value with a new one in its place, or in that of its field.
fn replaced(setter: &Setter, old: &str) -> Result<Zeroizing<String>, Setback> {
    let new = generate::value(setter);
    let Some(field) = &setter.field else {
        return Ok(new);
    };
    let mut fields = fields(old, field)?;
    fields.insert(field.clone(), Value::String(new.to_string()));
    serde_json::to_string(&fields)
        .map(Zeroizing::new)
        .map_err(|_| Setback::People("its new value cannot be written as JSON".to_owned()))
}

/// A value as the setter is told it: an object where the roster names a field of it, else the text.
fn as_json(value: &str, field: Option<&str>) -> Result<Value, Setback> {
    match field {
        Some(field) => fields(value, field).map(Value::Object),
        None => Ok(Value::String(value.to_owned())),
    }
}

fn fields(value: &str, field: &str) -> Result<Map<String, Value>, Setback> {
    // The parser's own words would quote the value.
    let fields: Option<Map<String, Value>> = serde_json::from_str(value).ok();
    fields
        .filter(|fields| fields.get(field).is_some_and(Value::is_string))
        .ok_or_else(|| {
            Setback::People(format!(
                "its value is not a JSON object with a text in the field '{field}', as the roster says"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::roster::CharacterClass;

    fn setter(field: Option<&str>) -> Setter {
        Setter {
            name: "postgresql".to_owned(),
            role_arn: String::new(),
            field: field.map(str::to_owned),
            length: 24,
            classes: vec![CharacterClass::Lower],
        }
    }

    #[test]
    fn one_field_is_replaced_and_the_others_stay() {
        let old = r#"{"username":"app","password":"old","port":5432,"dbname":"läuft"}"#;
        let new = replaced(&setter(Some("password")), old).ok().expect("good");
        let new: Value = serde_json::from_str(&new).expect("JSON");
        assert_eq!(new["password"].as_str().map(str::len), Some(24));
        assert_eq!(
            (&new["username"], &new["port"]),
            (&"app".into(), &5432.into())
        );
        assert_eq!(new["dbname"], "läuft");
        let whole = replaced(&setter(None), "anything").ok().expect("good");
        assert_eq!(whole.len(), 24);
    }

    #[test]
    fn a_value_of_another_shape_is_refused_and_never_quoted() {
        for old in [
            "hunter2",
            "{\"password\":7}",
            "{\"secret\":\"hunter2\"}",
            "[]",
        ] {
            let Err(setback) = replaced(&setter(Some("password")), old) else {
                panic!("{old}")
            };
            assert!(!setback.why().contains("hunter2"), "{}", setback.why());
        }
    }
}
