//! Installs what tests and demo need, once: Debian packages, a Python environment, Node packages, `age-plugin-yubikey`. Everything
//! that is not a Debian package goes under `target/tools`. A second run finds all of it and does nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use twotap_rig::people;

use crate::{
    console::{Console, Failure, run_logged},
    quiet::Quiet,
};

/// Programs, the Debian packages that they come with, and what each is for. Whoever has them from elsewhere keeps those: Debian's own would take
/// their place.
const PROGRAMS: [(&str, &str, &str); 2] = [
    ("node", "nodejs", "runs the AWS SDK for JavaScript"),
    ("npm", "npm", "installs it"),
];

/// Debian packages and what each is for.
const PACKAGES: [(&str, &str); 23] = [
    ("pkg-config", "finds libpcsclite when crates are built"),
    ("libpcsclite-dev", "PC/SC, for the crate `pcsc`"),
    ("pcscd", "the PC/SC daemon"),
    ("vsmartcard-vpcd", "its driver for virtual readers"),
    ("age", "opens what twotap seals"),
    ("yubico-piv-tool", "looks at the virtual token"),
    (
        "python3",
        "runs the emulator and the reference implementations",
    ),
    ("python3-venv", "keeps their packages apart"),
    (
        "python3-pyscard",
        "PC/SC for ykman; on PyPI it is source alone, with a compiler's tools to build first",
    ),
    (
        "util-linux",
        "setpriv and unshare: people as uids, rigs apart",
    ),
    (
        "postgresql",
        "a real server whose roles' passwords are rotated, and its client",
    ),
    ("mount", "the rigs' private views of /run"),
    ("iproute2", "the rigs' own loopback"),
    ("procps", "what runs"),
    ("openssh-server", "a host that custodians reach from afar"),
    ("openssh-client", "how they reach it"),
    (
        "poppler-utils",
        "draws recovery sheets as pictures, and reads their text",
    ),
    ("zbar-tools", "reads the sheets' QR codes"),
    ("rsyslog", "a real receiver of the record"),
    ("rsyslog-gnutls", "its TLS by one library"),
    ("rsyslog-openssl", "its TLS by the other"),
    ("openssl", "certificates for it"),
    (
        "tmux",
        "terminals of a given size, for screens that are kept",
    ),
];

/// The plugin with which stock age opens a share; the last release.
const AGE_PLUGIN: (&str, &str) = ("age-plugin-yubikey", "0.5.1");

const REQUIREMENTS: &str = include_str!("../../tests/requirements.txt");

/// What is installed from npm, and the lock that pins it to the last byte.
const NODE: [(&str, &str); 2] = [
    ("package.json", include_str!("../../tests/npm/package.json")),
    (
        "package-lock.json",
        include_str!("../../tests/npm/package-lock.json"),
    ),
];

/// Where the tools are.
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// What tests find the tools by.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            (twotap_rig::tools::TOOLS, self.folder.clone()),
            (
                twotap_rig::tools::PYTHON,
                self.folder.join("venv/bin/python"),
            ),
        ]
    }

    /// The same as one JSON object.
    pub(crate) fn json(&self) -> String {
        let fields = self
            .environment()
            .map(|(name, path)| format!("{name:?}:{:?}", path.display().to_string()));
        format!("{{{}}}", fields.join(","))
    }
}

/// Installs whatever is missing.
pub(crate) fn run(console: Console) -> Result<Tools, Failure> {
    let folder = workspace().join("target/tools");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("{} cannot be made: {error}", folder.display())))?;
    let log = folder.join("setup.log");
    debian_packages(console, &log)?;
    // One waits for the network, the other for the compiler.
    let (python, node, plugin) = std::thread::scope(|scope| {
        let python =
            scope.spawn(|| python_environment(console, &folder, &folder.join("python.log")));
        let node = scope.spawn(|| node_packages(console, &folder, &folder.join("node.log")));
        let plugin = age_plugin(console, &folder, &log);
        (python.join(), node.join(), plugin)
    });
    python.map_err(|_| Failure::new("setting up Python panicked"))??;
    node.map_err(|_| Failure::new("setting up Node panicked"))??;
    plugin?;
    Ok(Tools { folder })
}

/// The checkout's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// The cargo that runs this, or the one in `PATH`, without the variables that describe xtask itself.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let described = name.to_string_lossy();
        if described.starts_with("CARGO_PKG_") || described.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo.current_dir(workspace());
    cargo
}

