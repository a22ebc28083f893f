//! The scan finds what a process holds: shown on a process that holds what it is given.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use rustix::process::Uid;
use twotap_rig::memory::{self, FRAGMENT, Secrets};

const SECRET: &[u8] = b"kP3v/x0fYq+Lw7Zr1TnB5aUeJd9GhSgMcQoRiXtV";

/// `cat`, which keeps in its buffer what it has passed on.
struct Holder(Child);

impl Holder {
    fn of(bytes: &[u8]) -> Self {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat");
        let stdin = child.stdin.as_mut().expect("piped");
        stdin.write_all(bytes).expect("written");
        let mut passed_on = vec![0; bytes.len()];
        let stdout = child.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut passed_on).expect("passed on");
        Self(child)
    }

    fn scanned(bytes: &[u8]) -> Vec<memory::Found> {
        let holder = Self::of(bytes);
        let mut secrets = Secrets::new();
        secrets.add("the secret", SECRET).expect("long enough");
        secrets.add("the pin", b"x7Q!m2#K").expect("long enough");
        memory::scan(holder.0.id(), &secrets).expect("a scan").found
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn the_scan_finds_a_secret_in_a_process_that_holds_it_in_every_form() {
    let utf16 = |text: &[u8]| -> Vec<u8> { text.iter().flat_map(|b| [*b, 0]).collect() };
    let behind = |n: usize| -> Vec<u8> {
        let mut bytes = vec![b'.'; n];
        bytes.extend_from_slice(SECRET);
        BASE64.encode(&bytes).into_bytes()
    };
    let swapped: Vec<u8> = utf16(SECRET).chunks(2).flat_map(|c| [c[1], c[0]]).collect();
    for (form, bytes) in [
        ("raw", SECRET.to_vec()),
        ("hex", HEXLOWER.encode(SECRET).into_bytes()),
        ("HEX", HEXUPPER.encode(SECRET).into_bytes()),
        ("base64", behind(0)),
        ("base64", behind(1)),
        ("base64", behind(2)),
        ("utf-16 le", utf16(SECRET)),
        ("utf-16 be", swapped),
        ("raw", b"x7Q!m2#K".to_vec()),
    ] {
        let found = Holder::scanned(&bytes);
        assert!(
            found.iter().any(|f| f.form.starts_with(form)),
            "{form}: {found:?}"
        );
    }
}

#[test]
fn the_scan_finds_sixteen_bytes_of_a_secret_wherever_they_are_from() {
    for start in [0, 1, 7, SECRET.len() - FRAGMENT] {
        let fragment = &SECRET[start..start + FRAGMENT];
        let found = Holder::scanned(fragment);
        assert_eq!(found.len(), 1, "{start}: {found:?}");
        assert_eq!(found[0].length, FRAGMENT as u64);
        assert_eq!(Holder::scanned(&fragment[1..]), []);
    }
}

#[test]
fn the_scan_finds_a_secret_in_an_argument_and_in_the_environment() {
    let secret = std::str::from_utf8(SECRET).expect("text");
    let mut secrets = Secrets::new();
    secrets.add("the secret", SECRET).expect("long enough");
    let places = |command: &mut Command| -> Vec<String> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Holder(child.spawn().expect("sh"));
        let mut ready = [0; 6];
        let stdout = child.0.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut ready).expect("it runs");
        let found = memory::scan_arguments(&secrets).expect("a scan").found;
        let pid = format!(" of {}", child.0.id());
        let found = found.into_iter().map(|found| found.place);
        found
            .filter_map(|place| Some(place.strip_suffix(&pid)?.to_owned()))
            .collect()
    };
    let waits = ["-c", "echo ready && read -r line"];
    let mut argument = Command::new("sh");
    assert_eq!(places(argument.args(waits).arg(secret)), ["cmdline"]);
    let mut variable = Command::new("sh");
    let variable = variable.args(waits).env("AN_EXAMPLE", secret);
    assert_eq!(places(variable), ["environ"]);
}

#[test]
fn the_scan_finds_a_secret_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("below")).expect("made");
    let log = folder.path().join("below/some.log");
    std::fs::write(&log, HEXLOWER.encode(SECRET)).expect("written");
    let mut secrets = Secrets::new();
    secrets.add("the secret", SECRET).expect("long enough");
    let found = |skip: &dyn Fn(&std::path::Path) -> bool| {
        memory::scan_files(folder.path(), &secrets, skip)
            .expect("a scan")
            .found
    };
    let all = found(&|_| false);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        (all[0].form, &*all[0].place),
        ("hex", &*log.display().to_string())
    );
    assert_eq!(found(&|path| path == log), []);
}

#[test]
fn the_scan_needs_root_and_says_so() {
    let holder = Holder::of(SECRET);
    let pid = holder.0.id();
    // Accounts are a thread's, to the kernel: this one alone becomes dana.
    let said = std::thread::spawn(move || {
        let dana = Uid::from_raw(twotap_rig::people::DANA);
        rustix::thread::set_thread_res_uid(dana, dana, dana).expect("run as root");
        let mut secrets = Secrets::new();
        secrets.add("the secret", SECRET).expect("long enough");
        memory::scan(pid, &secrets)
            .expect_err("not root")
            .to_string()
    })
    .join()
    .expect("an answer");
    assert!(said.contains("only root"), "{said}");
    assert!(said.contains("hint: run as root"), "{said}");
}
