//! Wiping the stack after work with a secret.
//!
//! Types wipe the place in which a secret ends, and the allocator what is freed. What neither reaches are the copies that a value leaves
//! behind when it moves from frame to frame, and the buffers of libraries: they stand on the stack below the caller until other calls
//! happen to write over them. A person's program then waits for minutes with a PIN in its memory that nobody can name any more.

/// How deep is wiped, in bytes: several times what opening or sealing a share has been seen to take in a debug build, and small beside
/// the smallest stack that runs it (2 MiB, a thread's).
const DEPTH: usize = 256 * 1024;

/// Runs `work`, then writes over the stack that it used, also when it panics.
///
/// What comes out is moved to the caller: it must hold no secret by value, or wipe itself there.
#[inline(never)]
pub fn wiped<T>(work: impl FnOnce() -> T) -> T {
    let _after = After;
    apart(work)
}

/// Everything that `work` does has its place below the frame of [`wiped`], where [`wipe`] writes.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

struct After;

impl Drop for After {
    fn drop(&mut self) {
        wipe();
    }
}

#[inline(never)]
fn wipe() {
    let mut stack = [0_u8; DEPTH];
    // As if somebody read it: otherwise nothing would be written.
    std::hint::black_box(&mut stack);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_comes_out_and_a_panic_goes_on() {
        assert_eq!(wiped(|| 2 + 2), 4);
        let caught = std::panic::catch_unwind(|| wiped(|| panic!("on purpose")));
        assert!(caught.is_err());
    }
}
