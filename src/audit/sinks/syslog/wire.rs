//! Bytes on their way to a receiver, and what TCP shows of their arrival.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;

use super::queue;
use crate::audit::sinks::SinkError;
use crate::audit::sinks::net::{Endpoint, Wire, within};

/// For a connection with its handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that a receiver may say; syslog has no answers.
const MOST_SAID: usize = 64 * 1024;

/// How long a receiver on a stream is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a batch, from its first byte until it counts as held: 20 s.
    pub deliver: Duration,
    /// After a handshake of TLS, and beside twice the handshake's own time, for a refusal of our certificate: 100 ms.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            deliver: Duration::from_secs(20),
            look: Duration::from_millis(100),
        }
    }
}

/// Where messages go.
pub(super) enum Target {
    /// A socket on this host.
    Unix(PathBuf),
    /// TCP or TLS.
    Net(Endpoint),
}

impl Target {
    /// In words for people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Net(endpoint) => endpoint.shown(),
        }
    }

    /// A connection that stays open.
    pub(super) async fn connect(&self, patience: &Patience) -> io::Result<Kept> {
        Ok(Kept {
            stream: self.stream(patience).await?,
            said: 0,
        })
    }

    async fn stream(&self, patience: &Patience) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => {
                let stream = within(CONNECT, UnixStream::connect(path)).await?;
                Ok(Stream::Unix(stream))
            }
            Self::Net(endpoint) => {
                let begun = Instant::now();
                let wire = endpoint
                    .connect(CONNECT)
                    .await
                    .map_err(|why: SinkError| io::Error::other(why.to_string()))?;
                let mut stream = Stream::Net(wire);
                let look = patience.look + (begun.elapsed() * 2).min(CONNECT);
                stream.welcome(look).await?;
                Ok(stream)
            }
        }
    }

    /// Hands bytes over a connection of their own. `Ok`: the receiving process has read all of them.
    pub(super) async fn hand_over(&self, bytes: &[u8], patience: &Patience) -> io::Result<()> {
        let bound = patience.deliver;
        let mut stream = self.stream(patience).await?;
        let hand_over = async {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            // Ended before we did: it may be gone for what we wrote last.
            if stream.ended(&mut 0).await? {
                return Err(early());
            }
            stream.shutdown().await?;
            stream.end().await?;
            stream.over().await
        };
        match tokio::time::timeout(bound, hand_over).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it has not read and closed within {} s", bound.as_secs()),
            )),
        }
    }
}

fn talks() -> io::Error {
    io::Error::other("it talks, and is no syslog receiver")
}

fn early() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "it closed the connection before it had everything",
    )
}

/// A connection that stays open between batches.
pub(super) struct Kept {
    stream: Stream,
    /// How many bytes the other side has said since it was opened.
    said: usize,
}

impl Kept {
    /// Writes bytes. `Ok`: the receiving system has all of them, and the connection was not seen to end.
    pub(super) async fn write(&mut self, bytes: &[u8], bound: Duration) -> io::Result<()> {
        let write = async {
            if self.stream.ended(&mut self.said).await? {
                return Err(early());
            }
            self.stream.write_all(bytes).await?;
            self.stream.flush().await?;
            self.stream.acknowledged().await?;
            match self.stream.ended(&mut self.said).await? {
                true => Err(early()),
                false => Ok(()),
            }
        };
        within(bound, write).await
    }
}

/// A connection of any kind.
enum Stream {
    Unix(UnixStream),
    Net(Wire),
}

impl Stream {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Net(wire) => wire.tcp().as_fd(),
        }
    }

    /// Whether the other side has ended the connection, as far as it shows now. What it says until then is taken, counted, and dropped.
    async fn ended(&mut self, said: &mut usize) -> io::Result<bool> {
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        while *said <= MOST_SAID {
            match rustix::net::recv(self.fd(), &mut [0; 1][..], flags) {
                Ok((_, 0)) => return Ok(true),
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(false),
                Err(why) => return Err(why.into()),
            }
            match self {
                Self::Unix(stream) => stream.readable().await?,
                Self::Net(wire) => wire.tcp().readable().await?,
            }
            let mut buffer = [0; 4096];
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = poll_fn(|cx| match Pin::new(&mut *self).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            });
            match read.await {
                Some(read) => read?,
                None => continue,
            }
            match buffer.filled().len() {
                0 => return Ok(true),
                n => *said += n,
            }
        }
        Err(talks())
    }

    /// With TLS our side of the handshake is done before the receiver has judged our certificate, and some (rsyslog with OpenSSL) take and drop what we
    /// say when they do not want us, as if they had read it. So nothing is said until there was time for a refusal to arrive.
    async fn welcome(&mut self, patience: Duration) -> io::Result<()> {
        if !matches!(self, Self::Net(Wire::Tls(_))) {
            return Ok(());
        }
        match tokio::time::timeout(patience, self.end()).await {
            Err(_) => Ok(()),
            Ok(Err(why)) => Err(why),
            Ok(Ok(())) => Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "it hung up after the handshake: does it take our certificate, and the name in it?",
            )),
        }
    }

    /// Reads until the other side ends.
    async fn end(&mut self) -> io::Result<()> {
        let mut said = 0;
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer).await {
                Ok(0) => return Ok(()),
                Ok(n) if said + n > MOST_SAID => {
                    return Err(talks());
                }
                Ok(n) => said += n,
                // An end of TCP without one of TLS, as GnuTLS servers have it: `over` says whether it was orderly.
                Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(why) => return Err(why),
            }
        }
    }

    /// Waits until nothing of ours is on its way any more.
    async fn acknowledged(&self) -> io::Result<()> {
        let mut pause = Duration::from_millis(1);
        while self.row()?.is_some_and(|row| row.unacknowledged > 0) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        self.reset()
    }

    /// Waits until the kernel is done with the connection: our end was acknowledged too, or it was reset.
    async fn over(&self) -> io::Result<()> {
        let mut pause = Duration::from_millis(1);
        while self.row()?.is_some() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        self.reset()
    }

    /// A local socket has nothing on its way: what is written stands in the reader's queue, and a reader that ends without having read it shows at once.
    fn row(&self) -> io::Result<Option<queue::Row>> {
        match self {
            Self::Unix(_) => Ok(None),
            Self::Net(wire) => queue::row(wire.tcp()),
        }
    }

    /// An error if the connection was reset.
    fn reset(&self) -> io::Result<()> {
        match rustix::net::sockopt::socket_error(self.fd())? {
            Ok(()) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Net(wire) => Pin::new(wire).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Net(wire) => Pin::new(wire).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Net(wire) => Pin::new(wire).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Net(wire) => Pin::new(wire).poll_shutdown(cx),
        }
    }
}
