//! A server that answers what it was told to, and keeps what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use twotap::aws::{Aws, Credentials, Endpoints, Timeouts};

/// What to do with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Status, further header lines, body.
    Answer(u16, String, String),
    /// Close without a byte.
    Cut,
    /// Begin a 200 and break off in its body.
    Stutter,
    /// Say nothing.
    Hang,
}

/// A plain answer.
pub(crate) fn answer(status: u16, body: &str) -> Act {
    Act::Answer(status, String::new(), body.into())
}

/// An error as STS and IAM write it.
pub(crate) fn error(status: u16, code: &str) -> Act {
    answer(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>words</Message></Error><RequestId>q-1</RequestId></ErrorResponse>"
        ),
    )
}

pub(crate) fn identity() -> Act {
    answer(
        200,
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
    )
}

pub(crate) fn regions() -> Act {
    answer(
        200,
        "<DescribeRegionsResponse><requestId>q-2</requestId><regionInfo/></DescribeRegionsResponse>",
    )
}

pub(crate) fn done(operation: &str) -> Act {
    answer(
        200,
        &format!("<{operation}Response><ResponseMetadata/></{operation}Response>"),
    )
}

/// One request: the head's lines, and the body.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Default)]
struct State {
    script: Vec<Act>,
    asked: Vec<Asked>,
    connections: usize,
}

/// Serves until it is dropped. A request beyond the script is answered by 599.
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> Server {
        let mut script: Vec<Act> = script.into_iter().collect();
        script.reverse();
        let state = Arc::new(Mutex::new(State {
            script,
            ..State::default()
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Server { port, state, task }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// A client of this server with short time-outs: no shorter than a busy machine needs for an answer.
    pub(crate) fn aws(&self) -> Aws {
        aws_at(self.port)
    }

    /// One that gives up fast, where a server hangs and the next one is to have time left.
    pub(crate) fn hasty_aws(&self) -> Aws {
        aws_within(self.port, Duration::from_millis(900))
    }
}

pub(crate) fn aws_at(port: u16) -> Aws {
    aws_within(port, Duration::from_secs(2))
}

fn aws_within(port: u16, read: Duration) -> Aws {
    Aws::new(Endpoints {
        override_url: Some(format!("http://127.0.0.1:{port}")),
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            read,
            call: Duration::from_secs(6),
            pause: Duration::from_millis(1),
        },
        ..Endpoints::commercial(["eu-west-1", "eu-central-1"])
    })
    .unwrap()
}

pub(crate) fn key() -> Credentials {
    Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        "key-secret-key-secret",
        None,
        None,
        "test",
    )
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(asked) = read_request(&mut stream).await {
        let act = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked);
            state
                .script
                .pop()
                .unwrap_or_else(|| answer(599, "the script is over"))
        };
        match act {
            Act::Answer(status, headers, body) => {
                let text = format!(
                    "HTTP/1.1 {status} X\r\nx-amzn-requestid: q-{status}\r\n{headers}content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Cut => return,
            Act::Stutter => {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n<Cre")
                    .await;
                return;
            }
            Act::Hang => {
                // Until the other side gives up.
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<String> = String::from_utf8_lossy(&bytes[..end])
                .split("\r\n")
                .map(str::to_owned)
                .collect();
            let asked = Asked {
                head,
                body: String::new(),
            };
            let length: usize = asked
                .header("content-length")
                .map_or(0, |n| n.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
                return Some(Asked { body, ..asked });
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
