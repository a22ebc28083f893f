//! Syslog: RFC 5424 messages over TLS (RFC 5425), TCP (RFC 6587), or a socket on this host.
//!
//! ```toml
//! [sinks.siem]
//! kind = "syslog"
//! tls = "siem.example:6514"             # or tcp = "HOST:PORT", or unix = "/dev/log"
//! ca_file = "/etc/twotap/siem-ca.pem"   # the system's where absent
//! certificate = "/etc/twotap/siem.pem"  # ours, where the receiver asks for one
//! key = "/etc/twotap/siem.key"          # its key, mode 0600
//! server_name = "siem.example"          # what the receiver's certificate names; the host where absent
//! facility = "authpriv"
//! framing = "octet_counting"            # or "newline", for receivers that do not count
//! confirm = "close"                     # or "kernel", see below
//! ```
//!
//! The protocol has no acknowledgements, so what counts as held is what TCP itself can show:
//!
//! - `close`: each batch has a connection of its own. We end our side, and the receiver has to end its own in answer. A system whose process
//!   dies or closes with anything unread resets the connection instead, and so does one that gets bytes for a process that is gone. An orderly
//!   end after ours, with everything acknowledged and no reset, says that the receiving process has read all of it.
//! - `kernel`: for receivers, or balancers before them, that do not end a connection in answer. It is kept open; a batch is held once the kernel's
//!   send queue is empty, which says that the receiving system has it. When the connection ends, the last mebibyte that went over it is sent again.
//! - a datagram socket of this host: a message is held once it stands in the reader's queue. When the reader is seen to be gone, the last 512
//!   messages are sent again.
//!
//! What cannot be shown: what the receiver does with what it has read, a refusal of our certificate among it that comes later than a tenth of a
//! second and two round trips; a receiver that says that it will write no more, before we do, and goes without reading; with `kernel` and
//! datagrams, whether a process has read the last of it when both sides end at the same time; and that nobody forges TCP packets on the way. Each
//! line names the hash of the one before, so whatever is missing shows there, and `seq` tells a repetition. A receiver has to take messages of
//! 129 KiB (rsyslog: `$MaxMessageSize 160k`), or it cuts them off.

mod format;
mod queue;
mod tail;
mod wire;

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::runtime::Runtime;

pub use self::format::Facility;
use self::tail::Tail;
pub use self::wire::Patience;
use self::wire::{Kept, Target};

use super::net::{self, Endpoint, TlsSettings};
use super::{Delivery, Opening, Sink, SinkConfigError, SinkError};
use crate::audit::chain::Head;

/// How long a reader of a datagram socket that does not read may hold up a batch.
const WRITE: Duration = Duration::from_secs(10);
/// Messages that a datagram socket's queue may hold (`net.unix.max_dgram_qlen` is 512 on most distributions).
const QUEUE: usize = 512;
/// Bytes that a receiving system may have accepted from us and not handed to its process yet.
const BUFFER: usize = 1 << 20;

/// The keys of a table with `kind = "syslog"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// A socket on this host.
    unix: Option<PathBuf>,
    /// `HOST:PORT`.
    tcp: Option<String>,
    /// `HOST:PORT`.
    tls: Option<String>,
    ca_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    server_name: Option<String>,
    #[serde(default)]
    facility: Facility,
    #[serde(default)]
    framing: Framing,
    #[serde(default)]
    confirm: Confirm,
}

/// How messages are told apart on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Framing {
    /// RFC 6587, section 3.4.1; the only one of RFC 5425.
    #[default]
    OctetCounting,
    /// RFC 6587, section 3.4.2. A line has no newline in it.
    Newline,
}

/// When a batch on a stream counts as held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Confirm {
    #[default]
    Close,
    Kernel,
}

