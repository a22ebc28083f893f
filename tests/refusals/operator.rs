//! What the operator's `twotap request` refuses: an agent that swaps something on the way, and text that is not to be signed.

use crate::bench::{Bench, DANA};
use crate::setup::sealed_vault;
use twotap::trust::{Envelope, roster::Roster};

const ARGS: [&str; 6] = [
    "request",
    "prod",
    "--access",
    "admin",
    "--incident",
    "INC-42",
];

fn asking<'b>(bench: &'b Bench, more: &[&str]) -> crate::bench::Run<'b> {
    bench.twotap(DANA, &[&ARGS[..], more].concat())
}

#[test]
fn a_policy_a_manifest_or_a_roster_that_is_swapped_on_the_way_is_found() {
    let bench = Bench::start();
    let _tokens = sealed_vault(&bench);
    type Swap = fn(&mut twotap::protocol::socket::RequestView);
    let swaps: [(&str, Swap); 6] = [
        ("another policy", |view| {
            view.policy = view.policy.replace("[]", "[{}]")
        }),
        ("another id", |view| view.id = "r-aaaaaaaaaaaaa".into()),
        ("manifest", |view| view.manifest.signatures.clear()),
        ("offer", |view| view.offer.signatures.clear()),
        ("roster", |view| view.roster_chain[0].signatures.truncate(1)),
        ("roster", |view| {
            let mut roster: Roster = view.roster_chain[0].unverified().expect("good");
            roster.access[0].max_seconds -= 1;
            let changed = Envelope::new(&roster).expect("good");
            view.roster_chain[0].payload = changed.payload;
        }),
    ];
    for (words, swap) in swaps {
        bench.agent.world().view_lie = Some(Box::new(swap));
        let (code, error) = asking(&bench, &["--reason", "down"]).fails();
        assert_eq!(
            (code, error.contains(words)),
            (11, true),
            "{words}: {error}"
        );
    }
    bench.agent.world().view_lie = None;
    asking(&bench, &["--reason", "down"]).json();
}

#[test]
fn hostile_text_does_not_leave_the_operators_machine() {
    let bench = Bench::bare();
    let long = "x".repeat(4096);
    for hostile in [
        "",
        " ",
        "a\u{1b}[2J",
        "roo\u{202e}t",
        "two\nlines",
        "a\u{200b}b",
        &long,
    ] {
        for args in [
            [&ARGS[..], &["--reason", hostile]].concat(),
            [&ARGS[..4], &["--incident", hostile, "--reason", "down"]].concat(),
            [&ARGS[..], &["--reason", "down", "--commander", hostile]].concat(),
        ] {
            // With nobody there it would be 8: the text is refused first.
            let (code, error) = bench
                .twotap(DANA, &args)
                .env("TWOTAP_AGENT", "/nowhere")
                .fails();
            assert_eq!(code, 2, "{hostile:?}: {error}");
            assert!(!error.chars().any(char::is_control), "{error:?}");
        }
    }
    for (reason, code) in [("roo\u{202e}t", 2), ("down", 8)] {
        let declared = asking(&bench, &[])
            .env("TWOTAP_AGENT", "/nowhere")
            .env("GOVERNED_BREAK_GLASS", "true")
            .env("BREAK_GLASS_REASON", reason)
            .env(
                "BREAK_GLASS_TIMESTAMP",
                twotap::trust::Timestamp::now().to_string(),
            );
        assert_eq!(declared.fails().0, code);
    }
}
