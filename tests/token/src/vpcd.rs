//! The vpcd protocol of the virtual smart card project, from the card's side.
//!
//! Each message is a big-endian u16 length and a body. A body of one byte is a control (power
//! off, power on, reset, get ATR); anything longer is a command APDU. Only ATR and APDUs are
//! answered. An open connection is an inserted card, a closed one a removed card.

use rustix::net::sockopt::set_socket_linger;
use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::linux::net::TcpStreamExt,
    thread,
    time::{Duration, Instant},
};

/// The port of the first reader in a vpcd stanza; the second has the next one.
pub const FIRST_PORT: u16 = 35_963;

/// The ATR of a YubiKey 5, which offers T=1.
pub const ATR: [u8; 23] = [
    0x3b, 0xfd, 0x13, 0x00, 0x00, 0x81, 0x31, 0xfe, 0x15, 0x80, 0x73, 0xc0, 0x21, 0xc0, 0x57, 0x59,
    0x75, 0x62, 0x69, 0x4b, 0x65, 0x79, 0x40,
];

/// How often a missing reader is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// One message from the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The reader took the power away.
    PowerOff,
    /// The reader gave power.
    PowerOn,
    /// A warm reset.
    Reset,
    /// The reader asks for the ATR.
    Atr,
    /// A command APDU.
    Apdu(Vec<u8>),
}

/// One end of an open connection to a reader.
pub struct Wire(TcpStream);

impl Wire {
    /// Connects to a reader, trying again until `patience` is over: pcscd may still be starting.
    ///
    /// # Errors
    /// The last error once patience is over.
    pub fn connect(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
        let deadline = Instant::now() + patience;
        loop {
            let attempt = (host, port)
                .to_socket_addrs()
                .and_then(|a| TcpStream::connect(a.collect::<Vec<_>>().as_slice()));
            match attempt {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(e) if Instant::now() >= deadline => return Err(e),
                Err(_) => thread::sleep(RETRY),
            }
        }
    }

    /// Takes a connected stream over.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// The next message; `None` when the reader has closed the connection.
    ///
    /// # Errors
    /// What the socket says.
    pub fn receive(&mut self) -> io::Result<Option<Message>> {
        // vpcd sends length and body apart. Without an immediate acknowledgement Nagle's
        // algorithm holds the body back for 40 ms; the kernel forgets the flag, so it is set
        // before each read.
        self.0.set_quickack(true)?;
        let mut length = [0; 2];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
        self.0.set_quickack(true)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut body)?;
        decode(body).map(Some)
    }

    /// Answers with an ATR or a response APDU, in one write.
    ///
    /// # Errors
    /// What the socket says; a body above 65,535 bytes is refused.
    pub fn send(&mut self, body: &[u8]) -> io::Result<()> {
        self.0.write_all(&encode(body)?)
    }

    /// The card is pulled out in the middle of an answer.
    ///
    /// A real reader reports an error then. vpcd takes a plain end of the connection for an empty
    /// answer and reports success; a length whose body never comes, cut off by a reset, it
    /// reports as an error.
    ///
    /// # Errors
    /// What the socket says.
    pub fn break_off(mut self) -> io::Result<()> {
        self.0.write_all(&2u16.to_be_bytes())?;
        set_socket_linger(&self.0, Some(Duration::ZERO))?;
        Ok(())
    }
}

fn encode(body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(body.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a reply above 65,535 bytes"))?;
    let mut out = Vec::with_capacity(body.len() + 2);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    Ok(out)
}

fn decode(body: Vec<u8>) -> io::Result<Message> {
    Ok(match *body.as_slice() {
        [0] => Message::PowerOff,
        [1] => Message::PowerOn,
        [2] => Message::Reset,
        [4] => Message::Atr,
        [] | [_] => {
            let what = format!("an unknown control from the reader: {body:02x?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        _ => Message::Apdu(body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn messages_are_told_apart_and_an_end_is_no_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let stream = Wire::connect("127.0.0.1", port, Duration::ZERO).expect("connect");
        let (mut reader, _) = listener.accept().expect("accept");
        let mut wire = Wire::new(stream);
        for body in [&[0][..], &[1], &[2], &[4], &[0, 0xfd, 0, 0]] {
            reader
                .write_all(&encode(body).expect("short"))
                .expect("write");
        }
        let expected = [
            Message::PowerOff,
            Message::PowerOn,
            Message::Reset,
            Message::Atr,
            Message::Apdu(vec![0, 0xfd, 0, 0]),
        ];
        for message in expected {
            assert_eq!(wire.receive().expect("a message"), Some(message));
        }
        wire.send(&[0x90, 0]).expect("send");
        let mut reply = [0; 4];
        reader.read_exact(&mut reply).expect("the reply");
        assert_eq!(reply, [0, 2, 0x90, 0]);
        drop(reader);
        assert!(matches!(wire.receive(), Ok(None)));
    }

    #[test]
    fn breaking_off_leaves_the_reader_with_half_an_answer_and_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let stream = Wire::connect("127.0.0.1", port, Duration::ZERO).expect("connect");
        let (mut reader, _) = listener.accept().expect("accept");
        Wire::new(stream).break_off().expect("broken off");
        let mut length = [0; 2];
        reader.read_exact(&mut length).expect("a length");
        assert_eq!(length, [0, 2]);
        let end = reader.read(&mut length).expect_err("no orderly end");
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn an_unknown_control_is_an_error() {
        assert!(decode(vec![9]).is_err());
        assert!(decode(vec![]).is_err());
    }

    #[test]
    fn patience_with_a_missing_reader_ends() {
        let port = {
            let l = TcpListener::bind("127.0.0.1:0").expect("a port");
            l.local_addr().expect("its number").port()
        };
        assert!(Wire::connect("127.0.0.1", port, Duration::from_millis(30)).is_err());
    }
}