fn debian_packages(console: Console, log: &Path) -> Result<(), Failure> {
    let missing = missing_packages()?;
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!(
        "apt-get install --yes --no-install-recommends {}",
        missing.join(" ")
    );
    if !people::is_root() {
        return Err(Failure::new(format!(
            "Debian packages are missing: {}",
            missing.join(" ")
        ))
        .with_hint(format!("sudo {line}")));
    }
    console.step(&format!(
        "installing Debian packages: {}",
        missing.join(" ")
    ));
    let apt = || {
        let mut apt = Command::new("apt-get");
        // Another apt may be at work; wait for it.
        apt.env("DEBIAN_FRONTEND", "noninteractive").args([
            "-o",
            "DPkg::Lock::Timeout=300",
            "--quiet",
            "--yes",
        ]);
        apt
    };
    // Lists that cannot be fetched matter only if the old ones do not do; the installation shows that.
    let _ = run_logged(apt().arg("update"), "apt-get update", log);
    let _quiet = Quiet::begin();
    run_logged(
        apt()
            .args(["install", "--no-install-recommends"])
            .args(&missing),
        &line,
        log,
    )?;
    match missing_packages()?.as_slice() {
        [] => Ok(()),
        missing => Err(Failure::new(format!(
            "still missing after {line}: {}",
            missing.join(" ")
        ))),
    }
}

/// Whether a program can be run.
fn runs(program: &str) -> bool {
    let asked = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

fn missing_packages() -> Result<Vec<&'static str>, Failure> {
    let known = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(PACKAGES.map(|(name, _)| name))
        .stderr(Stdio::null())
        .output()
        .map_err(|error| {
            Failure::new(format!("dpkg-query cannot be run: {error}")).with_hint(
                "tests and demo run on Debian 12; on other systems use a container of it",
            )
        })?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let installed = |name: &str| {
        known
            .lines()
            .any(|line| line == format!("{name} installed"))
    };
    let packages = PACKAGES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !installed(name));
    let programs = PROGRAMS
        .iter()
        .filter(|(program, ..)| !runs(program))
        .map(|(_, package, _)| *package);
    Ok(packages.chain(programs).collect())
}

/// The Node packages, into `npm/node_modules`. The lock names no place to fetch them from: npm asks the one that this machine is set up for, and
/// compares what it gets with the lock's digests. Scripts of packages are not run.
fn node_packages(console: Console, folder: &Path, log: &Path) -> Result<(), Failure> {
    let npm = folder.join("npm");
    let stamp = npm.join("twotap-lock.json");
    let (_, lock) = NODE[1];
    if std::fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == lock) {
        return Ok(());
    }
    console.step("installing Node packages into target/tools/npm");
    let written = std::fs::create_dir_all(&npm).and_then(|()| {
        NODE.iter()
            .try_for_each(|(name, text)| std::fs::write(npm.join(name), text))
    });
    let failed = |error| Failure::new(format!("{} cannot be written: {error}", npm.display()));
    written.map_err(failed)?;
    run_logged(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&npm),
        "installing Node packages",
        log,
    )?;
    std::fs::write(&stamp, lock).map_err(failed)
}

fn python_environment(console: Console, folder: &Path, log: &Path) -> Result<(), Failure> {
    let venv = folder.join("venv");
    let stamp = venv.join("twotap-requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == REQUIREMENTS) {
        return Ok(());
    }
    console.step("installing Python packages into target/tools/venv");
    let requirements = workspace().join("tests/requirements.txt");
    // Debian's own interpreter: one from somebody's home could not be run by other people.
    let debian = Path::new("/usr/bin/python3");
    let python = if debian.exists() {
        debian
    } else {
        Path::new("python3")
    };
    run_logged(
        Command::new(python)
            // Debian's pyscard is to be seen; what is pinned in the environment goes before Debian's own.
            .args(["-m", "venv", "--clear", "--system-site-packages"])
            .arg(&venv),
        "making the Python environment",
        log,
    )?;
    run_logged(
        Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
                "--quiet",
                "--requirement",
            ])
            .arg(requirements),
        "installing Python packages",
        log,
    )?;
    std::fs::write(&stamp, REQUIREMENTS)
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", stamp.display())))
}

fn age_plugin(console: Console, folder: &Path, log: &Path) -> Result<(), Failure> {
    let (name, version) = AGE_PLUGIN;
    let installed = Command::new(folder.join("bin").join(name))
        .arg("--version")
        .output();
    if installed.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .ends_with(version)
    }) {
        return Ok(());
    }
    console.step(&format!("building {name} {version} into target/tools"));
    run_logged(
        cargo()
            .args([
                "install",
                "--locked",
                "--quiet",
                "--force",
                "--version",
                version,
                "--root",
            ])
            .arg(folder)
            .arg(name)
            // It runs a few times: optimising it whole takes minutes, and saves none of them.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
        &format!("building {name}"),
        log,
    )
}
