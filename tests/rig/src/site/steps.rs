//! The steps of a ceremony as people take them.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use twotap_token::pki::{Authority, Pki};

use super::{Done, Invocation, Site, VAULT, access_toml, people_toml};
use crate::{Credentials, RigError};

/// How long a stage of a request may take to be reached.
const BOUND: Duration = Duration::from_secs(120);

/// A request that waits for approvals.
#[derive(Clone, Debug)]
pub struct Requested {
    /// Its id.
    pub id: String,
    /// The six words that the operator reads out.
    pub words: String,
}

impl Site {
    /// A custodian prepares the token: new PIN and PUK, two keys, an enrollment.
    pub fn enroll(&self, name: &str) -> Result<Value, RigError> {
        self.enroll_into(name, &format!("{name}.enrollment.json"))
    }

    /// The same, with another name for what goes between people.
    pub fn enroll_into(&self, name: &str, file: &str) -> Result<Value, RigError> {
        self.tap(name, 3)?;
        let file = self.shared(file).display().to_string();
        self.twotap(
            name,
            &[
                "--json",
                "custodian",
                "enroll",
                "--name",
                name,
                "--pin-fd",
                "0",
                "--puk-fd",
                "0",
                "-o",
                &file,
            ],
        )?
        .input(format!("{}\n{}\n", self.options.pin, self.options.puk))
        .json()
    }

