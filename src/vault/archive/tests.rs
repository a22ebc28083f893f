use std::process::Command;

use super::super::testing::{sealed, tokens};
use super::*;
use crate::trust::tests::people::{newest, next, signed, verified};

fn bundle() -> Bundle {
    let tokens = tokens(["alice", "bob", "carol"]);
    let first = verified(2, &tokens.each_ref());
    let second = signed(&next(&first), &[&tokens[0], &tokens[1]]);
    let chain = vec![first.envelope().clone(), second];
    let (generation, _) = sealed(&newest(&chain), 1);
    Bundle::new(&generation, chain)
}

/// An archive of these files, as somebody else's program may write it.
fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ustar::Writer::new(0);
    for (name, bytes) in files {
        out.file(name, bytes);
    }
    out.end()
}

fn refused(archive: &[u8]) -> String {
    match read(archive) {
        Err(why) => why.to_string(),
        Ok(_) => panic!("it was read"),
    }
}

/// The archive's own files, for changing one.
fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    ustar::Reader::new(archive)
        .map(|entry| entry.expect("good"))
        .map(|entry| (entry.name.to_owned(), entry.bytes.to_vec()))
        .collect()
}

fn repacked(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(n, b)| (n.as_str(), b.as_slice()))
        .collect();
    packed(&files)
}

#[test]
fn a_bundle_goes_into_an_archive_and_comes_out_the_same() {
    let bundle = bundle();
    let archive = write(&bundle).expect("written");
    assert_eq!(archive, write(&bundle).expect("written"), "one spelling");
    let back = read(&archive).expect("read");
    assert_eq!(back.bundle, bundle);
    assert_eq!(back.form, Form::Archive { readme: true });
    assert!(back.bundle.verify().is_ok());
    let json = read(bundle.to_json().as_bytes()).expect("read");
    assert_eq!((json.bundle, json.form), (bundle, Form::Json));
}

#[test]
fn any_tar_unpacks_it_and_what_another_tar_packs_is_read() {
    let bundle = bundle();
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bundle.tar");
    std::fs::write(&file, write(&bundle).expect("written")).expect("written");
    let out = dir.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    let tar = |args: &[&str]| {
        let done = Command::new("tar").current_dir(&out).args(args).output();
        let done = done.expect("tar");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        // A tar that has something to complain about says so here.
        assert_eq!(String::from_utf8_lossy(&done.stderr), "");
        String::from_utf8(done.stdout).expect("text")
    };
    let listed = tar(&["-tvf", "../bundle.tar"]);
    assert!(listed.contains("-rw-r--r-- 0/0"), "{listed}");
    assert!(listed.contains("2026-01-06"), "{listed}");
    tar(&["-xf", "../bundle.tar"]);
    let age = std::fs::read(out.join("shares/bob.age")).expect("there");
    assert_eq!(age, bundle.shares[1].age.0);
    for format in ["--format=ustar", "--format=gnu"] {
        tar(&[format, "-cf", "../again.tar", "."]);
        let again = std::fs::read(dir.path().join("again.tar")).expect("there");
        assert_eq!(read(&again).expect("read").bundle, bundle, "{format}");
    }
}

#[test]
fn a_name_that_no_bundle_has_is_refused() {
    let good = unpacked(&write(&bundle()).expect("written"));
    for name in [
        "../vault.age",
        "/vault.age",
        "shares/../vault.age",
        "shares/a/b.age",
        "shares/.age",
        "shares/Alice.age",
        "roster/0.dsse.json",
        "roster/01.dsse.json",
        "roster/99999.dsse.json",
        "vault.age ",
        "evil\u{1b}[2J",
    ] {
        let mut files = good.clone();
        files.push((name.to_owned(), b"x".to_vec()));
        let why = refused(&repacked(&files));
        assert!(why.contains("a bundle has no file"), "{name}: {why}");
        assert!(!why.contains('\u{1b}'), "{why}");
    }
}

#[test]
fn a_file_is_there_once() {
    let good = unpacked(&write(&bundle()).expect("written"));
    for again in ["vault.age", "./vault.age", "README.txt", "shares/bob.age"] {
        let mut files = good.clone();
        files.push((again.to_owned(), b"x".to_vec()));
        assert!(
            refused(&repacked(&files)).contains("is in it twice"),
            "{again}"
        );
    }
    for (missing, says) in [
        ("vault.age", "vault.age is missing"),
        ("manifest.dsse.json", "manifest.dsse.json is missing"),
        (
            "roster/1.dsse.json",
            "roster/2.dsse.json is there, and not the version before it",
        ),
    ] {
        let mut files = good.clone();
        files.retain(|(name, _)| name != missing);
        assert!(refused(&repacked(&files)).contains(says), "{missing}");
    }
    // What is said of a share that is missing, its digest says; the readme decides nothing.
    let mut files = good.clone();
    files.retain(|(name, _)| name != "shares/bob.age" && name != "README.txt");
    let without = read(&repacked(&files)).expect("read");
    assert_eq!(without.form, Form::Archive { readme: false });
    assert!(matches!(
        without.bundle.verify(),
        Err(VaultError::Digest { .. })
    ));
}

#[test]
fn a_readme_that_says_something_else_is_told() {
    let mut files = unpacked(&write(&bundle()).expect("written"));
    files[0]
        .1
        .extend_from_slice(b"mail key.txt to support@example.com\n");
    let read = read(&repacked(&files)).expect("read");
    assert_eq!(read.form, Form::Archive { readme: false });
    assert!(read.bundle.verify().is_ok());
}

#[test]
fn cut_anywhere_it_is_refused() {
    let archive = write(&bundle()).expect("written");
    for length in (0..archive.len())
        .step_by(97)
        .chain(archive.len() - 1024..archive.len())
    {
        assert!(
            read(&archive[..length]).is_err(),
            "{length} of {}",
            archive.len()
        );
    }
}

#[test]
fn links_huge_sizes_and_wrong_sums_are_refused() {
    let archive = write(&bundle()).expect("written");
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut archive = archive.clone();
        change(&mut archive[..512]);
        // With a good sum, so that the change itself is what is refused.
        archive[148..156].fill(b' ');
        let sum: u64 = archive[..512].iter().map(|b| u64::from(*b)).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        refused(&archive)
    };
    for kind in *b"12345678xgLKS" {
        let why = changed(&|header| header[156] = kind);
        assert!(why.contains("is not a plain file"), "{kind}: {why}");
    }
    assert!(changed(&|h| h[124..136].copy_from_slice(b"77777777777\0")).contains("cut short"));
    assert!(changed(&|h| h[124..136].fill(0xff)).contains("size is not a number"));
    assert!(changed(&|h| h[345] = b'a').contains("name is longer"));
    assert!(changed(&|h| h[257..263].fill(0)).contains("not a tar archive"));
    let mut wrong = archive.clone();
    wrong[100] ^= 1;
    assert!(refused(&wrong).contains("checksum"));
    let mut longer = archive.clone();
    longer.extend_from_slice(&archive);
    assert!(refused(&longer).contains("something follows"));
    assert!(refused(&vec![0; MAX_ARCHIVE + 512]).contains("over 4 MiB"));
    let mut many = packed(&vec![("shares/", &b""[..]); MAX_ENTRIES + 1]);
    for header in many.chunks_mut(512).take(MAX_ENTRIES + 1) {
        header[156] = b'5';
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|b| u64::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    assert!(refused(&many).contains("more entries"));
}
