//! The bench that the cases stand on: a private pcscd, virtual tokens, and a rival program.
//!
//! libpcsclite reads the daemon's socket from the environment of its process, so each case runs in a process of its own:
//! the test calls itself again, with the environment set.

use p256::PublicKey;
use std::collections::VecDeque;
use std::env;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};
use twotap::token::{
    Bounds, Pin, PinPolicy, Prompt, Purpose, Slot, Token, TokenError, TouchPolicy,
};
use twotap_token::{Control, Pcscd, TokenOptions, TokenProcess};

const FOLDER: &str = "TWOTAP_TEST_FOLDER";
const VICTIM: &str = "TWOTAP_TEST_VICTIM";

/// The factory's PIN.
pub(crate) const PIN: &[u8] = b"123456";

/// Waiting times for cases that do not test the waiting: long, so that a busy machine fails none.
pub(crate) const PATIENT: Bounds = Bounds {
    probe: Duration::from_secs(20),
    lock: Duration::from_secs(20),
    answer: Duration::from_secs(60),
    again: Duration::from_secs(20),
};

/// Runs `body` in a process of its own, with an empty folder and nothing in its reader yet.
pub(crate) fn isolated(name: &str, body: impl FnOnce(&Bench)) {
    if let Some(folder) = env::var_os(FOLDER) {
        return body(&Bench::start(PathBuf::from(folder)));
    }
    let folder = tempfile::tempdir().expect("a folder");
    // A case that hangs fails and holds nothing up; what it started ends with it.
    let mut bounded = Command::new("timeout");
    bounded
        .args(["--foreground", "--signal", "KILL", "180"])
        .arg(this_program());
    let output = case(bounded, name, folder.path())
        .output()
        .expect("this test once more");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("1 passed"),
        "the case '{name}' has run: {said}"
    );
}

fn this_program() -> PathBuf {
    env::current_exe().expect("this program")
}

/// Has `command`, which runs this program, run case `name` alone.
fn case(mut command: Command, name: &str, folder: &Path) -> Command {
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env("PCSCLITE_CSOCK_NAME", folder.join("pcsc/run/pcscd.comm"));
    command
}

/// Whether this process is one that was started by [`Bench::victim`].
pub(crate) fn is_victim() -> bool {
    env::var_os(VICTIM).is_some()
}

/// A pcscd and a folder.
pub(crate) struct Bench {
    folder: PathBuf,
    /// None in a victim, which uses its starter's.
    pcscd: Option<Pcscd>,
}

impl Bench {
    fn start(folder: PathBuf) -> Self {
        let pcscd =
            (!is_victim()).then(|| Pcscd::start(&folder.join("pcsc"), 2).expect("a private pcscd"));
        Self { folder, pcscd }
    }

    /// Plugs in a token with a profile as in `twotap-token --profile`, or the text of one.
    pub(crate) fn insert(&self, serial: u32, profile: &str) -> Plugged {
        self.insert_with(serial, profile, |_| {})
    }

    /// As [`Self::insert`], with other options.
    pub(crate) fn insert_with(
        &self,
        serial: u32,
        profile: &str,
        change: impl FnOnce(&mut TokenOptions),
    ) -> Plugged {
        let program = TokenOptions::beside_tests().expect("twotap-token");
        let mut options = TokenOptions::new(program, &self.folder, serial);
        options.profile = match profile.contains('=') {
            false => profile.to_owned(),
            true => {
                let file = self.folder.join(format!("{serial}.toml"));
                fs::write(&file, profile).expect("a profile");
                file.to_str().expect("a plain path").to_owned()
            }
        };
        change(&mut options);
        let pcscd = self.pcscd.as_ref().expect("not in a victim");
        Plugged {
            process: pcscd.insert(&options).expect("a virtual token"),
            serial,
        }
    }

    /// Its own folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// File with the keys of a token.
    pub(crate) fn state(&self, serial: u32) -> PathBuf {
        self.folder.join(format!("{serial}.json"))
    }

    /// Starts case `name` once more beside this one; there [`is_victim`] is true.
    pub(crate) fn victim(&self, name: &str) -> Victim {
        let child = case(Command::new(this_program()), name, &self.folder)
            .env(VICTIM, "1")
            .stdout(Stdio::null())
            .spawn()
            .expect("this test once more");
        Victim(child)
    }
}

/// A process that will be killed.
pub(crate) struct Victim(Child);

impl Victim {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A token in its reader.
pub(crate) struct Plugged {
    process: TokenProcess,
    pub(crate) serial: u32,
}

impl Plugged {
    pub(crate) fn control(&self) -> Control {
        self.process.control().expect("its control socket")
    }

    /// Plugs it in again after a removal, and waits until pcscd shows it.
    pub(crate) fn insert_again(&self) {
        self.control().insert().unwrap();
        let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
        let mut states: Vec<_> = context
            .list_readers_owned()
            .unwrap()
            .into_iter()
            .map(|reader| pcsc::ReaderState::new(reader, pcsc::State::UNAWARE))
            .collect();
        loop {
            context
                .get_status_change(Duration::from_secs(20), &mut states)
                .expect("a reader that notices");
            let usable = |state: &pcsc::ReaderState| {
                state.event_state().contains(pcsc::State::PRESENT)
                    && !state.event_state().contains(pcsc::State::MUTE)
            };
            if states.iter().any(usable) {
                return;
            }
            states
                .iter_mut()
                .for_each(pcsc::ReaderState::sync_current_state);
        }
    }