impl SyslogConfig {
    /// The sink; nothing is connected to yet.
    pub fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        self.open_within(at, Patience::default())
    }

    /// The same with another patience.
    pub fn open_within(
        self,
        at: &Opening<'_>,
        patience: Patience,
    ) -> Result<Box<dyn Sink>, SinkConfigError> {
        let settings = TlsSettings {
            ca_file: self.ca_file,
            certificate: self.certificate,
            key: self.key,
            server_name: self.server_name,
        };
        if settings.any() && self.tls.is_none() {
            return Err(SinkConfigError::new(
                "tls",
                "ca_file, certificate, key and server_name go with it",
            ));
        }
        let target = match (self.unix, self.tcp, self.tls) {
            (Some(path), None, None) => Target::Unix(at.path(&path)),
            (None, Some(tcp), None) => {
                let (host, port) = split("tcp", &tcp)?;
                Target::Net(Endpoint::new(host, port, None))
            }
            (None, None, Some(tls)) => {
                let (host, port) = split("tls", &tls)?;
                let client = settings.client(at.folder, host)?;
                Target::Net(Endpoint::new(host, port, Some(client)))
            }
            _ => {
                let why = "it has one of 'unix', 'tcp' and 'tls'";
                return Err(SinkConfigError::new("kind", why));
            }
        };
        Ok(Box::new(SyslogSink {
            name: at.name.to_owned(),
            host: at.host.to_owned(),
            facility: self.facility,
            framing: self.framing,
            confirm: self.confirm,
            target,
            patience,
            link: Link::None,
            tail: Tail::default(),
            runtime: net::runtime()?,
        }))
    }
}

fn split<'a>(key: &str, text: &'a str) -> Result<(&'a str, u16), SinkConfigError> {
    Endpoint::split(text)
        .ok_or_else(|| SinkConfigError::new(key, format!("{text:?} is not HOST:PORT")))
}

/// Writes each event as one message.
struct SyslogSink {
    name: String,
    host: String,
    facility: Facility,
    framing: Framing,
    confirm: Confirm,
    target: Target,
    patience: Patience,
    link: Link,
    /// What went over the link and may be lost with its reader.
    tail: Tail,
    runtime: Runtime,
}

/// What stays open between two batches.
enum Link {
    None,
    Datagrams(UnixDatagram),
    Kept(Kept),
}

impl SyslogSink {
    fn deliver(&mut self, batch: &[Delivery]) -> io::Result<()> {
        if let (Link::None, Target::Unix(path)) = (&self.link, &self.target)
            && let Some(socket) = datagrams(path)?
        {
            self.link = Link::Datagrams(socket);
        }
        match (&mut self.link, self.confirm) {
            (Link::Datagrams(socket), _) => {
                for delivery in batch {
                    let message = format::message(self.facility, &self.host, &delivery.line);
                    // A datagram goes whole or not at all.
                    socket.send(&message).map_err(|why| match why.kind() {
                        io::ErrorKind::WouldBlock => io::Error::other("its reader does not read"),
                        _ => why,
                    })?;
                    self.tail.push(delivery.head(), 1, QUEUE);
                }
                Ok(())
            }
            (_, Confirm::Close) => {
                let bytes = self.framed(batch);
                self.runtime
                    .block_on(self.target.hand_over(&bytes, &self.patience))
            }
            (_, Confirm::Kernel) => {
                let bytes = self.framed(batch);
                let mut kept = match std::mem::replace(&mut self.link, Link::None) {
                    Link::Kept(kept) => kept,
                    _ => self.runtime.block_on(self.target.connect(&self.patience))?,
                };
                self.runtime
                    .block_on(kept.write(&bytes, self.patience.deliver))?;
                for delivery in batch {
                    let size = delivery.line.len();
                    self.tail.push(delivery.head(), size, BUFFER);
                }
                self.link = Link::Kept(kept);
                Ok(())
            }
        }
    }

    fn framed(&self, batch: &[Delivery]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for delivery in batch {
            let message = format::message(self.facility, &self.host, &delivery.line);
            match self.framing {
                Framing::OctetCounting => {
                    bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
                    bytes.extend_from_slice(&message);
                }
                Framing::Newline => {
                    bytes.extend_from_slice(&message);
                    bytes.push(b'\n');
                }
            }
        }
        bytes
    }
}

/// A connected socket for datagrams; `None` where the path takes streams.
fn datagrams(path: &Path) -> io::Result<Option<UnixDatagram>> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Err(why) if why.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
            Ok(None)
        }
        connected => {
            connected?;
            socket.set_write_timeout(Some(WRITE))?;
            Ok(Some(socket))
        }
    }
}

impl Sink for SyslogSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        self.link = Link::None;
        Ok(self.tail.rewind(cursor))
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.deliver(batch).map_err(|why| {
            self.link = Link::None;
            SinkError::Unavailable(format!("{}: {why}", self.target.shown()))
        })
    }
}

#[cfg(test)]
mod tests;
