//! `recovery create`: sheets for as many holders as there are, and no trace of the identity.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use twotap::trust::Signer as _;
use twotap::vault::{VaultIdentity, recovery::RecoverySigner};
use twotap_shares::{Mnemonic, combine};

use crate::bench::Bench;

/// The recipient of the identity that these shares are.
fn recipient(shares: &[Mnemonic], passphrase: &[u8]) -> String {
    let secret = combine(shares, passphrase).expect("a quorum");
    let identity = VaultIdentity::from_secret(&secret).expect("32 bytes");
    identity.recipient().expect("a recipient")
}

#[test]
fn three_of_five_sheets_are_the_identity_of_the_recipient() {
    let bench = Bench::new();
    let run = bench
        .create("prod", &["--shares", "5", "--threshold", "3", "--json"])
        .done();
    let (json, set) = (run.json(), bench.record("prod"));
    assert_eq!(json["recipient"], set.recipient.as_str());
    assert_eq!(json["sheets"].as_array().map(Vec::len), Some(5));
    assert!(run.err.contains("remove the files"), "{}", run.err);
    let names: Vec<String> = (1..=5).map(|n| format!("prod-share-{n}.pdf")).collect();
    assert_eq!(bench.files("prod"), names);
    for name in &names {
        let mode = fs::metadata(bench.path("prod").join(name))
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    let all: Vec<Mnemonic> = names
        .iter()
        .map(|name| bench.words(&format!("prod/{name}")))
        .collect();
    let sheets =
        |places: [usize; 3]| places.map(|n| Mnemonic::parse(all[n - 1].expose()).expect("a share"));
    for places in [[1, 2, 3], [5, 1, 4]] {
        assert_eq!(recipient(&sheets(places), b""), set.recipient);
    }
    assert!(
        combine(&sheets([1, 2, 3])[..2], b"").is_err(),
        "two are too few"
    );
    // Paper can sign as the record says.
    let secret = combine(&sheets([2, 3, 4]), b"").expect("a quorum");
    let identity = VaultIdentity::from_secret(&secret).expect("32 bytes");
    assert!(RecoverySigner::of(&identity).expect("a signer").public() == set.signer);
    // Neither what was printed nor the record tells anything of a share.
    let told = format!(
        "{}{}{}",
        run.out,
        run.err,
        serde_json::to_string(&set).expect("json")
    );
    let told = told.to_lowercase();
    for share in sheets([1, 2, 3]) {
        let words: Vec<&str> = share.expose().split(' ').collect();
        let told = words
            .windows(3)
            .any(|three| told.contains(&three.join(" ")));
        assert!(!told, "words of a share were printed");
    }
    assert!(!told.contains("age-secret-key"));
}

#[test]
fn groups_have_their_names_and_thresholds() {
    let bench = Bench::new();
    let groups = [
        "--group",
        "2of3:executives",
        "--group",
        "3of5:board",
        "--any",
        "1",
        "--paper",
        "letter",
    ];
    bench.create("prod", &groups).done();
    let set = bench.record("prod");
    let sizes: Vec<_> = set
        .groups
        .iter()
        .map(|g| (g.name.as_deref(), g.threshold, g.shares.len()))
        .collect();
    assert_eq!(sizes, [(Some("executives"), 2, 3), (Some("board"), 3, 5)]);
    assert_eq!(bench.files("prod").len(), 8);
    let read = |name: &str, n: u8| bench.words(&format!("prod/prod-{name}-{n}.pdf"));
    assert_eq!(
        recipient(&[read("executives", 3), read("executives", 1)], b""),
        set.recipient
    );
    let board = [read("board", 5), read("board", 1), read("board", 2)];
    assert_eq!(recipient(&board, b""), set.recipient);
    assert!(combine(&[read("executives", 1), read("board", 1)], b"").is_err());
    // The third of the board says so itself.
    let scan = bench.scan("prod/prod-board-3.pdf");
    let checked = bench
        .run(&[
            "recovery",
            "check",
            "--set",
            &bench.text("prod.recovery.json"),
            "--image",
            &scan,
            "--json",
        ])
        .done()
        .json();
    assert_eq!(checked["set"]["group"], "board");
    assert_eq!(
        (
            checked["set"]["share"].as_u64(),
            checked["set"]["of"].as_u64()
        ),
        (Some(3), Some(5))
    );
}

#[test]
fn each_sheet_is_given_to_the_printer_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.path("tray")).expect("made");
    let record = bench.text("prod.recovery.json");
    let print = "cat > tray/$(ls tray | wc -l).pdf";
    let args = [
        "recovery",
        "create",
        "prod",
        "--shares",
        "3",
        "--threshold",
        "2",
        "--print",
        print,
        "-o",
        &record,
    ];
    let run = bench.run(&args).done();
    assert!(run.err.contains("sheet 3 of 3: printed"), "{}", run.err);
    assert_eq!(bench.files("tray"), ["0.pdf", "1.pdf", "2.pdf"]);
    let two = [bench.words("tray/2.pdf"), bench.words("tray/0.pdf")];
    assert_eq!(recipient(&two, b""), bench.record("prod").recipient);
    // Nothing else was written.
    assert!(
        bench
            .files("")
            .iter()
            .all(|name| name == "tray" || name == "prod.recovery.json")
    );
}

