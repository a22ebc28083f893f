//! The private pcscd: many side by side, and nothing left behind.

mod common;

use common::PROGRAM;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};
use twotap_token::{Control, Pcscd, TokenOptions};

/// Whether a process runs (a zombie does not).
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

/// The process that was started with this word in its arguments.
fn process_with(word: &Path) -> Option<u32> {
    let word = word.to_str().expect("utf-8");
    let mut all = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    all.find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        line.split('\0').any(|a| a == word).then_some(pid)
    })
}

/// A process that is killed, without a chance to tidy up, when this is dropped.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn four_readers_take_four_tokens() {
    let dir = tempfile::tempdir().expect("a folder");
    let pcscd = Pcscd::start(&dir.path().join("pcscd"), 4).expect("a pcscd");
    let insert = |serial| pcscd.insert(&TokenOptions::new(PROGRAM, dir.path(), serial));
    let tokens: Vec<_> = (1001..=1004).map(|s| insert(s).expect("a token")).collect();
    let list = Command::new("yubico-piv-tool")
        .args(["-a", "list-readers"])
        .env("PCSCLITE_CSOCK_NAME", pcscd.socket())
        .output()
        .expect("yubico-piv-tool");
    let out = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut names: Vec<&str> = out.lines().collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4, "each reader has a name of its own: {out}");
    for (token, serial) in tokens.iter().zip(1001..) {
        let status = token
            .control()
            .and_then(|mut c| c.status())
            .expect("status");
        assert_eq!((status.serial, status.power_ons > 0), (serial, true));
    }
}

#[test]
fn two_pcscd_do_not_see_each_others_tokens() {
    let dir = tempfile::tempdir().expect("a folder");
    let versions: Vec<String> = thread::scope(|s| {
        let both = ["5.7.4", "5.4.3"].map(|profile| {
            let dir = dir.path().join(profile);
            s.spawn(move || {
                let pcscd = Pcscd::start(&dir, 1).expect("a pcscd");
                let mut options = TokenOptions::new(PROGRAM, &dir, 1001);
                options.profile = profile.into();
                let _token = pcscd.insert(&options).expect("a token");
                let version = Command::new("yubico-piv-tool")
                    .args(["-r", "Yubico", "-a", "version"])
                    .env("PCSCLITE_CSOCK_NAME", pcscd.socket())
                    .output()
                    .expect("yubico-piv-tool");
                String::from_utf8_lossy(&version.stdout).into_owned()
            })
        });
        both.into_iter()
            .map(|t| t.join().expect("no panic"))
            .collect()
    });
    assert!(
        versions[0].contains("5.7.4") && versions[1].contains("5.4.3"),
        "{versions:?}"
    );
}

#[test]
fn dropping_the_handles_ends_everything_and_leaves_no_mount() {
    let dir = tempfile::tempdir().expect("a folder");
    let pcscd = Pcscd::start(&dir.path().join("pcscd"), 1).expect("a pcscd");
    let options = TokenOptions::new(PROGRAM, dir.path(), 1001);
    let token = pcscd.insert(&options).expect("a token");
    let conf = dir.path().join("pcscd/conf");
    let daemon = process_with(&conf).expect("pcscd runs");
    let token_id = token.id();
    assert!(runs(daemon) && runs(token_id));
    drop(token);
    assert!(!runs(token_id));
    drop(pcscd);
    assert!(!runs(daemon), "pcscd has ended");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let name = dir.path().to_str().expect("utf-8");
    assert!(!mounts.contains(name), "no mount has spread");
    assert!(Control::connect(&options.control).is_err());
}

#[test]
fn a_freed_reader_takes_the_next_token_and_state_outlives_the_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let pcscd = Pcscd::start(&dir.path().join("pcscd"), 1).expect("a pcscd");
    let options = TokenOptions::new(PROGRAM, dir.path(), 1001);
    let pin = |from: &str, to: &str| {
        Command::new("yubico-piv-tool")
            .args(["-r", "Yubico", "-a", "change-pin", "-P", from, "-N", to])
            .env("PCSCLITE_CSOCK_NAME", pcscd.socket())
            .output()
            .expect("yubico-piv-tool")
            .status
            .success()
    };
    for (from, to) in [("123456", "654321"), ("654321", "246810")] {
        let _token = pcscd.insert(&options).expect("a token");
        assert!(pin(from, to), "{from} to {to}");
    }
}

#[test]
fn a_token_that_cannot_start_is_an_error_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let pcscd = Pcscd::start(&dir.path().join("pcscd"), 1).expect("a pcscd");
    let mut options = TokenOptions::new(PROGRAM, dir.path(), 1001);
    options.profile = "/no/such/profile".into();
    let error = pcscd.insert(&options).err().expect("refused");
    assert!(error.to_string().contains("ended"), "{error}");
    options.profile = "5.7.4".into();
    assert!(pcscd.insert(&options).is_ok(), "the reader is free again");
}

#[test]
fn nothing_outlives_a_killed_test() {
    const DIR: &str = "TWOTAP_TOKEN_TEST_DIR";
    if let Some(dir) = std::env::var_os(DIR) {
        let dir = Path::new(&dir);
        let pcscd = Pcscd::start(&dir.join("pcscd"), 1).expect("a pcscd");
        let options = TokenOptions::new(PROGRAM, dir, 1001);
        let _token = pcscd.insert(&options).expect("a token");
        fs::write(dir.join("ready"), "").expect("written");
        loop {
            thread::park(); // until killed
        }
    }
    let dir = tempfile::tempdir().expect("a folder");
    let test = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "nothing_outlives_a_killed_test", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let victim = Victim(test);
    let until = |what: &str, is: &dyn Fn() -> bool| {
        let done = (0..1500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            is()
        });
        assert!(done, "{what}");
    };
    until("ready", &|| dir.path().join("ready").exists());
    let daemon = process_with(&dir.path().join("pcscd/conf")).expect("pcscd runs");
    let token = process_with(&dir.path().join("1001.json")).expect("the token runs");
    drop(victim);
    until("pcscd and the token end", &|| !runs(daemon) && !runs(token));
}
