//! A stand-in for GitHub's REST API on loopback: the two lists that the check reads, in pages, for whoever has the token.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "github_pat_example";
pub(crate) const REPOSITORY: &str = "example/emergency-access";
/// Entries in a page, where the caller asks for 100.
const PAGE: usize = 100;

/// What the stand-in holds.
#[derive(Default)]
pub(crate) struct Held {
    /// Closed pull requests, newest change first.
    pub(crate) pulls: Vec<Value>,
    /// Reviews by the number of their pull request, oldest first.
    pub(crate) reviews: BTreeMap<u64, Vec<Value>>,
    /// Answers to everything, in the place of what is held: status, headers, body.
    pub(crate) instead: Option<(u16, String, String)>,
    /// The request lines that came with the token.
    pub(crate) asked: Vec<String>,
}

pub(crate) struct GitHub {
    address: String,
    held: Arc<Mutex<Held>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl GitHub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let held = Arc::new(Mutex::new(Held::default()));
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, ends) = (Arc::clone(&held), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection");
                // A caller that has gone is no fault of the server's.
                let _ = serve(stream, &theirs);
            }
        });
        Self {
            address,
            held,
            over,
            thread: Some(thread),
        }
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn hold<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().expect("no test panics in it"))
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // The listener wakes by a connection.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, held: &Mutex<Held>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let line = lines.next().transpose()?.unwrap_or_default();
    let mut authorized = false;
    for header in lines.by_ref() {
        let header = header?;
        if header.is_empty() {
            break;
        }
        authorized |= header.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"));
    }
    let (status, headers, body) = answer(&line, authorized, &mut held.lock().expect("held"));
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
    )
}

fn answer(line: &str, authorized: bool, held: &mut Held) -> (u16, String, String) {
    let plain = |status, body: Value| (status, String::new(), body.to_string());
    if !authorized {
        return plain(401, json!({"message": "Bad credentials"}));
    }
    held.asked.push(line.to_owned());
    if let Some(instead) = &held.instead {
        return instead.clone();
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let word = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let page: usize = word("page").and_then(|n| n.parse().ok()).unwrap_or(1);
    let base = format!("/repos/{REPOSITORY}/pulls");
    let list: Vec<Value> = match path.strip_prefix(&base) {
        Some("") => {
            // More than is asked for: the check looks at each itself.
            let wanted = |_: &&Value| word("state") == Some("closed");
            held.pulls.iter().filter(wanted).cloned().collect()
        }
        Some(rest) => {
            let number = rest.trim_start_matches('/').strip_suffix("/reviews");
            match number
                .and_then(|n| n.parse().ok())
                .and_then(|n: u64| held.reviews.get(&n))
            {
                Some(reviews) => reviews.clone(),
                None => return plain(404, json!({"message": "Not Found"})),
            }
        }
        None => return plain(404, json!({"message": "Not Found"})),
    };
    let page: Vec<Value> = list
        .into_iter()
        .skip((page - 1) * PAGE)
        .take(PAGE)
        .collect();
    plain(200, Value::Array(page))
}
