//! `recovery check`, of pictures and of words from a script.

use std::fs;

use crate::bench::Bench;

#[test]
fn a_sheet_is_known_by_its_picture_or_its_words() {
    let bench = Bench::new();
    bench
        .create("prod", &["--shares", "3", "--threshold", "2"])
        .done();
    let (set, record) = (bench.record("prod"), bench.text("prod.recovery.json"));
    let scan = bench.scan("prod/prod-share-2.pdf");
    let run = bench
        .run(&["recovery", "check", "--set", &record, "--image", &scan])
        .done();
    let fingerprint = set.fingerprint();
    let said = format!(
        "good: share 2 of 3 of vault prod, set {fingerprint} made on {}",
        set.made
    );
    assert_eq!(run.out.trim_end(), said);
    // Nobody is there to be told, and the sheet is as good.
    assert!(
        run.err
            .contains("note: not recorded, as no agent was reached"),
        "{}",
        run.err
    );

    let words = bench.words("prod/prod-share-3.pdf");
    let short: Vec<&str> = words.expose().split(' ').map(|w| &w[..4]).collect();
    let short = short.join(" ").to_uppercase() + "\n";
    let run = bench
        .given(
            &[
                "recovery",
                "check",
                "--set",
                &record,
                "--words-fd",
                "0",
                "--json",
            ],
            &short,
        )
        .done();
    let json = run.json();
    assert_eq!(json["sound"], true);
    assert_eq!(json["set"]["share"], 3);
    assert_eq!(json["set"]["vault"], "prod");
    assert!(json["not_recorded"].is_string(), "{json}");
    assert!(json.get("recorded").is_none(), "{json}");
    for told in [&run.out, &run.err] {
        assert!(
            !told.to_lowercase().contains(&words.expose()[..20]),
            "{told}"
        );
    }

    // Without the record it is known to be sound, and no more.
    let run = bench
        .given(&["recovery", "check", "--words-fd", "0"], &short)
        .done();
    assert!(
        run.out.starts_with("good: share 3 (of 2 that are needed)"),
        "{}",
        run.out
    );
    assert!(run.err.contains("note: with --set FILE"), "{}", run.err);
}

#[test]
fn a_sheet_of_another_set_or_vault_is_none_of_this_one() {
    let bench = Bench::new();
    for name in ["old", "new"] {
        bench
            .create(name, &["--shares", "3", "--threshold", "2"])
            .done();
    }
    let scan = bench.scan("old/prod-share-1.pdf");
    let run = bench.run(&[
        "recovery",
        "check",
        "--set",
        &bench.text("new.recovery.json"),
        "--image",
        &scan,
    ]);
    run.refused(
        3,
        "the share is sound, but it is none of this set of vault prod",
    );
    assert!(run.err.contains("an older set is void"), "{}", run.err);
    assert_eq!(run.out, "");
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/shares/demo/words.txt");
    let demo = fs::read_to_string(demo).expect("words");
    let run = bench.given(
        &[
            "recovery",
            "check",
            "--set",
            &bench.text("new.recovery.json"),
            "--words-fd",
            "0",
        ],
        &demo,
    );
    run.refused(3, "none of this set");
}

#[test]
fn wrong_words_are_named_by_their_place() {
    let bench = Bench::new();
    bench
        .create("prod", &["--shares", "3", "--threshold", "2"])
        .done();
    let share = bench.words("prod/prod-share-1.pdf");
    let right: Vec<&str> = share.expose().split(' ').collect();
    let check = |words: &[&str]| {
        bench.given(
            &["recovery", "check", "--words-fd", "0"],
            &(words.join(" ") + "\n"),
        )
    };
    let mut one = right.clone();
    one[16] = if one[16] == "zero" { "yoga" } else { "zero" };
    let run = check(&one);
    run.refused(3, "checksum");
    assert!(
        run.err.contains("hint: compare word 17 with the sheet"),
        "{}",
        run.err
    );
    let mut unknown = right.clone();
    unknown[4] = "receive";
    check(&unknown).refused(3, "word 5");
    check(&right[..32]).refused(3, "32 words");
    check(&[]).refused(2, "there are no words");
    let long = "academic ".repeat(200);
    check(&[&long]).refused(2, "the line is too long");
}

#[test]
fn pictures_that_show_no_one_sheet_are_refused_with_a_way_on() {
    let bench = Bench::new();
    bench
        .create("prod", &["--shares", "3", "--threshold", "2"])
        .done();
    let check = |file: &str| bench.run(&["recovery", "check", "--image", file]);
    let pdf = check(&bench.text("prod/prod-share-1.pdf"));
    pdf.refused(2, "it is a pdf, not a picture");
    assert!(
        pdf.err
            .contains("hint: draw the page first, in a folder in memory: pdftoppm"),
        "{}",
        pdf.err
    );

    let scan = bench.scan("prod/prod-share-1.pdf");
    let whole = fs::read(&scan).expect("drawn");
    fs::write(bench.path("cut.png"), &whole[..whole.len() / 2]).expect("written");
    check(&bench.text("cut.png")).refused(2, "the picture is cut off or damaged");
    check(&bench.text("prod.recovery.json")).refused(2, "it is neither a png nor a jpeg");
    check(&bench.text("nothing.png")).refused(2, "cannot read");
    let two = bench.run(&["recovery", "check", "--image", &scan, "--image", &scan]);
    two.refused(2, "sheets are checked one at a time");
    for run in [pdf, two] {
        assert_eq!(run.out, "");
    }
}
