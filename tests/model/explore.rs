//! An explicit-state explorer: every state that a model can reach, breadth first, so that the first counterexample is a shortest one.
//!
//! Two kinds of property. *Never*: no reachable state is broken. *In the end*: from every reachable state, once nothing goes wrong any
//! more, every way on comes to rest in a good state (no dead end, no circle outside the good ones).

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::{Debug, Display, Write as _},
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What is explored.
pub(crate) trait Model {
    type State: Copy + Eq + Hash + Debug;
    type Event: Copy + Display;

    fn start(&self) -> Vec<Self::State>;
    /// The same for all states that differ in names alone.
    fn canonical(&self, state: &Self::State) -> Self::State;
    /// Everything that can happen next.
    fn next(&self, state: &Self::State, then: &mut Vec<(Self::Event, Self::State)>);
    /// Whether this is something going wrong, or somebody's whim: what need not happen.
    fn is_fault(&self, event: Self::Event) -> bool;
    /// Which promise is broken here.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
    /// Whether the system may rest here.
    fn good(&self, state: &Self::State) -> bool;
}

/// What was seen of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// How many events the longest of the shortest ways has.
    pub(crate) depth: usize,
}

/// A promise that does not hold, and the shortest way there.
#[derive(Debug)]
pub(crate) struct Counterexample {
    pub(crate) promise: &'static str,
    pub(crate) events: Vec<String>,
    pub(crate) state: String,
}

/// The promise of the second kind.
pub(crate) const IN_THE_END: &str = "once nothing goes wrong any more it comes to rest";

impl Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "broken: {}", self.promise)?;
        for (n, event) in self.events.iter().enumerate() {
            writeln!(f, "{:4}. {event}", n + 1)?;
        }
        write!(f, "      {}", self.state)
    }
}

/// FNV-1a: the states are a few dozen bytes, and nobody chooses them against us.
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// How states came to be known.
struct Graph<S> {
    /// As they were reached first.
    states: Vec<S>,
    /// By their canonical form.
    numbers: HashMap<S, u32, BuildHasherDefault<Fnv>>,
    /// The state from which each was reached first.
    before: Vec<Option<u32>>,
    depth: Vec<u32>,
}

impl<S: Copy + Eq + Hash> Graph<S> {
    fn add(&mut self, state: S, canonical: S, before: Option<u32>) -> (u32, bool) {
        let number = u32::try_from(self.states.len()).expect("fewer than 2^32 states");
        match self.numbers.entry(canonical) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(free) => {
                free.insert(number);
                self.states.push(state);
                self.before.push(before);
                let depth = before.map_or(0, |b| self.depth[b as usize] + 1);
                self.depth.push(depth);
                (number, true)
            }
        }
    }
}

/// Explores a model to its end.
///
/// # Panics
/// Above `most` states: the bound is part of what is claimed.
pub(crate) fn explore<M: Model>(model: &M, most: usize) -> Result<Seen, Box<Counterexample>> {
    let mut graph = Graph {
        states: Vec::new(),
        numbers: HashMap::default(),
        before: Vec::new(),
        depth: Vec::new(),
    };
    let mut quiet: Vec<(u32, u32)> = Vec::new();
    let mut transitions = 0;
    for state in model.start() {
        graph.add(state, model.canonical(&state), None);
        if let Some(promise) = model.broken(&state) {
            return Err(shown(model, &graph, 0, promise));
        }
    }
    let (mut at, mut then) = (0, Vec::new());
    while at < graph.states.len() {
        assert!(at < most, "more than {most} states");
        let from = u32::try_from(at).expect("fewer than 2^32 states");
        model.next(&graph.states[at], &mut then);
        transitions += then.len();
        for (event, state) in then.drain(..) {
            let (to, new) = graph.add(state, model.canonical(&state), Some(from));
            if new && let Some(promise) = model.broken(&state) {
                return Err(shown(model, &graph, to, promise));
            }
            // Trying the same thing again is not getting anywhere, and not a circle either: it goes on until something changes.
            if to != from && !model.is_fault(event) {
                quiet.push((from, to));
            }
        }
        at += 1;
    }
    comes_to_rest(model, &graph, &quiet)?;
    Ok(Seen {
        states: graph.states.len(),
        transitions,
        depth: graph.depth.iter().copied().max().unwrap_or(0) as usize,
    })
}

