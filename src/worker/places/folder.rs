//! A folder as a place: one file a vault, `NAME.bundle.json`, written beside, fsynced, renamed and read back.
//!
//! The folder may lie on another machine's disk that answers late or never, so files are touched on a thread of their own and
//! waited for with a bound.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
    time::Duration,
};

use super::super::setback::Setback;
use crate::{
    protocol::{Code, Problem},
    trust::file::write_atomic,
    vault::{Bundle, bundle::MAX_BUNDLE},
};

/// How long a folder may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folder and whose bundle is meant.
pub(super) struct FolderPlace {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl FolderPlace {
    /// The place as `worker.toml` has it.
    pub(super) fn new(
        name: &str,
        vault: &str,
        config: Option<&super::PlaceConfig>,
    ) -> Result<Self, Setback> {
        let folder = config.and_then(|c| c.path.clone()).ok_or_else(|| {
            Setback::Never(
                Problem::new(
                    Code::Usage,
                    format!("place {name} has no path on this host"),
                )
                .hint(format!(
                    "name it in worker.toml: [places.{name}] path = ..."
                )),
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            path: folder.join(format!("{vault}.bundle.json")),
        })
    }

    /// The bundle in it, if there is one. What is there and is no bundle reads as none: it is replaced.
    pub(super) async fn look(&self) -> Result<Option<Bundle>, Setback> {
        let path = self.path.clone();
        let json = self.on_a_thread(move || {
            let mut json = Vec::new();
            match File::open(&path) {
                Ok(file) => file
                    .take(MAX_BUNDLE as u64 + 1)
                    .read_to_end(&mut json)
                    .map(|_| json),
                // The folder itself has to be there.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {
                    std::fs::read_dir(path.parent().unwrap_or(&path)).map(|_| json)
                }
                Err(why) => Err(why),
            }
        });
        Ok(Bundle::parse(&json.await?).ok())
    }

    /// Replaces the bundle, reads it back and compares.
    pub(super) async fn write(&self, bundle: &Bundle) -> Result<(), Setback> {
        let path = self.path.clone();
        let json = bundle.to_json().into_bytes();
        let same = self.on_a_thread(move || {
            write_atomic(&path, &json, 0o600)?;
            Ok(std::fs::read(&path)? == json)
        });
        if same.await? {
            Ok(())
        } else {
            Err(Setback::Later(Problem::new(
                Code::Internal,
                format!(
                    "place {} gives back other bytes than were written",
                    self.name
                ),
            )))
        }
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Setback> {
        let done = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await;
        let why = match done {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(why))) => why.to_string(),
            Ok(Err(_)) => "it could not be used".to_owned(),
            Err(_) => format!("it did not answer within {} seconds", PATIENCE.as_secs()),
        };
        Err(Setback::Later(
            Problem::new(
                Code::Internal,
                format!("place {}: {}: {why}", self.name, self.path.display()),
            )
            .hint("check that the folder is mounted, belongs to the worker and has room"),
        ))
    }
}
