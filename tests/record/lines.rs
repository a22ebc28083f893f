//! Lines that agents have written, and what an independent validator says of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use twotap::audit::{chain::Hash, event::Record};

/// Lines of one kind that are kept as samples.
const SAMPLES: usize = 1;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/record/lines.jsonl")
}

/// The sample lines: at least one of each event and step, as an agent wrote it. They are of many records, so they are no chain.
pub(crate) fn samples() -> Vec<String> {
    let text = fs::read_to_string(golden()).expect("sample lines");
    text.lines().map(str::to_owned).collect()
}

/// All lines that stand in `target/records`, each once, with where; how many records there are. What a test has damaged there does not count.
pub(crate) fn kept() -> (usize, Vec<(String, String)>) {
    let folder = twotap_rig::records::folder().expect("a build folder");
    let (mut files, mut lines, mut seen) = (0, Vec::new(), BTreeSet::new());
    for program in fs::read_dir(folder).expect("records were kept").flatten() {
        for file in fs::read_dir(program.path()).expect("a folder").flatten() {
            let Ok(text) = fs::read_to_string(file.path()) else {
                continue;
            };
            files += 1;
            let from = format!(
                "{}/{}",
                program.file_name().display(),
                file.file_name().display()
            );
            for line in unbroken(&text) {
                if seen.insert(Hash::of(line.as_bytes()).to_string()) {
                    lines.push((from.clone(), line.to_owned()));
                }
            }
        }
    }
    (files, lines)
}

/// The lines that the next one names by their hash, and the last, if it is a line.
fn unbroken(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text
        .split_inclusive('\n')
        .filter(|l| l.ends_with('\n'))
        .map(str::trim_end)
        .collect();
    let parsed: Vec<Option<Record>> = lines
        .iter()
        .map(|l| Record::parse(l.as_bytes()).ok())
        .collect();
    let whole = |n: usize| match (parsed.get(n), parsed.get(n + 1)) {
        (Some(Some(_)), None) => true,
        (Some(Some(_)), Some(Some(next))) => next.prev == Hash::of(lines[n].as_bytes()),
        _ => false,
    };
    (0..lines.len())
        .filter(|n| whole(*n))
        .map(|n| lines[n])
        .collect()
}

/// Keeps samples of what was seen, and those that were kept before of what was not.
pub(crate) fn keep_samples(seen: impl Iterator<Item = String>) {
    let before = fs::read_to_string(golden()).unwrap_or_default();
    let mut by_kind: BTreeMap<(String, String, Vec<String>), Vec<String>> = BTreeMap::new();
    for line in before.lines().map(str::to_owned).chain(seen) {
        let Ok(record) = Record::parse(line.as_bytes()) else {
            continue;
        };
        let fields = record.what.keys().cloned().collect();
        let kept = by_kind
            .entry((record.event_type, record.action, fields))
            .or_default();
        if kept.len() < SAMPLES {
            kept.push(line);
        }
    }
    let lines: Vec<String> = by_kind.into_values().flatten().collect();
    fs::write(golden(), lines.join("\n") + "\n").expect("written");
}

/// What PyPI's `jsonschema` says of each line by the shipped schema: `ok`, or why not.
pub(crate) fn validate<'l>(lines: impl Iterator<Item = &'l String>) -> Vec<String> {
    by_schema("packaging/schemas/events.schema.json", lines)
}

/// The same by another schema of this folder.
pub(crate) fn by_schema<'l>(schema: &str, lines: impl Iterator<Item = &'l String>) -> Vec<String> {
    python("validate.py", &[schema], lines)
}

/// What OCSF's own schema, as PyPI's `ocsf-json-schema` carries it, says of each event: `ok`, or why not.
pub(crate) fn by_ocsf<'l>(events: impl Iterator<Item = &'l String>) -> Vec<String> {
    python("ocsf.py", &[], events)
}

/// A line for each line, by a program of this folder.
fn python<'l>(
    program: &str,
    files: &[&str],
    lines: impl Iterator<Item = &'l String>,
) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines: Vec<&String> = lines.collect();
    let mut python = Command::new(twotap_rig::tools::python().expect("python"))
        .arg(root.join("tests/record").join(program))
        .args(files.iter().map(|file| root.join(file)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut input = python.stdin.take().expect("a pipe");
    let text: String = lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = python.wait_with_output().expect("python ends");
    writer.join().expect("joined").expect("python reads all");
    assert!(output.status.success(), "the validator failed");
    let said: Vec<String> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(said.len(), lines.len());
    said
}
