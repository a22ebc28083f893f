//! A stand-in for the agent at the wire: it answers a status that a test sets, says nothing, or goes away.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use axum::{Json, Router, extract::State, routing::get};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::oneshot};
use twotap::protocol::socket::Status;

/// What it answers, if anything.
type Shared = Arc<Mutex<Option<Status>>>;

/// A stand-in on a socket of its own.
pub(crate) struct StandIn {
    folder: TempDir,
    answer: Shared,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl StandIn {
    /// One that answers this.
    pub(crate) fn of(status: Status) -> Self {
        Self::start(Some(status))
    }

    /// One that takes every call and never answers.
    pub(crate) fn silent() -> Self {
        Self::start(None)
    }

    fn start(answer: Option<Status>) -> Self {
        let mut stand_in = Self {
            folder: tempfile::tempdir().expect("a folder"),
            answer: Arc::new(Mutex::new(answer)),
            running: None,
        };
        stand_in.comes_back();
        stand_in
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    /// Answers something else from now on.
    pub(crate) fn answers(&self, status: Option<Status>) {
        *self.answer.lock().expect("nobody panicked") = status;
    }

    /// It ends, and its socket with it.
    pub(crate) fn goes_away(&mut self) {
        self.end();
        std::fs::remove_file(self.socket()).expect("it was there");
    }

    pub(crate) fn comes_back(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(self.socket()).expect("a socket")
        };
        let routes = Router::new()
            .route("/v1/status", get(status))
            .fallback(nothing)
            .with_state(Arc::clone(&self.answer));
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, routes) => {}
                    _ = ended => {}
                }
            });
            // Whoever is still waited for is not.
            runtime.shutdown_background();
        });
        self.running = Some((end, thread));
    }

    fn end(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            let _ = end.send(());
            thread.join().expect("it ends");
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}

async fn status(State(answer): State<Shared>) -> Json<Status> {
    let answer = answer.lock().expect("nobody panicked").clone();
    match answer {
        Some(status) => Json(status),
        None => std::future::pending().await,
    }
}

async fn nothing() {
    std::future::pending().await
}
