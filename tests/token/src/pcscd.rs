//! A private `pcscd` for one test: in a mount and a network namespace of its own, so that any
//! number of them run side by side and vpcd's listener on all addresses stays off the host.
//!
//! Needs root and Debian's `pcscd`, `vsmartcard-vpcd`, `iproute2` and `util-linux`; no systemd.
//! Clients, whatever their uid, reach it with `PCSCLITE_CSOCK_NAME` set to [`Pcscd::socket`].
//! Whatever was started here ends when its handle is dropped, and also when this process dies:
//! everything hangs on pipes that close with it.

use crate::{Control, vpcd};
use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Debian's driver of vpcd. Each stanza needs a copy of its own: two stanzas on one file show
/// the same card twice.
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so.0.8";

/// A name that ykman's and yubico-piv-tool's reader filters accept. pcscd appends a number that
/// tells the two readers of a pair apart; further pairs need a name of their own.
const READER_NAME: &str = "Yubico YubiKey OTP+FIDO+CCID";

/// How long pcscd or a token may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// By when a token is powered up, unless pcscd took it for the one before.
const SOON: Duration = Duration::from_secs(3);
/// Longer than pcscd takes between two looks.
const UNSEEN: Duration = Duration::from_secs(1);

/// How often readiness is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// How long a stopped process may take to end before it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the namespace's shell does; `$1` is the folder, `$2` where PC/SC's run folder is.
///
/// Mounts made here must not spread to the host. Where `/` is a mount point, making it private
/// is enough. In a chroot it is not one: then a private tmpfs on a corner of /sys holds a
/// recursive bind of `/`, which is a mount point and private, and the rest happens in there.
const SCRIPT: &str = r#"
set -eu
ip link set lo up
inside='set -eu
mount --bind "$1/run" /run/pcscd
exec pcscd --foreground --config "$1/conf"'
mkdir -p /run/pcscd
if mount --make-rprivate / 2>/dev/null; then
    enter=
else
    mount --make-rprivate /sys
    mount -t tmpfs -o mode=0755 tmpfs /sys/kernel
    mkdir /sys/kernel/root
    mount --rbind / /sys/kernel/root
    mount --make-rprivate /sys/kernel/root
    enter='chroot /sys/kernel/root'
fi
$enter sh -c "$inside" sh "$1" </dev/null &
daemon=$!
read -r _ || :
kill "$daemon" 2>/dev/null || :
wait "$daemon" || :
"#;

/// A running `pcscd`.
pub struct Pcscd {
    dir: PathBuf,
    shell: Child,
    readers: Arc<Mutex<Vec<bool>>>,
}

impl Pcscd {
    /// Starts one with so many readers (rounded up to pairs, as vpcd has them), all empty. `dir`
    /// is made if need be and keeps configuration, socket and log; it must be on a path that the
    /// clients may walk.
    ///
    /// # Errors
    /// Not root, a missing package, or a pcscd that is not ready in time (with its log).
    pub fn start(dir: &Path, readers: usize) -> io::Result<Self> {
        let pairs = readers.div_ceil(2).max(1);
        let dir = prepare(dir, pairs)?;
        let log = fs::File::create(dir.join("pcscd.log"))?;
        let shell = Command::new("unshare")
            // Propagation is the script's business: unshare's own way fails in a chroot.
            .args(["--mount", "--net", "--propagation", "unchanged"])
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(&dir)
            .env("PATH", system_path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: the terminal's Ctrl-C is for the test, not for pcscd.
            .process_group(0)
            .spawn()?;
        let mut pcscd = Self {
            dir,
            shell,
            readers: Arc::new(Mutex::new(vec![false; pairs * 2])),
        };
        pcscd.await_socket()?;
        Ok(pcscd)
    }

    /// Its socket: the value for `PCSCLITE_CSOCK_NAME`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/pcscd.comm")
    }

