//! Which session is meant when none is named: the caller's only one. Of sessions that continue each other (`request --again`) that is the newest
//! that is open.

use std::collections::HashMap;

use crate::{
    protocol::{
        Code, Problem,
        socket::{Stage, Status},
    },
    trust::request::{Offer, Request, is_request_id},
};

use super::{client::Agent, ui::plain};

/// The session that was named, else the caller's only open one.
pub(super) fn session(agent: &Agent, named: Option<String>) -> Result<String, Problem> {
    if let Some(named) = named {
        return Ok(named);
    }
    let mine = Mine::of(&agent.ask("/v1/status")?);
    let open = mine.newest(&[Stage::Open]);
    // Say why: one that is on its way is not the same as none at all.
    match mine.at(&[Stage::Requested, Stage::Approved]).first() {
        Some(waiting) if open.is_empty() => Err(Problem::new(
            Code::Approvals,
            format!("your request {waiting} is not open yet"),
        )
        .hint("wait for the approvals: twotap status --watch")),
        _ => only(open),
    }
}

/// The session that is to be closed: named, else the caller's only one that is open or already closing. With it go those that it continues.
pub(super) fn closable(agent: &Agent, named: Option<String>) -> Result<String, Problem> {
    if let Some(named) = named {
        return Ok(named);
    }
    let mine = Mine::of(&agent.ask("/v1/status")?);
    let mut closable = mine.at(&[Stage::Approved]);
    closable.extend(mine.newest(&[Stage::Open, Stage::Closing]));
    only(closable)
}

/// The caller's own requests, as the agent shows them: its word, for choosing alone.
pub(super) struct Mine {
    /// Newest first.
    requests: Vec<(Request, Stage)>,
}

impl Mine {
    /// Those of a status.
    pub(super) fn of(status: &Status) -> Self {
        let mut requests: Vec<(Request, Stage)> = status
            .requests
            .iter()
            .filter_map(|view| {
                let Offer(request) = view.offer.unverified::<Offer>().ok()?;
                Some((request, view.stage))
            })
            .filter(|(request, _)| request.operator == status.you.name)
            .filter(|(request, _)| is_request_id(&request.id))
            .collect();
        requests.sort_by_key(|(request, _)| std::cmp::Reverse(request.not_before));
        Self { requests }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Request, Stage)> {
        self.requests
            .iter()
            .map(|(request, stage)| (request, *stage))
    }

    /// The ids of those at these stages.
    pub(super) fn at(&self, stages: &[Stage]) -> Vec<String> {
        self.all()
            .filter(|(_, stage)| stages.contains(stage))
            .map(|(request, _)| request.id.clone())
            .collect()
    }

    /// The same, without those that another of them continues.
    pub(super) fn newest(&self, stages: &[Stage]) -> Vec<String> {
        let all = self.at(stages);
        let mut newest = all.clone();
        for id in &all {
            let earlier = self.earlier(id);
            newest.retain(|other| other == id || !earlier.contains(&other.as_str()));
        }
        newest
    }

    /// The newest open session that continues this one.
    pub(super) fn continues(&self, id: &str) -> Option<&Request> {
        let open = self.all().filter(|(_, stage)| *stage == Stage::Open);
        open.map(|(request, _)| request)
            .find(|request| request.id != id && self.earlier(&request.id).contains(&id))
    }

    /// What a request continues, and what that continues, as far as it is known here.
    fn earlier(&self, id: &str) -> Vec<&str> {
        let follows: HashMap<&str, &str> = self
            .all()
            .filter_map(|(request, _)| Some((request.id.as_str(), request.follows.as_deref()?)))
            .collect();
        let mut earlier: Vec<&str> = Vec::new();
        let mut at = id;
        // Whatever an agent says, the way back ends.
        while let Some(before) = follows.get(at).filter(|b| !earlier.contains(b)) {
            earlier.push(before);
            at = before;
        }
        earlier
    }
}

/// The only one of these ids.
pub(super) fn only(mut ids: Vec<String>) -> Result<String, Problem> {
    match ids.len() {
        1 => Ok(ids.remove(0)),
        0 => Err(Problem::new(Code::Usage, "you have no open session")
            .hint("ask for one: twotap request, which at a terminal asks for what it needs")),
        _ => Err(Problem::new(
            Code::Usage,
            format!("you have several: {}", plain(&ids.join(", "))),
        )
        .hint("name one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Timestamp;

    /// Requests of ours, oldest first: each with its letter, its stage and the letter of what it continues.
    fn mine(all: &[(char, Stage, Option<char>)]) -> Mine {
        let id = |letter: char| format!("r-{}", letter.to_string().repeat(13));
        let one = |(at, (letter, stage, follows)): (usize, &(char, Stage, Option<char>))| {
            let mut request = crate::cli::tests::sample_request();
            request.id = id(*letter);
            request.follows = follows.map(id);
            request.not_before = Timestamp(i64::try_from(at).expect("few"));
            (request, *stage)
        };
        let mut requests: Vec<_> = all.iter().enumerate().map(one).collect();
        requests.reverse();
        Mine { requests }
    }

    fn letters(ids: &[String]) -> String {
        ids.iter().filter_map(|id| id.chars().last()).collect()
    }

    #[test]
    fn of_sessions_that_continue_each_other_the_newest_is_meant() {
        use Stage::{Closed, Open, Requested};
        for (all, newest) in [
            (&[('a', Open, None)][..], "a"),
            (&[('a', Open, None), ('b', Open, Some('a'))], "b"),
            // One that is not open yet is not meant yet.
            (&[('a', Open, None), ('b', Requested, Some('a'))], "a"),
            // Over one that has been closed meanwhile.
            (
                &[
                    ('a', Open, None),
                    ('b', Closed, Some('a')),
                    ('c', Open, Some('b')),
                ],
                "c",
            ),
            (&[('a', Open, None), ('b', Open, None)], "ba"),
            (
                &[('a', Open, None), ('b', Open, Some('a')), ('c', Open, None)],
                "cb",
            ),
            // No word of an agent's leads in a circle.
            (&[('a', Open, Some('b')), ('b', Open, Some('a'))], ""),
            (&[('a', Open, Some('a'))], "a"),
        ] {
            assert_eq!(letters(&mine(all).newest(&[Open])), newest, "{all:?}");
        }
    }

    #[test]
    fn what_continues_a_session_is_open_and_leads_back_to_it() {
        use Stage::{Closed, Open, Requested};
        let all = [
            ('a', Open, None),
            ('b', Closed, Some('a')),
            ('c', Open, Some('b')),
            ('d', Requested, Some('c')),
            ('e', Open, None),
        ];
        let all = mine(&all);
        let of = |letter: char| {
            let id = format!("r-{}", letter.to_string().repeat(13));
            all.continues(&id)
                .map(|r| letters(std::slice::from_ref(&r.id)))
        };
        assert_eq!(of('a').as_deref(), Some("c"));
        assert_eq!(of('b').as_deref(), Some("c"));
        for none in ['c', 'd', 'e'] {
            assert_eq!(of(none), None);
        }
    }
}
