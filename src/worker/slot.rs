//! How many offers may wait at once on one host.

use std::{fs::File, path::Path};

use super::home::{make_folder, try_hold};
use crate::{
    ceremony::times::MAX_WAITING,
    protocol::{Code, Problem},
};

/// A place among the offers that wait: the lock of one of [`MAX_WAITING`] files. It is free again when the process ends, however it ends.
pub(super) struct Slot {
    held: File,
}

impl Slot {
    /// Takes a place that is free, if there is one.
    pub(super) fn take(folder: &Path) -> Result<Self, Problem> {
        make_folder(folder)?;
        for n in 0..MAX_WAITING {
            if let Some(held) = try_hold(&folder.join(n.to_string()))? {
                return Ok(Self { held });
            }
        }
        Err(Problem::new(
            Code::Refused,
            format!("{MAX_WAITING} requests are waiting for approvals already"),
        )
        .hint("let one be approved, denied or run out: twotap status"))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.held.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut held: Vec<Slot> = (0..MAX_WAITING)
            .map(|_| Slot::take(dir.path()).expect("free"))
            .collect();
        let problem = Slot::take(dir.path()).err().expect("all are taken");
        assert_eq!(problem.code, Code::Refused);
        drop(held.pop());
        assert!(Slot::take(dir.path()).is_ok());
    }
}
