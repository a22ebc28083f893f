//! Sheets from the shipped program, bundles sealed to them in software, and `recovery open` where there is nothing else.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rand_core::OsRng;
use tempfile::TempDir;
use twotap::{
    trust::{
        Envelope, Head, Signer as _, Timestamp, Verified,
        recovery::RecoverySet,
        roster::{Access, AwsBinding, Host, Recovery, Role, Roster, verify_chain},
        strict::Json,
    },
    vault::{AccessKey, Bundle, SealInput, seal},
};
use twotap_rig::Terminal;

use crate::support::{HostKey, SoftCustodian, account, first, person};

pub(crate) use twotap_rig::papers::PRINTED as KEY;

/// The secret half.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A folder in memory.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("twotap-open-")
        .tempdir_in("/dev/shm")
        .expect("a folder in memory")
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> String {
    path.display().to_string()
}

/// A vault in software: alice and bob, of whom both must, and a host.
pub(crate) struct Vault {
    pub(crate) host: HostKey,
    pub(crate) custodians: Vec<SoftCustodian>,
    pub(crate) chain: Vec<Envelope>,
    pub(crate) roster: Verified<Roster>,
}

impl Vault {
    pub(crate) fn new(name: &str, recovery: Option<Recovery>) -> Self {
        let custodians = vec![SoftCustodian::new("alice", 1), SoftCustodian::new("bob", 2)];
        Self::of(name, recovery, custodians)
    }

    pub(crate) fn of(
        name: &str,
        recovery: Option<Recovery>,
        custodians: Vec<SoftCustodian>,
    ) -> Self {
        let host = HostKey::new();
        let person =
            |name: &str, uid| person(name, Role::Custodian, account(host.public().id(), uid));
        let at = Host {
            name: "host-1".to_owned(),
            key: host.public(),
            checkpoint_key: HostKey::new().public(),
        };
        let aws = AwsBinding {
            user_arn: "arn:aws:iam::123456789012:user/twotap/break-glass".to_owned(),
            steward_role_arn: "arn:aws:iam::123456789012:role/twotap/steward".to_owned(),
            external_id: "prod".to_owned(),
        };
        let access = Access {
            name: "admin".to_owned(),
            account: "123456789012".to_owned(),
            role_arn: "arn:aws:iam::123456789012:role/twotap/op-admin".to_owned(),
            policy: Json(serde_json::json!({})),
            regions: vec!["eu-central-1".to_owned()],
            probe: "ec2:DescribeRegions".to_owned(),
            default_seconds: 14_400,
            max_seconds: 39_600,
            also: Vec::new(),
            secrets: Vec::new(),
            broad: false,
            persistence: false,
            subject: None,
            recording: Default::default(),
        };
        let roster = Roster {
            vault: name.to_owned(),
            created_at: Timestamp::parse("2026-01-06T10:00:00Z").expect("a time"),
            people: vec![person("alice", 61011), person("bob", 61012)],
            recovery,
            ..first(&custodians, vec![at], aws, access)
        };
        let mut envelope = Envelope::new(&roster).expect("a good roster");
        for custodian in &custodians {
            envelope.sign(custodian);
        }
        let chain = vec![envelope];
        let roster = verify_chain(&chain).expect("signed by all").remove(0);
        Self {
            host,
            custodians,
            chain,
            roster,
        }
    }

    /// The bundle of one generation.
    pub(crate) fn bundle(&self, number: u64) -> Bundle {
        let credential = AccessKey::parse(KEY.as_bytes()).expect("an access key");
        let input = SealInput {
            vault: &self.roster.vault,
            generation: number,
            credential: &credential,
            roster: &self.roster,
            previous: (number > 1).then(|| twotap::trust::Digest::of(b"the manifest before")),
            audit: Head::EMPTY,
            created_at: Timestamp::parse("2026-01-06T11:00:00Z").expect("a time"),
            host_key_id: self.host.public().id(),
        };
        let generation = seal(&input, &self.host, &mut OsRng).expect("sealed");
        Bundle::new(&generation, self.chain.clone())
    }
}

/// A printed set.
pub(crate) struct Sheets {
    _folder: TempDir,
    pub(crate) set: RecoverySet,
    pub(crate) record: PathBuf,
    /// Words of each sheet, as its QR code says them, in lower case.
    pub(crate) words: Vec<String>,
    pub(crate) pictures: Vec<PathBuf>,
    pub(crate) pdfs: Vec<PathBuf>,
}

