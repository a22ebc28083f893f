//! A real rsyslogd with a configuration of its own, on ports of its own, as whoever runs the tests.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use twotap_rig::certificates::{authority, certificate};

use crate::bench::{lines_of, until};

/// An address that no other test uses: a port that is given back there is nobody else's before it is taken again.
const AT: &str = "127.77.4.5";

/// How messages come in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    Tcp,
    /// TLS by this library of rsyslog's: `gtls` or `ossl`. Clients show a certificate.
    Tls(&'static str),
    /// A datagram socket.
    Unix,
}

/// The receiver's folder: configuration, certificates, and what it has written.
pub(crate) struct Rsyslog {
    dir: PathBuf,
    input: Input,
    port: u16,
    child: Option<Child>,
}

impl Rsyslog {
    /// A receiver that runs.
    pub(crate) fn start(dir: &Path, input: Input) -> Self {
        let mut receiver = Self::prepare(dir, input);
        receiver.run();
        receiver
    }

    /// A receiver that does not run yet.
    pub(crate) fn prepare(dir: &Path, input: Input) -> Self {
        let dir = dir.join("rsyslog");
        fs::create_dir(&dir).expect("a folder");
        if matches!(input, Input::Tls(_)) {
            certificates(&dir);
        }
        let free = TcpListener::bind((AT, 0)).expect("a port");
        let port = free.local_addr().expect("its address").port();
        Self {
            dir,
            input,
            port,
            child: None,
        }
    }

    /// The keys of a sink for it.
    pub(crate) fn keys(&self) -> String {
        self.keys_at(&format!("{AT}:{}", self.port))
    }

    /// The keys of a sink for another receiver with the same certificates.
    pub(crate) fn keys_at(&self, address: &str) -> String {
        let dir = self.dir.display();
        match self.input {
            Input::Tcp => format!("tcp = '{address}'\n"),
            Input::Tls(_) => format!(
                "tls = '{address}'\nserver_name = 'siem.example'\nca_file = '{dir}/ca.pem'\n\
                 certificate = '{dir}/client.pem'\nkey = '{dir}/client.key'\n",
            ),
            Input::Unix => format!("unix = '{dir}/log'\n"),
        }
    }

    pub(crate) fn run(&mut self) {
        let dir = self.dir.display();
        let input = match self.input {
            Input::Tcp => format!(
                "module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"{AT}\" port=\"{}\" ruleset=\"out\")\n",
                self.port
            ),
            Input::Tls(driver) => format!(
                "global(defaultNetstreamDriverCAFile=\"{dir}/ca.pem\"\n\
                 defaultNetstreamDriverCertFile=\"{dir}/server.pem\"\n\
                 defaultNetstreamDriverKeyFile=\"{dir}/server.key\")\n\
                 module(load=\"imtcp\" streamDriver.name=\"{driver}\" streamDriver.mode=\"1\"\n\
                 streamDriver.authMode=\"x509/name\" permittedPeer=[\"host-1.example\"])\n\
                 input(type=\"imtcp\" address=\"{AT}\" port=\"{}\" ruleset=\"out\")\n",
                self.port
            ),
            Input::Unix => format!(
                "module(load=\"imuxsock\" sysSock.use=\"off\")\n\
                 input(type=\"imuxsock\" socket=\"{dir}/log\" useSpecialParser=\"off\" parseHostname=\"on\"\n\
                 rateLimit.interval=\"0\" ruleset=\"out\")\n"
            ),
        };
        // Fields that rsyslog has read from the header, and the message byte for byte.
        let config = format!(
            "global(workDirectory=\"{dir}\" maxMessageSize=\"160k\")\n{input}\
             template(name=\"whole\" type=\"string\" string=\"%msg%\\n\")\n\
             template(name=\"head\" type=\"string\" string=\"%pri% %hostname% %app-name% %msgid% %structured-data%\\n\")\n\
             ruleset(name=\"out\" queue.type=\"Direct\") {{\n\
             action(type=\"omfile\" file=\"{dir}/messages\" template=\"whole\" asyncWriting=\"off\")\n\
             action(type=\"omfile\" file=\"{dir}/heads\" template=\"head\" asyncWriting=\"off\")\n}}\n\
             action(type=\"omfile\" file=\"{dir}/own\")\n"
        );
        fs::write(self.dir.join("rsyslog.conf"), config).expect("written");
        let _ = fs::remove_file(self.dir.join("log"));
        let _ = fs::remove_file(self.dir.join("pid"));
        let child = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(self.dir.join("rsyslog.conf"))
            .arg("-i")
            .arg(self.dir.join("pid"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.dir.join("log.out")).expect("a log"))
            .stderr(fs::File::create(self.dir.join("log.err")).expect("a log"))
            .spawn()
            .expect("rsyslogd starts (Debian: rsyslog, rsyslog-gnutls, rsyslog-openssl)");
        self.child = Some(child);
        until("rsyslog listens", || {
            let child = self.child.as_mut().expect("it runs");
            if let Some(status) = child.try_wait().expect("waited") {
                let why = fs::read_to_string(self.dir.join("log.err")).unwrap_or_default();
                panic!("rsyslogd ended with {status}: {why}");
            }
            match self.input {
                Input::Unix => self.dir.join("log").exists(),
                _ => TcpStream::connect((AT, self.port)).is_ok(),
            }
        });
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("waited");
        }
    }

    /// Stops or goes on: it holds its connections and does nothing.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    /// What it has written, message by message.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        lines_of(&self.dir.join("messages"))
    }

    /// What it has read of each header.
    pub(crate) fn heads(&self) -> Vec<String> {
        let lines = lines_of(&self.dir.join("heads"));
        let text = |line| String::from_utf8(line).expect("text");
        lines.into_iter().map(text).collect()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An authority, a server and a client of it, and an authority that nobody asked.
fn certificates(dir: &Path) {
    for name in ["ca", "other-ca"] {
        authority(dir, name).expect("an authority");
    }
    for (name, host, by) in [
        ("server", "siem.example", "ca"),
        ("client", "host-1.example", "ca"),
        ("stranger", "host-1.example", "other-ca"),
        ("unnamed", "host-9.example", "ca"),
    ] {
        certificate(dir, name, &format!("DNS:{host}"), by).expect("a certificate");
    }
}
