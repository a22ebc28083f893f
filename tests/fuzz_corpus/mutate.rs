//! One target: its corpus as it is, then changed, the same changes in the same order each time.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long each target's corpus is changed.
const BOUND: Duration = Duration::from_millis(1_500);
/// Enough, where a target is fast.
const MOST: u64 = 50_000;
/// The least that counts as having tried at all, however slow the machine is.
const LEAST: u64 = 200;
/// The longest input.
const LONGEST: usize = 64 * 1024;

/// Replays `fuzz/corpus/NAME`, then changes it. What makes the target panic is printed, to be kept in the corpus.
///
/// # Panics
/// The target does, or there is no corpus.
pub fn corpus(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let files: BTreeSet<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    assert!(
        files.len() >= 4,
        "{name}: a corpus of {} files",
        files.len()
    );
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|file| fs::read(file).expect("readable"))
        .collect();
    for (file, bytes) in files.iter().zip(&corpus) {
        tried(name, target, bytes, &file.display().to_string());
    }

    let mut draw = Draw(0x7477_6f74_6170);
    let began = Instant::now();
    for n in 0..MOST {
        if n >= LEAST && began.elapsed() > BOUND {
            break;
        }
        let mut bytes = corpus[draw.below(corpus.len())].clone();
        for _ in 0..=draw.below(4) {
            change(&mut bytes, &corpus, &mut draw);
        }
        bytes.truncate(LONGEST);
        tried(name, target, &bytes, &format!("change {n}"));
    }
}

fn tried(name: &str, target: fn(&[u8]), bytes: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
        let hex = data_encoding::HEXLOWER.encode(bytes);
        eprintln!("{name}, {what}: keep this in fuzz/corpus/{name}:\n{hex}");
        resume_unwind(panic);
    }
}

/// Changes that keep much of a form: a byte set, a bit flipped, a part cut out, put in twice, moved, or taken from another input; an end.
fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], draw: &mut Draw) {
    let length = bytes.len();
    let at = draw.below(length + 1);
    let some = draw.below(40) + 1;
    let range = at..(at + some).min(length);
    match draw.below(9) {
        0 | 1 if at < length => bytes[at] = draw.next() as u8,
        2 | 3 if at < length => bytes[at] ^= 1 << draw.below(8),
        4 => drop(bytes.drain(range)),
        5 => {
            let part = bytes[range].to_vec();
            bytes.splice(at..at, part);
        }
        6 => {
            let part: Vec<u8> = bytes.drain(range).collect();
            let to = draw.below(bytes.len() + 1);
            bytes.splice(to..to, part);
        }
        7 => {
            let other = &corpus[draw.below(corpus.len())];
            let from = draw.below(other.len() + 1);
            let part = other[from..(from + some).min(other.len())].to_vec();
            bytes.splice(range, part);
        }
        8 => bytes.truncate(at),
        _ => bytes.push(draw.next() as u8),
    }
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
