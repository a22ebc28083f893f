//! Builds the test programs and says where they are.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::Value;

use crate::console::Failure;
use crate::setup;

/// A test program, as it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its target's name, such as `accounts`; for a crate's own tests that of the crate.
    pub(crate) name: String,
    /// Its source in the checkout, such as `tests/accounts.rs`: what `cargo test` calls it.
    pub(crate) source: String,
    /// What has it run alone, such as `-p twotap --test accounts`.
    pub(crate) chosen: String,
    /// The crate's folder: tests run there.
    pub(crate) folder: PathBuf,
    pub(crate) file: PathBuf,
}

/// What a build has made.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) tests: Vec<Program>,
    /// The programs that tests run: the crates' binaries.
    shipped: Vec<PathBuf>,
}

/// Builds what `cargo test` would build for `part`. The inner error is cargo's own end, when it did not build; it has said why.
pub(crate) fn build(part: &[&str]) -> Result<Result<Built, ExitStatus>, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("cargo test --no-run: {why}"));
    let mut child = setup::cargo()
        .args(["test", "--no-run", "--quiet"])
        .arg("--message-format=json-render-diagnostics")
        .args(part)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let output = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
    let mut built = Built::default();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| failed(&error))?;
        built.add(&line, setup::workspace());
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    Ok(status.success().then_some(built).ok_or(status))
}

impl Built {
    /// Takes up one of cargo's messages.
    fn add(&mut self, message: &str, workspace: &Path) {
        let Ok(message) = serde_json::from_str::<Value>(message) else {
            return;
        };
        if message["reason"] != "compiler-artifact" {
            return;
        }
        if message["profile"]["test"] == true {
            self.tests.extend(program(&message, workspace));
        } else if let Some(shipped) = message["executable"].as_str() {
            self.shipped.push(shipped.into());
        }
    }

    /// Links all of it into a folder of its own, so that the next build may put other programs in its place. The tests, as they lie there, and
    /// with `features` in what has them run alone.
    pub(crate) fn keep(self, beside: &Path, features: &str) -> Result<Vec<Program>, Failure> {
        fs::create_dir_all(beside).map_err(|why| failed(beside, &why))?;
        for shipped in &self.shipped {
            link(shipped, beside)?;
        }
        let kept = self.tests.into_iter().map(|program| {
            let file = link(&program.file, beside)?;
            let chosen = format!("{} --features {features}", program.chosen);
            Ok(Program {
                file,
                chosen,
                ..program
            })
        });
        kept.collect()
    }
}

/// Links what stands in the folder `built` and is not in `beside` into that: programs that are the same in every build.
pub(crate) fn complete(beside: &Path, built: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(built).map_err(|why| failed(built, &why))? {
        let from = entry.map_err(|why| failed(built, &why))?.path();
        let found = fs::metadata(&from).map_err(|why| failed(&from, &why))?;
        let runs = found.is_file() && found.permissions().mode() & 0o100 != 0;
        if runs && !beside.join(from.file_name().unwrap_or_default()).exists() {
            link(&from, beside)?;
        }
    }
    Ok(())
}

/// The test program that one of cargo's messages tells of.
fn program(message: &Value, workspace: &Path) -> Option<Program> {
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let source = Path::new(message["target"]["src_path"].as_str()?);
    // `path+file:///checkout/shares#twotap-shares@0.1.0`; the name is left out where the folder has it.
    let package = message["package_id"].as_str()?.rsplit(['#', '/']).next()?;
    let package = match package.split_once('@') {
        Some((name, _)) => name,
        None => manifest.parent()?.file_name()?.to_str()?,
    };
    let name = message["target"]["name"].as_str()?;
    let chosen = match message["target"]["kind"][0].as_str()? {
        kind @ ("test" | "bin" | "bench" | "example") => format!("-p {package} --{kind} {name}"),
        _ => format!("-p {package} --lib"),
    };
    Some(Program {
        name: name.to_owned(),
        chosen,
        source: source
            .strip_prefix(workspace)
            .unwrap_or(source)
            .display()
            .to_string(),
        folder: manifest.parent()?.to_owned(),
        file: message["executable"].as_str()?.into(),
    })
}

