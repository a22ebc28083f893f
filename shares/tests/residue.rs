//! No secret stays behind in freed memory.
//!
//! A child process splits, parses, fails to parse and combines, drops everything and waits. This process, which draws
//! the same secrets from the same seed, reads all of the child's writable memory but the stack and looks for any 16
//! bytes of them (the allocator overwrites the first 16 bytes of what is freed). Each stage has children that stop
//! right after it, before a later stage reuses what was freed. Two more leave a copy behind on purpose: those must be
//! found, or the scan proves nothing.
//!
//! Linux alone, as it reads `/proc`.

#[path = "../src/testing.rs"]
#[allow(dead_code)]
mod testing;

use rand_core::RngCore;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use testing::Draw;
use twotap_shares::{Error, Mnemonic, Scheme, Secret, WORDS, combine, split, word_index};
use zeroize::Zeroizing;

const FRAGMENT: usize = 16;
/// Where a child stops.
const STAGES: [&str; 4] = ["split", "parse", "refuse", "combine"];
/// What a child leaves behind on purpose, at the end.
const LEAKS: [&str; 2] = ["bytes", "words"];
/// What the child's heap is like at first.
const HEAPS: [&str; 2] = ["fresh", "crowded"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, seed, heap, stop] = arguments.as_slice()
        && role == "residue-child"
    {
        return child(seed.parse().expect("a seed"), heap, stop);
    }
    let seed = rand_core::OsRng.next_u64();
    let needles = needles(seed);
    for heap in HEAPS {
        for stop in STAGES {
            let found = scan(seed, heap, stop, &needles);
            assert!(
                found.is_empty(),
                "seed {seed}, {heap} heap, {stop}: left in freed memory: {found:?}"
            );
        }
        for leak in LEAKS {
            let found = scan(seed, heap, leak, &needles);
            assert!(
                !found.is_empty(),
                "the scan does not see a copy of {leak} left on purpose"
            );
        }
    }
    println!("residue: nothing left; the copies left on purpose were found");
}

/// The secrets of one run, drawn from the seed.
fn draw(seed: u64) -> (Draw, Secret, Zeroizing<Vec<u8>>) {
    let mut rng = Draw::new(seed);
    let mut bytes = Zeroizing::new(vec![0; 32]);
    rng.fill_bytes(&mut bytes);
    let mut passphrase = Zeroizing::new(vec![0; 80]);
    rng.fill_bytes(&mut passphrase);
    for byte in passphrase.iter_mut() {
        *byte = b' ' + *byte % 95;
    }
    (
        rng,
        Secret::new(&bytes).expect("32 bytes are a secret"),
        passphrase,
    )
}

/// The child: the whole life of a secret, then silence.
fn child(seed: u64, heap: &str, stop: &str) {
    let pins = if heap == "crowded" {
        holes()
    } else {
        Vec::new()
    };
    live(seed, stop);
    drop(pins);
    let mut out = std::io::stdout();
    out.write_all(b"done\n")
        .and_then(|()| out.flush())
        .expect("the parent listens");
    // Until the parent has seen enough.
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("stdin is readable");
}

/// Holes of many sizes between blocks that stay: a buffer that grows has to move, and leaves what it held behind.
fn holes() -> Vec<Vec<u8>> {
    let sizes = (1..64).map(|step| step * 16).flat_map(|size| [size; 16]);
    let (holes, pins): (Vec<_>, Vec<_>) = sizes.map(|size| (vec![1; size], vec![1u8; 24])).unzip();
    drop::<Vec<Vec<u8>>>(holes);
    pins
}

