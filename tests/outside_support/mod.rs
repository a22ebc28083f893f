//! A receiver of webhooks that answers as it is told, and checks signatures with nothing of ours.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use time::OffsetDateTime;
use twotap_rig::certificates;

/// How long anything may take before a test gives up on it.
pub const BOUND: Duration = Duration::from_secs(30);

/// The secret that receiver and sink share, as its file has it.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// What the receiver does with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// Takes it.
    Takes,
    /// Answers with this status, and these further lines of the head.
    Answers(u16, String),
    /// Reads it and never answers.
    HangsAfter,
    /// Takes the connection and reads nothing.
    HangsBefore,
    /// Takes it, and the answer is lost.
    LosesAnswer,
    /// Says what is no HTTP.
    Babbles,
    /// Answers one byte at a time, without an end.
    Trickles,
    /// Takes it, and the answer's body never ends.
    TricklesBody,
    /// Refuses what has this text in it with this status, and takes the rest.
    RefusesText(u16, &'static str),
}

/// A message as it came.
#[derive(Clone)]
pub struct Got {
    pub id: String,
    pub signed: bool,
    pub body: Value,
    pub raw: Vec<u8>,
    /// By the receiver's clock.
    pub at: OffsetDateTime,
    pub instant: Instant,
    /// Whether it was answered with a 2xx.
    pub taken: bool,
}

impl Got {
    pub fn seq(&self) -> u64 {
        self.body["data"]["seq"].as_u64().expect("a seq")
    }
}

struct State {
    does: Does,
    got: Vec<Got>,
}

/// The receiver.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
    stop: Arc<AtomicBool>,
}

impl Receiver {
    pub fn start(does: Does) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("bound"), does)
    }

    /// On a port that is bound already.
    pub fn on(listener: TcpListener, does: Does) -> Self {
        let got = Vec::new();
        let shared = Arc::new((Mutex::new(State { does, got }), Condvar::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let address = listener.local_addr().expect("an address");
        let (state, ends) = (Arc::clone(&shared), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), state, ends) = (stream, Arc::clone(&state), Arc::clone(&ends))
                else {
                    return;
                };
                std::thread::spawn(move || serve(stream, &state, &ends));
            }
        });
        Self {
            address,
            shared,
            stop,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook/of-the-team", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no test thread panicked in it")
    }

    pub fn does(&self, does: Does) {
        self.lock().does = does;
    }

    /// Everything that came, repetitions included.
    pub fn all(&self) -> Vec<Got> {
        self.lock().got.clone()
    }

    /// What was taken, once each, in order of coming.
    pub fn taken(&self) -> Vec<Got> {
        let mut ids = std::collections::HashSet::new();
        let mut taken = self.all();
        taken.retain(|got| got.taken && ids.insert(got.id.clone()));
        taken
    }

    /// Waits until what came satisfies `ready`.
    pub fn wait(&self, what: &str, ready: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let deadline = Instant::now() + BOUND;
        let mut state = self.lock();
        while !ready(&state.got) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "not in time: {what}; {} came",
                state.got.len()
            );
            state = self.shared.1.wait_timeout(state, left).expect("locked").0;
        }
        state.got.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // So that the listener's thread looks.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar), stop: &AtomicBool) {
    let _ = stream.set_read_timeout(Some(BOUND));
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let mut stream = stream;
    if shared.0.lock().expect("locked").does == Does::HangsBefore {
        hang(stop);
        return;
    }
    while let Some((head, body)) = read(&mut reader) {
        let header = |name: &str| {
            head.iter()
                .find_map(|line| line.strip_prefix(&format!("{name}: ")))
                .unwrap_or_default()
                .to_owned()
        };
        let (does, taken) = {
            let mut state = shared.0.lock().expect("locked");
            let does = state.does.clone();
            let text = String::from_utf8_lossy(&body).into_owned();
            let taken = match &does {
                Does::Takes | Does::LosesAnswer | Does::TricklesBody => true,
                Does::Answers(status, _) => (200..300).contains(status),
                Does::RefusesText(_, word) => !text.contains(word),
                _ => false,
            };
            let id = header("webhook-id");
            let stamp = header("webhook-timestamp");
            state.got.push(Got {
                signed: verified(&id, &stamp, &header("webhook-signature"), &body),
                id,
                body: serde_json::from_slice(&body).unwrap_or_default(),
                raw: body,
                at: OffsetDateTime::now_utc(),
                instant: Instant::now(),
                taken,
            });
            shared.1.notify_all();
            (does, taken)
        };
        let answer = match does {
            Does::Takes => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Does::Answers(status, more) => {
                format!("HTTP/1.1 {status} X\r\n{more}content-length: 2\r\n\r\nok")
            }
            Does::RefusesText(status, _) if !taken => {
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")
            }
            Does::RefusesText(..) => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Does::Babbles => {
                let _ = stream.write_all(b"\x00\xffnothing like it\r\n\r\n");
                return;
            }
            Does::Trickles | Does::TricklesBody => {
                let end = if taken { "\r\n" } else { "" };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n{end}");
                let _ = stream.write_all(head.as_bytes());
                while !stop.load(Ordering::SeqCst) && stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return;
            }
            Does::LosesAnswer => return,
            Does::HangsAfter | Does::HangsBefore => {
                hang(stop);
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn hang(stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(Vec<String>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        head.push(line.to_owned());
    }
    let length = head.iter().find_map(|l| {
        l.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    })?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// As the scheme says, with the secret's bytes from its text; a time that is far off does not count.
fn verified(id: &str, stamp: &str, header: &str, body: &[u8]) -> bool {
    let secret = SECRET.strip_prefix("whsec_").expect("a secret");
    let secret = BASE64.decode(secret.as_bytes()).expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).expect("a key");
    mac.update(format!("{id}.{stamp}.").as_bytes());
    mac.update(body);
    let expected = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let near = stamp.parse::<i64>().is_ok_and(|at| (now - at).abs() < 300);
    near && header.split(' ').any(|one| one == expected)
}

/// An authority (`NAME.ca.pem`), and a certificate of it for 127.0.0.1 (`NAME.pem`, `NAME.key`).
pub fn authority(folder: &Path, name: &str) {
    let ca = format!("{name}.ca");
    certificates::authority(folder, &ca).expect("an authority");
    certificates::certificate(folder, name, "IP:127.0.0.1", &ca).expect("a certificate");
}
