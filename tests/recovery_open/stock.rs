//! Promise 9 by paper: the sheets, as a printer and a scanner give them, open a bundle with programs that nobody here wrote.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use twotap::vault::archive;
use twotap_rig::tools;

use crate::bench::{KEY, Sheets, Vault, arg, folder};

#[test]
fn printed_sheets_and_stock_tools_open_a_bundle() {
    opens(&Sheets::two_of_three(), &[1, 2], None);
}

#[test]
fn so_do_groups() {
    let sheets = Sheets::create(
        &[
            "--group",
            "2of2:executives",
            "--group",
            "3of4:board",
            "--any",
            "1",
        ],
        None,
    );
    // The board's are 0 to 3 by name, the executives' 4 and 5.
    opens(&sheets, &[3, 0, 1], None);
    opens(&sheets, &[5, 4], None);
}

#[test]
fn so_does_a_set_with_a_passphrase() {
    let passphrase = "correct horse";
    let sheets = Sheets::create(&["--shares", "2", "--threshold", "2"], Some(passphrase));
    opens(&sheets, &[0, 1], Some(passphrase));
}

fn opens(sheets: &Sheets, which: &[usize], passphrase: Option<&str>) {
    let vault = Vault::new("prod", sheets.entry());
    let dir = folder();
    let tar = dir.path().join("prod.tar");
    fs::write(&tar, archive::write(&vault.bundle(1)).expect("written")).expect("written");
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&tar)
        .current_dir(dir.path())
        .status()
        .expect("tar");
    assert!(unpacked.success());

    let words: Vec<&str> = which.iter().map(|n| sheets.words[*n].as_str()).collect();
    let hex = joined(dir.path(), &words, passphrase);
    // The seven lines as they stand on one of these sheets, and in the bundle's own text: the same.
    let printed = program_on(&sheets.pdfs[which[0]]);
    let readme = fs::read_to_string(dir.path().join("README.txt")).expect("there");
    assert!(readme.contains(printed.trim_end()), "{printed}\n{readme}");
    let key = python(&printed, &hex);
    assert!(key.starts_with("AGE-SECRET-KEY-1"));
    fs::write(dir.path().join("key.txt"), key).expect("written");
    let opened = Command::new("age")
        .args(["-d", "-i", "key.txt", "vault.age"])
        .current_dir(dir.path())
        .output()
        .expect("age: apt-get install age");
    assert!(
        opened.status.success(),
        "{}",
        String::from_utf8_lossy(&opened.stderr)
    );
    assert_eq!(String::from_utf8(opened.stdout).expect("text"), KEY);
}

/// PyPI's `shamir recover`, the words typed.
pub(crate) fn joined(dir: &Path, words: &[&str], passphrase: Option<&str>) -> String {
    tools::shamir_recover(dir, words.iter().copied(), passphrase).expect("a secret")
}

/// Cut out of the page's text: the lines from the first that begins a program to the one that prints.
fn program_on(pdf: &Path) -> String {
    let text = Command::new("pdftotext")
        .args(["-layout", &arg(pdf), "-"])
        .output()
        .expect("pdftotext: apt-get install poppler-utils");
    let text = String::from_utf8(text.stdout).expect("text");
    let first = text
        .lines()
        .find(|l| l.trim_start().starts_with("c, p, n ="))
        .unwrap_or_else(|| panic!("no program in\n{text}"));
    let margin = first.len() - first.trim_start().len();
    let mut program = String::new();
    for line in text.lines().skip_while(|l| *l != first) {
        program.push_str(line.get(margin..).unwrap_or_default().trim_end());
        program.push('\n');
        if line.trim_start().starts_with("print(") {
            return program;
        }
    }
    panic!("the program does not end in\n{text}");
}

/// Runs a program with a line on its input.
pub(crate) fn python(program: &str, line: &str) -> String {
    let mut python = Command::new(tools::python().expect("python"))
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut stdin = python.stdin.take().expect("its input");
    stdin.write_all(line.as_bytes()).expect("written");
    drop(stdin);
    let output = python.wait_with_output().expect("python ends");
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout).expect("text")
}
