//! The whole matrix: which cases there are, and hosts side by side that serve them.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use twotap::trust::Digest;

use crate::{
    cases::{Case, End, Flow},
    flow,
    host::Host,
    points::Victim,
    wait::until,
};

/// Cases that one host serves, after its sealing. A role has room for the revocations of some dozens of sessions.
const CASES_A_HOST: usize = 7;
/// Hosts side by side: a case mostly waits.
const LANES: usize = 8;

/// The points of both flows, in order.
#[derive(Debug)]
pub(crate) struct Points {
    pub(crate) seal: Vec<String>,
    pub(crate) reseal: Vec<String>,
    pub(crate) ceremony: Vec<String>,
}

/// Runs both flows once, undisturbed, and gives what they came by.
pub(crate) fn learn() -> Points {
    let host = Host::new();
    host.rig.arm(&[]);
    flow::seal(&host, host.world.first_key_json()).expect("sealed");
    let seal = at_rest(&host);
    host.rig.arm(&[]);
    let view = flow::ceremony(&host).expect("open");
    flow::close(&host, &view.id).expect("closed");
    let ceremony = at_rest(&host);
    host.rig.arm(&[]);
    flow::seal(&host, &flow::new_key(&host)).expect("sealed again");
    let reseal = at_rest(&host);
    host.verify_record().expect("the record verifies");
    Points {
        seal,
        reseal,
        ceremony,
    }
}

/// The list of points once nobody adds to it.
fn at_rest(host: &Host) -> Vec<String> {
    let mut before = Vec::new();
    let mut same = 0;
    until("everybody is at rest", || {
        let now = host.rig.reached();
        let rests = host.workers().is_empty() && now == before;
        same = if rests { same + 1 } else { 0 };
        before = now;
        same > 25
    });
    before
}

/// Whether a point, or a case's, lies in the agent.
pub(crate) fn in_agent(point: &str) -> bool {
    point.contains("book:") || point.contains("from-worker:")
}

/// Of a ceremony and its closing every point with the worker killed, every point with both, and with the agent alone those in the agent
/// and those right after a worker's entry or call. Of a sealing the worker's deaths at every point of the first one; for the others, all
/// but those at files, a sealed vault does, which need not be made anew. Beside that every write is refused, with nobody killed: once
/// because the disk is full, once because it is read-only.
pub(crate) fn cases(points: &Points) -> Vec<Case> {
    use Victim::{Agent, Both, FullDisk, ReadOnlyDisk, Worker};
    let mut cases = Vec::new();
    for (flow, points, victims) in [
        (Flow::Seal, &points.seal, &[Worker][..]),
        (Flow::Reseal, &points.reseal, &[Both, Agent]),
        (Flow::Ceremony, &points.ceremony, &[Worker, Both, Agent]),
    ] {
        for point in points.iter().filter(|p| !is_one_of_many(p)) {
            let file = point.starts_with("file:");
            // To an agent, a worker just before something is where it was just after the last thing.
            let told = in_agent(point) || (!file && point.contains(":after#"));
            for &victim in victims {
                if (victim == Agent && !told) || (victim == Both && flow == Flow::Reseal && file) {
                    continue;
                }
                cases.push(Case {
                    flow,
                    victim,
                    points: vec![point.clone()],
                });
            }
        }
    }
    for (flow, points) in [
        (Flow::Reseal, &points.reseal),
        (Flow::Ceremony, &points.ceremony),
    ] {
        // A store that is refused while a key is brought is refused to the one who brings it, as with a ceremony's first event.
        let ours = |p: &&String| is_a_write(p) && (flow == Flow::Ceremony || !in_agent(p));
        for point in points.iter().filter(ours) {
            for victim in [FullDisk, ReadOnlyDisk] {
                cases.push(Case {
                    flow,
                    victim,
                    points: vec![point.clone()],
                });
            }
        }
    }
    // In an order of no meaning, so that a host meets deaths of all kinds one after the other.
    cases.sort_by_key(|case| Digest::of(case.to_string().as_bytes()).0);
    cases
}

