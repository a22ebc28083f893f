//! What ships is what people run: no failpoint, no clock that somebody could set, nothing of what tests stand on.
//!
//! A failpoint or a second clock could come in by three doors: a cargo feature, a dependency, or code that asks the environment. The first two
//! are looked for in what cargo says it would build, the third in the programs themselves, with their symbols. The programs are those of this
//! build (unstripped, so that there is more to see than in a release); `TWOTAP_SHIPPED` names a folder with others, e.g. `target/release`.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What stands in the rig, in the virtual token and in its PKI, and must stand nowhere else.
const OF_TESTS: [&str; 14] = [
    "twotap-rig",
    "twotap_rig",
    "twotap-token",
    "twotap_token",
    "ministack",
    "vpcd",
    "vpicc",
    "vsmartcard",
    "Test Attestation",
    "Test PIV",
    "tap-when-asked",
    "proptest",
    "twotap-stage",
    "keep_reply",
];

/// How failpoints and false clocks are called; the first four are what is in the programs that `kill_matrix.rs` is built with.
const SEAMS: [&str; 11] = [
    "twotap4fail5there",
    "from-worker:",
    "before-remove",
    "failpoint",
    "fail_point",
    "fail::",
    "FAILPOINTS",
    "faketime",
    "FakeClock",
    "MockClock",
    "FaultClock",
];

/// Crates that are there for tests, or for faults.
const CRATES: [&str; 10] = [
    "twotap-rig",
    "twotap-token",
    "xtask",
    "proptest",
    "tempfile",
    "fail",
    "mockall",
    "mock_instant",
    "wiremock",
    "tokio-test",
];

/// The variables of our own that a shipped program asks for, or sets for a recorded shell: the session's id, and what its prompt shows.
const VARIABLES: [&str; 6] = [
    "TWOTAP_AGENT",
    "TWOTAP_SESSION",
    "TWOTAP_SIGNIN",
    "TWOTAP_UNTIL",
    "TWOTAP_WHAT",
    "TWOTAP_ZDOTDIR",
];

/// Which of ours this is. In a program one text stands right behind another, so that a name may seem longer than it is.
fn ours(found: &str) -> Option<&'static str> {
    let begins = |name: &&str| {
        found
            .strip_prefix(*name)
            .is_some_and(|rest| !rest.starts_with('_'))
    };
    VARIABLES.into_iter().find(begins)
}

/// The three programs.
fn shipped() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("TWOTAP_SHIPPED") {
        let folder = Path::new(&folder);
        return ["twotap", "twotapd", "twotap-worker"]
            .map(|name| folder.join(name))
            .to_vec();
    }
    [
        env!("CARGO_BIN_EXE_twotap"),
        env!("CARGO_BIN_EXE_twotapd"),
        env!("CARGO_BIN_EXE_twotap-worker"),
    ]
    .map(PathBuf::from)
    .to_vec()
}

/// Which of the words stand in a program, as text or as a symbol.
fn found<'w>(program: &Path, words: &[&'w str]) -> Vec<&'w str> {
    let mut args = vec!["-F"];
    args.extend(words.iter().flat_map(|word| ["-e", word]));
    let there = grep(program, &args);
    // Where one word begins another, grep tells the longer one.
    let stands = |word: &&&str| there.iter().any(|found| found.contains(**word));
    words.iter().filter(stands).copied().collect()
}

/// Names that begin with `TWOTAP_` in a program.
fn variables(program: &Path) -> BTreeSet<String> {
    grep(program, &["-E", "-e", "TWOTAP_[A-Z_]+"])
}

