//! Frames of the job wire, written out: four bytes big-endian, then that much JSON.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

/// The connection, until it is dropped.
pub struct Wire(Option<UnixStream>);

/// What came within a time.
pub enum Within<T> {
    Message(T),
    Closed,
    TooLate,
}

impl Wire {
    pub fn new(stream: UnixStream) -> Self {
        Self(Some(stream))
    }

    /// The other side sees the connection end.
    pub fn drop_now(&mut self) {
        self.0 = None;
    }

    pub fn send(&mut self, message: &impl Serialize) {
        let Some(stream) = &mut self.0 else { return };
        let body = serde_json::to_vec(message).expect("json");
        let mut frame = u32::try_from(body.len())
            .expect("a small message")
            .to_be_bytes()
            .to_vec();
        frame.extend_from_slice(&body);
        if stream.write_all(&frame).is_err() {
            self.0 = None;
        }
    }

    /// Bytes as they are, in the place of a message.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let Some(stream) = &mut self.0 else { return };
        if stream.write_all(bytes).is_err() {
            self.0 = None;
        }
    }

    pub fn receive<T: DeserializeOwned>(&mut self) -> Option<T> {
        match self.receive_within(Duration::from_secs(600)) {
            Within::Message(message) => Some(message),
            _ => None,
        }
    }

    pub fn receive_within<T: DeserializeOwned>(&mut self, bound: Duration) -> Within<T> {
        let Some(stream) = &mut self.0 else {
            return Within::Closed;
        };
        let bound = bound.max(Duration::from_millis(1));
        stream.set_read_timeout(Some(bound)).expect("a bound");
        let mut length = [0; 4];
        match stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(why)
                if matches!(
                    why.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                return Within::TooLate;
            }
            Err(_) => return Within::Closed,
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        if stream.read_exact(&mut body).is_err() {
            return Within::Closed;
        }
        match serde_json::from_slice(&body) {
            Ok(message) => Within::Message(message),
            Err(_) => Within::Closed,
        }
    }
}
