//! `twotap setup aws-profile`: a person's own file, changed only as was shown, and whole or not at all.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use twotap_rig::Terminal;

use crate::bench::{Desk, done, err, out};

const OTHERS: &str = "# mine\n[default]\nregion=us-east-1\n\n[profile dev]\nrole_arn = x\ns3 =\n  max_queue_size = 5\n";

/// A home without an agent.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn config(&self) -> PathBuf {
        self.0.path().join(".aws/config")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.0.path().join(".aws")).expect("a folder");
        fs::write(self.config(), text).expect("written");
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).unwrap_or_default()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command
            .args([
                "--wait",
                env!("CARGO_BIN_EXE_twotap"),
                "setup",
                "aws-profile",
            ])
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.0.path())
            .env("TWOTAP_AGENT", "/run/no/agent.sock");
        command
    }

    fn setup(&self, args: &[&str]) -> Output {
        self.command(args)
            .stdin(Stdio::null())
            .output()
            .expect("it runs")
    }

    /// Runs it, and it must refuse and leave the file as it is.
    #[track_caller]
    fn refuses(&self, args: &[&str], code: i32, said: &str) {
        let before = self.text();
        let ran = self.setup(args);
        assert_eq!(ran.status.code(), Some(code), "{}", err(&ran));
        assert!(err(&ran).contains(said), "{}", err(&ran));
        assert_eq!(self.text(), before);
        let folder = self.0.path().join(".aws");
        let beside = fs::read_dir(folder).into_iter().flatten().flatten();
        let left: Vec<_> = beside
            .map(|e| e.file_name())
            .filter(|n| n.to_string_lossy().contains("tmp"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn profile(path: &Path) -> String {
    format!(
        "# twotap's break-glass session; no secret stands here (twotap setup aws-profile)\n[profile break-glass]\n\
credential_process = \"{}\" --agent \"/run/no/agent.sock\" credentials\nregion = eu-central-1\n",
        path.display()
    )
}

#[test]
fn it_is_written_once_beside_what_was_there() {
    let home = Home::new();
    let args = ["--region", "eu-central-1", "--yes"];
    let own = profile(Path::new(env!("CARGO_BIN_EXE_twotap")));
    // A file and a folder that did not exist are this person's alone.
    let ran = home.setup(&args);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert_eq!(home.text(), own);
    assert!(
        err(&ran).contains("+ [profile break-glass]"),
        "shown: {}",
        err(&ran)
    );
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(&home.config()),
            mode(home.0.path().join(".aws").as_path())
        ),
        (0o600, 0o700)
    );

    // Beside others', through a link as people keep it, with its mode.
    let home = Home::new();
    home.write("");
    let real = home.0.path().join("dotfiles-aws");
    fs::write(&real, OTHERS).expect("written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("mode");
    fs::remove_file(home.config()).expect("away");
    symlink(&real, home.config()).expect("a link");
    let object = |args: &[&str]| -> Value {
        let ran = home.setup(&[args, &["--json"]].concat());
        serde_json::from_str(&out(&ran)).unwrap_or_else(|why| panic!("{why}: {}", err(&ran)))
    };
    assert_eq!(object(&args)["changed"], true);
    assert_eq!(home.text(), format!("{OTHERS}\n{own}"));
    assert!(
        fs::symlink_metadata(home.config())
            .expect("there")
            .is_symlink()
    );
    assert_eq!(mode(&real), 0o644);

    // Again there is nothing to do, and nothing is written.
    let before = fs::metadata(&real).expect("there").ino();
    assert_eq!(object(&args)["changed"], false);
    assert_eq!(fs::metadata(&real).expect("there").ino(), before);
    // Another Region is a change of that line.
    let moved = object(&["--region", "eu-west-3", "--yes"]);
    assert_eq!(moved["lines"][1], "- region = eu-central-1");
    assert_eq!(moved["lines"][2], "+ region = eu-west-3");
    // And it goes as it came.
    assert_eq!(object(&["--remove", "--yes"])["changed"], true);
    assert_eq!(home.text(), OTHERS);
    assert_eq!(object(&["--remove", "--yes"])["changed"], false);
}

#[test]
fn it_is_asked_about_after_it_was_shown() {
    let home = Home::new();
    home.write(OTHERS);
    // Nobody to ask.
    home.refuses(&["--region", "eu-central-1"], 12, "there is no terminal");
    let at_terminal = || {
        let mut command = home.command(&["--region", "eu-central-1"]);
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut with = Command::new("setsid");
        with.arg("--ctty").args(args).env_clear();
        with.envs(command.get_envs().filter_map(|(n, v)| Some((n, v?))));
        command = with;
        let mut terminal = Terminal::start(command).expect("a terminal");
        terminal.until("write this? (yes/no)");
        assert!(
            terminal.seen().contains("+ [profile break-glass]"),
            "{}",
            terminal.seen()
        );
        assert!(
            terminal.seen().contains("+ credential_process = "),
            "{}",
            terminal.seen()
        );
        terminal
    };
    // What is neither a yes nor a no is asked about twice more.
    for (answer, again) in [("no\r", 0), ("y\r", 2), ("\r", 2)] {
        let mut terminal = at_terminal();
        assert_eq!(home.text(), OTHERS, "nothing before the answer");
        terminal.press(answer);
        for _ in 0..again {
            terminal.until("type yes in full, or no (yes/no) ");
            assert_eq!(home.text(), OTHERS, "{answer:?} is no yes");
            terminal.press(answer);
        }
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(3), "{screen}");
        assert!(screen.contains("nothing was written"), "{screen}");
        assert_eq!(home.text(), OTHERS);
    }
    // What somebody else wrote while the question stood is not lost.
    let mut terminal = at_terminal();
    let meanwhile = format!("{OTHERS}[profile new]\n");
    home.write(&meanwhile);
    terminal.press("yes\r");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("changed by somebody else"), "{screen}");
    assert_eq!(home.text(), meanwhile);

    home.write(OTHERS);
    let mut terminal = at_terminal();
    terminal.press("yes\r");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(home.text().starts_with(OTHERS) && home.text().contains("[profile break-glass]"));
}