/// All different matches in a program. grep, because a test's own loop over tens of megabytes takes many seconds unoptimised.
fn grep(program: &Path, args: &[&str]) -> BTreeSet<String> {
    let magic = std::fs::read(program).map(|bytes| bytes.starts_with(b"\x7fELF"));
    assert!(magic.expect("a program"), "{}", program.display());
    let output = Command::new("grep")
        .args(["--text", "--only-matching", "--no-filename"])
        .args(args)
        .arg("--")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .expect("grep");
    // 1 is 'no match'; anything above is a failure.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

/// What cargo answers about this workspace, from what is on this machine.
fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .args(["--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {args:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The crates that a build of `package` has in it.
fn built_in(package: &str) -> BTreeSet<String> {
    let edges = [
        "tree",
        "-p",
        package,
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ];
    let tree = cargo(&edges);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn no_feature_can_switch_a_failpoint_or_a_clock_on() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"]))
            .expect("json");
    let packages = metadata["packages"].as_array().expect("a list");
    for name in ["twotap", "twotap-shares"] {
        let package = packages
            .iter()
            .find(|p| p["name"] == name)
            .expect("a member");
        // One, which nothing switches on but whoever names it.
        let features = match name {
            "twotap" => serde_json::json!({"failpoints": []}),
            _ => serde_json::json!({}),
        };
        assert_eq!(package["features"], features, "{name}");
        // A script could set what no feature names.
        let targets = package["targets"].as_array().expect("a list");
        let built = targets
            .iter()
            .flat_map(|t| t["kind"].as_array().into_iter().flatten());
        assert!(
            built.into_iter().all(|kind| kind != "custom-build"),
            "{name}"
        );
    }
    // Nor does shipped code ask for anything but the machine that it is built for, and tests.
    let mut asked = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in [root.join("src"), root.join("shares/src")] {
        conditions(&folder, &mut asked);
    }
    let known = [
        // An event whose fields the catalogue does not name is refused where tests are run, and written where an emergency is.
        "debug_assertions",
        "feature = \"failpoints\"",
        "not(feature = \"failpoints\")",
        "not(target_arch = \"x86_64\")",
        "target_arch = \"x86_64\"",
        "test",
    ];
    assert_eq!(asked.iter().map(String::as_str).collect::<Vec<_>>(), known);
}

/// The files where the feature makes a difference, so that nobody has to look for it elsewhere.
#[test]
fn the_feature_is_asked_for_in_five_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let listed = Command::new("grep")
        .args(["-rlF", "\"failpoints\""])
        .arg(".")
        .current_dir(&root)
        .output()
        .expect("grep");
    let mut files: Vec<_> = std::str::from_utf8(&listed.stdout)
        .expect("text")
        .lines()
        .collect();
    files.sort_unstable();
    let known = [
        "./agent/config.rs",
        "./aws/http.rs",
        "./aws/mod.rs",
        "./fail.rs",
        "./worker/config.rs",
    ];
    assert_eq!(files, known);
}

#[test]
fn the_rigs_table_is_unknown_to_what_ships() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = format!("\n[rig]\nfolder = {:?}\n", folder.path());
    let files = [
        ("twotap-worker", "[aws]\nsts_regions = [\"eu-central-1\"]\n"),
        ("twotapd", "host_name = \"host-1\"\nvaults = [\"prod\"]\n"),
    ];
    for (program, text) in files {
        let config = folder.path().join("config.toml");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
            .expect("open");
        std::fs::write(&config, format!("{text}{rig}")).expect("written");
        let program = shipped().into_iter().find(|p| p.ends_with(program));
        // The agent does not run as root.
        let nobody = twotap_rig::people::as_uid(twotap_rig::people::AGENT, program.expect("one"));
        let ended = nobody
            .expect("root")
            .arg("--config")
            .arg(&config)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("unknown field `rig`"), "{said}");
    }
}

/// What `cfg` asks for in the files of a folder.
fn conditions(folder: &Path, asked: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            conditions(&path, asked);
            continue;
        }
        if path.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text file");
        for opening in ["cfg(", "cfg!(", "cfg_attr("] {
            for (at, _) in text.match_indices(opening) {
                let rest = &text[at + opening.len()..];
                let mut depth = 1;
                let end = rest.find(|c| {
                    depth += match c {
                        '(' => 1,
                        ')' => -1,
                        _ => 0,
                    };
                    depth == 0
                });
                asked.insert(rest[..end.expect("closed")].to_owned());
            }
        }
    }
}

#[test]
fn no_crate_of_the_tests_is_built_in() {
    let crates = built_in("twotap");
    assert!(
        crates.contains("twotap-shares") && crates.len() > 100,
        "the tree was read"
    );
    let of_tests: Vec<_> = CRATES.iter().filter(|c| crates.contains(**c)).collect();
    assert_eq!(of_tests, [&""; 0]);
    // The same look finds them where they are.
    let rig = built_in("twotap-rig");
    assert!(rig.contains("twotap-token") && rig.contains("tempfile"));
}

#[test]
fn programs_hold_nothing_of_the_tests() {
    let words = [&OF_TESTS[..], &SEAMS].concat();
    for program in shipped() {
        assert_eq!(found(&program, &words), [""; 0], "{}", program.display());
    }
    // The same look finds them in this very program, and the rig's in the rig's.
    let this = std::env::current_exe().expect("a path");
    assert_eq!(found(&this, &words), words);
    let token = twotap_token::TokenOptions::beside_tests().expect("twotap-token");
    let there = found(&token, &words);
    for word in ["twotap_token", "vpcd", "Test PIV", "Test Attestation"] {
        assert!(there.contains(&word), "{word}");
    }
}

#[test]
fn programs_ask_the_environment_for_no_more_than_they_say() {
    let mut asked = BTreeSet::new();
    for program in shipped() {
        for found in variables(&program) {
            asked.insert(ours(&found).unwrap_or_else(|| panic!("{found} is asked for")));
        }
    }
    assert_eq!(asked, VARIABLES.into());
    // The agent and the worker have their configuration, and ask for none of ours.
    for program in &shipped()[1..] {
        assert_eq!(variables(program), BTreeSet::new(), "{}", program.display());
    }
    let this = std::env::current_exe().expect("a path");
    assert!(variables(&this).contains("TWOTAP_SHIPPED"));
}