impl Sheets {
    /// `recovery create`, rendered as a printer would and read back as a phone would.
    pub(crate) fn create(args: &[&str], passphrase: Option<&str>) -> Self {
        let folder = folder();
        let record = folder.path().join("prod.recovery.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_twotap"));
        command
            .args(["recovery", "create", "prod", "--to"])
            .arg(folder.path())
            .arg("-o")
            .arg(&record)
            .args(args)
            .current_dir(folder.path())
            .env("HOME", folder.path());
        match passphrase {
            None => {
                let made = command.output().expect("it runs");
                assert!(
                    made.status.success(),
                    "{}",
                    String::from_utf8_lossy(&made.stderr)
                );
            }
            Some(passphrase) => {
                command.arg("--passphrase");
                let mut terminal = Terminal::owned(&command).expect("a terminal");
                terminal.secret("passphrase of the recovery set", passphrase);
                terminal.secret("the same once more", passphrase);
                terminal.done();
            }
        }
        let set = serde_json::from_slice(&fs::read(&record).expect("there")).expect("a set");
        let mut pdfs: Vec<PathBuf> = fs::read_dir(folder.path())
            .expect("there")
            .map(|e| e.expect("an entry").path())
            .filter(|p| p.extension().is_some_and(|e| e == "pdf"))
            .collect();
        pdfs.sort();
        let pictures: Vec<PathBuf> = pdfs.iter().map(|pdf| picture(pdf)).collect();
        let words = pictures.iter().map(|p| scanned(p)).collect();
        Self {
            _folder: folder,
            set,
            record,
            words,
            pictures,
            pdfs,
        }
    }

    /// Three sheets, two of which are enough.
    pub(crate) fn two_of_three() -> Self {
        Self::create(&["--shares", "3", "--threshold", "2"], None)
    }

    pub(crate) fn entry(&self) -> Option<Recovery> {
        Some(self.set.entry().expect("a good set"))
    }

    /// These sheets' words, one a line.
    pub(crate) fn lines(&self, sheets: &[usize]) -> String {
        sheets
            .iter()
            .map(|n| format!("{}\n", self.words[*n]))
            .collect()
    }
}

/// A page as a scanner gives it.
fn picture(pdf: &Path) -> PathBuf {
    let stem = pdf.with_extension("");
    let done = Command::new("pdftoppm")
        .args(["-r", "150", "-png", "-singlefile"])
        .arg(pdf)
        .arg(&stem)
        .status()
        .expect("pdftoppm: apt-get install poppler-utils");
    assert!(done.success());
    stem.with_extension("png")
}

/// What its QR code says.
fn scanned(png: &Path) -> String {
    let done = Command::new("zbarimg")
        .args(["--raw", "-q"])
        .arg(png)
        .output()
        .expect("zbarimg: apt-get install zbar-tools");
    assert!(done.status.success());
    let text = String::from_utf8(done.stdout).expect("text");
    text.trim().to_lowercase()
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A machine with no network, an empty home and no terminal.
pub(crate) struct Machine {
    pub(crate) folder: TempDir,
    home: PathBuf,
    /// `PCSCLITE_CSOCK_NAME`, if it has tokens.
    pub(crate) pcscd: Option<PathBuf>,
    /// Whether it has the network of whoever runs this.
    pub(crate) network: bool,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = folder();
        let home = folder.path().join("home");
        fs::create_dir(&home).expect("a folder");
        Self {
            folder,
            home,
            pcscd: None,
            network: false,
        }
    }

    /// A file of this machine.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file there.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.file(name);
        fs::write(&path, bytes).expect("written");
        arg(&path)
    }

    /// `twotap ARGS` as it would be typed.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(if self.network { "env" } else { "unshare" });
        if !self.network {
            command.arg("--net");
        }
        command
            .arg(env!("CARGO_BIN_EXE_twotap"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .current_dir(self.folder.path());
        if let Some(socket) = &self.pcscd {
            command.env("PCSCLITE_CSOCK_NAME", socket);
        }
        command
    }

    /// The same, with this on standard input, and without a terminal.
    pub(crate) fn run(&self, args: &[&str], input: &str) -> Ran {
        let plain = self.command(args);
        let mut alone = Command::new("setsid");
        alone
            .arg("--wait")
            .arg(plain.get_program())
            .args(plain.get_args())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = alone
            .spawn()
            .expect("setsid, unshare: apt-get install util-linux");
        let mut stdin = child.stdin.take().expect("its input");
        // One that refuses before it reads is no fault.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let done = child.wait_with_output().expect("it ends");
        Ran {
            status: done.status.code(),
            stdout: String::from_utf8(done.stdout).expect("text"),
            stderr: String::from_utf8(done.stderr).expect("text"),
        }
    }

    /// Nothing was left in its home: no state, no log, no memory of what was seen.
    pub(crate) fn home_is_empty(&self) -> bool {
        fs::read_dir(&self.home).expect("there").next().is_none()
    }

    /// Nothing but what the case put there.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .expect("there")
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| name != "home")
            .collect();
        names.sort();
        names
    }
}
