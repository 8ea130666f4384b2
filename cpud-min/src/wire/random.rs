//! The random bytes of padding and keys.

use ssh_lite::Random;

use crate::sys;

/// Random bytes, fetched from the kernel 256 at a time and wiped as they are used, since each packet needs only a few.
pub struct Pool {
    bytes: [u8; 256],
    used: usize,
}

impl Pool {
    pub const fn new() -> Self {
        Self { bytes: [0; 256], used: 256 }
    }
}

impl Random for Pool {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.bytes.len() {
                sys::random(&mut self.bytes);
                self.used = 0;
            }
            *byte = core::mem::take(&mut self.bytes[self.used]);
            self.used += 1;
        }
    }
}
