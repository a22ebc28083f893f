//! A remote that lets in whoever shows the right key or password, and nobody else.

use std::{fs, path::Path};

use twotap::audit::chain::Head;

use crate::{Bench, log};

/// With each of these tables the sink is not let in, and says so with this word and none of those that are secret; nothing comes to be there.
/// With the right one all of it does.
pub(crate) fn only_with(
    bench: &Bench,
    remote: &Path,
    refused: &[(String, &str)],
    secrets: &[&str],
    right: &str,
) {
    bench.incident("r-aaaaaaaaaaaaa");
    bench.checkpoint();
    for (table, word) in refused {
        let mut sink = bench.open(table);
        sink.resume(Head::default())
            .expect("it is met when it is pushed to");
        let why = sink
            .send(&bench.deliveries(1))
            .expect_err("it is not let in");
        let said = why.to_string();
        assert!(said.contains(word), "{table}: {said}");
        for secret in secrets {
            assert!(!said.contains(secret), "{said}");
        }
    }
    let branches = fs::read_dir(remote.join("refs/heads")).expect("read");
    assert_eq!(branches.count(), 0);
    let sinks = bench.run(right, false);
    bench.holds_all(&sinks);
    assert_eq!(
        log(remote, "evidence/bg-1"),
        ["INC-42: evidence of r-aaaaaaaaaaaaa"]
    );
}
