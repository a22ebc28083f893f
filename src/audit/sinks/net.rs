//! TCP and TLS for sinks, and for signing in to the console: no wait without a bound, own trust roots, no proxy and no variable of the environment.
//!
//! A sink runs on a thread of its own and may block, so it has a [`runtime`] of its own and hands its calls to it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring};

use super::{SinkConfigError, SinkError};
use crate::audit::files;
use crate::aws::endpoints::CA_FILES;

/// What TLS is to be, by the keys of a sink's table.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// `ca_file`: PEM of the authorities that may vouch for the receiver; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// `certificate`: PEM of our own certificate and what it needs; goes with `key`.
    pub certificate: Option<PathBuf>,
    /// `key`: PEM of its private key, in a file that nobody else may read.
    pub key: Option<PathBuf>,
    /// `server_name`: what the receiver's certificate has to name; the host that is connected to where absent.
    pub server_name: Option<String>,
}

impl TlsSettings {
    /// Whether any of them is set, for kinds that go without TLS too.
    pub fn any(&self) -> bool {
        self.ca_file.is_some()
            || self.certificate.is_some()
            || self.key.is_some()
            || self.server_name.is_some()
    }

    /// Reads the files, relative ones in `folder`; what is wrong with them is said at start and not at the first event.
    pub fn client(&self, folder: &Path, host: &str) -> Result<Tls, SinkConfigError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            SinkConfigError::new("server_name", format!("{name:?} is no name of a host"))
        })?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| SinkConfigError::new("tls", why.to_string()))?
            .with_root_certificates(self.roots(folder)?);
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates("certificate", &folder.join(certificate))?;
                let key = private_key(&folder.join(key))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|why| SinkConfigError::new("key", why.to_string()))?
            }
            (Some(_), None) => {
                return Err(SinkConfigError::new("certificate", "it goes with 'key'"));
            }
            (None, Some(_)) => {
                return Err(SinkConfigError::new("key", "it goes with 'certificate'"));
            }
        };
        // Each connection is a new acquaintance: a receiver that takes up a session from a ticket may not look at our certificate again (rsyslog with
        // OpenSSL does not), and drops what we say.
        config.resumption = Resumption::disabled();
        Ok(Tls {
            name,
            config: Arc::new(config),
        })
    }

    fn roots(&self, folder: &Path) -> Result<RootCertStore, SinkConfigError> {
        let mut store = RootCertStore::empty();
        let found = match &self.ca_file {
            Some(path) => certificates("ca_file", &folder.join(path))?,
            None => CA_FILES
                .iter()
                .find_map(|path| certificates("ca_file", Path::new(path)).ok())
                .ok_or_else(|| {
                    SinkConfigError::new("ca_file", "no root certificates are installed")
                        .with_hint("install ca-certificates, or name the receiver's authority")
                })?,
        };
        // Odd certificates among the system's are left out.
        let (good, _odd) = store.add_parsable_certificates(found);
        match good {
            0 => Err(SinkConfigError::new("ca_file", "it has no certificate")),
            _ => Ok(store),
        }
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, SinkConfigError> {
    let bad = |why: String| SinkConfigError::new(key, format!("{}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|why| bad(why.to_string()))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
    match found.is_empty() {
        true => Err(bad("it has no certificate".to_owned())),
        false => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, SinkConfigError> {
    let bad = |why: &str| SinkConfigError::new("key", format!("{}: {why}", path.display()));
    let pem = files::read_secret(path).map_err(|why| bad(&why.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad("it has no private key"))
}

/// How TLS is spoken with one receiver.
#[derive(Clone)]
pub struct Tls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// A receiver on the network.
#[derive(Clone)]
pub struct Endpoint {
    host: String,
    port: u16,
    tls: Option<Tls>,
}

impl Endpoint {
    /// The receiver at `host`, a name or an address; `tls` from [`TlsSettings::client`], or none.
    pub fn new(host: &str, port: u16, tls: Option<Tls>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            tls,
        }
    }

    /// `HOST:PORT`, with an IPv6 address in brackets: its two parts.
    pub fn split(text: &str) -> Option<(&str, u16)> {
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host,
            None if host.contains(':') => return None,
            None => host,
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then_some((host, port))
    }

    /// Connects, and says hello where TLS is spoken, within `limit` all together.
    pub async fn connect(&self, limit: Duration) -> Result<Wire, SinkError> {
        let wire = self.open(limit).await;
        wire.map_err(|why| self.failed(&why))
    }

    /// The same, with an error that does not say where.
    pub async fn open(&self, limit: Duration) -> io::Result<Wire> {
        let connect = async {
            let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
            tcp.set_nodelay(true)?;
            match &self.tls {
                None => Ok(Wire::Plain(tcp)),
                Some(tls) => {
                    let connector = TlsConnector::from(Arc::clone(&tls.config));
                    let stream = connector.connect(tls.name.clone(), tcp).await?;
                    Ok(Wire::Tls(Box::new(stream)))
                }
            }
        };
        within(limit, connect).await
    }

    /// An error that says where.
    pub fn failed(&self, why: &io::Error) -> SinkError {
        SinkError::Unavailable(format!("{}: {why}", self.shown()))
    }

    /// `HOST:PORT`.
    pub fn shown(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// A connection to a receiver.
pub enum Wire {
    /// Without TLS.
    Plain(TcpStream),
    /// With.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// The connection below TLS.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

/// A runtime for one sink's thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, SinkConfigError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| SinkConfigError::new("kind", format!("it cannot start: {why}")))
}

/// What a wait comes to within a bound.
pub async fn within<T>(
    limit: Duration,
    wait: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match tokio::time::timeout(limit, wait).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", limit.as_secs_f32()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("../../trust/attestation/genuine-f9.pem");

    /// Settings with an authority, so that no installed ones are needed.
    fn settings(folder: &Path) -> TlsSettings {
        std::fs::write(folder.join("ca.pem"), CERTIFICATE).unwrap();
        TlsSettings {
            ca_file: Some("ca.pem".into()),
            ..TlsSettings::default()
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key.pem");
        std::fs::write(&key, "no key").unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
            let settings = TlsSettings {
                certificate: Some("ca.pem".into()),
                key: Some("key.pem".into()),
                ..settings(dir.path())
            };
            let refused = settings.client(dir.path(), "siem.example").map(|_| ());
            refused.expect_err("no key").to_string()
        };
        let (open, shut) = (with_mode(0o644), with_mode(0o600));
        assert!(open.contains("others than its owner"), "{open}");
        assert!(shut.contains("it has no private key"), "{shut}");
    }

    #[test]
    fn a_receiver_that_says_no_hello_has_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let tls = settings(dir.path()).client(dir.path(), "siem.example");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let endpoint = Endpoint::new("127.0.0.1", port, tls.ok());
        let opened = runtime().unwrap().block_on(async {
            let open = endpoint.open(Duration::from_millis(50));
            tokio::time::timeout(Duration::from_secs(20), open).await
        });
        let why = opened.expect("in time").map(|_| ()).expect_err("silent");
        assert_eq!(why.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, parts) in [
            ("siem.example:6514", Some(("siem.example", 6514))),
            ("10.0.0.1:514", Some(("10.0.0.1", 514))),
            ("[::1]:514", Some(("::1", 514))),
            ("::1:514", None),
            ("siem.example", None),
            ("siem.example:0", None),
            ("siem.example:65536", None),
            (":514", None),
            ("[]:514", None),
        ] {
            assert_eq!(Endpoint::split(text), parts, "{text}");
        }
    }
}
