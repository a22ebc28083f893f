//! Where a secret has a name.

use crate::source::{Source, read, tree};

/// Types that hold, in plain, what opens a vault or a token, and where they are at home.
const SECRETS: [(&str, &str); 14] = [
    ("twotap_shares", "Mnemonic"),
    ("twotap_shares", "Secret"),
    ("crate::vault", "AccessKey"),
    ("crate::vault", "VaultIdentity"),
    ("crate::vault", "RecoverySigner"),
    ("crate::vault", "OneTime"),
    // What opens an officer's recordings.
    ("crate::vault", "ReaderIdentity"),
    ("crate::aws", "NewKey"),
    ("crate::aws", "SecretValue"),
    ("crate::token", "Pin"),
    ("crate::token", "Puk"),
    ("crate::token", "ManagementKey"),
    // What was typed, before it is a PIN; and what asks for it.
    ("crate::cli::pin", "Typed"),
    ("crate::cli::pin", "ask"),
];

/// Parts in which they may be named, whichever they are; those at home there, that is, and those that the walls let in.
const PARTS: [&str; 3] = ["worker", "vault", "token"];

/// Files elsewhere, each with all that it names.
const FILES: [(&str, &[&str]); 18] = [
    // A share between the token and the worker's key; and the same opened, compared and wiped.
    ("cli/approve.rs", &["Pin", "ask"]),
    ("cli/drill.rs", &["Pin", "ask"]),
    ("cli/own_share.rs", &["Mnemonic", "Pin"]),
    // An access key between standard input and the worker's key.
    ("cli/seal.rs", &["AccessKey"]),
    // Asks for the PIN for the custodians' verbs that the token only signs for (deny, roster sign), and wipes after it.
    ("cli/token.rs", &["ask"]),
    (
        "cli/custodian.rs",
        &["ManagementKey", "Pin", "Puk", "Typed", "ask"],
    ),
    ("cli/pin.rs", &["Pin", "Typed"]),
    // Paper shares, as a holder types them or takes a picture of them.
    ("cli/recovery/keys.rs", &["Mnemonic"]),
    // A quorum on its way to the worker that opens: of sheets, or of tokens.
    ("cli/recovery/open/quorum.rs", &["Secret"]),
    ("cli/recovery/open/tokens.rs", &["Mnemonic", "ask"]),
    ("cli/recovery/quorum.rs", &["Mnemonic", "Secret"]),
    ("cli/recovery/reading.rs", &["Mnemonic"]),
    ("cli/recovery/typing.rs", &["Mnemonic"]),
    // An officer's key, between its file and the chunks.
    ("cli/recording/reading.rs", &["ReaderIdentity"]),
    ("cli/replay.rs", &["ReaderIdentity"]),
    // The one reply of AWS that carries a long-term secret.
    ("aws/iam.rs", &["NewKey"]),
    ("aws/mod.rs", &["NewKey", "SecretValue"]),
    // The one that carries a named secret.
    ("aws/secrets.rs", &["SecretValue"]),
];

/// The operator's temporary session: all that the agent ever holds.
const SESSION: [(&str, &str); 3] = [
    ("crate::protocol::socket", "Credentials"),
    ("crate::protocol::job", "Session"),
    ("crate::protocol::job", "TargetSession"),
];
const SESSION_PARTS: [&str; 3] = ["protocol", "agent", "worker"];
const SESSION_FILES: [&str; 3] = [
    "cli/credentials.rs",
    // As variables for a shell, and for a sign-in to the console: each on demand alone.
    "cli/session/console.rs",
    "cli/session/env.rs",
];

/// The secrets of a list that a file names, in order, each once.
fn named<'s>(source: &Source, secrets: &'s [(&str, &str)]) -> Vec<&'s str> {
    let names = secrets.iter().filter(|(home, name)| {
        source.named.iter().any(|n| {
            // A type's own items follow its name, and its home may give it a second name at the top.
            let at = n.path.iter().position(|part| part == name);
            let home: Vec<&str> = home.split("::").collect();
            at.is_some_and(|at| {
                n.path[..at]
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .starts_with(&home)
            })
        }) || declares(source, home, name)
    });
    let mut names: Vec<&str> = names.map(|(_, name)| *name).collect();
    names.sort_unstable();
    names
}

/// At home a type is named without a path.
fn declares(source: &Source, home: &str, name: &str) -> bool {
    let part = home
        .strip_prefix("crate::")
        .unwrap_or(home)
        .replace("::", "/");
    let at_home =
        source.file.starts_with(&format!("{part}/")) || source.file == format!("{part}.rs");
    at_home
        && [format!("struct {name}"), format!("type {name}")]
            .iter()
            .any(|d| source.shipped.contains(d.as_str()))
}

fn out_of_place(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let listed = FILES.iter().find(|(file, _)| *file == source.file);
        let names = named(source, &SECRETS);
        let free = PARTS.contains(&source.part());
        if !free && names != listed.map_or(&[][..], |(_, names)| names) {
            broken.push(format!("{} names {names:?}", source.file));
        }
        let free =
            SESSION_PARTS.contains(&source.part()) || SESSION_FILES.contains(&source.file.as_str());
        if !free && !named(source, &SESSION).is_empty() {
            broken.push(format!("{} names the operator's session", source.file));
        }
    }
    broken
}

#[test]
fn secrets_have_a_name_only_where_they_are_handled() {
    let sources = tree();
    assert_eq!(out_of_place(&sources), [""; 0]);
    // What the lists name is there: a secret that gets another name gets it here too.
    for (home, name) in SECRETS.iter().chain(&SESSION) {
        let root = *home == "twotap_shares" || *name == "ask";
        assert!(
            root || sources.iter().any(|s| declares(s, home, name)),
            "{home}::{name}"
        );
    }
    for (file, _) in FILES {
        assert!(sources.iter().any(|s| s.file == file), "{file}");
    }
}

#[test]
fn a_secret_in_a_wrong_place_is_found() {
    for (file, text) in [
        ("agent/x.rs", "use crate::vault::VaultIdentity;"),
        ("agent/x.rs", "fn f(_: &twotap_shares::Mnemonic) {}"),
        (
            "cli/status.rs",
            "use crate::token::{self, Slot}; fn f(_: token::Pin) {}",
        ),
        (
            "cli/session/exec.rs",
            "use super::super::pin; fn f() { pin::ask(); }",
        ),
        (
            "cli/session/exec.rs",
            "use crate::protocol::socket::Credentials as C;",
        ),
        ("protocol/job.rs", "pub use crate::aws::iam::NewKey;"),
        ("cli/seal.rs", "use crate::vault::{AccessKey, OneTime};"),
        ("trust/keys.rs", "use twotap_shares::Secret;"),
    ] {
        let pin = ("cli/pin.rs".to_owned(), String::new());
        let found = out_of_place(&read(vec![(file.to_owned(), text.to_owned()), pin]));
        assert!(found.iter().any(|f| f.starts_with(file)), "{file}: {text}");
    }
    let other = "use std::pin::Pin; use crate::protocol::Code; fn f(_: Pin<()>) { Code::Pin; }";
    let other = vec![("agent/x.rs".to_owned(), other.to_owned())];
    assert_eq!(out_of_place(&read(other)), [""; 0]);
}
