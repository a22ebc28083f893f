//! At a terminal: which of several requests, and what stands on the screen before anybody taps.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use twotap_rig::Site;

use crate::ready;

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// `twotap` at a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(site: &Site, name: &str, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let other = ptsname(&master, Vec::new()).expect("a name");
        let slave = || -> OwnedFd {
            let path = other.to_str().expect("plain");
            let open = File::options().read(true).write(true).open(path);
            open.expect("its other end").into()
        };
        let typed = site.twotap(name, args).expect("a person").into_command();
        // The terminal becomes the one that the program belongs to.
        let child = Command::new("setsid")
            .args(["-c", "-w"])
            .arg(typed.get_program())
            .args(typed.get_args())
            .env_clear()
            .envs(typed.get_envs().filter_map(|(n, v)| Some((n, v?))))
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("started");
        let keys = File::from(master);
        let mut eyes = keys.try_clone().expect("both ways");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = eyes.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keys,
            screen,
            seen: String::new(),
        }
    }

    /// Waits until this stands on the screen.
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + BOUND;
        while !self.seen.contains(text) {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(more) = self.screen.recv_timeout(rest) else {
                panic!("'{text}' is not on the screen: {}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("ended");
        while let Ok(more) = self.screen.recv_timeout(Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (status.code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn of_several_requests_one_is_chosen_by_its_number_or_id() {
    let site = ready();
    let first = site
        .request("INC-1", "the database is down")
        .expect("asked");
    let second = site.request("INC-2", "the queue is full").expect("asked");

    let mut none = Terminal::start(&site, "alice", &["approve"]);
    none.until("which one? (number or id) ");
    for text in ["the database is down", "the queue is full", &first.id] {
        assert!(none.seen.contains(text), "{}", none.seen);
    }
    none.press("3\r");
    let (code, screen) = none.end();
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("none of them was chosen"), "{screen}");

    let mut chosen = Terminal::start(&site, "alice", &["approve"]);
    chosen.until("which one? (number or id) ");
    chosen.press(&format!("{}\r", second.id));
    chosen.until("read the same six words? (yes/no) ");
    for text in [
        "request ",
        &second.words,
        "unusual about it",
        "it is the first request by dana",
        "the agent says: dana asks for something at this moment as well",
    ] {
        assert!(chosen.seen.contains(text), "{text}: {}", chosen.seen);
    }
    site.tap("alice", 1).expect("a finger");
    chosen.press("yes\r");
    chosen.until("tries left): ");
    chosen.press("271828\r");
    let (code, screen) = chosen.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(
        site.view(&second).expect("there")["approved_by"],
        serde_json::json!(["alice"])
    );

    // The one that is left needs no choice, and is no longer the first.
    let mut left = Terminal::start(&site, "alice", &["approve"]);
    left.until("read the same six words? (yes/no) ");
    assert!(left.seen.contains(&first.words), "{}", left.seen);
    assert!(
        !left.seen.contains("it is the first request"),
        "{}",
        left.seen
    );
    left.press("no\r");
    assert_eq!(left.end().0, Some(3));
}

#[test]
fn a_roster_change_is_read_in_plain_words_before_it_is_approved() {
    let site = ready();
    site.propose("roster-2.json", &["--accept-risk", "YSA-2024-03"])
        .expect("proposed");
    for name in ["alice", "bob"] {
        site.sign(name, "roster-2.json").expect("signed");
    }
    let change = site.submit("roster-2.json").expect("handed in");
    let mut shown = Terminal::start(&site, "bob", &["approve"]);
    shown.until("read the same six words? (yes/no) ");
    for text in [
        "NO SESSION: nobody gets any access by this",
        "roster version 2; the key is sealed anew under it",
        "widens  advisory YSA-2024-03 is accepted",
        "when this is taken up the key is rotated",
        &change.words,
    ] {
        assert!(shown.seen.contains(text), "{text}: {}", shown.seen);
    }
    shown.press("no\r");
    assert_eq!(shown.end().0, Some(3));
}
