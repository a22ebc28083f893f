//! A host whose clock is off: a small library before the C library answers the worker's question for the time.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// The environment in which a process's clock is off by so many seconds.
pub(crate) fn by(seconds: i64) -> Vec<(&'static str, String)> {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("skew-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fault_matrix/skew.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "cc failed");
        library
    });
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("SKEW_SECONDS", seconds.to_string()),
    ]
}
