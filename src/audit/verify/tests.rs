use super::*;
use crate::audit::chain::Malformed;
use crate::audit::checkpoint::CheckpointKey;
use crate::audit::event::MAX_LINE;
use crate::audit::export;
use crate::audit::folder::{Folder, FolderWriter};
use crate::audit::samples::{NOW, event, file, heads, lines};
use crate::audit::store::Store;
use proptest::prelude::*;
use std::sync::LazyLock;
use tempfile::TempDir;

mod elsewhere;
mod hosts;

/// A key for the tests of this file; making one costs a file and two syncs.
static KEY: LazyLock<CheckpointKey> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    CheckpointKey::open_or_create(&dir.path().join("key"), "twotap.example/audit")
        .unwrap_or_else(|e| panic!("{e}"))
});

static KEYS: LazyLock<Vec<NoteKey>> = LazyLock::new(|| vec![KEY.public().clone()]);

fn note(head: Head) -> String {
    KEY.sign("host-1", &head, NOW).unwrap()
}

fn no_envelopes(_: &EventView<'_>) -> Result<Option<Witness>, String> {
    panic!("no envelope was brought")
}

/// Verifies with these checkpoints held elsewhere.
fn against(file: &[u8], checkpoints: &[String]) -> Report {
    let evidence = Evidence {
        keys: &KEYS,
        checkpoints,
        ..Evidence::default()
    };
    verify(file, &evidence, &mut no_envelopes).unwrap()
}

fn held(seq_hash: Head, by: &str) -> Witness {
    Witness {
        head: seq_hash,
        by: by.to_owned(),
        at: None,
    }
}

#[test]
fn a_record_without_witnesses_is_whole_and_only_the_hosts_word() {
    let lines = lines(9);
    let report = against(&file(&lines), &[]);
    assert!(report.is_good());
    assert_eq!(
        (report.events, report.head, report.proven_to()),
        (9, heads(&lines)[9], 0)
    );
    assert_eq!(report.envelopes_missing, 3);
    let empty = against(b"", &[]);
    assert!(empty.is_good());
    assert_eq!(empty.head, Head::default());
}

#[test]
fn says_up_to_where_and_by_whom_it_is_proven() {
    let lines = lines(9);
    let heads = heads(&lines);
    let checkpoints = [note(heads[4]), note(heads[7]), note(heads[0])];
    let seen = [held(heads[5], "alice's client")];
    let evidence = Evidence {
        keys: &KEYS,
        checkpoints: &checkpoints,
        held: &seen,
        ..Evidence::default()
    };
    let report = verify(&file(&lines)[..], &evidence, &mut no_envelopes).unwrap();
    assert!(report.is_good());
    assert_eq!(
        (
            report.events,
            report.proven_to(),
            report.proven_by_others_to()
        ),
        (9, 7, 5)
    );
    let proofs: Vec<_> = report
        .proofs
        .iter()
        .map(|p| (p.seq, p.by.as_str(), p.source))
        .collect();
    assert_eq!(
        proofs,
        [
            (7, "twotap.example/audit", Source::Checkpoint),
            (5, "alice's client", Source::Held)
        ]
    );
    assert_eq!(
        report.proofs[0].time.as_deref(),
        Some("2026-01-06T10:00:00.123Z")
    );
}

#[test]
fn a_cut_tail_is_found_against_a_checkpoint_held_elsewhere() {
    let lines = lines(9);
    let checkpoint = [note(heads(&lines)[7])];
    assert!(against(&file(&lines[..7]), &checkpoint).is_good());
    for left in 0..7 {
        let report = against(&file(&lines[..left]), &checkpoint);
        let by = "twotap.example/audit".to_owned();
        let seq = left as u64 + 1;
        assert_eq!(report.problems, [Problem::Truncated { seq, held: 7, by }]);
    }
    // The same by what a client remembers.
    let seen = [held(heads(&lines)[9], "alice's client")];
    let evidence = Evidence {
        held: &seen,
        ..Evidence::default()
    };
    let report = verify(&file(&lines[..8])[..], &evidence, &mut no_envelopes).unwrap();
    assert_eq!(report.first_problem().map(Problem::seq), Some(9));
}

#[test]
fn a_record_written_anew_is_found_and_what_is_before_it_still_counts() {
    let real = lines(9);
    let real_heads = heads(&real);
    let mut head = real_heads[4];
    let mut rewritten = real[..4].to_vec();
    for n in 5..=9 {
        let line = event(n)
            .justification("nothing happened")
            .line_after(&head, NOW)
            .unwrap();
        head = head.after(&line);
        rewritten.push(line);
    }
    assert!(
        against(&file(&rewritten), &[]).is_good(),
        "the chain alone cannot tell"
    );
    let report = against(
        &file(&rewritten),
        &[note(real_heads[3]), note(real_heads[6])],
    );
    assert_eq!(
        report.problems,
        [Problem::Rewritten {
            seq: 6,
            by: "twotap.example/audit".to_owned()
        }]
    );
    assert_eq!(report.proven_to(), 3);
}