    /// What pcscd has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("pcscd.log")).unwrap_or_default()
    }

    /// Plugs a token into the next free reader, and returns when pcscd has powered it up.
    ///
    /// # Errors
    /// No free reader, no such program, or a token that does not come up in time.
    pub fn insert(&self, options: &TokenOptions) -> io::Result<TokenProcess> {
        let reader = Reader::claim(&self.readers)?;
        let mut command = self.enter(&options.program);
        command
            .args(["--end-with-stdin", "--port", &reader.port().to_string()])
            .args(["--serial", &options.serial.to_string()])
            .args(["--profile", &options.profile])
            .arg("--state")
            .arg(&options.state)
            .arg("--pki")
            .arg(&options.pki)
            .arg("--control")
            .arg(&options.control);
        if let Some(ms) = options.touch_timeout_ms {
            command.args(["--touch-timeout-ms", &ms.to_string()]);
        }
        if let Some(ms) = options.touch_cache_ms {
            command.args(["--touch-cache-ms", &ms.to_string()]);
        }
        let child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let mut token = TokenProcess {
            child,
            control: options.control.clone(),
            _reader: reader,
        };
        token.power_up()?;
        Ok(token)
    }

    /// A command that will run inside the network namespace, where vpcd listens. Everything else,
    /// files above all, is as outside.
    #[must_use]
    pub fn enter(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .env("PATH", system_path())
            .args(["--target", &self.shell.id().to_string(), "--net", "--"])
            .arg(program);
        command
    }

    fn await_socket(&mut self) -> io::Result<()> {
        let socket = self.socket();
        let shell = &mut self.shell;
        let ready = within(READY, || {
            let ended = shell.try_wait()?.is_some();
            Ok((ended || UnixStream::connect(&socket).is_ok()).then_some(!ended))
        })?;
        if ready == Some(true) {
            // Everybody may ask; who may do what is the card's business.
            return fs::set_permissions(&socket, fs::Permissions::from_mode(0o666));
        }
        let what = if rustix::process::geteuid().is_root() {
            "pcscd did not come up; its log"
        } else {
            "a private pcscd needs root; its log"
        };
        Err(io::Error::other(format!("{what}: {}", self.log().trim())))
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        end(&mut self.shell);
    }
}

/// The token to plug in.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// The program `twotap-token`; see [`TokenOptions::beside_tests`].
    pub program: PathBuf,
    /// The serial number.
    pub serial: u32,
    /// `5.7.4`, `5.4.3`, or a file.
    pub profile: String,
    /// The file with its keys.
    pub state: PathBuf,
    /// The folder of the test PKI; tokens may share it.
    pub pki: PathBuf,
    /// Where its control socket shall be.
    pub control: PathBuf,
    /// How long it waits for a touch, in milliseconds, in place of the profile's 15 s.
    pub touch_timeout_ms: Option<u64>,
    /// How long it remembers one, in milliseconds, in place of the profile's 15 s.
    pub touch_cache_ms: Option<u64>,
}

impl TokenOptions {
    /// A 5.7.4 with this serial number whose files lie in `dir`: `SERIAL.json`, `SERIAL.sock`,
    /// and the PKI `pki`, which all tokens of the folder share.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, dir: &Path, serial: u32) -> Self {
        Self {
            program: program.into(),
            serial,
            profile: "5.7.4".into(),
            state: dir.join(format!("{serial}.json")),
            pki: dir.join("pki"),
            control: dir.join(format!("{serial}.sock")),
            touch_timeout_ms: None,
            touch_cache_ms: None,
        }
    }

    /// The program beside the running test, where cargo puts it (`target/debug/twotap-token`).
    ///
    /// # Errors
    /// It has not been built.
    pub fn beside_tests() -> io::Result<PathBuf> {
        let test = std::env::current_exe()?;
        let mut folders = test.ancestors().skip(1).take(3);
        folders
            .find_map(|f| Some(f.join("twotap-token")).filter(|p| p.is_file()))
            .ok_or_else(|| {
                let what = "no twotap-token beside this test: `cargo build -p twotap-token`";
                io::Error::new(io::ErrorKind::NotFound, what)
            })
    }
}

/// A token in a process of its own. It is pulled out and ended when dropped.
pub struct TokenProcess {
    child: Child,
    control: PathBuf,
    _reader: Reader,
}