#[test]
fn somebody_elses_profile_stays() {
    let yes = ["--region", "eu-central-1", "--yes"];
    let home = Home::new();
    for (text, said) in [
        (
            "[profile break-glass]\naws_access_key_id = AKIAEXAMPLE\n",
            "not twotap's (aws_access_key_id)",
        ),
        (
            "[profile break-glass]\nrole_arn = x\nsource_profile = y\n",
            "not twotap's (role_arn)",
        ),
        (
            "[profile break-glass]\ncredential_process = other\n",
            "not twotap's (credential_process)",
        ),
        ("[profile break-glass]\nregion = x\n", "not twotap's"),
        (
            "[profile break-glass]\n[profile 'break-glass']\n",
            "more than once",
        ),
    ] {
        home.write(text);
        home.refuses(&yes, 3, said);
        home.refuses(&["--remove", "--yes"], 3, said);
        // Under another name there is room.
        let other = ["--name", "emergency", "--region", "eu-central-1", "--yes"];
        assert_eq!(home.setup(&other).status.code(), Some(0));
        assert!(home.text().starts_with(text), "{}", home.text());
    }
    // Keys under the same name in the other file would be used in its place.
    home.write(OTHERS);
    let keys = home.0.path().join(".aws/credentials");
    fs::write(&keys, "[break-glass]\naws_access_key_id = AKIAEXAMPLE\n").expect("written");
    home.refuses(&yes, 3, "has keys under the name break-glass");
    fs::remove_file(keys).expect("away");

    home.refuses(&["--name", "default", "--yes"], 3, "without being told");
    home.refuses(&["--name", "a]b", "--yes"], 2, "profile name");
    home.refuses(
        &["--region", "x\ny", "--yes"],
        2,
        "not the name of a Region",
    );
    home.write("[profile \u{fffd}");
    fs::write(home.config(), b"[profile \xff]\n").expect("written");
    let ran = home.setup(&yes);
    assert_eq!(ran.status.code(), Some(2), "{}", err(&ran));
    assert_eq!(fs::read(home.config()).expect("there"), b"[profile \xff]\n");
    // Nor is a folder one.
    fs::remove_file(home.config()).expect("away");
    fs::create_dir(home.config()).expect("a folder");
    home.refuses(&yes, 3, "is not a file of yours");
}

#[test]
fn the_agent_knows_the_region_and_the_profile_gives_the_session() {
    let desk = Desk::new();
    let ran = done(desk.twotap(&["setup", "aws-profile", "--yes"]));
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let text = fs::read_to_string(desk.home().join(".aws/config")).expect("written");
    let region = format!("region = {}\n", desk.request().regions[0]);
    assert!(text.ends_with(&region), "{text}");
    // As SDKs run it: by a shell, or split into words.
    let run = r#"sh -c "$(sed -n 's/^credential_process = //p' ~/.aws/config)""#;
    let ran = done(desk.shell(run));
    assert!(out(&ran).contains("\"SessionToken\""), "{}", err(&ran));
}