    /// The officer draws up the vault's roster from the enrollments.
    pub fn create_vault(&self) -> Result<Value, RigError> {
        let host = self
            .run(
                "agent",
                self.program("twotapd"),
                &["--config", "agent.toml", "keys"],
            )?
            .ok()?
            .stdout;
        for (name, text) in [
            ("host.pub", host.as_str()),
            ("people.toml", &people_toml(&self.options)),
            (
                "access.toml",
                &access_toml(&self.world, &self.options, &self.secrets),
            ),
            ("policy.toml", self.options.policy.as_str()),
        ] {
            let path = self.shared(name);
            fs::write(&path, text)
                .map_err(|why| RigError::new(format!("{}: {why}", path.display())))?;
        }
        let path = |name: &str| self.shared(name).display().to_string();
        // The virtual tokens are no YubiKeys: the roster has to name who vouches for them.
        let root = self.attestation_root("rig-root.pem")?;
        let mut args: Vec<String> = ["--json", "vault", "create", VAULT, "--threshold", "2"]
            .map(str::to_owned)
            .into();
        let mut named = vec![
            ("--custodian", path("alice.enrollment.json")),
            ("--custodian", path("bob.enrollment.json")),
            ("--access", path("access.toml")),
            ("--people", path("people.toml")),
            ("--host", path("host.pub")),
            ("--attestation-root", root),
            ("-o", path("roster.json")),
        ];
        if !self.options.policy.is_empty() {
            named.push(("--policy", path("policy.toml")));
        }
        for (flag, value) in named {
            args.extend([flag.to_owned(), value]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.twotap("sofia", &args)?.json()
    }

    /// Who vouches for the virtual tokens, as `--attestation-root` takes it; the certificate is copied to where everybody can read it.
    pub fn attestation_root(&self, file: &str) -> Result<String, RigError> {
        let failed = |why| RigError::new(format!("the virtual tokens' authority: {why}"));
        let pki = Pki::open(&self.stage.path().join("pki")).map_err(failed)?;
        let to = self.shared(file);
        fs::copy(pki.certificate_path(Authority::PivIntermediate), &to).map_err(failed)?;
        Ok(format!("rig={}", to.display()))
    }

    /// A custodian signs the roster. The file passes from hand to hand, so each signs an own copy.
    pub fn sign_roster(&self, name: &str) -> Result<Value, RigError> {
        self.sign(name, "roster.json")
    }

    /// The same with another file.
    pub fn sign(&self, name: &str, file: &str) -> Result<Value, RigError> {
        let copy = self.hand_over(name, file)?;
        let shown = self
            .twotap(name, &["--json", "roster", "show", &copy])?
            .json()?;
        let words = words_of(&shown)?;
        self.tap(name, 1)?;
        let signed = self
            .twotap(
                name,
                &[
                    "--json",
                    "roster",
                    "sign",
                    &copy,
                    "--pin-fd",
                    "0",
                    "--confirm",
                    &words,
                ],
            )?
            .input(self.options.pin.as_str())
            .json()?;
        self.hand_back(&copy, file)?;
        Ok(signed)
    }

    /// Root pins the host to the signed roster.
    pub fn install_roster(&self) -> Result<String, RigError> {
        let output = std::process::Command::new(self.program("twotap-worker"))
            .arg("--config")
            .arg(self.stage.home("worker").join("worker.toml"))
            .arg("install")
            .arg(self.shared("roster.json"))
            .stdin(Stdio::null())
            .output()
            .map_err(|why| RigError::new(format!("twotap-worker install: {why}")))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(RigError::new(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ))
        }
    }

    /// The officer seals the break-glass user's first key.
    pub fn seal(&self) -> Result<Value, RigError> {
        self.twotap("sofia", &["--json", "vault", "seal", VAULT, "--from", "-"])?
            .input(self.world.first_key_json())
            .json()
    }

    /// The operator asks.
    pub fn request(&self, incident: &str, reason: &str) -> Result<Requested, RigError> {
        let asked = self
            .twotap(
                "dana",
                &[
                    "--json",
                    "request",
                    VAULT,
                    "--access",
                    "admin",
                    "--incident",
                    incident,
                    "--reason",
                    reason,
                ],
            )?
            .json()?;
        Requested::of(&asked)
    }

    /// A custodian approves: reads the screen, compares the words, enters the PIN, taps once.
    pub fn approve(&self, name: &str, request: &Requested) -> Result<Value, RigError> {
        self.tap(name, 1)?;
        self.approving(name, request)?.json()
    }

    /// The same, without a finger: the caller sees to the touch.
    pub fn approving(&self, name: &str, request: &Requested) -> Result<Invocation, RigError> {
        Ok(self
            .twotap(
                name,
                &[
                    "--json",
                    "approve",
                    &request.id,
                    "--pin-fd",
                    "0",
                    "--confirm",
                    &request.words,
                ],
            )?
            .input(self.options.pin.as_str()))
    }

    /// Asks for the operator's credentials once.
    pub fn credentials(&self, name: &str, request: &Requested) -> Result<Done, RigError> {
        self.twotap(name, &["credentials", &request.id])?.go()
    }

    /// Asks again and again until the operator has the credentials.
    pub fn wait_for_credentials(&self, request: &Requested) -> Result<Credentials, RigError> {
        let begun = Instant::now();
        loop {
            let done = self.credentials("dana", request)?;
            if done.status == Some(0) {
                return session(&done.stdout);
            }
            if begun.elapsed() > BOUND {
                return Err(RigError::new(format!(
                    "no credentials:\n{}\n{}\n{}",
                    done.stderr,
                    self.agent_log(),
                    self.door.log()
                )));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The operator closes the session and waits for the end.
    pub fn close(&self, request: &Requested) -> Result<Value, RigError> {
        self.twotap("dana", &["--json", "close", &request.id])?
            .json()
    }

    /// What the agent says of a request.
    pub fn view(&self, request: &Requested) -> Result<Value, RigError> {
        let status = self.twotap("dana", &["--json", "status"])?.json()?;
        let found = status["requests"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|r| r["id"] == request.id.as_str());
        found
            .cloned()
            .ok_or_else(|| RigError::new(format!("status does not show {}: {status}", request.id)))
    }

    /// Waits until a step of the request's progress is there.
    pub fn wait_for_step(&self, request: &Requested, step: &str) -> Result<(), RigError> {
        let begun = Instant::now();
        loop {
            let view = self.view(request)?;
            let there = view["progress"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|p| p["step"] == step);
            if there {
                return Ok(());
            }
            if begun.elapsed() > BOUND {
                return Err(RigError::new(format!(
                    "step {step} does not come: {}\n{}",
                    view["progress"],
                    self.door.log()
                )));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Lets a custodian's finger touch the token so many times, when asked.
    pub fn tap(&self, name: &str, times: u32) -> Result<(), RigError> {
        self.finger(name)?
            .tap_when_asked(times)
            .map_err(|why| RigError::new(format!("{name}'s finger: {why}")))
    }

    fn hand_over(&self, name: &str, file: &str) -> Result<String, RigError> {
        let from = self.shared(file);
        let bytes =
            fs::read(&from).map_err(|why| RigError::new(format!("{}: {why}", from.display())))?;
        Ok(self
            .stage
            .write(name, file, &bytes, 0o600)?
            .display()
            .to_string())
    }

    fn hand_back(&self, copy: &str, file: &str) -> Result<(), RigError> {
        fs::copy(copy, self.shared(file))
            .map(drop)
            .map_err(|why| RigError::new(format!("{copy}: {why}")))
    }
}

impl Requested {
    /// From what `twotap request --json` prints.
    pub fn of(printed: &Value) -> Result<Self, RigError> {
        let wrong = || RigError::new(format!("not a request: {printed}"));
        Ok(Self {
            id: printed["request"].as_str().ok_or_else(wrong)?.to_owned(),
            words: words_of(printed)?,
        })
    }
}

/// The six words that a verb printed.
pub fn words_of(printed: &Value) -> Result<String, RigError> {
    let words: Vec<&str> = printed["words"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if words.len() == 6 {
        Ok(words.join(" "))
    } else {
        Err(RigError::new(format!("no six words in {printed}")))
    }
}

/// A session from what `twotap credentials` prints.
pub fn session(printed: &str) -> Result<Credentials, RigError> {
    let wrong = || RigError::new("twotap credentials printed no credentials");
    let json: Value = serde_json::from_str(printed).map_err(|_| wrong())?;
    let field = |name: &str| json[name].as_str().map(str::to_owned);
    Ok(Credentials {
        access_key_id: field("AccessKeyId").ok_or_else(wrong)?,
        secret_access_key: field("SecretAccessKey").ok_or_else(wrong)?,
        session_token: field("SessionToken"),
    })
}
