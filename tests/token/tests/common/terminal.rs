//! A terminal for programs that insist on one: waits for prompts and types answers.

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long each prompt may take.
const BOUND: Duration = Duration::from_secs(30);

/// What is typed at a prompt, and whether the program shows it.
#[derive(Clone, Copy)]
pub(crate) enum Typed<'t> {
    Shown(&'t str),
    /// Some programs print the prompt first, switch the echo off then, and throw away what was typed in between.
    Hidden(&'t str),
}

/// Runs a command on a terminal of its own, answers the prompts in their order, and returns all
/// that the terminal showed.
///
/// # Panics
/// If a prompt does not come or the command fails.
pub(crate) fn converse(command: &Command, answers: &[(&str, Typed<'_>)]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().expect("ASCII"))
        .expect("its other end");

    // `setsid --ctty` makes standard input the controlling terminal: age prompts on /dev/tty.
    let mut on_terminal = Command::new("setsid");
    on_terminal
        .args(["--ctty", "--wait"])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("TERM", "dumb")
        .current_dir(command.get_current_dir().expect("a folder"))
        .stdin(slave.try_clone().expect("a copy"))
        .stdout(slave.try_clone().expect("a copy"))
        .stderr(slave);
    let mut child = on_terminal.spawn().expect("a child");
    drop(on_terminal); // and with it the last copies of the slave's end

    let mut keyboard = File::from(master);
    let mut screen = keyboard.try_clone().expect("a copy");
    let (send, receive) = mpsc::channel();
    // A terminal whose other end is closed reads as an error: the end of the conversation.
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = screen.read(&mut buffer) {
            if send.send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });

    let (mut shown, mut seen) = (Vec::new(), 0);
    for (prompt, answer) in answers {
        let deadline = Instant::now() + BOUND;
        while find(&shown[seen..], prompt.as_bytes()).is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match receive.recv_timeout(left) {
                Ok(bytes) => shown.extend(bytes),
                Err(_) => {
                    let _ = child.kill();
                    let text = String::from_utf8_lossy(&shown);
                    panic!("no prompt '{prompt}' in:\n{text}");
                }
            }
        }
        seen += find(&shown[seen..], prompt.as_bytes()).expect("just found") + prompt.len();
        let (answer, hidden) = match answer {
            Typed::Shown(answer) => (answer, false),
            Typed::Hidden(answer) => (answer, true),
        };
        while hidden
            && tcgetattr(&keyboard)
                .expect("its modes")
                .local_modes
                .contains(LocalModes::ECHO)
        {
            assert!(Instant::now() < deadline, "'{prompt}' leaves the echo on");
            thread::sleep(Duration::from_millis(1));
        }
        keyboard.write_all(answer.as_bytes()).expect("typed");
        keyboard.write_all(b"\r").expect("typed");
    }
    while let Ok(bytes) = receive.recv_timeout(BOUND) {
        shown.extend(bytes);
    }
    let status = child.wait().expect("ended");
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert!(
        status.success(),
        "the client failed on its terminal:\n{text}"
    );
    text
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|w| w == part)
}
