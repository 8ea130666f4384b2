//! One direction of the packets.

use ssh_lite_cipher::Key;

/// What went under one key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Volume {
    pub bytes: u64,
    pub packets: u32,
}

pub struct Half {
    /// None before the first key exchange.
    pub key: Option<Key>,
    /// The number of the next packet (RFC 4253 section 6.4).
    pub sequence: u32,
    pub volume: Volume,
}

impl Half {
    pub const fn new() -> Self {
        Self { key: None, sequence: 0, volume: Volume { bytes: 0, packets: 0 } }
    }

    /// A packet of `len` bytes has been sealed or opened.
    pub fn count(&mut self, len: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.volume.bytes += len as u64;
        self.volume.packets += 1;
    }

    /// The next packet has `key`; under strict key exchange its number is 0.
    pub fn rekey(&mut self, key: Key, restart_sequence: bool) {
        self.key = Some(key);
        self.volume = Volume { bytes: 0, packets: 0 };
        if restart_sequence {
            self.sequence = 0;
        }
    }
}