/// The smallest set that holds the good states, and each state whose every quiet way on leads into it.
fn comes_to_rest<M: Model>(
    model: &M,
    graph: &Graph<M::State>,
    quiet: &[(u32, u32)],
) -> Result<(), Box<Counterexample>> {
    let count = graph.states.len();
    let mut ways_on = vec![0_u32; count];
    let mut back: Vec<(u32, u32)> = quiet.iter().map(|&(from, to)| (to, from)).collect();
    back.sort_unstable();
    back.dedup();
    for &(_, from) in &back {
        ways_on[from as usize] += 1;
    }
    let mut rests: Vec<bool> = graph.states.iter().map(|s| model.good(s)).collect();
    let mut todo: Vec<u32> = (0..)
        .zip(&rests)
        .filter(|(_, r)| **r)
        .map(|(n, _)| n)
        .collect();
    while let Some(to) = todo.pop() {
        let first = back.partition_point(|&(t, _)| t < to);
        for &(_, from) in back[first..].iter().take_while(|&&(t, _)| t == to) {
            ways_on[from as usize] -= 1;
            if ways_on[from as usize] == 0 && !rests[from as usize] {
                rests[from as usize] = true;
                todo.push(from);
            }
        }
    }
    match (0..).zip(&rests).find(|(_, rests)| !**rests) {
        None => Ok(()),
        Some((restless, _)) => {
            let mut found = shown(model, graph, restless, IN_THE_END);
            go_on(model, graph, &rests, restless, &mut found.events);
            Err(found)
        }
    }
}

/// From a state that does not come to rest: where it goes when nothing more goes wrong, until it stands still or has been there before.
fn go_on<M: Model>(
    model: &M,
    graph: &Graph<M::State>,
    rests: &[bool],
    from: u32,
    events: &mut Vec<String>,
) {
    let (mut at, mut been, mut then) = (from, vec![from], Vec::new());
    loop {
        model.next(&graph.states[at as usize], &mut then);
        let ways: Vec<_> = then
            .drain(..)
            .filter(|(event, _)| !model.is_fault(*event))
            .filter_map(|(event, state)| {
                Some((event, *graph.numbers.get(&model.canonical(&state))?))
            })
            .filter(|(_, to)| *to != at && !rests[*to as usize])
            .collect();
        let Some((event, to)) = ways.first() else {
            events.push("... and nothing follows".to_owned());
            return;
        };
        if been.contains(to) {
            events.push(format!("... {event}, and so on for ever"));
            return;
        }
        events.push(format!("... {event}"));
        been.push(*to);
        at = *to;
    }
}

fn shown<M: Model>(
    model: &M,
    graph: &Graph<M::State>,
    at: u32,
    promise: &'static str,
) -> Box<Counterexample> {
    let mut way = vec![at];
    while let Some(before) = graph.before[way[way.len() - 1] as usize] {
        way.push(before);
    }
    way.reverse();
    let mut events = Vec::new();
    let mut then = Vec::new();
    for pair in way.windows(2) {
        let (from, to) = (
            &graph.states[pair[0] as usize],
            &graph.states[pair[1] as usize],
        );
        model.next(from, &mut then);
        let event = then
            .drain(..)
            .find(|(_, state)| model.canonical(state) == model.canonical(to));
        let mut line = String::new();
        if let Some((event, _)) = event {
            let _ = write!(line, "{event}");
        }
        events.push(line);
    }
    Box::new(Counterexample {
        promise,
        events,
        state: format!("{:?}", graph.states[at as usize]),
    })
}
