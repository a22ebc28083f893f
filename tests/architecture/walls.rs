//! Who may name whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, read, tree};

/// The floors, from the ground up.
const FLOORS: [&[&str]; 3] = [
    &["trust", "token", "aws", "audit", "fail"],
    &["protocol", "ceremony", "vault"],
    DOORS,
];
const DOORS: &[&str] = &["cli", "agent", "worker"];

/// Whose walls keep out what. `twotap_shares` is the ground's fifth part, a crate of its own.
const WALLS: [(&str, &[&str]); 4] = [
    (
        "agent",
        &[
            "crate::vault",
            "crate::token",
            "crate::aws",
            "twotap_shares",
        ],
    ),
    ("cli", &["crate::aws", "crate::audit::store"]),
    ("worker", &["crate::token", "crate::audit::store"]),
    (
        "ceremony",
        &[
            "crate::protocol",
            "crate::vault",
            "crate::token",
            "crate::aws",
            "crate::audit",
            "twotap_shares",
            // Pure: no files, no network, no clock, no randomness.
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "std::time",
            "tokio",
            "rustix",
            "rand_core",
        ],
    ),
];

/// What the outer world is reached through, and the only places that reach it: a wall would be worth little if anybody could go around it.
const OWNED: [(&str, &[&str]); 16] = [
    ("pcsc", &["token"]),
    ("aws_sdk_eventbridge", &["aws"]),
    ("aws_sdk_iam", &["aws"]),
    ("aws_sdk_s3", &["aws"]),
    ("aws_sdk_secretsmanager", &["aws"]),
    ("aws_sdk_sts", &["aws"]),
    ("aws_sigv4", &["aws"]),
    ("aws_smithy_http_client", &["aws"]),
    // What signs a call; the worker says which credential it is.
    ("aws_credential_types", &["aws", "worker"]),
    // The sinks' wire; the people's program signs in to the console by it, which is all that leaves the host from there.
    ("tokio_rustls", &["audit"]),
    ("rusqlite", &["audit"]),
    // The roster holds a recovery recipient, and reads it before it believes it.
    ("age", &["vault", "trust"]),
    ("axum", &["agent"]),
    ("landlock", &["worker"]),
    ("seccompiler", &["worker"]),
    ("clap", DOORS),
];

type Broken = Vec<String>;

/// Which parts each part names, with one place where it does.
fn arrows(sources: &[Source]) -> BTreeMap<(String, String), String> {
    let mut arrows = BTreeMap::new();
    for source in sources {
        for named in &source.named {
            if let [first, to, ..] = &named.path[..]
                && first == "crate"
                && *to != source.part()
            {
                arrows
                    .entry((source.part().to_owned(), to.clone()))
                    .or_insert_with(|| format!("{}:{}", source.file, named.line));
            }
        }
    }
    arrows
}

fn floor(part: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&part))
}

fn not_downwards(sources: &[Source]) -> Broken {
    let mut broken = Vec::new();
    for ((from, to), place) in arrows(sources) {
        // The programs know their door, and nothing else.
        let fine = match (floor(&from), floor(&to)) {
            (Some(from), Some(to)) => to <= from,
            _ => false,
        };
        if !fine {
            broken.push(format!("{from} names {to} ({place})"));
        }
    }
    broken
}

fn doors_through_doors(sources: &[Source]) -> Broken {
    let arrows = arrows(sources).into_iter();
    let broken = arrows
        .filter(|((from, to), _)| DOORS.contains(&from.as_str()) && DOORS.contains(&to.as_str()));
    broken
        .map(|((from, to), place)| format!("{from} names {to} ({place})"))
        .collect()
}

/// Takes away parts that name no other part that is left, until none is left, or a circle.
fn circles(sources: &[Source]) -> Broken {
    let arrows = arrows(sources);
    let mut left: BTreeSet<&str> = arrows.keys().map(|(from, _)| from.as_str()).collect();
    loop {
        let named: BTreeSet<&str> = arrows
            .keys()
            .filter(|(_, to)| left.contains(to.as_str()))
            .map(|(from, _)| from.as_str())
            .collect();
        let before = left.len();
        left.retain(|part| named.contains(part));
        if left.len() == before {
            return left.into_iter().map(str::to_owned).collect();
        }
    }
}

fn over_walls(sources: &[Source]) -> Broken {
    let mut broken = Vec::new();
    for source in sources {
        let walls = WALLS.iter().filter(|(part, _)| *part == source.part());
        let kept_out: Vec<&str> = walls.flat_map(|(_, out)| out.iter().copied()).collect();
        for named in &source.named {
            if kept_out.iter().any(|out| named.is_in(out)) {
                broken.push(format!(
                    "{}:{} names {}",
                    source.file,
                    named.line,
                    named.shown()
                ));
            }
        }
    }
    broken
}

fn around_walls(sources: &[Source]) -> Broken {
    let mut broken = Vec::new();
    for source in sources {
        for named in &source.named {
            let owned = OWNED.iter().find(|(name, _)| *name == named.path[0]);
            if owned.is_some_and(|(_, owners)| !owners.contains(&source.part())) {
                broken.push(format!(
                    "{}:{} names {}",
                    source.file,
                    named.line,
                    named.shown()
                ));
            }
        }
    }
    broken
}

