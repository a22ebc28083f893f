//! Up to where the sink has written the file: what was there and is not any more was cut off, also where no look had seen it yet.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The number of the last event that stands in the file, as its sink knows; shared between the sink and who looks.
#[derive(Clone, Debug, Default)]
pub struct Written(Arc<AtomicU64>);

impl Written {
    /// The file has all events up to this one, on disk.
    pub fn reached(&self, seq: u64) {
        self.0.store(seq, Ordering::SeqCst);
    }

    /// Nobody knows: the file is begun anew, or could not be written.
    pub fn unknown(&self) {
        self.reached(0);
    }

    /// The number; 0 where nobody knows.
    pub fn through(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