    /// Opens it with these waiting times.
    pub(crate) fn open(&self, bounds: Bounds) -> Token {
        Token::open_within(Some(self.serial), bounds).expect("the token opens")
    }

    /// Both keys with certificates, with somebody tapping whenever asked; nobody does after that.
    pub(crate) fn enrol(&self, unseal_touch: TouchPolicy) -> Keys {
        let mut control = self.control();
        control.tap_always().unwrap();
        let mut token = self.open(PATIENT);
        let mut manage = token.manage(&pin(), None).expect("the management key");
        let mut make = |slot, purpose, touch| {
            let policies = (PinPolicy::Always, touch);
            let key = manage.generate(slot, policies.0, policies.1).unwrap();
            manage
                .certify(
                    &pin(),
                    slot,
                    purpose,
                    "alice",
                    &key,
                    policies,
                    SystemTime::now(),
                    &mut |_| {},
                )
                .unwrap();
            key
        };
        let keys = Keys {
            approve: make(Slot::APPROVE, Purpose::Approve, TouchPolicy::Always),
            unseal: make(Slot::UNSEAL, Purpose::Unseal, unseal_touch),
        };
        manage.finish().unwrap();
        control.never().unwrap();
        // The touches of the enrolment are long gone when an approval comes.
        control.advance(Duration::from_secs(60)).unwrap();
        control.mark().unwrap();
        keys
    }
}

pub(crate) struct Keys {
    pub(crate) approve: PublicKey,
    pub(crate) unseal: PublicKey,
}

pub(crate) fn pin() -> Pin {
    Pin::parse(PIN).ok().unwrap()
}

/// Somebody's ephemeral key, and its point.
pub(crate) fn peer() -> (p256::SecretKey, [u8; 65]) {
    use p256::elliptic_curve::sec1::ToEncodedPoint;
    let secret = p256::SecretKey::random(&mut rand_core::OsRng);
    let point = secret
        .public_key()
        .to_encoded_point(false)
        .as_bytes()
        .try_into()
        .unwrap();
    (secret, point)
}

/// Checks that a signature is over `digest`, by `key`, with low S.
pub(crate) fn assert_signed(key: &PublicKey, digest: &[u8; 32], der: &[u8]) {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    let signature = p256::ecdsa::Signature::from_der(der).unwrap();
    assert!(signature.normalize_s().is_none(), "low s");
    p256::ecdsa::VerifyingKey::from(key)
        .verify_prehash(digest, &signature)
        .unwrap();
}

/// A person who taps at each prompt, and keeps them.
pub(crate) fn tapping<'a>(
    control: &'a mut Control,
    prompts: &'a mut Vec<Prompt>,
) -> impl FnMut(Prompt) + 'a {
    move |prompt| {
        prompts.push(prompt);
        match prompt {
            // The command is sent only after the prompt: tap when it asks.
            Prompt::Touch(_) => control.tap_when_asked(1).unwrap(),
            Prompt::TouchAgain(_) => assert!(control.tap().unwrap(), "it waits for the tap"),
        }
    }
}

pub(crate) fn error<T>(result: Result<T, TokenError>) -> TokenError {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => error,
    }
}

/// Another program, which talks PC/SC on its own.
pub(crate) struct Rival {
    card: pcsc::Card,
}

impl Rival {
    /// Connects to the first reader that has a card in it; blocks while somebody holds it.
    pub(crate) fn connect(mode: pcsc::ShareMode) -> Self {
        let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
        let readers: VecDeque<CString> = context.list_readers_owned().unwrap().into();
        let card = readers
            .iter()
            .find_map(|reader| context.connect(reader, mode, pcsc::Protocols::ANY).ok())
            .expect("a card in a reader");
        Self { card }
    }

    /// Selects PIV, then lets `work` send commands, in one transaction.
    pub(crate) fn transacted(&mut self, work: impl FnOnce(&mut dyn FnMut(&[u8]) -> Vec<u8>)) {
        let transaction = self.card.transaction().unwrap();
        let mut send = |apdu: &[u8]| {
            let mut buffer = [0; 264];
            transaction.transmit(apdu, &mut buffer).unwrap().to_vec()
        };
        send(&[0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8, 0]);
        work(&mut send);
    }

    /// Selects PIV and sends `apdu`; the status word.
    pub(crate) fn status(&mut self, apdu: &[u8]) -> u16 {
        let mut status = 0;
        self.transacted(|send| {
            let reply = send(apdu);
            let (_, word) = reply.split_last_chunk::<2>().unwrap();
            status = u16::from_be_bytes(*word);
        });
        status
    }

    /// Leaves the card as it is.
    pub(crate) fn leave(self) {
        let _ = self.card.disconnect(pcsc::Disposition::LeaveCard);
    }
}

/// VERIFY without data: 9000 while the PIN counts as verified, else the tries.
pub(crate) const IS_VERIFIED: &[u8] = &[0, 0x20, 0, 0x80];
/// VERIFY with the factory's PIN.
pub(crate) const VERIFY: &[u8] = &[
    0, 0x20, 0, 0x80, 8, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0xff, 0xff,
];
