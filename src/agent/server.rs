//! The socket: who connects, how long they may take, and that there is one agent on it.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tower_service::Service as _;

use super::{Agent, routes};
use crate::protocol::{Code, Problem};

/// How long a request's head may take; also how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How many connections are served at once; more wait.
const CONNECTIONS: usize = 4096;
/// How many of them one account may have, so that nobody takes them all; an account that is nobody's needs but one answer.
const OF_A_PERSON: usize = 2048;
const OF_A_STRANGER: usize = 16;

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    pub(super) uid: u32,
}

/// The agent's socket; removed when this is dropped, if it is still ours.
pub(super) struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket that was made here.
    made: (u64, u64),
}

impl Server {
    /// Listens on `path`. A live agent there is refused, what a dead one left is removed.
    pub(super) async fn bind(path: &Path) -> Result<Self, Problem> {
        let failed = |why: io::Error| {
            Problem::new(
                Code::Usage,
                format!("cannot listen on {}: {why}", path.display()),
            )
            .hint("the folder of 'socket' in agent.toml has to be the agent's own")
        };
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty())
            && !folder.exists()
        {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(folder)
                .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o755)))
                .map_err(failed)?;
        }
        make_way(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let meta = fs::symlink_metadata(path).map_err(failed)?;
        let server = Self {
            listener,
            path: path.to_owned(),
            made: (meta.dev(), meta.ino()),
        };
        // Everybody may knock: peer and table decide.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        Ok(server)
    }

    /// Serves for ever.
    pub(super) async fn serve(&self, agent: &Arc<Agent>) {
        let router = routes::router(agent);
        let accounts = Accounts::default();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of descriptors: those that are served end first.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(credentials) = stream.peer_cred() else {
                continue;
            };
            let peer = Peer {
                uid: credentials.uid(),
            };
            let most = if agent.is_listed(peer.uid) {
                OF_A_PERSON
            } else {
                OF_A_STRANGER
            };
            let Some(counted) = Counted::one_more(&accounts, peer.uid, most) else {
                continue;
            };
            let router = router.clone();
            tokio::spawn(async move {
                converse(stream, router, peer).await;
                drop((place, counted));
            });
        }
    }
}

/// Open connections by account.
type Accounts = Arc<Mutex<HashMap<u32, usize>>>;

/// One connection of an account, counted while this lives.
struct Counted {
    accounts: Accounts,
    uid: u32,
}

impl Counted {
    fn one_more(accounts: &Accounts, uid: u32, most: usize) -> Option<Self> {
        let mut open = accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(uid).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self {
            accounts: Arc::clone(accounts),
            uid,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.uid);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.made);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn converse(stream: UnixStream, router: axum::Router, peer: Peer) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let mut router = router.clone();
        async move { router.call(request).await }
    });
    // A client that breaks off is the client's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Removes what a dead agent left at `path`; nothing else.
async fn make_way(path: &Path) -> Result<(), Problem> {
    let in_the_way = |what: &str| {
        Problem::new(Code::Usage, format!("{} {what}", path.display()))
            .hint("'socket' in agent.toml names another place")
    };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(in_the_way(&format!("cannot be looked at: {why}"))),
    };
    if !meta.file_type().is_socket() {
        return Err(in_the_way("is not a socket"));
    }
    match UnixStream::connect(path).await {
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {}
        Ok(_) => {
            return Err(Problem::new(
                Code::Usage,
                format!("an agent serves on {} already", path.display()),
            )
            .hint("one agent a socket; stop the other one first"));
        }
        Err(why) => return Err(in_the_way(&format!("may be somebody's: {why}"))),
    }
    // Asked once more: between the two looks another agent may have taken the place.
    let same = fs::symlink_metadata(path)
        .is_ok_and(|now| (now.dev(), now.ino()) == (meta.dev(), meta.ino()));
    if same {
        fs::remove_file(path).map_err(|why| in_the_way(&format!("cannot be removed: {why}")))?;
    }
    Ok(())
}
