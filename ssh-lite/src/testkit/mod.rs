//! A client and a server joined without a network, for tests that read like transcripts.
//!
//! [`Pair`] brings both to any state in one call. The client is written from the RFCs, apart from
//! the code it tests: it shares the table of messages and the ciphers, nothing else.

mod client;
mod kex;
mod pair;

pub use client::{Client, Dialect};
pub use pair::{Pair, RX, TX, WINDOW, blob, pair, pair_authed, pair_in, pair_of, pair_with_channel, user_key};

use crate::{Random, msg::Encode, wire::Writer};
use std::vec::Vec;

/// Repeatable, not random: a counter in each block of eight bytes.
pub struct Counter(pub u64);

impl Random for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            block.copy_from_slice(&self.0.to_be_bytes()[..block.len()]);
        }
    }
}

/// The payload of a message.
pub fn payload(message: &impl Encode) -> Vec<u8> {
    written(|to| message.encode(to))
}

/// What `write` writes, at most 300 KiB.
pub fn written<E: core::fmt::Debug>(write: impl FnOnce(&mut Writer<'_>) -> Result<(), E>) -> Vec<u8> {
    let mut bytes = std::vec![0; 300 * 1024];
    let mut to = Writer::new(&mut bytes);
    write(&mut to).expect("the test's message fits");
    let len = to.written();
    bytes.truncate(len);
    bytes
}