#[test]
fn checkpoints_of_unknown_keys_prove_nothing_and_bad_ones_are_problems() {
    let lines = lines(3);
    let good = note(heads(&lines)[3]);
    let forged = good.replacen("seq 3", "seq 2", 1);
    let report = against(&file(&lines), &[forged, "no note".to_owned()]);
    assert_eq!(report.problems.len(), 2);
    assert!(
        report
            .problems
            .iter()
            .all(|p| matches!(p, Problem::Checkpoint { seq: 0, .. }))
    );
    let report = verify(
        &file(&lines)[..],
        &Evidence {
            checkpoints: &[good],
            ..Evidence::default()
        },
        &mut no_envelopes,
    )
    .unwrap();
    assert_eq!(
        (
            report.is_good(),
            report.checkpoints_unknown,
            report.proven_to()
        ),
        (true, 1, 0)
    );
}

/// A store with a checkpoint inside, exported into a folder.
fn exported(with_envelopes: bool) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("state.db")).unwrap();
    for n in 1..=4 {
        store.commit(|tx| tx.append(&event(n), NOW)).unwrap();
    }
    let note = store
        .commit(|tx| tx.checkpoint(&KEY, "host-1", NOW))
        .unwrap();
    store.commit(|tx| tx.append(&event(6), NOW)).unwrap();
    let out = dir.path().join("export");
    let mut writer = FolderWriter::create(&out).unwrap();
    let head = export::to_folder(&store, &mut writer, Some(&note), with_envelopes).unwrap();
    assert_eq!(head, store.head().unwrap());
    let mut flat = Vec::new();
    assert_eq!(export::to_writer(&store, 1, &mut flat).unwrap(), head);
    assert_eq!(std::fs::read(out.join("events.jsonl")).unwrap(), flat);
    (dir, Folder::open(&out).unwrap())
}

fn verify_export(folder: &Folder, check: EnvelopeCheck<'_>) -> Report {
    let note = folder.checkpoint().unwrap();
    let evidence = Evidence {
        keys: &KEYS,
        checkpoints: note.as_slice(),
        envelopes: Some(&|sha256| folder.envelope(sha256).unwrap()),
        ..Evidence::default()
    };
    verify(folder.lines().unwrap(), &evidence, check).unwrap()
}

#[test]
fn an_export_verifies_with_files_and_keys_alone() {
    let (_dir, folder) = exported(false);
    let report = verify_export(&folder, &mut no_envelopes);
    assert!(report.is_good(), "{:?}", report.problems);
    assert_eq!((report.events, report.proven_to()), (6, 4));
    assert_eq!((report.envelopes_checked, report.envelopes_missing), (0, 2));
}

#[test]
fn envelopes_are_handed_to_the_caller_and_their_heads_are_proofs() {
    let (_dir, folder) = exported(true);
    let third = heads(&lines(4))[3];
    let mut seen = Vec::new();
    let report = verify_export(&folder, &mut |view| {
        seen.push((
            view.head.seq,
            String::from_utf8(view.envelope.to_vec()).unwrap(),
        ));
        assert_eq!(view.record.envelopes[0].kind, "approve");
        Ok((view.head.seq == 6).then(|| held(third, "alice")))
    });
    assert!(report.is_good(), "{:?}", report.problems);
    assert_eq!(
        seen,
        [
            (3, "{\"envelope\":3}".to_owned()),
            (6, "{\"envelope\":6}".to_owned())
        ]
    );
    assert_eq!((report.envelopes_checked, report.envelopes_missing), (2, 0));
    assert_eq!((report.proven_to(), report.proven_by_others_to()), (4, 3));
}