#[test]
fn a_printer_that_fails_half_way_makes_the_set_void() {
    let bench = Bench::new();
    fs::create_dir(bench.path("tray")).expect("made");
    let record = bench.text("prod.recovery.json");
    let print = "n=$(ls tray | wc -l); test $n -lt 2 && cat > tray/$n.pdf";
    let args = [
        "recovery",
        "create",
        "prod",
        "--shares",
        "5",
        "--threshold",
        "3",
        "--print",
        print,
        "-o",
        &record,
    ];
    let run = bench.run(&args);
    run.refused(2, "the printer's command failed");
    assert!(
        run.err
            .contains("hint: sheets that were printed belong to a set that is void"),
        "{}",
        run.err
    );
    assert_eq!(bench.files("tray").len(), 2);
    assert!(
        !Path::new(&record).exists(),
        "a record of a set that nobody has"
    );
    assert_eq!(run.out, "");
}

#[test]
fn a_disk_is_refused_unless_it_is_asked_for() {
    let bench = Bench::new();
    let disk = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let to = disk.path().display().to_string();
    let record = bench.text("prod.recovery.json");
    let mut args = vec![
        "recovery",
        "create",
        "prod",
        "--shares",
        "3",
        "--threshold",
        "2",
        "--to",
        &to,
        "-o",
        &record,
    ];
    let run = bench.run(&args);
    run.refused(3, "lies on a disk, where deleted sheets can be found again");
    assert_eq!(fs::read_dir(disk.path()).expect("a folder").count(), 0);
    assert!(!Path::new(&record).exists());
    args.push("--on-disk");
    let run = bench.run(&args).done();
    assert!(
        run.err
            .contains("warning: the sheets are written to a disk"),
        "{}",
        run.err
    );
    assert_eq!(fs::read_dir(disk.path()).expect("a folder").count(), 3);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    let board = "2of3:board";
    for (args, said) in [
        (
            &["--shares", "3", "--threshold", "4"][..],
            "the threshold of group 1",
        ),
        (&["--shares", "3", "--threshold", "1"], "group 1"),
        (
            &["--shares", "1", "--threshold", "1"],
            "one sheet alone would open the vault",
        ),
        (&["--shares", "17", "--threshold", "2"], "group 1"),
        (&["--group", board], "one group is no group"),
        (
            &["--group", "2of3"],
            "a group is written like 2of3:executives",
        ),
        (
            &["--group", board, "--group", board],
            "two groups have the same name",
        ),
        (
            &["--group", board, "--group", "1of1:founder"],
            "one sheet alone would open the vault",
        ),
        (
            &["--group", board, "--group", "2of2:staff", "--any", "3"],
            "group",
        ),
        (&[], "say how many sheets"),
    ] {
        let run = bench.create("prod", args);
        run.refused(2, said);
        assert_eq!(bench.files("prod"), [""; 0], "{args:?}");
        assert!(!bench.path("prod.recovery.json").exists(), "{args:?}");
    }
    fs::write(bench.path("prod.recovery.json"), "an older one").expect("written");
    let run = bench.create("prod", &["--shares", "3", "--threshold", "2"]);
    run.refused(2, "exists already");
    assert_eq!(bench.files("prod"), [""; 0]);
}

#[test]
fn the_passphrase_is_asked_for_twice_and_never_shown() {
    let bench = Bench::new();
    fs::create_dir(bench.path("prod")).expect("made");
    let record = bench.text("prod.recovery.json");
    let to = bench.text("prod");
    let args = [
        "recovery",
        "create",
        "prod",
        "--shares",
        "3",
        "--threshold",
        "2",
        "--passphrase",
        "--to",
        &to,
        "-o",
        &record,
    ];
    bench.run(&args).refused(12, "terminal");

    let mut differs = bench.at_terminal(&args);
    differs.secret("passphrase of the recovery set: ", "correct horse");
    differs.secret("the same once more: ", "correct house");
    let (code, screen) = differs.end();
    assert_eq!(code, Some(2), "{screen}");
    assert!(
        screen.contains("the two passphrases differ; nothing was made"),
        "{screen}"
    );
    assert_eq!(bench.files("prod"), [""; 0]);
    assert!(!screen.contains("correct"), "{screen}");

    let mut same = bench.at_terminal(&args);
    same.secret("passphrase of the recovery set: ", "correct horse");
    same.secret("the same once more: ", "correct horse");
    let (code, screen) = same.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains("correct"), "{screen}");
    let set = bench.record("prod");
    assert!(set.passphrase);
    let two = || [1, 3].map(|n| bench.words(&format!("prod/prod-share-{n}.pdf")));
    assert_eq!(recipient(&two(), b"correct horse"), set.recipient);
    assert_ne!(recipient(&two(), b""), set.recipient);
}