impl TokenProcess {
    /// A hand on it.
    ///
    /// # Errors
    /// What the socket says.
    pub fn control(&self) -> io::Result<Control> {
        Control::connect(&self.control)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Blocks until pcscd has powered the token up: after that the reader shows a card. Needed
    /// after [`Control::insert`]; [`Pcscd::insert`] has done it.
    ///
    /// # Errors
    /// The token has ended, or was not powered up in time.
    pub fn await_power(&mut self) -> io::Result<()> {
        let powered = self.powered_within(READY)?;
        powered.ok_or_else(|| io::Error::other("pcscd did not power the token up"))
    }

    /// The same for one that has just come. pcscd looks for cards a few times a second: one that follows another in its reader faster than that is
    /// taken for the same, and not powered up. Then it is pulled out for longer than a look takes, and put in again.
    fn power_up(&mut self) -> io::Result<()> {
        if self.powered_within(SOON)?.is_some() {
            return Ok(());
        }
        // Or it is only slow: nobody can pull it out before it is there.
        let control = &self.control;
        let there = within(READY, || Ok(Control::connect(control).ok()))?;
        let mut control = there.ok_or_else(|| io::Error::other("the token does not come up"))?;
        if control.status()?.power_ons > 0 {
            return Ok(());
        }
        control.remove()?;
        thread::sleep(UNSEEN);
        control.insert()?;
        self.await_power()
    }

    fn powered_within(&mut self, bound: Duration) -> io::Result<Option<()>> {
        let (child, control) = (&mut self.child, &self.control);
        within(bound, || {
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("the token ended with {status}")));
            }
            let status = Control::connect(control).and_then(|mut c| c.status());
            Ok(status.is_ok_and(|s| s.power_ons > 0).then_some(()))
        })
    }
}

impl Drop for TokenProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A claimed reader; free again when dropped.
struct Reader {
    number: usize,
    all: Arc<Mutex<Vec<bool>>>,
}

impl Reader {
    fn claim(all: &Arc<Mutex<Vec<bool>>>) -> io::Result<Self> {
        let mut taken = all.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|t| !t);
        let number = free.ok_or_else(|| io::Error::other("every reader has a token"))?;
        taken[number] = true;
        Ok(Self {
            number,
            all: Arc::clone(all),
        })
    }

    fn port(&self) -> u16 {
        port_of(self.number)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)[self.number] = false;
    }
}

/// The port of a reader. Each pcscd has its own network, so they all begin at the same one.
fn port_of(reader: usize) -> u16 {
    vpcd::FIRST_PORT + u16::try_from(reader).unwrap_or(u16::MAX - vpcd::FIRST_PORT)
}

/// Makes the folders, a driver for each pair, and `reader.conf`; the folder's absolute path.
fn prepare(dir: &Path, pairs: usize) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    let (conf, run) = (dir.join("conf"), dir.join("run"));
    for folder in [&conf, &run] {
        fs::create_dir_all(folder)?;
    }
    for folder in [&dir, &run] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    let mut stanzas = String::new();
    for pair in 0..pairs {
        let driver = dir.join(format!("libifdvpcd-{pair}.so"));
        fs::copy(DRIVER, &driver).map_err(|e| {
            let what = format!("{DRIVER}: {e} (Debian package vsmartcard-vpcd)");
            io::Error::new(e.kind(), what)
        })?;
        let port = port_of(pair * 2);
        let name = match pair {
            0 => READER_NAME.to_owned(),
            _ => format!("{READER_NAME} {pair:02}"),
        };
        stanzas.push_str(&format!(
            "FRIENDLYNAME \"{name}\"\nDEVICENAME /dev/null:{port:#06X}\n\
             LIBPATH {}\nCHANNELID {port:#06X}\n\n",
            driver.display()
        ));
    }
    fs::write(conf.join("reader.conf"), stanzas)?;
    Ok(dir)
}

/// The caller's path and the folders of system programs, which a user's path may lack.
fn system_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// Looks until there is something, at most `bound`.
fn within<T>(
    bound: Duration,
    mut look: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// Ends a child by closing its standard input, which it waits for; kills it if it does not mind.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    let ended = within(FAREWELL, || child.try_wait());
    if !matches!(ended, Ok(Some(_))) {
        if let Some(group) = i32::try_from(child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // It leads its group, which holds nothing but what it started.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = child.wait();
    }
}