/// With globs and with `crate` under another name, names would come in that no line shows.
fn unseen(sources: &[Source]) -> Broken {
    let mut broken = Vec::new();
    for source in sources {
        for named in &source.named {
            let own = named.path[0] == "crate";
            if own && (named.path.len() == 1 || named.path.last().is_some_and(|n| n == "*")) {
                broken.push(format!(
                    "{}:{} names {}",
                    source.file,
                    named.line,
                    named.shown()
                ));
            }
        }
    }
    broken
}

/// Files as a test makes them up: a path from `src`, and a text.
fn made_up(files: &[(&str, &str)]) -> Vec<Source> {
    let files = files.iter();
    read(
        files
            .map(|(f, t)| ((*f).to_owned(), (*t).to_owned()))
            .collect(),
    )
}

const NONE: [&str; 0] = [];

#[test]
fn every_part_stands_on_a_floor() {
    let sources = tree();
    let parts: BTreeSet<&str> = sources.iter().map(Source::part).collect();
    let known: BTreeSet<&str> = FLOORS.concat().into_iter().chain(["bin", "lib"]).collect();
    assert_eq!(parts, known);
    // The reader reads: each door names its floor below, and the middle the ground.
    let arrows = arrows(&sources);
    for (from, to) in [
        ("cli", "protocol"),
        ("cli", "token"),
        ("agent", "audit"),
        ("agent", "ceremony"),
        ("worker", "aws"),
        ("worker", "vault"),
        ("vault", "trust"),
        ("ceremony", "trust"),
    ] {
        assert!(
            arrows.contains_key(&(from.to_owned(), to.to_owned())),
            "{from} {to}"
        );
    }
}

#[test]
fn arrows_run_downwards_only() {
    assert_eq!(not_downwards(&tree()), NONE);
    for (file, text) in [
        ("trust/dsse.rs", "use crate::vault::store;"),
        ("aws/sts.rs", "fn f() -> super::super::protocol::Code {}"),
        (
            "vault/open.rs",
            "use crate::{trust::Digest, worker::{self as w, run}};",
        ),
        ("audit/chain.rs", "use crate::unheard::of;"),
    ] {
        assert_ne!(not_downwards(&made_up(&[(file, text)])), NONE, "{file}");
    }
}

#[test]
fn no_circles_within_a_floor() {
    assert_eq!(circles(&tree()), NONE);
    let circle = [
        ("protocol/job.rs", "use crate::ceremony::Standing;"),
        ("ceremony/mod.rs", "fn f() { crate::protocol::Code::Pin; }"),
        ("vault/mod.rs", "use crate::protocol::Code;"),
        ("trust/mod.rs", "use std::fmt;"),
    ];
    assert_eq!(
        circles(&made_up(&circle)),
        ["ceremony", "protocol", "vault"]
    );
}

#[test]
fn no_door_imports_another() {
    assert_eq!(doors_through_doors(&tree()), NONE);
    let door = [("cli/x.rs", "use crate::agent::record;")];
    assert_ne!(doors_through_doors(&made_up(&door)), NONE);
}

#[test]
fn walls_keep_out_what_a_part_must_not_reach() {
    assert_eq!(over_walls(&tree()), NONE);
    for (file, text) in [
        ("agent/x.rs", "use crate::vault;"),
        (
            "agent/x.rs",
            "mod inner { use super::super::super::token::Pin; }",
        ),
        ("agent/x.rs", "fn f(_: &crate::aws::Arn) {}"),
        ("agent/x.rs", "use twotap_shares::Mnemonic;"),
        ("cli/x.rs", "use crate::audit::{chain::Head, store};"),
        (
            "cli/x.rs",
            "use crate::audit as record; fn f() { record::store::open() }",
        ),
        ("cli/x.rs", "use crate::audit::*;"),
        ("worker/x.rs", "use crate::{audit::store::Store as S};"),
        ("worker/x.rs", "fn f() { crate::token::open() }"),
        ("ceremony/x.rs", "use crate::protocol::Code;"),
        (
            "ceremony/x.rs",
            "fn now() { std::time::SystemTime::now(); }",
        ),
    ] {
        assert_ne!(
            over_walls(&made_up(&[(file, text)])),
            NONE,
            "{file}: {text}"
        );
    }
    for (file, text) in [
        (
            "agent/x.rs",
            "// use crate::vault;\nconst X: &str = \"use crate::vault;\";",
        ),
        ("cli/x.rs", "use crate::audit::{chain, verify as store};"),
        (
            "agent/x.rs",
            "#[cfg(test)]\nmod tests { use crate::aws::Arn; }",
        ),
        (
            "agent/x.rs",
            "/* /* */ use crate::token; */ fn f<'a>(c: &'a char) { c == '\"'; }",
        ),
    ] {
        assert_eq!(
            over_walls(&made_up(&[(file, text)])),
            NONE,
            "{file}: {text}"
        );
    }
}

#[test]
fn nobody_goes_around_a_wall() {
    assert_eq!(around_walls(&tree()), NONE);
    let around = [
        ("agent/x.rs", "use aws_sdk_sts::Client;"),
        ("cli/x.rs", "fn f() { rusqlite::Connection::open(p); }"),
        ("worker/x.rs", "use pcsc::Context;"),
    ];
    assert_eq!(around_walls(&made_up(&around)).len(), 3);
}

#[test]
fn every_name_from_another_part_is_written_out() {
    assert_eq!(unseen(&tree()), NONE);
    for text in [
        "use crate::token::*;",
        "use super::super::vault::*;",
        "use crate as c;",
    ] {
        assert_ne!(unseen(&made_up(&[("cli/x.rs", text)])), NONE, "{text}");
    }
}
