//! One token, running: the loop between reader and card, in a thread or in the foreground.

use crate::{
    attest,
    card::Card,
    control::Server,
    hex::Hex,
    management::Management,
    panel::Panel,
    piv::{self, Piv},
    pki::Pki,
    profile::Profile,
    state::{State, Store, StoredKey},
    touch, vpcd,
    vpcd::{Message, Wire},
};
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a token is at least away between two insertions. pcscd looks for cards every 400 ms;
/// one that is back before it looks has, for pcscd, never left, and stays unseen for good.
const AWAY: Duration = Duration::from_millis(1000);

/// How a token is set up.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Where vpcd listens.
    pub host: String,
    /// The port of its reader.
    pub port: u16,
    /// The serial number.
    pub serial: u32,
    /// What to imitate.
    pub profile: Profile,
    /// The file with keys, certificates, PIN and management key; without it they go with the
    /// token.
    pub state: Option<PathBuf>,
    /// The folder of the test PKI, made if need be.
    pub pki: PathBuf,
    /// The control socket, made here.
    pub control: Option<PathBuf>,
    /// How long a missing reader is tried again before the token gives up.
    pub patience: Duration,
}

/// A token in a thread of this process. It ends when dropped.
pub struct Token {
    panel: Arc<Panel>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Token {
    /// Starts a token in a thread.
    ///
    /// # Errors
    /// The state file, the PKI folder or the control socket cannot be used.
    pub fn start(config: TokenConfig) -> io::Result<Self> {
        let (runner, panel) = Runner::new(config)?;
        let thread = thread::Builder::new()
            .name("token".into())
            .spawn(move || runner.run())?;
        Ok(Self {
            panel,
            thread: Some(thread),
        })
    }

    /// Runs a token in this thread until its reader has been away for longer than the patience.
    ///
    /// # Errors
    /// As [`Token::start`], or the reader cannot be reached.
    pub fn run(config: TokenConfig) -> io::Result<()> {
        Runner::new(config)?.0.run()
    }

    /// Its outside: finger, plug, faults, counters; the same as the control socket offers.
    #[must_use]
    pub fn panel(&self) -> &Panel {
        &self.panel
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.panel.stop();
        if let Some(thread) = self.thread.take() {
            // The thread's own error was its way to end; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

struct Runner {
    config: TokenConfig,
    panel: Arc<Panel>,
    card: Card,
    /// Keeps the control socket alive.
    _control: Option<Server>,
}

impl Runner {
    fn new(config: TokenConfig) -> io::Result<(Self, Arc<Panel>)> {
        let panel = Arc::new(Panel::new(config.serial));
        let pki = Pki::open(&config.pki)?;
        let (serial, profile) = (config.serial, config.profile.clone());
        let store = Store::open(config.state.clone(), serial, || {
            manufacture(serial, &profile, &pki)
        })?;
        let card = Card::new(
            Piv::new(profile.clone(), store),
            Management::new(serial, profile),
            Arc::clone(&panel),
        );
        let control = match &config.control {
            Some(path) => Some(Server::start(path, Arc::clone(&panel))?),
            None => None,
        };
        let runner = Self {
            config,
            panel: Arc::clone(&panel),
            card,
            _control: control,
        };
        Ok((runner, panel))
    }

    fn run(mut self) -> io::Result<()> {
        let end = self.plug_in_and_out();
        self.panel.stop();
        end
    }

    /// Plugged in, connected, out again, until stopped.
    fn plug_in_and_out(&mut self) -> io::Result<()> {
        let mut away_until = Instant::now();
        while self.panel.await_insertion() {
            thread::sleep(away_until.saturating_duration_since(Instant::now()));
            let (host, port) = (&self.config.host, self.config.port);
            let stream = Wire::connect(host, port, self.config.patience)?;
            if self.panel.connected(stream.try_clone()?) {
                let end = self.serve(Wire::new(stream));
                self.card.reset();
                self.panel.disconnected();
                away_until = Instant::now() + AWAY;
                // A connection that removal has cut may end with any error.
                if self.panel.is_inserted() {
                    end?;
                }
            }
        }
        Ok(())
    }

    /// Answers the reader until one of the two hangs up.
    fn serve(&mut self, mut wire: Wire) -> io::Result<()> {
        while let Some(message) = wire.receive()? {
            match message {
                Message::PowerOff | Message::Reset => self.card.reset(),
                Message::PowerOn => {
                    self.card.reset();
                    self.panel.powered();
                }
                Message::Atr => wire.send(&vpcd::ATR)?,
                Message::Apdu(bytes) => match self.card.apdu(&bytes) {
                    Some(reply) => wire.send(&reply)?,
                    None => return wire.break_off(),
                },
            }
        }
        Ok(())
    }
}

/// A token as it leaves the factory, with a signed attestation key if it attests.
pub(crate) fn manufacture(serial: u32, profile: &Profile, pki: &Pki) -> io::Result<State> {
    let mut state = State::factory(serial, profile);
    if profile.attestation {
        let (key, certificate) = attest::factory(pki, profile)?;
        // PIN never, touch never; not made on the token.
        let stored = StoredKey::new(&key, 1, touch::NEVER, false);
        state.keys.insert(piv::SLOT_ATTESTATION, stored);
        let object = piv::certificate_object(&certificate);
        let id = piv::ATTESTATION_CERTIFICATE.to_owned();
        state.objects.insert(id, Hex(object));
    }
    Ok(state)
}
