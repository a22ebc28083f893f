//! A source of randomness for tests: repeatable, and able to fail.

use std::num::NonZeroU32;

use rand_core::{CryptoRng, Error, RngCore, impls};

/// SplitMix64 from a seed.
pub(crate) struct Draw {
    state: u64,
    fails: bool,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw {
            state: seed,
            fails: false,
        }
    }

    /// One whose every draw is an error.
    pub(crate) fn failing() -> Draw {
        Draw {
            state: 0,
            fails: true,
        }
    }
}

impl RngCore for Draw {
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        impls::fill_bytes_via_next(self, bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        if self.fails {
            return Err(NonZeroU32::MIN.into());
        }
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Draw {}