fn live(seed: u64, stop: &str) {
    let (mut rng, secret, passphrase) = draw(seed);
    let groups = split(&secret, &passphrase, &Scheme::single(3, 5), &mut rng).expect("shares");
    if stop == "split" {
        return;
    }
    let read = |share: &Mnemonic| Mnemonic::parse(share.expose()).expect("a share");
    let shares: Vec<Mnemonic> = groups[0][1..4].iter().map(read).collect();
    if stop == "parse" {
        return;
    }
    let text = groups[0][0].expose();
    let (most, _) = text.rsplit_once(' ').expect("a share has words");
    assert_eq!(
        Mnemonic::parse(most).err(),
        Some(Error::Length { words: 32 })
    );
    // The first word, which is of the public header, wrong: refused by the checksum.
    let (first, rest) = text.split_once(' ').expect("a share has words");
    let other = WORDS[usize::from(word_index(first).expect("a word")) ^ 1];
    let mut wrong = Zeroizing::new(String::with_capacity(other.len() + 1 + rest.len()));
    wrong.push_str(other);
    wrong.push(' ');
    wrong.push_str(rest);
    assert_eq!(
        Mnemonic::parse(&wrong).err(),
        Some(Error::Checksum { suspect: Some(1) })
    );
    if stop == "refuse" {
        return;
    }
    let recovered = combine(&shares, &passphrase).expect("a secret");
    assert_eq!(recovered.expose(), secret.expose());
    match stop {
        "bytes" => drop(recovered.expose().to_vec()),
        "words" => drop(shares[0].expose().to_string()),
        _ => {}
    }
}

/// Every 16 bytes of everything secret in the child, with its name.
fn needles(seed: u64) -> HashMap<[u8; FRAGMENT], String> {
    let mut needles = HashMap::new();
    let mut add = |name: &str, bytes: &[u8]| {
        for fragment in bytes.windows(FRAGMENT) {
            needles.insert(fragment.try_into().expect("16 bytes"), name.to_string());
        }
    };
    let (mut rng, secret, passphrase) = draw(seed);
    add("secret", secret.expose());
    add("passphrase", &passphrase);
    let groups = split(&secret, &passphrase, &Scheme::single(3, 5), &mut rng).expect("shares");
    // An extendable secret encrypts alike in every set, and a share of 1-of-1 holds it as it is.
    let encrypted = split(&secret, &passphrase, &Scheme::single(1, 1), &mut rng).expect("shares");
    add("encrypted secret", &value(&numbers(&encrypted[0][0])));
    for (place, share) in groups[0].iter().enumerate() {
        let numbers = numbers(share);
        add(&format!("value of share {place}"), &value(&numbers));
        let value_words = &numbers[4..numbers.len() - 3];
        let raw: Vec<u8> = value_words
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect();
        add(&format!("word numbers of share {place}"), &raw);
        let text: Vec<&str> = share.expose().split(' ').skip(4).collect();
        add(
            &format!("words of share {place}"),
            text.join(" ").as_bytes(),
        );
        add(
            &format!("words of share {place} in capitals"),
            text.join(" ").to_uppercase().as_bytes(),
        );
    }
    needles
}

fn numbers(share: &Mnemonic) -> Vec<u16> {
    share
        .expose()
        .split(' ')
        .map(|word| word_index(word).expect("a word"))
        .collect()
}

/// The 32 bytes in the 26 words after the header: 4 zero bits, then the value.
fn value(numbers: &[u16]) -> Vec<u8> {
    let bits: Vec<u16> = numbers[4..30]
        .iter()
        .flat_map(|number| (0..10).rev().map(move |bit| number >> bit & 1))
        .collect();
    bits[4..]
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | *bit as u8))
        .collect()
}

/// What such a child leaves in its memory: names of the secret and of the mapping.
fn scan(
    seed: u64,
    heap: &str,
    stop: &str,
    needles: &HashMap<[u8; FRAGMENT], String>,
) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("a path"))
        .args(["residue-child", &seed.to_string(), heap, stop])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("the child speaks");
    assert_eq!(line, "done\n", "the child failed");

    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).expect("maps");
    let memory =
        File::open(format!("/proc/{}/mem", child.id())).expect("a child's memory is readable");
    let mut found = Vec::new();
    let mut scanned = 0;
    for map in maps
        .lines()
        .filter(|map| map.contains(" rw") && !map.ends_with("[stack]"))
    {
        let (start, end) = map
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let [start, end] =
            [start, end].map(|address| u64::from_str_radix(address, 16).expect("an address"));
        let mut bytes = vec![0; (end - start) as usize];
        memory
            .read_exact_at(&mut bytes, start)
            .expect("a mapping is readable");
        scanned += bytes.len();
        for fragment in bytes.windows(FRAGMENT) {
            if let Some(name) = needles.get(fragment) {
                found.push(format!("{name} in {map}"));
            }
        }
    }
    assert!(
        maps.contains("[heap]") && scanned > 100_000,
        "only {scanned} bytes of memory were seen"
    );
    drop(child.stdin.take());
    assert!(child.wait().expect("the child ends").success());
    found.dedup();
    found
}
