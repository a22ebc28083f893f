//! The server side of the control socket: a thread that accepts, and one for each client.

use super::{Answer, Request};
use crate::panel::Panel;
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

/// The listening socket; its file goes when this is dropped.
pub(crate) struct Server {
    path: PathBuf,
}

impl Server {
    /// Listens on `path` and serves in the background for as long as the process lives.
    pub(crate) fn start(path: &Path, panel: Arc<Panel>) -> io::Result<Self> {
        let listener = bind(path)?;
        thread::Builder::new()
            .name("control".into())
            .spawn(move || accept(&listener, &panel))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes the accepting thread, which sees that the panel has stopped.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds, taking the place of a dead socket but never that of a living one.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            match UnixStream::connect(path) {
                Err(dead) if dead.kind() == io::ErrorKind::ConnectionRefused => {}
                _ => return Err(e),
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

fn accept(listener: &UnixListener, panel: &Arc<Panel>) {
    while let Ok((stream, _)) = listener.accept() {
        if panel.is_stopped() {
            return;
        }
        let panel = Arc::clone(panel);
        // A client that cannot be given a thread sees its connection close.
        let _ = thread::Builder::new()
            .name("control-client".into())
            .spawn(move || serve(&stream, &panel));
    }
}

/// Answers one client's lines until it hangs up.
fn serve(stream: &UnixStream, panel: &Panel) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let answer = match serde_json::from_str::<Request>(&line?) {
            Ok(request) => carry_out(request, panel),
            Err(e) => refused(e.to_string()),
        };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        writer.write_all(&bytes)?;
    }
    Ok(())
}

fn carry_out(request: Request, panel: &Panel) -> Answer {
    let mut answer = Answer {
        ok: true,
        ..Answer::default()
    };
    match request {
        Request::Tap => answer.used = Some(panel.tap()),
        Request::TapWhenAsked { times } => panel.tap_when_asked(times),
        Request::Never => panel.tap_when_asked(Some(0)),
        Request::Waiting { timeout_ms } => {
            answer.waiting = Some(panel.await_request(Duration::from_millis(timeout_ms)));
        }
        Request::Remove => panel.remove(),
        Request::Insert => panel.insert(),
        Request::Status => answer.status = Some(panel.status()),
        Request::Mark => panel.mark(),
        Request::Fault(fault) => {
            if let Err(why) = panel.set_fault(&fault) {
                return refused(why.into());
            }
        }
        Request::ClearFaults => panel.clear_faults(),
        Request::Advance { ms } => panel.advance(Duration::from_millis(ms)),
    }
    answer
}

fn refused(why: String) -> Answer {
    Answer {
        error: Some(why),
        ..Answer::default()
    }
}
