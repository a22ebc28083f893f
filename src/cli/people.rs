//! People on screens: who did what, from which account and with which key, and by whose word a request is authorised.

use crate::{
    protocol::{
        Code, Problem,
        people::{Commander, Did, Hand, Person},
        socket::RequestView,
    },
    trust::{
        KeyId,
        request::{Offer, Request},
        roster::Roster,
    },
};

use super::{
    roster, span,
    ui::{columns, plain},
};

/// Digits of a key's id that are shown where a line has to stay short; `--json` has all of it.
const SHORT: usize = 12;

/// Who authorised a request and who did what in it, as rows. For display alone, from what the agent says.
pub(super) fn rows(view: &RequestView) -> Vec<(&'static str, String)> {
    let roster = roster(view);
    let mut rows = Vec::new();
    if let Some(words) = authorised(view) {
        rows.push(("authorised by", words));
        let statement = view.commander.iter().flat_map(|c| &c.statement);
        rows.extend(statement.flat_map(|s| s.parts()).map(|(name, text)| {
            let name = match name {
                "nature" => "  nature",
                "impact" => "  impact",
                _ => "  why",
            };
            (name, plain(text))
        }));
    }
    // The commander has a row already.
    let hands = view.people.iter().filter(|h| h.did != Did::Confirmed);
    rows.extend(hands.map(|h| (h.did.name(), hand(h, roster.as_ref()))));
    rows
}

/// Who authorised a request, by what the agent says.
pub(super) fn authorised(view: &RequestView) -> Option<String> {
    let Offer(request) = view.offer.unverified::<Offer>().ok()?;
    let commander = view.commander.as_ref()?;
    Some(in_words(
        commander,
        &request.operator,
        roster(view).as_ref(),
    ))
}

/// The account that did something, as the roster names it.
pub(super) fn account_in(view: &RequestView, who: &str) -> String {
    account(who, roster(view).as_ref())
}

/// Who authorised a request, and by whose word: `ivan, says dana` until ivan has confirmed it.
pub(super) fn in_words(commander: &Commander, operator: &str, roster: Option<&Roster>) -> String {
    let name = plain(&commander.name);
    match (commander.confirmed_at, &commander.who) {
        (Some(at), Some(who)) => {
            let from = account(who, roster);
            format!("{name}, confirmed {} from {from}", span::at(at))
        }
        _ => format!("{name}, says {}", plain(operator)),
    }
}

/// The groups of the organisation that the operator belongs to, by the roster.
fn membership(request: &Request, roster: &Roster) -> Option<String> {
    let groups = &roster.person(&request.operator)?.member_of;
    let names = plain(&groups.join(", "));
    (!groups.is_empty()).then(|| format!("{} is a member of {names}", plain(&request.operator)))
}

/// The same as it stands below a request on a screen; nothing where there is none.
pub(super) fn about(request: &Request, roster: &Roster) -> String {
    let row = membership(request, roster).map(|words| ("roster says", words));
    columns(&Vec::from_iter(row))
}

/// Refuses somebody else's session before anything is begun with it: the agent hands it to its operator's account alone, and a command without
/// what it was started for fails where nobody looks.
pub(super) fn own(request: &Request, view: &RequestView) -> Result<(), Problem> {
    let uid = rustix::process::getuid().as_raw();
    own_of(request, roster(view).as_ref(), uid)
}

fn own_of(request: &Request, roster: Option<&Roster>, uid: u32) -> Result<(), Problem> {
    match roster.and_then(|r| r.person_at(request.host, uid)) {
        Some(person) if person.name != request.operator => Err(Problem::new(
            Code::Refused,
            format!(
                "session {} is {}'s, and you are {}",
                plain(&request.id),
                plain(&request.operator),
                plain(&person.name)
            ),
        )
        .hint("ask for your own: twotap request VAULT --access NAME --incident ID --reason TEXT")),
        _ => Ok(()),
    }
}

/// The roster that a request was made under, unchecked.
fn roster(view: &RequestView) -> Option<Roster> {
    roster::shown(&view.roster_chain).ok()
}

fn hand(hand: &Hand, roster: Option<&Roster>) -> String {
    let mut words = plain(&hand.name);
    if hand.did == Did::Asked
        && let Some(person) = roster.and_then(|r| r.person(&hand.name))
        && !person.member_of.is_empty()
    {
        words.push_str(&format!(" ({})", plain(&person.member_of.join(", "))));
    }
    if let Some(serial) = hand.serial {
        words.push_str(&format!(", token {serial}"));
    }
    if let Some(key) = &hand.key {
        words.push_str(&format!(", key {}", short(key)));
    }
    if let Some(who) = &hand.account {
        words.push_str(&format!(", {}", account(who, roster)));
    }
    words
}

/// What an event says of who was behind its actor, short enough for a line: an account, a key, or a name of AWS.
pub(super) fn behind(who: &str) -> String {
    if who.len() == 64 && who.bytes().all(|b| b.is_ascii_hexdigit()) {
        return format!("key {}", &who[..SHORT]);
    }
    account(who, None)
}

