//! How files are written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::source::{Source, code, collect, read, tree};

/// Lines that a file under `src` may have.
const LINES: usize = 500;

/// What ends a program in the middle of its work.
const PANICS: [&str; 8] = [
    ".unwrap()",
    ".expect(\"",
    ".unwrap_err()",
    ".expect_err(\"",
    "panic!(",
    "unreachable!(",
    "todo!(",
    "unimplemented!(",
];

/// Where one of them stands all the same, how often, and why it cannot be reached by anything from outside.
const CANNOT: [(&str, &str, usize); 3] = [
    // HMAC takes keys of every length.
    ("shamir.rs", ".expect(\"", 1),
    // HKDF's only error is a length above 255 blocks; the length is a constant.
    ("vault/piv_p256.rs", "unreachable!(", 1),
    // HMAC takes keys of every length.
    ("vault/hpke.rs", "unreachable!(", 1),
];

/// Words that promise something for later.
const LATER: [&str; 5] = ["TODO", "FIXME", "XXX", "HACK", "WIP"];

/// Every Rust file of the workspace, with its text.
fn workspace() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "shares", "tests", "xtask"] {
        collect(&root.join(folder), &mut paths);
    }
    let texts = paths.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a text file");
        (
            path.strip_prefix(root).expect("under the root").to_owned(),
            text,
        )
    });
    texts.collect()
}

/// The shipped crate beside this one.
fn shares() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shares/src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let files = paths.into_iter().map(|path| {
        let file = path
            .strip_prefix(&root)
            .expect("under src")
            .display()
            .to_string();
        (file, fs::read_to_string(&path).expect("a text file"))
    });
    read(files.collect())
}

fn panics(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for what in PANICS {
            let count = source.shipped.matches(what).count();
            let mut excused = CANNOT.iter().filter(|c| (c.0, c.1) == (&source.file, what));
            let most = excused.next().map_or(0, |c| c.2);
            if count != most {
                broken.push(format!(
                    "{}: {what} {count} times, {most} excused",
                    source.file
                ));
            }
        }
    }
    broken
}

/// Printing is for doors, and one file of each says how.
fn prints(sources: &[Source]) -> Vec<String> {
    const PRINT: [&str; 5] = ["println!(", "print!(", "eprint!(", "dbg!(", "io::stdout("];
    let doors = ["cli", "agent", "worker"];
    let inner = sources.iter().filter(|s| !doors.contains(&s.part()));
    let printing = inner.filter(|s| PRINT.iter().any(|p| s.shipped.contains(p)));
    printing.map(|s| s.file.clone()).collect()
}

/// Changes of files that bypass `trust/file.rs`, where their failpoints stand.
fn past_the_points(sources: &[Source]) -> Vec<String> {
    const CHANGES: [&str; 5] = [
        "fs::rename(",
        "fs::remove_file(",
        "fs::remove_dir_all(",
        "fs::write(",
        "fs::copy(",
    ];
    let kept = sources
        .iter()
        .filter(|s| matches!(s.part(), "worker" | "vault" | "trust") && s.file != "trust/file.rs");
    let broken = kept.flat_map(|s| {
        let found = CHANGES.iter().filter(|c| s.shipped.contains(**c));
        found.map(|c| format!("{}: {c}", s.file))
    });
    broken.collect()
}

fn put_off(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.find_map(|word| LATER.into_iter().find(|later| *later == word))
}

#[test]
fn files_stay_short() {
    let sources = tree();
    let long = sources.iter().filter(|s| s.text.lines().count() > LINES);
    let long: Vec<_> = long.map(|s| &s.file).collect();
    assert!(long.is_empty(), "over {LINES} lines: {long:?}");
    assert!(sources.len() > 100, "the tree was read");
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let files = workspace();
    let mut roots = 0;
    for (path, text) in &files {
        let shown = path.display().to_string();
        // Crates of their own are: libraries and programs. Tests of this package are held by the workspace's lint.
        let bin = path.parent().is_some_and(|p| p.ends_with("src/bin"));
        let root = bin || shown.ends_with("src/lib.rs") || shown.ends_with("src/main.rs");
        if root {
            roots += 1;
            assert!(code(text).contains("#![forbid(unsafe_code)]"), "{shown}");
        }
        // A seam would let it in again.
        let allowed = code(text).contains("allow(unsafe_code)");
        assert!(!allowed, "{shown}");
    }
    assert_eq!(roots, 10, "libraries and programs of the workspace");
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let manifest: toml::Value = toml::from_str(&manifest.expect("a manifest")).expect("toml");
    assert_eq!(
        manifest["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("deny")
    );
}

#[test]
fn programs_are_three_lines() {
    let sources = tree();
    let programs = [
        ("bin/twotap.rs", "cli"),
        ("bin/twotapd.rs", "agent"),
        ("bin/twotap-worker.rs", "worker"),
    ];
    let there: Vec<&str> = sources
        .iter()
        .filter(|s| s.part() == "bin")
        .map(|s| s.file.as_str())
        .collect();
    assert_eq!(
        there,
        ["bin/twotap-worker.rs", "bin/twotap.rs", "bin/twotapd.rs"]
    );
    for (file, door) in programs {
        let source = sources.iter().find(|s| s.file == file).expect("there");
        let lines: Vec<&str> = source.shipped.lines().map(str::trim).collect();
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|l| !l.is_empty() && !l.starts_with("#!["))
            .collect();
        assert_eq!(
            lines,
            [
                "fn main() -> std::process::ExitCode {",
                &format!("twotap::{door}::main()"),
                "}"
            ],
            "{file}"
        );
    }
}

#[test]
fn shipped_code_does_not_panic() {
    let all: Vec<Source> = tree().into_iter().chain(shares()).collect();
    assert_eq!(panics(&all), [""; 0]);
    let bad =
        "fn f(a: Option<u8>) { a.expect(\"there\"); }\n#[cfg(test)]\nmod t { fn g() { panic!() } }";
    let bad = read(vec![("trust/x.rs".to_owned(), bad.to_owned())]);
    assert_eq!(panics(&bad), ["trust/x.rs: .expect(\" 1 times, 0 excused"]);
}

#[test]
fn only_doors_print() {
    let all: Vec<Source> = tree().into_iter().chain(shares()).collect();
    assert_eq!(prints(&all), [""; 0]);
    let bad = "fn f() { eprintln!(\"{x}\") }".to_owned();
    assert_eq!(
        prints(&read(vec![("vault/x.rs".to_owned(), bad)])),
        ["vault/x.rs"]
    );
}

#[test]
fn a_worker_changes_files_where_it_can_be_stopped() {
    assert_eq!(past_the_points(&tree()), [""; 0]);
    let bad = "fn f() { std::fs::rename(a, b) }".to_owned();
    assert_eq!(
        past_the_points(&read(vec![("vault/x.rs".to_owned(), bad)])),
        ["vault/x.rs: fs::rename("]
    );
}

#[test]
fn nothing_is_put_off() {
    for (path, text) in workspace() {
        // This file has to name the words.
        if !path.ends_with("architecture/house.rs") {
            assert_eq!(put_off(&text), None, "{}", path.display());
        }
    }
    assert_eq!(put_off("// FIXME: later"), Some("FIXME"));
    assert_eq!(put_off("\"TODOS\""), None);
}