/// Somebody is killed, and again: at the same place, later, or while what was left is put right. Points are counted on.
pub(crate) fn two_in_a_row() -> Vec<Case> {
    use {Flow::*, Victim::*};
    let cases = [
        // A key that nobody knows, twice.
        (
            Ceremony,
            Worker,
            [
                "aws:iam.CreateAccessKey:after#1",
                "aws:iam.CreateAccessKey:after#2",
            ],
        ),
        // Right after the new generation counts, twice.
        (
            Ceremony,
            Both,
            ["file:prod/current:renamed#1", "file:prod/current:renamed#2"],
        ),
        // The orphan of the first is being cleared away.
        (
            Ceremony,
            Worker,
            [
                "journal:key_created:after#1",
                "aws:iam.DeleteAccessKey:before#1",
            ],
        ),
        (
            Ceremony,
            Both,
            [
                "journal:key_created:after#1",
                "aws:iam.DeleteAccessKey:after#1",
            ],
        ),
        // The old key of the first is being cleared away.
        (
            Ceremony,
            Both,
            [
                "journal:generation_committed:after#1",
                "aws:iam.UpdateAccessKey:after#1",
            ],
        ),
        (
            Ceremony,
            Worker,
            [
                "aws:iam.UpdateAccessKey:after#1",
                "journal:rotation_intent:after#2",
            ],
        ),
        // Half-written files are cleared away, and written anew.
        (
            Ceremony,
            Both,
            [
                "file:.half-N/vault.age:after#1",
                "file:.half-N/vault.age:before#2",
            ],
        ),
        (
            Ceremony,
            Worker,
            [
                "file:generations/N:renamed#1",
                "file:generations/N:before#2",
            ],
        ),
        // A session that nobody got, and then the rotation of the next ceremony.
        (
            Ceremony,
            Both,
            [
                "aws:sts.AssumeRole:after#2",
                "journal:rotation_intent:before#1",
            ],
        ),
        // The agent while it takes up what it missed.
        (
            Ceremony,
            Agent,
            ["journal:minted:after#1", "book:AGENT_STARTED:before#1"],
        ),
        (
            Ceremony,
            Agent,
            ["book:MINT_INTENT:after#1", "book:AGENT_STARTED:after#1"],
        ),
        (
            Ceremony,
            Both,
            ["journal:key_proven:after#1", "book:AGENT_STARTED:after#1"],
        ),
        // Closing, and closing again.
        (
            Ceremony,
            Worker,
            [
                "journal:revoke_intent:after#1",
                "aws:iam.PutRolePolicy:after#1",
            ],
        ),
        (
            Ceremony,
            Both,
            ["aws:iam.PutRolePolicy:after#1", "journal:revoked:before#1"],
        ),
        (
            Ceremony,
            Both,
            [
                "journal:refusal_observed:after#1",
                "file:runtime/R.json:before-remove#1",
            ],
        ),
        // The first sealing.
        (
            Seal,
            Both,
            ["file:prod/current:renamed#1", "file:prod/current:renamed#2"],
        ),
        (
            Seal,
            Worker,
            [
                "journal:generation_committed:before#1",
                "aws:iam.CreateAccessKey:after#1",
            ],
        ),
        (
            Seal,
            Both,
            [
                "file:.half-N/manifest.dsse.json:after#1",
                "file:state/seen.json:beside#1",
            ],
        ),
    ];
    let case = |(flow, victim, points): (Flow, Victim, [&str; 2])| Case {
        flow,
        victim,
        points: points.map(str::to_owned).to_vec(),
    };
    cases.map(case).to_vec()
}

/// Whether a point stands before a write, which may be refused.
fn is_a_write(point: &str) -> bool {
    let name = point.split('#').next().unwrap_or_default();
    let moment = name.rsplit(':').next().unwrap_or_default();
    let kept = ["file:", "journal:", "book:"];
    moment.starts_with("before") && kept.iter().any(|kind| name.starts_with(kind))
}

/// Of the ten probes of one observation the first two and the last stand for all.
fn is_one_of_many(point: &str) -> bool {
    let probe = point.starts_with("aws:ec2.DescribeRegions:");
    let number = point.rsplit_once('#').and_then(|(_, n)| n.parse().ok());
    probe && number.is_some_and(|n: u32| (3..=9).contains(&n))
}

