//! A PIN that is typed at a terminal goes the way of one that a script hands over.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use twotap_rig::{Site, memory::Stopped, site::Requested};

use crate::{
    ceremony::{BOUND, options, wait_for_call},
    ledger::Ledger,
};

#[test]
fn a_pin_typed_at_a_terminal_is_gone_before_the_agent_answers() {
    let site = Site::ready(options()).expect("a site");
    let request = site.request("INC-1", "at a terminal").expect("asked");
    let mut ledger = Ledger::default();
    ledger.known.learn(&site);

    let (mut child, mut terminal) = approve(&site, &request);
    read_until(&mut terminal, "(yes/no) ");
    terminal.write_all(b"yes\r").expect("typed");
    read_until(&mut terminal, "tries left): ");
    let pin = format!("{}\r", site.options().pin);
    terminal.write_all(pin.as_bytes()).expect("typed");
    let mut finger = site.finger("alice").expect("a finger");
    assert!(finger.wait_for_touch(BOUND).expect("an answer"));
    let found = ledger.process("touching", "twotap approve", child.id(), &["the pin"]);
    ledger.control("touching", &found, "the pin");

    let agent = Stopped::new(site.agent_pid().expect("it runs")).expect("it stops");
    assert!(finger.tap().expect("an answer"));
    wait_for_call(child.id(), &crate::ceremony::EPOLL);
    ledger.process("handed in", "twotap approve", child.id(), &[]);
    drop(agent);
    let shown = read_until(&mut terminal, "approved as alice");
    ledger.said("the terminal", &shown);
    assert!(child.wait().expect("it ends").success());
    ledger.close();
}

/// Alice's `twotap approve` at a terminal of its own, and that terminal's keys and screen.
fn approve(site: &Site, request: &Requested) -> (Child, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("a name");
    let name = name.to_str().expect("plain");
    let slave = || File::options().read(true).write(true).open(name);
    let approve = site.twotap("alice", &["approve", &request.id]);
    let approve = approve.expect("alice").into_command();
    let variables = approve.get_envs();
    let child = Command::new("setsid")
        .arg("--ctty")
        .arg(approve.get_program())
        .args(approve.get_args())
        .env_clear()
        .envs(variables.filter_map(|(name, value)| Some((name, value?))))
        .current_dir(site.stage().home("alice"))
        .stdin(slave().expect("its other end"))
        .stdout(slave().expect("its other end"))
        .stderr(slave().expect("its other end"))
        .spawn()
        .expect("it starts");
    (child, File::from(master))
}

/// Reads the screen until this stands there.
fn read_until(terminal: &mut File, text: &str) -> String {
    let mut screen = Vec::new();
    let mut byte = [0];
    while !screen.ends_with(text.as_bytes()) {
        let read = terminal.read(&mut byte);
        let shown = String::from_utf8_lossy(&screen);
        assert!(matches!(read, Ok(1)), "'{text}' does not come: {shown}");
        screen.push(byte[0]);
    }
    String::from_utf8_lossy(&screen).into_owned()
}