/// The caller's groups and account, after the name and the roles.
pub(super) fn of_caller(you: &Person) -> String {
    let mut words = String::new();
    if !you.member_of.is_empty() {
        words.push_str(&format!(", member of {}", plain(&you.member_of.join(", "))));
    }
    if let Some(who) = &you.account {
        let who = account(who, None);
        let uid = who.split(" on ").next().unwrap_or(&who);
        words.push_str(&format!(", {uid}"));
    }
    words
}

/// `uid:UID@HOST-KEY-ID` with the host's name, where the roster has one: `uid 61010 on host-1`.
fn account(who: &str, roster: Option<&Roster>) -> String {
    let parts = who
        .strip_prefix("uid:")
        .and_then(|rest| rest.split_once('@'));
    let Some((uid, host)) = parts else {
        return plain(who);
    };
    let named = roster.and_then(|r| r.hosts.iter().find(|h| h.key.id().to_string() == host));
    let host = match named {
        Some(host) => host.name.as_str(),
        None => host.get(..SHORT).unwrap_or(host),
    };
    format!("uid {} on {}", plain(uid), plain(host))
}

fn short(key: &KeyId) -> String {
    key.to_string().chars().take(SHORT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::tests::{sample_request, view},
        trust::{
            Timestamp,
            tests::people::{self, SoftToken, host},
        },
    };

    fn sample() -> (RequestView, String) {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let mut roster = people::roster(2, &[&alice, &bob]);
        let dana = roster.people.iter_mut().find(|p| p.name == "dana");
        dana.expect("listed").member_of = vec!["Support-L2".to_owned()];
        let mut view = view(&sample_request(), String::new());
        view.roster_chain = vec![people::signed(&roster, &[&alice, &bob])];
        let host = crate::trust::Signer::public(&host()).id();
        (view, format!("@{host}"))
    }

    #[test]
    fn a_commander_is_the_operators_word_until_confirmed() {
        let (_, host) = sample();
        let mut commander = Commander {
            name: "ivan".to_owned(),
            confirmed_at: None,
            who: None,
            statement: None,
        };
        assert_eq!(in_words(&commander, "dana", None), "ivan, says dana");
        commander.confirmed_at = Some(Timestamp(0));
        commander.who = Some(format!("uid:61014{host}"));
        let words = in_words(&commander, "dana", None);
        assert!(words.starts_with("ivan, confirmed 1970-01-01"), "{words}");
        assert!(!words.contains("says"), "{words}");
    }

    #[test]
    fn each_hand_is_a_person_an_account_and_a_key() {
        let (mut view, host) = sample();
        let key = SoftToken::new("alice").listed().approve.key.id();
        let hand = |did, name: &str, uid, token: Option<KeyId>| Hand {
            did,
            name: name.to_owned(),
            account: Some(format!("uid:{uid}{host}")),
            serial: token.map(|_| 10001),
            key: token,
            at: Timestamp(0),
        };
        view.people = vec![
            hand(Did::Asked, "dana", 61010, None),
            hand(Did::Approved, "alice", 61011, Some(key)),
            hand(Did::Closed, "stranger\u{1b}[2J", 61099, None),
        ];
        let short = &key.to_string()[..12];
        assert_eq!(
            rows(&view),
            [
                (
                    "asked",
                    "dana (Support-L2), uid 61010 on vault-1".to_owned()
                ),
                (
                    "approved",
                    format!("alice, token 10001, key {short}, uid 61011 on vault-1")
                ),
                (
                    "closed",
                    "stranger\\u{1b}[2J, uid 61099 on vault-1".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_session_is_its_operators_alone() {
        let (view, _) = sample();
        let mut roster = roster(&view).expect("a roster");
        let mut request = sample_request();
        request.host = crate::trust::Signer::public(&host()).id();
        for (at, person) in roster.people.iter_mut().enumerate() {
            person.accounts = vec![crate::trust::roster::Account {
                host: request.host,
                uid: 70_000 + u32::try_from(at).expect("few"),
            }];
        }
        for person in &roster.people {
            let own = own_of(&request, Some(&roster), person.accounts[0].uid);
            assert_eq!(own.is_ok(), person.name == request.operator, "{own:?}");
        }
        // Whom the roster does not know the agent refuses.
        assert!(own_of(&request, Some(&roster), 1).is_ok());
    }

    #[test]
    fn the_caller_is_named_with_groups_and_account() {
        let you = Person {
            name: "dana".to_owned(),
            roles: vec!["operator".to_owned()],
            account: Some("uid:61010@abc".to_owned()),
            member_of: vec!["Support-L2".to_owned()],
        };
        assert_eq!(of_caller(&you), ", member of Support-L2, uid 61010");
        assert_eq!(of_caller(&Person::default()), "");
    }

    #[test]
    fn behind_an_actor_is_a_key_an_account_or_a_name_of_aws() {
        assert_eq!(behind(&"ab".repeat(32)), "key abababababab");
        assert_eq!(behind("uid:7@abc"), "uid 7 on abc");
        let arn = "arn:aws:sts::1:assumed-role/op-admin/dana";
        assert_eq!(behind(arn), arn);
    }

    #[test]
    fn an_account_that_is_none_is_shown_as_it_is() {
        assert_eq!(account("elsewhere\n", None), "elsewhere\\u{a}");
        assert_eq!(account("uid:7@abc", None), "uid 7 on abc");
    }
}