/// How the cases ended.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Cases by flow, victim and group of points: how many, how many of them were not come by.
    groups: BTreeMap<String, (usize, usize)>,
    pub(crate) not_reached: Vec<String>,
    pub(crate) bad: Vec<String>,
}

/// Runs them all, side by side.
pub(crate) fn run(cases: Vec<Case>) -> Outcome {
    let (seals, others): (VecDeque<_>, VecDeque<_>) =
        cases.into_iter().partition(|c| c.flow == Flow::Seal);
    let lanes = LANES.min(seals.len().max(others.len().div_ceil(CASES_A_HOST)));
    let (seals, others) = (Mutex::new(seals), Mutex::new(others));
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| while serve(&seals, &others, &outcome) {});
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One host's life: a sealing, disturbed if such a case is left, and some ceremonies. `false` when there was nothing left to do.
fn serve(
    seals: &Mutex<VecDeque<Case>>,
    others: &Mutex<VecDeque<Case>>,
    outcome: &Mutex<Outcome>,
) -> bool {
    let next = |queue: &Mutex<VecDeque<Case>>| {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    let left = |queue: &Mutex<VecDeque<Case>>| {
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.len()
    };
    // As many as there are for each sealing, so that no host is sealed for nothing.
    let share = left(others).div_ceil(left(seals).max(1)).min(CASES_A_HOST);
    let first = next(seals);
    if first.is_none() && share == 0 {
        return false;
    }
    let host = Host::new();
    let mut served = Vec::new();
    match first {
        Some(case) => {
            let end = case.run(&host);
            let well = note(outcome, &host, &case, end);
            served.push(case);
            if !well {
                return true;
            }
        }
        None => {
            if let Err(why) = flow::seal(&host, host.world.first_key_json()) {
                bad(outcome, format!("a sealing without a fault: {why:?}"));
                return true;
            }
            until("the sealing's end", || host.workers().is_empty());
        }
    }
    for _ in 0..share {
        let Some(case) = next(others) else { break };
        let end = case.run(&host);
        let well = note(outcome, &host, &case, end);
        served.push(case);
        if !well {
            return true;
        }
    }
    if let Err(why) = host.verify_record() {
        let served: Vec<_> = served.iter().map(ToString::to_string).collect();
        bad(outcome, format!("the record after {served:#?}: {why}"));
    }
    true
}

fn note(outcome: &Mutex<Outcome>, host: &Host, case: &Case, end: End) -> bool {
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let group = case.points[0].split(':').next().unwrap_or_default();
    let name = format!("{:?} {group} {:?}", case.flow, case.victim).to_lowercase();
    let entry = outcome.groups.entry(name).or_default();
    entry.0 += 1;
    match end {
        End::Well => true,
        End::NotReached => {
            entry.1 += 1;
            outcome.not_reached.push(case.to_string());
            true
        }
        End::Badly(why) => {
            let said = format!("{case}\n{why}\nthe agent said:\n{}", host.log());
            say(&said);
            outcome.bad.push(said);
            false
        }
    }
}

fn bad(outcome: &Mutex<Outcome>, why: String) {
    say(&why);
    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
    outcome.bad.push(why);
}

/// Says how many points and cases there were, past the capture of tests that pass.
pub(crate) fn tell(points: &Points, outcome: &Outcome, begun: Instant) {
    let cases: usize = outcome.groups.values().map(|(n, _)| n).sum();
    let mut text = format!(
        "kill matrix: {} points of a first sealing, {} of another, {} of a ceremony and its closing; {cases} cases in {:.0?}, {} badly, {} not reached\n",
        points.seal.len(),
        points.reseal.len(),
        points.ceremony.len(),
        begun.elapsed(),
        outcome.bad.len(),
        outcome.not_reached.len(),
    );
    for (group, (cases, not_reached)) in &outcome.groups {
        text.push_str(&format!("  {group}: {cases}"));
        if *not_reached > 0 {
            text.push_str(&format!(", {not_reached} not reached"));
        }
        text.push('\n');
    }
    for case in &outcome.not_reached {
        text.push_str(&format!("  not reached: {case}\n"));
    }
    say(&text);
}

pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
