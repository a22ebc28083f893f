//! Recordings of what an operator's terminal shows.
//!
//! * [`cast`] is the form: asciicast v2 lines (<https://docs.asciinema.org/manual/asciicast/v2/>) in chunks that name their place;
//! * [`recorder`] takes what a command writes, has it kept by the agent, and only then shows it;
//! * [`reading`] puts chunks together again, and believes nothing that does not fit.
//!
//! What is typed is not recorded: a password that nobody sees on the screen is in no recording either. What a command answers is.

pub(super) mod cast;
pub(super) mod reading;
pub(super) mod recorder;

use std::{ffi::OsStr, path::Path};

use crate::{
    protocol::{
        Code, Problem,
        recording::{RecordingNoted, RecordingPart},
    },
    trust::{
        Verified,
        roster::{Recording, Roster},
    },
    vault::recording::Readers,
};

use super::{
    Door,
    checked::{self, Papers, vault_problem},
    client::{Patience, request_path},
    memory::{FirstMeeting, Memory},
    roster,
    session::Opened,
};

/// What is done about recording a session.
pub(super) enum Plan {
    /// It is recorded.
    Record(Box<Begun>),
    /// It is not, and may go on without.
    Without,
}

/// A recording that the agent has numbered.
pub(super) struct Begun {
    pub(super) request: String,
    pub(super) recording: u32,
    pub(super) readers: Readers,
    /// Whether the session may not go on without it.
    pub(super) required: bool,
}

/// What the roster says about recording this session, from a roster that was checked: the agent's word would let it choose who reads.
pub(super) fn policy(
    session: &Opened,
    door: &Door,
) -> Result<(Verified<Roster>, Recording), Problem> {
    let view = &session.view;
    let papers = Papers::of(view);
    checked::must_be(&view.offer, &session.id)?;
    let mut memory = Memory::open()?;
    let checked = checked::check(&papers, &mut memory, &FirstMeeting::SaySo, &door.ui)?;
    let access = checked.roster.access(&checked.request().access);
    let recording = access.map(|a| a.recording).unwrap_or_default();
    Ok((checked.roster, recording))
}

/// Begins a recording of `title`. Where it cannot be begun and has not to be, that is said and put on record, and the session goes on.
pub(super) fn begin(
    session: &Opened,
    (roster, policy): (&Roster, Recording),
    title: &str,
    door: &Door,
) -> Result<Plan, Problem> {
    if policy == Recording::Off {
        return Ok(Plan::Without);
    }
    let required = policy == Recording::Required;
    let agent = door.agent()?;
    let path = request_path(&session.id, "/recording")?;
    let (names, recipients): (Vec<String>, Vec<&str>) = roster
        .readers()
        .map(|(person, recipient)| (person.name.clone(), recipient))
        .unzip();
    let begun = match names.is_empty() {
        true => Err(
            Problem::new(Code::Refused, "no officer has a recipient for recordings")
                .hint("an officer's recipient stands in people.toml: twotap vault create --help"),
        ),
        false => {
            let part = RecordingPart::Begin {
                title: title.to_owned(),
                readers: names.clone(),
            };
            let noted = agent.hand_in::<RecordingNoted>(&path, &part, Patience::Agent);
            noted.map(|noted| noted.recording)
        }
    };
    match begun {
        Ok(recording) => {
            door.ui
                .note(format!("this is recorded, sealed for {}", names.join(", ")));
            Ok(Plan::Record(Box::new(Begun {
                request: session.id.clone(),
                recording,
                readers: Readers::new(recipients.into_iter()).map_err(vault_problem)?,
                required,
            })))
        }
        Err(why) if required || why.code == Code::Tampering => Err(Problem {
            error: format!("cannot record, and this has to be recorded: {}", why.error),
            ..why
        }),
        Err(why) => {
            door.ui.warn(format!(
                "this is not recorded: {}",
                super::ui::plain(&why.error)
            ));
            let part = RecordingPart::Fail {
                recording: None,
                why: why.error,
            };
            // Whoever refused to begin it has said so on record; where nobody answers, the record cannot say so.
            let _ = agent.hand_in::<RecordingNoted>(&path, &part, Patience::Agent);
            Ok(Plan::Without)
        }
    }
}

/// Begins a recording of a single command where it is wanted or has to be.
pub(super) fn of_exec(
    session: &Opened,
    (wanted, program): (bool, &OsStr),
    door: &Door,
) -> Result<Option<Begun>, Problem> {
    // What has to be recorded is, whoever forgets to ask; so the policy is looked at in any case. For a command that nobody wants recorded
    // the agent's own word does: it hands out nothing where a recording has to run and none does.
    if !wanted && said_by_agent(session) != Recording::Required {
        return Ok(None);
    }
    let (roster, policy) = policy(session, door)?;
    if wanted && policy == Recording::Off {
        return Err(Problem::new(
            Code::Refused,
            format!("access {} is not recorded", session.request.access),
        )
        .hint("the roster says so: twotap roster show; run it without --record"));
    }
    let name = Path::new(program).file_name().unwrap_or(program);
    let title: String = super::ui::plain(&name.to_string_lossy())
        .chars()
        .take(16)
        .collect();
    match begin(session, (&roster, policy), &title, door)? {
        Plan::Record(begun) => Ok(Some(*begun)),
        Plan::Without => Ok(None),
    }
}

fn said_by_agent(session: &Opened) -> Recording {
    let roster = roster::shown(&session.view.roster_chain).ok();
    let access = roster.and_then(|r| r.access(&session.request.access).map(|a| a.recording));
    access.unwrap_or_default()
}