#[test]
fn an_envelope_that_is_bad_or_attests_another_head_is_named() {
    let (_dir, folder) = exported(true);
    let heads = heads(&lines(4));
    let run = |witness: Result<Option<Witness>, String>| {
        let mut check = |view: &EventView<'_>| {
            if view.head.seq == 6 {
                witness.clone()
            } else {
                Ok(None)
            }
        };
        verify_export(&folder, &mut check).problems
    };
    assert_eq!(
        run(Err("bad signature".into())),
        [Problem::Envelope {
            seq: 6,
            why: "bad signature".into()
        }]
    );
    let other = Head {
        seq: 2,
        hash: heads[3].hash,
    };
    assert_eq!(
        run(Ok(Some(held(other, "alice")))),
        [Problem::Rewritten {
            seq: 2,
            by: "alice".into()
        }]
    );
    // No event can carry a head that includes itself.
    for seq in [6, 7] {
        let problems = run(Ok(Some(held(
            Head {
                seq,
                hash: heads[1].hash,
            },
            "alice",
        ))));
        assert!(
            matches!(problems[..], [Problem::Envelope { seq: 6, .. }]),
            "{problems:?}"
        );
    }
}

#[test]
fn an_envelope_whose_file_was_changed_is_named() {
    let (dir, folder) = exported(true);
    let path = dir
        .path()
        .join("export/envelopes")
        .join(format!("{}.json", event(3).envelopes()[0].sha256()));
    std::fs::write(path, "{\"envelope\":4}").unwrap();
    let report = verify_export(&folder, &mut |_| Ok(None));
    assert!(
        matches!(report.problems[..], [Problem::Envelope { seq: 3, .. }]),
        "{:?}",
        report.problems
    );
}

#[test]
fn a_line_without_end_is_read_in_bounds() {
    let mut bytes = file(&lines(2));
    bytes.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE));
    let report = against(&bytes, &[]);
    let fault = Fault {
        seq: 3,
        line: 3,
        why: Why::Malformed(Malformed::Long),
    };
    assert_eq!(report.problems, [Problem::Chain(fault)]);
}

#[test]
fn many_lines_examined_on_threads_say_the_same() {
    let mut lines = lines(600);
    assert!(against(&file(&lines), &[]).is_good());
    lines.swap(511, 590);
    let report = against(&file(&lines), &[]);
    assert_eq!(
        report.problems,
        [Problem::Chain(Fault {
            seq: 512,
            line: 512,
            why: Why::Reordered
        })]
    );
    assert_eq!(report.events, 511);
}

fn first_seq(report: &Report) -> Option<u64> {
    report.first_problem().map(Problem::seq)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Any byte of the file, newlines too, changed to any other: found, and the line named.
    #[test]
    fn any_changed_byte_of_a_file_is_found_and_named(n in 1_u64..9, at in any::<prop::sample::Index>(), new in any::<u8>()) {
        let lines = lines(n);
        let mut bytes = file(&lines);
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != new);
        let line = bytes[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        bytes[at] = new;
        let report = against(&bytes, &[note(heads(&lines)[lines.len()])]);
        prop_assert_eq!(first_seq(&report), Some(line), "{:?}", report.problems);
        // A change in the last line can leave a chain that holds and that the checkpoint denies.
        let holds = !report.problems.iter().any(|p| matches!(p, Problem::Chain(_)));
        prop_assert_eq!((report.events, holds && line < n), (if holds { n } else { line - 1 }, false), "{:?}", report.problems);
    }

    #[test]
    fn any_removed_byte_of_a_file_is_found_and_named(n in 1_u64..9, at in any::<prop::sample::Index>()) {
        let lines = lines(n);
        let mut bytes = file(&lines);
        let at = at.index(bytes.len());
        let line = bytes[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        bytes.remove(at);
        let report = against(&bytes, &[note(heads(&lines)[lines.len()])]);
        prop_assert_eq!(first_seq(&report), Some(line), "{:?}", report.problems);
    }

    /// A line of any content put anywhere, linked well or badly: found at that line or at the one that it pushed away. At the end a
    /// well-linked one is an honest-looking event that nobody vouches for, and the report says so.
    #[test]
    fn any_inserted_line_is_found_or_unproven(n in 1_u64..9, at in any::<prop::sample::Index>(), linked in any::<bool>()) {
        let mut lines = lines(n);
        let heads = heads(&lines);
        let at = at.index(lines.len() + 1);
        let after = if linked { heads[at] } else { heads[(at + 1) % heads.len()] };
        lines.insert(at, event(7).line_after(&after, NOW).unwrap());
        let report = against(&file(&lines), &[note(heads[heads.len() - 1])]);
        if linked && at == lines.len() - 1 {
            prop_assert!(report.is_good());
            prop_assert_eq!((report.events, report.proven_to()), (n + 1, n));
        } else {
            let problems = report.problems;
            prop_assert!(!problems.is_empty());
            let Problem::Chain(fault) = &problems[0] else {
                return Err(TestCaseError::fail(format!("{problems:?}")));
            };
            prop_assert!(fault.line == at as u64 + 1 || fault.line == at as u64 + 2, "{:?} at {}", fault, at);
        }
    }
}