fn link(from: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let to = folder.join(from.file_name().unwrap_or_default());
    match fs::hard_link(from, &to) {
        Ok(()) => Ok(to),
        Err(why) => Err(failed(&to, &why)),
    }
}

fn failed(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///co#twotap@0.1.0","manifest_path":"/co/Cargo.toml",
        "target":{"kind":["test"],"name":"accounts","src_path":"/co/tests/accounts.rs"},"profile":{"test":true},
        "executable":"/co/target/debug/deps/accounts-0f","fresh":true}"#;

    fn built(message: &str) -> Built {
        let mut built = Built::default();
        built.add(message, Path::new("/co"));
        built
    }

    #[test]
    fn a_test_program_is_told_from_all_else_that_cargo_says() {
        let expected = Program {
            name: "accounts".to_owned(),
            source: "tests/accounts.rs".to_owned(),
            chosen: "-p twotap --test accounts".to_owned(),
            folder: "/co".into(),
            file: "/co/target/debug/deps/accounts-0f".into(),
        };
        assert_eq!(built(TEST).tests, [expected]);
        let member = TEST.replace("co#twotap@0.1.0", "co/xtask#0.1.0");
        let member = member.replace("/co/Cargo.toml", "/co/xtask/Cargo.toml");
        assert_eq!(built(&member).tests[0].chosen, "-p xtask --test accounts");
        let own = TEST.replace("[\"test\"]", "[\"lib\"]");
        assert_eq!(built(&own).tests[0].chosen, "-p twotap --lib");

        let library = TEST.replace("\"/co/target/debug/deps/accounts-0f\"", "null");
        for other in [&library, "{\"reason\":\"build-finished\"}", "text"] {
            let built = built(other);
            assert!(
                built.tests.is_empty() && built.shipped.is_empty(),
                "{other}"
            );
        }
        let shipped = built(&TEST.replace("\"test\":true", "\"test\":false"));
        assert!(shipped.tests.is_empty());
        assert_eq!(
            shipped.shipped,
            [Path::new("/co/target/debug/deps/accounts-0f")]
        );
    }

    #[test]
    fn what_is_kept_stays_when_the_next_build_replaces_it() {
        let base = std::env::temp_dir().join(format!("twotap-kept-{}", std::process::id()));
        let (debug, beside) = (base.join("debug"), base.join("failpoints"));
        fs::create_dir_all(debug.join("deps")).unwrap();
        let write = |file: &str, mode, text: &str| {
            let file = debug.join(file);
            // As cargo does it: taken away, then made anew.
            let _ = fs::remove_file(&file);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("twotapd", 0o755, "with failpoints");
        write("twotap-token", 0o755, "of an earlier build");
        write("deps/matrix-0f", 0o755, "a test");
        let mut built = built(TEST);
        built.tests[0].file = debug.join("deps/matrix-0f");
        built.shipped.push(debug.join("twotapd"));
        let kept = built.keep(&beside, "failpoints");
        write("twotapd", 0o755, "without");
        write("twotap-token", 0o755, "the token");
        write("twotapd.d", 0o644, "no program");
        let completed = complete(&beside, &debug);
        let mut found: Vec<(String, String)> = fs::read_dir(&beside)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        found.sort();
        fs::remove_dir_all(&base).unwrap();
        let kept = &kept.unwrap()[0];
        assert_eq!(kept.file, beside.join("matrix-0f"));
        assert!(kept.chosen.ends_with("accounts --features failpoints"));
        completed.unwrap();
        let expected = [
            ("matrix-0f", "a test"),
            ("twotap-token", "the token"),
            ("twotapd", "with failpoints"),
        ];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
