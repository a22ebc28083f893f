//! Syslog, RFC 5424.
//!
//! ```toml
//! [sinks.local]
//! kind = "syslog"
//! unix = "/dev/log"
//! facility = "authpriv"
//! ```

mod format;

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use self::format::Facility;

use super::{Delivery, Opening, Sink, SinkConfigError, SinkError};
use crate::audit::chain::Head;

/// How long a receiver that does not read may hold up one message.
const WRITE: Duration = Duration::from_secs(5);

/// The keys of a table with `kind = "syslog"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// A socket on this host that takes datagrams.
    unix: PathBuf,
    /// `authpriv` where absent.
    #[serde(default)]
    facility: Facility,
}

impl SyslogConfig {
    /// The sink; nothing is connected to yet.
    pub fn open(self, at: &Opening<'_>) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(Box::new(SyslogSink {
            name: at.name.to_owned(),
            host: at.host.to_owned(),
            facility: self.facility,
            path: at.path(&self.unix),
            socket: None,
        }))
    }
}

/// Writes each event as one message.
struct SyslogSink {
    name: String,
    host: String,
    facility: Facility,
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl SyslogSink {
    fn connected(&mut self) -> io::Result<&UnixDatagram> {
        match &mut self.socket {
            Some(socket) => Ok(socket),
            none => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket.set_write_timeout(Some(WRITE))?;
                Ok(none.insert(socket))
            }
        }
    }

    fn write(&mut self, batch: &[Delivery]) -> io::Result<()> {
        for delivery in batch {
            let message = format::message(self.facility, &self.host, &delivery.line);
            let sent = self.connected()?.send(&message)?;
            if sent != message.len() {
                return Err(io::Error::other("the socket cut a message off"));
            }
        }
        Ok(())
    }
}

impl Sink for SyslogSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume(&mut self, cursor: Head) -> Result<Head, SinkError> {
        self.socket = None;
        Ok(cursor)
    }

    fn send(&mut self, batch: &[Delivery]) -> Result<(), SinkError> {
        self.write(batch)
            .map_err(|why| SinkError::Unavailable(format!("{}: {why}", self.path.display())))
    }
}
