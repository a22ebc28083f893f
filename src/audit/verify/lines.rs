//! Lines read in bounds, and examined on several threads.

use std::io::{self, BufRead, Read};

use crate::audit::chain::{self, Examined, Malformed};
use crate::audit::event::MAX_LINE;

/// A line without its newline, and whether it had one.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    torn: bool,
}

impl Line {
    pub(super) fn examine(&self) -> Examined {
        let mut examined = chain::examine(&self.bytes);
        if self.torn && examined.links.is_ok() {
            examined.links = Err(Malformed::Torn);
        }
        examined
    }
}

pub(super) struct Lines<R> {
    pub(super) from: R,
}

impl<R: BufRead> Lines<R> {
    /// Up to `count` lines; none at the end. A line that is too long is cut one byte after the limit, which makes it malformed.
    pub(super) fn block(&mut self, count: usize) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let mut bytes = Vec::new();
            let most = MAX_LINE as u64 + 1;
            if self
                .from
                .by_ref()
                .take(most)
                .read_until(b'\n', &mut bytes)?
                == 0
            {
                break;
            }
            let whole = bytes.last() == Some(&b'\n');
            if whole {
                bytes.pop();
            }
            lines.push(Line {
                bytes,
                torn: !whole,
            });
        }
        Ok(lines)
    }
}

/// Examines lines on as many threads as there are cores, up to four: each line stands by itself.
pub(super) fn examine_all(lines: &[Line]) -> Vec<Examined> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    if lines.len() < 512 || threads == 1 {
        return lines.iter().map(Line::examine).collect();
    }
    let mut examined = Vec::with_capacity(lines.len());
    std::thread::scope(|scope| {
        let parts: Vec<_> = lines
            .chunks(lines.len().div_ceil(threads))
            .map(|part| {
                (
                    part,
                    scope.spawn(move || part.iter().map(Line::examine).collect::<Vec<_>>()),
                )
            })
            .collect();
        for (part, thread) in parts {
            // Examining cannot panic; if a thread is lost all the same, its part is done here.
            examined.extend(
                thread
                    .join()
                    .unwrap_or_else(|_| part.iter().map(Line::examine).collect()),
            );
        }
    });
    examined
}
