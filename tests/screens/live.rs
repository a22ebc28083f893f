//! `status --watch` at a terminal and without one.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::{
    papers::{busy, quiet},
    snapshot::matches,
    standin::StandIn,
    tmux::Screen,
};

const TWOTAP: &str = env!("CARGO_BIN_EXE_twotap");
/// The foot of the view, drawn last.
const FOOT: &str = "q quit";

/// The view at a terminal of this size, and a shell around it that says how it ended.
fn watch(agent: &StandIn, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Screen {
    let socket = agent.socket();
    let line = format!(
        "stty -g >\"$HOME/before\"; '{TWOTAP}' --agent '{}' status --watch; echo \"ended: $?\"; stty -g >\"$HOME/after\"; echo settled; exec cat",
        socket.display()
    );
    Screen::run(columns, rows, variables, &line)
}

#[test]
fn a_busy_afternoon_fits_and_can_be_scrolled() {
    let agent = StandIn::of(busy());
    let screen = watch(&agent, 80, 24, &[]);
    matches("live_first_page", &screen.until("of 41"));
    screen.press(&["End"]);
    matches("live_last_page", &screen.until("to 41 of 41"));
    // Nothing of what came from elsewhere moves the cursor.
    assert!(screen.until("siem").contains("\\u{1b}[2Jconnection"));
}

#[test]
fn a_quiet_day_says_so() {
    let agent = StandIn::of(quiet());
    let screen = watch(&agent, 80, 24, &[]);
    let drawn = |shown: &str| shown.contains("nothing is degraded") && shown.contains(FOOT);
    matches("live_quiet", &screen.until_it("the whole view", drawn));
}

#[test]
fn what_changes_is_shown_and_so_is_an_agent_that_goes_and_comes_back() {
    let mut agent = StandIn::of(quiet());
    let screen = watch(&agent, 80, 24, &[]);
    screen.until("NO REQUEST IS OPEN");
    agent.answers(Some(busy()));
    screen.until("r-aaaaaaaaaaaaa");
    agent.goes_away();
    let away = screen.until("AGENT AWAY");
    assert!(away.contains("r-aaaaaaaaaaaaa"), "{away}");
    agent.comes_back();
    screen.until("2 things are degraded");
    // One that takes calls and does not answer is no other case for a person.
    agent.answers(None);
    screen.until("waiting for the agent (");
    agent.answers(Some(quiet()));
    screen.until_it("away or back", |shown| {
        shown.contains("nothing is degraded") || shown.contains("AGENT AWAY")
    });
    screen.types("q");
    screen.until("settled");
}

#[test]
fn every_size_is_drawn_whole() {
    let agent = StandIn::of(busy());
    let screen = watch(&agent, 80, 24, &[]);
    screen.until(FOOT);
    screen.resize(50, 12);
    let small = screen.until_it("the smaller size", |shown| {
        shown.lines().count() == 12 && shown.contains(FOOT) && shown.contains("lines 1 to 9")
    });
    matches("live_small", &small);
    screen.resize(120, 60);
    let large = screen.until_it("the larger size", |shown| {
        shown.lines().count() == 60 && shown.contains("ENDED WITHIN A DAY")
    });
    assert!(!large.contains("lines 1 to"), "{large}");
    // A few columns say little, and do no harm.
    screen.resize(12, 4);
    screen.until_it("the smallest size", |shown| shown.lines().count() == 4);
    screen.press(&["q"]);
    screen.until_it("the end", |shown| shown.contains("settled"));
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let agent = StandIn::of(busy());
    let cases: [(&str, &str); 3] = [("q", "ended: 0"), ("C-c", "ended: 0"), ("", "ended: 143")];
    for (key, ended) in cases {
        let screen = watch(&agent, 80, 24, &[]);
        screen.until(FOOT);
        assert_eq!(screen.is("alternate_on"), "1");
        assert_eq!(screen.is("cursor_flag"), "0");
        if key.is_empty() {
            // The shell's only child.
            let shell = screen.is("pane_pid");
            let killed = Command::new("pkill").args(["-TERM", "-P", &shell]).status();
            assert!(killed.expect("procps is installed").success());
        } else {
            screen.press(&[key]);
        }
        let after = screen.until("settled");
        assert!(after.contains(ended), "{after}");
        assert!(!after.contains("WAITING FOR"), "{after}");
        assert_eq!(screen.is("alternate_on"), "0", "{key}");
        assert_eq!(screen.is("cursor_flag"), "1", "{key}");
        let read = |name: &str| {
            std::fs::read_to_string(screen.folder().join(name)).expect("stty wrote it")
        };
        assert_eq!(read("before"), read("after"), "{key}");
    }
}

#[test]
fn colours_are_three_have_no_background_and_can_be_done_without() {
    let agent = StandIn::of(busy());
    let coloured = watch(&agent, 80, 24, &[]);
    let words = coloured.until(FOOT);
    let text = coloured.coloured();
    for code in ["31m", "32m", "35m"] {
        assert!(text.contains(code), "{code}: {text:?}");
    }
    for ground in 40..=47 {
        assert!(!text.contains(&format!("{ground}m")), "{ground}: {text:?}");
    }
    let plain = watch(&agent, 80, 24, &[("NO_COLOR", "1")]);
    let same = plain.until(FOOT);
    let text = plain.coloured();
    for colour in 30..=37 {
        assert!(!text.contains(&format!("{colour}m")), "{colour}: {text:?}");
    }
    // Every word is there without them.
    use crate::snapshot::masked;
    assert_eq!(masked(&same), masked(&words));
}

#[test]
fn status_stays_within_the_columns_of_a_terminal() {
    let agent = StandIn::of(busy());
    let line = format!(
        "'{TWOTAP}' --agent '{}' status; echo settled; exec cat",
        agent.socket().display()
    );
    // tmux joins lines that it broke itself: none is longer than the terminal is wide.
    let screen = Screen::run(80, 100, &[], &line);
    let shown = screen.until("settled");
    matches("status", &shown);
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// A watch without a terminal: its lines as they come, on both streams.
struct Lines {
    child: Child,
    said: Receiver<String>,
}

impl Lines {
    fn of(agent: &StandIn) -> Self {
        let mut child = Command::new(TWOTAP)
            .args(["--agent", &agent.socket().display().to_string()])
            .args(["status", "--watch"])
            .env_clear()
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, said) = channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("piped")),
            Box::new(child.stderr.take().expect("piped")),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, said }
    }

    /// Everything up to the line that has this in it.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let next = self.said.recv_timeout(Duration::from_secs(60));
            let Ok(line) = next else {
                panic!("'{text}' does not come: {lines:#?}");
            };
            let found = line.contains(text);
            lines.push(line);
            if found {
                return lines;
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_a_terminal_it_prints_lines_when_something_changes() {
    let mut agent = StandIn::of(quiet());
    let lines = Lines::of(&agent);
    let first = lines.until("no request");
    assert!(first.iter().all(|l| !l.contains('\u{1b}')), "{first:?}");
    agent.answers(Some(busy()));
    // A row is one line, however long: programs look for it.
    let more = lines.until("degraded: vault prod");
    assert!(more.iter().any(|l| l.contains("request r-aaaaaaaaaaaaa")));
    assert!(more.iter().all(|l| !l.contains('\u{1b}')), "{more:?}");
    agent.goes_away();
    lines.until("warning: there is no agent at");
    agent.comes_back();
    // Said once each, and nothing again that was said before.
    let back = lines.until("note: the agent answers again");
    let said = back.iter().filter(|l| !l.contains("waiting for"));
    assert_eq!(said.count(), 1, "{back:?}");
    agent.answers(Some(quiet()));
    let quiet_again = lines.until("no request");
    let head = quiet_again
        .iter()
        .filter(|l| l.starts_with("you are"))
        .count();
    assert_eq!(head, 1, "{quiet_again:?}");
}

#[test]
fn a_terminal_that_cannot_draw_gets_lines() {
    let agent = StandIn::of(quiet());
    let line = format!(
        "TERM=dumb '{TWOTAP}' --agent '{}' status --watch",
        agent.socket().display()
    );
    let screen = Screen::run(80, 40, &[], &line);
    let shown = screen.until("no request");
    assert!(shown.starts_with("you are dana"), "{shown}");
    assert_eq!(screen.is("alternate_on"), "0");
}

#[test]
fn watching_in_json_is_refused() {
    let agent = StandIn::of(quiet());
    let mut child = Command::new(TWOTAP)
        .args(["--agent", &agent.socket().display().to_string()])
        .args(["--json", "status", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_to_string(&mut out).expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(2), "{out}");
    assert!(out.contains("--watch never ends"), "{out}");
}
